/**
 * The end of a partition's log: gives batches their offsets, has them written,
 * and knows up to where they are.
 *
 * A batch is planned at once, in memory: it gets its offset and its place, and
 * the producer state is that after it. The writer settles it later. What was
 * planned and could not be written is undone, in reverse order, and its offsets
 * are given again.
 *
 * A transaction holds back the last stable offset from when it is planned until
 * its marker is written, so no reader of committed records sees a part of it,
 * whatever fails.
 *
 * Invariants: last stable offset ≤ high watermark ≤ next offset.
 */

import { randomInt } from '../../core/index.ts'
import { stampBatch, stampLogAppendTime, type RecordBatchHeader } from '../../protocol/index.ts'
import type { AppendResult, RefusedBatch } from './append-result.ts'
import { unwritten } from './append-refusals.ts'
import type { LogEnvironment } from './log-environment.ts'
import { LogWriter, type LogWriterOwner, type PlannedBatch } from './log-writer.ts'
import { encodeProducerSnapshot } from './producer-snapshot.ts'
import type { ProducerChange, ProducerState } from './producer-state.ts'
import { Segment } from './segment.ts'
import type { SegmentList } from './segment-list.ts'
import { shouldRoll } from './segment-roll.ts'
import type { SnapshotFiles } from './snapshot-files.ts'
import type { LogConfig } from './topic-config.ts'

const NOTHING = Buffer.alloc(0)

/** What the end of a log needs of the log. */
export interface LogTailOwner {
  readonly environment: LogEnvironment
  readonly folder: string
  readonly segments: SegmentList
  readonly snapshots: SnapshotFiles
  readonly producers: ProducerState
  readonly logFields: Readonly<Record<string, unknown>>
  config(): LogConfig
  leaderEpoch(): number
  logStartOffset(): bigint
  /** Makes a file durable. Rejects, and takes the log offline, if that fails. */
  syncFile(path: string): Promise<void>
  /** Bytes were written to the active segment, and offsets have moved. */
  written(bytes: number): void
}

/** A batch that may be appended. */
export interface TailBatch {
  readonly records: Buffer
  readonly header: RecordBatchHeader
  /** Takes the batch into the producer state, now that it has an offset; `undefined` if it concerns nobody. */
  readonly track: ((baseOffset: bigint, timestampMs: bigint) => ProducerChange) | undefined
}

/** The end of one log. */
export class LogTail {
  readonly #owner: LogTailOwner
  readonly #writer: LogWriter
  #nextOffset: bigint
  #highWatermark: bigint
  #unflushedRecords = 0

  /** @param nextOffset - Offset after all that is written. */
  constructor(owner: LogTailOwner, nextOffset: bigint) {
    this.#owner = owner
    this.#nextOffset = nextOffset
    this.#highWatermark = nextOffset
    this.#writer = new LogWriter(this.#writerOwner(), owner.segments.active)
  }

  /** Offset that the next append gets. */
  get nextOffset(): bigint {
    return this.#nextOffset
  }

  /** Offset after the last record that is written. */
  get highWatermark(): bigint {
    return this.#highWatermark
  }

  /** First offset of an open transaction, at least the log start offset; else the high watermark. */
  get lastStableOffset(): bigint {
    const first = this.#owner.producers.firstUnstableOffset
    if (first === undefined || first >= this.#highWatermark) return this.#highWatermark
    const logStartOffset = this.#owner.logStartOffset()
    return first < logStartOffset ? logStartOffset : first
  }

  /** Segment that was last written to. */
  get writtenSegment(): Segment {
    return this.#writer.segment
  }

  /** Whether everything that was planned is settled. */
  get isIdle(): boolean {
    return this.#writer.isIdle
  }

  /** Resolves when everything planned so far is settled. */
  idle(): Promise<void> {
    return this.#writer.idle()
  }

  /** Gives a checked batch its offset and place and queues it. Must not wait: order of calls is order of offsets. */
  plan({ records, header, track }: TailBatch, nowMs: number): Promise<AppendResult> {
    const baseOffset = this.#nextOffset
    const lastOffset = baseOffset + BigInt(header.lastOffsetDelta)
    const config = this.#owner.config()
    const isStampedWithTime = config.timestampType === 'LogAppendTime'
    const maxTimestampMs = isStampedWithTime ? BigInt(nowMs) : header.maxTimestamp
    const sizeBytes = records.length
    const { segments } = this.#owner
    if (shouldRoll(segments.active, { sizeBytes, lastOffset, maxTimestampMs, nowMs }, config)) this.#planRoll(nowMs)
    const segment = segments.active
    stampBatch(records, 0, baseOffset, this.#owner.leaderEpoch())
    if (isStampedWithTime) stampLogAppendTime(records, 0, nowMs)
    const change = track?.(baseOffset, maxTimestampMs)
    const position = segment.plannedBytes
    segment.plannedBytes += sizeBytes
    this.#nextOffset = lastOffset + 1n
    return new Promise(resolve => {
      this.#writer.push({
        buffer: records,
        segment,
        position,
        recordCount: header.recordCount,
        lastOffset,
        maxTimestampMs,
        change,
        settle: error => {
          if (error !== undefined) return resolve(unwritten(error))
          const logAppendTimeMs = isStampedWithTime ? maxTimestampMs : -1n
          const logStartOffset = this.#owner.logStartOffset()
          resolve({ errorCode: 0, baseOffset, lastOffset, logAppendTimeMs, logStartOffset, isDuplicate: false })
        }
      })
    })
  }

