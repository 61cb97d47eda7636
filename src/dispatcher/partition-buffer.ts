/**
 * What was fetched of one partition and is not in a batch yet, and the walk over it.
 *
 * Chunks are kept as they came; `fill` walks them in place and moves records
 * into a batch until one of its limits is reached. Counting ahead reads batch
 * headers only. Pure but for the buffers it holds; time is passed in.
 *
 * Invariants: records leave in offset order, each once; `position` is the
 * offset below which everything has left. Bytes are those of the chunks, which
 * are let go when the last record in them has left.
 */

import type { FetchedChunk, Lease } from '../client/index.ts'
import { invariant, PipelineError } from '../core/index.ts'
import { batchSizeAt, isLogAppendTime, readBatchHeader, RecordCursor } from '../protocol/index.ts'
import type { RowSift } from './lane-surroundings.ts'
import type { PayloadEncoder } from './payload.ts'
import type { RecordTable } from './record-table.ts'

interface HeldChunk {
  records: Buffer
  /** Lent memory that the records lie in. */
  readonly lease: Lease | undefined
  readonly nextOffset: bigint
  readonly arrivedMs: number
  /** Bytes whose batch headers have been counted. */
  countedBytes: number
}

type PushedChunk = Pick<FetchedChunk, 'records' | 'nextOffset' | 'lease'>

/** A record that cannot be delivered at all. */
export interface UndeliverableRow {
  readonly row: number
  readonly problem: 'malformed' | 'tooLarge'
}

/** What `fill` has put into a table. */
export interface FilledBatch {
  /** Rows that went into the table but not into the payload, because they cannot be sent. */
  readonly undeliverable: readonly UndeliverableRow[]
  /** Rows that went into the table but not into the payload, because they are to be put aside. */
  readonly parked: readonly number[]
  /** Records that were left out: they are in neither. */
  readonly droppedCount: number
  /** Where the batch ends: everything below is in it, or was not for us. */
  readonly nextOffset: bigint
}

/** Where `fill` writes. */
export interface BatchSink {
  readonly table: RecordTable
  readonly encoder: Pick<PayloadEncoder, 'append' | 'appendRun'>
  /** Asked for each row before it is encoded. */
  readonly sift?: RowSift | undefined
  /** Most records of the batch, undeliverable ones included. */
  readonly recordsMax: number
}

interface Filling {
  readonly undeliverable: UndeliverableRow[]
  readonly parked: number[]
  droppedCount: number
}

/** Records that may be left out in one go: each may cost the time of parsing its value. */
const DROPPED_MAX = 5000

/** Fetched chunks of one partition, in offset order. */
export class PartitionBuffer {
  // The fetcher has checked the CRC of every batch.
  readonly #cursor = new RecordCursor({ isCrcChecked: false })
  #chunks: HeldChunk[] = []
  #head = 0
  #bytes = 0
  #position: bigint
  /** Records in the headers counted so far that have not left; deleted ones (compaction) count as there. */
  #countedRecords = 0
  /** Whether the cursor stands in the first chunk. */
  #isOpen = false
  /** Whether the cursor stands on a record that did not fit into the last batch. */
  #hasPendingRecord = false
  #isLogAppendTime = false
  #isCountBroken = false
  /** What the cursor threw behind the last record that was taken. */
  #failure: { readonly error: unknown } | undefined

  /** @param position - First offset wanted. */
  constructor(position: bigint) {
    this.#position = position
  }

  /** Bytes of the chunks held. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether nothing is left to walk. */
  get isEmpty(): boolean {
    return this.#head === this.#chunks.length
  }

  /** Everything below this offset has left. */
  get position(): bigint {
    return this.#position
  }

  /** When the oldest chunk came, in milliseconds; `undefined` when empty. */
  get oldestMs(): number | undefined {
    return this.#chunks[this.#head]?.arrivedMs
  }

  /** Adds a chunk, which begins where the last one ended. */
  push({ records: lent, lease, nextOffset }: PushedChunk, nowMs: number): void {
    const records = owned(lent)
    const isLent = records === lent
    if (!isLent) lease?.release()
    this.#chunks.push({ records, lease: isLent ? lease : undefined, nextOffset, arrivedMs: nowMs, countedBytes: 0 })
    this.#bytes += records.length
  }

