/**
 * Sends the batches of an appender to their leaders and judges the answers.
 *
 * `pump` does whatever can be done now: it groups due batches by connection and
 * sends them as far as the limits allow. It reads the clock once: a batch that
 * fell due between two readings would be neither sent nor waited for. It runs again after every answer, on
 * the linger timer and when a leader has been found.
 */

import { backoffMs, type Clock, PipelineError } from '../core/index.ts'
import { initProducerIdApi, produceApi, type RecordBatchBuilder, ZERO_UUID } from '../protocol/index.ts'
import type { AppendBatch } from './append-batch.ts'
import { type AppendLine, AppendLines, type AppendTurn } from './append-line.ts'
import type { AppendPartition, ProducerIdentity } from './append-partition.ts'
import {
  type BatchToSend,
  type BatchVerdict,
  PRODUCE_TOPIC_ID_VERSION,
  PRODUCE_TRANSACTION_VERSION,
  produceRequest,
  verdictOf
} from './append-request.ts'
import type { AppenderOptions, OutstandingRecord } from './appender-types.ts'
import { type ClientMeters, clientMetersOf } from './client-meters.ts'
import { asPipelineError, isStaleMetadata, KAFKA, kafkaError, throwKafkaError } from './kafka-error.ts'

/** What a sender needs of its appender. */
export interface AppendSenderHost {
  /** How long a batch waits that is not full, in milliseconds. */
  readonly lingerMs: number
  /** Whether a batch may be sent at a time of the monotonic clock: full, lingered long enough, or flushed. */
  isDue(batch: AppendBatch, nowMs: number): boolean
  /** A batch is being sent and closed with that. */
  taken(batch: AppendBatch): void
  release(builder: RecordBatchBuilder): void
  delivered(batch: AppendBatch, baseOffset: bigint): void
  failed(batch: AppendBatch, error: PipelineError): void
  split(batch: AppendBatch, parts: readonly AppendBatch[]): void
  /** An empty batch as old as the given one, without a size limit. */
  newPart(batch: AppendBatch): AppendBatch
  /** A broker has made a connection rest for so many milliseconds more. */
  throttled(addedMs: number): void
  /** Something has changed: pump again soon. */
  wake(): void
}

/** The transaction that an appender writes in. Batches carry its producer id, and none goes out without its leave. */
export interface AppendTransaction {
  readonly transactionalId: string
  /** `undefined` while no batch can be sent. */
  readonly identity: ProducerIdentity | undefined
  /** Whether writing to a partition makes it part of the transaction. */
  readonly addsByWriting: boolean
  /** Whether batches of a partition may be sent now; `appender.wake` says when it is worth asking again. */
  admits(topic: string, partition: number): boolean
  /** Whether a batch that failed may be sent again. */
  mayRetry(): boolean
  /** A batch was given up: the transaction has a hole. Called before the listeners are told. */
  failed(error: PipelineError): void
}

interface Sendable {
  readonly partition: AppendPartition
  readonly batch: AppendBatch
}

type Item = BatchToSend & { readonly partition: AppendPartition }

/** One whose batch may still be compressed. */
type TakenItem = Omit<Item, 'bytes'> & { readonly bytes: Buffer | Promise<Buffer> }

const acksOf = { all: -1, leader: 1, none: 0 } as const
/** Least time that a request gets, in milliseconds, even when its batches are nearly out of time. */
const requestTimeoutMinMs = 1_000
const sequenceModulus = 2 ** 31
/** Failures in a row of a partition that are worth a log line. */
const failuresToLog = 5

/** Sends batches. */
export class AppendSender {
  readonly #options: AppenderOptions
  readonly #host: AppendSenderHost
  readonly #clock: Clock
  readonly #acks: number
  readonly #deliveryTimeoutMs: number
  readonly #transaction: AppendTransaction | undefined
  /** Partitions that have batches. */
  readonly #active = new Set<AppendPartition>()
  readonly #lines: AppendLines
  readonly #meters: ClientMeters | undefined
  #identity: Promise<ProducerIdentity> | undefined
  #isRefreshing = false
  #isClosed = false

