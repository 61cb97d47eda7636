/**
 * DescribeLogDirs, versions 1 to 5: the one log folder, the size of each
 * partition in it, and the space of its disk (version 4, KIP-827).
 */

import fs from 'node:fs/promises'
import { describeLogDirsApi, type DescribeLogDirsRequest } from '../../protocol/index.ts'
import type { Topic } from '../log/index.ts'
import type { BrokerState } from './broker-state.ts'
import { defineHandler } from './handler.ts'

/** The handler of DescribeLogDirs. */
export const describeLogDirsHandler = defineHandler({
  api: describeLogDirsApi,
  clusterOperation: 'describe',
  handle: async (broker, request) => {
    const { totalBytes, usableBytes } = await diskSpace(broker.logs.dataDir)
    const topics = wantedTopics(broker, request).map(({ topic, isWanted }) => ({
      name: topic.name,
      partitions: topic.logs
        .filter(log => isWanted(log.partition))
        .map(log => ({ partitionIndex: log.partition, partitionSize: BigInt(log.sizeBytes), offsetLag: 0n }))
    }))
    return { results: [{ logDir: broker.logs.dataDir, topics, totalBytes, usableBytes }] }
  },
  fail: (_request, code) => ({ errorCode: code })
})

function wantedTopics(
  broker: BrokerState,
  request: DescribeLogDirsRequest
): { topic: Topic; isWanted: (partition: number) => boolean }[] {
  if (request.topics === null) return broker.logs.topics.map(topic => ({ topic, isWanted: () => true }))
  return request.topics.flatMap(({ topic: name, partitions }) => {
    const topic = broker.logs.topic(name)
    const wanted = new Set(partitions)
    return topic === undefined ? [] : { topic, isWanted: (partition: number) => wanted.has(partition) }
  })
}

/** Size and free space of the disk; -1 where the system does not tell. */
async function diskSpace(folder: string): Promise<{ totalBytes: bigint; usableBytes: bigint }> {
  try {
    const { bsize, blocks, bavail } = await fs.statfs(folder, { bigint: true })
    return { totalBytes: bsize * blocks, usableBytes: bsize * bavail }
  } catch {
    // Some file systems have no such figures; the sizes of the partitions are still worth an answer.
    return { totalBytes: -1n, usableBytes: -1n }
  }
}
