/**
 * Where the records of a window lie: columns of numbers beside the columns of
 * `KeyWindow`, row by row.
 *
 * Rows wait in the buffers they were fetched in. A buffer counts in full as long
 * as one row that waits lies in it; so a few rows that wait for long would hold
 * a lot of memory that nobody needs: `compact` gives them memory of their own.
 */

import type { Lease } from '../client/index.ts'
import type { RecordPlace } from './record-table.ts'

/** A buffer with rows that wait. */
interface Source {
  buffer: Buffer
  /** Lent memory that the buffer lies in; held as long as rows in it wait. */
  lease: Lease | undefined
  isLogAppendTime: boolean
  arrivedMs: number
  /** Rows in it that wait, and their bytes. */
  rows: number
  rowBytes: number
}

const ROWS_MIN = 256
const NOTHING = Buffer.alloc(0)
/** A buffer of which less than this part is of use is given up by `compact`. */
const COMPACT_RATIO = 4
/** Columns of places: key, value, headers and the end of the record. */
const WIDTH = 8

/** Where a record is read that is to be kept. */
export interface ArrivingRecord {
  readonly cursor: RecordPlace & { readonly recordStart: number }
  readonly lease: Lease | undefined
  readonly isLogAppendTime: boolean
  readonly arrivedMs: number
}