  constructor(options: AppenderOptions, host: AppendSenderHost, transaction?: AppendTransaction) {
    this.#options = options
    this.#host = host
    this.#transaction = transaction
    this.#clock = options.clock ?? options.cluster.clock
    const lanes = Array.from({ length: options.connectionsPerBroker ?? 2 }, () => options.cluster.newLane('produce'))
    this.#lines = new AppendLines(lanes)
    this.#acks = acksOf[options.acks ?? 'all']
    this.#meters = clientMetersOf(options.cluster)
    this.#deliveryTimeoutMs = options.deliveryTimeoutMs ?? 120_000
  }

  /** A partition has a new batch. */
  activate(partition: AppendPartition): void {
    this.#active.add(partition)
  }

  /** Sends nothing more and ignores answers on their way. */
  close(): void {
    this.#isClosed = true
    for (const lane of this.#lines.lanes) this.#options.cluster.closeLane(lane)
  }

  /** Gives up everything that is not in flight. */
  discardWaiting(error: PipelineError): void {
    for (const partition of this.#active) {
      for (const batch of partition.removeWaiting(() => true)) this.#host.failed(batch, error)
    }
  }

  /**
   * Sends what can be sent.
   *
   * @returns After how many milliseconds to pump again although nothing has happened, `undefined` if there is no need.
   */
  pump(): number | undefined {
    if (this.#isClosed) return undefined
    const nowMs = this.#clock.monotonicMs()
    for (const partition of this.#active) {
      this.#expire(partition, nowMs)
      if (partition.isIdle) this.#active.delete(partition)
    }
    // One batch per partition and round: a partition with more goes into the next request.
    while (this.#sendRound(nowMs));
    return this.#nextPumpMs(nowMs)
  }

  /** @returns Whether anything was sent. */
  #sendRound(nowMs: number): boolean {
    const byLine = new Map<AppendLine, Sendable[]>()
    let isIdentityNeeded = false
    for (const partition of this.#active) {
      const batch = partition.first
      if (batch === undefined || !this.#host.isDue(batch, nowMs) || !this.#isAdmitted(partition)) continue
      if (partition.needsIdentity && partition.restUntilMs <= nowMs) isIdentityNeeded = true
      if (!partition.canSend(nowMs)) continue
      const line = this.#lineOf(partition)
      if (line === undefined) this.#findLeaders()
      else if (line.restUntilMs <= nowMs) groupOf(byLine, line).push({ partition, batch })
    }
    if (isIdentityNeeded) this.#identify()
    let isSent = false
    for (const [line, sendable] of byLine) isSent = this.#sendOn(line, sendable) || isSent
    return isSent
  }

  #lineOf({ topic, partition }: AppendPartition): AppendLine | undefined {
    return this.#lines.of(this.#options.cluster.cachedPartition(topic, partition)?.leaderId ?? -1, partition)
  }

  /** Whether the transaction, if there is one, lets batches of a partition go; gives it the producer id if so. */
  #isAdmitted(partition: AppendPartition): boolean {
    const transaction = this.#transaction
    if (transaction === undefined) return true
    if (!transaction.admits(partition.topic, partition.partition)) return false
    const { identity } = transaction
    // Identities change between transactions only, when nothing has a sequence yet.
    if (identity !== undefined && partition.hasOtherIdentity(identity)) {
      partition.identify(identity, { isTransactional: true })
    }
    return identity !== undefined
  }

  #sendOn(line: AppendLine, sendable: readonly Sendable[]): boolean {
    const { inFlightMax = 5, requestBytesMax = 1_048_576 } = this.#options
    let rest = sendable
    while (rest.length > 0 && line.inFlightCount < inFlightMax) {
      const request: Sendable[] = []
      let bytes = 0
      for (const item of rest) {
        if (request.length > 0 && bytes + item.batch.sizeBytes > requestBytesMax) break
        request.push(item)
        bytes += item.batch.sizeBytes
      }
      rest = rest.slice(request.length)
      void this.#request(line, request)
    }
    return rest.length < sendable.length
  }

