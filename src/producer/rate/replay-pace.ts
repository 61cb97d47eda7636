/**
 * The pace of what was spilled because it came faster than the rate allows.
 *
 * Such events have not taken tokens when they came; they do when they go from disk
 * to Kafka. Only limits that spill are asked: what was spilled because Kafka was
 * away has paid at limits that wait, and is replayed as fast as Kafka takes it.
 */

import type { AppendRecord } from '../../client/index.ts'
import type { Clock } from '../../core/index.ts'
import type { Limit, RateGate } from './rate-gate.ts'

/** How long to save up before the replay goes on, in milliseconds: it goes on in steps of some records. */
const STEP_MS = 10

/** Lets spilled records pass. */
export class ReplayPace {
  /** Called when a record that had to wait may pass. */
  onReady: () => void = () => undefined
  readonly #gate: RateGate
  readonly #clock: Clock
  #isWaiting = false

  constructor(gate: RateGate, clock: Clock) {
    this.#gate = gate
    this.#clock = clock
  }

  /** Takes tokens for a record; `false` if there are none: nothing was taken, and `onReady` is called soon. */
  mayPass(record: AppendRecord): boolean {
    const bytes = record.value?.length ?? 0
    const limits = this.#limitsOf(record)
    if (limits.every(({ paced }) => paced.hasRoomFor(1, bytes))) {
      for (const { paced } of limits) paced.tryOwe(1, bytes)
      return true
    }
    if (!this.#isWaiting) {
      this.#isWaiting = true
      this.#clock.after(STEP_MS, () => this.#ready()).unref()
    }
    return false
  }

  /** Takes tokens for a record that goes in any case: it is owed if there are none. */
  charge(record: AppendRecord): void {
    for (const { paced } of this.#limitsOf(record)) paced.giveBack(-1, -(record.value?.length ?? 0))
  }

  #ready(): void {
    this.#isWaiting = false
    this.onReady()
  }

  #limitsOf(record: AppendRecord): Limit[] {
    const limits = [this.#gate.limits[0]?.topic === undefined ? this.#gate.limits[0] : undefined]
    if (this.#gate.hasTopicLimits) limits.push(this.#gate.limitOf(record.topic))
    return limits.filter(limit => limit !== undefined).filter(({ policy }) => policy === 'spill')
  }
}
