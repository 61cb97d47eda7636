/**
 * Raw append: collects records into batches, without a promise or closure per
 * record, and appends them to the leaders.
 *
 * A record goes straight into the open batch of its partition. A batch is sent
 * when it is full or has waited `lingerMs`, and while its broker is busy it
 * goes on filling. Per broker there are `connectionsPerBroker` connections with
 * up to `inFlightMax` requests in flight each; a partition uses always the same
 * one, and a request has at most one batch per partition.
 *
 * Limits: `bufferBytes` of records without a verdict (wire size before
 * compression); the record objects, or the Buffers that rows lie in, stay
 * referenced for as long, because a failure hands them back. Every record gets exactly one verdict,
 * within `deliveryTimeoutMs` and one request timeout.
 */

import { type Clock, messageOf, PipelineError, sleep, systemRandom, type Timer } from '../core/index.ts'
import { RecordBatchBuilder } from '../protocol/index.ts'
import { type Counter, counterOf, type Logger } from '../telemetry/index.ts'
import { AppendBatch, type FlushWait } from './append-batch.ts'
import { Linger } from './append-linger.ts'
import { AppendPartition } from './append-partition.ts'
import { AppendSender, type AppendSenderHost, type AppendTransaction } from './append-sender.ts'
import { type PartitionLoad, TopicRouter } from './append-topic.ts'
import type {
  AppenderOptions,
  AppendRecord,
  DeliveryListener,
  OutstandingRecord,
  RecordRows,
  RowPlace
} from './appender-types.ts'
import { type ClientMeters, clientMetersOf } from './client-meters.ts'
import { asPipelineError } from './kafka-error.ts'
import { recordOf } from './record-of.ts'

/** Bytes of a record around its key, value and headers, at most: a guess for the buffer limit. */
const recordOverheadBytes = 32
/** Share of the buffer that must be free before those who wait for room are woken. */
const roomRatio = 0.25
const buildersKeptMax = 256
const lookupPauseMs = 100

/** What decides where a record goes. */
interface Place {
  readonly key: Buffer | null
  readonly partition?: number | undefined
}

interface Unrouted {
  readonly record: AppendRecord
  readonly listener: DeliveryListener
  readonly timestampMs: number
  readonly bytes: number
  /** Of the monotonic clock. */
  readonly appendedAtMs: number
}

interface TopicState {
  readonly topic: string
  /** By number; made when they are first written to. */
  readonly partitions: AppendPartition[]
  router: TopicRouter | undefined
  /** Version of the metadata that the router has seen. */
  metadataVersion: number
  /** Records that came before the partition count was known. */
  unrouted: Unrouted[]
  lookup: Promise<void> | undefined
}

/** Collects records into batches and appends them to the leaders. */
export class Appender {
  readonly #options: AppenderOptions
  readonly #clock: Clock
  readonly #sender: AppendSender
  readonly #transaction: AppendTransaction | undefined
  readonly #topics = new Map<string, TopicState>()
  /** That of the last record: the next one mostly has the same topic. */
  #lastTopic: TopicState | undefined
  readonly #outstanding = new Set<AppendBatch>()
  readonly #builders: RecordBatchBuilder[] = []
  /** Builders of split batches: without the size limit, so not to be used again. */
  readonly #unlimited = new WeakSet<RecordBatchBuilder>()
  readonly #bufferBytes: number
  readonly #batchBytes: number
  readonly #linger: Linger
  #bufferedBytes = 0
  /** Size of the record that was refused last. */
  #refusedBytes = 0
  #roomWaits: (() => void)[] = []
  #timer: Timer | undefined
  #timerDueMs = 0
  #isPumpScheduled = false
  readonly #throttleCounter: Counter
  readonly #meters: ClientMeters | undefined
  readonly #endMeters: (() => void) | undefined
  #throttledMs = 0
  #isFlushing = 0
  #isClosed = false
  #closing: Promise<void> | undefined

