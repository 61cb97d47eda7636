/**
 * Merges partitions by time: the oldest record of all comes first, among equals that of the first partition.
 *
 * Each partition is a lane with one chunk at most. Nothing is emitted while a
 * lane is empty and not closed, since its next record might be the oldest. Of
 * one partition records always come by offset, so a record that is older than
 * its predecessor comes behind it nevertheless.
 */

import { partitionKeyOf } from '../../client/index.ts'
import { RecordCursor } from '../../protocol/index.ts'
import type { RecordRange } from './record-range.ts'

/** Records of one partition that follow each other. */
export interface MergedChunk {
  readonly records: Buffer
  readonly nextOffset: bigint
}

/** What a merge is made from. */
export interface TimeMergeOptions {
  readonly ranges: readonly RecordRange[]
  /** Moves a cursor to its next record; `false` if there is none. */
  readonly walk: (cursor: RecordCursor, range: RecordRange) => boolean
  /** Takes a record; `false` holds the merge back until the next `run`. */
  readonly emit: (cursor: RecordCursor, range: RecordRange) => boolean
  /** A lane has no records any more, and everything below the offset lies behind: gives it a chunk, or closes it. */
  readonly onEmptied: (range: RecordRange, nextOffset: bigint) => void
}

interface Lane {
  readonly index: number
  readonly range: RecordRange
  readonly cursor: RecordCursor
  chunk: MergedChunk | undefined
  timestampMs: number
}

/** A merge of lanes. */
export class TimeMerge {
  readonly #options: TimeMergeOptions
  readonly #lanes = new Map<string, Lane>()
  /** Lanes that stand on a record, as a heap: the oldest first. */
  readonly #heap: Lane[] = []
  #emptyCount: number

  constructor(options: TimeMergeOptions) {
    this.#options = options
    for (const [index, range] of options.ranges.entries()) {
      const lane = { index, range, cursor: new RecordCursor(), chunk: undefined, timestampMs: 0 }
      this.#lanes.set(partitionKeyOf(range), lane)
    }
    this.#emptyCount = this.#lanes.size
  }

  /** Gives an empty lane its next chunk. */
  add(range: RecordRange, chunk: MergedChunk): void {
    const lane = this.#lanes.get(partitionKeyOf(range))
    if (lane === undefined) return
    lane.chunk = chunk
    lane.cursor.reset(chunk.records)
    this.#emptyCount -= 1
    this.#advance(lane)
  }

  /** A lane has ended. */
  close(range: RecordRange): void {
    const lane = this.#lanes.get(partitionKeyOf(range))
    if (lane === undefined) return
    this.#lanes.delete(partitionKeyOf(range))
    if (lane.chunk === undefined) this.#emptyCount -= 1
  }

  /** Whether a lane has a chunk. */
  isFilled(range: RecordRange): boolean {
    return this.#lanes.get(partitionKeyOf(range))?.chunk !== undefined
  }

  /** Emits what can be emitted. */
  run(): void {
    for (let lane = this.#heap[0]; lane !== undefined && this.#emptyCount === 0; lane = this.#heap[0]) {
      const goesOn = this.#options.emit(lane.cursor, lane.range)
      this.#pop()
      this.#advance(lane)
      if (!goesOn) return
    }
  }

  #advance(lane: Lane): void {
    const { chunk } = lane
    if (chunk === undefined) return
    if (this.#options.walk(lane.cursor, lane.range)) {
      lane.timestampMs = lane.cursor.timestampMs
      this.#push(lane)
      return
    }
    lane.chunk = undefined
    this.#emptyCount += 1
    this.#options.onEmptied(lane.range, chunk.nextOffset)
  }

  #push(lane: Lane): void {
    const heap = this.#heap
    let at = heap.push(lane) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      const other = heap[above]
      if (other === undefined || !isBefore(lane, other)) break
      heap[at] = other
      at = above
    }
    heap[at] = lane
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]]
      if (left === undefined) break
      const isRight = right !== undefined && isBefore(right, left)
      const next = isRight ? right : left
      if (!isBefore(next, last)) break
      heap[at] = next
      at = 2 * at + (isRight ? 2 : 1)
    }
    heap[at] = last
  }
}

function isBefore(left: Lane, right: Lane): boolean {
  return left.timestampMs === right.timestampMs ? left.index < right.index : left.timestampMs < right.timestampMs
}
