/**
 * The log of one partition: takes batches, reads them back, removes old ones.
 *
 * An append is checked and gets its offset at once, in memory; the bytes are
 * written by one writer per partition, which takes everything that has gathered
 * in one call (see `log-tail.ts`). The high watermark moves when bytes are
 * written, never before, so nobody reads what a crash of the process could take
 * back. There is one replica, hence high watermark = end of what is written.
 *
 * If a write fails, offsets and producer state go back to what is written. If a
 * flush fails, nothing is known about the disk any more: the partition takes no
 * appends until the broker starts again, as with Kafka's offline log folders.
 *
 * Invariants: log start offset ≤ last stable offset ≤ high watermark ≤ next
 * offset; recovery point ≤ high watermark, and all below it is durable.
 */

import { messageOf } from '../../core/index.ts'
import { isTransactional, KAFKA_ERRORS, readBatchHeader } from '../../protocol/index.ts'
import { markerRefusal, type Refusal, sequenceRefusal, unavailable } from './append-refusals.ts'
import type { AppendedBatch, AppendResult, RefusedBatch } from './append-result.ts'
import type { InvalidBatch } from './batch-validator.ts'
import { encodeMarker } from './control-records.ts'
import { systemErrorCode } from './disk.ts'
import { FileRemoval } from './file-removal.ts'
import { IndexSaver } from './index-saver.ts'
import type { EpochEnd, LeaderEpochs } from './leader-epochs.ts'
import type { LogEnvironment } from './log-environment.ts'
import { type FlushTarget, LogFlusher } from './log-flusher.ts'
import { LogReader } from './log-reader.ts'
import { type RecoveredLog, recoverLog } from './log-recovery.ts'
import { LogTail, type LogTailOwner, type TailBatch } from './log-tail.ts'
import { preparePartitionFolder, saveLeaderEpochs } from './partition-folder.ts'
import type {
  AppendMarker,
  AppendOptions,
  DeleteRecordsResult,
  OpenTransaction,
  PartitionLogOptions
} from './partition-log-options.ts'
import { encodeProducerSnapshot } from './producer-snapshot.ts'
import type { ProducerBatch, ProducerDescription, ProducerState, TransactionProof } from './producer-state.ts'
import { abortedIn, type ReadOptions, type ReadResult, readLog } from './read-log.ts'
import { readUnmixed } from './reread.ts'
import { countToDelete } from './retention.ts'
import type { Segment } from './segment.ts'
import { SegmentList } from './segment-list.ts'
import { swapSegments, systemFolder, TornSwapError } from './segment-swap.ts'
import { SnapshotFiles } from './snapshot-files.ts'
import { maxTimestampOffset, offsetForTimestamp, type TimestampedOffset } from './timestamp-lookup.ts'
import {
  type TransactionVerification,
  TransactionVerifications,
  type VerifiedBatch
} from './transaction-verification.ts'
import type { LogConfig } from './topic-config.ts'
import type { AbortedTransaction } from './transaction-index.ts'

const NOTHING = Buffer.alloc(0)

/** The log of one partition. */
export class PartitionLog {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  /** Folder of this partition. */
  readonly folder: string
  /** Bytes that recovery had to check when this log was opened. */
  readonly recoveredBytes: number
  readonly #environment: LogEnvironment
  #config: LogConfig
  readonly #segments: SegmentList
  readonly #snapshots: SnapshotFiles
  readonly #producers: ProducerState
  readonly #epochs: LeaderEpochs
  readonly #reader: LogReader
  readonly #tail: LogTail
  readonly #verifications = new TransactionVerifications()
  readonly #listeners = new Set<() => void>()
  #logStartOffset: bigint
  readonly #flusher: LogFlusher
  readonly #indexSaver: IndexSaver
  readonly #removal: FileRemoval
  #appendedBytes: number
  #isClosed = false

