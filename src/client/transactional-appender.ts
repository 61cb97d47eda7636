/**
 * Appends in transactions: what is appended between `begin` and `commitTransaction`, and the offsets sent with it,
 * counts for readers of committed records as a whole or not at all.
 *
 * One transaction at a time. The state is in `transaction-state.ts`; here are
 * the requests to the coordinators, repeated until they have an answer that
 * settles them. Records go through an `Appender` that asks the state for leave.
 *
 * - Before a transaction ends, everything in flight has come back: so nothing
 *   of it can become part of the next one.
 * - A commit whose answer was lost is sent again until the coordinator says
 *   what became of it. If another producer has taken over meanwhile, that can
 *   no longer be learned: `ERR_CLIENT_TRANSACTION_UNKNOWN`.
 *
 * Limits: those of the appender. Batches are given up after
 * `transactionTimeoutMs`, when the coordinator aborts the transaction anyway.
 */

import { backoffMs, type Clock, messageOf, PipelineError, type Random, sleep } from '../core/index.ts'
import { kafkaErrorName } from '../protocol/index.ts'
import { Appender } from './appender.ts'
import type { AppendRecord, DeliveryListener } from './appender-types.ts'
import type { Cluster } from './cluster.ts'
import type { OffsetToCommit } from './group-types.ts'
import { asPipelineError, KAFKA, kafkaError } from './kafka-error.ts'
import { TransactionRequests } from './transaction-requests.ts'
import {
  type TransactionPhase,
  type TransactionRequest,
  TransactionState,
  transactionVerdict
} from './transaction-state.ts'
import type { GroupMetadata, TransactionalAppenderOptions } from './transaction-types.ts'

const silent: DeliveryListener = { delivered: () => undefined, failed: () => undefined }
/** Failures in a row of one request that are worth a log line. */
const failuresToLog = 10

/** An answer, as far as it matters here. */
interface Answer {
  readonly errorCode: number
}

interface Attempts {
  readonly request: TransactionRequest
  /** Time of the monotonic clock after which a retriable failure is final. Default: never. */
  readonly deadlineMs?: number
  /** Told of every attempt that did not settle it. */
  readonly unsettled?: () => void
}

/** Appends records in transactions. */
export class TransactionalAppender {
  readonly #options: TransactionalAppenderOptions
  readonly #cluster: Cluster
  readonly #clock: Clock
  readonly #random: Random
  readonly #transactionTimeoutMs: number
  readonly #state = new TransactionState()
  readonly #requests: TransactionRequests
  readonly #appender: Appender
  readonly #closing = new AbortController()
  #error: PipelineError | undefined
  #startedMs = 0
  #adding: Promise<void> | undefined
  /** Offsets on their way to the coordinators. */
  #offsets: Promise<void> = Promise.resolve()

