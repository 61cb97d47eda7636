/** What a producer counts: its totals for `status()`, and the same as metrics. Recorded per chunk and per batch. */

import type { Counter, Histogram, Meter, ObservableGauge } from '../telemetry/index.ts'
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

type Reader = Parameters<ObservableGauge['addCallback']>[0]

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
  const buffered = meter.createObservableGauge('comporta.producer.buffered_bytes', {
    unit: 'By',
    description: 'Bytes handed to Kafka and not yet acknowledged.'
  })
  const open = meter.createObservableGauge('comporta.producer.open_bytes', {
    unit: 'By',
    description: 'Bytes of what sources have handed over together with an event that has no outcome yet.'
  })
  const throttled = meter.createObservableCounter('comporta.producer.throttled_ms', {
    unit: 'ms',
    description: 'Sum of all waits for the rate limit.'
  })
  const heavyValues = meter.createObservableGauge('comporta.producer.heavy_values', {
    description: 'Keys, or values of the watched field, that make up much of a topic.'
  })
  const heaviestShare = meter.createObservableGauge('comporta.producer.heaviest_share', {
    description: 'Share of a topic’s events that the heaviest of them has, from 0 to 1; 0 if none is heavy.'
  })
  const readHeavy: Reader = result => {
    for (const { topic, heavy } of gauges.heavy()) result.observe(heavy.length, { topic })
  }
  const readHeaviest: Reader = result => {
    for (const { topic, heavy } of gauges.heavy()) result.observe(heavy[0]?.share ?? 0, { topic })
  }
  const readBuffered: Reader = result => result.observe(gauges.bufferedBytes())
  const readOpen: Reader = result => result.observe(gauges.openBytes())
  const readThrottled: Reader = result => result.observe(gauges.throttledMs())
  buffered.addCallback(readBuffered)
  open.addCallback(readOpen)
  throttled.addCallback(readThrottled)
  heavyValues.addCallback(readHeavy)
  heaviestShare.addCallback(readHeaviest)
  return () => {
    buffered.removeCallback(readBuffered)
    open.removeCallback(readOpen)
    throttled.removeCallback(readThrottled)
    heavyValues.removeCallback(readHeavy)
    heaviestShare.removeCallback(readHeaviest)
  }
}

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
    this.#events = meter.createCounter('comporta.producer.events', {
      description: 'Events by outcome: delivered, deadLettered, refused, spilled, shed, failed.'
    })
    this.#bytes = meter.createCounter('comporta.producer.bytes', {
      unit: 'By',
      description: 'Bytes of events received.'
    })
    this.#ackLatency = meter.createHistogram('comporta.producer.ack.duration', {
      unit: 'ms',
      description: 'Time from hand-over to the acknowledgement of all in-sync replicas, per batch.'
    })
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
    this.#events.add(count, { outcome: 'delivered' })
  }

  /** A chunk is settled. */
  settled(settlement: Settlement): void {
    this.#deadLetteredCount += settlement.deadLetteredCount
    this.#refusedCount += settlement.refusedCount
    this.#spilledCount += settlement.spilledCount
    this.#shedCount += settlement.shedCount
    this.#failedCount += settlement.failedCount
    if (settlement.deadLetteredCount > 0) this.#events.add(settlement.deadLetteredCount, { outcome: 'deadLettered' })
    if (settlement.refusedCount > 0) this.#events.add(settlement.refusedCount, { outcome: 'refused' })
    if (settlement.spilledCount > 0) this.#events.add(settlement.spilledCount, { outcome: 'spilled' })
    if (settlement.shedCount > 0) this.#events.add(settlement.shedCount, { outcome: 'shed' })
    if (settlement.failedCount > 0) this.#events.add(settlement.failedCount, { outcome: 'failed' })
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
