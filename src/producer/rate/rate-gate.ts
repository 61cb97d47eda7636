/**
 * The limits before Kafka: a global one, and one for each topic that has its own.
 *
 * The global limit is asked per slice of a chunk, before its events are looked at;
 * dead letters count, too. The limit of a topic is asked per event, when its topic
 * is known. `wait` holds back whoever asks, and nobody else: a chunk goes on only
 * when its next event may, because a source has an order, while the chunks of
 * other sources pass. `shed` and `spill` answer at once.
 *
 * Senders who hear an answer (HTTP) are not shed in parts by the global limit:
 * `admit` takes or refuses their request as a whole, and what was admitted waits.
 *
 * Invariant: tokens are taken when an event is let through, and what a chunk has
 * taken ahead goes back whenever it waits for something else.
 */

import type { Clock } from '../../core/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import { type EventChunk, spanEnd, spanStart } from '../event-chunk.ts'
import type { RateConfig } from '../options.ts'
import { PacedLine } from './paced-line.ts'
import type { RateLease } from './rate-line.ts'

/** What becomes of events at a limit; `stopped` = the producer ends. */
export type RateVerdict = 'pass' | 'shed' | 'spill' | 'stopped'

/** What happens to events above a limit. */
export type RatePolicy = RateConfig['whenExceeded']

/** Most events that are handed over without letting I/O run. */
const SLICE_MAX = 1024
/** How often it is logged that events are shed, at most, in milliseconds. */
const LOG_MS = 10_000

/** A limit and what it does. */
export interface Limit {
  /** Topic it is for; `undefined` for the global one. */
  readonly topic: string | undefined
  readonly paced: PacedLine
  readonly policy: RatePolicy
}

/** A part of a chunk. */
export interface RateSlice {
  readonly chunk: EventChunk
  readonly from: number
  readonly to: number
  /** Name of the source. */
  readonly source: string
  /** Whether the chunk was admitted as a whole: it is not shed, it waits. */
  readonly isAdmitted: boolean
  /** Whether everything goes by disk at the moment: it takes its tokens when it comes back from there. */
  readonly isByDisk: boolean
}

/** Lets events pass at the configured rates. */
export class RateGate {
  /** The global limit first, if there is one. */
  readonly limits: readonly Limit[]
  /** Whether a topic has a limit of its own: if not, no event needs to ask. */
  readonly hasTopicLimits: boolean
  readonly #global: Limit | undefined
  readonly #topics = new Map<string, Limit>()
  readonly #clock: Clock
  readonly #logger: Logger
  #shedCount = 0
  #shedLoggedCount = 0
  #shedLoggedMs = Number.NEGATIVE_INFINITY

