/** What a producer counts: its totals for `status()`, and the same as metrics. Recorded per chunk and per batch. */

import { type Counter, counterOf, type Histogram, histogramOf, type Meter, observeAll } from '../telemetry/index.ts'
import type { Settlement } from './delivery.ts'
import type { HeavyReport } from './routing/heavy-detector.ts'

/** Counts since the start. */
export interface ProducerTotals {
  /** Events that sources handed over. */
  readonly receivedCount: number
  /** Their bytes. */
  readonly receivedBytes: number
  /** Events acknowledged in their topic. */
  readonly deliveredCount: number
  /** Events acknowledged in the dead letter topic. */
  readonly deadLetteredCount: number
  /** Events refused to their sender. */
  readonly refusedCount: number
  /** Events that are safe on this machine's disk; Kafka's acknowledgement of them is not counted again. */
  readonly spilledCount: number
  /** Events dropped on purpose, because they came faster than the rate allows. */
  readonly shedCount: number
  /** Events whose source was told that they failed. */
  readonly failedCount: number
  /** Mean time from hand-over to acknowledgement, in milliseconds; 0 before the first. */
  readonly ackLatencyMeanMs: number
  /** Longest such time, in milliseconds. */
  readonly ackLatencyMaxMs: number
}

/** What is read when metrics are collected. */
export interface ProducerGauges {
  /** Bytes handed to Kafka and not yet acknowledged. */
  readonly bufferedBytes: () => number
  /** Bytes of chunks that are not settled. */
  readonly openBytes: () => number
  /** Sum of all waits for the rate limit, in milliseconds. */
  readonly throttledMs: () => number
  /** What is known of heavy hitters, per topic. */
  readonly heavy: () => readonly HeavyReport[]
}

/**
 * Has the meter read the gauges of a producer.
 *
 * @returns Ends it.
 */
export function observe(meter: Meter, gauges: ProducerGauges): () => void {
  return observeAll(meter, [
    { gauge: 'comporta.producer.buffered_bytes', read: result => result.observe(gauges.bufferedBytes()) },
    { gauge: 'comporta.producer.open_bytes', read: result => result.observe(gauges.openBytes()) },
    { counter: 'comporta.producer.throttled_ms', read: result => result.observe(gauges.throttledMs()) },
    {
      gauge: 'comporta.producer.heavy_values',
      read: result => {
        for (const { topic, heavy } of gauges.heavy()) result.observe(heavy.length, { topic })
      }
    },
    {
      gauge: 'comporta.producer.heaviest_share',
      read: result => {
        for (const { topic, heavy } of gauges.heavy()) result.observe(heavy[0]?.share ?? 0, { topic })
      }
    }
  ])
}

/** Attributes of outcomes: one object each, so that counting allocates nothing. */
const OUTCOMES = {
  delivered: { outcome: 'delivered' },
  deadLettered: { outcome: 'deadLettered' },
  refused: { outcome: 'refused' },
  spilled: { outcome: 'spilled' },
  shed: { outcome: 'shed' },
  failed: { outcome: 'failed' }
} as const

/** Counts what happens to events. */
export class ProducerMeter {
  readonly #events: Counter
  readonly #bytes: Counter
  readonly #ackLatency: Histogram
  #receivedCount = 0
  #receivedBytes = 0
  #deliveredCount = 0
  #deadLetteredCount = 0
  #refusedCount = 0
  #spilledCount = 0
  #shedCount = 0
  #failedCount = 0
  #latencySumMs = 0
  #latencyMaxMs = 0

  constructor(meter: Meter) {
    this.#events = counterOf(meter, 'comporta.producer.events')
    this.#bytes = counterOf(meter, 'comporta.producer.bytes')
    this.#ackLatency = histogramOf(meter, 'comporta.producer.ack.duration')
  }

  /** Events came from a source. */
  received(count: number, bytes: number): void {
    this.#receivedCount += count
    this.#receivedBytes += bytes
    this.#bytes.add(bytes)
  }

  /** Events of one batch were acknowledged. */
  acknowledged(count: number, latencyMs: number): void {
    this.#deliveredCount += count
    this.#latencySumMs += latencyMs * count
    this.#latencyMaxMs = Math.max(this.#latencyMaxMs, latencyMs)
    this.#ackLatency.record(latencyMs)
    this.#events.add(count, OUTCOMES.delivered)
  }

  /** A chunk is settled. */
  settled(settlement: Settlement): void {
    this.#deadLetteredCount += settlement.deadLetteredCount
    this.#refusedCount += settlement.refusedCount
    this.#spilledCount += settlement.spilledCount
    this.#shedCount += settlement.shedCount
    this.#failedCount += settlement.failedCount
    if (settlement.deadLetteredCount > 0) this.#events.add(settlement.deadLetteredCount, OUTCOMES.deadLettered)
    if (settlement.refusedCount > 0) this.#events.add(settlement.refusedCount, OUTCOMES.refused)
    if (settlement.spilledCount > 0) this.#events.add(settlement.spilledCount, OUTCOMES.spilled)
    if (settlement.shedCount > 0) this.#events.add(settlement.shedCount, OUTCOMES.shed)
    if (settlement.failedCount > 0) this.#events.add(settlement.failedCount, OUTCOMES.failed)
  }

  /** Counts since the start. */
  totals(): ProducerTotals {
    return {
      receivedCount: this.#receivedCount,
      receivedBytes: this.#receivedBytes,
      deliveredCount: this.#deliveredCount,
      deadLetteredCount: this.#deadLetteredCount,
      refusedCount: this.#refusedCount,
      spilledCount: this.#spilledCount,
      shedCount: this.#shedCount,
      failedCount: this.#failedCount,
      ackLatencyMeanMs: this.#deliveredCount === 0 ? 0 : this.#latencySumMs / this.#deliveredCount,
      ackLatencyMaxMs: this.#latencyMaxMs
    }
  }
}
