/**
 * Key window: which records of one partition may be sent next, and what may be
 * committed.
 *
 * The rows of the window are the records between the lowest unfinished one and
 * the newest that was looked at, in offset order. A row waits, is in flight, or
 * is finished. `walk` goes over the rows that wait and yields those that may go
 * into the next batch: no record of the key is in another batch under way, and
 * no earlier one stays behind. Rows without a key are free.
 *
 * Kafka stores one offset per partition: the lowest unfinished one. What is
 * finished beyond goes with it as ranges (`finishedRanges`), and a window that
 * begins with such ranges passes over the records in them.
 *
 * Invariants: never two batches under way with the same key; records of a key
 * are taken in offset order; the committable offset never moves back; whatever
 * of the window finishes, and in whatever order, the ranges always fit into
 * `bodyBytesMax`, because `hasRoom` refuses the row that could break that. The
 * window never stands still by that: a row in an empty window always has room,
 * and rows in the window need no further room.
 *
 * Pure: no I/O, no clock, no bytes of records. Offsets are numbers, counted from
 * where the assignment began. Columns of numbers: no object per record.
 */

import { BODY_BYTES_MAX, invariant, type OffsetRanges, varintSize } from '../core/index.ts'
import { KeyTable } from './key-table.ts'

/** A row without a key. */
const NO_KEY = -1

const WAITING = 0
const IN_FLIGHT = 1
const FINISHED = 2

const ROWS_MIN = 256
/** Room in a body for what is not counted by row: its kind, the end of the last run, the gap before what is carried. */
const BODY_MARGIN = 24

/** How a window begins. */
export interface KeyWindowOptions {
  /** Ranges that were finished before, counted from the beginning. Default none. */
  readonly carried?: OffsetRanges
  /** Most bytes of the ranges in either encoding. Default: what fits into a commit's metadata. */
  readonly bodyBytesMax?: number
}

/** Rows of one partition during one assignment. */
export class KeyWindow {
  readonly #bodyBytesMax: number
  readonly #keyTable = new KeyTable()
  #mask = ROWS_MIN - 1
  #deltas = new Float64Array(ROWS_MIN)
  #keys = new Int32Array(ROWS_MIN)
  #states = new Uint8Array(ROWS_MIN)
  /** Lowest unfinished row, lowest that may wait, behind the last finished one, behind the newest. */
  #head = 0
  #firstWaiting = 0
  #finishedEnd = 0
  #tail = 0
  #waitingCount = 0
  #inFlightCount = 0
  /** Everything below was looked at. */
  #passed = 0
  /** Bytes that the distances between neighbours take as varints. */
  #gapBytes = 0
  /** By key: rows in flight, and the walks in which they were taken, one was left behind, one was seen. */
  #keyInFlight = new Uint32Array(this.#keyTable.capacity)
  #keyTaken = new Float64Array(this.#keyTable.capacity)
  #keyLeft = new Float64Array(this.#keyTable.capacity)
  #keySeen = new Float64Array(this.#keyTable.capacity)
  #walk = 0
  #walkSeq = 0
  readonly #carried: OffsetRanges
  #carriedAt = 0
  #carriedBytes = 0

  constructor({ carried = [], bodyBytesMax = BODY_BYTES_MAX }: KeyWindowOptions = {}) {
    this.#bodyBytesMax = bodyBytesMax
    this.#carried = carried
    let at = 0
    for (const offset of carried) {
      this.#carriedBytes += varintSize(offset - at)
      at = offset
    }
  }

  /** First row in use: the lowest unfinished one. */
  get head(): number {
    return this.#head
  }

  /** The number of the next row. */
  get tail(): number {
    return this.#tail
  }

  /** Rows that wait. */
  get waitingCount(): number {
    return this.#waitingCount
  }

  /** Rows in flight. */
  get inFlightCount(): number {
    return this.#inFlightCount
  }

  /** Different keys of the rows that are not finished. */
  get keyCount(): number {
    return this.#keyTable.size
  }

  /** Offset that may be committed: everything below is finished. */
  get committable(): number {
    return this.#head < this.#tail ? this.#deltaOf(this.#head) : this.#passed
  }

  /** Everything below was looked at. */
  get passed(): number {
    return this.#passed
  }

