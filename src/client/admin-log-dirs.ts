/** Administration of log directories: how large partitions are on disk. */

import { describeLogDirsApi } from '../protocol/index.ts'
import type { Cluster } from './cluster.ts'
import { groupPartitions } from './group-protocol.ts'
import type { TopicPartition } from './group-types.ts'
import { throwKafkaError } from './kafka-error.ts'

/** A replica on a disk. */
export interface LogDirPartition extends TopicPartition {
  readonly nodeId: number
  readonly logDir: string
  readonly sizeBytes: bigint
}

/** A log directory of a broker. */
export interface LogDir {
  readonly nodeId: number
  readonly logDir: string
  /** 0 = sound; 56 (KAFKA_STORAGE_ERROR) = its disk has failed. */
  readonly errorCode: number
  /** Of the disk; -1n where the broker is too old to say (KIP-827). */
  readonly totalBytes: bigint
  readonly usableBytes: bigint
  readonly partitions: readonly LogDirPartition[]
}

/**
 * The log directories of one broker.
 *
 * @param partitions - Only these. Default: all that it has.
 * @throws PipelineError of the connection, or `ERR_CLIENT_KAFKA`: it needs the right DESCRIBE on the cluster.
 */
export async function describeLogDirs(
  cluster: Cluster,
  nodeId: number,
  partitions?: readonly TopicPartition[]
): Promise<LogDir[]> {
  const topics = partitions === undefined ? null : groupPartitions(partitions)
  const answer = await cluster.send(describeLogDirsApi, { topics }, { to: { nodeId } })
  throwKafkaError(answer.errorCode, `DescribeLogDirs of broker ${nodeId}`)
  return answer.results.map(({ logDir, errorCode, totalBytes, usableBytes, topics: found }) => ({
    nodeId,
    logDir,
    errorCode,
    totalBytes,
    usableBytes,
    partitions: found.flatMap(({ name, partitions: sizes }) =>
      sizes
        .filter(({ isFutureKey }) => !isFutureKey)
        .map(({ partitionIndex, partitionSize }) => ({
          nodeId,
          logDir,
          topic: name,
          partition: partitionIndex,
          sizeBytes: partitionSize
        }))
    )
  }))
}