  /** Queues something without bytes: it resolves when all before it is written, refused if that failed. */
  pushBarrier<T>(value: () => T, segment: Segment = this.#owner.segments.active): Promise<T | RefusedBatch> {
    return new Promise(resolve => {
      this.#writer.push({
        buffer: NOTHING,
        segment,
        position: 0,
        recordCount: 0,
        lastOffset: this.#nextOffset - 1n,
        maxTimestampMs: -1n,
        change: undefined,
        settle: error => {
          if (error === undefined) resolve(value())
          else resolve(unwritten(error))
        }
      })
    })
  }

  /** Begins a new segment without a batch, so that the active one can be removed. */
  async rollEmpty(): Promise<void> {
    if (this.#owner.segments.active.plannedBytes === 0) return
    await this.pushBarrier(() => undefined, this.#planRoll(this.#owner.environment.clock.now()))
  }

  #planRoll(nowMs: number): Segment {
    const { environment, producers, segments } = this.#owner
    const segment = new Segment(this.#owner.folder, this.#nextOffset, nowMs)
    segment.resetIndexes()
    const { segmentJitterMs, segmentMs } = this.#owner.config()
    if (segmentJitterMs > 0) {
      segment.rollJitterMs = randomInt(environment.random, Math.min(segmentJitterMs, segmentMs))
    }
    segment.startSnapshot = encodeProducerSnapshot(producers.entries(), producers.count)
    segments.push(segment)
    return segment
  }

  #writerOwner(): LogWriterOwner {
    const { pool, logger } = this.#owner.environment
    return {
      pool,
      logger,
      flushIfDue: batches => this.#flushIfDue(batches),
      written: batches => this.#noteWritten(batches),
      rolled: (previous, segment) => this.#noteRolled(previous, segment),
      abandoned: (batches, error) => this.#noteAbandoned(batches, error)
    }
  }

  /** `flush.messages`: records are made durable before they are acknowledged. */
  #flushIfDue(batches: readonly PlannedBatch[]): Promise<void> | undefined {
    let records = this.#unflushedRecords
    for (const batch of batches) records += batch.recordCount
    if (records < this.#owner.config().flushMessages) return undefined
    return this.#owner.syncFile(this.#writer.segment.logPath)
  }

  #noteWritten(batches: readonly PlannedBatch[]): void {
    const { flushMessages, indexIntervalBytes } = this.#owner.config()
    const { trouble } = this.#owner.environment
    if (trouble.isOn) trouble.over()
    let bytes = 0
    for (const { buffer, segment, position, lastOffset, maxTimestampMs, recordCount, change } of batches) {
      const sizeBytes = buffer.length
      segment.noteWritten({ lastOffset, maxTimestampMs, position, sizeBytes }, indexIntervalBytes)
      bytes += sizeBytes
      this.#unflushedRecords += recordCount
      this.#highWatermark = lastOffset + 1n
      const ending = change?.ending
      if (ending === undefined) continue
      const lastStableOffset = this.#owner.producers.complete(ending)
      if (!ending.isCommit) segment.noteAborted({ ...ending, lastStableOffset })
    }
    if (this.#unflushedRecords >= flushMessages) this.#unflushedRecords = 0
    this.#owner.written(bytes)
  }

  async #noteRolled(previous: Segment, segment: Segment): Promise<void> {
    const { pool } = this.#owner.environment
    // Records in it count for `flush.messages`, and nobody comes back to it for that.
    const isFlushCounted = this.#owner.config().flushMessages < Number.MAX_SAFE_INTEGER
    if (isFlushCounted && this.#unflushedRecords > 0) await this.#owner.syncFile(previous.logPath)
    previous.closeTimeIndex()
    await previous.saveIndexes(pool)
    // Recovery begins at the snapshot and believes that the aborted transactions below it are in their files.
    await previous.syncTransactionIndex(pool)
    await segment.createFiles(pool)
    if (segment.startSnapshot !== undefined) {
      await this.#owner.snapshots.write(segment.baseOffset, segment.startSnapshot)
      segment.startSnapshot = undefined
    }
    // Last, after all waits: a flush takes the indexes of sealed segments out of memory.
    previous.isSealed = true
  }

  #noteAbandoned(batches: readonly PlannedBatch[], error: unknown): void {
    for (const { change } of batches.toReversed()) {
      if (change !== undefined) this.#owner.producers.undo(change)
    }
    const active = this.#writer.segment
    this.#owner.segments.dropAfter(active)
    active.plannedBytes = active.sizeBytes
    this.#nextOffset = this.#highWatermark
    const { environment, logFields } = this.#owner
    environment.trouble.note(error, 'appends are refused until then', logFields)
  }
}
