/**
 * Tells a member that makes no progress from one that waits for a reason.
 *
 * Looked at from time to time: a partition with work to do whose mark has not
 * moved since the last look, and which nothing explains, has stood still for the
 * time in between. When that adds up to the limit the member is stalled: it
 * holds partitions that nobody else can serve. An explanation (the breaker is
 * open, an operator has paused it, commits are late) ends the count: leaving
 * the group would not help, and the next member would leave it too.
 *
 * Only time that this process lived through counts: if the looks themselves are
 * late (SIGSTOP, a sleeping machine, a blocked event loop), the gap counts as
 * one interval and is reported on its own.
 *
 * Pure: time is passed in.
 */

/** One partition at one look. */
export interface WatchedPartition {
  readonly key: string
  /** Anything that changes when the partition gets on. */
  readonly mark: string
  readonly hasWork: boolean
  /** Why it stands still; `undefined` if nothing explains it. */
  readonly explainedBy: string | undefined
  /** Time that what it does may take by its own limits, in milliseconds: it stands still only beyond that. */
  readonly allowanceMs: number
}

/** What a look has found. */
export interface WatchVerdict {
  /** Partitions that have stood still for longer than allowed. */
  readonly stalled: readonly string[]
  /** How late this look was, in milliseconds; 0 if it was in time. */
  readonly lateMs: number
}

/** A partition with work as JSON can hold it. */
export interface WatchDescription {
  readonly partition: string
  /** Time without progress that nothing explains, in milliseconds. */
  readonly stoodStillMs: number
  readonly explainedBy: string | null
}

interface Watched {
  mark: string
  stoodStillMs: number
  explainedBy: string | undefined
}

/** Lateness of a look that is not worth a word: timers, garbage collection, a busy machine. */
const LATE_MIN_MS = 1000

/** Watches the progress of the partitions of a member. */
export class ProgressWatch {
  #timeoutMs: number
  #intervalMs: number
  #lookedMs: number | undefined
  #partitions = new Map<string, Watched>()

  /**
   * @param timeoutMs - Time without progress after which a partition is stalled.
   * @param intervalMs - Time between two looks.
   */
  constructor(timeoutMs: number, intervalMs: number) {
    this.#timeoutMs = timeoutMs
    this.#intervalMs = intervalMs
  }

  /** Changes the limits; what has added up stays. */
  configure(timeoutMs: number, intervalMs: number): void {
    this.#timeoutMs = timeoutMs
    this.#intervalMs = intervalMs
  }

  /** Takes a look at all partitions; those that are not named are forgotten. */
  look(partitions: readonly WatchedPartition[], nowMs: number): WatchVerdict {
    const elapsedMs = nowMs - (this.#lookedMs ?? nowMs)
    this.#lookedMs = nowMs
    const lateMs = Math.max(0, elapsedMs - this.#intervalMs)
    const countedMs = Math.min(elapsedMs, this.#intervalMs)
    const before = this.#partitions
    const stalled: string[] = []
    this.#partitions = new Map()
    for (const { key, mark, hasWork, explainedBy, allowanceMs } of partitions) {
      if (!hasWork) continue
      const known = before.get(key)
      const hasMoved = known === undefined || known.mark !== mark
      const stoodStillMs = hasMoved || explainedBy !== undefined ? 0 : known.stoodStillMs + countedMs
      this.#partitions.set(key, { mark, stoodStillMs, explainedBy })
      if (stoodStillMs >= this.#timeoutMs + allowanceMs) stalled.push(key)
    }
    return { stalled, lateMs: lateMs >= LATE_MIN_MS ? lateMs : 0 }
  }

  /** Longest time without progress of any partition, in milliseconds. */
  get stoodStillMaxMs(): number {
    let longest = 0
    for (const { stoodStillMs } of this.#partitions.values()) longest = Math.max(longest, stoodStillMs)
    return longest
  }

  /** How many partitions with work each explanation holds up. */
  get explanations(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    for (const { explainedBy } of this.#partitions.values()) {
      if (explainedBy !== undefined) counts.set(explainedBy, (counts.get(explainedBy) ?? 0) + 1)
    }
    return counts
  }

  /** Partitions with work, as of the last look. */
  describe(): WatchDescription[] {
    return [...this.#partitions].map(([partition, { stoodStillMs, explainedBy }]) => ({
      partition,
      stoodStillMs: Math.round(stoodStillMs),
      explainedBy: explainedBy ?? null
    }))
  }
}
