/**
 * One segment of a partition's log: a `.log` file of record batches, its offset
 * index, its time index, and the index of aborted transactions, whose file is
 * there only if there are any.
 *
 * `sizeBytes` is what the file holds for certain; readers never go beyond it.
 * Index entries are made only for bytes that are written, so a failed write
 * leaves nothing to undo here. They reach their files later: at roll, flush and
 * close, and when enough of them wait. What a crash takes of them is rebuilt
 * from the log.
 *
 * Invariants: positions fit in an int32 (`segment.bytes` is an int32); offsets
 * are less than 2^31 above the base offset.
 */

import path from 'node:path'
import { INDEX_SUFFIX, LOG_SUFFIX, offsetFileName, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX } from './file-names.ts'
import type { FilePool } from './file-pool.ts'
import type { FixedEntries } from './fixed-entries.ts'
import { OffsetIndex } from './offset-index.ts'
import { TimeIndex, type TimestampOffset } from './time-index.ts'
import { type AbortedTransaction, TransactionIndex } from './transaction-index.ts'

/** What a segment needs to know of a batch that is in its file. */
export interface WrittenBatch {
  readonly lastOffset: bigint
  readonly maxTimestampMs: bigint
  readonly position: number
  readonly sizeBytes: number
}

/** The indexes of a segment. */
export interface SegmentIndexes {
  readonly offsets: OffsetIndex
  readonly times: TimeIndex
  readonly aborts: TransactionIndex
}

/** Any index: what saving needs. */
type IndexFile = Pick<FixedEntries, 'unsaved' | 'markSaved'>

/** A segment file and what is known of it. */
export class Segment {
  readonly baseOffset: bigint
  readonly logPath: string
  readonly indexPath: string
  readonly timeIndexPath: string
  readonly transactionIndexPath: string
  /** Bytes of whole batches in the file. */
  sizeBytes = 0
  /** Bytes in the file and bytes that wait to be written to it. */
  plannedBytes = 0
  /** Largest timestamp of a record, or -1, and the last offset of its batch. */
  maxTimestamp: TimestampOffset
  /** Largest timestamp of the first batch: the age of the segment counts from it. */
  firstTimestampMs: bigint | undefined
  /** When the segment was begun, or its file last changed before this start; epoch milliseconds. */
  touchedMs: number
  /** Whether it gets no more batches. */
  isSealed = false
  /** Whether everything in it is durable. */
  isFlushed = false
  /** The indexes while the segment is active or being looked at; else they are in their files. */
  indexes: SegmentIndexes | undefined
  /** Whether the marker of an aborted transaction is in it: only then it has a file of them. */
  hasAborts = false
  /** Taken off `segment.ms` for this segment. */
  rollJitterMs = 0
  /** Producer state at the base offset, to be written when the segment is begun. */
  startSnapshot: Buffer | undefined
  #bytesSinceEntry = 0

  constructor(folder: string, baseOffset: bigint, nowMs: number) {
    this.baseOffset = baseOffset
    this.logPath = path.join(folder, offsetFileName(baseOffset, LOG_SUFFIX))
    this.indexPath = path.join(folder, offsetFileName(baseOffset, INDEX_SUFFIX))
    this.timeIndexPath = path.join(folder, offsetFileName(baseOffset, TIME_INDEX_SUFFIX))
    this.transactionIndexPath = path.join(folder, offsetFileName(baseOffset, TRANSACTION_INDEX_SUFFIX))
    this.maxTimestamp = { timestampMs: -1n, offset: baseOffset }
    this.touchedMs = nowMs
  }

  /** All files that it may have. */
  get paths(): string[] {
    return [...this.#steadyPaths, this.transactionIndexPath]
  }

  /** The files that every segment has. */
  get #steadyPaths(): string[] {
    return [this.logPath, this.indexPath, this.timeIndexPath]
  }

