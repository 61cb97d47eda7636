/**
 * What a fetcher knows about one partition. The object itself stands for one
 * `add`: after `remove` it is never used again.
 */

import type { FetchedChunk } from './fetcher-types.ts'

/** State of one partition from `add` to `remove`. */
export interface FetchPartition {
  readonly topic: string
  readonly partition: number
  /** Where the next fetch goes on. */
  offset: bigint
  /** Broker to read from, `undefined` while it has to be looked up. */
  nodeId: number | undefined
  /** Near replica that the leader has named (KIP-392), or `undefined`. */
  preferredReplicaId: number | undefined
  /** The loop of its broker has asked for it, and so comes back to it by itself. */
  isAsked: boolean
  leaderEpoch: number
  topicId: string
  isPaused: boolean
  /** An error that the fetcher does not retry: rests until removed. */
  isStopped: boolean
  /** Failures in a row. */
  failureCount: number
  /** Not fetched before this time of the monotonic clock. */
  restUntilMs: number
  /** Fetched, but not handed out: the partition was paused while the answer was on its way. One answer at most. */
  held: FetchedChunk[]
}
