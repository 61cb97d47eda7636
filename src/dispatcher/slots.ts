/**
 * Leave to invoke a target: all that may hold a batch back, in one place.
 *
 * ```
 * acquire ─ line of its class ─ held? ─ at once? ─ room in flight? ─ pace? ─ breaker? ─> slot ─ charge ─ release ─ end
 * ```
 *
 * Partitions wait in line, so leave goes round among them whatever their
 * backlog; with classes the lines share it. While the breaker is open nobody
 * gets leave; when its pause is over, the first in line probes the target for
 * all. Nor does anybody while the queue is held, whatever the target's health.
 *
 * A queue belongs to its target and not to partitions: breaker, pace and what
 * was learnt of the target survive every rebalance.
 *
 * All of it is per batch. Whatever opens a gate calls `#give`: a release, the
 * end of a batch, a new limit, `resume`, or the timer of pace and breaker.
 */

import type { Clock, Timer } from '../core/index.ts'
import { type Logger, silentLogger } from '../telemetry/index.ts'
import { Breaker, type BreakerDescription, type BreakerOptions, type BreakerState } from './breaker.ts'
import {
  InFlightBudget,
  type InFlightDescription,
  type InFlightHold,
  type InFlightLimits,
  type LargestBatch
} from './flow/in-flight.ts'
import { Pace, type PaceDescription, type PaceEstimate, type PaceLimits } from './flow/pace.ts'
import { TargetTuner, type TunerDescription, type TunerLimits } from './flow/target-tuner.ts'
import { type ClassDescription, type ClassOptions, WaitingLines } from './flow/waiting-line.ts'

/** What became of an invocation, as far as the target's health goes. */
export type SlotResult =
  /** The target has answered, whatever it said of the records. A refusal is well, but its time says nothing. */
  | { readonly kind: 'answered'; readonly isRefusal?: boolean }
  | {
      readonly kind: 'failed'
      readonly retryAfterMs?: number
      /** It said that it gets too much, so it is there. */
      readonly isThrottled?: boolean
      /** It may have broken on the records, or hung. */
      readonly isSuspect?: boolean
    }
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
  /** The invocation is over. */
  release(result: SlotResult): void
  /**
   * All records of the batch have left that this slot began, or it was given up. Idempotent; a slot of a batch that was
   * under way already has nothing to end, and one that was released before it was charged has ended.
   */
  end(): void
}

/** Who wants leave. */
export interface SlotAsker {
  readonly topic: string
  readonly partition: number
  /** Whether its batch has begun: it is sent again, and holds its room in flight already. */
  readonly isUnderWay?: boolean
}

/** Limits of the slots; all may change while they are in use. */
export interface SlotLimits extends TunerLimits {
  readonly breaker: BreakerOptions
  readonly flow: { readonly inFlight: InFlightLimits; readonly rate: PaceLimits }
  /** May be empty. The classes themselves stay, their shares may change. */
  readonly priorities: readonly ClassOptions[]
  /** Time after which a class that waits while others get leave counts as starved, in milliseconds. */
  readonly starvationMs: number
}

/** What slots are made from. What is left out of the limits does not hold. */
export interface SlotQueueOptions extends Partial<Omit<SlotLimits, 'concurrency' | 'breaker'>> {
  readonly concurrency: number
  readonly breaker: BreakerOptions
  readonly clock: Clock
  readonly logger?: Logger
  /** Told when the breaker changes its state. */
  readonly onBreaker: (state: BreakerState) => void
}

/** What keeps those who wait from getting leave. */
export type SlotBlock = 'commitsLate' | 'breaker' | 'rate' | 'inFlight' | 'concurrency' | 'paused'

/** Slots as JSON can hold them. */
export interface SlotsDescription {
  readonly inFlight: number
  readonly waiting: number
  /** `null` if nobody waits. */
  readonly blockedBy: SlotBlock | null
  readonly concurrency: TunerDescription
  readonly breaker: BreakerDescription
  readonly rate: PaceDescription
  readonly inFlightLimits: InFlightDescription
  readonly classes: readonly ClassDescription[]
  readonly pausedPartitions: readonly string[]
}

interface Waiter {
  readonly asker: SlotAsker
  readonly key: string
  readonly sinceMs: number
  readonly resolve: (slot: Slot | undefined) => void
  readonly stopListening: () => void
}

const ANYBODY: SlotAsker = { topic: '', partition: -1 }

/** Invocations at once, over all partitions. */
export class SlotQueue implements LargestBatch {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #onBreaker: (state: BreakerState) => void
  readonly #breaker: Breaker
  readonly #tuner: TargetTuner
  readonly #pace: Pace
  readonly #budget: InFlightBudget
  readonly #lines: WaitingLines<Waiter>
  readonly #pausedKeys = new Set<string>()
  #limits: SlotLimits
  #inFlight = 0
  #givenCount = 0
  #isHeld = false
  #timer: Timer | undefined
  #timerAtMs = Number.POSITIVE_INFINITY
  #reportedState: BreakerState = 'closed'