  /** Takes the batches synchronously, sends them, and judges each. Never rejects. */
  async #request(line: AppendLine, sendable: readonly Sendable[]): Promise<void> {
    line.inFlightCount += 1
    const taken = sendable.flatMap(({ partition }) => this.#take(partition))
    const turn = line.hasTurns || !taken.every(isReady) ? line.takeTurn() : undefined
    try {
      const items: Item[] = turn === undefined ? taken.filter(isReady) : await readyOf(taken)
      await turn?.before
      await this.#send(line, items, turn)
    } catch (cause) {
      const error = asPipelineError(cause, `Produce to broker ${line.leaderId}`)
      for (const item of taken) this.#judgeFailure(item, error)
      if (!this.#isClosed) this.#findLeaders()
    } finally {
      turn?.done()
      line.inFlightCount -= 1
      this.#host.wake()
    }
  }

  #take(partition: AppendPartition): TakenItem[] {
    const taken = partition.take()
    if (taken === undefined) return []
    const { batch, stamp } = taken
    const bytes = batch.build(stamp, builder => this.#host.release(builder))
    this.#host.taken(batch)
    const topicId = this.#options.cluster.cachedTopic(batch.topic)?.topicId ?? ZERO_UUID
    return [{ batch, bytes, topicId, partition }]
  }

  async #send(line: AppendLine, items: readonly Item[], turn: AppendTurn | undefined): Promise<void> {
    const { cluster } = this.#options
    const oldestMs = Math.min(...items.map(({ batch }) => batch.createdAtMs))
    const leftMs = this.#deliveryTimeoutMs - (this.#clock.monotonicMs() - oldestMs)
    const timeoutMs = Math.ceil(Math.min(cluster.requestTimeoutMs, Math.max(requestTimeoutMinMs, leftMs)))
    const connection = await cluster.connectionTo({ to: { nodeId: line.leaderId }, lane: line.lane, timeoutMs })
    const version = connection.versionOf(produceApi, this.#versionMax(items))
    const transactionalId = this.#transaction?.transactionalId ?? null
    const message = produceRequest(items, { version, acks: this.#acks, timeoutMs, transactionalId })
    if (this.#acks === 0) {
      const posted = connection.post(produceApi, message, { version, timeoutMs })
      turn?.done()
      await posted
      for (const item of items) this.#deliver(item.partition, item.batch, -1n)
      return
    }
    const answered = this.#meters?.requested(line.leaderId, recordCountOf(items))
    const sent = connection.send(produceApi, message, { version, timeoutMs })
    turn?.done()
    const answer = await sent.finally(answered)
    if (answer.throttleTimeMs > 0) {
      this.#host.throttled(line.throttle(answer.throttleTimeMs, this.#clock.monotonicMs()))
    }
    for (const item of items) {
      const verdict = verdictOf(answer, item)
      if (verdict !== undefined) this.#judge(item, verdict)
      else
        this.#judgeFailure(
          item,
          new PipelineError('ERR_CLIENT_RESPONSE_INVALID', `Produce: no answer for ${nameOf(item.batch)}`)
        )
    }
  }

  #versionMax(items: readonly BatchToSend[]): number {
    if (this.#transaction?.addsByWriting === false) return PRODUCE_TRANSACTION_VERSION - 1
    const hasIds = items.every(item => item.topicId !== ZERO_UUID)
    return hasIds ? produceApi.maxVersion : PRODUCE_TOPIC_ID_VERSION - 1
  }

  #judge(item: Item, verdict: BatchVerdict): void {
    const { batch, partition } = item
    const { errorCode } = verdict
    switch (errorCode) {
      case KAFKA.NONE:
      case KAFKA.DUPLICATE_SEQUENCE_NUMBER:
        this.#deliver(partition, batch, verdict.baseOffset)
        return
      case KAFKA.MESSAGE_TOO_LARGE:
      case KAFKA.RECORD_LIST_TOO_LARGE:
        if (batch.recordCount > 1) this.#split(partition, batch)
        else this.#giveUp(partition, batch, tooLarge(batch))
        return
      case KAFKA.OUT_OF_ORDER_SEQUENCE_NUMBER:
      case KAFKA.UNKNOWN_PRODUCER_ID:
        // In a transaction the gap cannot be closed: the sequences belong to the producer's epoch, not to us.
        if (partition.isFirstOutstanding(batch)) {
          if (this.#transaction !== undefined) {
            this.#giveUp(partition, batch, kafkaError(errorCode, `Produce to ${nameOf(batch)}`))
            return
          }
          partition.restartSequences('epoch')
        }
        this.#sendAgain(partition, batch, kafkaError(errorCode, nameOf(batch)))
        return
      case KAFKA.INVALID_PRODUCER_EPOCH:
        if (this.#transaction !== undefined) {
          this.#giveUp(partition, batch, kafkaError(errorCode, `Produce to ${nameOf(batch)}`))
          return
        }
        this.#identity = undefined
        partition.restartSequences('identity')
        this.#sendAgain(partition, batch, kafkaError(errorCode, nameOf(batch)))
        return
      default: {
        if (isStaleMetadata(errorCode)) this.#findLeaders()
        const error = kafkaError(errorCode, `Produce to ${nameOf(batch)}`, verdict.errorMessage)
        const isRetriable = error.retriable || errorCode === KAFKA.CONCURRENT_TRANSACTIONS
        if (isRetriable) this.#sendAgain(partition, batch, error)
        else this.#giveUp(partition, batch, error)
      }
    }
  }

  #judgeFailure(item: Omit<Item, 'bytes'>, error: PipelineError): void {
    if (error.retriable && !this.#isClosed) this.#sendAgain(item.partition, item.batch, error)
    else this.#giveUp(item.partition, item.batch, error)
  }

  #deliver(partition: AppendPartition, batch: AppendBatch, baseOffset: bigint): void {
    partition.failureCount = 0
    partition.known(this.#clock.monotonicMs())
    partition.settle(batch)
    this.#host.delivered(batch, baseOffset)
  }

  #giveUp(partition: AppendPartition, batch: AppendBatch, error: PipelineError): void {
    partition.settle(batch)
    this.#transaction?.failed(error)
    this.#host.failed(batch, error)
  }