/** Places of rows, by their number. Numbers ascend; those in use lie within one window. */
export class WindowRecords {
  readonly #sources: Source[] = []
  readonly #freeSources: number[] = []
  #last = -1
  #bytes = 0
  #rowBytes = 0
  #mask = ROWS_MIN - 1
  #source = new Int32Array(ROWS_MIN)
  #timestampMs = new Float64Array(ROWS_MIN)
  #places = new Int32Array(ROWS_MIN * WIDTH)
  readonly #place: { -readonly [Name in keyof RecordPlace]: RecordPlace[Name] } = {
    recordBuffer: NOTHING,
    recordEnd: 0,
    keyStart: -1,
    keyEnd: -1,
    valueStart: -1,
    valueEnd: -1,
    headersStart: 0,
    headerCount: 0,
    timestampMs: 0
  }

  /** Bytes of the buffers that hold rows which wait. */
  get bytes(): number {
    return this.#bytes
  }

  /** Bytes of those rows. */
  get rowBytes(): number {
    return this.#rowBytes
  }

  /** Keeps a row. Rows from `first` on are in use. */
  add(seq: number, first: number, record: ArrivingRecord): void {
    const { cursor } = record
    if (seq - first > this.#mask) this.#grow(first, seq)
    const row = seq & this.#mask
    const id = this.#sourceOf(record)
    this.#count(this.#sources[id], cursor.recordEnd - cursor.recordStart)
    this.#source[row] = id
    this.#timestampMs[row] = cursor.timestampMs
    const places = this.#places
    const at = row * WIDTH
    places[at] = cursor.keyStart
    places[at + 1] = cursor.keyEnd
    places[at + 2] = cursor.valueStart
    places[at + 3] = cursor.valueEnd
    places[at + 4] = cursor.headersStart
    places[at + 5] = cursor.headerCount
    places[at + 6] = cursor.recordEnd
    places[at + 7] = cursor.recordStart
  }

  /** Bytes of the value of a row. */
  valueBytes(seq: number): number {
    const at = (seq & this.#mask) * WIDTH
    return (this.#places[at + 3] ?? 0) - (this.#places[at + 2] ?? 0)
  }

  /** When a row came, in milliseconds. */
  arrivedMs(seq: number): number {
    return this.#sources[this.#source[seq & this.#mask] ?? -1]?.arrivedMs ?? 0
  }

  /** Lent memory that a row lies in. */
  leaseOf(seq: number): Lease | undefined {
    return this.#sources[this.#source[seq & this.#mask] ?? -1]?.lease
  }

  /** Whether the broker has set the time of a row. */
  isLogAppendTime(seq: number): boolean {
    return this.#sources[this.#source[seq & this.#mask] ?? -1]?.isLogAppendTime ?? false
  }

  /** The place of a row; it is the same object each time. */
  placeOf(seq: number): RecordPlace {
    const row = seq & this.#mask
    const place = this.#place
    const places = this.#places
    const at = row * WIDTH
    place.recordBuffer = this.#sources[this.#source[row] ?? -1]?.buffer ?? NOTHING
    place.timestampMs = this.#timestampMs[row] ?? -1
    place.keyStart = places[at] ?? -1
    place.keyEnd = places[at + 1] ?? -1
    place.valueStart = places[at + 2] ?? -1
    place.valueEnd = places[at + 3] ?? -1
    place.headersStart = places[at + 4] ?? 0
    place.headerCount = places[at + 5] ?? 0
    place.recordEnd = places[at + 6] ?? 0
    return place
  }

  /** A row no longer waits. */
  release(seq: number): void {
    const row = seq & this.#mask
    const id = this.#source[row] ?? -1
    const source = this.#sources[id]
    if (source === undefined) return
    const at = row * WIDTH
    const bytes = (this.#places[at + 6] ?? 0) - (this.#places[at + 7] ?? 0)
    source.rows -= 1
    source.rowBytes -= bytes
    this.#rowBytes -= bytes
    if (source.rows > 0) return
    this.#bytes -= source.buffer.length
    source.buffer = NOTHING
    source.lease?.release()
    source.lease = undefined
    this.#freeSources.push(id)
    if (this.#last === id) this.#last = -1
  }

  /** Drops everything. */
  clear(): void {
    for (const { lease } of this.#sources) lease?.release()
    this.#sources.length = 0
    this.#freeSources.length = 0
    this.#last = -1
    this.#bytes = 0
    this.#rowBytes = 0
  }

  /**
   * Gives rows memory of their own that lie in buffers which hold little else of use.
   *
   * @param waiting - The rows that wait, in any order.
   */
  compact(waiting: Iterable<number>): void {
    const moved = new Map<number, { readonly to: number; readonly buffer: Buffer; at: number }>()
    for (const [id, source] of this.#sources.entries()) {
      if (source.rows === 0 || source.rowBytes * COMPACT_RATIO > source.buffer.length) continue
      const buffer = Buffer.allocUnsafeSlow(source.rowBytes)
      const own = { ...source, buffer, lease: undefined, rows: 0, rowBytes: 0 }
      moved.set(id, { to: this.#newSource(own), buffer, at: 0 })
    }
    for (const seq of waiting) {
      const row = seq & this.#mask
      const move = moved.get(this.#source[row] ?? -1)
      if (move === undefined) continue
      const at = row * WIDTH
      const start = this.#places[at + 7] ?? 0
      const end = this.#places[at + 6] ?? 0
      this.#sources[this.#source[row] ?? -1]?.buffer.copy(move.buffer, move.at, start, end)
      this.release(seq)
      this.#shift(row, move.at - start)
      this.#source[row] = move.to
      this.#count(this.#sources[move.to], end - start)
      move.at += end - start
    }
  }

  #count(source: Source | undefined, bytes: number): void {
    if (source === undefined) return
    source.rows += 1
    source.rowBytes += bytes
    this.#rowBytes += bytes
  }

  #shift(row: number, distance: number): void {
    const places = this.#places
    const at = row * WIDTH
    for (const column of [0, 1, 2, 3]) {
      const position = places[at + column] ?? -1
      if (position >= 0) places[at + column] = position + distance
    }
    for (const column of [4, 6, 7]) places[at + column] = (places[at + column] ?? 0) + distance
  }

  #sourceOf({ cursor, lease, isLogAppendTime, arrivedMs }: ArrivingRecord): number {
    const buffer = cursor.recordBuffer
    const last = this.#sources[this.#last]
    if (last !== undefined && last.buffer === buffer && last.isLogAppendTime === isLogAppendTime) return this.#last
    lease?.retain()
    this.#last = this.#newSource({ buffer, lease, isLogAppendTime, arrivedMs, rows: 0, rowBytes: 0 })
    return this.#last
  }

  #newSource(source: Source): number {
    const id = this.#freeSources.pop() ?? this.#sources.length
    this.#sources[id] = source
    this.#bytes += source.buffer.length
    return id
  }

  #grow(first: number, end: number): void {
    const oldMask = this.#mask
    let length = (oldMask + 1) * 2
    while (length <= end - first) length *= 2
    const source = new Int32Array(length)
    const timestampMs = new Float64Array(length)
    const places = new Int32Array(length * WIDTH)
    this.#mask = length - 1
    for (let seq = first; seq < end; seq += 1) {
      const from = seq & oldMask
      const to = seq & this.#mask
      source[to] = this.#source[from] ?? 0
      timestampMs[to] = this.#timestampMs[from] ?? 0
      places.set(this.#places.subarray(from * WIDTH, from * WIDTH + WIDTH), to * WIDTH)
    }
    this.#source = source
    this.#timestampMs = timestampMs
    this.#places = places
  }
}
