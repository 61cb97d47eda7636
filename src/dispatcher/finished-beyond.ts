/**
 * What a lane has finished beyond its committable offset.
 *
 * A lane that keeps the order of its partition has one batch under way. When a
 * target takes a part of it and the rest is tried again, records in the middle
 * are finished that the committed offset cannot tell of; so they go with it as
 * text (`finished-ranges.ts` of `core`), and the next owner does not send them again.
 *
 * Invariant: only offsets that have left are named. What does not fit into the
 * text is left out: that costs duplicates and loses nothing.
 */

import { decodeFinished, encodeFinished } from '../core/index.ts'
import type { RowSift } from './lane-surroundings.ts'
import type { RecordTable } from './record-table.ts'

/** A batch of which some rows have left. */
export interface PartlyFinished {
  readonly table: RecordTable
  readonly settlement: { isOpen(row: number): boolean; readonly settledCount: number }
}

/** Offsets of one partition that are finished beyond the committable one. */
export class FinishedBeyond {
  readonly #base: bigint
  /** First offsets and those behind the last ones, in pairs, ascending, counted from the base. */
  #ranges: number[]
  /** Rows that were dropped because an earlier owner had finished them. */
  skippedCount = 0

  /**
   * @param base - Where the assignment starts.
   * @param text - What was committed with that offset.
   */
  constructor(base: bigint, text: string) {
    this.#base = base
    this.#ranges = decodeFinished(base, text)
  }

  /** Takes over what has left of a batch behind its settled beginning. */
  note({ table, settlement }: PartlyFinished): void {
    const found: number[] = []
    for (let row = settlement.settledCount; row < table.count; row += 1) {
      if (settlement.isOpen(row)) continue
      const at = this.#at(table.offset(row))
      found.push(at, at + 1)
    }
    if (found.length > 0) this.#ranges = union(this.#ranges, found)
  }

  /** The text to be committed with an offset. */
  textAt(committable: bigint): string {
    if (this.#ranges.length === 0) return ''
    const at = this.#at(committable)
    const beyond: number[] = []
    for (let index = 0; index < this.#ranges.length; index += 2) {
      const end = (this.#ranges[index + 1] ?? 0) - at
      if (end > 0) beyond.push(Math.max(0, (this.#ranges[index] ?? 0) - at), end)
    }
    return encodeFinished(committable, beyond) ?? ''
  }

  /** Forgets what lies below an offset. */
  forget(committable: bigint): void {
    if (this.#ranges.length === 0) return
    const at = this.#at(committable)
    while (this.#ranges.length > 0 && (this.#ranges[1] ?? 0) <= at) this.#ranges.splice(0, 2)
  }

  /** Drops what is finished already, and asks `inner` about the rest; `inner` itself if nothing is. */
  sift(inner: RowSift | undefined): RowSift | undefined {
    this.skippedCount = 0
    if (this.#ranges.length === 0) return inner
    return {
      sift: (table, row) => {
        if (!this.#has(this.#at(table.offset(row)))) return inner?.sift(table, row) ?? 'deliver'
        this.skippedCount += 1
        return 'drop'
      }
    }
  }

  #at(offset: bigint): number {
    return Number(offset - this.#base)
  }

  #has(at: number): boolean {
    for (let index = 0; index < this.#ranges.length; index += 2) {
      if (at < (this.#ranges[index] ?? 0)) return false
      if (at < (this.#ranges[index + 1] ?? 0)) return true
    }
    return false
  }
}

/** Both lists of ranges as one: ascending, and apart. */
function union(left: readonly number[], right: readonly number[]): number[] {
  const pairs: [number, number][] = []
  for (const ranges of [left, right]) {
    for (let index = 0; index < ranges.length; index += 2) pairs.push([ranges[index] ?? 0, ranges[index + 1] ?? 0])
  }
  pairs.sort((a, b) => a[0] - b[0])
  const joined: number[] = []
  for (const [from, next] of pairs) {
    const last = joined.at(-1)
    if (last !== undefined && from <= last) joined[joined.length - 1] = Math.max(last, next)
    else joined.push(from, next)
  }
  return joined
}
