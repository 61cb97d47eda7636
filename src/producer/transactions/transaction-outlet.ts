/**
 * An outlet that writes in transactions: what it takes between two ends counts
 * for readers of committed records as a whole or not at all, dead letters and
 * the positions of the sources included.
 *
 * Whoever hands over says when a transaction ends (`commit`), always between two
 * chunks. Records are told of their delivery only after the commit. A
 * transaction that fails is aborted, and its records are written again in the
 * next one, in their order, without those that Kafka refuses for what they are:
 * these become dead letters in that same transaction. So the transaction that is
 * committed in the end has every event exactly once.
 *
 * Invariants: between `commit` and its end nothing but dead letters of its own
 * events is taken. A producer that was fenced never commits anything again.
 *
 * Limits: the records of one transaction are held until its commit.
 */

import {
  type AppendRecord,
  type Cluster,
  type DeliveredBatch,
  type DeliveryListener,
  type LingerSetting,
  TransactionalAppender
} from '../../client/index.ts'
import {
  backoffMs,
  type Clock,
  messageOf,
  PipelineError,
  type Random,
  sleep,
  systemClock,
  systemRandom,
  within
} from '../../core/index.ts'
import type { CompressionName } from '../../protocol/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import { isRecordFault } from '../record-faults.ts'
import type { Outlet, OutletListener, OutletState, RecordRows, RowPlace } from '../outlet.ts'

const AGAIN_BACKOFF = { initialMs: 100, maxMs: 5_000 }
/** Longest wait for the abort of what is open when the outlet closes, in milliseconds. */
const ABORT_MS = 5_000
/** Least wait for room, in milliseconds: lets answers in. */
const FULL_PAUSE_MS = 1

/** What a transaction outlet is made of. */
export interface TransactionOutletOptions {
  readonly cluster: Cluster
  /** Kafka's `transactional.id`: whoever starts with it last fences the others. */
  readonly transactionalId: string
  /** Kafka's `transaction.timeout.ms`. */
  readonly transactionTimeoutMs: number
  /** Longest time that the records of a transaction are tried, over and over, before they have failed. */
  readonly deliveryTimeoutMs: number
  readonly compression: CompressionName
  readonly lingerMs: LingerSetting
  readonly batchBytes: number
  readonly bufferBytes: number
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}

/** What a commit needs of the one who asks for it. */
export interface CommitParts {
  /** Positions of the sources, as records; the last of the transaction. */
  readonly positions: readonly AppendRecord[]
  /** Resolves when the dead letters of records that were just refused are handed over. */
  readonly lettersHandedOver: () => Promise<void>
}

interface Item {
  readonly record: AppendRecord
  readonly listener: OutletListener
}

/** What has become of the records of one listener in the open transaction. */
class Verdicts implements DeliveryListener {
  readonly batches: DeliveredBatch[] = []
  readonly refused: { readonly error: PipelineError; readonly records: readonly AppendRecord[] }[] = []

  delivered(batch: DeliveredBatch): void {
    this.batches.push(batch)
  }

  failed(error: PipelineError, records: AppendRecord[]): void {
    if (isRecordFault(error)) this.refused.push({ error, records })
  }
}

const nobody: OutletListener = { delivered: () => undefined, failed: () => undefined }

/** Writes in transactions. */
export class TransactionOutlet implements Outlet {
  readonly state: OutletState = 'up'
  readonly #options: TransactionOutletOptions
  readonly #appender: TransactionalAppender
  readonly #clock: Clock
  readonly #random: Random
  readonly #logger: Logger
  readonly #closing = new AbortController()
  #items: Item[] = []
  #verdicts = new Map<OutletListener, Verdicts>()
  #bytes = 0
  #error: PipelineError | undefined
  #closed: Promise<void> | undefined

  constructor(options: TransactionOutletOptions) {
    const { deliveryTimeoutMs: _, ...shared } = options
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#logger = options.logger ?? silentLogger
    this.#appender = new TransactionalAppender(shared)
  }

