/**
 * The states of an outlet and what leads from one to another. Pure: no I/O, no clock.
 *
 *   up ── kafkaAway ──▶ away ── kafkaAnswers ──▶ up            (wait, reject)
 *   up ── spillUsed ──▶ spilling ── kafkaAnswers ──▶ replaying ── spillEmpty ──▶ up
 *                           ◀───────── kafkaAway ──────┘
 *
 * A spill that is found at the start counts as used. A Kafka that answers in
 * `spilling` has everything that is on disk before it, so it is `replaying` until
 * that is empty, however little it is.
 */

import type { OutletState } from '../outlet.ts'

/** What happens to an outlet. */
export type AvailabilityEvent = 'kafkaAway' | 'kafkaAnswers' | 'spillUsed' | 'spillEmpty'

/** The next state, `undefined` where an event changes nothing. */
export const AVAILABILITY: Readonly<Record<OutletState, Partial<Record<AvailabilityEvent, OutletState>>>> = {
  up: { kafkaAway: 'away', spillUsed: 'spilling' },
  away: { kafkaAnswers: 'up', spillUsed: 'spilling' },
  spilling: { kafkaAnswers: 'replaying', spillEmpty: 'up' },
  replaying: { kafkaAway: 'spilling', spillEmpty: 'up' }
}

/** The state of one outlet. */
export class Availability {
  #state: OutletState = 'up'
  #sinceMs: number

  /** @param nowMs - Of the monotonic clock, in milliseconds. */
  constructor(nowMs: number) {
    this.#sinceMs = nowMs
  }

  get state(): OutletState {
    return this.#state
  }

  /** When the state began, of the monotonic clock, in milliseconds. */
  get sinceMs(): number {
    return this.#sinceMs
  }

  /** @returns The state that was left, `undefined` if the event changes nothing. */
  on(event: AvailabilityEvent, nowMs: number): OutletState | undefined {
    const next = AVAILABILITY[this.#state][event]
    if (next === undefined) return undefined
    const left = this.#state
    this.#state = next
    this.#sinceMs = nowMs
    return left
  }
}
