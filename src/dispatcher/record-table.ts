/**
 * The records of one batch, as columns of numbers.
 *
 * A row says where in which buffer a record's key, value and headers lie; no
 * object exists per record. The table keeps the fetched buffers alive until the
 * batch is settled, because retries, bisection and dead letters read from them.
 * Offsets are held as distances from the first one: int64 does not fit a number.
 */

import type { AppendHeader, Lease } from '../client/index.ts'
import type { RecordCursor } from '../protocol/index.ts'
import { type ContentPlace, layOut, type RecordContent } from './record-place.ts'

/** What the table reads from a cursor that stands on a record. */
export type RecordPlace = Pick<
  RecordCursor,
  | 'recordBuffer'
  | 'recordEnd'
  | 'keyStart'
  | 'keyEnd'
  | 'valueStart'
  | 'valueEnd'
  | 'headersStart'
  | 'headerCount'
  | 'timestampMs'
>

/** Columns that the kernel has written, from index 0 on. */
export interface KernelRows {
  readonly rowCount: number
  readonly deltas: Float64Array
  readonly times: Float64Array
  /** Start and end of key and value, start and count of the headers. */
  readonly places: Int32Array
}

/** Where the headers of a row lie. */
export interface HeaderSpan {
  buffer: Buffer
  start: number
  count: number
}

/** Records of one partition in offset order. */
export class RecordTable {
  #count = 0
  #baseOffset = 0n
  #baseNumber = 0
  #isBaseSafe = true
  readonly #sources: Buffer[] = []
  readonly #leases: Lease[] = []
  #isLogAppendTime: boolean[] = []
  #source: Int32Array
  #offsetDelta: Float64Array
  #timestampMs: Float64Array
  #places: Int32Array
  readonly #headerCursor = new HeaderCursor()

  /** @param capacity - Rows to make room for at first; it grows. Default 512. */
  constructor(capacity = 512) {
    this.#source = new Int32Array(capacity)
    this.#offsetDelta = new Float64Array(capacity)
    this.#timestampMs = new Float64Array(capacity)
    this.#places = new Int32Array(capacity * 6)
  }

  /** How many rows there are. */
  get count(): number {
    return this.#count
  }

