/** What is kept of a group between looks: its commits in each partition. */

import { CommitWindow } from './commit-window.ts'
import type { ReadPair } from './read-pairs.ts'

/** What a look tells of a pair. */
export interface PairLook {
  readonly pair: ReadPair
  readonly lag: bigint
  /** Whether the end of the log is known. */
  readonly isKnown: boolean
  readonly nowMs: number
  readonly minDistanceMs: number
}

/** One partition of a group. */
export class PairTrack {
  readonly commits: CommitWindow
  /** When a commit was seen last, in milliseconds since 1970; 0 = never. */
  movedAtMs = 0
  /** How many looks have seen it. */
  lookCount = 0
  #committed: bigint | undefined
  /** -1n before the first look. */
  #lag = -1n

  constructor(windowSize: number) {
    this.commits = new CommitWindow(windowSize)
  }

  /** Whether the look before found just this. */
  isSame(committed: bigint | undefined, lag: bigint): boolean {
    return this.#lag === lag && this.#committed === committed
  }

  /** Takes note of a look. See `CommitWindow` for what counts as a commit. */
  see({ pair, lag, isKnown, nowMs, minDistanceMs }: PairLook): void {
    const { committed, owner } = pair
    const offset = committed === undefined ? undefined : Number(committed)
    if (offset !== undefined && (owner !== '' || offset !== this.commits.lastOffset)) {
      this.commits.add({ timeMs: nowMs, offset, lag: isKnown ? Number(lag) : undefined }, minDistanceMs)
      this.movedAtMs = nowMs
    }
    this.#committed = committed
    this.#lag = lag
    this.lookCount += 1
  }
}

/** All partitions of a group. */
export class GroupTrack {
  readonly #windowSize: number
  #pairs = new Map<string, Map<number, PairTrack>>()
  #count = 0
  /** When a commit of the group was seen last, in milliseconds since 1970. */
  movedAtMs = 0

  constructor(windowSize: number) {
    this.#windowSize = windowSize
  }

  /** The track of a pair, new if there is none. */
  of({ topic, partition }: ReadPair): PairTrack {
    let topics = this.#pairs.get(topic)
    if (topics === undefined) {
      topics = new Map()
      this.#pairs.set(topic, topics)
    }
    let track = topics.get(partition)
    if (track === undefined) {
      track = new PairTrack(this.#windowSize)
      topics.set(partition, track)
      this.#count += 1
    }
    return track
  }

  /** Forgets all pairs but these, each of which has a track: as a rule nothing has changed. */
  retain(pairs: readonly ReadPair[]): void {
    if (this.#count === pairs.length) return
    const kept = new Map<string, Map<number, PairTrack>>()
    for (const pair of pairs) {
      const topics = kept.get(pair.topic) ?? new Map<number, PairTrack>()
      kept.set(pair.topic, topics.set(pair.partition, this.of(pair)))
    }
    this.#pairs = kept
    this.#count = pairs.length
  }

  /** The topic was made anew: what was committed for the old one says nothing. */
  forgetTopic(topic: string): void {
    this.#count -= this.#pairs.get(topic)?.size ?? 0
    this.#pairs.delete(topic)
  }
}
