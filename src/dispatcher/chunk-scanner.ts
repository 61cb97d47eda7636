/**
 * Walks fetched chunks of one partition, record by record, and lets go of each
 * chunk behind its last record.
 *
 * What a record's bytes lie in stays alive with whoever took them from the
 * cursor. Pure but for the buffers it holds; time is passed in.
 *
 * Invariants: records come in offset order, each once; everything below
 * `position` has been taken or was not for us.
 */

import type { FetchedChunk, Lease } from '../client/index.ts'
import { invariant, PipelineError } from '../core/index.ts'
import { isLogAppendTime, RecordCursor } from '../protocol/index.ts'

type PushedChunk = Pick<FetchedChunk, 'records' | 'nextOffset' | 'lease'>

interface WaitingChunk {
  readonly records: Buffer
  /** Lent memory that the records lie in; held until the chunk is walked over. */
  readonly lease: Lease | undefined
  readonly nextOffset: bigint
  readonly arrivedMs: number
}

const NOTHING = Buffer.alloc(0)

/** Chunks of one partition. Offsets are numbers here, counted from the one that the scanner began with. */
export class ChunkScanner {
  /** Stands on the record that `peek` has found. The fetcher has checked the CRC of every batch. */
  readonly cursor: RecordCursor = new RecordCursor({ isCrcChecked: false })
  readonly #base: bigint
  #chunks: WaitingChunk[] = []
  #open: WaitingChunk | undefined
  #waitingBytes = 0
  #passed = 0
  #hasRecord = false
  /** Distance of the current record batch. */
  #batchDelta = 0
  #delta = 0
  /** Highest offset seen in the open chunk. */
  #lastDelta = -1
  #isLogAppendTime = false

  /** @param base - Next record to read. */
  constructor(base: bigint) {
    this.#base = base
  }

  /** Bytes that were not walked over yet. */
  get bytes(): number {
    const open = this.#open
    return this.#waitingBytes + (open === undefined ? 0 : open.records.length - this.cursor.batchEnd)
  }

  /** Everything below has been taken or was not for us. */
  get passed(): number {
    return this.#passed
  }

  /** The same as an offset. */
  get position(): bigint {
    return this.#base + BigInt(this.#passed)
  }

  /** Offset of the record under the cursor. */
  get delta(): number {
    return this.#delta
  }

  /** Whether the broker has set the time of the record under the cursor. */
  get isLogAppendTime(): boolean {
    return this.#isLogAppendTime
  }

  /** When the chunk came that the record under the cursor is in, in milliseconds. */
  get arrivedMs(): number {
    return this.#open?.arrivedMs ?? 0
  }

  /** Adds a chunk, which begins where the last one ended. */
  push({ records: lent, nextOffset, lease }: PushedChunk, nowMs: number): void {
    const records = withMemoryOfItsOwn(lent)
    const isLent = records === lent
    if (!isLent) lease?.release()
    this.#chunks.push({ records, lease: isLent ? lease : undefined, nextOffset, arrivedMs: nowMs })
    this.#waitingBytes += records.length
  }

  /** Lent memory that the record under the cursor lies in: whoever keeps the record holds it as well. */
  get lease(): Lease | undefined {
    const open = this.#open
    // A compressed batch is unpacked into memory of its own.
    return open !== undefined && this.cursor.recordBuffer === open.records ? open.lease : undefined
  }

  /** Drops what was not walked over. */
  clear(): void {
    this.cursor.reset(NOTHING)
    this.#open?.lease?.release()
    for (const { lease } of this.#chunks) lease?.release()
    this.#chunks = []
    this.#open = undefined
    this.#waitingBytes = 0
    this.#hasRecord = false
  }

  /**
   * Puts the cursor on the next record, and leaves it there until `take`.
   *
   * @returns `false` if there is none.
   * @throws What the cursor throws on a batch that cannot be read. Only `clear` helps then.
   */
  peek(): boolean {
    while (!this.#hasRecord) {
      const chunk = this.#open ?? this.#openNext()
      if (chunk === undefined) return false
      if (this.cursor.nextRecord()) this.#look()
      else if (!this.#nextBatch()) this.#leave(chunk)
    }
    return true
  }

  /** Goes past the record under the cursor. */
  take(): void {
    this.#hasRecord = false
    this.#passed = this.#delta + 1
  }

  #look(): void {
    const delta = this.#batchDelta + this.cursor.offsetDelta
    if (delta <= this.#lastDelta) {
      const message = `the record batch at offset ${this.cursor.baseOffset} is corrupt: its offsets do not ascend`
      throw new PipelineError('ERR_PROTOCOL_CORRUPT_BATCH', message, { fields: { delta, lastDelta: this.#lastDelta } })
    }
    this.#lastDelta = delta
    this.#delta = delta
    // The first batch of a fetch may begin before the offset that was asked for.
    this.#hasRecord = delta >= this.#passed
  }

  #openNext(): WaitingChunk | undefined {
    const chunk = this.#chunks.shift()
    if (chunk === undefined) return undefined
    this.#waitingBytes -= chunk.records.length
    this.#open = chunk
    this.#lastDelta = Number.NEGATIVE_INFINITY
    this.cursor.reset(chunk.records)
    return chunk
  }

  #nextBatch(): boolean {
    if (!this.cursor.nextBatch()) return false
    this.#batchDelta = Number(this.cursor.baseOffset - this.#base)
    this.#isLogAppendTime = isLogAppendTime(this.cursor.header.attributes)
    return true
  }

  #leave(chunk: WaitingChunk): void {
    const next = Number(chunk.nextOffset - this.#base)
    invariant(next >= this.#passed, `a chunk ends at ${chunk.nextOffset}, before ${this.position}`)
    this.#passed = next
    this.#open = undefined
    this.cursor.reset(NOTHING)
    chunk.lease?.release()
  }
}

/** As in `PartitionBuffer`: a small part of a large answer would keep the bytes of other partitions alive. */
function withMemoryOfItsOwn(records: Buffer): Buffer {
  if (records.length * 2 >= records.buffer.byteLength) return records
  const copy = Buffer.allocUnsafeSlow(records.length)
  records.copy(copy)
  return copy
}
