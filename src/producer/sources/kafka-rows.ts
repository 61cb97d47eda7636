/**
 * Records of another topic as events: the batches of a fetch are walked in
 * place, and an event is a span of them. Keys, headers and times that the
 * records keep are found by row when they are asked for; there is no object per
 * record.
 *
 * Records that are compressed lie in memory of their own, one chunk a batch;
 * all others of a fetch are one chunk, up to `ROWS_MAX` events.
 */

import type { AppendHeader, FetchedChunk } from '../../client/index.ts'
import { ByteReader, RecordCursor } from '../../protocol/index.ts'
import type { EventChunk } from '../event-chunk.ts'
import type { EventProblem } from '../event-problem.ts'

/** Most events of a chunk: the offset of a chunk moves as a whole. */
const ROWS_MAX = 16_384

/** What the records of a source keep. */
export interface RowOptions {
  readonly keepKey: boolean
  readonly keepHeaders: boolean
  readonly keepTimestamp: boolean
  /** What becomes of a record without a value. */
  readonly tombstones: 'deadLetter' | 'skip' | 'pass'
}

/** A chunk of records. */
export interface KafkaChunk extends EventChunk {
  /** Offset of the record after the last one of the chunk. */
  readonly nextOffset: bigint
  /** Offset of a record of the chunk. */
  offsetOf(index: number): bigint
}

const tombstone: EventProblem = { errorClass: 'malformed', reason: 'the record has no value (a tombstone)' }
const badHeaders: EventProblem = { errorClass: 'malformed', reason: 'the headers of the record do not fit it' }

/**
 * The records of a fetch from an offset on, as chunks in order. A chunk without
 * events only says that the offset has moved.
 *
 * @throws PipelineError of `RecordCursor` if the records are corrupt.
 */
export function* kafkaChunks(
  fetched: FetchedChunk,
  fromOffset: bigint,
  options: RowOptions
): Generator<KafkaChunk, void, undefined> {
  const cursor = new RecordCursor()
  cursor.reset(fetched.records)
  let rows = new Rows(options)
  while (cursor.nextBatch()) {
    // The memory that the spans point into has changed: they belong to different chunks.
    if (rows.count > 0 && rows.bytes !== cursor.recordBuffer) {
      yield rows.chunk(rows.lastOffset + 1n)
      rows = new Rows(options)
    }
    while (cursor.nextRecord()) {
      if (cursor.offset() < fromOffset) continue
      rows.add(cursor)
      if (rows.count < ROWS_MAX) continue
      yield rows.chunk(rows.lastOffset + 1n)
      rows = new Rows(options)
    }
  }
  yield rows.chunk(fetched.nextOffset)
}

/** Collects the spans of one chunk. */
class Rows {
  readonly #options: RowOptions
  bytes: Buffer = Buffer.alloc(0)
  lastOffset = -1n
  count = 0
  #firstOffset = 0n
  #spans = new Uint32Array(512)
  #deltas = new Uint32Array(256)
  #keys = new Int32Array(0)
  #headers = new Uint32Array(0)
  #times = new Float64Array(0)
  #problems: Map<number, EventProblem> | undefined
  #tombstones: Set<number> | undefined

  constructor(options: RowOptions) {
    this.#options = options
  }

