/**
 * What has been looked up, for a while: the memory that the invocations of a warm environment share.
 *
 * Least recently used entries go first when there are too many or they are too large. An entry is fresh for `ttlMs`
 * (`negativeTtlMs` if the source has nothing for the key); it is kept `staleMs` longer, for when the source is down.
 * Pure but for the clock, which is passed.
 *
 * Invariants: never more than `entriesMax` entries and `bytesMax` bytes; an entry larger than `bytesMax` is not kept.
 */

import type { Clock } from '../../core/index.ts'

/** Sizes and times of a cache. */
export interface LookupCacheOptions {
  /** How long what was found is used, in milliseconds. */
  readonly ttlMs: number
  /** How long it is remembered that there is nothing for a key, in milliseconds. */
  readonly negativeTtlMs: number
  /** How much longer an entry may be used while the source fails, in milliseconds. */
  readonly staleMs: number
  readonly entriesMax: number
  /** Most bytes of keys and values, with `ENTRY_BYTES` for each entry. */
  readonly bytesMax: number
  readonly clock: Clock
}

/** What an entry weighs besides its texts, in bytes: the Map's slot, the object, two string headers. */
export const ENTRY_BYTES = 160

/** JSON text that was found, or `undefined` for nothing. */
export type CachedText = string | undefined

/** An entry of the cache. */
export interface CacheEntry {
  readonly text: CachedText
  /** Until when it is fresh, in the clock's monotonic milliseconds. */
  freshUntilMs: number
  /** Until when it may stand in for a source that fails. */
  readonly staleUntilMs: number
  readonly bytes: number
}

/** A bounded map from keys to what was found. */
export class LookupCache {
  readonly #options: LookupCacheOptions
  /** In the order of last use, the oldest first. */
  readonly #entries = new Map<string, CacheEntry>()
  #bytes = 0

  constructor(options: LookupCacheOptions) {
    this.#options = options
  }

  /** How many entries there are, those whose time is over included. */
  get size(): number {
    return this.#entries.size
  }

  /** What the entries weigh, in bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** The fresh entry of a key. */
  fresh(key: string): CacheEntry | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.freshUntilMs <= this.#options.clock.monotonicMs()) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry
  }

  /**
   * The entry of a key that stands in for a source that fails. For `againMs` milliseconds it counts as fresh, so that
   * not every event waits for a source that is down.
   */
  stale(key: string, againMs: number): CacheEntry | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    const nowMs = this.#options.clock.monotonicMs()
    if (entry.staleUntilMs <= nowMs) {
      this.#drop(key, entry)
      return undefined
    }
    entry.freshUntilMs = Math.max(entry.freshUntilMs, Math.min(nowMs + againMs, entry.staleUntilMs))
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry
  }

  set(key: string, text: CachedText): void {
    const known = this.#entries.get(key)
    if (known !== undefined) this.#drop(key, known)
    const { ttlMs, negativeTtlMs, staleMs, bytesMax, entriesMax, clock } = this.#options
    const lifeMs = text === undefined ? negativeTtlMs : ttlMs
    const bytes = ENTRY_BYTES + sizeOf(key) + (text === undefined ? 0 : sizeOf(text))
    if (lifeMs <= 0 || bytes > bytesMax) return
    const freshUntilMs = clock.monotonicMs() + lifeMs
    this.#entries.set(key, { text, freshUntilMs, staleUntilMs: freshUntilMs + staleMs, bytes })
    this.#bytes += bytes
    while (this.#bytes > bytesMax || this.#entries.size > entriesMax) this.#dropOldest()
  }

  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
  }

  #dropOldest(): void {
    const oldest = this.#entries.entries().next().value
    if (oldest !== undefined) this.#drop(...oldest)
  }

  #drop(key: string, entry: CacheEntry): void {
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
  }
}

/** V8 keeps a text in one byte a character, or in two if one of them needs it: the worse of it is counted. */
function sizeOf(text: string): number {
  return text.length * 2
}
