/**
 * The log of one partition: assigns offsets, writes batches, reads them back.
 *
 * An append is checked and gets its offset at once, in memory; the bytes are
 * written by one writer per partition, which takes everything that has gathered
 * in one call. The high watermark moves when bytes are written, never before,
 * so nobody reads what a crash of the process could take back. There is one
 * replica, hence high watermark = end of what is written.
 *
 * If a write fails, offsets and producer state go back to what is written. If a
 * flush fails, nothing is known about the disk any more: the partition takes no
 * appends until the broker starts again, as with Kafka's offline log folders.
 *
 * Invariants: high watermark ≤ next offset; log start offset ≤ high watermark;
 * recovery point ≤ high watermark, and all below it is durable.
 */

import { messageOf, randomInt } from '../../core/index.ts'
import { KAFKA_ERRORS, stampBatch, stampLogAppendTime } from '../../protocol/index.ts'
import type { AppendedBatch, AppendResult, RefusedBatch } from './append-result.ts'
import type { InvalidBatch, ValidBatch } from './batch-validator.ts'
import { systemErrorCode } from './disk.ts'
import { IndexSaver } from './index-saver.ts'
import type { EpochEnd, LeaderEpochs } from './leader-epochs.ts'
import type { LogEnvironment } from './log-environment.ts'
import { type FlushTarget, LogFlusher } from './log-flusher.ts'
import { LogReader } from './log-reader.ts'
import { type RecoveredLog, recoverLog, removeFiles } from './log-recovery.ts'
import { LogWriter, type LogWriterOwner, type PlannedBatch } from './log-writer.ts'
import { preparePartitionFolder, saveLeaderEpochs } from './partition-folder.ts'
import type { AppendOptions, DeleteRecordsResult, PartitionLogOptions } from './partition-log-options.ts'
import { encodeProducerSnapshot } from './producer-snapshot.ts'
import type { ProducerState, SequenceVerdict } from './producer-state.ts'
import { type ReadOptions, type ReadResult, readLog } from './read-log.ts'
import { countToDelete } from './retention.ts'
import { Segment } from './segment.ts'
import { SegmentList } from './segment-list.ts'
import { shouldRoll } from './segment-roll.ts'
import { SnapshotFiles } from './snapshot-files.ts'
import { maxTimestampOffset, offsetForTimestamp, type TimestampedOffset } from './timestamp-lookup.ts'
import type { LogConfig } from './topic-config.ts'

const NOTHING = Buffer.alloc(0)

/** The log of one partition. */
export class PartitionLog {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  /** Bytes that recovery had to check when this log was opened. */
  readonly recoveredBytes: number
  readonly #environment: LogEnvironment
  #folder: string
  #config: LogConfig
  readonly #segments: SegmentList
  readonly #producers: ProducerState
  readonly #epochs: LeaderEpochs
  readonly #reader: LogReader
  readonly #writer: LogWriter
  readonly #listeners = new Set<() => void>()
  #nextOffset: bigint
  #highWatermark: bigint
  #logStartOffset: bigint
  readonly #flusher: LogFlusher
  readonly #indexSaver: IndexSaver
  #appendedBytes: number
  #unflushedRecords = 0
  #isClosed = false

