/**
 * Runtime of the transactions: one map of transactional ids, the log
 * `__transaction_state` under them, the markers, the timers.
 *
 * Each call runs a pure decision (`transaction.ts`), stores what it asks for,
 * and only then applies it and answers. A transaction ends in three steps:
 * `PrepareCommit` or `PrepareAbort` is stored, which decides its fate; a marker
 * is written into each of its partitions; `CompleteCommit` or `CompleteAbort` is
 * stored. Whatever stops the broker in between, `load` goes on from the stored
 * state, so all partitions end alike.
 *
 * Limits: a request that finds its id changing waits for
 * `add.partitions.to.txn.retry.backoff.max.ms` at most and is then
 * CONCURRENT_TRANSACTIONS. Markers that cannot be written are tried again for
 * ever, with a growing wait; ids are kept for `transactional.id.expiration.ms`.
 */

import { backoffMs, type Clock, messageOf, type Random, sleep, type Timer, within } from '../../core/index.ts'
import type { KafkaErrorName } from '../../protocol/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { TransactionLog } from './state-topic.ts'
import { type Decision, identityAfterEnd, NO_IDENTITY, type ProducerIdentity, Transaction } from './transaction.ts'
import { encodeTransaction, readTransactionRecord, type TransactionRecord } from './transaction-records.ts'
import { EPOCH_BUMP_VERSION, partitionsOf, type TopicPartition, type TransactionMetadata } from './transaction-state.ts'

/** Waits between attempts to write markers, or what follows them. */
const RETRY_BACKOFF = { initialMs: 100, maxMs: 10_000 }

/** Records have the length of an id as an int16, flexible requests do not. */
const ID_BYTES_MAX = 0x7fff

/** What ends a transaction in one partition. */
export interface Marker extends ProducerIdentity {
  readonly coordinatorEpoch: number
  readonly isCommit: boolean
  /** `transaction.version` of the transaction: from 2 on a marker has a higher epoch than the records it ends. */
  readonly transactionVersion: number
}

/** Writes markers into partitions. */
export interface MarkerWriter {
  /** Appends one marker; resolves once it is written and, for offsets, in effect. */
  write(partition: TopicPartition, marker: Marker): Promise<KafkaErrorName>
}

/** Settings of the coordinator. Names and defaults are Kafka's. */
export interface TransactionSettings {
  /** `transaction.max.timeout.ms`, default 900_000. */
  readonly timeoutMsMax: number
  /** `transactional.id.expiration.ms`, default 7 days. */
  readonly idExpirationMs: number
  /** `transaction.abort.timed.out.transaction.cleanup.interval.ms`, default 10_000. */
  readonly timeoutCheckMs: number
  /** `transaction.remove.expired.transaction.cleanup.interval.ms`, default 3_600_000. */
  readonly expirationCheckMs: number
  /** `add.partitions.to.txn.retry.backoff.max.ms`, default 100. */
  readonly changeWaitMs: number
  /** `transaction.partition.verification.enable`, default true. */
  readonly isVerificationEnabled: boolean
}

/** What clients ask again for: as in Kafka when there is no block of producer ids. */
const NO_MORE_IDS: KafkaErrorName = 'COORDINATOR_LOAD_IN_PROGRESS'

/** What the coordinator needs. */
export interface TransactionCoordinatorOptions {
  readonly settings: TransactionSettings
  readonly log: TransactionLog
  readonly markers: MarkerWriter
  readonly producerIds: { next(): Promise<bigint> }
  /** `transaction.version` of the cluster now. */
  readonly version: () => number
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** An error, or the identity to go on with. */
export interface IdentityAnswer extends ProducerIdentity {
  readonly error: KafkaErrorName
}

/** A caller's identity and the partitions it is about. */
export interface PartitionsRequest extends ProducerIdentity {
  readonly transactionalId: string
  readonly partitions: readonly TopicPartition[]
}

interface Entry {
  readonly transactionalId: string
  readonly transaction: Transaction
  /** Called once when nothing is being stored or completed any more. */
  readonly waiting: Set<() => void>
  /** Behind the last produce request that waits: those of one producer keep their order. */
  tail: Promise<unknown> | undefined
}

/** Coordinates all transactions of this broker. */
export class TransactionCoordinator {
  readonly #options: TransactionCoordinatorOptions
  readonly #entries = new Map<string, Entry>()
  readonly #closing = new AbortController()
  readonly #work = new Set<Promise<void>>()
  /** Those whose completion is under way. */
  readonly #completing = new Set<Entry>()
  #timers: Timer[] = []