  /** Offset of a row. */
  deltaOf(seq: number): number {
    invariant(seq >= this.#head && seq < this.#tail, `row ${seq} is not in the window`)
    return this.#deltaOf(seq)
  }

  /** Whether the window may take a record at this offset, whatever finishes of what is in it. */
  hasRoom(delta: number): boolean {
    if (this.#head === this.#tail) return true
    const end = Math.max(delta + 1, this.#carriedAt < this.#carried.length ? (this.#carried.at(-1) ?? 0) : 0)
    if (1 + Math.ceil((end - this.committable) / 8) <= this.#bodyBytesMax) return true
    const gap = varintSize(delta - this.#deltaOf(this.#tail - 1))
    return this.#gapBytes + gap + this.#carriedBytes + BODY_MARGIN <= this.#bodyBytesMax
  }

  /**
   * Adds the next record.
   *
   * @param hash - Of its key, 32 bits; `undefined` if it is free.
   * @returns The number of its row; -1 if it was finished before and needs nothing.
   */
  add(delta: number, hash: number | undefined): number {
    invariant(delta >= this.#passed, `offset ${delta} comes after ${this.#passed} was passed`)
    this.#passed = delta + 1
    const isFinished = this.#isCarried(delta)
    if (isFinished && this.#head === this.#tail) return -1
    const seq = this.#tail
    if (seq - this.#head > this.#mask) this.#grow()
    if (seq > this.#head) this.#gapBytes += varintSize(delta - this.#deltaOf(seq - 1))
    const row = seq & this.#mask
    this.#deltas[row] = delta
    this.#tail = seq + 1
    if (isFinished) {
      this.#keys[row] = NO_KEY
      this.#states[row] = FINISHED
      this.#finishedEnd = this.#tail
      return -1
    }
    this.#keys[row] = hash === undefined ? NO_KEY : this.#key(hash)
    this.#states[row] = WAITING
    this.#waitingCount += 1
    return seq
  }

  /** No record comes any more below an offset. */
  pass(delta: number): void {
    if (delta <= this.#passed) return
    this.#passed = delta
    this.#isCarried(delta)
  }

  /** Begins a walk over the rows that wait. There is one walk at a time. */
  walk(): void {
    this.#walk += 1
    while (this.#firstWaiting < this.#tail && this.#states[this.#firstWaiting & this.#mask] !== WAITING) {
      this.#firstWaiting += 1
    }
    this.#walkSeq = this.#firstWaiting
  }

  /**
   * The next row that may be taken; -1 if there is none so far: rows that are added later are looked at by a further
   * call. A walk that takes rows takes, finishes or leaves each that it is given, or ends with it.
   */
  next(): number {
    const states = this.#states
    const keys = this.#keys
    const mask = this.#mask
    // A row that finishes during the walk may have moved the head beyond.
    for (let seq = Math.max(this.#walkSeq, this.#head); seq < this.#tail; seq += 1) {
      const row = seq & mask
      if (states[row] !== WAITING) continue
      const key = keys[row] ?? NO_KEY
      if (key !== NO_KEY && !this.#isFree(key)) continue
      this.#walkSeq = seq + 1
      return seq
    }
    this.#walkSeq = this.#tail
    return -1
  }

  /** Whether the key of a row is new to this walk. A row without a key has none that could be. */
  see(seq: number): boolean {
    const key = this.#keys[seq & this.#mask] ?? NO_KEY
    if (key === NO_KEY || this.#keySeen[key] === this.#walk) return false
    this.#keySeen[key] = this.#walk
    return true
  }

  /** A row stays behind: so does every later one of its key, for this walk. */
  leave(seq: number): void {
    const key = this.#keys[seq & this.#mask] ?? NO_KEY
    if (key !== NO_KEY) this.#keyLeft[key] = this.#walk
  }

  /** A row goes into the batch of this walk. */
  take(seq: number): void {
    const row = seq & this.#mask
    invariant(this.#states[row] === WAITING && seq < this.#tail, `row ${seq} does not wait`)
    this.#states[row] = IN_FLIGHT
    this.#waitingCount -= 1
    this.#inFlightCount += 1
    const key = this.#keys[row] ?? NO_KEY
    if (key === NO_KEY) return
    this.#keyInFlight[key] = (this.#keyInFlight[key] ?? 0) + 1
    this.#keyTaken[key] = this.#walk
  }

  /** A row is finished: delivered, put aside, or left out. */
  finish(seq: number): void {
    const row = seq & this.#mask
    const state = this.#states[row]
    invariant(seq >= this.#head && seq < this.#tail && state !== FINISHED, `row ${seq} finishes twice`)
    const key = this.#keys[row] ?? NO_KEY
    if (state === IN_FLIGHT) {
      this.#inFlightCount -= 1
      if (key !== NO_KEY) this.#keyInFlight[key] = (this.#keyInFlight[key] ?? 0) - 1
    } else {
      this.#waitingCount -= 1
    }
    if (key !== NO_KEY) this.#keyTable.release(key)
    this.#states[row] = FINISHED
    if (seq >= this.#finishedEnd) this.#finishedEnd = seq + 1
    if (seq === this.#head) this.#moveHead()
  }

  /** The rows that wait, in order. */
  *waiting(): Generator<number> {
    for (let seq = this.#firstWaiting; seq < this.#tail; seq += 1) {
      if (this.#states[seq & this.#mask] === WAITING) yield seq
    }
  }

  /** What is finished beyond the committable offset, counted from it. */
  finishedRanges(): number[] {
    const from = this.committable
    const ranges: number[] = []
    let isOpen = false
    for (let seq = this.#head; seq < this.#finishedEnd; seq += 1) {
      const isFinished = this.#states[seq & this.#mask] === FINISHED
      if (isFinished === isOpen) continue
      ranges.push(this.#deltaOf(seq) - from)
      isOpen = isFinished
    }
    if (isOpen) {
      // Not up to what was passed: that may lie far beyond the last row, and the ranges must fit.
      const isLast = this.#finishedEnd === this.#tail
      ranges.push((isLast ? this.#deltaOf(this.#tail - 1) + 1 : this.#deltaOf(this.#finishedEnd)) - from)
    }
    this.#appendCarried(ranges, from)
    return ranges
  }

  #appendCarried(ranges: number[], from: number): void {
    for (let at = this.#carriedAt; at + 1 < this.#carried.length; at += 2) {
      const start = Math.max(this.#carried[at] ?? 0, this.#passed) - from
      const end = (this.#carried[at + 1] ?? 0) - from
      if (end <= start) continue
      if (ranges.length > 0 && ranges.at(-1) === start) ranges.pop()
      else ranges.push(start)
      ranges.push(end)
    }
  }

  #deltaOf(seq: number): number {
    return this.#deltas[seq & this.#mask] ?? 0
  }

  #isFree(key: number): boolean {
    if (this.#keyLeft[key] === this.#walk) return false
    return this.#keyInFlight[key] === 0 || this.#keyTaken[key] === this.#walk
  }

  #key(hash: number): number {
    const key = this.#keyTable.acquire(hash)
    if (key >= this.#keyInFlight.length) {
      const { capacity } = this.#keyTable
      const inFlight = new Uint32Array(capacity)
      inFlight.set(this.#keyInFlight)
      this.#keyInFlight = inFlight
      this.#keyTaken = grown(this.#keyTaken, capacity)
      this.#keyLeft = grown(this.#keyLeft, capacity)
      this.#keySeen = grown(this.#keySeen, capacity)
    }
    return key
  }

  /** Whether an offset was finished before this assignment. Offsets come in ascending order. */
  #isCarried(delta: number): boolean {
    const carried = this.#carried
    while (this.#carriedAt < carried.length && (carried[this.#carriedAt + 1] ?? 0) <= delta) {
      const start = carried[this.#carriedAt] ?? 0
      this.#carriedBytes -= varintSize(start - (carried[this.#carriedAt - 1] ?? 0))
      this.#carriedBytes -= varintSize((carried[this.#carriedAt + 1] ?? 0) - start)
      this.#carriedAt += 2
    }
    return this.#carriedAt < carried.length && (carried[this.#carriedAt] ?? 0) <= delta
  }

  #moveHead(): void {
    while (this.#head < this.#tail && this.#states[this.#head & this.#mask] === FINISHED) {
      const delta = this.#deltaOf(this.#head)
      this.#head += 1
      if (this.#head < this.#tail) this.#gapBytes -= varintSize(this.#deltaOf(this.#head) - delta)
    }
    this.#firstWaiting = Math.max(this.#firstWaiting, this.#head)
    this.#finishedEnd = Math.max(this.#finishedEnd, this.#head)
  }

  #grow(): void {
    const oldMask = this.#mask
    const length = (oldMask + 1) * 2
    const deltas = new Float64Array(length)
    const keys = new Int32Array(length)
    const states = new Uint8Array(length)
    this.#mask = length - 1
    for (let seq = this.#head; seq < this.#tail; seq += 1) {
      const from = seq & oldMask
      const to = seq & this.#mask
      deltas[to] = this.#deltas[from] ?? 0
      keys[to] = this.#keys[from] ?? NO_KEY
      states[to] = this.#states[from] ?? FINISHED
    }
    this.#deltas = deltas
    this.#keys = keys
    this.#states = states
  }
}

function grown(column: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
  const more = new Float64Array(length)
  more.set(column)
  return more
}