  constructor(options: SlotQueueOptions) {
    this.#clock = options.clock
    this.#logger = options.logger ?? silentLogger
    this.#onBreaker = options.onBreaker
    this.#limits = { ...NO_LIMITS, ...options }
    this.#breaker = new Breaker(options.breaker)
    this.#tuner = new TargetTuner(this.#limits, this.#logger)
    this.#pace = new Pace(this.#limits.flow.rate)
    this.#budget = new InFlightBudget(this.#limits.flow.inFlight, this)
    this.#lines = new WaitingLines(this.#limits.priorities)
  }

  /** Invocations under way. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** How many wait for leave. */
  get waitingCount(): number {
    return this.#lines.count
  }

  /** What the breaker is doing. */
  get breakerState(): BreakerState {
    return this.#breaker.state
  }

  /** Leaves given since the start: whether things move. */
  get givenCount(): number {
    return this.#givenCount
  }

  /** Most records that the next batch may have: what is configured, what adapts, and what may be in flight at all. */
  get recordsMax(): number {
    const { recordsMax, partitionRecordsMax } = this.#limits.flow.inFlight
    return Math.min(this.#tuner.recordsMax, recordsMax ?? UNLIMITED, partitionRecordsMax ?? UNLIMITED)
  }

  /** Most bytes that the next batch may have. */
  get bytesMax(): number {
    const { bytesMax, partitionBytesMax } = this.#limits.flow.inFlight
    const { batch } = this.#limits
    return Math.min(batch.bytesMax, bytesMax ?? UNLIMITED, partitionBytesMax ?? UNLIMITED)
  }

  /** What holds back those who wait; `undefined` if nobody waits or nothing does. */
  get blockedBy(): SlotBlock | undefined {
    if (this.#lines.count === 0) return undefined
    if (this.#isHeld) return 'commitsLate'
    if (this.#breaker.state !== 'closed') return 'breaker'
    if (this.#inFlight >= this.#tuner.concurrency) return 'concurrency'
    if (!this.#lines.hasReady(this.#mayGo)) return this.#lines.hasReady(this.#isNotPaused) ? 'inFlight' : 'paused'
    return this.#pace.waitMs(this.#clock.monotonicMs()) > 0 ? 'rate' : undefined
  }

  /** Waits for leave; `undefined` once the signal aborts. */
  acquire(signal: AbortSignal, asker: SlotAsker = ANYBODY): Promise<Slot | undefined> {
    if (signal.aborted) return Promise.resolve(undefined)
    return new Promise(resolve => {
      const onAbort = (): void => {
        this.#lines.leave(asker.topic, waiter)
        resolve(undefined)
      }
      const stopListening = (): void => signal.removeEventListener('abort', onAbort)
      const key = `${asker.topic}-${asker.partition}`
      const waiter: Waiter = { asker, key, sinceMs: this.#clock.monotonicMs(), resolve, stopListening }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#lines.join(asker.topic, waiter)
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

  /** A partition gets no leave until it is resumed; what is under way goes on. Idempotent. */
  pausePartition(topic: string, partition: number): void {
    this.#pausedKeys.add(`${topic}-${partition}`)
  }

  /** Ends `pausePartition`. */
  resumePartition(topic: string, partition: number): void {
    this.#pausedKeys.delete(`${topic}-${partition}`)
    this.#give()
  }

  /** Changes the limits from the next batch on. */
  configure(limits: Partial<SlotLimits>): void {
    this.#limits = { ...this.#limits, ...limits }
    const { breaker, flow, priorities } = this.#limits
    this.#breaker.configure(breaker)
    this.#tuner.configure(this.#limits)
    this.#pace.configure(flow.rate, this.#clock.monotonicMs())
    this.#budget.configure(flow.inFlight)
    this.#lines.configure(priorities)
    this.#give()
  }

  /** Stops the timer. Nobody gets leave by time after this. */
  close(): void {
    this.#timer?.cancel()
    this.#timerAtMs = Number.NEGATIVE_INFINITY
  }

  /** What is going on, in full. */
  describe(): SlotsDescription {
    const nowMs = this.#clock.monotonicMs()
    return {
      inFlight: this.#inFlight,
      waiting: this.#lines.count,
      blockedBy: this.blockedBy ?? null,
      concurrency: this.#tuner.describe(),
      breaker: this.#breaker.describe(nowMs),
      rate: this.#pace.describe(nowMs),
      inFlightLimits: this.#budget.describe(),
      classes: this.#lines.describe(nowMs),
      pausedPartitions: [...this.#pausedKeys]
    }
  }

  readonly #isNotPaused = (waiter: Waiter): boolean => !this.#pausedKeys.has(waiter.key)

  readonly #mayGo = (waiter: Waiter): boolean =>
    !this.#pausedKeys.has(waiter.key) && (waiter.asker.isUnderWay === true || this.#budget.hasRoom(waiter.key))

  #give(): void {
    while (!this.#isHeld && this.#inFlight < this.#tuner.concurrency && this.#lines.hasReady(this.#mayGo)) {
      const nowMs = this.#clock.monotonicMs()
      const paceMs = this.#pace.waitMs(nowMs)
      if (paceMs > 0) {
        this.#wakeAt(nowMs + paceMs, nowMs)
        return
      }
      // Asked last: leave to probe is given once and must be used.
      const permit = this.#breaker.permit(nowMs)
      this.#reportState()
      if (permit.kind === 'wait') {
        if (permit.untilMs !== undefined) this.#wakeAt(permit.untilMs, nowMs)
        return
      }
      const next = this.#lines.next(this.#mayGo)
      if (next === undefined) return
      this.#inFlight += 1
      this.#givenCount += 1
      next.waiter.stopListening()
      next.waiter.resolve(this.#slotFor(next.waiter, { isProbe: permit.kind === 'probe', nowMs, endTurn: next.end }))
      this.#warnStarved(nowMs)
    }
  }

  #slotFor(
    { asker, key }: Waiter,
    given: { readonly isProbe: boolean; readonly nowMs: number; readonly endTurn: () => void }
  ): Slot {
    const estimate = this.#pace.take(given.nowMs)
    const hold = asker.isUnderWay === true ? undefined : this.#budget.hold(key)
    const inFlight = this.#inFlight
    let charged: (SlotCharge & { readonly sentMs: number }) | undefined
    return {
      charge: charge => {
        const sentMs = this.#clock.monotonicMs()
        charged = { ...charge, sentMs }
        this.#pace.settle(estimate, charge, sentMs)
        hold?.charge(charge.records, charge.bytes)
      },
      release: result => {
        given.endTurn()
        if (charged === undefined) this.#unused(estimate, hold)
        else this.#learn(result, { ...charged, inFlight, answeredMs: this.#clock.monotonicMs() })
        this.#release(given.isProbe, result)
      },
      end: () => {
        hold?.end()
        if (hold !== undefined) this.#give()
      }
    }
  }

  #unused(estimate: PaceEstimate, hold: InFlightHold | undefined): void {
    this.#pace.giveBack(estimate)
    hold?.end()
  }

  #learn(
    result: SlotResult,
    sample: {
      readonly sentMs: number
      readonly answeredMs: number
      readonly records: number
      readonly inFlight: number
    }
  ): void {
    if (result.kind === 'answered' && result.isRefusal !== true) this.#tuner.answered(sample)
    else if (result.kind === 'failed') this.#tuner.refused(sample, result.isSuspect === true)
  }

  #release(isProbe: boolean, result: SlotResult): void {
    const nowMs = this.#clock.monotonicMs()
    this.#inFlight -= 1
    switch (result.kind) {
      case 'answered':
        this.#breaker.succeeded(isProbe, nowMs)
        break
      case 'failed':
        // A throttle that the limiter answers is not an outage. One that meets the lowest limit may be.
        if (result.isThrottled === true && !isProbe && this.#tuner.takesThrottles) break
        this.#breaker.failed(isProbe, nowMs, result.retryAfterMs)
        break
      case 'released':
        if (isProbe) this.#breaker.released(nowMs)
        break
    }
    this.#reportState()
    this.#give()
  }

  #warnStarved(nowMs: number): void {
    for (const { name, waitedMs } of this.#lines.newlyStarved(nowMs, this.#limits.starvationMs, this.#mayGo)) {
      this.#logger.warn({ class: name, waitedMs }, 'a class of topics waits for the others: its share is too small')
    }
  }

  /** One timer for whatever comes first; an earlier one that finds the gate still closed sets the next. */
  #wakeAt(untilMs: number, nowMs: number): void {
    if (this.#timerAtMs <= untilMs && this.#timerAtMs > nowMs) return
    if (this.#timerAtMs === Number.NEGATIVE_INFINITY) return
    this.#timer?.cancel()
    this.#timerAtMs = untilMs
    // A timer may fire a fraction early: round up, or the gate would say "wait" once more.
    this.#timer = this.#clock.after(Math.max(1, Math.ceil(untilMs - nowMs)), () => {
      this.#timerAtMs = Number.POSITIVE_INFINITY
      this.#give()
    })
  }

  #reportState(): void {
    if (this.#breaker.state === this.#reportedState) return
    this.#reportedState = this.#breaker.state
    this.#onBreaker(this.#reportedState)
  }
}

const UNLIMITED = Number.MAX_SAFE_INTEGER

const NO_LIMITS: Omit<SlotLimits, 'concurrency' | 'breaker'> = {
  adaptiveConcurrency: { mode: 'off', min: 1 },
  batch: { recordsMax: 10_000, bytesMax: 104_857_600 },
  flow: { inFlight: {}, rate: { burstMs: 100 } },
  priorities: [],
  starvationMs: UNLIMITED
}
