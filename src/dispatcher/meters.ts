/** The dispatcher's metrics and totals. Recorded per batch, never per record. */

import { type Clock, systemClock } from '../core/index.ts'
import {
  type Attributes,
  type Counter,
  counterOf,
  type Histogram,
  histogramOf,
  knownErrorType,
  type Meter
} from '../telemetry/index.ts'
import { LaneTimes } from './lane-times.ts'
import type { Decision } from './settlement.ts'
import { TopicMeters } from './topic-meters.ts'

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

/** A batch that begins. */
export interface BegunBatch {
  /** The lane that it is of; only its identity counts. */
  readonly lane: { readonly topic: string }
  /** Its records, in the order of their offsets. */
  readonly table: { readonly count: number; timestampMs(row: number): number }
}

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
  /** Times of records that are not done. */
  readonly times = new LaneTimes()
  /** What is counted by topic. */
  readonly topics: TopicMeters
  readonly #clock: Clock
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
  readonly #withOutcome: AttributesWith
  readonly #withResult: AttributesWith
  readonly #withClass: AttributesWith

  constructor(meter: Meter, groupId: string, clock: Clock = systemClock) {
    this.#clock = clock
    this.#attributes = { group: groupId }
    this.topics = new TopicMeters(meter, groupId, clock)
    this.#withOutcome = new AttributesWith(this.#attributes, 'outcome')
    this.#withResult = new AttributesWith(this.#attributes, 'result')
    this.#withClass = new AttributesWith(this.#attributes, 'class')
    this.#records = counterOf(meter, 'comporta.dispatcher.records')
    this.#batches = counterOf(meter, 'comporta.dispatcher.batches')
    this.#retries = counterOf(meter, 'comporta.dispatcher.retries')
    this.#deadLetters = counterOf(meter, 'comporta.dispatcher.dead_letters')
    this.#references = counterOf(meter, 'comporta.dispatcher.dead_letter_references')
    this.#parked = counterOf(meter, 'comporta.dispatcher.parked')
    this.#rebalances = counterOf(meter, 'comporta.dispatcher.rebalances')
    this.#transactions = counterOf(meter, 'comporta.dispatcher.transactions')
    this.#invokeMs = histogramOf(meter, 'comporta.dispatcher.invoke.duration')
  }

  /** Records of a lane were fetched. */
  fetched(lane: object, records: Buffer): void {
    this.times.fetched(lane, records, this.#clock.now())
  }

  /**
   * A batch was begun.
   *
   * @returns Ends it, one way or another; `isDone` = all of its records have left.
   */
  batchStarted({ lane, table }: BegunBatch): (isDone: boolean) => void {
    const { count } = table
    this.inFlightBatches += 1
    this.inFlightRecords += count
    const ended = count === 0 ? undefined : this.#begin({ lane, table })
    return isDone => {
      this.inFlightBatches -= 1
      this.inFlightRecords -= count
      ended?.(isDone)
    }
  }

  /** A range in which nothing was left for us (compaction) is settled without a batch, and does not come here. */
  #begin({ lane, table }: BegunBatch): (isDone: boolean) => void {
    const { count } = table
    this.totals.batches += 1
    this.#batches.add(1, this.#attributes)
    const nowMs = this.#clock.now()
    const times = { firstMs: timeOf(table.timestampMs(0), nowMs), lastMs: timeOf(table.timestampMs(count - 1), nowMs) }
    const forget = this.times.began(lane, times)
    const topic = this.topics.of(lane.topic)
    topic.begun(count, nowMs - times.firstMs)
    const startMs = this.#clock.monotonicMs()
    return isDone => {
      forget()
      topic.ended(this.#clock.monotonicMs() - startMs, isDone)
    }
  }

  /** An invocation was answered or given up. */
  invoked(outcome: string, durationMs: number): void {
    this.totals.invocations += 1
    if (outcome === 'unavailable') this.totals.unavailable += 1
    this.#invokeMs.record(durationMs, this.#withOutcome.of(outcome))
  }

  /** It was decided what becomes of the records of an invocation. */
  decided(decision: Decision): void {
    this.totals.records += decision.deliveredCount
    this.totals.retries += decision.retriedCount
    this.totals.skipped += decision.skippedCount
    if (decision.deliveredCount > 0) this.#records.add(decision.deliveredCount, this.#withResult.of('delivered'))
    if (decision.skippedCount > 0) this.#records.add(decision.skippedCount, this.#withResult.of('skipped'))
    if (decision.retriedCount > 0) this.#retries.add(decision.retriedCount, this.#attributes)
  }

  /** Records were left out of their batch. */
  filtered(recordCount: number): void {
    if (recordCount === 0) return
    this.totals.filtered += recordCount
    this.#records.add(recordCount, this.#withResult.of('filtered'))
  }

  /** A record is safe in the dead letter topic. */
  deadLettered(errorClass: string): void {
    this.totals.deadLettered += 1
    this.#records.add(1, this.#withResult.of('deadLettered'))
    this.#deadLetters.add(1, this.#withClass.of(knownErrorType(errorClass)))
  }

  /** A dead letter was too large for its topic: its value was left out. */
  referenced(): void {
    this.#references.add(1, this.#attributes)
  }

  /** A record is safe in a retry topic. */
  parked(topic: string, tier: number): void {
    this.totals.parked += 1
    this.#records.add(1, this.#withResult.of('parked'))
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

/**
 * The time of a record for ages: producers write what they like. None (-1) says nothing, and a time to come would hide
 * the age of all records behind it.
 */
function timeOf(timestampMs: number, nowMs: number): number {
  return timestampMs < 0 ? nowMs : Math.min(timestampMs, nowMs)
}

/** Most values that are counted one by one: a class of errors is what a target says it is. */
const VALUES_MAX = 100
/** What the others are counted as. Source: OpenTelemetry, `error.type`. */
const OTHER = '_OTHER'

/** Attributes with one more, kept as one object for each value, so that counting allocates nothing. */
class AttributesWith {
  readonly #shared: Attributes
  readonly #name: string
  readonly #known = new Map<string, Attributes>()

  constructor(shared: Attributes, name: string) {
    this.#shared = shared
    this.#name = name
  }

  of(value: string): Attributes {
    const known = this.#known.get(value)
    if (known !== undefined) return known
    if (this.#known.size >= VALUES_MAX && value !== OTHER) return this.of(OTHER)
    const attributes = { ...this.#shared, [this.#name]: value }
    this.#known.set(value, attributes)
    return attributes
  }
}