  /**
   * @param transaction - What all records are written in; only `TransactionalAppender` gives one.
   * @throws PipelineError `ERR_CLIENT_OPTIONS_INVALID`.
   */
  constructor(options: AppenderOptions, transaction?: AppendTransaction) {
    checkOptions(options)
    this.#transaction = transaction
    this.#options = options
    this.#clock = options.clock ?? options.cluster.clock
    this.#bufferBytes = options.bufferBytes ?? 33_554_432
    this.#batchBytes = options.batchBytes ?? 262_144
    this.#linger = new Linger(options.lingerMs ?? 5)
    const linger = this.#linger
    const host: AppendSenderHost = {
      get lingerMs() {
        return linger.currentMs
      },
      isDue: (batch, nowMs) => this.#isDue(batch, nowMs),
      taken: batch => this.#taken(batch),
      release: builder => this.#release(builder),
      delivered: (batch, baseOffset) => this.#delivered(batch, baseOffset),
      failed: (batch, error) => this.#failed(batch, error),
      split: (batch, parts) => this.#split(batch, parts),
      newPart: batch => this.#newPart(batch),
      throttled: addedMs => this.#throttled(addedMs),
      wake: () => this.#schedulePump()
    }
    this.#sender = new AppendSender(options, host, transaction)
    this.#throttleCounter = counterOf(options.cluster.meter, 'comporta.kafka.append.throttled')
    this.#meters = clientMetersOf(options.cluster)
    this.#endMeters = this.#meters?.appends(this)
  }

  /** Most bytes of records without a verdict. */
  get bufferBytes(): number {
    return this.#bufferBytes
  }

