/**
 * Offset tracker: which offset one partition may commit.
 *
 * Work is started in offset order as ranges `[from, next)` and may finish in
 * any order: one range per batch where batches of a partition follow one
 * another, one range per record where records of different keys overtake each
 * other. Kafka stores one number per partition, so the tracker yields the start
 * of the lowest range that is not finished. Pure: no I/O, no clock.
 *
 * Invariants: the committable offset never moves back; the window never holds
 * more than `rangesMax` ranges (a full window stops new work). Gaps between
 * offsets (compaction, control batches) lie inside ranges: a range begins where
 * the one before it ended, whatever the first record in it is.
 */

import { invariant, PipelineError } from '../core/index.ts'

interface Range {
  from: bigint
  readonly next: bigint
  isFinished: boolean
}

/** Offsets of one partition during one assignment. */
export class OffsetTracker {
  readonly #rangesMax: number
  #ranges: Range[] = []
  #head = 0
  #committable: bigint
  #started: bigint

  /**
   * @param offset - Where this assignment starts: the next record to read.
   * @param rangesMax - Most ranges between the lowest unfinished one and the newest. At least 1.
   */
  constructor(offset: bigint, rangesMax: number) {
    invariant(rangesMax >= 1, 'the window of an offset tracker holds at least one range')
    this.#committable = offset
    this.#started = offset
    this.#rangesMax = rangesMax
  }

  /** Everything below is finished: the offset to commit. */
  get committable(): bigint {
    return this.#committable
  }

  /** Where the next range begins. */
  get started(): bigint {
    return this.#started
  }

  /** Ranges in the window, finished ones behind an unfinished one included. */
  get windowCount(): number {
    return this.#ranges.length - this.#head
  }

  /** Whether no further range may be started. */
  get isFull(): boolean {
    return this.windowCount >= this.#rangesMax
  }

  /**
   * Starts the range from where the last one ended up to `next`.
   *
   * @returns The first offset of the range: its name in `finish` and `advance`.
   */
  start(next: bigint): bigint {
    invariant(!this.isFull, `at most ${this.#rangesMax} ranges may be in the window`)
    invariant(next > this.#started, `a range cannot end at ${next}: it begins at ${this.#started}`)
    const from = this.#started
    this.#ranges.push({ from, next, isFinished: false })
    this.#started = next
    return from
  }

  /**
   * Marks a range as finished: each record in it was delivered, dead-lettered or skipped.
   *
   * @returns The new committable offset, or `undefined` if it did not move.
   * @throws PipelineError `ERR_DISPATCHER_OFFSET_NOT_IN_FLIGHT` if no unfinished range begins there. Not retriable.
   */
  finish(from: bigint): bigint | undefined {
    this.#find(from).isFinished = true
    return this.#moved()
  }

  /**
   * Marks the beginning of a range as finished; the rest now begins at `from`. For a batch that is
   * given up half way: what was settled in front need not be delivered again.
   *
   * @returns The new committable offset, or `undefined` if it did not move.
   * @throws PipelineError `ERR_DISPATCHER_OFFSET_NOT_IN_FLIGHT` if no unfinished range begins there. Not retriable.
   */
  advance(range: bigint, from: bigint): bigint | undefined {
    const found = this.#find(range)
    invariant(from >= found.from && from < found.next, `${from} is outside of the range ${found.from} to ${found.next}`)
    found.from = from
    return this.#moved()
  }

  #find(from: bigint): Range {
    for (let index = this.#head; index < this.#ranges.length; index += 1) {
      const range = this.#ranges[index]
      if (range !== undefined && range.from === from && !range.isFinished) return range
    }
    throw new PipelineError(
      'ERR_DISPATCHER_OFFSET_NOT_IN_FLIGHT',
      `no unfinished range begins at offset ${from}: it was never started or has already finished`,
      { fields: { offset: from, committable: this.#committable, started: this.#started } }
    )
  }

  #moved(): bigint | undefined {
    const before = this.#committable
    let range = this.#ranges[this.#head]
    while (range?.isFinished === true) {
      this.#committable = range.next
      this.#head += 1
      range = this.#ranges[this.#head]
    }
    if (range !== undefined) this.#committable = range.from
    if (this.#head > 32 && this.#head * 2 > this.#ranges.length) {
      this.#ranges = this.#ranges.slice(this.#head)
      this.#head = 0
    }
    invariant(this.#committable >= before, 'the committable offset moved back')
    return this.#committable === before ? undefined : this.#committable
  }
}
