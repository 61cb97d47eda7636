/** The topics that are written to while the broker is killed: each has a setting that another part of the log obeys. */

import { createTopicsApi, kafkaErrorName } from '../../src/protocol/index.ts'
import type { Link } from './broker-crash-link.ts'

/** A topic of the crash fuzzer. */
export interface CrashTopic {
  readonly name: string
  readonly partitionCount: number
  readonly configs: Readonly<Record<string, string>>
  /** Whether older records of a key may be gone. */
  readonly isCompacted?: boolean
}

/** All of them. */
export const CRASH_TOPICS: readonly CrashTopic[] = [
  { name: 'plain', partitionCount: 3, configs: {} },
  { name: 'small', partitionCount: 2, configs: { 'segment.bytes': '1048576', 'segment.ms': '300' } },
  { name: 'stamped', partitionCount: 1, configs: { 'message.timestamp.type': 'LogAppendTime' } },
  { name: 'packed', partitionCount: 1, configs: { 'compression.type': 'zstd' } },
  { name: 'flushed', partitionCount: 1, configs: { 'flush.messages': '1' } },
  { name: 'flushing', partitionCount: 1, configs: { 'flush.ms': '20' } },
  { name: 'trimmed', partitionCount: 1, configs: { 'segment.ms': '200' } },
  {
    name: 'compacted',
    partitionCount: 2,
    isCompacted: true,
    configs: {
      'cleanup.policy': 'compact',
      'segment.ms': '200',
      'min.cleanable.dirty.ratio': '0.01',
      'min.compaction.lag.ms': '0'
    }
  }
]

/** A partition of one of them. */
export interface CrashPartition {
  readonly topic: CrashTopic
  readonly partition: number
  /** `topic-partition`. */
  readonly name: string
}

/** All partitions. */
export const CRASH_PARTITIONS: readonly CrashPartition[] = CRASH_TOPICS.flatMap(topic =>
  Array.from({ length: topic.partitionCount }, (_, partition) => ({
    topic,
    partition,
    name: `${topic.name}-${partition}`
  }))
)

/** Creates the topics. */
export async function createCrashTopics(link: Link): Promise<void> {
  const topics = CRASH_TOPICS.map(({ name, partitionCount, configs }) => ({
    name,
    numPartitions: partitionCount,
    replicationFactor: 1,
    configs: Object.entries(configs).map(([key, value]) => ({ name: key, value }))
  }))
  const created = await link.request(createTopicsApi, { version: 5, message: { topics, timeoutMs: 30_000 } })
  for (const { name, errorCode, errorMessage } of created.topics) {
    if (errorCode !== 0) throw new Error(`${name}: ${kafkaErrorName(errorCode)} ${errorMessage}`)
  }
}
