/**
 * A segment that compaction writes: batches go to `….log.cleaned`, its indexes
 * are made on the way. Nobody reads it before it has its final name.
 */

import fs from 'node:fs/promises'
import { readBatchHeader } from '../../../protocol/index.ts'
import type { FilePool } from '../file-pool.ts'
import { lastOffsetOf } from '../segment-scan.ts'
import { CLEANED_SUFFIX, discardCleaned } from '../segment-swap.ts'
import { Segment } from '../segment.ts'
import type { AbortedRange } from './cleaned-transactions.ts'

/** Bytes that gather before they are written. */
const WRITE_BYTES = 1024 * 1024

/** Where and how it is written. */
export interface CleanedSegmentOptions {
  readonly pool: FilePool
  readonly folder: string
  /** The segments it is made from. */
  readonly sources: readonly Segment[]
  readonly indexIntervalBytes: number
}

/** Writes one compacted segment. */
export class CleanedSegment {
  readonly segment: Segment
  readonly #options: CleanedSegmentOptions
  readonly #waiting: Buffer[] = []
  #waitingBytes = 0
  #position = 0

  private constructor(options: CleanedSegmentOptions) {
    const [first] = options.sources
    this.#options = options
    const touchedMs = options.sources.at(-1)?.touchedMs ?? 0
    this.segment = new Segment(options.folder, first?.baseOffset ?? 0n, touchedMs)
    this.segment.resetIndexes()
  }

  /** Begins one, in place of what a compaction that failed may have left. */
  static async create(options: CleanedSegmentOptions): Promise<CleanedSegment> {
    const cleaned = new CleanedSegment(options)
    await cleaned.discard()
    const { logPath, indexPath, timeIndexPath } = cleaned.segment
    try {
      for (const file of [logPath, indexPath, timeIndexPath]) await options.pool.create(file + CLEANED_SUFFIX)
    } catch (error) {
      await cleaned.discard()
      throw error
    }
    return cleaned
  }

  /** Bytes taken so far. */
  get sizeBytes(): number {
    return this.segment.sizeBytes
  }

  /** Takes one batch. A view is copied when it has to wait, so it may change after the call. */
  async append(batch: Buffer): Promise<void> {
    const header = readBatchHeader(batch, 0)
    const position = this.segment.sizeBytes
    const { sizeBytes, maxTimestamp: maxTimestampMs } = header
    this.segment.noteWritten(
      { lastOffset: lastOffsetOf(header), maxTimestampMs, position, sizeBytes },
      this.#options.indexIntervalBytes
    )
    this.#waiting.push(Buffer.from(batch))
    this.#waitingBytes += sizeBytes
    if (this.#waitingBytes >= WRITE_BYTES) await this.#write()
  }

  /** Writes what is left, with the indexes, and makes all of it durable. */
  async finish(aborted: readonly AbortedRange[]): Promise<Segment> {
    const { segment } = this
    const { pool } = this.#options
    await this.#write()
    segment.closeTimeIndex()
    for (const each of aborted) segment.noteAborted(each)
    if (segment.hasAborts) await pool.create(segment.transactionIndexPath + CLEANED_SUFFIX)
    const { indexes } = segment
    for (const [file, index] of [
      [segment.logPath, undefined],
      [segment.indexPath, indexes?.offsets],
      [segment.timeIndexPath, indexes?.times],
      [segment.transactionIndexPath, segment.hasAborts ? indexes?.aborts : undefined]
    ] as const) {
      if (file === segment.transactionIndexPath && !segment.hasAborts) continue
      const entries = index?.unsaved()
      await pool.use(file + CLEANED_SUFFIX, async open => {
        if (entries !== undefined) await open.write([entries.bytes], 0)
        await open.sync()
      })
    }
    // Records without timestamps are as old as their file.
    const time = segment.touchedMs / 1000
    await fs.utimes(segment.logPath + CLEANED_SUFFIX, time, time)
    segment.isSealed = true
    segment.isFlushed = true
    // They are in their files by now and are read back when somebody looks.
    segment.indexes = undefined
    return segment
  }

  /** Removes the files. */
  discard(): Promise<void> {
    return discardCleaned(this.segment, this.#options.pool)
  }

  async #write(): Promise<void> {
    if (this.#waitingBytes === 0) return
    const buffers = this.#waiting.splice(0)
    const position = this.#position
    this.#position += this.#waitingBytes
    this.#waitingBytes = 0
    await this.#options.pool.use(this.segment.logPath + CLEANED_SUFFIX, file => file.write(buffers, position))
  }
}
