/**
 * Records of one retry partition that were fetched and not done yet, read as far as they are looked at.
 *
 * A record is due when it has waited for the delay of its tier. The clocks of
 * those who put records in may differ from ours. Ours behind: what they write
 * lies in our future, which shows by how much they are ahead, and is taken off.
 * Ours ahead: a record is due early, by as much. No record waits longer than the
 * delay after it was first seen.
 *
 * Pure but for the buffers it holds; time is passed in.
 */

import type { AppendHeader, FetchedChunk } from '../../client/index.ts'
import { RecordCursor } from '../../protocol/index.ts'
import { HeaderCursor } from '../record-table.ts'
import { readHistory, type RetryHistory } from './retry-headers.ts'

/** One record of a retry partition. */
export interface RetryEntry {
  /** Offset in the retry partition. */
  readonly offset: bigint
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** The record's own headers; all of them if it has no history. */
  readonly headers: readonly AppendHeader[]
  /** `undefined` if no dispatcher has put it there. */
  readonly history: RetryHistory | undefined
  readonly timestampMs: number
  /** When it is due, by the monotonic clock. */
  readonly dueMs: number
  readonly bytes: number
}

/** Now, by both clocks. */
export interface Instant {
  /** Epoch milliseconds. */
  readonly wallMs: number
  readonly monotonicMs: number
}

interface Chunk {
  readonly records: Buffer
  readonly nextOffset: bigint
}

/** Fetched records of one retry partition, in offset order. */
export class RetryBuffer {
  readonly #delayMs: number
  readonly #cursor = new RecordCursor({ isCrcChecked: false })
  readonly #chunks: Chunk[] = []
  #isOpen = false
  /** Everything below was read into entries, or was not for us. */
  #read: bigint
  #chunkBytes = 0
  #entryBytes = 0
  #entries: RetryEntry[] = []
  /** How much those who write are ahead of us, as far as seen. */
  #aheadMs = 0
  readonly #isDone: (offset: bigint) => boolean

  /** @param isDone - Whether a record was done before, and is to be passed over. Default: none was. */
  constructor(position: bigint, delayMs: number, isDone: (offset: bigint) => boolean = () => false) {
    this.#read = position
    this.#delayMs = delayMs
    this.#isDone = isDone
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#chunkBytes + this.#entryBytes
  }

  /** Offset of the first record that is held or to be fetched. */
  get position(): bigint {
    return this.#entries[0]?.offset ?? this.#read
  }

  /** Where fetching goes on. */
  get fetchPosition(): bigint {
    return this.#chunks.at(-1)?.nextOffset ?? this.#read
  }

  /** Adds a chunk, which begins where the last one ended. */
  push(chunk: Pick<FetchedChunk, 'records' | 'nextOffset'>): void {
    // A view into an answer keeps the whole answer alive, and records may stay here for a while.
    const records = Buffer.from(chunk.records)
    this.#chunks.push({ records, nextOffset: chunk.nextOffset })
    this.#chunkBytes += records.length
  }

  /** Drops everything; reading goes on from an offset. */
  reset(position: bigint): void {
    this.#chunks.length = 0
    this.#chunkBytes = 0
    this.#isOpen = false
    this.#entries = []
    this.#entryBytes = 0
    this.#read = position
  }

  /**
   * The first records held, up to a number.
   *
   * @throws What the cursor throws on a batch that cannot be read, if no record came before it.
   */
  peek(count: number, now: Instant): readonly RetryEntry[] {
    try {
      while (this.#entries.length < count && this.#readNext(now));
    } catch (error) {
      if (this.#entries.length === 0) throw error
    }
    return this.#entries.length > count ? this.#entries.slice(0, count) : this.#entries
  }

  /** Removes records that are done. */
  remove(isDone: (entry: RetryEntry) => boolean): void {
    const left: RetryEntry[] = []
    for (const entry of this.#entries) {
      if (isDone(entry)) this.#entryBytes -= entry.bytes
      else left.push(entry)
    }
    this.#entries = left
  }

  #readNext(now: Instant): boolean {
    const [chunk] = this.#chunks
    if (chunk === undefined) return false
    if (!this.#isOpen) {
      this.#cursor.reset(chunk.records)
      this.#isOpen = true
      if (!this.#cursor.nextBatch()) return this.#endChunk(chunk)
    }
    while (!this.#cursor.nextRecord()) if (!this.#cursor.nextBatch()) return this.#endChunk(chunk)
    const offset = this.#cursor.offset()
    // The first batch of a fetch may begin before the offset that was asked for.
    if (offset >= this.#read) this.#add(offset, now)
    return true
  }

  #endChunk(chunk: Chunk): boolean {
    this.#chunks.shift()
    this.#chunkBytes -= chunk.records.length
    this.#isOpen = false
    if (chunk.nextOffset > this.#read) this.#read = chunk.nextOffset
    return this.#chunks.length > 0
  }

  #add(offset: bigint, now: Instant): void {
    const cursor = this.#cursor
    this.#read = offset + 1n
    if (this.#isDone(offset)) return
    const all = headersOf(cursor)
    const read = readHistory(all)
    const { history, headers } = read ?? { history: undefined, headers: all }
    const bytes = cursor.recordEnd - cursor.recordStart
    this.#entryBytes += bytes
    const { timestampMs } = cursor
    const dueMs = this.#dueMs(history?.parkedMs ?? timestampMs, now)
    const [key, value] = [cursor.key(), cursor.value()]
    this.#entries.push({ offset, key, value, headers, history, timestampMs, dueMs, bytes })
  }

  #dueMs(parkedMs: number, { wallMs, monotonicMs }: Instant): number {
    this.#aheadMs = Math.max(this.#aheadMs, parkedMs - wallMs)
    const waitMs = parkedMs - this.#aheadMs + this.#delayMs - wallMs
    return monotonicMs + Math.min(this.#delayMs, Math.max(0, waitMs))
  }
}

function headersOf(cursor: RecordCursor): AppendHeader[] {
  const places = new HeaderCursor()
  places.reset(cursor.recordBuffer, cursor.headersStart, cursor.headerCount)
  const headers: AppendHeader[] = []
  while (places.next()) {
    // Broken headers would run into the records behind: such a record has no history, and is put aside as foreign.
    if (places.keyEnd < places.keyStart || places.position > cursor.recordEnd) return []
    const value = places.valueStart < 0 ? null : cursor.recordBuffer.subarray(places.valueStart, places.valueEnd)
    headers.push({ key: cursor.recordBuffer.toString('utf8', places.keyStart, places.keyEnd), value })
  }
  return headers
}