  /** Creates the files that are missing. */
  async createFiles(pool: FilePool): Promise<void> {
    for (const file of this.#steadyPaths) await pool.create(file)
  }

  /**
   * Gives the segment empty indexes: a new segment, or one whose indexes are rebuilt.
   *
   * @param aborts - Aborted transactions to keep: the log of one segment alone does not tell them.
   */
  resetIndexes(aborts: TransactionIndex = new TransactionIndex()): SegmentIndexes {
    this.indexes = { offsets: new OffsetIndex(this.baseOffset), times: new TimeIndex(this.baseOffset), aborts }
    this.#bytesSinceEntry = 0
    return this.indexes
  }

  /** Takes a batch that is in the file into size, timestamps and indexes. */
  noteWritten(batch: WrittenBatch, indexIntervalBytes: number): void {
    this.firstTimestampMs ??= batch.maxTimestampMs
    if (batch.maxTimestampMs > this.maxTimestamp.timestampMs) {
      this.maxTimestamp = { timestampMs: batch.maxTimestampMs, offset: batch.lastOffset }
    }
    if (this.#bytesSinceEntry > indexIntervalBytes && this.indexes !== undefined) {
      this.indexes.offsets.append(batch.lastOffset, batch.position)
      this.indexes.times.append(this.maxTimestamp)
      this.#bytesSinceEntry = 0
    }
    this.#bytesSinceEntry += batch.sizeBytes
    this.sizeBytes = batch.position + batch.sizeBytes
    this.plannedBytes = Math.max(this.plannedBytes, this.sizeBytes)
    this.isFlushed = false
  }

  /** Takes the marker of an aborted transaction that is in the file. */
  noteAborted(aborted: AbortedTransaction): void {
    this.hasAborts = true
    this.indexes?.aborts.append(aborted)
  }

  /** Closes the time index of a segment that gets no more batches: its last entry is the largest timestamp. */
  closeTimeIndex(): void {
    if (this.maxTimestamp.timestampMs >= 0n) this.indexes?.times.append(this.maxTimestamp)
  }

  /** How many bytes of index entries are not in their files. */
  get unsavedIndexBytes(): number {
    if (this.indexes === undefined) return 0
    const { offsets, times, aborts } = this.indexes
    return offsets.unsavedBytes + times.unsavedBytes + aborts.unsavedBytes
  }

  /** Writes index entries that their files lack. */
  async saveIndexes(pool: FilePool): Promise<void> {
    if (this.indexes === undefined) return
    await saveIndex(pool, this.indexPath, this.indexes.offsets)
    await saveIndex(pool, this.timeIndexPath, this.indexes.times)
    if (this.indexes.aborts.unsavedBytes === 0) return
    await pool.create(this.transactionIndexPath)
    await saveIndex(pool, this.transactionIndexPath, this.indexes.aborts)
  }

  /** Replaces the aborted transactions, and writes those that their file lacks. */
  async replaceAborts(aborts: TransactionIndex, pool: FilePool): Promise<void> {
    if (aborts.unsavedBytes > 0) {
      await pool.create(this.transactionIndexPath)
      await saveIndex(pool, this.transactionIndexPath, aborts)
    }
    if (this.indexes !== undefined) this.indexes = { ...this.indexes, aborts }
  }

  /** Makes log and indexes durable. */
  async sync(pool: FilePool): Promise<void> {
    for (const file of this.#steadyPaths) await pool.use(file, file => file.sync())
    await this.syncTransactionIndex(pool)
  }

  /** Makes the file of aborted transactions durable, if there is one. */
  async syncTransactionIndex(pool: FilePool): Promise<void> {
    // A marker may have come since the entries were saved: its file is made when they are saved the next time.
    const isThere = this.hasAborts && (this.indexes === undefined || this.indexes.aborts.savedBytes > 0)
    if (isThere) await pool.use(this.transactionIndexPath, file => file.sync())
  }
}

async function saveIndex(pool: FilePool, file: string, index: IndexFile): Promise<void> {
  const entries = index.unsaved()
  if (entries === undefined) return
  await pool.use(file, file => file.write([entries.bytes], entries.position))
  index.markSaved(entries)
}