  /** @param config - The limits; `undefined` lets everything pass at once. */
  constructor(config: RateConfig | undefined, clock: Clock, logger: Logger = silentLogger) {
    this.#clock = clock
    this.#logger = logger
    if (config !== undefined) {
      const { recordsPerSecond, bytesPerSecond, burstMs, whenExceeded } = config
      if (recordsPerSecond !== undefined || bytesPerSecond !== undefined) {
        this.#global = { topic: undefined, paced: new PacedLine(config, clock), policy: whenExceeded }
      }
      for (const [topic, limit] of Object.entries(config.topics)) {
        const paced = new PacedLine({ ...limit, burstMs: limit.burstMs ?? burstMs }, clock)
        this.#topics.set(topic, { topic, paced, policy: limit.whenExceeded ?? whenExceeded })
      }
    }
    this.hasTopicLimits = this.#topics.size > 0
    this.limits = [...(this.#global === undefined ? [] : [this.#global]), ...this.#topics.values()]
  }

  /** Whether a limit spills what is above it. */
  get canSpill(): boolean {
    return this.limits.some(({ policy }) => policy === 'spill')
  }

  /** Sum of all waits, in milliseconds. */
  get waitedMs(): number {
    return this.limits.reduce((sum, { paced }) => sum + paced.waitedMs, 0)
  }

  /** This instance's share of the limits, 0 to 1. */
  get share(): number {
    return this.limits[0]?.paced.line.share ?? 1
  }

  /** The limit of a topic. */
  limitOf(topic: string): Limit | undefined {
    return this.#topics.get(topic)
  }

  /** Changes this instance's share of all limits. */
  setShare(share: number): void {
    for (const { paced } of this.limits) paced.setShare(share)
  }

  /** Makes the share of all limits end with a lease. */
  setLease(lease: RateLease): void {
    for (const { paced } of this.limits) paced.line.setLease(lease)
  }

  /** Looks whether the lease has ended: those who wait may have to wait longer. */
  look(): void {
    for (const { paced } of this.limits) paced.look()
  }

  /**
   * Whether a request that is to be taken or refused as a whole is taken.
   *
   * @returns Milliseconds after which to come again, infinite if nobody knows; `undefined` if it is taken.
   */
  admit(chunk: EventChunk): number | undefined {
    if (this.#global?.policy !== 'shed') return undefined
    const { paced } = this.#global
    const bytes = chunkBytes(chunk, 0, chunk.count)
    return paced.hasRoomFor(chunk.count, bytes) ? undefined : paced.waitMsFor(chunk.count, bytes)
  }

  /** About how long an event that came now would wait for the global limit, in milliseconds. */
  retryAfterMs(): number {
    return this.#global?.paced.waitMsFor(1, 1) ?? 0
  }

  /** Where the slice ends that begins with that event: what to ask for at once. */
  sliceEnd(chunk: EventChunk, from: number, isAdmitted: boolean): number {
    const end = Math.min(chunk.count, from + SLICE_MAX)
    if (this.#global === undefined) return end
    const { paced, policy } = this.#global
    const { line } = paced
    const slice = { records: line.sliceRecords(SLICE_MAX), bytes: line.sliceBytes() }
    if (isWaiting(policy, isAdmitted)) return fitting(chunk, from, slice) ?? from + 1
    // What is there passes, and the rest is another slice with another verdict.
    return fitting(chunk, from, paced.tokens()) ?? fitting(chunk, from, slice) ?? from + 1
  }

  /** Asks the global limit for a slice. */
  async take({ chunk, from, to, source, isAdmitted, isByDisk }: RateSlice, signal: AbortSignal): Promise<RateVerdict> {
    if (signal.aborted) return 'stopped'
    if (this.#global === undefined) return 'pass'
    const { paced, policy } = this.#global
    const records = to - from
    const bytes = chunkBytes(chunk, from, to)
    if (policy === 'spill' && isByDisk) return 'spill'
    if (isWaiting(policy, isAdmitted)) {
      return (await paced.take({ source, records, bytes }, signal)) ? 'pass' : 'stopped'
    }
    if (paced.tryOwe(records, bytes)) return 'pass'
    return policy === 'shed' ? 'shed' : 'spill'
  }

  /** Counts events that were shed, and logs it now and then. */
  shed(count: number, what: { readonly source: string; readonly topic?: string }): void {
    this.#shedCount += count
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#shedLoggedMs < LOG_MS) return
    this.#logger.warn(
      { ...what, events: this.#shedCount - this.#shedLoggedCount },
      'events above the rate limit were dropped since the last such message'
    )
    this.#shedLoggedMs = nowMs
    this.#shedLoggedCount = this.#shedCount
  }
}

/** Whether those who come faster than the rate are held back. */
function isWaiting(policy: RatePolicy, isAdmitted: boolean): boolean {
  return policy === 'wait' || (policy === 'shed' && isAdmitted)
}

/** Bytes of a part of a chunk, what is between its events included. */
export function chunkBytes(chunk: EventChunk, from: number, to: number): number {
  return to > from ? spanEnd(chunk, to - 1) - spanStart(chunk, from) : 0
}

/** Where a slice within those bounds ends; `undefined` if not even one event is. */
function fitting(
  chunk: EventChunk,
  from: number,
  most: { readonly records: number; readonly bytes: number }
): number | undefined {
  const end = Math.min(chunk.count, from + SLICE_MAX, from + Math.floor(most.records))
  const start = spanStart(chunk, from)
  let to = end
  if (most.bytes < Number.POSITIVE_INFINITY) {
    for (to = from; to < end && spanEnd(chunk, to) - start <= most.bytes;) to += 1
  }
  return to > from ? to : undefined
}
