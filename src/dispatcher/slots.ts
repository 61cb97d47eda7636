/**
 * Leave to invoke the target: a limit on invocations at once, and the breaker.
 *
 * Partitions wait in line, each with at most one request, so leave goes round
 * among them whatever their backlog. While the breaker is open nobody gets
 * leave; when its pause is over, the first in line probes the target for all.
 * Nor does anybody while the queue is held, whatever the target's health.
 */

import type { Clock, Timer } from '../core/index.ts'
import { Breaker, type BreakerOptions, type BreakerState } from './breaker.ts'

/** What became of an invocation, as far as the target's health goes. */
export type SlotResult =
  /** The target has answered, whatever it said of the records. */
  | { readonly kind: 'answered' }
  | { readonly kind: 'failed'; readonly retryAfterMs?: number }
  /** Nothing was sent, or the answer was not waited for. */
  | { readonly kind: 'released' }

/** What an invocation takes of the target, known once its payload is encoded. */
export interface SlotCharge {
  readonly records: number
  /** Bytes of the payload. */
  readonly bytes: number
}

/** Leave for one invocation; give it back exactly once. */
export interface Slot {
  /** Says what the invocation is about to take; at most once, before `release`. */
  charge(charge: SlotCharge): void
  release(result: SlotResult): void
}

/** Who wants leave. */
export interface SlotAsker {
  readonly topic: string
}

/** Limits of the slots. */
export interface SlotQueueOptions {
  /** Most invocations at once. At least 1. */
  readonly concurrency: number
  readonly breaker: BreakerOptions
  readonly clock: Clock
  /** Told when the breaker changes its state. */
  readonly onBreaker: (state: BreakerState) => void
}

interface Waiter {
  readonly resolve: (slot: Slot | undefined) => void
  readonly stopListening: () => void
}

/** Invocations at once, over all partitions. */
export class SlotQueue {
  readonly #options: SlotQueueOptions
  readonly #breaker: Breaker
  readonly #waiters: Waiter[] = []
  #inFlight = 0
  #isHeld = false
  #timer: Timer | undefined
  #reportedState: BreakerState = 'closed'

  constructor(options: SlotQueueOptions) {
    this.#options = options
    this.#breaker = new Breaker(options.breaker)
  }

  /** Invocations under way. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** How many wait for leave. */
  get waitingCount(): number {
    return this.#waiters.length
  }

  /** What the breaker is doing. */
  get breakerState(): BreakerState {
    return this.#breaker.state
  }

  /** Waits for leave; `undefined` once the signal aborts. */
  acquire(signal: AbortSignal, _asker?: SlotAsker): Promise<Slot | undefined> {
    if (signal.aborted) return Promise.resolve(undefined)
    return new Promise(resolve => {
      const onAbort = (): void => {
        const index = this.#waiters.indexOf(waiter)
        if (index >= 0) this.#waiters.splice(index, 1)
        resolve(undefined)
      }
      const stopListening = (): void => signal.removeEventListener('abort', onAbort)
      const waiter: Waiter = { resolve, stopListening }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiters.push(waiter)
      this.#give()
    })
  }

  /** Nobody gets leave until `resume`; what is under way goes on. Idempotent. */
  hold(): void {
    this.#isHeld = true
  }

  /** Ends `hold`. */
  resume(): void {
    this.#isHeld = false
    this.#give()
  }

  /** Stops the timer of the breaker. Nobody gets leave by time after this. */
  close(): void {
    this.#timer?.cancel()
  }

  #give(): void {
    while (!this.#isHeld && this.#inFlight < this.#options.concurrency && this.#waiters.length > 0) {
      const permit = this.#breaker.permit(this.#options.clock.monotonicMs())
      this.#reportState()
      if (permit.kind === 'wait') {
        this.#wakeAt(permit.untilMs)
        return
      }
      const waiter = this.#waiters.shift()
      if (waiter === undefined) return
      this.#inFlight += 1
      waiter.stopListening()
      waiter.resolve({ charge: () => undefined, release: result => this.#release(permit.kind === 'probe', result) })
    }
  }

  #release(isProbe: boolean, result: SlotResult): void {
    const nowMs = this.#options.clock.monotonicMs()
    this.#inFlight -= 1
    switch (result.kind) {
      case 'answered':
        this.#breaker.succeeded(isProbe)
        break
      case 'failed':
        this.#breaker.failed(isProbe, nowMs, result.retryAfterMs)
        break
      case 'released':
        if (isProbe) this.#breaker.released(nowMs)
        break
    }
    this.#reportState()
    this.#give()
  }

  #wakeAt(untilMs: number | undefined): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (untilMs === undefined) return
    const delayMs = untilMs - this.#options.clock.monotonicMs()
    // A timer may fire a fraction early: round up, or the breaker would say "wait" once more.
    this.#timer = this.#options.clock.after(Math.max(1, Math.ceil(delayMs)), () => this.#give())
  }

  #reportState(): void {
    if (this.#breaker.state === this.#reportedState) return
    this.#reportedState = this.#breaker.state
    this.#options.onBreaker(this.#reportedState)
  }
}
