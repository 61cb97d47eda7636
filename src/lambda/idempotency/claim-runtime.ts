/**
 * What all claims of one invocation share: its name, its end, its clock, and how a store is asked.
 *
 * A store that is throttled or silent is asked again, three times in all and never past the end of the invocation.
 * That is safe: versions and owners are used once, so a change that was made although its answer was lost is
 * recognised as one's own.
 */

import { backoffMs, type Clock, PipelineError, type Random, sleep } from '../../core/index.ts'
import { type ClaimStore, storeError, type StoreLimits } from './store.ts'

/** Longest invocation, in milliseconds. Source: Lambda quotas, "Function timeout". */
export const INVOCATION_MS_MAX = 900_000
const ATTEMPTS_MAX = 3
const BACKOFF = { initialMs: 40, maxMs: 400, jitterRatio: 0.5 } as const
/** Shortest time that is worth asking a store. */
const REQUEST_MS_MIN = 10
/** Time that is left to mark what was done, in milliseconds, even where the invocation should be over. */
const FINISH_MS_MIN = 500
/** Requests to the store at the same time for one invocation. */
const REQUESTS_AT_ONCE = 16

/** What claims are made with. */
export interface ClaimSettings {
  readonly namespace: string
  readonly ttlMs: number
  readonly graceMs: number
  readonly timeoutMs: number
}

/** What claims need from their surroundings. */
export interface ClaimRuntime {
  readonly settings: ClaimSettings
  readonly store: ClaimStore
  readonly clock: Clock
  readonly random: Random
  /** A name that is never given twice. */
  readonly newName: () => string
  /** Whether an invocation is known to have ended, whatever its lease says. */
  readonly hasEnded: (owner: string) => boolean
}

/** One invocation's claim. */
export interface Invocation {
  readonly owner: string
  /** When it ends, in epoch milliseconds. */
  readonly deadlineMs: number
  /** When its leases end, in epoch milliseconds. */
  readonly untilMs: number
}

/** Asks the store, and again after a moment where that may help. */
export async function ask<T>(
  runtime: ClaimRuntime,
  timeLeftMs: () => number,
  request: (store: ClaimStore, limits: StoreLimits) => Promise<T>
): Promise<T> {
  const { clock, random, settings, store } = runtime
  for (let attempt = 1; ; attempt += 1) {
    const left = timeLeftMs()
    if (left < REQUEST_MS_MIN) throw storeError('unavailable', 'no time is left in the invocation to ask it')
    try {
      return await request(store, { nowMs: clock.now(), timeoutMs: Math.min(settings.timeoutMs, left) })
    } catch (error) {
      const wait = backoffMs(BACKOFF, attempt, random)
      const isWorthIt = PipelineError.is(error) && error.retriable && attempt < ATTEMPTS_MAX
      if (!isWorthIt || timeLeftMs() < wait + REQUEST_MS_MIN) throw asStoreError(error)
      await sleep(clock, wait)
    }
  }
}

/** Waits a moment before the next comparison, when others change the same item. */
export async function stepAside(runtime: ClaimRuntime, attempt: number): Promise<void> {
  if (attempt > 1)
    await sleep(runtime.clock, backoffMs({ initialMs: 4, maxMs: 100, jitterRatio: 1 }, attempt, runtime.random))
}

/** Time for a claim. */
export function timeToClaim({ clock }: ClaimRuntime, { deadlineMs }: Invocation): () => number {
  return () => deadlineMs - clock.now()
}

/** Time for the end of a claim: a little even where none should be left, because a lost mark is a repeated batch. */
export function timeToFinish({ clock }: ClaimRuntime, { untilMs }: Invocation): () => number {
  const floorMs = clock.monotonicMs() + FINISH_MS_MIN
  return () => Math.max(untilMs - clock.now(), floorMs - clock.monotonicMs())
}

/** Any error as one of a store. */
export function asStoreError(error: unknown): PipelineError {
  if (PipelineError.is(error)) return error
  return storeError('unavailable', error instanceof Error ? error.message : String(error), error)
}

/** Does something for each, some at the same time; waits for all of them and then rejects with the first error. */
export async function forAll<T>(all: readonly T[], work: (each: T) => Promise<void>): Promise<void> {
  const errors: unknown[] = []
  let next = 0
  const line = async (): Promise<void> => {
    for (let each = all[next++]; each !== undefined; each = all[next++]) {
      try {
        await work(each)
      } catch (error) {
        errors.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(REQUESTS_AT_ONCE, all.length) }, line))
  if (errors.length > 0) throw asStoreError(errors[0])
}
