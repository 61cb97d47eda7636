/**
 * What a dispatcher counts by topic, once for each batch.
 *
 * Limits: `TOPICS_MAX` topics since the start; later ones (a pattern whose topics come and go) are counted together, as
 * a topic without a name.
 */

import type { Clock } from '../core/index.ts'
import {
  type Attributes,
  type Counter,
  counterOf,
  type Histogram,
  histogramOf,
  type Meter,
  Sampled
} from '../telemetry/index.ts'

const TOPICS_MAX = 5000
/** No topic is called this. */
const REST = ''

interface Instruments {
  readonly records: Histogram
  readonly bytes: Histogram
  readonly ageSeconds: Histogram
  readonly consumed: Counter
  readonly processSeconds: Histogram
}

/** One topic. */
export class TopicMeter {
  /** Records that were put into batches, for `kafka.consumer.records_consumed_*`. */
  consumedCount = 0
  readonly consumed = new Sampled()
  readonly #instruments: Instruments
  readonly #clock: Clock
  readonly #own: Attributes
  readonly #polled: Attributes
  readonly #processed: Attributes
  readonly #stopped: Attributes

  constructor(instruments: Instruments, { topic, group }: { topic: string; group: string }, clock: Clock) {
    this.#instruments = instruments
    this.#clock = clock
    this.#own = { group, topic }
    const shared = {
      'messaging.system': 'kafka',
      'messaging.consumer.group.name': group,
      'messaging.destination.name': topic
    }
    this.#polled = { ...shared, 'messaging.operation.name': 'poll' }
    this.#processed = { ...shared, 'messaging.operation.name': 'process', 'messaging.operation.type': 'process' }
    this.#stopped = { ...this.#processed, 'error.type': 'stopped' }
  }

  /** A batch begins; `ageMs` is the age of its oldest record. */
  begun(recordCount: number, ageMs: number): void {
    const { records, ageSeconds, consumed } = this.#instruments
    records.record(recordCount, this.#own)
    // The clocks of producers may be ahead.
    ageSeconds.record(Math.max(0, ageMs) / 1000, this.#own)
    consumed.add(recordCount, this.#polled)
    this.consumedCount += recordCount
    this.consumed.record(recordCount, this.#clock.monotonicMs())
  }

  /** A batch is sent for the first time. */
  sent(bytes: number): void {
    this.#instruments.bytes.record(bytes, this.#own)
  }

  /** A batch has ended. */
  ended(durationMs: number, isDone: boolean): void {
    this.#instruments.processSeconds.record(durationMs / 1000, isDone ? this.#processed : this.#stopped)
  }
}

/** All topics. */
export class TopicMeters {
  readonly #group: string
  readonly #clock: Clock
  readonly #instruments: Instruments
  readonly #topics = new Map<string, TopicMeter>()

  constructor(meter: Meter, group: string, clock: Clock) {
    this.#group = group
    this.#clock = clock
    this.#instruments = {
      records: histogramOf(meter, 'comporta.dispatcher.batch.records'),
      bytes: histogramOf(meter, 'comporta.dispatcher.batch.bytes'),
      ageSeconds: histogramOf(meter, 'comporta.dispatcher.batch.age'),
      consumed: counterOf(meter, 'messaging.client.consumed.messages'),
      processSeconds: histogramOf(meter, 'messaging.process.duration')
    }
  }

  /** One topic. */
  of(topic: string): TopicMeter {
    const known = this.#topics.get(topic)
    if (known !== undefined) return known
    if (this.#topics.size >= TOPICS_MAX && topic !== REST) return this.of(REST)
    const meter = new TopicMeter(this.#instruments, { topic, group: this.#group }, this.#clock)
    this.#topics.set(topic, meter)
    return meter
  }

  /** All of which there was a batch. */
  entries(): Iterable<[string, TopicMeter]> {
    return this.#topics
  }
}