  /** Drops everything that is held. */
  clear(): void {
    this.#cursor.reset(NOTHING)
    for (const { lease } of this.#chunks.slice(this.#head)) lease?.release()
    this.#chunks = []
    this.#head = 0
    this.#bytes = 0
    this.#countedRecords = 0
    this.#isOpen = false
    this.#hasPendingRecord = false
    this.#failure = undefined
    this.#isCountBroken = false
  }

  /** Whether at least this many records are held, as far as batch headers tell. Reads no more headers than needed. */
  hasRecords(count: number): boolean {
    if (this.#isCountBroken) return true
    for (let index = this.#head; index < this.#chunks.length && this.#countedRecords < count; index += 1) {
      const chunk = this.#chunks[index]
      if (chunk !== undefined) this.#countHeaders(chunk, count)
    }
    return this.#isCountBroken || this.#countedRecords >= count
  }

  /**
   * Moves records into an empty table and its payload until a limit is reached or nothing is left.
   *
   * @returns `undefined` if there was nothing to move and no offset to move past.
   * @throws What the cursor throws on a batch that cannot be read, if no record came before it.
   */
  fill(sink: BatchSink): FilledBatch | undefined {
    const from = this.#position
    const filled: Filling = { undeliverable: [], parked: [], droppedCount: 0 }
    sink.table.reset(from)
    if (this.#failure !== undefined) throw this.#failure.error
    try {
      for (let isMore = true; isMore;) isMore = this.#fillFromChunk(sink, filled)
    } catch (error) {
      this.#failure = { error }
      // What was read before the broken batch is good: it goes first, and the error comes with the next call.
      if (sink.table.count === 0 && filled.droppedCount === 0) throw error
      this.#position = sink.table.baseOffset + BigInt(this.#lastDelta + 1)
    }
    if (this.#position === from) return undefined
    this.#countedRecords -= sink.table.count + filled.droppedCount
    return { ...filled, nextOffset: this.#position }
  }

  /** Takes records of the first chunk; `false` when the batch is full or no chunk is left. */
  #fillFromChunk(sink: BatchSink, filled: Filling): boolean {
    const chunk = this.#chunks[this.#head]
    if (chunk === undefined) return false
    if (chunk.lease !== undefined) sink.table.hold(chunk.lease)
    if (!this.#isOpen) {
      this.#cursor.reset(chunk.records)
      this.#isOpen = true
      if (!this.#nextBatch()) return this.#leaveChunk(chunk)
    }
    for (;;) {
      if (isFull(sink, filled)) return this.#stopAfter(chunk)
      if (!this.#hasPendingRecord && this.#runMisses < RUN_MISSES_MAX && this.#takeRun(sink, filled)) continue
      if (!this.#hasPendingRecord && !this.#cursor.nextRecord()) {
        if (this.#nextBatch()) continue
        return this.#leaveChunk(chunk)
      }
      this.#hasPendingRecord = false
      if (!this.#take(sink, filled)) {
        this.#hasPendingRecord = true
        return false
      }
    }
  }

  /** The batch is full: looks whether that was the end of the chunk, so that it is not kept for nothing. */
  #stopAfter(chunk: HeldChunk): boolean {
    if (this.#cursor.nextRecord()) this.#hasPendingRecord = true
    else if (!this.#nextBatch()) this.#leaveChunk(chunk)
    return false
  }

  #nextBatch(): boolean {
    if (!this.#cursor.nextBatch()) return false
    this.#isLogAppendTime = isLogAppendTime(this.#cursor.header.attributes)
    this.#tableDelta = undefined
    this.#runMisses = 0
    return true
  }

  /** How often in a row the quick way took nothing of the current record batch. */
  #runMisses = 0

  /** Takes records in one go, if all that is to be done with them is to encode them. Whether there were any. */
  #takeRun({ table, encoder, sift, recordsMax }: BatchSink, filled: Filling): boolean {
    if (encoder.appendRun === undefined || sift !== undefined) return false
    const deltaBase = this.#deltaOf(table)
    const run = {
      cursor: this.#cursor,
      isLogAppendTime: this.#isLogAppendTime,
      deltaBase,
      deltaLast: table.count + filled.droppedCount > 0 ? this.#lastDelta : -1,
      rowsMax: recordsMax
    }
    const rowCount = encoder.appendRun(table, run)
    this.#runMisses = rowCount === 0 ? this.#runMisses + 1 : 0
    if (rowCount === 0) return false
    this.#lastDelta = run.deltaLast
    if (table.count >= recordsMax) this.#position = table.baseOffset + BigInt(run.deltaLast + 1)
    return true
  }

  /** Distance of the current record batch from the table's base offset. */
  #deltaOf(table: RecordTable): number {
    if (this.#tableDelta === undefined || this.#tableBase !== table.baseOffset) {
      this.#tableBase = table.baseOffset
      this.#tableDelta = Number(this.#cursor.baseOffset - table.baseOffset)
    }
    return this.#tableDelta
  }

  /** Distance of the current record batch from the table's base offset; `undefined` = to be computed. */
  #tableDelta: number | undefined
  #tableBase = -1n
  #lastDelta = -1

  /** Takes the record under the cursor; `false` if the batch is full. */
  #take(sink: BatchSink, filled: Filling): boolean {
    const { table, encoder, sift } = sink
    const delta = this.#deltaOf(table) + this.#cursor.offsetDelta
    // The first batch of a fetch may begin before the offset that was asked for.
    if (delta < 0) {
      this.#countedRecords -= 1
      return true
    }
    const row = table.count
    if (row + filled.droppedCount > 0 && delta <= this.#lastDelta) throw this.#disorder(delta)
    const isSound = table.add(this.#cursor, delta, this.#isLogAppendTime)
    if (sift !== undefined && isSound) {
      const siftVerdict = sift.sift(table, row)
      if (siftVerdict !== 'deliver') return this.#sifted(siftVerdict, sink, { filled, delta })
    }
    const verdict = isSound ? encoder.append(table, row) : 'malformed'
    if (verdict === 'full') {
      table.removeLast()
      this.#position = table.baseOffset + BigInt(delta)
      return false
    }
    this.#lastDelta = delta
    if (verdict !== 'added') filled.undeliverable.push({ row, problem: verdict })
    if (table.count >= sink.recordsMax) this.#position = table.baseOffset + BigInt(delta + 1)
    return true
  }

  /** A row that is not sent: it is left out, or stays in the table without a place in the payload. */
  #sifted(verdict: 'drop' | 'park', sink: BatchSink, at: { filled: Filling; delta: number }): boolean {
    const { table } = sink
    this.#lastDelta = at.delta
    if (verdict === 'park') {
      at.filled.parked.push(table.count - 1)
    } else {
      table.removeLast()
      at.filled.droppedCount += 1
    }
    if (isFull(sink, at.filled)) this.#position = table.baseOffset + BigInt(at.delta + 1)
    return true
  }

  #disorder(delta: number): PipelineError {
    const message = `the record batch at offset ${this.#cursor.baseOffset} is corrupt: its offsets do not ascend`
    return new PipelineError('ERR_PROTOCOL_CORRUPT_BATCH', message, { fields: { delta, lastDelta: this.#lastDelta } })
  }

  /** Lets go of the first chunk: its last record has left. */
  #leaveChunk(chunk: HeldChunk): boolean {
    invariant(chunk.nextOffset >= this.#position, `a chunk ends at ${chunk.nextOffset}, before ${this.#position}`)
    this.#position = chunk.nextOffset
    this.#isOpen = false
    this.#cursor.reset(NOTHING)
    this.#head += 1
    this.#bytes -= chunk.records.length
    chunk.lease?.release()
    if (this.#head > 16 && this.#head * 2 > this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#head)
      this.#head = 0
    } else {
      // The slot stays until then: its buffer must not.
      chunk.records = NOTHING
    }
    return true
  }

  #countHeaders(chunk: HeldChunk, count: number): void {
    while (this.#countedRecords < count) {
      try {
        const size = batchSizeAt(chunk.records, chunk.countedBytes, chunk.records.length)
        if (size === undefined) return
        this.#countedRecords += readBatchHeader(chunk.records, chunk.countedBytes).recordCount
        chunk.countedBytes += size
      } catch {
        // A broken header is reported by `fill`, where what comes before it is saved: have it called.
        this.#isCountBroken = true
        return
      }
    }
  }
}

const NOTHING = Buffer.alloc(0)
/**
 * A partition that holds a part of an answer keeps at most so many times its own bytes alive. Fetches are made so that
 * answers have room for as many partitions.
 */
export const SHARED_PARTITIONS_MAX = 4
/** Where as many records in a row need a closer look, so will the rest of their record batch. */
const RUN_MISSES_MAX = 2

/** Whether nothing more may go into a batch. What is left out counts too: other work must get its turn. */
function isFull({ table, recordsMax }: BatchSink, { droppedCount }: Filling): boolean {
  return table.count >= recordsMax || droppedCount >= DROPPED_MAX
}

/**
 * A chunk is a view into an answer that spans many partitions: a partition that stands still would
 * keep the bytes of all the others alive. So a small part of a large answer gets memory of its own.
 */
function owned(records: Buffer): Buffer {
  if (records.length * SHARED_PARTITIONS_MAX >= records.buffer.byteLength) return records
  const copy = Buffer.allocUnsafeSlow(records.length)
  records.copy(copy)
  return copy
}