  constructor(options: TransactionCoordinatorOptions) {
    this.#options = options
  }

  /**
   * Replays `__transaction_state`, takes up the transactions that were being completed, and starts timers. Call
   * once, before clients are served and after the groups are loaded.
   */
  async load(): Promise<void> {
    const { log, clock, settings, logger } = this.#options
    await log.replay((key, value) => {
      const record = readTransactionRecord(key, value)
      if (record === undefined) return
      const { transactionalId, metadata } = record
      if (metadata === undefined) this.#entries.delete(transactionalId)
      else this.#entry(transactionalId, () => new Transaction(metadata)).transaction.apply(metadata)
    })
    const unfinished = [...this.#entries.values()].filter(entry => entry.transaction.isCompleting)
    for (const entry of unfinished) this.#startCompletion(entry)
    const ids = this.#entries.size
    if (ids > 0) logger.info({ ids, unfinished: unfinished.length }, 'transactional ids were loaded')
    this.#timers = [
      clock.every(settings.timeoutCheckMs, () => this.#check()).unref(),
      clock.every(settings.expirationCheckMs, () => this.#inBackground(this.removeExpired())).unref()
    ]
  }

  /** Stops timers, waits and attempts; what is unfinished is taken up by the next `load`. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort()
    for (const timer of this.#timers) timer.cancel()
    this.#timers = []
    for (const entry of this.#entries.values()) this.#wake(entry)
    await Promise.all(this.#work)
  }

  /** Creates the topic of the transactions unless it is there. Resolves with whether it is there now; never rejects. */
  async ensureCreated(): Promise<boolean> {
    try {
      return await this.#options.log.ensureCreated()
    } catch (error) {
      // Whatever the reason, the client gets an answer, and its next attempt tries again.
      this.#options.logger.error({ error: messageOf(error) }, 'the log of the transactions could not be created')
      return false
    }
  }

  /** InitProducerId; without a transactional id, an identity for an idempotent producer. */
  async initProducerId(
    transactionalId: string | null,
    request: { readonly timeoutMs: number; readonly expected: ProducerIdentity | undefined }
  ): Promise<IdentityAnswer> {
    const { settings, clock, version } = this.#options
    if (transactionalId === null) {
      const producerId = await this.#nextProducerId()
      return producerId === undefined ? refused(NO_MORE_IDS) : { error: 'NONE', producerId, producerEpoch: 0 }
    }
    const isId = transactionalId !== '' && Buffer.byteLength(transactionalId) <= ID_BYTES_MAX
    if (!isId) return refused('INVALID_REQUEST')
    const { timeoutMs } = request
    if (timeoutMs <= 0 || timeoutMs > settings.timeoutMsMax) return refused('INVALID_TRANSACTION_TIMEOUT')
    if (!(await this.ensureCreated())) return refused('COORDINATOR_NOT_AVAILABLE')
    if (!this.#entries.has(transactionalId)) {
      const producerId = await this.#nextProducerId()
      if (producerId === undefined) return refused(NO_MORE_IDS)
      this.#entry(transactionalId, () => Transaction.create(producerId, timeoutMs, clock.now()))
    }
    const entry = this.#entries.get(transactionalId)
    if (entry === undefined) return refused('CONCURRENT_TRANSACTIONS')
    const { decision, error } = await this.#run(entry, (transaction, freshProducerId) =>
      transaction.initProducerId({ ...request, serverVersion: version(), ...freshProducerId }, clock.now())
    )
    if (decision.kind !== 'write') return answerOf(decision)
    if (error !== 'NONE') return refused(error)
    const { state, producerId, producerEpoch } = decision.metadata
    // The open transaction of the former owner is being aborted: the client asks again.
    return state === 'Empty' ? { error, producerId, producerEpoch } : refused('CONCURRENT_TRANSACTIONS')
  }

  /** AddPartitionsToTxn, AddOffsetsToTxn: all of the partitions or none. */
  async addPartitions(request: PartitionsRequest & { readonly clientVersion: number }): Promise<KafkaErrorName> {
    if (request.transactionalId === '') return 'INVALID_REQUEST'
    const entry = this.#entries.get(request.transactionalId)
    if (entry === undefined) return 'INVALID_PRODUCER_ID_MAPPING'
    const { decision, error } = await this.#run(entry, transaction =>
      transaction.addPartitions(request, this.#options.clock.now())
    )
    return decision.kind === 'write' ? error : decision.error
  }

  /** AddPartitionsToTxn with VerifyOnly: one error for each partition. */
  verifyPartitions(request: PartitionsRequest): readonly KafkaErrorName[] {
    const { transactionalId, partitions } = request
    if (transactionalId === '') return partitions.map(() => 'INVALID_REQUEST')
    const entry = this.#entries.get(transactionalId)
    if (entry === undefined) return partitions.map(() => 'INVALID_PRODUCER_ID_MAPPING')
    return entry.transaction.verifyPartitions(request)
  }

  /**
   * What a partition asks before it takes transactional records: one error for
   * each of the partitions. With `mayAdd` (KIP-890) those that are not in the
   * transaction are added; if the id is changing, that is waited for. Calls for
   * one id resolve in their order.
   */
  async verifyOrAdd(request: PartitionsRequest & { readonly mayAdd: boolean }): Promise<readonly KafkaErrorName[]> {
    const { transactionalId, partitions, mayAdd } = request
    if (!mayAdd) {
      return this.#options.settings.isVerificationEnabled
        ? this.verifyPartitions(request)
        : partitions.map(() => 'NONE')
    }
    const entry = this.#entries.get(transactionalId)
    if (entry === undefined) {
      const error = transactionalId === '' ? 'INVALID_REQUEST' : 'INVALID_PRODUCER_ID_MAPPING'
      return partitions.map(() => error)
    }
    const added = (entry.tail ?? Promise.resolve()).then(() => this.#addWhenSettled(entry, request))
    // Whoever comes next waits for this one, whatever becomes of it; the failure is this caller's.
    const tail = added.catch(() => undefined)
    entry.tail = tail
    const error = await added
    if (entry.tail === tail) entry.tail = undefined
    return partitions.map(() => error)
  }

  /** EndTxn. With KIP-890 the answer has the identity for the next transaction. */
  async endTransaction(
    request: ProducerIdentity & {
      readonly transactionalId: string
      readonly isCommit: boolean
      readonly clientVersion: number
    }
  ): Promise<IdentityAnswer> {
    const { clock } = this.#options
    if (request.transactionalId === '') return refused('INVALID_REQUEST')
    const entry = this.#entries.get(request.transactionalId)
    if (entry === undefined) return refused('INVALID_PRODUCER_ID_MAPPING')
    const { decision, error } = await this.#run(entry, (transaction, freshProducerId) =>
      transaction.endTransaction({ ...request, ...freshProducerId }, clock.now())
    )
    if (decision.kind !== 'write') return answerOf(decision)
    if (error !== 'NONE') return refused(error)
    // Its fate is decided and stored. The markers take a moment, in which the client's next request would have to
    // be refused: waiting here is cheaper than its retry.
    await this.#settled(entry)
    return { error, ...identityAfterEnd(decision.metadata) }
  }

  /** Aborts all transactions that have been open for longer than their timeout, and fences their owners. */
  async abortTimedOut(): Promise<void> {
    const { clock, version, logger } = this.#options
    for (const entry of this.#entries.values()) {
      if (!entry.transaction.isTimedOut(clock.now())) continue
      const { transactionalId } = entry
      const { producerId, producerEpoch, timeoutMs } = entry.transaction.current
      const { decision, error } = await this.#run(entry, (transaction, freshProducerId) =>
        transaction.fence({ serverVersion: version(), ...freshProducerId }, clock.now())
      )
      if (decision.kind !== 'write') continue
      const fields = { transactionalId, producerId: producerId.toString(), producerEpoch, timeoutMs, error }
      logger.warn(fields, 'a transaction exceeded its timeout and is aborted')
    }
  }