  /** Bytes of records without a verdict. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /**
   * When the oldest record without a verdict was appended, in milliseconds of the monotonic clock; `undefined` if there
   * is none.
   */
  get oldestAppendedMs(): number | undefined {
    let oldestMs: number | undefined
    for (const { unrouted } of this.#topics.values()) {
      const atMs = unrouted[0]?.appendedAtMs
      if (atMs !== undefined && (oldestMs === undefined || atMs < oldestMs)) oldestMs = atMs
    }
    for (const batch of this.#outstanding) return Math.min(batch.createdAtMs, oldestMs ?? Number.POSITIVE_INFINITY)
    return oldestMs
  }

  /** How long brokers have made connections rest because of their quotas, in milliseconds, summed (KIP-219). */
  get throttledMs(): number {
    return this.#throttledMs
  }

  /** Batches without a verdict. */
  get outstandingBatchCount(): number {
    return this.#outstanding.size
  }

  /**
   * Takes a record. Its buffers must not be changed before its verdict.
   *
   * @returns `false` if the buffer is full: await `room()`, then try again.
   * @throws PipelineError `ERR_CLIENT_CLOSED`.
   */
  append(record: AppendRecord, listener: DeliveryListener): boolean {
    const bytes = (record.key?.length ?? 0) + (record.value?.length ?? 0) + recordOverheadBytes
    if (!this.#admits(bytes)) return false
    const timestampMs = record.timestampMs ?? this.#clock.now()
    const state = this.#topicState(record.topic)
    if (state.router === undefined) this.#wait(state, { record, listener, timestampMs, bytes })
    else this.#place(state, state.router, { record, listener, timestampMs })
    return true
  }

  /**
   * Takes one row as a record, without an object for it. `place` is read before the call returns, so that the caller
   * may use the same one again; `rows` stays referenced until the verdict. Handed back, it is a record with `row`.
   *
   * @returns `false` if the buffer is full: await `room()`, then try again.
   * @throws PipelineError `ERR_CLIENT_CLOSED`.
   */
  // oxlint-disable-next-line max-params -- hot path: no object per record
  appendRow(place: RowPlace, rows: RecordRows, row: number, listener: DeliveryListener): boolean {
    const { spans } = rows
    const bytes = (place.key?.length ?? 0) + (spans[row * 2 + 1] ?? 0) - (spans[row * 2] ?? 0) + recordOverheadBytes
    if (!this.#admits(bytes)) return false
    const timestampMs = place.timestampMs ?? this.#clock.now()
    const state = this.#topicState(place.topic)
    const { router } = state
    if (router === undefined) {
      this.#wait(state, { record: recordOf(place, rows, row), listener, timestampMs, bytes })
      return true
    }
    let batch = this.#openBatch(state, router, place)
    let before = batch.accountedBytes
    while (!batch.tryAppendRow(place, rows, row, listener, timestampMs)) {
      batch = this.#nextBatch(state, router, { place, full: batch })
      before = batch.accountedBytes
    }
    this.#bufferedBytes += batch.accountedBytes - before
    return true
  }

  /** Every record without a verdict, those of a partition in order. They stay with the appender. */
  *outstandingRecords(): Generator<OutstandingRecord> {
    for (const { partitions, unrouted } of this.#topics.values()) {
      // Without gaps: a partition that was never written to has no queue.
      for (const partition of Object.values(partitions)) {
        for (const batch of partition.outstanding()) yield* batch.records()
      }
      for (const { record, listener } of unrouted) yield { record, listener }
    }
  }

  /** Whether there is room for a record. */
  #admits(bytes: number): boolean {
    if (this.#isClosed) {
      throw new PipelineError('ERR_CLIENT_CLOSED', 'the appender is closed: nothing more can be appended')
    }
    if (this.#bufferedBytes === 0 || this.#bufferedBytes + bytes <= this.#bufferBytes) return true
    this.#refusedBytes = bytes
    return false
  }

  #topicState(topic: string): TopicState {
    let state = this.#lastTopic
    if (state?.topic !== topic) {
      state = this.#topics.get(topic) ?? this.#newTopic(topic)
      this.#lastTopic = state
    }
    if (state.metadataVersion !== this.#options.cluster.metadataVersion) this.#updateRouter(state)
    return state
  }

  /** Keeps a record until the partition count of its topic is known. */
  #wait(state: TopicState, item: Omit<Unrouted, 'appendedAtMs'>): void {
    state.unrouted.push({ ...item, appendedAtMs: this.#clock.monotonicMs() })
    this.#bufferedBytes += item.bytes
    this.#lookUp(state)
  }

  /** Looks again at what can be sent: the transaction has let more partitions in. */
  wake(): void {
    this.#schedulePump()
  }

  /** Gives up all records that are not in flight. Those in flight get their verdict later; `flush` waits for them. */
  discard(error: PipelineError): void {
    for (const state of this.#topics.values()) this.#failUnrouted(state, error)
    this.#sender.discardWaiting(error)
  }

  #updateRouter(state: TopicState): void {
    const { cluster } = this.#options
    state.metadataVersion = cluster.metadataVersion
    const metadata = cluster.cachedTopic(state.topic)
    if (metadata !== undefined) state.router?.update(metadata)
  }

  /** Resolves when there is room again, or the appender is closed. */
  room(): Promise<void> {
    if (this.#hasRoom()) return Promise.resolve()
    return new Promise(resolve => this.#roomWaits.push(resolve))
  }

  /** Sends everything taken so far without waiting for full batches; resolves when all of it has its verdict. */
  async flush(): Promise<void> {
    this.#isFlushing += 1
    try {
      await Promise.all([...this.#topics.values()].map(async state => state.lookup))
      if (this.#outstanding.size === 0) return
      await new Promise<void>(resolve => {
        const wait: FlushWait = { pendingCount: this.#outstanding.size, resolve }
        for (const batch of this.#outstanding) batch.flushWaits.push(wait)
        this.#schedulePump()
      })
    } finally {
      this.#isFlushing -= 1
    }
  }

  /**
   * Flushes for at most `deadlineMs` milliseconds, fails the rest with `ERR_CLIENT_DELIVERY_TIMEOUT`, then ends.
   * Idempotent.
   *
   * @param deadlineMs - Default `deliveryTimeoutMs`.
   */
  close(deadlineMs: number = this.#options.deliveryTimeoutMs ?? 120_000): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#isClosed = true
    this.#wakeRoom()
    const givenUp = Promise.withResolvers<void>()
    const timer = this.#clock.after(deadlineMs, () => {
      this.#giveUp()
      givenUp.resolve()
    })
    await Promise.race([this.flush(), givenUp.promise])
    timer.cancel()
    this.#timer?.cancel()
    this.#sender.close()
    this.#endMeters?.()
  }

  /** The deadline of `close` has passed: everything left gets its verdict now, answers on their way are ignored. */
  #giveUp(): void {
    const error = new PipelineError(
      'ERR_CLIENT_DELIVERY_TIMEOUT',
      'the appender was closed before the records were acknowledged'
    )
    for (const state of this.#topics.values()) this.#failUnrouted(state, error)
    this.#sender.close()
    for (const batch of this.#outstanding) this.#failed(batch, error)
  }

  #taken(batch: AppendBatch): void {
    this.#linger.sent(batch.accountedBytes, this.#clock.monotonicMs())
    this.#meters?.taken(batch)
    this.#topics.get(batch.topic)?.router?.batchSent(batch.partition, batch.accountedBytes)
  }

  #throttled(addedMs: number): void {
    if (this.#throttledMs === 0 && addedMs > 0) {
      this.#logger.warn({ throttleTimeMs: addedMs }, 'a broker enforces its quota: this client has to send more slowly')
    }
    this.#throttledMs += addedMs
    this.#throttleCounter.add(addedMs)
    this.#meters?.throttled(addedMs)
  }

  get #logger(): Logger {
    return this.#options.logger ?? this.#options.cluster.logger
  }

  #newTopic(topic: string): TopicState {
    const empty = { router: undefined, metadataVersion: -1, lookup: undefined }
    const state: TopicState = { topic, partitions: [], unrouted: [], ...empty }
    const metadata = this.#options.cluster.cachedTopic(topic)
    if (metadata !== undefined && metadata.partitions.length > 0) state.router = this.#newRouter(state, metadata)
    this.#topics.set(topic, state)
    this.#options.cluster.follow([topic])
    return state
  }

  #newRouter(state: TopicState, metadata: ConstructorParameters<typeof TopicRouter>[0]): TopicRouter {
    const { random = systemRandom, availabilityTimeoutMs = 0 } = this.#options
    const loadOf = (number: number): PartitionLoad => {
      const partition = state.partitions[number]
      const { first } = partition ?? {}
      const waitingMs = first === undefined ? 0 : this.#clock.monotonicMs() - first.createdAtMs
      return { waitingCount: partition?.waitingCount ?? 0, waitingMs }
    }
    return new TopicRouter(metadata, { random, stickyBytes: this.#batchBytes, loadOf, availabilityTimeoutMs })
  }

  #lookUp(state: TopicState): void {
    if (state.lookup !== undefined) return
    const lookup = this.#findTopic(state).finally(() => {
      if (state.lookup === lookup) state.lookup = undefined
    })
    state.lookup = lookup
  }

  /** The partition count of a topic, for as long as its records may wait. */
  async #findTopic(state: TopicState): Promise<void> {
    const { topic } = state
    const deadlineMs = this.#clock.monotonicMs() + (this.#options.deliveryTimeoutMs ?? 120_000)
    for (;;) {
      try {
        state.router = this.#newRouter(state, await this.#options.cluster.topic(topic))
        const unrouted = state.unrouted.splice(0)
        for (const item of unrouted) {
          this.#bufferedBytes -= item.bytes
          this.#place(state, state.router, item)
        }
        return
      } catch (cause) {
        const error = asPipelineError(cause, `looking for topic ${topic}`)
        if (error.retriable && error.code !== 'ERR_CLIENT_TOPIC_UNKNOWN' && this.#clock.monotonicMs() < deadlineMs) {
          // A connection with too many requests refuses at once: without a pause their answers would never be read.
          await sleep(this.#clock, lookupPauseMs)
          continue
        }
        // First: what is appended by those who hear of the failure needs another one.
        state.lookup = undefined
        this.#failUnrouted(state, error)
        return
      }
    }
  }

  #failUnrouted(state: TopicState, error: PipelineError): void {
    const groups = new Map<DeliveryListener, AppendRecord[]>()
    // Taken first: a transaction that fails discards what is left, and comes here again.
    const unrouted = state.unrouted.splice(0)
    if (unrouted.length > 0) this.#transaction?.failed(error)
    for (const { record, listener, bytes } of unrouted) {
      this.#bufferedBytes -= bytes
      const group = groups.get(listener)
      if (group === undefined) groups.set(listener, [record])
      else group.push(record)
    }
    for (const [listener, records] of groups) this.#call(() => listener.failed(error, records))
    this.#wakeRoom()
  }

  #place(state: TopicState, router: TopicRouter, item: Omit<Unrouted, 'bytes' | 'appendedAtMs'>): void {
    const { record, listener, timestampMs } = item
    let batch = this.#openBatch(state, router, record)
    let before = batch.accountedBytes
    while (!batch.tryAppend(record, listener, timestampMs)) {
      batch = this.#nextBatch(state, router, { place: record, full: batch })
      before = batch.accountedBytes
    }
    this.#bufferedBytes += batch.accountedBytes - before
  }

  /** The batch that a record goes into as things are. */
  #openBatch(state: TopicState, router: TopicRouter, place: Place): AppendBatch {
    const number = place.partition ?? router.partitionOf(place.key)
    const partition = (state.partitions[number] ??= this.#newPartition(state.topic, number))
    const { last } = partition
    if (last?.isSealed === false) return last
    const batch = this.#newBatch(state.topic, number)
    this.#outstanding.add(batch)
    partition.push(batch)
    this.#sender.activate(partition)
    if (this.#linger.currentMs === 0) this.#schedulePump()
    else this.#pumpWithin(this.#linger.currentMs)
    return batch
  }

  /** The batch is full: a record without a key moves on to another partition. */
  #nextBatch(state: TopicState, router: TopicRouter, from: { place: Place; full: AppendBatch }): AppendBatch {
    router.batchFull(from.full.partition)
    this.#schedulePump()
    return this.#openBatch(state, router, from.place)
  }

  #newPartition(topic: string, partition: number): AppendPartition {
    return new AppendPartition(topic, partition, isIdempotent(this.#options))
  }

  #newBatch(topic: string, partition: number): AppendBatch {
    const builder = this.#builders.pop() ?? this.#newBuilder(this.#batchBytes)
    return new AppendBatch({ topic, partition, createdAtMs: this.#clock.monotonicMs() }, builder)
  }

  /** A batch that takes what another one held, whatever its size, and is as old. */
  #newPart({ topic, partition, createdAtMs }: AppendBatch): AppendBatch {
    const builder = this.#newBuilder(Number.MAX_SAFE_INTEGER)
    this.#unlimited.add(builder)
    return new AppendBatch({ topic, partition, createdAtMs }, builder)
  }

  #newBuilder(sizeBytesMax: number): RecordBatchBuilder {
    const { compression } = this.#options
    return new RecordBatchBuilder({ sizeBytesMax, ...(compression === undefined ? {} : { compression }) })
  }

  #release(builder: RecordBatchBuilder): void {
    if (this.#unlimited.has(builder) || this.#builders.length >= buildersKeptMax) return
    builder.reset()
    this.#builders.push(builder)
  }

  #isDue(batch: AppendBatch, nowMs: number): boolean {
    return batch.isSealed || this.#isFlushing > 0 || nowMs - batch.createdAtMs >= this.#linger.currentMs
  }

  /** Pumps in `delayMs` milliseconds at the latest. */
  #pumpWithin(delayMs: number): void {
    const dueMs = this.#clock.monotonicMs() + delayMs
    if (this.#timer !== undefined && this.#timerDueMs <= dueMs) return
    this.#timer?.cancel()
    this.#timerDueMs = dueMs
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined
      this.#pump()
    })
  }

  #schedulePump(): void {
    if (this.#isPumpScheduled) return
    this.#isPumpScheduled = true
    queueMicrotask(() => {
      this.#isPumpScheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    // Looking at the metadata also has it read anew when it is old.
    for (const state of this.#topics.values()) this.#updateRouter(state)
    const nextMs = this.#sender.pump()
    if (nextMs !== undefined) this.#pumpWithin(Math.max(1, nextMs))
  }

  #delivered(batch: AppendBatch, baseOffset: bigint): void {
    if (!this.#finish(batch)) return
    this.#meters?.sent(batch)
    const { topic, partition } = batch
    for (const [listener, recordCount] of batch.countsByListener()) {
      this.#call(() => listener.delivered({ topic, partition, baseOffset, recordCount }))
    }
    // Without an answer nobody knows whether the socket has taken the bytes.
    if (this.#options.acks !== 'none') batch.finish(builder => this.#release(builder))
  }

  #failed(batch: AppendBatch, error: PipelineError): void {
    if (!this.#finish(batch)) return
    this.#meters?.sent(batch, error)
    const groups = batch.byListener()
    batch.abandon(builder => this.#release(builder))
    for (const [listener, records] of groups) this.#call(() => listener.failed(error, records))
  }

  #split(batch: AppendBatch, parts: readonly AppendBatch[]): void {
    if (!this.#outstanding.delete(batch)) return
    this.#bufferedBytes -= batch.accountedBytes
    for (const part of parts) {
      this.#outstanding.add(part)
      this.#bufferedBytes += part.accountedBytes
      part.flushWaits.push(...batch.flushWaits)
    }
    for (const wait of batch.flushWaits) wait.pendingCount += parts.length - 1
  }

  /** @returns Whether this is the first verdict of the batch. */
  #finish(batch: AppendBatch): boolean {
    if (!this.#outstanding.delete(batch)) return false
    this.#bufferedBytes -= batch.accountedBytes
    for (const wait of batch.flushWaits) {
      wait.pendingCount -= 1
      if (wait.pendingCount === 0) wait.resolve()
    }
    this.#wakeRoom()
    return true
  }

  /** Room for the record that was refused last, and some more: else every record would wait for its own turn. */
  #hasRoom(): boolean {
    if (this.#isClosed || this.#bufferedBytes === 0) return true
    const freeBytes = this.#bufferBytes - this.#bufferedBytes
    return freeBytes >= Math.max(this.#refusedBytes, this.#bufferBytes * roomRatio)
  }

  #wakeRoom(): void {
    if (this.#roomWaits.length > 0 && this.#hasRoom()) for (const wake of this.#roomWaits.splice(0)) wake()
  }

  #call(notify: () => void): void {
    try {
      notify()
    } catch (error) {
      this.#logger.error({ reason: messageOf(error) }, 'a delivery listener threw')
    }
  }
}

/** Whether sequences are used: the default, as far as `acks` allows it. */
export function isIdempotent(options: AppenderOptions): boolean {
  return options.isIdempotent ?? (options.acks ?? 'all') === 'all'
}

function checkOptions(options: AppenderOptions): void {
  if (isIdempotent(options) && (options.acks ?? 'all') !== 'all') {
    throw new PipelineError('ERR_CLIENT_OPTIONS_INVALID', 'isIdempotent needs acks "all"')
  }
  const { inFlightMax = 5, connectionsPerBroker = 2, lingerMs = 5 } = options
  if (!Number.isInteger(inFlightMax) || inFlightMax < 1 || inFlightMax > 5) {
    throw new PipelineError('ERR_CLIENT_OPTIONS_INVALID', `inFlightMax must be 1 to 5, not ${inFlightMax}`)
  }
  if (!Number.isInteger(connectionsPerBroker) || connectionsPerBroker < 1 || connectionsPerBroker > 8) {
    const message = `connectionsPerBroker must be 1 to 8, not ${connectionsPerBroker}`
    throw new PipelineError('ERR_CLIENT_OPTIONS_INVALID', message)
  }
  if (lingerMs !== 'adaptive' && !(lingerMs >= 0)) {
    throw new PipelineError('ERR_CLIENT_OPTIONS_INVALID', `lingerMs must be "adaptive" or at least 0, not ${lingerMs}`)
  }
  for (const name of ['batchBytes', 'bufferBytes', 'requestBytesMax', 'deliveryTimeoutMs'] as const) {
    const value = options[name]
    if (value !== undefined && !(value >= 1)) {
      throw new PipelineError('ERR_CLIENT_OPTIONS_INVALID', `${name} must be at least 1, not ${value}`)
    }
  }
}
