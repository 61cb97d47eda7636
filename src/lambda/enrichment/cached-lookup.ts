/**
 * Look-ups with a memory: what is fresh in the cache costs nothing, what another event is asking for at this moment is
 * waited for, the rest is asked for. When the source fails, an old entry stands in for `staleMs`.
 */

import { type Clock, within } from '../../core/index.ts'
import type { LookupCache } from './lookup-cache.ts'
import { ABSENT, type Lookup, type LookupSource, type Resolution, type Slot } from './source.ts'
import type { SourceReader } from './source-reader.ts'

/** How long an old entry stands in before the source is asked again, in milliseconds. */
const STALE_AGAIN_MS = 1_000

/** What a cached look-up is made from. */
export interface CachedLookupOptions {
  readonly source: LookupSource
  readonly reader: SourceReader
  readonly cache: LookupCache
  readonly clock: Clock
}

/** Keys that are being asked for; results come in one by one. */
interface Flight {
  readonly done: Promise<void>
  readonly results: Map<string, Resolution>
}

/** Resolves keys by cache and source. */
export class CachedLookup implements Lookup {
  readonly #options: CachedLookupOptions
  readonly #flights = new Map<string, Flight>()

  constructor(options: CachedLookupOptions) {
    this.#options = options
  }

  async resolve(slots: readonly Slot[], timeoutMs: number): Promise<void> {
    const { cache, source, clock } = this.#options
    const waiting: { slot: Slot; flight: Flight }[] = []
    const asked: Slot[] = []
    const nowMs = clock.monotonicMs()
    for (const slot of slots) {
      const known = cache.fresh(slot.key, nowMs)
      if (known !== undefined) {
        slot.resolution = known
        slot.isHit = true
      } else if (!source.isPossible(slot.key)) {
        slot.resolution = ABSENT
      } else {
        const flight = this.#flights.get(slot.key)
        if (flight === undefined) asked.push(slot)
        else waiting.push({ slot, flight })
      }
    }
    if (asked.length > 0) {
      const flight = this.#start(
        asked.map(slot => slot.key),
        timeoutMs
      )
      for (const slot of asked) waiting.push({ slot, flight })
    }
    if (waiting.length === 0) return
    const flights = new Set(waiting.map(each => each.flight.done))
    await within(clock, timeoutMs, Promise.all(flights))
    for (const { slot, flight } of waiting) this.#settle(slot, flight)
  }

  async close(): Promise<void> {
    this.#options.cache.clear()
    await this.#options.source.close()
  }

  #start(keys: readonly string[], timeoutMs: number): Flight {
    const results = new Map<string, Resolution>()
    const flight: Flight = { results, done: this.#fly(keys, results, timeoutMs) }
    for (const key of keys) this.#flights.set(key, flight)
    return flight
  }

  async #fly(keys: readonly string[], results: Map<string, Resolution>, timeoutMs: number): Promise<void> {
    const { reader, cache, clock } = this.#options
    const controller = new AbortController()
    const timer = clock.after(timeoutMs, () =>
      controller.abort(new Error(`no answer within ${Math.round(timeoutMs)} ms`))
    )
    try {
      await reader.read(keys, results, controller.signal)
    } finally {
      timer.cancel()
      for (const key of keys) this.#flights.delete(key)
      for (const [key, result] of results) {
        if (result.kind !== 'failed') cache.set(key, result, clock.monotonicMs())
      }
    }
  }

  #settle(slot: Slot, { results }: Flight): void {
    const { cache, clock, source } = this.#options
    const result = results.get(slot.key)
    const isFailed = result === undefined || result.kind === 'failed'
    const known = isFailed ? cache.stale(slot.key, clock.monotonicMs(), STALE_AGAIN_MS) : undefined
    slot.isStale = known !== undefined
    const failure = { reason: `no time was left to ask ${source.name}`, isUnavailable: true }
    slot.resolution = known ?? result ?? { kind: 'failed', failure }
  }
}