  /** Forgets ids that nobody has used for `transactional.id.expiration.ms`. */
  async removeExpired(): Promise<void> {
    const { clock, settings, logger } = this.#options
    for (const entry of this.#entries.values()) {
      const { transaction, transactionalId } = entry
      if (!transaction.isExpired(clock.now(), settings.idExpirationMs)) continue
      transaction.begin('Dead')
      const error = await this.#append(transactionalId, encodeTransaction(transactionalId, undefined))
      if (error === 'NONE') this.#entries.delete(transactionalId)
      else transaction.abandon()
      logger.info({ transactionalId, error }, 'a transactional id has expired')
      this.#wake(entry)
    }
  }

  /** What is known of an id, for DescribeTransactions. */
  find(transactionalId: string): TransactionMetadata | undefined {
    return this.#entries.get(transactionalId)?.transaction.current
  }

  /** All ids, for ListTransactions. */
  list(): [transactionalId: string, metadata: TransactionMetadata][] {
    return [...this.#entries].map(([id, { transaction }]) => [id, transaction.current])
  }

  /**
   * Carries out a decision: a producer id if it needs one, the write, what follows it.
   *
   * @returns The decision, and with `write` what became of that.
   */
  async #run(
    entry: Entry,
    decide: (transaction: Transaction, fresh: { freshProducerId?: bigint }) => Decision
  ): Promise<{ decision: Exclude<Decision, { kind: 'needProducerId' }>; error: KafkaErrorName }> {
    let decision = decide(entry.transaction, {})
    while (decision.kind === 'needProducerId') {
      const freshProducerId = await this.#nextProducerId()
      if (freshProducerId === undefined) {
        return { decision: { kind: 'answer', error: NO_MORE_IDS, ...NO_IDENTITY }, error: NO_MORE_IDS }
      }
      decision = decide(entry.transaction, { freshProducerId })
    }
    if (decision.kind === 'answer') return { decision, error: decision.error }
    const error = await this.#store(entry, decision.metadata)
    if (entry.transaction.isCompleting) this.#startCompletion(entry)
    else this.#wake(entry)
    return { decision, error }
  }