  private constructor(options: PartitionLogOptions, recovered: RecoveredLog) {
    this.topic = options.topic
    this.partition = options.partition
    this.topicId = options.topicId
    this.folder = options.folder
    this.#config = options.config
    this.#environment = options.environment
    this.#segments = new SegmentList(recovered.segments)
    this.#snapshots = new SnapshotFiles(options.folder)
    this.#appendedBytes = this.#segments.sizeBytes
    this.#producers = recovered.producers
    this.#epochs = recovered.epochs
    this.#logStartOffset = recovered.logStartOffset
    this.recoveredBytes = recovered.scannedBytes
    const isPointInLog = options.recoveryPoint <= recovered.nextOffset
    this.#flusher = new LogFlusher(this.#flushedLog(), {
      recoveryPoint: isPointInLog ? options.recoveryPoint : recovered.nextOffset,
      unflushedBytes: recovered.scannedBytes - recovered.truncatedBytes
    })
    this.#reader = new LogReader(options.environment.pool, options.environment.indexes)
    this.#indexSaver = new IndexSaver(options.environment, this.#name())
    this.#removal = new FileRemoval(options.environment.operations ?? systemFolder)
    this.#tail = new LogTail(this.#tailOwner(), recovered.nextOffset)
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
    return this.#tail.nextOffset
  }

  /** Offset after the last record that is written. */
  get highWatermark(): bigint {
    return this.#tail.highWatermark
  }

  /** First offset of an open transaction, at least the log start offset; else the high watermark. */
  get lastStableOffset(): bigint {
    return this.#tail.lastStableOffset
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

  /** All segments, oldest first; the last one is active. */
  get segments(): readonly Segment[] {
    return this.#segments.all
  }

  /** Whether it takes no more appends because it was closed. */
  get isClosed(): boolean {
    return this.#isClosed
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
    const closed = this.#appendProblem()
    if (closed !== undefined) return Promise.resolve(closed)
    const nowMs = this.#environment.clock.now()
    const checked = this.#environment.validator.validate(records, { config: this.#config, origin, nowMs })
    if (!checked.isValid) return this.#refuseBatch(checked)
    const { header } = checked
    if (header.producerId < 0n) return this.#tail.plan({ ...checked, track: undefined }, nowMs)
    const { producerId } = header
    const verdict =
      origin === 'client'
        ? this.#producers.check(header, proofOf(options), this.#verifications.pending(producerId))
        : this.#producers.checkEpoch(header)
    if (verdict.kind === 'duplicate') return this.#answerRetry(verdict.batch)
    if (verdict.kind !== 'next') return this.#refuse(sequenceRefusal(verdict, producerId))
    if (isTransactional(header.attributes)) this.#verifications.batchPlanned(producerId)
    const track: TailBatch['track'] = (baseOffset, timestampMs) =>
      this.#producers.apply(header, baseOffset, timestampMs)
    return this.#tail.plan({ ...checked, track }, nowMs)
  }

  /**
   * Appends the marker that ends a producer's transaction here. It is over for
   * the producer at once; when the promise resolves, the last stable offset has
   * moved: whoever waits for records must be told then (`signals.markerAppended`).
   *
   * A marker without an open transaction is written too: it moves the epochs.
   * Answers like `append`; also INVALID_PRODUCER_EPOCH(47) for an epoch below the
   * producer's, TRANSACTION_COORDINATOR_FENCED(52) for an old coordinator.
   */
  appendMarker(marker: AppendMarker): Promise<AppendResult> {
    const closed = this.#appendProblem()
    if (closed !== undefined) return Promise.resolve(closed)
    const verdict = this.#producers.checkMarker(marker)
    if (verdict.kind !== 'next') return this.#refuse(markerRefusal(verdict, marker.producerId))
    const nowMs = this.#environment.clock.now()
    const records = encodeMarker(marker, nowMs)
    this.#verifications.markerPlanned(marker.producerId)
    const track: TailBatch['track'] = (baseOffset, timestampMs) =>
      this.#producers.applyMarker(marker, baseOffset, timestampMs)
    return this.#tail.plan({ records, header: readBatchHeader(records, 0), track }, nowMs)
  }

  /**
   * Call before asking the transaction coordinator about a transactional batch; see `AppendTransaction`.
   *
   * @param isVersion2 - Whether its producer has transactions of version 2.
   */
  beginVerification(batch: VerifiedBatch, isVersion2: boolean): TransactionVerification {
    const { producerId, producerEpoch } = batch
    const entry = this.#producers.get(producerId)
    const isStale = entry !== undefined && producerEpoch < entry.producerEpoch
    const isOpen = entry !== undefined && entry.transactionFirstOffset >= 0n && producerEpoch === entry.producerEpoch
    if (!isStale && !isOpen) this.#verifications.noteFirst(batch, isVersion2, this.#environment.clock.now())
    return this.#verifications.begin(producerId)
  }

  /** The open transaction of a producer, one whose marker is on its way not included. */
  openTransaction(producerId: bigint): OpenTransaction | undefined {
    const entry = this.#producers.get(producerId)
    if (entry === undefined || entry.transactionFirstOffset < 0n) return undefined
    return { producerEpoch: entry.producerEpoch, firstOffset: entry.transactionFirstOffset }
  }

  /** All producers that are known here. Source: DescribeProducers. */
  describeProducers(): ProducerDescription[] {
    return this.#producers.describe()
  }

  /** Aborted transactions that overlap a range of offsets, the upper end not included. Rejects with a system error. */
  abortedTransactions(fromOffset: bigint, upToOffset: bigint): Promise<readonly AbortedTransaction[]> {
    const log = { segments: this.#segments, indexes: this.#environment.indexes }
    return readUnmixed(log.segments, () =>
      abortedIn(log, this.#segments.floor(fromOffset) ?? this.#segments.first, { fromOffset, upToOffset })
    )
  }

  /** Reads whole batches from the one that contains the offset on. Never rejects: a failed disk is an error code. */
  async read(fromOffset: bigint, bytesMax: number, options: ReadOptions = {}): Promise<ReadResult> {
    const { highWatermark, lastStableOffset } = this
    const logStartOffset = (): bigint => this.#logStartOffset
    const parts = { segments: this.#segments, reader: this.#reader, indexes: this.#environment.indexes }
    const log = { ...parts, highWatermark, lastStableOffset, logStartOffset }
    if (this.#isClosed) return this.#unreadable(KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION)
    try {
      const result = await readUnmixed(log.segments, () => readLog(log, { fromOffset, bytesMax, options }))
      // The paths may be those of another topic's files by now.
      return this.#isClosed ? this.#unreadable(KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION) : result
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
    return readUnmixed(this.#segments, () => offsetForTimestamp(this.#timestampSearch(), timestampMs))
  }

  /** The first record with the largest timestamp; `undefined` if no record has one. */
  maxTimestampOffset(): Promise<TimestampedOffset | undefined> {
    return readUnmixed(this.#segments, () => maxTimestampOffset(this.#timestampSearch()))
  }

  /** Where a leader epoch ended. Source: OffsetForLeaderEpoch. */
  endOffsetOf(epoch: number): EpochEnd {
    return this.#epochs.endOf(epoch, this.highWatermark)
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
    const target = beforeOffset === -1n ? this.highWatermark : beforeOffset
    if (this.#isClosed || target < 0n || target > this.highWatermark) {
      return { errorCode: KAFKA_ERRORS.OFFSET_OUT_OF_RANGE.code, lowWatermark: -1n }
    }
    if (target > this.#logStartOffset) {
      this.#logStartOffset = target
      try {
        await this.#environment.saveLogStartOffsets()
        this.#changed()
        await this.#dropSegments(() => ({ ...this.#config, isDeleted: false }))
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
    const count = countToDelete(this.#retentionInput(this.#config))
    // Records on their way keep the active segment alive.
    if (count === this.segmentCount && this.#tail.isIdle) await this.#tail.rollEmpty()
    return this.#dropSegments(() => this.#config)
  }

  /**
   * Puts a compacted segment in the place of those it was made from; see `segment-swap.ts`. Reads that run meanwhile
   * are made again. Resolves with false if the old ones are not all there any more. Rejects with a system error; if
   * that leaves the folder half way, the partition is offline until the broker starts again.
   */
  replaceSegments(old: readonly Segment[], cleaned: Segment): Promise<boolean> {
    return this.#flusher.exclusive(async () => {
      if (this.#isClosed || this.isOffline) return false
      const target = { ...this.#environment, folder: this.folder, segments: this.#segments }
      try {
        return await swapSegments(target, old, cleaned)
      } catch (error) {
        if (error instanceof TornSwapError) this.#flusher.fail(error)
        throw error
      }
    })
  }

  /** Forgets idempotent producers that wrote nothing for a time. Source: `producer.id.expiration.ms`. */
  expireProducers(expirationMs: number): number {
    const nowMs = this.#environment.clock.now()
    this.#verifications.expire(nowMs, expirationMs)
    return this.#producers.expire(nowMs, expirationMs)
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
    await this.#tail.idle()
    await this.#flusher.exclusive(async () => {
      await this.#release()
      // The names are free for another log from now on: what a late read misses is not made any more.
      for (const segment of this.#segments.all) this.#environment.indexes.retire(segment)
    })
  }

  #unreadable(error: { readonly code: number }): ReadResult {
    const { highWatermark, lastStableOffset, logStartOffset } = this
    const offsets = { highWatermark, lastStableOffset, logStartOffset }
    return { errorCode: error.code, records: NOTHING, ...offsets, abortedTransactions: [] }
  }

  async #release(): Promise<void> {
    await this.#tail.idle()
    await this.#indexSaver.idle()
    await this.#environment.indexes.settled(this.#segments.all)
    for (const segment of this.#segments.all) for (const file of segment.paths) this.#environment.pool.forget(file)
    this.#changed()
  }

  #appendProblem(): RefusedBatch | undefined {
    if (this.#isClosed) return unavailable(KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION, 'it is closed')
    return this.isOffline ? unavailable(KAFKA_ERRORS.KAFKA_STORAGE_ERROR, 'its disk failed') : undefined
  }

  /** Refused by what the log knows of the producer. */
  #refuse({ code, text }: Refusal): Promise<RefusedBatch> {
    const logStartOffset = this.#logStartOffset
    return Promise.resolve({ errorCode: code, errorMessage: text, recordErrors: [], logStartOffset })
  }

  #refuseBatch({ errorCode, errorMessage, recordErrors, isUnframed }: InvalidBatch): Promise<RefusedBatch> {
    const logStartOffset = isUnframed ? -1n : this.#logStartOffset
    return Promise.resolve({ errorCode, errorMessage, recordErrors, logStartOffset })
  }

  /** A batch that is in the log, or on its way there: then the retry shares the fate of the original. */
  #answerRetry({ firstOffset, lastOffset, timestampMs }: ProducerBatch): Promise<AppendResult> {
    const logAppendTimeMs = this.#config.timestampType === 'LogAppendTime' ? timestampMs : -1n
    const answer = (): AppendedBatch => {
      const logStartOffset = this.#logStartOffset
      return { errorCode: 0, baseOffset: firstOffset, lastOffset, logAppendTimeMs, logStartOffset, isDuplicate: true }
    }
    return lastOffset < this.highWatermark ? Promise.resolve(answer()) : this.#tail.pushBarrier(answer)
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

  #dropSegments(config: () => LogConfig): Promise<number> {
    return this.#flusher.exclusive(async () => {
      // Offline, the files may have other names than the list says: only a start can tell.
      if (this.#isClosed || this.isOffline) return 0
      // Not before: another removal or a compaction may have changed the list since this one was asked for.
      const count = countToDelete(this.#retentionInput(config()))
      // The segment that the writer has in hand stays, even while the next one is planned already.
      const dropped = this.#segments.dropOldest(Math.min(count, this.#segments.indexOf(this.#tail.writtenSegment)))
      if (dropped.length === 0) {
        await this.#removeFiles([])
        return 0
      }
      const { baseOffset } = this.#segments.first
      if (baseOffset > this.#logStartOffset) this.#logStartOffset = baseOffset
      for (const segment of dropped) {
        this.#environment.indexes.forget(segment)
        for (const file of segment.paths) this.#environment.pool.forget(file)
      }
      await this.#removeFiles(dropped.flatMap(segment => segment.paths))
      await this.#snapshots.prune(this.#segments.all.map(segment => segment.baseOffset))
      const fields = { ...this.#name(), segments: dropped.length, logStartOffset: this.#logStartOffset.toString() }
      this.#environment.logger.info(fields, 'old segments were removed')
      this.#changed()
      // Last: on a full disk it must not keep the space from being freed, and older epochs do no harm.
      if (this.#epochs.truncateUpTo(this.#logStartOffset)) await saveLeaderEpochs(this.folder, this.#epochs)
      return dropped.length
    })
  }

  async #removeFiles(files: readonly string[]): Promise<void> {
    const error = await this.#removal.remove(files)
    const what = 'files of old segments are removed when it lets them go'
    if (error !== undefined) this.#environment.trouble.note(error, what, this.#name())
  }

  #flushedLog(): ConstructorParameters<typeof LogFlusher>[0] {
    return {
      environment: this.#environment,
      segments: this.#segments,
      snapshots: this.#snapshots,
      logFields: this.#name(),
      nextOffset: () => this.#tail.nextOffset,
      flushTarget: () => this.#flushTarget()
    }
  }

  #tailOwner(): LogTailOwner {
    return {
      environment: this.#environment,
      folder: this.folder,
      segments: this.#segments,
      snapshots: this.#snapshots,
      producers: this.#producers,
      logFields: this.#name(),
      config: () => this.#config,
      leaderEpoch: () => this.leaderEpoch,
      logStartOffset: () => this.#logStartOffset,
      syncFile: path => this.#flusher.syncFile(path),
      written: bytes => this.#noteWritten(bytes)
    }
  }

  #noteWritten(bytes: number): void {
    this.#appendedBytes += bytes
    this.#indexSaver.saveBeside(this.#tail.writtenSegment)
    this.#flusher.noteWritten(bytes)
    this.#changed()
  }

  #flushTarget(): FlushTarget {
    return {
      offset: this.#tail.nextOffset,
      snapshot: encodeProducerSnapshot(this.#producers.entries(), this.#producers.count),
      isWritten: this.#tail.pushBarrier(() => true).then(outcome => outcome === true)
    }
  }
}

function proofOf({ transaction }: AppendOptions): TransactionProof | undefined {
  if (transaction?.verification?.isVoid !== true) return transaction
  return { ...transaction, isVerified: false }
}
