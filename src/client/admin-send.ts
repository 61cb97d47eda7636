/**
 * What all administration calls share: a retry for answers that say "not now"
 * or "not here", grouping by topic and by broker.
 *
 * Administration is idempotent enough to be asked again: creating what exists
 * answers so, and offsets are set to a value, not moved by one.
 */

import { backoffMs, isRetriable, sleep } from '../core/index.ts'
import { isKafkaErrorRetriable } from '../protocol/index.ts'
import type { Cluster } from './cluster.ts'
import type { TopicPartition } from './group-types.ts'
import { isCoordinatorMoved, isStaleMetadata, KAFKA } from './kafka-error.ts'

const backoff = { initialMs: 50, maxMs: 1_000 }

/** How a call is repeated. */
export interface AskOptions<T> {
  /** The error codes in an answer. */
  readonly codesOf: (answer: T) => readonly number[]
  /** The group whose coordinator is asked, if one is. */
  readonly groupId?: string
  /** `false` where a broker that cannot be reached is for the caller to judge. Default `true`. */
  readonly isReachRetried?: boolean
}

/**
 * Asks until no code in the answer is retriable, or `requestTimeoutMs` has passed: the last answer then stands. A
 * broker that cannot be reached, hangs, or ends before it answers, is retried as well, for twice as long: by then
 * another one may be in its place. What it did before it ended is done once more, so that creating a topic may find
 * that it exists.
 *
 * @throws PipelineError of the connection, if that is the last word.
 */
export async function ask<T>(cluster: Cluster, request: () => Promise<T>, options: AskOptions<T>): Promise<T> {
  const deadlineMs = cluster.clock.monotonicMs() + cluster.requestTimeoutMs
  const isLate = (moreMs = 0): boolean => cluster.clock.monotonicMs() >= deadlineMs + moreMs
  for (let failures = 1; ; failures += 1) {
    try {
      const answer = await request()
      const retriable = options.codesOf(answer).filter(code => code !== KAFKA.NONE && isKafkaErrorRetriable(code))
      if (retriable.length === 0 || isLate()) return answer
      if (options.groupId !== undefined && retriable.some(isCoordinatorMoved)) {
        cluster.forgetCoordinator('group', options.groupId)
      }
      if (retriable.includes(KAFKA.NOT_CONTROLLER) || retriable.some(isStaleMetadata)) await cluster.refreshMetadata()
    } catch (error) {
      // A broker passes what is the controller's on to it, and waits for one that hangs as long as we wait for the
      // broker: there must be time for another try. Kafka's `default.api.timeout.ms` is twice the request's, too.
      if (options.isReachRetried === false || !isRetriable(error) || isLate(cluster.requestTimeoutMs)) throw error
      if (options.groupId !== undefined) cluster.forgetCoordinator('group', options.groupId)
      // The next request says what is wrong if nobody can be reached.
      await cluster.refreshMetadata().catch(() => undefined)
    }
    await sleep(cluster.clock, backoffMs(backoff, failures, cluster.random))
  }
}

/** Items by topic, in order of appearance. */
export function byTopic<T extends TopicPartition>(items: readonly T[]): Map<string, T[]> {
  return groupBy(items, item => item.topic)
}

/** Items by the broker that leads their partition. */
export async function byLeader<T extends TopicPartition>(
  cluster: Cluster,
  items: readonly T[]
): Promise<Map<number, T[]>> {
  const leaders = new Map<T, number>()
  for (const item of items) leaders.set(item, await cluster.leaderOf(item.topic, item.partition))
  return groupBy(items, item => leaders.get(item) ?? -1)
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}
