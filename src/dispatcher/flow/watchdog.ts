/**
 * The runtime of `ProgressWatch`: what of lanes and slots is progress, and what explains a standstill.
 *
 * | a lane | explained by |
 * | --- | --- |
 * | is paused by an operator | `operator` |
 * | says what blocks it, and has no batch under way | that |
 * | has a batch that waits for what is behind a transform | `transform` |
 * | waits for leave | what holds its slots back: `breaker`, `commitsLate`, `rate`, `paused`; `busy` while others work |
 * | is at the target, or waits to try again | nothing beyond the time that its own limits allow |
 * | puts records aside | `deadLetters` |
 */

import type { Clock, Timer } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { AnyLane, LaneDescription } from '../lane-surroundings.ts'
import type { SlotBlock } from '../slots.ts'
import { ProgressWatch, type WatchDescription, type WatchedPartition } from './progress-watch.ts'

/** A lane and what is around it. */
export interface WatchedLane {
  readonly lane: AnyLane
  readonly isPausedByOperator: boolean
  /** What holds the slots of its target back; `undefined` if nothing does. */
  readonly blockedBy: SlotBlock | undefined
  /** Longest time of one invocation, in milliseconds. */
  readonly invocationMs: number
  /** Time after which a batch is sent that is not full, in milliseconds. */
  readonly batchAgeMs: number
}

/** What a watchdog is made from. */
export interface WatchdogOptions {
  /** Read anew at each look. */
  readonly timeoutMs: () => number
  readonly lanes: () => readonly WatchedLane[]
  /** Told once: these partitions make no progress, and nothing explains it. */
  readonly onStalled: (partitions: readonly string[], timeoutMs: number) => void
  readonly clock: Clock
  readonly logger: Logger
}

/** A watchdog as JSON can hold it. */
export interface WatchdogDescription {
  readonly progressTimeoutMs: number
  /** Time that this process did not run for, or was too busy to look, in milliseconds, all together. */
  readonly lateMs: number
  /** Partitions with work to do. */
  readonly partitions: readonly WatchDescription[]
}

/** Looks per timeout. */
const LOOKS = 20
/** Shortest and longest time between two looks, in milliseconds. */
const INTERVAL_MIN_MS = 50
const INTERVAL_MAX_MS = 5000
/** Longest wait before a retry: what a target may ask for. */
const RETRY_WAIT_MS = 300_000

/** Watches whether a member gets on. */
export class Watchdog {
  readonly #options: WatchdogOptions
  readonly #watch: ProgressWatch
  #timer: Timer | undefined
  #timeoutMs: number
  #lateMs = 0

  constructor(options: WatchdogOptions) {
    this.#options = options
    this.#timeoutMs = options.timeoutMs()
    this.#watch = new ProgressWatch(this.#timeoutMs, intervalOf(this.#timeoutMs))
  }

  /** Begins to look. */
  start(): void {
    const { clock } = this.#options
    this.#look()
    this.#timer = clock.every(intervalOf(this.#timeoutMs), () => this.#look()).unref()
  }

  /** Ends looking. Idempotent. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Longest time without progress of any partition that nothing explains, in milliseconds. */
  get stoodStillMaxMs(): number {
    return this.#watch.stoodStillMaxMs
  }

  /** How many partitions with work each explanation holds up. */
  get explanations(): ReadonlyMap<string, number> {
    return this.#watch.explanations
  }

  /** What it has seen. */
  describe(): WatchdogDescription {
    return {
      progressTimeoutMs: this.#timeoutMs,
      lateMs: Math.round(this.#lateMs),
      partitions: this.#watch.describe()
    }
  }

  #look(): void {
    const { timeoutMs, clock, lanes, logger, onStalled } = this.#options
    const wanted = timeoutMs()
    if (wanted !== this.#timeoutMs) {
      this.#timeoutMs = wanted
      this.#watch.configure(wanted, intervalOf(wanted))
      this.close()
      this.#timer = clock.every(intervalOf(wanted), () => this.#look()).unref()
    }
    const all = lanes()
    const atWork: AtWork = {
      isInvoking: all.some(({ lane }) => lane.state === 'invoking'),
      isRetrying: all.some(({ lane }) => lane.state === 'retrying')
    }
    const { stalled, lateMs } = this.#watch.look(
      all.map(each => watched(each, atWork)),
      clock.monotonicMs()
    )
    if (lateMs > 0) {
      this.#lateMs += lateMs
      logger.warn(
        { lateMs: Math.round(lateMs) },
        'this process stood still: it was stopped, or its event loop was blocked'
      )
    }
    if (stalled.length === 0) return
    this.close()
    onStalled(stalled, wanted)
  }
}

/** Whether any partition is at the target, or waits to try again. */
interface AtWork {
  readonly isInvoking: boolean
  readonly isRetrying: boolean
}

function watched({ lane, ...around }: WatchedLane, atWork: AtWork): WatchedPartition {
  const now = lane.describe()
  const invocations = now.batches.map(batch => `${batch.firstOffset}:${batch.invocations}`).join()
  return {
    key: `${lane.topic}-${lane.partition}`,
    mark: `${now.epoch}/${now.position}/${now.committable}/${invocations}`,
    hasWork: now.bufferedBytes > 0 || now.batches.length > 0,
    explainedBy: explanationOf(now, { ...around, ...atWork }),
    allowanceMs: allowanceOf(now, around)
  }
}

function explanationOf(lane: LaneDescription, around: Omit<WatchedLane, 'lane'> & AtWork): string | undefined {
  if (around.isPausedByOperator) return 'operator'
  // With batches under way it is they that must get on: what waits for them explains nothing.
  if (lane.blockedBy !== null && lane.batches.length === 0) return lane.blockedBy
  const blocked = lane.batches.find(({ blockedBy }) => blockedBy !== undefined)
  if (blocked !== undefined) return blocked.blockedBy
  if (lane.batches.some(({ state }) => state === 'puttingAside')) return 'deadLetters'
  if (lane.batches.some(({ state }) => state === 'invoking')) return undefined
  // A batch that is sent again is `retrying` until it has leave.
  const isWaiting = lane.state === 'waiting' || lane.batches.some(({ state }) => state !== 'invoking')
  if (!isWaiting) return undefined
  const { blockedBy, isInvoking, isRetrying } = around
  // Others are at work: they are watched themselves, and their turn ends. If none is, leave was lost somewhere.
  if (blockedBy === 'concurrency') return isInvoking ? 'busy' : undefined
  if (blockedBy === 'inFlight') return isInvoking || isRetrying ? 'busy' : undefined
  return blockedBy
}

function allowanceOf(lane: LaneDescription, around: Omit<WatchedLane, 'lane'>): number {
  switch (lane.state) {
    case 'invoking':
      return around.invocationMs
    case 'retrying':
      return RETRY_WAIT_MS
    case 'idle':
      return around.batchAgeMs
    case 'waiting':
    case 'stopping':
    case 'ended':
      return 0
  }
}

function intervalOf(timeoutMs: number): number {
  return Math.min(INTERVAL_MAX_MS, Math.max(INTERVAL_MIN_MS, timeoutMs / LOOKS))
}
