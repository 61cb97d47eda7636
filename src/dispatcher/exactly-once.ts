/**
 * Exactly once: what is made of a batch, and the offset behind it, in one transaction.
 *
 * Each transaction takes a producer out of a pool as large as the concurrency.
 * The offset is fenced by the member's id and generation (KIP-447): a process
 * that lost its partitions can commit nothing for them, and the next owner of a
 * partition waits until what is still open has ended.
 *
 * Three things may become of a transaction, and none is guessed: committed;
 * aborted, so that the work may be done again; or *unknown*, when the commit
 * was sent and a producer of the same id has taken over before its answer came.
 * Then the partition goes on from the offset that the group has.
 *
 * Ids: `<prefix>-<n>`. With a prefix that is the same after a restart, the first
 * thing a producer does is to end what its predecessor left open. With a random
 * one, the cluster does that after `transactionTimeoutMs`, and until then
 * readers of committed records wait.
 */

import type { AppendRecord, GroupMetadata, OffsetToCommit } from '../client/index.ts'
import { type Clock, messageOf, PipelineError, within } from '../core/index.ts'
import type { TopicTarget } from '../targets/index.ts'
import type { Logger } from '../telemetry/index.ts'
import type { TransactionalAppenderLike } from './kafka-side.ts'

/** What exactly-once delivery is made from. */
export interface ExactlyOnceOptions {
  /** Transactions at once, as of now. At least 1. */
  readonly concurrency: () => number
  readonly transactionalIdPrefix: string
  /** Whether the prefix is the same after a restart: all ids are then taken over at once. */
  readonly isPrefixStable: boolean
  readonly createAppender: (transactionalId: string) => TransactionalAppenderLike
  /** Who the member is now. */
  readonly groupMetadata: () => GroupMetadata
  /** What became of the last transaction of a partition is not known. */
  readonly onUnknown: (owner: object) => void
  readonly onEnded: (outcome: TransactionOutcome['kind']) => void
  readonly clock: Clock
  readonly logger: Logger
}

/** What exactly-once deliveries work with, besides what all deliveries share. */
export interface ExactlyOnceSurroundings {
  readonly transactions: ExactlyOnce
  readonly target: TopicTarget
  readonly deadLetterTopic: string
  /** What becomes of a dead letter that its topic finds too large. */
  readonly tooLarge: 'reference' | 'wait'
}

/** What is to count as a whole. */
export interface TransactionWork {
  /** Whose partition it is: told to `onUnknown`. */
  readonly owner: object
  readonly records: readonly AppendRecord[]
  readonly offset: OffsetToCommit
  /** Aborts the transaction, unless it is being committed already. */
  readonly signal: AbortSignal
}

/** What became of a transaction. */
export type TransactionOutcome =
  | { readonly kind: 'committed' }
  /** Nothing of it counts. `isMember`: the group did not take the offset; the target is well. */
  | { readonly kind: 'aborted'; readonly error: PipelineError; readonly isMember: boolean }
  | { readonly kind: 'unknown'; readonly error: PipelineError }

/** One transactional producer, as JSON can hold it. */
export interface ProducerDescription {
  readonly transactionalId: string
  /** `null` if it was not needed yet, or its predecessor had to go. */
  readonly phase: TransactionalAppenderLike['phase'] | null
  /** How long its transaction has been under way, in milliseconds; `null` if there is none. */
  readonly ageMs: number | null
}

interface Place {
  readonly transactionalId: string
  appender: TransactionalAppenderLike | undefined
  isBusy: boolean
  /** Since when it is busy, in milliseconds of the monotonic clock. */
  busySinceMs: number
}

const COMMITTED: TransactionOutcome = { kind: 'committed' }

/** Runs transactions. */
export class ExactlyOnce {
  readonly #options: ExactlyOnceOptions
  readonly #places: Place[] = []
  readonly #waits: (() => void)[] = []
  #isClosed = false

  constructor(options: ExactlyOnceOptions) {
    this.#options = options
  }

  /** Takes all ids over at once if somebody may have left transactions open under them. */
  start(): void {
    if (!this.#options.isPrefixStable) return
    while (this.#places.length < this.#options.concurrency()) void this.#takeOver(this.#newPlace())
  }

  /** Writes records and commits an offset, all or nothing. Never rejects. */
  async commitTransaction(work: TransactionWork): Promise<TransactionOutcome> {
    const place = await this.#acquire(work.signal)
    if (place === undefined) return aborted(givenUp())
    let outcome: TransactionOutcome
    try {
      outcome = await this.#run(place, work)
    } catch (cause) {
      outcome = aborted(asError(cause))
    }
    if (outcome.kind === 'unknown') {
      const { topic, partition, offset } = work.offset
      const fields = { topic, partition, offset: offset.toString(), transactionalId: place.transactionalId }
      this.#options.logger.error(fields, `${outcome.error.message}: the committed offset will tell`)
    }
    await this.#tidy(place)
    // A producer that had to go may have left its transaction open: its successor ends it, needed or not.
    if (place.appender === undefined && !this.#isClosed) void this.#takeOver(place)
    else this.#release(place)
    this.#options.onEnded(outcome.kind)
    if (outcome.kind === 'unknown') this.#options.onUnknown(work.owner)
    return outcome
  }

  /** What the producers are doing. */
  describe(): ProducerDescription[] {
    const nowMs = this.#options.clock.monotonicMs()
    return this.#places.map(({ transactionalId, appender, isBusy, busySinceMs }) => ({
      transactionalId,
      phase: appender?.phase ?? null,
      ageMs: isBusy ? nowMs - busySinceMs : null
    }))
  }