  /** A producer id that was never given; `undefined` if the next ones cannot be claimed on disk. */
  async #nextProducerId(): Promise<bigint | undefined> {
    try {
      return await this.#options.producerIds.next()
    } catch (error) {
      this.#options.logger.error({ error: messageOf(error) }, 'producer ids could not be claimed')
      return undefined
    }
  }

  async #store(entry: Entry, metadata: TransactionMetadata): Promise<KafkaErrorName> {
    const { transaction, transactionalId } = entry
    const { logger, version } = this.#options
    const valueVersion = version() > 0 ? 1 : 0
    // First: what cannot be encoded must not leave the id in the middle of a change.
    const record = encodeTransaction(transactionalId, metadata, { valueVersion })
    transaction.begin(metadata)
    const error = await this.#append(transactionalId, record)
    if (error === 'NONE') transaction.apply(metadata)
    else {
      transaction.abandon()
      logger.error({ transactionalId, state: metadata.state, error }, 'the state of a transaction was not written')
    }
    return error
  }

  /** Never rejects: whatever the reason, the id must not stay in the middle of a change. */
  async #append(transactionalId: string, record: TransactionRecord): Promise<KafkaErrorName> {
    try {
      return await this.#options.log.append(transactionalId, record)
    } catch (error) {
      this.#options.logger.error({ transactionalId, error: messageOf(error) }, 'the log of the transactions failed')
      return 'UNKNOWN_SERVER_ERROR'
    }
  }

  #check(): void {
    for (const entry of this.#entries.values()) if (entry.transaction.isCompleting) this.#startCompletion(entry)
    this.#inBackground(this.abortTimedOut())
  }

  /** From `PrepareCommit` or `PrepareAbort` to the end, however often that takes; if it is not under way. */
  #startCompletion(entry: Entry): void {
    if (!this.#completing.has(entry)) this.#inBackground(this.#complete(entry))
  }

  /** Work that nobody waits for but `close`. What fails is taken up again by the next check or the next start. */
  #inBackground(promise: Promise<void>): void {
    const work = promise.catch((error: unknown) => {
      this.#options.logger.error({ error: messageOf(error) }, 'work on transactions failed')
    })
    this.#work.add(work)
    void work.finally(() => this.#work.delete(work))
  }

  async #complete(entry: Entry): Promise<void> {
    const { clock, random } = this.#options
    this.#completing.add(entry)
    try {
      let left = partitionsOf(entry.transaction.current.partitions)
      for (let failures = 0; !this.#closing.signal.aborted; failures++) {
        if (failures > 0) await sleep(clock, backoffMs(RETRY_BACKOFF, failures, random), this.#closing.signal)
        left = await this.#writeMarkers(entry, left)
        if (left.length > 0) continue
        const error = await this.#store(entry, entry.transaction.complete(clock.now()))
        if (error === 'NONE') return this.#wake(entry)
      }
    } finally {
      // In the turn in which it ends: the next completion of this id may begin right behind it.
      this.#completing.delete(entry)
    }
  }

  /** Writes the markers of the partitions; resolves with those that must be tried again. */
  async #writeMarkers(entry: Entry, partitions: readonly TopicPartition[]): Promise<TopicPartition[]> {
    const { log, markers, logger } = this.#options
    const { transactionalId } = entry
    const { producerId, producerEpoch, state, clientVersion } = entry.transaction.current
    const coordinatorEpoch = log.coordinatorEpochOf(transactionalId)
    const isCommit = state === 'PrepareCommit'
    const marker = { producerId, producerEpoch, coordinatorEpoch, isCommit, transactionVersion: clientVersion }
    const errors = await Promise.all(partitions.map(partition => markers.write(partition, marker)))
    return partitions.filter((partition, index) => {
      const error = errors[index] ?? 'NONE'
      if (error === 'NONE') return false
      logger.warn({ transactionalId, ...partition, state, error }, 'the marker of a transaction was not written')
      return !FINAL_MARKER_ERRORS.has(error)
    })
  }

  async #addWhenSettled(entry: Entry, request: PartitionsRequest): Promise<KafkaErrorName> {
    const add = { ...request, clientVersion: EPOCH_BUMP_VERSION }
    const error = await this.addPartitions(add)
    if (error !== 'CONCURRENT_TRANSACTIONS') return error
    await this.#settled(entry)
    return this.addPartitions(add)
  }

  /** Resolves when the id is not changing any more, or after `changeWaitMs`. */
  async #settled(entry: Entry): Promise<void> {
    if (!entry.transaction.isChanging) return
    const settled = new Promise<void>(resolve => entry.waiting.add(resolve))
    await within(this.#options.clock, this.#options.settings.changeWaitMs, settled)
  }

  #wake(entry: Entry): void {
    for (const resolve of entry.waiting) resolve()
    entry.waiting.clear()
  }

  #entry(transactionalId: string, create: () => Transaction): Entry {
    const known = this.#entries.get(transactionalId)
    if (known !== undefined) return known
    const entry = { transactionalId, transaction: create(), waiting: new Set<() => void>(), tail: undefined }
    this.#entries.set(transactionalId, entry)
    return entry
  }
}

/**
 * What a repetition would not change. The topic was deleted; or the partition
 * knows a newer epoch of the producer, which an administrator wrote to end a
 * hanging transaction, or this marker itself, written before a crash.
 */
const FINAL_MARKER_ERRORS: ReadonlySet<KafkaErrorName> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'INVALID_PRODUCER_EPOCH',
  'TRANSACTION_COORDINATOR_FENCED'
])

function refused(error: KafkaErrorName): IdentityAnswer {
  return { error, ...NO_IDENTITY }
}

function answerOf({ error, producerId, producerEpoch }: IdentityAnswer): IdentityAnswer {
  return { error, producerId, producerEpoch }
}