  #sendAgain(partition: AppendPartition, batch: AppendBatch, cause: PipelineError): void {
    const nowMs = this.#clock.monotonicMs()
    if (this.#transaction?.mayRetry() === false) {
      this.#giveUp(partition, batch, cause)
      return
    }
    if (nowMs - batch.createdAtMs >= this.#deliveryTimeoutMs) {
      this.#giveUp(partition, batch, this.#timedOut(batch, cause))
      return
    }
    const { retryBackoffMs: initialMs = 100, retryBackoffMaxMs: maxMs = 1_000, cluster } = this.#options
    // The echo of a failure is not a failure of its own: batches behind the first one do not lengthen the wait.
    if (partition.isFirstOutstanding(batch)) partition.failureCount += 1
    // One line per trouble, neither silence until the delivery timeout nor a line per retry.
    if (partition.failureCount === failuresToLog) this.#logTrouble(batch, cause)
    const waitMs = backoffMs({ initialMs, maxMs }, partition.failureCount, this.#options.random ?? cluster.random)
    partition.restUntilMs = Math.max(partition.restUntilMs, nowMs + waitMs)
    partition.sendAgain(batch)
    this.#meters?.retried(batch)
    this.#active.add(partition)
  }

  #logTrouble(batch: AppendBatch, cause: PipelineError): void {
    const fields = { topic: batch.topic, partition: batch.partition, failures: failuresToLog, code: cause.code }
    const logger = this.#options.logger ?? this.#options.cluster.logger
    logger.warn(fields, `records are not acknowledged, they are sent again: ${cause.message}`)
  }

  /** Halves a batch that is too large for the broker. It was refused whole, so its sequences are still free. */
  #split(partition: AppendPartition, batch: AppendBatch): void {
    const records = batch.records()
    const middle = Math.ceil(records.length / 2)
    const first = this.#part(batch, records, [0, middle])
    const second = this.#part(batch, records, [middle, records.length])
    this.#host.split(batch, [first, second])
    partition.sendAgain(batch, [first, second])
    this.#active.add(partition)
  }

  #part(batch: AppendBatch, records: readonly OutstandingRecord[], range: readonly [number, number]): AppendBatch {
    const [start, end] = range
    const part = this.#host.newPart(batch)
    for (const { record, listener } of records.slice(start, end)) {
      part.tryAppend(record, listener, record.timestampMs ?? this.#clock.now())
    }
    part.seal()
    part.order = (batch.order ?? 0) + (start === 0 ? 0 : batch.orderSpan / 2)
    part.orderSpan = batch.orderSpan / 2
    const { stamp } = batch
    if (stamp !== undefined) part.stamp = { ...stamp, baseSequence: (stamp.baseSequence + start) % sequenceModulus }
    return part
  }

  #expire(partition: AppendPartition, nowMs: number): void {
    const expired = partition.removeWaiting(batch => nowMs - batch.createdAtMs >= this.#deliveryTimeoutMs)
    for (const batch of expired) {
      const error = this.#timedOut(batch)
      this.#transaction?.failed(error)
      this.#host.failed(batch, error)
    }
  }

  #timedOut(batch: AppendBatch, cause?: PipelineError): PipelineError {
    const reason = cause === undefined ? '' : `; last: ${cause.message}`
    return new PipelineError(
      'ERR_CLIENT_DELIVERY_TIMEOUT',
      `${batch.recordCount} records for ${nameOf(batch)} have no verdict after ${this.#deliveryTimeoutMs} ms${reason}`,
      { cause }
    )
  }

  /** Asks for a producer id for all partitions that have none. One request at a time. */
  #identify(): void {
    this.#identity ??= this.#newIdentity()
    this.#identity.then(
      identity => {
        for (const partition of this.#active) if (partition.needsIdentity) partition.identify(identity)
        this.#host.wake()
      },
      (cause: unknown) => {
        this.#identity = undefined
        this.#identityFailed(asPipelineError(cause, 'InitProducerId'))
      }
    )
  }

  async #newIdentity(): Promise<ProducerIdentity> {
    const answer = await this.#options.cluster.send(
      initProducerIdApi,
      { transactionalId: null, transactionTimeoutMs: 60_000 },
      { to: 'any' }
    )
    throwKafkaError(answer.errorCode, 'InitProducerId')
    return { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
  }

  #identityFailed(error: PipelineError): void {
    const { retryBackoffMaxMs: waitMs = 1_000 } = this.#options
    for (const partition of this.#active) {
      if (!partition.needsIdentity) continue
      if (error.retriable) partition.restUntilMs = this.#clock.monotonicMs() + waitMs
      else for (const batch of partition.removeWaiting(() => true)) this.#host.failed(batch, error)
    }
    this.#host.wake()
  }

  #findLeaders(): void {
    if (this.#isRefreshing) return
    this.#isRefreshing = true
    const settle = (): void => {
      this.#isRefreshing = false
      this.#host.wake()
    }
    // Without metadata the batches go on waiting; the next pump asks again, at the pace that the cluster allows.
    this.#options.cluster.refreshMetadata().then(settle, settle)
  }

  /** The next moment at which time alone changes something: a linger, a rest or a deadline. */
  #nextPumpMs(nowMs: number): number | undefined {
    let nextMs = Number.POSITIVE_INFINITY
    for (const partition of this.#active) {
      const batch = partition.first
      if (batch === undefined) continue
      const line = this.#lineOf(partition)
      nextMs = Math.min(nextMs, batch.createdAtMs + this.#deliveryTimeoutMs)
      if (!this.#host.isDue(batch, nowMs)) nextMs = Math.min(nextMs, batch.createdAtMs + this.#host.lingerMs)
      if (partition.restUntilMs > nowMs) nextMs = Math.min(nextMs, partition.restUntilMs)
      if (line !== undefined && line.restUntilMs > nowMs) nextMs = Math.min(nextMs, line.restUntilMs)
    }
    return nextMs === Number.POSITIVE_INFINITY ? undefined : nextMs - nowMs
  }
}

function isReady(item: TakenItem): item is Item {
  return item.bytes instanceof Buffer
}

/** Waits until all batches of a request are compressed. */
async function readyOf(items: readonly TakenItem[]): Promise<Item[]> {
  // All of them have left their builders before any of them is judged: a builder is used again then.
  const waiting = items.map(async item => ({ ...item, bytes: await item.bytes }))
  await Promise.allSettled(waiting)
  return await Promise.all(waiting)
}

function groupOf(groups: Map<AppendLine, Sendable[]>, line: AppendLine): Sendable[] {
  const group = groups.get(line) ?? []
  groups.set(line, group)
  return group
}

function recordCountOf(items: readonly Item[]): number {
  return items.reduce((sum, { batch }) => sum + batch.recordCount, 0)
}

function nameOf(batch: AppendBatch): string {
  return `${batch.topic}-${batch.partition}`
}

function tooLarge(batch: AppendBatch): PipelineError {
  return new PipelineError(
    'ERR_CLIENT_RECORD_TOO_LARGE',
    `a record for ${nameOf(batch)} takes ${batch.sizeBytes} bytes as a batch: the broker refuses it as too large`,
    { kafkaCode: KAFKA.MESSAGE_TOO_LARGE }
  )
}
