/** The dispatcher's metrics and totals. Recorded per batch, never per record. */

import type { Counter, Histogram, Meter } from '../telemetry/index.ts'
import type { Decision } from './settlement.ts'

/** Totals since the dispatcher started. */
export interface DispatcherTotals {
  /** Records delivered: the target answered that it has them. */
  readonly records: number
  /** Batches begun. */
  readonly batches: number
  /** Invocations of the target, retries included. */
  readonly invocations: number
  /** Records sent again. */
  readonly retries: number
  /** Records put into the dead letter topic. */
  readonly deadLettered: number
  /** Records put into retry topics, each time anew. */
  readonly parked: number
  /** Records skipped on the target's word. */
  readonly skipped: number
  /** Records that were left out: a filter or a transform did not want them. */
  readonly filtered: number
  /** Invocations that found the target unavailable. */
  readonly unavailable: number
  /** Times that partitions came or went. */
  readonly rebalances: number
}

type MutableTotals = { -readonly [Name in keyof DispatcherTotals]: DispatcherTotals[Name] }

/** Counts what happens, for `status()` and for the meter. */
export class Meters {
  readonly totals: MutableTotals = {
    records: 0,
    batches: 0,
    invocations: 0,
    retries: 0,
    deadLettered: 0,
    parked: 0,
    skipped: 0,
    filtered: 0,
    unavailable: 0,
    rebalances: 0
  }
  inFlightBatches = 0
  inFlightRecords = 0
  readonly #records: Counter
  readonly #batches: Counter
  readonly #retries: Counter
  readonly #deadLetters: Counter
  readonly #references: Counter
  readonly #parked: Counter
  readonly #rebalances: Counter
  readonly #transactions: Counter
  readonly #invokeMs: Histogram
  readonly #attributes: { readonly group: string }

  constructor(meter: Meter, groupId: string) {
    this.#attributes = { group: groupId }
    this.#records = meter.createCounter('comporta.dispatcher.records', { description: 'Records that left their batch' })
    this.#batches = meter.createCounter('comporta.dispatcher.batches', { description: 'Batches begun' })
    this.#retries = meter.createCounter('comporta.dispatcher.retries', { description: 'Records sent again' })
    this.#deadLetters = meter.createCounter('comporta.dispatcher.dead_letters', { description: 'Records put aside' })
    this.#references = meter.createCounter('comporta.dispatcher.dead_letter_references', {
      description: 'Dead letters whose value was too large for their topic'
    })
    this.#parked = meter.createCounter('comporta.dispatcher.parked', { description: 'Records put into retry topics' })
    this.#rebalances = meter.createCounter('comporta.dispatcher.rebalances', {
      description: 'Times that partitions came or went'
    })
    this.#transactions = meter.createCounter('comporta.dispatcher.transactions', {
      description: 'Transactions that ended'
    })
    this.#invokeMs = meter.createHistogram('comporta.dispatcher.invoke.duration', {
      description: 'Time from sending a batch to its outcome',
      unit: 'ms',
      advice: {
        explicitBucketBoundaries: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000]
      }
    })
  }

  /** A batch was begun. */
  batchStarted(recordCount: number): void {
    // A range in which nothing was left for us (compaction) is settled without a batch.
    if (recordCount > 0) this.totals.batches += 1
    this.inFlightBatches += 1
    this.inFlightRecords += recordCount
    if (recordCount > 0) this.#batches.add(1, this.#attributes)
  }

  /** A batch has ended, one way or another. */
  batchEnded(recordCount: number): void {
    this.inFlightBatches -= 1
    this.inFlightRecords -= recordCount
  }

  /** An invocation was answered or given up. */
  invoked(outcome: string, durationMs: number): void {
    this.totals.invocations += 1
    if (outcome === 'unavailable') this.totals.unavailable += 1
    this.#invokeMs.record(durationMs, { ...this.#attributes, outcome })
  }

  /** It was decided what becomes of the records of an invocation. */
  decided(decision: Decision): void {
    this.totals.records += decision.deliveredCount
    this.totals.retries += decision.retriedCount
    this.totals.skipped += decision.skippedCount
    if (decision.deliveredCount > 0) {
      this.#records.add(decision.deliveredCount, { ...this.#attributes, result: 'delivered' })
    }
    if (decision.skippedCount > 0) this.#records.add(decision.skippedCount, { ...this.#attributes, result: 'skipped' })
    if (decision.retriedCount > 0) this.#retries.add(decision.retriedCount, this.#attributes)
  }

  /** Records were left out of their batch. */
  filtered(recordCount: number): void {
    if (recordCount === 0) return
    this.totals.filtered += recordCount
    this.#records.add(recordCount, { ...this.#attributes, result: 'filtered' })
  }

  /** A record is safe in the dead letter topic. */
  deadLettered(errorClass: string): void {
    this.totals.deadLettered += 1
    this.#records.add(1, { ...this.#attributes, result: 'deadLettered' })
    this.#deadLetters.add(1, { ...this.#attributes, class: errorClass })
  }

  /** A dead letter was too large for its topic: its value was left out. */
  referenced(): void {
    this.#references.add(1, this.#attributes)
  }

  /** A record is safe in a retry topic. */
  parked(topic: string, tier: number): void {
    this.totals.parked += 1
    this.#records.add(1, { ...this.#attributes, result: 'parked' })
    this.#parked.add(1, { ...this.#attributes, topic, tier })
  }

  /** A transaction has ended: `committed`, `aborted`, or `unknown`. */
  transactionEnded(outcome: string): void {
    this.#transactions.add(1, { ...this.#attributes, outcome })
  }

  /** Partitions came or went. */
  rebalanced(): void {
    this.totals.rebalances += 1
    this.#rebalances.add(1, this.#attributes)
  }
}