  /** Adds the record that the cursor is at. */
  add(cursor: RecordCursor): void {
    const offset = cursor.offset()
    this.lastOffset = offset
    if (cursor.valueStart < 0 && this.#options.tombstones === 'skip') return
    const row = this.count
    if (row === 0) {
      this.bytes = cursor.recordBuffer
      this.#firstOffset = offset
    }
    if (row === this.#deltas.length || row === 0) this.#grow()
    this.#spans[row * 2] = Math.max(0, cursor.valueStart)
    this.#spans[row * 2 + 1] = Math.max(0, cursor.valueEnd)
    this.#deltas[row] = Number(offset - this.#firstOffset)
    if (cursor.valueStart < 0) this.#addTombstone(row)
    if (this.#options.keepKey) {
      this.#keys[row * 2] = cursor.keyStart
      this.#keys[row * 2 + 1] = cursor.keyEnd
    }
    if (this.#options.keepHeaders) {
      const areSound = cursor.headerCount === 0 || headersFit(cursor)
      this.#headers[row * 2] = cursor.headersStart
      this.#headers[row * 2 + 1] = areSound ? cursor.headerCount : 0
      if (!areSound) (this.#problems ??= new Map()).set(row, badHeaders)
    }
    if (this.#options.keepTimestamp) this.#times[row] = cursor.timestampMs
    this.count = row + 1
  }

  chunk(nextOffset: bigint): KafkaChunk {
    const { count, bytes } = this
    const { keepKey, keepHeaders, keepTimestamp } = this.#options
    const firstOffset = this.#firstOffset
    const deltas = this.#deltas
    const keys = this.#keys
    const headers = this.#headers
    const times = this.#times
    const offsetOf = (row: number): bigint => firstOffset + BigInt(deltas[row] ?? 0)
    return {
      bytes,
      spans: this.#spans.subarray(0, count * 2),
      lines: deltas.subarray(0, count),
      count,
      position: Number(nextOffset),
      nextOffset,
      offsetOf,
      rowNames: row => String(offsetOf(row)),
      ...(keepKey ? { rowKeys: row => keyAt(bytes, keys[row * 2] ?? -1, keys[row * 2 + 1] ?? -1) } : {}),
      ...(keepHeaders ? { rowHeaders: row => headersAt(bytes, headers[row * 2] ?? 0, headers[row * 2 + 1] ?? 0) } : {}),
      ...(keepTimestamp ? { rowTimes: row => times[row] } : {}),
      ...(this.#problems === undefined ? {} : { problems: this.#problems }),
      ...(this.#tombstones === undefined ? {} : { tombstones: this.#tombstones })
    }
  }

  #addTombstone(row: number): void {
    if (this.#options.tombstones === 'pass') (this.#tombstones ??= new Set()).add(row)
    else (this.#problems ??= new Map()).set(row, tombstone)
  }

  #grow(): void {
    const { keepKey, keepHeaders, keepTimestamp } = this.#options
    const size = this.#deltas.length * 2
    this.#spans = copied(new Uint32Array(size * 2), this.#spans)
    this.#deltas = copied(new Uint32Array(size), this.#deltas)
    if (keepKey) this.#keys = copied(new Int32Array(size * 2), this.#keys)
    if (keepHeaders) this.#headers = copied(new Uint32Array(size * 2), this.#headers)
    if (keepTimestamp) this.#times = copied(new Float64Array(size), this.#times)
  }
}

function copied<T extends Uint32Array | Int32Array | Float64Array>(to: T, from: T): T {
  to.set(from)
  return to
}

function keyAt(bytes: Buffer, start: number, end: number): Buffer | null {
  return start < 0 ? null : bytes.subarray(start, end)
}

/** Whether as many headers as a record announces end where it does: anybody wrote it, and the cursor skips them. */
function headersFit(cursor: RecordCursor): boolean {
  const { recordEnd, headersStart, headerCount } = cursor
  // The least header has two bytes.
  if (headerCount > (recordEnd - headersStart) / 2) return false
  const reader = new ByteReader(cursor.recordBuffer.subarray(0, recordEnd), headersStart)
  try {
    for (let left = headerCount; left > 0; left -= 1) {
      const keyLength = reader.varint()
      if (keyLength < 0) return false
      reader.position += keyLength
      const valueLength = reader.varint()
      if (valueLength < -1) return false
      reader.position += Math.max(0, valueLength)
    }
    return reader.position === recordEnd
  } catch {
    return false // it reads beyond the record
  }
}

/** The headers of one record, which fit it; values as views. */
function headersAt(bytes: Buffer, start: number, count: number): readonly AppendHeader[] | undefined {
  if (count === 0) return undefined
  const reader = new ByteReader(bytes, start)
  const headers: AppendHeader[] = []
  for (let left = count; left > 0; left -= 1) {
    const keyLength = reader.varint()
    const key = bytes.toString('utf8', reader.position, reader.position + keyLength)
    reader.position += keyLength
    const valueLength = reader.varint()
    const value = valueLength < 0 ? null : bytes.subarray(reader.position, reader.position + valueLength)
    reader.position += Math.max(0, valueLength)
    headers.push({ key, value })
  }
  return headers
}