  private constructor(options: PartitionLogOptions, recovered: RecoveredLog) {
    this.topic = options.topic
    this.partition = options.partition
    this.topicId = options.topicId
    this.#folder = options.folder
    this.#config = options.config
    this.#environment = options.environment
    this.#segments = new SegmentList(recovered.segments)
    this.#appendedBytes = this.#segments.sizeBytes
    this.#producers = recovered.producers
    this.#epochs = recovered.epochs
    this.#nextOffset = recovered.nextOffset
    this.#highWatermark = recovered.nextOffset
    this.#logStartOffset = recovered.logStartOffset
    this.recoveredBytes = recovered.scannedBytes
    const isPointInLog = options.recoveryPoint <= recovered.nextOffset
    this.#flusher = new LogFlusher(this.#flushedLog(), {
      recoveryPoint: isPointInLog ? options.recoveryPoint : recovered.nextOffset,
      unflushedBytes: recovered.scannedBytes - recovered.truncatedBytes
    })
    this.#reader = new LogReader(options.environment.pool, options.environment.indexes)
    this.#indexSaver = new IndexSaver(options.environment, this.#name())
    this.#writer = new LogWriter(this.#writerOwner(), this.#segments.active)
  }

  /**
   * Opens a partition, creating its folder if there is none, and recovers it.
   * Rejects with a system error if the disk cannot be read or written.
   */
  static async open(options: PartitionLogOptions): Promise<PartitionLog> {
    const { environment, folder } = options
    await preparePartitionFolder(folder, options.topicId)
    const recovered = await recoverLog({
      folder,
      pool: environment.pool,
      logger: environment.logger,
      indexIntervalBytes: options.config.indexIntervalBytes,
      nowMs: environment.clock.now(),
      recoveryPoint: options.recoveryPoint,
      logStartOffset: options.logStartOffset
    })
    const { epochs, latestEpochSeen, nextOffset } = recovered
    const latest = Math.max(latestEpochSeen, epochs.latest)
    // Records after the last flush may be gone with the machine: a new epoch lets consumers that saw them find out.
    const epoch = options.wasCleanStop || latest < 0 ? Math.max(latest, 0) : latest + 1
    if (epochs.assign(epoch, nextOffset) || latest !== latestEpochSeen) await saveLeaderEpochs(folder, epochs)
    return new PartitionLog(options, recovered)
  }

  /** Folder of this partition. */
  get folder(): string {
    return this.#folder
  }

  /** Epoch that appended batches are stamped with. */
  get leaderEpoch(): number {
    return Math.max(0, this.#epochs.latest)
  }

  /** First offset that can be read. */
  get logStartOffset(): bigint {
    return this.#logStartOffset
  }

  /** Offset that the next append gets: records below it may still be on their way to the disk. */
  get nextOffset(): bigint {
    return this.#nextOffset
  }

  /** Offset after the last record that is written. */
  get highWatermark(): bigint {
    return this.#highWatermark
  }

  /** First offset of an open transaction, else the high watermark. */
  get lastStableOffset(): bigint {
    return this.#highWatermark
  }

  /** Everything below is durable. */
  get recoveryPoint(): bigint {
    return this.#flusher.recoveryPoint
  }

  /** Base offset of the oldest segment. */
  get firstSegmentOffset(): bigint {
    return this.#segments.first.baseOffset
  }

  /** Bytes of all segments. */
  get sizeBytes(): number {
    return this.#segments.sizeBytes
  }

  /** Bytes found at the start and appended since, removed ones included. */
  get appendedBytes(): number {
    return this.#appendedBytes
  }

  /** How many segments there are. */
  get segmentCount(): number {
    return this.#segments.all.length
  }

  /** Bytes that a recovery would have to check now. */
  get unflushedBytes(): number {
    return this.#flusher.unflushedBytes
  }

  /** When the oldest record that is not flushed was written, in epoch milliseconds. */
  get firstUnflushedMs(): number | undefined {
    return this.#flusher.firstUnflushedMs
  }

  /** Whether a flush failed: no appends until the broker starts again. */
  get isOffline(): boolean {
    return this.#flusher.isOffline
  }

  /** The idempotent producers of this partition. */
  get producers(): ProducerState {
    return this.#producers
  }

  get config(): LogConfig {
    return this.#config
  }

  /** Changed topic settings; they apply from the next append or check on. */
  setConfig(config: LogConfig): void {
    this.#config = config
  }

  /**
   * Appends one batch. The bytes are changed in place (base offset, leader epoch)
   * and must not be touched by the caller until the promise resolves.
   *
   * Resolves when the bytes are written, with the offset or with a code of Kafka's
   * protocol; it never rejects. Offsets are assigned in order of the calls.
   */
  append(records: Buffer, options: AppendOptions = {}): Promise<AppendResult> {
    const origin = options.origin ?? 'client'
    if (this.#isClosed) return unavailable(KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION, 'it is closed')
    if (this.isOffline) return unavailable(KAFKA_ERRORS.KAFKA_STORAGE_ERROR, 'its disk failed')
    const nowMs = this.#environment.clock.now()
    const checked = this.#environment.validator.validate(records, { config: this.#config, origin, nowMs })
    if (!checked.isValid) return this.#refuseBatch(checked)
    const { header } = checked
    if (origin === 'client' && header.producerId >= 0n) {
      const verdict = this.#producers.check(header)
      if (verdict.kind !== 'next') return this.#answerSequence(verdict, header.producerId)
    }
    return this.#plan(checked, nowMs)
  }

  /** Reads whole batches from the one that contains the offset on. Never rejects: a failed disk is an error code. */
  async read(fromOffset: bigint, bytesMax: number, options: ReadOptions = {}): Promise<ReadResult> {
    const { highWatermark, lastStableOffset } = this
    const logStartOffset = (): bigint => this.#logStartOffset
    const log = { segments: this.#segments, reader: this.#reader, highWatermark, lastStableOffset, logStartOffset }
    if (this.#isClosed) return this.#unreadable(KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION)
    try {
      return await readLog(log, { fromOffset, bytesMax, options })
    } catch (error) {
      if (systemErrorCode(error) === '') throw error
      const isGone = this.#isClosed && systemErrorCode(error) === 'ENOENT'
      if (isGone) return this.#unreadable(KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION)
      this.#environment.logger.error({ ...this.#name(), error: messageOf(error) }, 'the log could not be read')
      return this.#unreadable(KAFKA_ERRORS.KAFKA_STORAGE_ERROR)
    }
  }

  /** The first record at or after a timestamp in epoch milliseconds; `undefined` if there is none. */
  offsetForTimestamp(timestampMs: bigint): Promise<TimestampedOffset | undefined> {
    return offsetForTimestamp(this.#timestampSearch(), timestampMs)
  }

  /** The first record with the largest timestamp; `undefined` if no record has one. */
  maxTimestampOffset(): Promise<TimestampedOffset | undefined> {
    return maxTimestampOffset(this.#timestampSearch())
  }

  /** Where a leader epoch ended. Source: OffsetForLeaderEpoch. */
  endOffsetOf(epoch: number): EpochEnd {
    return this.#epochs.endOf(epoch, this.#highWatermark)
  }

  /** The leader epoch in which the record at an offset was written, or -1. */
  leaderEpochAt(offset: bigint): number {
    return this.#epochs.entries.findLast(entry => entry.startOffset <= offset)?.epoch ?? -1
  }

  /**
   * Calls back whenever records became readable or went away: for fetches that wait.
   *
   * @returns Ends the calls.
   */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /**
   * Makes everything below an offset unreadable, durably, and removes segments that lie below it as a whole.
   *
   * @param beforeOffset - First offset to keep; -1 for the high watermark.
   */
  async deleteRecords(beforeOffset: bigint): Promise<DeleteRecordsResult> {
    const target = beforeOffset === -1n ? this.#highWatermark : beforeOffset
    if (this.#isClosed || target < 0n || target > this.#highWatermark) {
      return { errorCode: KAFKA_ERRORS.OFFSET_OUT_OF_RANGE.code, lowWatermark: -1n }
    }
    if (target > this.#logStartOffset) {
      this.#logStartOffset = target
      try {
        await this.#environment.saveLogStartOffsets()
        this.#changed()
        await this.#dropSegments(countToDelete(this.#retentionInput({ ...this.#config, isDeleted: false })))
      } catch (error) {
        if (systemErrorCode(error) === '') throw error
        this.#environment.logger.error({ ...this.#name(), error: messageOf(error) }, 'records could not be deleted')
        return { errorCode: KAFKA_ERRORS.KAFKA_STORAGE_ERROR.code, lowWatermark: -1n }
      }
    }
    return { errorCode: 0, lowWatermark: this.#logStartOffset }
  }

  /** Removes segments that retention no longer keeps. Resolves with how many. */
  async applyRetention(): Promise<number> {
    if (this.#isClosed || this.isOffline) return 0
    let count = countToDelete(this.#retentionInput(this.#config))
    if (count === this.segmentCount) {
      // Records on their way keep the active segment alive.
      if (this.#writer.isIdle) await this.#rollEmpty()
      else count -= 1
    }
    return this.#dropSegments(count)
  }

  /** Forgets idempotent producers that wrote nothing for a time. Source: `producer.id.expiration.ms`. */
  expireProducers(expirationMs: number): number {
    return this.#producers.expire(this.#environment.clock.now(), expirationMs)
  }

  /**
   * Makes everything appended so far durable, with a producer snapshot, and moves
   * the recovery point there. A failed flush takes the partition offline.
   */
  flush(): Promise<void> {
    return this.#flusher.flush()
  }

  /** Writes what is queued, flushes, and takes no more appends. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.flush()
    await this.#release()
  }

  /** Ends all use of the files without a flush: before the folder is removed. Idempotent. */
  async abandon(): Promise<void> {
    this.#isClosed = true
    this.#flusher.stop()
    await this.#writer.idle()
    await this.#flusher.exclusive(() => this.#release())
  }

  /** Says that the folder was renamed. */
  movedTo(folder: string): void {
    this.#folder = folder
  }

  #unreadable(error: { readonly code: number }): ReadResult {
    const { highWatermark, lastStableOffset, logStartOffset } = this
    return { errorCode: error.code, records: NOTHING, highWatermark, lastStableOffset, logStartOffset }
  }

  async #release(): Promise<void> {
    await this.#writer.idle()
    for (const segment of this.#segments.all) for (const file of segment.paths) this.#environment.pool.forget(file)
    this.#changed()
  }

  /** Refused by what the log knows of the producer. */
  #refuse(error: { readonly code: number }, errorMessage: string): Promise<RefusedBatch> {
    const logStartOffset = this.#logStartOffset
    return Promise.resolve({ errorCode: error.code, errorMessage, recordErrors: [], logStartOffset })
  }

  #refuseBatch({ errorCode, errorMessage, recordErrors, isUnframed }: InvalidBatch): Promise<RefusedBatch> {
    const logStartOffset = isUnframed ? -1n : this.#logStartOffset
    return Promise.resolve({ errorCode, errorMessage, recordErrors, logStartOffset })
  }

  #answerSequence(verdict: Exclude<SequenceVerdict, { kind: 'next' }>, producerId: bigint): Promise<AppendResult> {
    switch (verdict.kind) {
      case 'staleEpoch': {
        const text = `producer id ${producerId} is at epoch ${verdict.currentEpoch} by now`
        return this.#refuse(KAFKA_ERRORS.INVALID_PRODUCER_EPOCH, text)
      }
      case 'outOfOrder': {
        const text = `the next sequence of producer id ${producerId} is ${verdict.expectedSequence}`
        return this.#refuse(KAFKA_ERRORS.OUT_OF_ORDER_SEQUENCE_NUMBER, text)
      }
      case 'duplicate': {
        const { firstOffset, lastOffset, timestampMs } = verdict.batch
        const logAppendTimeMs = this.#config.timestampType === 'LogAppendTime' ? timestampMs : -1n
        const result = { baseOffset: firstOffset, lastOffset, logAppendTimeMs, isDuplicate: true }
        if (lastOffset < this.#highWatermark) return Promise.resolve(this.#appended(result))
        // The original is still on its way: the retry shares its fate.
        return this.#pushBarrier(this.#segments.active, () => this.#appended(result))
      }
    }
  }

  #appended(result: Omit<AppendedBatch, 'errorCode' | 'logStartOffset'>): AppendedBatch {
    return { errorCode: 0, ...result, logStartOffset: this.#logStartOffset }
  }

  /** Gives a checked batch its offset and place and queues it. Must not wait: order of calls is order of offsets. */
  #plan({ records, header }: ValidBatch, nowMs: number): Promise<AppendResult> {
    const baseOffset = this.#nextOffset
    const lastOffset = baseOffset + BigInt(header.lastOffsetDelta)
    const isStampedWithTime = this.#config.timestampType === 'LogAppendTime'
    const maxTimestampMs = isStampedWithTime ? BigInt(nowMs) : header.maxTimestamp
    const sizeBytes = records.length
    if (shouldRoll(this.#segments.active, { sizeBytes, lastOffset, maxTimestampMs, nowMs }, this.#config)) {
      this.#planRoll(nowMs)
    }
    const segment = this.#segments.active
    stampBatch(records, 0, baseOffset, this.leaderEpoch)
    if (isStampedWithTime) stampLogAppendTime(records, 0, nowMs)
    const { producerId } = header
    const isSequenced = producerId >= 0n && header.baseSequence >= 0
    const entry = isSequenced ? this.#producers.apply(header, baseOffset, maxTimestampMs) : undefined
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
        undo: isSequenced ? { producerId, entry } : undefined,
        settle: error => {
          const logAppendTimeMs = isStampedWithTime ? maxTimestampMs : -1n
          if (error === undefined)
            resolve(this.#appended({ baseOffset, lastOffset, logAppendTimeMs, isDuplicate: false }))
          else resolve(unwritten(error))
        }
      })
    })
  }

  /** Queues something without bytes: it resolves when all before it is written, refused if that failed. */
  #pushBarrier<T>(segment: Segment, value: () => T): Promise<T | RefusedBatch> {
    return new Promise(resolve => {
      this.#writer.push({
        buffer: NOTHING,
        segment,
        position: 0,
        recordCount: 0,
        lastOffset: this.#nextOffset - 1n,
        maxTimestampMs: -1n,
        undo: undefined,
        settle: error => {
          if (error === undefined) resolve(value())
          else resolve(unwritten(error))
        }
      })
    })
  }

  #planRoll(nowMs: number): Segment {
    const segment = new Segment(this.#folder, this.#nextOffset, nowMs)
    segment.resetIndexes()
    const { segmentJitterMs, segmentMs } = this.#config
    if (segmentJitterMs > 0) {
      segment.rollJitterMs = randomInt(this.#environment.random, Math.min(segmentJitterMs, segmentMs))
    }
    segment.startSnapshot = encodeProducerSnapshot(this.#producers.entries(), this.#producers.count)
    this.#segments.push(segment)
    return segment
  }

  /** Begins a new segment without a batch, so that the active one can be removed. */
  async #rollEmpty(): Promise<void> {
    if (this.#segments.active.plannedBytes === 0) return
    await this.#pushBarrier(this.#planRoll(this.#environment.clock.now()), () => undefined)
  }

  #writerOwner(): LogWriterOwner {
    const { pool, logger } = this.#environment
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
    if (records < this.#config.flushMessages) return undefined
    return this.#flusher.syncFile(this.#writer.segment.logPath)
  }

  #noteWritten(batches: readonly PlannedBatch[]): void {
    let bytes = 0
    for (const { buffer, segment, position, lastOffset, maxTimestampMs, recordCount } of batches) {
      const sizeBytes = buffer.length
      segment.noteWritten({ lastOffset, maxTimestampMs, position, sizeBytes }, this.#config.indexIntervalBytes)
      bytes += sizeBytes
      this.#unflushedRecords += recordCount
      this.#highWatermark = lastOffset + 1n
    }
    if (this.#unflushedRecords >= this.#config.flushMessages) this.#unflushedRecords = 0
    this.#appendedBytes += bytes
    this.#indexSaver.saveBeside(this.#writer.segment)
    this.#flusher.noteWritten(bytes)
    this.#changed()
  }

  async #noteRolled(previous: Segment, segment: Segment): Promise<void> {
    const { pool } = this.#environment
    // Records in it count for `flush.messages`, and nobody comes back to it for that.
    const isFlushCounted = this.#config.flushMessages < Number.MAX_SAFE_INTEGER
    if (isFlushCounted && this.#unflushedRecords > 0) await this.#flusher.syncFile(previous.logPath)
    previous.closeTimeIndex()
    await previous.saveIndexes(pool)
    await segment.createFiles(pool)
    if (segment.startSnapshot !== undefined) {
      await new SnapshotFiles(this.#folder).write(segment.baseOffset, segment.startSnapshot)
      segment.startSnapshot = undefined
    }
    // Last, after all waits: a flush takes the indexes of sealed segments out of memory.
    previous.isSealed = true
  }

  #noteAbandoned(batches: readonly PlannedBatch[], error: unknown): void {
    for (const { undo } of batches.toReversed()) {
      if (undo !== undefined) this.#producers.restore(undo.producerId, undo.entry)
    }
    const active = this.#writer.segment
    this.#segments.dropAfter(active)
    active.plannedBytes = active.sizeBytes
    this.#nextOffset = this.#highWatermark
    const fields = { ...this.#name(), batches: batches.length, error: messageOf(error), errno: systemErrorCode(error) }
    this.#environment.logger.error(fields, 'appends failed: the log could not be written')
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }

  #name(): { topic: string; partition: number } {
    return { topic: this.topic, partition: this.partition }
  }

  #timestampSearch(): Parameters<typeof offsetForTimestamp>[0] {
    return {
      pool: this.#environment.pool,
      reader: this.#reader,
      indexes: this.#environment.indexes,
      segments: this.#segments.all,
      logStartOffset: this.#logStartOffset
    }
  }

  #retentionInput(config: LogConfig): Parameters<typeof countToDelete>[0] {
    const nowMs = this.#environment.clock.now()
    return { segments: this.#segments.all, config, logStartOffset: this.#logStartOffset, nowMs }
  }

  #dropSegments(count: number): Promise<number> {
    return this.#flusher.exclusive(async () => {
      // The segment that the writer has in hand stays, even while the next one is planned already.
      const dropped = this.#segments.dropOldest(Math.min(count, this.#segments.indexOf(this.#writer.segment)))
      if (dropped.length === 0) return 0
      const { baseOffset } = this.#segments.first
      if (baseOffset > this.#logStartOffset) this.#logStartOffset = baseOffset
      if (this.#epochs.truncateUpTo(this.#logStartOffset)) await saveLeaderEpochs(this.#folder, this.#epochs)
      for (const segment of dropped) {
        this.#environment.indexes.forget(segment)
        for (const file of segment.paths) this.#environment.pool.forget(file)
        await removeFiles(segment)
      }
      await new SnapshotFiles(this.#folder).prune(this.#segments.all.map(segment => segment.baseOffset))
      const fields = { ...this.#name(), segments: dropped.length, logStartOffset: this.#logStartOffset.toString() }
      this.#environment.logger.info(fields, 'old segments were removed')
      this.#changed()
      return dropped.length
    })
  }

  #flushedLog(): ConstructorParameters<typeof LogFlusher>[0] {
    return {
      environment: this.#environment,
      segments: this.#segments,
      logFields: this.#name(),
      folder: () => this.#folder,
      flushTarget: () => this.#flushTarget()
    }
  }

  #flushTarget(): FlushTarget {
    return {
      offset: this.#nextOffset,
      snapshot: encodeProducerSnapshot(this.#producers.entries(), this.#producers.count),
      isWritten: this.#pushBarrier(this.#segments.active, () => true).then(outcome => outcome === true)
    }
  }
}

function unavailable(error: { readonly code: number }, reason: string): Promise<RefusedBatch> {
  const errorMessage = `the partition takes no records: ${reason}`
  return Promise.resolve({ errorCode: error.code, errorMessage, recordErrors: [], logStartOffset: -1n })
}

function unwritten(error: unknown): Promise<RefusedBatch> {
  const code = systemErrorCode(error)
  return unavailable(KAFKA_ERRORS.KAFKA_STORAGE_ERROR, code === '' ? 'it could not be written' : code)
}
