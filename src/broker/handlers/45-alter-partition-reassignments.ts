/**
 * AlterPartitionReassignments, versions 0 and 1: a partition can be only where
 * it is. Asking for that is a success, asking for another broker is refused, and
 * there is never a reassignment to cancel (null replicas).
 */

import { alterPartitionReassignmentsApi, type KafkaErrorName } from '../../protocol/index.ts'
import type { BrokerState } from './broker-state.ts'
import { defineHandler, errorCode, errorMessage } from './handler.ts'

/** The handler of AlterPartitionReassignments. */
export const alterPartitionReassignmentsHandler = defineHandler({
  api: alterPartitionReassignmentsApi,
  clusterOperation: 'alter',
  handle: (broker, request) => ({
    allowReplicationFactorChange: request.allowReplicationFactorChange,
    responses: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, replicas }) => {
        const error = reassignError(broker, { name, partitionIndex, replicas })
        return { partitionIndex, errorCode: errorCode(error), errorMessage: errorMessage(error) }
      })
    }))
  }),
  fail: (_request, code) => ({ errorCode: code })
})

function reassignError(
  broker: BrokerState,
  { name, partitionIndex, replicas }: { name: string; partitionIndex: number; replicas: readonly number[] | null }
): KafkaErrorName {
  if (broker.logs.log(name, partitionIndex) === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
  if (replicas === null) return 'NO_REASSIGNMENT_IN_PROGRESS'
  return replicas.length === 1 && replicas[0] === broker.nodeId ? 'NONE' : 'INVALID_REPLICA_ASSIGNMENT'
}
