/**
 * The straight way to Kafka, with an eye on whether it answers: what `wait` and `reject` use.
 *
 * Records go to the appender whatever the state; it is for reports, and for
 * whoever wants to refuse events while Kafka is away.
 */

import type { Appender, AppendRecord, RecordRows, RowPlace } from '../../client/index.ts'
import type { Clock, Timer } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { Outlet, OutletListener, OutletState } from '../outlet.ts'
import { Availability } from './availability.ts'
import { KafkaHealth } from './kafka-health.ts'

/** What a watched outlet needs. */
export interface WatchedOutletOptions {
  /** Closed with the outlet. */
  readonly appender: Appender
  /** `producer.whenAway.afterMs`. */
  readonly afterMs: number
  readonly clock: Clock
  readonly logger: Logger
}

/** Everything goes to an appender. */
export class WatchedOutlet implements Outlet {
  readonly #appender: Appender
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #health: KafkaHealth
  readonly #availability: Availability
  readonly #poll: Timer
  #roomWaits: (() => void)[] = []
  #isWaiting = false

  constructor({ appender, afterMs, clock, logger }: WatchedOutletOptions) {
    this.#appender = appender
    this.#clock = clock
    this.#logger = logger
    this.#health = new KafkaHealth(afterMs)
    this.#availability = new Availability(clock.monotonicMs())
    this.#poll = clock.every(Math.max(10, Math.min(1000, afterMs / 10)), () => this.#check()).unref()
  }

  get bufferedBytes(): number {
    return this.#appender.bufferedBytes
  }

  get state(): OutletState {
    return this.#availability.state
  }

  append(record: AppendRecord, listener: OutletListener): boolean {
    return this.#appender.append(record, listener)
  }

  // oxlint-disable-next-line max-params -- hot path: no object per record
  appendRow(place: RowPlace, rows: RecordRows, row: number, listener: OutletListener): boolean {
    return this.#appender.appendRow(place, rows, row, listener)
  }

  /** Also resolves when the state changes: whoever waits may want to refuse then. */
  room(): Promise<void> {
    if (!this.#isWaiting) {
      this.#isWaiting = true
      void this.#appender.room().then(() => {
        this.#isWaiting = false
        this.#wake()
      })
    }
    return new Promise(resolve => this.#roomWaits.push(resolve))
  }

  flush(): Promise<void> {
    return this.#appender.flush()
  }

  close(deadlineMs?: number): Promise<void> {
    this.#poll.cancel()
    return this.#appender.close(deadlineMs)
  }

  #check(): void {
    const nowMs = this.#clock.monotonicMs()
    const { bufferedBytes, oldestAppendedMs } = this.#appender
    const isAway = this.#health.isAway({ nowMs, bufferedBytes, oldestAppendedMs })
    const afterMs = Math.round(nowMs - this.#availability.sinceMs)
    const left = this.#availability.on(isAway ? 'kafkaAway' : 'kafkaAnswers', nowMs)
    if (left === undefined) return
    const fields = { from: left, to: this.state, afterMs, bufferedBytes }
    if (isAway) this.#logger.warn(fields, 'Kafka does not acknowledge: events wait')
    else this.#logger.info(fields, 'Kafka acknowledges again')
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#roomWaits.splice(0)) wake()
  }
}
