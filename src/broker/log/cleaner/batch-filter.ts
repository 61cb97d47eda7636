/**
 * Writes a batch anew with a part of its records. Base and last offset, base
 * sequence, producer and epochs stay as they were, so offsets keep their gaps
 * and a replay of the log finds the same sequences.
 *
 * A delete horizon that is set takes the place of the base timestamp, and every
 * record's time is stored relative to it: times of records never change.
 *
 * Pure. Source: Kafka `MemoryRecords.filterTo`, `DefaultRecordBatch.writeEmptyHeader`.
 */

import {
  BATCH_HEADER_BYTES,
  compress,
  compressionOf,
  hasDeleteHorizon,
  isLogAppendTime,
  type RecordBatchHeader,
  type RecordCursor,
  writeBatchHeader
} from '../../../protocol/index.ts'

const DELETE_HORIZON_BIT = 0x40
const COMPRESSION_MASK = 0x07
const SCRATCH_BYTES_FIRST = 65_536

/** What is left of a batch. */
export type FilteredBatch =
  /** Nothing. */
  | { readonly kind: 'removed' }
  /** Everything, byte for byte. */
  | { readonly kind: 'unchanged' }
  /** A part of its records, or only its header. */
  | { readonly kind: 'rewritten'; readonly bytes: Buffer; readonly recordCount: number }

/** What decides about a batch and its records. */
export interface FilterRules {
  /** Whether the current record of the cursor stays. */
  readonly isKept: (cursor: RecordCursor) => boolean
  /** Whether all records go: then none is looked at. */
  readonly isDiscarded: boolean
  /** Whether the header stays if no record does. */
  readonly isKeptEmpty: boolean
  /** Whether this is a marker that needs a delete horizon whatever its record looks like. */
  readonly needsHorizon: boolean
  /** The horizon to set where one is needed and there is none, in epoch milliseconds. */
  readonly deleteHorizonMs: number
}

/** How many records are looked at between two pauses. */
const RECORDS_PER_STEP = 512

/** Filters batches; the buffers it works in are used again for the next batch. */
export class BatchFilter {
  #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES_FIRST)
  #at = 0

  /** Memory that is kept from one batch to the next, in bytes. */
  get sizeBytes(): number {
    return this.#scratch.length
  }

  /**
   * Filters the batch that the cursor has just moved to. Each step of the generator is a bounded piece of work: the
   * caller may let others run in between.
   */
  *filter(cursor: RecordCursor, rules: FilterRules): Generator<undefined, FilteredBatch, undefined> {
    const { header, recordBuffer } = cursor
    if (rules.isDiscarded) return rules.isKeptEmpty ? emptied(header) : { kind: 'removed' }
    const kept: number[] = []
    let hasTombstone = false
    let maxTimestampMs = -1
    let seen = 0
    while (cursor.nextRecord()) {
      seen += 1
      if (seen % RECORDS_PER_STEP === 0) yield undefined
      if (!rules.isKept(cursor)) continue
      kept.push(cursor.recordStart, cursor.recordEnd)
      if (cursor.valueStart < 0) hasTombstone = true
      if (cursor.timestampMs > maxTimestampMs) maxTimestampMs = cursor.timestampMs
    }
    const recordCount = kept.length / 2
    if (recordCount === 0) return rules.isKeptEmpty ? emptied(header) : { kind: 'removed' }
    const setsHorizon = (hasTombstone || rules.needsHorizon) && !hasDeleteHorizon(header.attributes)
    if (recordCount === header.recordCount && !setsHorizon) return { kind: 'unchanged' }
    const baseTimestamp = setsHorizon ? BigInt(rules.deleteHorizonMs) : header.baseTimestamp
    const records = this.#collect(recordBuffer, kept, Number(header.baseTimestamp - baseTimestamp))
    const maxTimestamp = isLogAppendTime(header.attributes) ? header.maxTimestamp : BigInt(maxTimestampMs)
    const attributes = header.attributes | (setsHorizon ? DELETE_HORIZON_BIT : 0)
    const bytes = batchOf(compress(compressionOf(header.attributes), records), {
      ...header,
      attributes,
      baseTimestamp,
      maxTimestamp,
      recordCount
    })
    return { kind: 'rewritten', bytes, recordCount }
  }

  /** The kept records one after the other, their times moved by `shiftMs`. Valid until the next call. */
  #collect(source: Buffer, kept: readonly number[], shiftMs: number): Buffer {
    this.#at = 0
    for (let index = 0; index < kept.length; index += 2) {
      const [start = 0, end = 0] = [kept[index], kept[index + 1]]
      // A varint of the length, one of the time that may have grown, and the record.
      this.#reserve(end - start + 20)
      if (shiftMs === 0) {
        this.#putVarlong(end - start)
        this.#at += source.copy(this.#scratch, this.#at, start, end)
      } else this.#putShifted(source, { start, end, shiftMs })
    }
    return this.#scratch.subarray(0, this.#at)
  }

  #putShifted(source: Buffer, record: { start: number; end: number; shiftMs: number }): void {
    const time = readVarlong(source, record.start + 1)
    const timestampDelta = time.value + record.shiftMs
    const rest = record.end - time.end
    this.#putVarlong(1 + varlongBytes(timestampDelta) + rest)
    this.#scratch[this.#at++] = source[record.start] ?? 0
    this.#putVarlong(timestampDelta)
    this.#at += source.copy(this.#scratch, this.#at, time.end, record.end)
  }

  #reserve(count: number): void {
    const needed = this.#at + count
    if (needed <= this.#scratch.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#scratch.length * 2))
    this.#scratch.copy(grown, 0, 0, this.#at)
    this.#scratch = grown
  }

  #putVarlong(value: number): void {
    let rest = zigzagOf(value)
    while (rest >= 128) {
      this.#scratch[this.#at++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#scratch[this.#at++] = rest
  }
}

function emptied(header: RecordBatchHeader): FilteredBatch {
  const attributes = header.attributes & ~(COMPRESSION_MASK | DELETE_HORIZON_BIT)
  const { maxTimestamp } = header
  const empty = { ...header, attributes, baseTimestamp: maxTimestamp, maxTimestamp, recordCount: 0 }
  return { kind: 'rewritten', bytes: batchOf(Buffer.alloc(0), empty), recordCount: 0 }
}

function batchOf(records: Buffer, header: RecordBatchHeader): Buffer {
  const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + records.length)
  records.copy(batch, BATCH_HEADER_BYTES)
  writeBatchHeader(batch, header)
  return batch
}

function zigzagOf(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1
}

function varlongBytes(value: number): number {
  let bytes = 1
  for (let rest = zigzagOf(value); rest >= 128; rest = Math.floor(rest / 128)) bytes++
  return bytes
}

/** The cursor has read it before, so it is whole. */
function readVarlong(buffer: Buffer, position: number): { value: number; end: number } {
  let at = position
  let byte = buffer[at++] ?? 0
  let value = byte & 0x7f
  for (let scale = 128; byte > 0x7f; scale *= 128) {
    byte = buffer[at++] ?? 0
    value += (byte & 0x7f) * scale
  }
  return { value: value % 2 === 0 ? value / 2 : -(value + 1) / 2, end: at }
}
