/** Waits until a topic is there, with leaders, or gone: Kafka answers before it is so. */

import type { Cluster } from '../../client/index.ts'
import { sleep } from '../../core/index.ts'

/** What is waited for. */
export interface UntilTopicOptions {
  /** There, with a leader for each partition, or gone. */
  readonly isThere: boolean
  readonly signal?: AbortSignal
  /** In milliseconds. Default 30_000. */
  readonly timeoutMs?: number
}

/** @returns Whether it came to that in time. */
export async function untilTopic(cluster: Cluster, topic: string, options: UntilTopicOptions): Promise<boolean> {
  const { isThere, signal, timeoutMs = 30_000 } = options
  const endMs = cluster.clock.monotonicMs() + timeoutMs
  while (signal?.aborted !== true) {
    const { topics } = await cluster.metadata([topic])
    const found = topics.find(each => each.topic === topic)
    const isFound = found !== undefined && found.errorCode === 0 && found.partitions.length > 0
    const isReady = isFound && found.partitions.every(({ leaderId }) => leaderId >= 0)
    if (isThere ? isReady : !isFound) return true
    if (cluster.clock.monotonicMs() >= endMs) return false
    await sleep(cluster.clock, 100, signal)
  }
  return false
}