  /** @throws PipelineError `ERR_CLIENT_OPTIONS_INVALID`. */
  constructor(options: TransactionalAppenderOptions) {
    if (options.transactionalId === '') {
      throw new PipelineError('ERR_CLIENT_OPTIONS_INVALID', 'transactionalId must not be empty')
    }
    const { cluster, transactionTimeoutMs = 60_000, transactionalId } = options
    this.#options = options
    this.#cluster = cluster
    this.#clock = options.clock ?? cluster.clock
    this.#random = options.random ?? cluster.random
    this.#transactionTimeoutMs = transactionTimeoutMs
    this.#requests = new TransactionRequests({
      ...options,
      transactionTimeoutMs,
      protocolMax: options.protocolMax ?? 2
    })
    const { transactionTimeoutMs: _, transactionalId: __, protocolMax: ___, retryBackoffMs: ____, ...shared } = options
    const state = this.#state
    this.#appender = new Appender(
      { ...shared, deliveryTimeoutMs: transactionTimeoutMs },
      {
        transactionalId,
        get identity() {
          return state.identity
        },
        get addsByWriting() {
          return state.protocol === 2
        },
        admits: (topic, partition) => this.#admits(topic, partition),
        mayRetry: () => state.phase === 'open',
        failed: error => this.#failed(error)
      }
    )
  }

  /** What the producer is doing. */
  get phase(): TransactionPhase {
    return this.#state.phase
  }

  /** Why the transaction, or the producer, has failed. */
  get error(): PipelineError | undefined {
    return this.#error
  }

  /** Bytes of records without a verdict. */
  get bufferedBytes(): number {
    return this.#appender.bufferedBytes
  }

  /**
   * Takes the transactional id over: fences whoever had it, and waits until its open transaction is over. Before the
   * first `begin`; a call that failed with a retriable error may be repeated.
   *
   * @throws PipelineError `ERR_CLIENT_KAFKA` and others of the coordinator, `ERR_CLIENT_CLOSED`.
   */
  async start(): Promise<void> {
    if (this.#state.phase === 'new') this.#state.initialize()
    if (this.#state.phase !== 'initializing') throw this.#wrongState('start')
    await this.#initialize()
  }

  /**
   * Begins a transaction.
   *
   * @throws PipelineError `ERR_CLIENT_TRANSACTION_STATE`, or why the producer has ended.
   */
  begin(): void {
    if (this.#state.phase !== 'ready') throw this.#wrongState('begin')
    this.#state.begin()
    this.#error = undefined
    this.#startedMs = this.#clock.monotonicMs()
    this.#offsets = Promise.resolve()
  }

  /**
   * Takes a record into the open transaction. Its buffers must not be changed before its verdict.
   *
   * @param listener - Told when the records are in the log, which does not mean committed. Default: nobody.
   * @returns `false` if the buffer is full: await `room()`, then try again.
   * @throws PipelineError `ERR_CLIENT_TRANSACTION_FAILED` if the transaction can only be aborted.
   */
  append(record: AppendRecord, listener: DeliveryListener = silent): boolean {
    if (this.#state.phase !== 'open') throw this.#wrongState('append')
    return this.#appender.append(record, listener)
  }

  /** Resolves when there is room again, or the appender is closed. */
  room(): Promise<void> {
    return this.#appender.room()
  }

  /**
   * Commits offsets of a group with the transaction, fenced by member id and generation.
   *
   * @throws PipelineError `ERR_CLIENT_TRANSACTION_FAILED`; with cause `ERR_CLIENT_GENERATION_STALE` if the member is no
   *   longer what it says. The transaction can then only be aborted.
   */
  async sendOffsets(offsets: readonly OffsetToCommit[], group: GroupMetadata): Promise<void> {
    if (this.#state.phase !== 'open') throw this.#wrongState('sendOffsets')
    const sent = this.#sendOffsets(offsets, group)
    this.#offsets = Promise.allSettled([this.#offsets, sent]).then(() => undefined)
    await sent
  }

  /**
   * Commits the open transaction: returns when the coordinator has said so.
   *
   * @throws PipelineError `ERR_CLIENT_TRANSACTION_FAILED` if it can only be aborted (the cause says why),
   *   `ERR_CLIENT_PRODUCER_FENCED` if it was not committed and this producer has ended,
   *   `ERR_CLIENT_TRANSACTION_UNKNOWN` if that it was committed cannot be learned, `ERR_CLIENT_TRANSACTION_STATE`.
   */
  async commitTransaction(): Promise<void> {
    if (this.#state.phase !== 'open' && this.#state.phase !== 'abortable') throw this.#wrongState('commitTransaction')
    await Promise.all([this.#appender.flush(), this.#offsets])
    if (this.#state.phase !== 'open') throw this.#wrongState('commitTransaction')
    await this.#end(true)
  }

  /**
   * Aborts the open transaction: nothing of it counts.
   *
   * @throws PipelineError `ERR_CLIENT_PRODUCER_FENCED` and others that end this producer,
   *   `ERR_CLIENT_TRANSACTION_STATE`.
   */
  async abortTransaction(): Promise<void> {
    if (this.#state.phase === 'open') this.#state.fail('abortable')
    if (this.#state.phase !== 'abortable') throw this.#wrongState('abortTransaction')
    const error = this.#error ?? new PipelineError('ERR_CLIENT_TRANSACTION_FAILED', 'the transaction was aborted')
    this.#error = error
    this.#appender.discard(error)
    await Promise.all([this.#appender.flush(), this.#offsets, this.#adding])
    // While waiting, an answer may have ended the producer.
    if (this.#phase() !== 'abortable') throw this.#wrongState('abortTransaction')
    await this.#end(false)
  }

  /**
   * Ends the appender; a transaction that is open is left to the coordinator, which aborts it after
   * `transactionTimeoutMs`: abort it first. Idempotent.
   */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    // A commit under way says itself what became of it: it may have happened.
    if (this.#state.phase === 'open') this.#state.fail('abortable')
    await this.#appender.close(0)
    this.#requests.close()
  }

  async #initialize(): Promise<void> {
    const { identity } = this.#state
    const deadlineMs = this.#clock.monotonicMs() + this.#transactionTimeoutMs + this.#cluster.requestTimeoutMs
    const answer = await this.#settle({ request: 'InitProducerId', deadlineMs }, () => this.#requests.init(identity))
    const { producerId, producerEpoch, protocol } = answer
    this.#state.initialized({ producerId, producerEpoch }, protocol)
  }

  #admits(topic: string, partition: number): boolean {
    if (this.#state.admits(topic, partition)) return true
    // In a turn of its own: one request for all partitions that this round of the appender asks for.
    if (this.#state.phase === 'open') this.#adding ??= Promise.resolve().then(() => this.#addPartitions())
    return false
  }

  /** Never rejects. */
  async #addPartitions(): Promise<void> {
    try {
      while (this.#state.phase === 'open' && this.#state.wantedPartitions.length > 0) {
        const names = this.#state.wantedPartitions
        this.#state.adding()
        await this.#settle({ request: 'AddPartitionsToTxn', deadlineMs: this.#deadlineMs() }, () =>
          this.#requests.addPartitions(this.#identity(), names)
        )
        this.#state.added(names)
      }
    } catch (error) {
      this.#failed(asPipelineError(error, 'AddPartitionsToTxn'))
    } finally {
      this.#adding = undefined
      this.#appender.wake()
    }
  }

  async #sendOffsets(offsets: readonly OffsetToCommit[], group: GroupMetadata): Promise<void> {
    const { groupId, memberId, generation } = group
    try {
      if (generation < 0 || memberId === '') {
        // The coordinator would take such a commit for one that is not fenced at all.
        const message = `this process is no member of group ${groupId} at the moment: its offsets cannot be committed`
        throw new PipelineError('ERR_CLIENT_GENERATION_STALE', message)
      }
      const deadlineMs = this.#deadlineMs()
      if (this.#state.addingGroup(groupId)) {
        await this.#settle({ request: 'AddOffsetsToTxn', deadlineMs }, () =>
          this.#requests.addGroup(this.#identity(), groupId)
        )
        this.#state.addedGroup(groupId)
      }
      const { protocol } = this.#state
      await this.#settle({ request: 'TxnOffsetCommit', deadlineMs }, () =>
        this.#requests.commitOffsets(this.#identity(), { offsets, group, protocol })
      )
    } catch (cause) {
      const error = asPipelineError(cause, 'sending offsets to the transaction')
      this.#failed(error)
      throw this.#failure()
    }
  }

  async #end(isCommit: boolean): Promise<void> {
    if (this.#state.end(isCommit) === 'nothing') return
    try {
      const { protocol } = this.#state
      const unsettled = (): void => this.#state.commitUnsettled()
      const answer = await this.#settle({ request: 'EndTxn', unsettled }, () =>
        this.#requests.end(this.#identity(), isCommit, protocol)
      )
      const { producerId, producerEpoch } = answer
      this.#state.ended(producerId < 0n ? undefined : { producerId, producerEpoch })
    } catch (cause) {
      const error = asPipelineError(cause, 'EndTxn')
      if (isCommit && this.#state.isCommitUnknown) {
        this.#fatal(commitUnknown(this.#options.transactionalId, error))
        throw commitUnknown(this.#options.transactionalId, error)
      }
      if (isCommit) this.#failed(error)
      else this.#fatal(error)
      throw this.#failure()
    }
    if (this.#state.phase !== 'initializing') return
    // With the first protocol: whatever of the aborted transaction is still on its way must be refused.
    await this.#initialize().catch((cause: unknown) => {
      const error = asPipelineError(cause, 'InitProducerId')
      this.#fatal(error)
      throw error
    })
  }

  /**
   * Sends a request again and again until its answer settles it.
   *
   * @throws PipelineError for every other verdict; the state is changed by the caller, but for `fatal` ones.
   */
  async #settle<T extends Answer>({ request, deadlineMs, unsettled }: Attempts, send: () => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures++) {
      const answer = await this.#attempt(request, send)
      if (!PipelineError.is(answer)) return answer
      const mayRetry = answer.retriable && !this.#closing.signal.aborted && this.#isWanted(request)
      if (!mayRetry || this.#clock.monotonicMs() >= (deadlineMs ?? Number.POSITIVE_INFINITY)) {
        if (mayHaveHappened(answer)) unsettled?.()
        else if (!answer.retriable) this.#judge(request, answer)
        throw answer
      }
      if (mayHaveHappened(answer)) unsettled?.()
      if (failures % failuresToLog === 0) this.#logTrouble(request, failures, answer)
      const { retryBackoffMs: initialMs = 20, retryBackoffMaxMs: maxMs = 1_000 } = this.#options
      await sleep(this.#clock, backoffMs({ initialMs, maxMs }, failures, this.#random), this.#closing.signal)
    }
  }

  /** Whether a request still serves a purpose: nobody needs more partitions or offsets in what is to be aborted. */
  #isWanted(request: TransactionRequest): boolean {
    return request === 'EndTxn' || request === 'InitProducerId' || this.#state.phase === 'open'
  }

  /** One try: the answer if it settles the request, else an error that says whether to try again. */
  async #attempt<T extends Answer>(request: TransactionRequest, send: () => Promise<T>): Promise<T | PipelineError> {
    let answer: T
    try {
      answer = await send()
    } catch (cause) {
      // The coordinator may have gone: look for it again.
      this.#requests.forgetCoordinators()
      return asPipelineError(cause, request)
    }
    const { errorCode } = answer
    const verdict = transactionVerdict(errorCode, request)
    if (verdict === 'done') return answer
    if (verdict === 'coordinator') this.#requests.forgetCoordinators()
    const what = `${request} of ${this.#options.transactionalId}`
    // With the second protocol, whose transaction was aborted for taking too long hears that there is none.
    if (verdict === 'fenced' || (request === 'EndTxn' && errorCode === KAFKA.INVALID_TXN_STATE)) {
      const message =
        `${what} was answered ${kafkaErrorName(errorCode)} (${errorCode}): another producer has taken over, ` +
        `or the transaction was open for longer than ${this.#transactionTimeoutMs} ms`
      return new PipelineError('ERR_CLIENT_PRODUCER_FENCED', message, { kafkaCode: errorCode })
    }
    const error = kafkaError(errorCode, what)
    if (verdict === 'member') {
      return new PipelineError('ERR_CLIENT_GENERATION_STALE', error.message, { kafkaCode: errorCode })
    }
    const retriable = verdict === 'retry' || verdict === 'coordinator'
    return new PipelineError(error.code, error.message, { kafkaCode: errorCode, retriable, fields: error.fields })
  }

  /** An answer that ends the producer, unless it only concerns the transaction. */
  #judge(request: TransactionRequest, error: PipelineError): void {
    const verdict = transactionVerdict(error.kafkaCode ?? -1, request)
    const isEnd = verdict === 'fenced' || verdict === 'fatal'
    // A commit that may have happened is reported as such, by whoever asked for it.
    if (isEnd && !this.#state.isCommitUnknown) this.#fatal(error)
  }

  /** Something of the transaction failed: it can only be aborted, if the producer has not ended. */
  #failed(error: PipelineError): void {
    const verdict = error.kafkaCode === undefined ? 'abortable' : transactionVerdict(error.kafkaCode, 'Produce')
    if (verdict === 'fenced' || verdict === 'fatal') {
      this.#fatal(error)
      return
    }
    if (this.#state.phase === 'fatal') return
    if (this.#state.phase === 'open' || this.#state.phase === 'committing') this.#error = error
    this.#state.fail('abortable')
    this.#appender.discard(this.#failure())
  }

  #fatal(error: PipelineError): void {
    if (this.#state.phase === 'fatal') return
    this.#error = error
    this.#state.fail('fatal')
    this.#appender.discard(error)
  }

  #failure(): PipelineError {
    const cause = this.#error
    if (this.#state.phase === 'fatal' && cause !== undefined) return cause
    if (cause?.code === 'ERR_CLIENT_TRANSACTION_FAILED') return cause
    const message = `the transaction of ${this.#options.transactionalId} can only be aborted: ${messageOf(cause)}`
    return new PipelineError('ERR_CLIENT_TRANSACTION_FAILED', message, { cause })
  }

  #wrongState(what: string): PipelineError {
    if (this.#closing.signal.aborted) {
      return new PipelineError('ERR_CLIENT_CLOSED', `${what}: the transactional appender is closed`)
    }
    if (this.#state.phase === 'fatal' || this.#state.phase === 'abortable') return this.#failure()
    const message = `${what} is not possible while the transactional appender is ${this.#state.phase}`
    return new PipelineError('ERR_CLIENT_TRANSACTION_STATE', message)
  }

  #logTrouble(request: TransactionRequest, failures: number, error: PipelineError): void {
    const logger = this.#options.logger ?? this.#cluster.logger
    const { transactionalId } = this.#options
    logger.warn({ transactionalId, failures, code: error.code }, `${request} is tried again: ${error.message}`)
  }

  #deadlineMs(): number {
    return this.#startedMs + this.#transactionTimeoutMs
  }

  #identity(): { producerId: bigint; producerEpoch: number } {
    return this.#state.identity ?? { producerId: -1n, producerEpoch: -1 }
  }

  /** The phase, read anew: the compiler does not know that it changes while something is awaited. */
  #phase(): TransactionPhase {
    return this.#state.phase
  }
}

/** Whether a request that failed may have been done all the same: it was not answered, or not clearly. */
function mayHaveHappened({ kafkaCode }: PipelineError): boolean {
  const isUnclear = kafkaCode === undefined || kafkaCode === KAFKA.UNKNOWN_SERVER_ERROR
  return isUnclear || transactionVerdict(kafkaCode, 'EndTxn') === 'coordinator'
}

function commitUnknown(transactionalId: string, cause: PipelineError): PipelineError {
  const what = `whether the transaction of ${transactionalId} was committed can no longer be learned`
  const message = `${what}: ${cause.message}`
  return new PipelineError('ERR_CLIENT_TRANSACTION_UNKNOWN', message, { cause })
}