  /** Bytes of the open transaction. */
  get bufferedBytes(): number {
    return this.#bytes
  }

  /** Records of the open transaction. */
  get recordCount(): number {
    return this.#items.length
  }

  /** Why nothing can be written any more. */
  get error(): PipelineError | undefined {
    return this.#error
  }

  /**
   * Takes the transactional id over, and waits until nothing of its last owner is open.
   *
   * @throws PipelineError `ERR_CLIENT_KAFKA` and others of the coordinator.
   */
  async start(): Promise<void> {
    await this.#appender.start()
  }

  append(record: AppendRecord, listener: OutletListener): boolean {
    if (this.#error !== undefined) throw this.#error
    if (this.#closing.signal.aborted) throw closed()
    if (this.#appender.phase === 'ready') this.#appender.begin()
    const item = { record, listener }
    if (!this.#write(item)) return false
    this.#items.push(item)
    this.#bytes += bytesOf(record)
    return true
  }

  // oxlint-disable-next-line max-params -- the shape of every outlet
  appendRow(place: RowPlace, rows: RecordRows, row: number, listener: OutletListener): boolean {
    const { topic, key, headers, timestampMs, partition } = place
    const value = rows.bytes.subarray(rows.spans[row * 2], rows.spans[row * 2 + 1])
    const record: AppendRecord = {
      topic,
      key,
      value,
      row,
      ...(headers === undefined ? {} : { headers }),
      ...(timestampMs === undefined ? {} : { timestampMs }),
      ...(partition === undefined ? {} : { partition })
    }
    return this.append(record, listener)
  }

  room(): Promise<void> {
    return this.#appender.room()
  }

  /** Records have their verdict by `commit`: there is nothing to wait for here. */
  flush(): Promise<void> {
    return Promise.resolve()
  }

  /**
   * Ends the transaction: returns when everything in it is committed, or has failed. Never rejects.
   *
   * @returns Whether it was committed.
   */
  async commit(parts: CommitParts): Promise<boolean> {
    const endsAtMs = this.#clock.monotonicMs() + this.#options.deliveryTimeoutMs
    for (let attempt = 1; ; attempt += 1) {
      try {
        for (const record of parts.positions) await this.#writeAll([{ record, listener: nobody }])
        await this.#appender.commitTransaction()
        this.#committed()
        return true
      } catch (cause) {
        const error = asError(cause)
        if (this.#closing.signal.aborted) return this.#failAll(closed())
        if (this.#isFinal(error)) return this.#failAll(this.#ended(error))
        if (this.#clock.monotonicMs() >= endsAtMs) return await this.#giveUp(error)
        const again = await this.#writeAgain(attempt, parts, error).catch((reason: unknown) => asError(reason))
        if (again !== undefined && this.#isFinal(again)) return this.#failAll(this.#ended(again))
      }
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    const { phase } = this.#appender
    if (phase === 'open' || phase === 'abortable') {
      // Left open, it would hold up the readers of committed records until its time is over.
      const aborted = this.#appender.abortTransaction().catch((error: unknown) => {
        this.#logger.warn({ error: messageOf(error) }, 'the open transaction was not aborted')
      })
      await within(this.#clock, ABORT_MS, aborted)
    }
    await this.#appender.close()
    this.#failAll(closed())
  }

  /** Hands a record to the appender. In a transaction that has failed it only waits for the next one. */
  #write({ record, listener }: Item): boolean {
    if (this.#appender.phase === 'abortable') return true
    try {
      return this.#appender.append(record, this.#verdictsOf(listener))
    } catch (cause) {
      const error = asError(cause)
      if (this.#isFinal(error)) throw this.#ended(error)
      return true // it failed meanwhile: the commit will find out
    }
  }

  async #writeAll(items: readonly Item[]): Promise<void> {
    for (const item of items) {
      while (!this.#write(item)) {
        if (this.#closing.signal.aborted) throw closed()
        await this.#appender.room()
        await sleep(this.#clock, FULL_PAUSE_MS)
      }
    }
  }

  #verdictsOf(listener: OutletListener): Verdicts {
    const known = this.#verdicts.get(listener)
    if (known !== undefined) return known
    const verdicts = new Verdicts()
    this.#verdicts.set(listener, verdicts)
    return verdicts
  }

  #committed(): void {
    const verdicts = this.#verdicts
    this.#clear()
    for (const [listener, { batches }] of verdicts) for (const batch of batches) listener.delivered(batch)
  }

  /** Aborts, and writes everything again in a new transaction but for what Kafka has refused. */
  async #writeAgain(attempt: number, parts: CommitParts, error: PipelineError): Promise<undefined> {
    const refused = [...this.#verdicts].flatMap(([listener, verdicts]) =>
      verdicts.refused.map(each => ({ listener, ...each }))
    )
    const isNews = refused.length === 0
    if (isNews) this.#logger.warn({ attempt, code: error.code }, `a transaction is written again: ${error.message}`)
    await this.#appender.abortTransaction()
    if (isNews) await sleep(this.#clock, backoffMs(AGAIN_BACKOFF, attempt, this.#random), this.#closing.signal)
    this.#appender.begin()
    const gone = new Set(refused.flatMap(({ records }) => records))
    const left = this.#items.filter(({ record }) => !gone.has(record))
    this.#items = left
    this.#verdicts = new Map()
    // Their dead letters come by `append`, and are items of this transaction from then on.
    for (const { listener, error: reason, records } of refused) listener.failed(reason, [...records])
    await this.#writeAll([...left])
    if (refused.length > 0) await parts.lettersHandedOver()
    return undefined
  }

  /** The time of the records is over: they have failed, the producer has not. */
  async #giveUp(error: PipelineError): Promise<boolean> {
    if (this.#appender.phase === 'abortable' || this.#appender.phase === 'open') {
      await this.#appender.abortTransaction().catch((cause: unknown) => {
        const reason = asError(cause)
        if (this.#isFinal(reason)) this.#ended(reason)
      })
    }
    return this.#failAll(this.#error ?? error)
  }

  #failAll(error: PipelineError): false {
    const items = this.#items
    this.#clear()
    const byListener = new Map<OutletListener, AppendRecord[]>()
    for (const { listener, record } of items) {
      const records = byListener.get(listener)
      if (records === undefined) byListener.set(listener, [record])
      else records.push(record)
    }
    for (const [listener, records] of byListener) listener.failed(error, records)
    return false
  }

  #clear(): void {
    this.#items = []
    this.#verdicts = new Map()
    this.#bytes = 0
  }

  /** Whether this producer is at its end: fenced, refused, or without knowing what became of a commit. */
  #isFinal(error: PipelineError): boolean {
    return this.#appender.phase === 'fatal' || this.#error !== undefined || error.code === 'ERR_CLIENT_CLOSED'
  }

  #ended(cause: PipelineError): PipelineError {
    const { transactionalId } = this.#options
    const isFenced = cause.code === 'ERR_CLIENT_PRODUCER_FENCED' || cause.kafkaCode === 90
    const message = isFenced
      ? `another producer has taken over the transactional id ${transactionalId}, or a transaction was open for ` +
        `longer than ${this.#options.transactionTimeoutMs} ms: this producer ends`
      : `the transactions of ${transactionalId} have ended: ${cause.message}`
    this.#error ??= new PipelineError(isFenced ? 'ERR_PRODUCER_FENCED' : 'ERR_PRODUCER_TRANSACTION', message, { cause })
    return this.#error
  }
}

function bytesOf(record: AppendRecord): number {
  return (record.key?.length ?? 0) + (record.value?.length ?? 0) + 64
}

function closed(): PipelineError {
  return new PipelineError('ERR_CLIENT_DELIVERY_TIMEOUT', 'the producer ended before the transaction was committed')
}

function asError(cause: unknown): PipelineError {
  if (PipelineError.is(cause)) return cause
  return new PipelineError('ERR_PRODUCER_TRANSACTION', messageOf(cause), { cause })
}