  /** Waits for transactions under way, for at most `deadlineMs`, and closes the producers. Idempotent. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosed = true
    for (const wake of this.#waits.splice(0)) wake()
    await within(this.#options.clock, deadlineMs, this.#untilIdle())
    await Promise.all(this.#places.map(async ({ appender }) => appender?.close()))
  }

  #newPlace(): Place {
    const transactionalId = `${this.#options.transactionalIdPrefix}-${this.#places.length}`
    const place: Place = { transactionalId, appender: undefined, isBusy: false, busySinceMs: 0 }
    this.#places.push(place)
    return place
  }

  async #untilIdle(): Promise<void> {
    while (this.#places.some(place => place.isBusy)) await new Promise<void>(resolve => this.#waits.push(resolve))
  }

  async #takeOver(place: Place): Promise<void> {
    this.#take(place)
    // A failure here is met again by the first transaction, which reports it.
    await this.#started(place).catch(() => undefined)
    await this.#tidy(place)
    this.#release(place)
  }

  async #run(place: Place, { records, offset, signal }: TransactionWork): Promise<TransactionOutcome> {
    const appender = await this.#started(place)
    if (signal.aborted) return aborted(givenUp())
    appender.begin()
    try {
      for (const record of records) while (!appender.append(record)) await appender.room()
      if (signal.aborted) throw givenUp()
      // Side by side: offsets and records go to different brokers, and the commit waits for both.
      const sent = appender.sendOffsets([offset], this.#options.groupMetadata())
      sent.catch(() => undefined) // the commit fails with the same error
      await appender.commitTransaction()
      return COMMITTED
    } catch (cause) {
      const error = asError(cause)
      if (error.code === 'ERR_CLIENT_TRANSACTION_UNKNOWN') return { kind: 'unknown', error }
      // If the abort fails, the producer has ended, and its successor ends the transaction.
      await appender.abortTransaction().catch(() => undefined)
      return aborted(error)
    }
  }

  async #started(place: Place): Promise<TransactionalAppenderLike> {
    if (place.appender === undefined) {
      place.appender = this.#options.createAppender(place.transactionalId)
      await place.appender.start()
    }
    return place.appender
  }

  /** A producer that cannot begin another transaction goes. */
  async #tidy(place: Place): Promise<void> {
    const { appender } = place
    if (appender === undefined || appender.phase === 'ready') return
    place.appender = undefined
    const { error } = appender
    if (error?.code === 'ERR_CLIENT_PRODUCER_FENCED') {
      this.#options.logger.error({ transactionalId: place.transactionalId }, error.message)
    }
    await appender.close()
  }

  async #acquire(signal: AbortSignal): Promise<Place | undefined> {
    for (;;) {
      if (signal.aborted || this.#isClosed) return undefined
      // One that is ready before one that has to be started.
      const idle = this.#places.filter(place => !place.isBusy)
      const isFull = this.#places.length >= this.#options.concurrency()
      const place =
        idle.find(({ appender }) => appender !== undefined) ?? idle[0] ?? (isFull ? undefined : this.#newPlace())
      if (place !== undefined) return this.#take(place)
      await new Promise<void>(resolve => {
        this.#waits.push(resolve)
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  #take(place: Place): Place {
    place.isBusy = true
    place.busySinceMs = this.#options.clock.monotonicMs()
    return place
  }

  #release(place: Place): void {
    place.isBusy = false
    for (const wake of this.#waits.splice(0)) wake()
  }
}

function aborted(error: PipelineError): TransactionOutcome {
  const { cause } = error
  const isMember = PipelineError.is(cause, 'ERR_CLIENT_GENERATION_STALE')
  return { kind: 'aborted', error, isMember }
}

function givenUp(): PipelineError {
  return new PipelineError('ERR_CORE_ABORTED', 'the transaction is not wanted any more')
}

function asError(cause: unknown): PipelineError {
  if (PipelineError.is(cause)) return cause
  return new PipelineError('ERR_CORE_INVARIANT', messageOf(cause), { cause })
}
