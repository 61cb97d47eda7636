/**
 * Leader epochs of a partition and the offset at which each began. A consumer
 * that read in an old epoch asks where that epoch ended, and so learns that
 * records it saw were lost with the machine.
 *
 * Pure. Invariant: epochs grow strictly, start offsets never fall.
 */

import type { LeaderEpochEntry } from './small-files.ts'

/** End of an epoch, as OffsetForLeaderEpoch answers it. */
export interface EpochEnd {
  /** Largest known epoch not above the one asked for, or -1. */
  readonly epoch: number
  /** First offset after that epoch, or -1. */
  readonly endOffset: bigint
}

/** The epochs of one partition. */
export class LeaderEpochs {
  #entries: LeaderEpochEntry[]

  constructor(entries: readonly LeaderEpochEntry[] = []) {
    this.#entries = []
    for (const entry of entries) this.assign(entry.epoch, entry.startOffset)
  }

  /** All entries, oldest first. */
  get entries(): readonly LeaderEpochEntry[] {
    return this.#entries
  }

  /** The latest epoch, or -1 if there is none. */
  get latest(): number {
    return this.#entries.at(-1)?.epoch ?? -1
  }

  /**
   * Says that `epoch` began at `startOffset`. An epoch that is not newer is
   * ignored; older epochs that wrote nothing up to there are dropped.
   *
   * @returns Whether anything changed.
   */
  assign(epoch: number, startOffset: bigint): boolean {
    if (epoch <= this.latest) return false
    this.#entries = this.#entries.filter(entry => entry.startOffset < startOffset)
    this.#entries.push({ epoch, startOffset })
    return true
  }

  /** Removes what began after the end of the log. Returns whether anything changed. */
  truncateAfter(endOffset: bigint): boolean {
    const count = this.#entries.length
    this.#entries = this.#entries.filter(entry => entry.startOffset <= endOffset)
    return this.#entries.length !== count
  }

  /** Removes epochs that ended at or before the log start; the one that holds it now starts there. */
  truncateUpTo(logStartOffset: bigint): boolean {
    const kept = this.#entries.findLastIndex(entry => entry.startOffset <= logStartOffset)
    const entry = this.#entries[kept]
    if (entry === undefined || (kept === 0 && entry.startOffset === logStartOffset)) return false
    this.#entries = [{ epoch: entry.epoch, startOffset: logStartOffset }, ...this.#entries.slice(kept + 1)]
    return true
  }

  /**
   * Where an epoch ended: the start of the next one, or the end of the log for the latest.
   * An epoch newer than any known is answered with -1, -1, an older unknown one with the one below it.
   */
  endOf(epoch: number, logEndOffset: bigint): EpochEnd {
    if (epoch < 0 || epoch > this.latest) return { epoch: -1, endOffset: -1n }
    if (epoch === this.latest) return { epoch, endOffset: logEndOffset }
    const next = this.#entries.findIndex(entry => entry.epoch > epoch)
    const following = this.#entries[next]
    if (following === undefined) return { epoch: -1, endOffset: -1n }
    // Kafka answers the requested epoch itself when it is older than all it knows.
    return { epoch: this.#entries[next - 1]?.epoch ?? epoch, endOffset: following.startOffset }
  }
}
