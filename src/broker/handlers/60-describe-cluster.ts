/** DescribeCluster, versions 0 to 2: the one broker, which is its own controller. Source: KIP-700, KIP-919. */

import { describeClusterApi } from '../../protocol/index.ts'
import { operationsOnCluster } from './authorized-operations.ts'
import { defineHandler, errorCode } from './handler.ts'

const BROKERS = 1

/** The handler of DescribeCluster. */
export const describeClusterHandler = defineHandler({
  api: describeClusterApi,
  handle: (broker, request, caller) => {
    const { clusterId, nodeId } = broker
    if (request.endpointType !== BROKERS) {
      const errorMessage = 'This node has endpoints for clients only, not for controllers.'
      return { errorCode: errorCode('MISMATCHED_ENDPOINT_TYPE'), errorMessage, clusterId, controllerId: -1 }
    }
    const { host, port } = broker.endpointOf(caller.listener)
    return {
      clusterId,
      controllerId: nodeId,
      brokers: [{ brokerId: nodeId, host, port, rack: null }],
      ...(request.includeClusterAuthorizedOperations
        ? { clusterAuthorizedOperations: operationsOnCluster(broker, caller) }
        : {})
    }
  },
  fail: (_request, code) => ({ errorCode: code })
})
