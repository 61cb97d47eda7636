/**
 * AlterReplicaLogDirs, versions 1 and 2: there is one log folder, so a replica
 * is where it should be, or the folder asked for does not exist.
 */

import { alterReplicaLogDirsApi, type KafkaErrorName } from '../../protocol/index.ts'
import type { BrokerState } from './broker-state.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of AlterReplicaLogDirs. */
export const alterReplicaLogDirsHandler = defineHandler({
  api: alterReplicaLogDirsApi,
  clusterOperation: 'alter',
  handle: (broker, request) => ({
    results: request.dirs.flatMap(({ path, topics }) =>
      topics.map(({ name, partitions }) => ({
        topicName: name,
        partitions: partitions.map(partitionIndex => ({
          partitionIndex,
          errorCode: errorCode(moveError(broker, path, { name, partitionIndex }))
        }))
      }))
    )
  }),
  fail: (request, code) => ({
    results: request.dirs.flatMap(({ topics }) =>
      topics.map(({ name, partitions }) => ({
        topicName: name,
        partitions: partitions.map(partitionIndex => ({ partitionIndex, errorCode: code }))
      }))
    )
  })
})

function moveError(
  broker: BrokerState,
  path: string,
  { name, partitionIndex }: { name: string; partitionIndex: number }
): KafkaErrorName {
  if (path !== broker.logs.dataDir) return 'LOG_DIR_NOT_FOUND'
  return broker.logs.log(name, partitionIndex) === undefined ? 'REPLICA_NOT_AVAILABLE' : 'NONE'
}
