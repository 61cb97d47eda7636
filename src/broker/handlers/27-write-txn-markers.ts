/**
 * WriteTxnMarkers, versions 1 and 2: ends transactions in single partitions. A
 * coordinator on another broker would send it; here it is for administrators who
 * end a hanging transaction (`kafka-transactions.sh abort`).
 *
 * Needs Alter or ClusterAction on the cluster.
 */

import {
  type KafkaErrorName,
  writeTxnMarkersApi,
  type WriteTxnMarkersRequestWritableTxnMarker,
  type WriteTxnMarkersResponseWritableTxnMarkerResultInput
} from '../../protocol/index.ts'
import { CLUSTER } from '../security/acls/index.ts'
import type { BrokerState } from './broker-state.ts'
import { defineHandler, errorCode } from './handler.ts'

type RequestMarker = WriteTxnMarkersRequestWritableTxnMarker
type MarkerResult = WriteTxnMarkersResponseWritableTxnMarkerResultInput

/** The handler of WriteTxnMarkers. */
export const writeTxnMarkersHandler = defineHandler({
  api: writeTxnMarkersApi,
  handle: async (broker, request, caller) => {
    const { authorizer } = broker
    const isAllowed =
      authorizer.wouldAllow(caller, 'alter', CLUSTER) || authorizer.isAllowed(caller, 'clusterAction', CLUSTER)
    if (!isAllowed) return failAll(request.markers, errorCode('CLUSTER_AUTHORIZATION_FAILED'))
    return { markers: await Promise.all(request.markers.map(marker => write(broker, marker))) }
  },
  fail: (request, code) => failAll(request.markers, code)
})

async function write(broker: BrokerState, request: RequestMarker): Promise<MarkerResult> {
  const { producerId, producerEpoch, coordinatorEpoch, transactionResult: isCommit, transactionVersion } = request
  const marker = { producerId, producerEpoch, coordinatorEpoch, isCommit, transactionVersion }
  const topics = request.topics.map(async ({ name, partitionIndexes }) => {
    const errors = partitionIndexes.map(partition =>
      broker.transactionMarkers.write({ topic: name, partition }, marker)
    )
    const codes = (await Promise.all(errors)).map((error: KafkaErrorName) => errorCode(error))
    return {
      name,
      partitions: partitionIndexes.map((partitionIndex, index) => ({ partitionIndex, errorCode: codes[index] ?? 0 }))
    }
  })
  return { producerId, topics: await Promise.all(topics) }
}

function failAll(markers: readonly RequestMarker[], code: number): { markers: MarkerResult[] } {
  return {
    markers: markers.map(({ producerId, topics }) => ({
      producerId,
      topics: topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map(partitionIndex => ({ partitionIndex, errorCode: code }))
      }))
    }))
  }
}