  /** Keeps lent memory that rows are about to lie in, until the table is emptied. */
  hold(lease: Lease): void {
    if (this.#leases.at(-1) === lease) return
    lease.retain()
    this.#leases.push(lease)
  }

  /** Leaves lent memory to those who may still read it, for good. */
  abandon(): void {
    this.#leases.length = 0
  }

  /** Empties the table; distances of offsets count from `baseOffset` on. */
  reset(baseOffset: bigint): void {
    for (const lease of this.#leases) lease.release()
    this.#leases.length = 0
    this.#count = 0
    this.#sources.length = 0
    this.#isLogAppendTime.length = 0
    this.#baseOffset = baseOffset
    this.#baseNumber = Number(baseOffset)
    // Room above the base for any distance that one batch can have.
    this.#isBaseSafe = baseOffset < 9_007_194_959_773_696n
  }

  /** Offset that distances count from. */
  get baseOffset(): bigint {
    return this.#baseOffset
  }

  /**
   * Adds the record that the cursor stands on.
   *
   * @returns `false` if its headers do not fit the record: the row then has none, and must not be delivered.
   */
  add(place: RecordPlace, offsetDelta: number, isLogAppendTime: boolean): boolean {
    const row = this.#count
    const isSound = place.headerCount === 0 || this.#areHeadersSound(place)
    this.#place(place, isLogAppendTime)
    if (!isSound) this.#places[row * 6 + 5] = 0
    this.#offsetDelta[row] = offsetDelta
    this.#timestampMs[row] = place.timestampMs
    return isSound
  }

  /** Adds a row as far as its bytes go. */
  #place(place: ContentPlace, isLogAppendTime: boolean): void {
    const row = this.#count
    if (row === this.#source.length) this.#grow()
    this.#source[row] = this.#openSource(place.recordBuffer, isLogAppendTime)
    const places = this.#places
    const at = row * 6
    places[at] = place.keyStart
    places[at + 1] = place.keyEnd
    places[at + 2] = place.valueStart
    places[at + 3] = place.valueEnd
    places[at + 4] = place.headersStart
    places[at + 5] = place.headerCount
    this.#count = row + 1
  }

  /** The cursor leaves headers unread; walking them unchecked would run into the records behind. */
  #areHeadersSound(place: RecordPlace): boolean {
    const cursor = this.#headerCursor
    cursor.reset(place.recordBuffer, place.headersStart, place.headerCount)
    while (cursor.next()) {
      if (cursor.keyEnd < cursor.keyStart || cursor.position > place.recordEnd) return false
    }
    return cursor.position === place.recordEnd
  }

  /** Adds rows that the kernel has found, their places as it wrote them. */
  addRun(source: Buffer, isLogAppendTime: boolean, run: KernelRows): void {
    const row = this.#count
    const { rowCount } = run
    while (row + rowCount > this.#source.length) this.#grow()
    this.#source.fill(this.#openSource(source, isLogAppendTime), row, row + rowCount)
    this.#offsetDelta.set(run.deltas.subarray(0, rowCount), row)
    this.#timestampMs.set(run.times.subarray(0, rowCount), row)
    this.#places.set(run.places.subarray(0, rowCount * 6), row * 6)
    this.#count = row + rowCount
  }

  /** Index of the buffer that the next rows lie in. */
  #openSource(buffer: Buffer, isLogAppendTime: boolean): number {
    const last = this.#sources.length - 1
    if (this.#sources[last] === buffer && this.#isLogAppendTime[last] === isLogAppendTime) return last
    this.#sources.push(buffer)
    this.#isLogAppendTime.push(isLogAppendTime)
    return last + 1
  }

  /** Takes the last row back. */
  removeLast(): void {
    this.#count -= 1
  }

  /** Adds a row of another table, its offset and timestamp included. Both count offsets from the same base. */
  addRowOf(other: RecordTable, row: number): void {
    const places = other.#places
    const at = row * 6
    this.#place(
      {
        recordBuffer: other.bufferOf(row),
        keyStart: places[at] ?? -1,
        keyEnd: places[at + 1] ?? -1,
        valueStart: places[at + 2] ?? -1,
        valueEnd: places[at + 3] ?? -1,
        headersStart: places[at + 4] ?? 0,
        headerCount: places[at + 5] ?? 0
      },
      other.isLogAppendTime(row)
    )
    this.#offsetDelta[this.#count - 1] = other.#offsetDelta[row] ?? 0
    this.#timestampMs[this.#count - 1] = other.timestampMs(row)
  }

  /** Gives the last row other contents; offset and timestamp stay. */
  replaceLast(content: RecordContent): void {
    const isLogAppendTime = this.isLogAppendTime(this.#count - 1)
    // Before the row goes: it stays if this throws.
    const place = layOut(content)
    this.#count -= 1
    this.#place(place, isLogAppendTime)
  }

  /** Buffer that the places of a row refer to. */
  bufferOf(row: number): Buffer {
    const buffer = this.#sources[this.#source[row] ?? -1]
    if (buffer === undefined || row >= this.#count) throw new RangeError(`no row ${row}`)
    return buffer
  }

  /** Start of the key in the row's buffer; -1 = null. */
  keyStart(row: number): number {
    return this.#places[row * 6] ?? -1
  }

  /** End of the key. */
  keyEnd(row: number): number {
    return this.#places[row * 6 + 1] ?? -1
  }

  /** Start of the value in the row's buffer; -1 = null. */
  valueStart(row: number): number {
    return this.#places[row * 6 + 2] ?? -1
  }

  /** End of the value. */
  valueEnd(row: number): number {
    return this.#places[row * 6 + 3] ?? -1
  }

  /** Says where the headers of a row lie; `false`, and nothing said, if it has none. */
  readHeaderSpan(row: number, span: HeaderSpan): boolean {
    const count = this.#places[row * 6 + 5] ?? 0
    if (count === 0) return false
    span.buffer = this.bufferOf(row)
    span.start = this.#places[row * 6 + 4] ?? 0
    span.count = count
    return true
  }

  /** Puts a cursor on the headers of a row. */
  openHeaders(row: number, cursor: HeaderCursor): void {
    cursor.reset(this.bufferOf(row), this.#places[row * 6 + 4] ?? 0, this.#places[row * 6 + 5] ?? 0)
  }

  /** Timestamp of a row, in milliseconds. */
  timestampMs(row: number): number {
    return this.#timestampMs[row] ?? -1
  }

  /** Whether the timestamp is the broker's. */
  isLogAppendTime(row: number): boolean {
    return this.#isLogAppendTime[this.#source[row] ?? -1] ?? false
  }

  /** Offset of a row. */
  offset(row: number): bigint {
    return this.#baseOffset + BigInt(this.#offsetDelta[row] ?? 0)
  }

  /** Offset of a row as a number, or `undefined` if a number cannot hold it. */
  offsetNumber(row: number): number | undefined {
    return this.#isBaseSafe ? this.#baseNumber + (this.#offsetDelta[row] ?? 0) : undefined
  }

  /** Base offset as a number, or `undefined` if numbers cannot hold it and the rows above it. */
  get baseOffsetNumber(): number | undefined {
    return this.#isBaseSafe ? this.#baseNumber : undefined
  }

  /** Row with this offset, or -1. Binary search: offsets only grow. */
  rowOf(offset: bigint): number {
    const delta = Number(offset - this.#baseOffset)
    let low = 0
    let high = this.#count - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const found = this.#offsetDelta[middle] ?? 0
      if (found === delta) return middle
      if (found < delta) low = middle + 1
      else high = middle - 1
    }
    return -1
  }

  /** Key of a row, as a view. */
  key(row: number): Buffer | null {
    const start = this.keyStart(row)
    return start < 0 ? null : this.bufferOf(row).subarray(start, this.keyEnd(row))
  }

  /** Value of a row, as a view. */
  value(row: number): Buffer | null {
    const start = this.valueStart(row)
    return start < 0 ? null : this.bufferOf(row).subarray(start, this.valueEnd(row))
  }

  /** Headers of a row, in order, repeated keys included. */
  headers(row: number): AppendHeader[] {
    const cursor = new HeaderCursor()
    const headers: AppendHeader[] = []
    const buffer = this.bufferOf(row)
    this.openHeaders(row, cursor)
    while (cursor.next()) {
      const value = cursor.valueStart < 0 ? null : buffer.subarray(cursor.valueStart, cursor.valueEnd)
      headers.push({ key: buffer.toString('utf8', cursor.keyStart, cursor.keyEnd), value })
    }
    return headers
  }

  #grow(): void {
    const capacity = Math.max(16, this.#source.length * 2)
    const source = new Int32Array(capacity)
    source.set(this.#source)
    const offsetDelta = new Float64Array(capacity)
    offsetDelta.set(this.#offsetDelta)
    const timestampMs = new Float64Array(capacity)
    timestampMs.set(this.#timestampMs)
    const places = new Int32Array(capacity * 6)
    places.set(this.#places)
    this.#source = source
    this.#offsetDelta = offsetDelta
    this.#timestampMs = timestampMs
    this.#places = places
  }
}

/**
 * Walks the headers of one record in place.
 *
 * ```
 * Header => keyLength: varint, key: bytes, valueLength: varint (-1 = null), value: bytes
 * ```
 * Source: Kafka documentation, "Record Header"; varints are zigzag.
 */
export class HeaderCursor {
  #left = 0
  /** Index of the next byte that is read. */
  position = 0
  /** Buffer that the places refer to. */
  buffer: Buffer = Buffer.alloc(0)
  /** Start of the key of the current header. */
  keyStart = 0
  /** End of the key of the current header. */
  keyEnd = 0
  /** Start of the value of the current header; -1 = null. */
  valueStart = 0
  /** End of the value of the current header. */
  valueEnd = 0

  /** Starts on the headers of another record. */
  reset(buffer: Buffer, start: number, headerCount: number): void {
    this.buffer = buffer
    this.position = start
    this.#left = headerCount
  }

  /** Moves to the next header; `false` after the last. */
  next(): boolean {
    if (this.#left === 0) return false
    this.#left -= 1
    const keyLength = this.#varint()
    this.keyStart = this.position
    this.keyEnd = this.position + keyLength
    this.position = this.keyEnd
    const valueLength = this.#varint()
    this.valueStart = valueLength < 0 ? -1 : this.position
    this.valueEnd = valueLength < 0 ? -1 : this.position + valueLength
    this.position += Math.max(0, valueLength)
    return true
  }

  #varint(): number {
    let word = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer[this.position] ?? 0
      this.position += 1
      word |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    return (word >>> 1) ^ -(word & 1)
  }
}
