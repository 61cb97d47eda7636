/**
 * The records of one partition between Kafka and the machine: whole chunks as they were fetched, decoded as far as the
 * machine has room.
 *
 * Bounded by the chunks that the fetcher hands over before it is paused, and one decompressed batch. Filtered records
 * are passed over here: only the position tells of them.
 */

import type { FetchedChunk } from '../../client/index.ts'
import { RecordCursor } from '../../protocol/index.ts'
import { type EsmRecord, recordText } from './event-text.ts'
import type { RecordFilter } from './filter.ts'

/** What a reader is made from. */
export interface PartitionReaderOptions {
  readonly topic: string
  readonly partition: number
  readonly filter: RecordFilter | undefined
}

/** Some records, and where reading goes on. */
export interface ReadRecords {
  readonly records: EsmRecord[]
  /** Offset behind all that was read or passed over. */
  readonly position: number
  readonly filteredCount: number
}

/** Most records that are looked at in one go: a filter that lets nothing pass must not stop everything else. */
const LOOKED_AT_MAX = 20_000

/** Decodes chunks of one partition. */
export class PartitionReader {
  readonly #options: PartitionReaderOptions
  readonly #cursor = new RecordCursor()
  #chunks: FetchedChunk[] = []
  #isOpen = false
  #isInBatch = false
  #bytes = 0
  #position: number

  constructor(options: PartitionReaderOptions, position: number) {
    this.#options = options
    this.#position = position
  }

  /** Bytes of chunks that are not decoded to their end. */
  get bufferedBytes(): number {
    return this.#bytes
  }

  /** Whether there may be more records. */
  get hasMore(): boolean {
    return this.#chunks.length > 0
  }

  /** Takes a chunk. */
  push(chunk: FetchedChunk): void {
    chunk.lease?.retain()
    this.#chunks.push(chunk)
    this.#bytes += chunk.records.length
  }

  /**
   * Decodes up to so many records and bytes of text, at least one record if there is one.
   *
   * @throws PipelineError of the record cursor, for a batch that is corrupt.
   */
  read(limits: { readonly records: number; readonly bytes: number; readonly nowMs: number }): ReadRecords {
    const records: EsmRecord[] = []
    let bytes = 0
    let filteredCount = 0
    for (
      let looked = 0;
      looked < LOOKED_AT_MAX && records.length < limits.records && bytes < limits.bytes;
      looked += 1
    ) {
      if (!this.#advance()) break
      const record = this.#take(limits.nowMs)
      if (record === undefined) filteredCount += 1
      else {
        records.push(record)
        bytes += record.bytes + 1
      }
    }
    return { records, position: this.#position, filteredCount }
  }

  /** Gives back what is held. */
  close(): void {
    for (const chunk of this.#chunks) chunk.lease?.release()
    this.#chunks = []
    this.#bytes = 0
  }

  /** Moves to the next record that counts; false if there is none. */
  #advance(): boolean {
    const cursor = this.#cursor
    for (;;) {
      const chunk = this.#chunks[0]
      if (chunk === undefined) return false
      if (!this.#isOpen) {
        cursor.reset(chunk.records)
        this.#isOpen = true
        this.#isInBatch = false
      }
      while (this.#isInBatch || cursor.nextBatch()) {
        this.#isInBatch = true
        while (cursor.nextRecord()) if (Number(cursor.offset()) >= this.#position) return true
        this.#isInBatch = false
      }
      this.#position = Math.max(this.#position, Number(chunk.nextOffset))
      this.#isOpen = false
      this.#chunks.shift()
      this.#bytes -= chunk.records.length
      chunk.lease?.release()
    }
  }

  #take(arrivedMs: number): EsmRecord | undefined {
    const cursor = this.#cursor
    const { topic, partition, filter } = this.#options
    const offset = Number(cursor.offset())
    this.#position = offset + 1
    if (filter?.(cursor.value()) === false) return undefined
    const text = recordText(topic, partition, cursor)
    return { partition, offset, timestampMs: cursor.timestampMs, text, bytes: Buffer.byteLength(text), arrivedMs }
  }
}
