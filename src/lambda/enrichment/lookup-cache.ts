/**
 * What has been looked up, for a while: the memory that the invocations of a warm environment share.
 *
 * Least recently used entries go first when there are too many or they are too large. An entry is fresh for `ttlMs`
 * (`negativeTtlMs` if the source has nothing for the key); it is kept `staleMs` longer, for when the source is down.
 * Pure: the time is passed.
 *
 * Entries are a list in the order of their use, linked through themselves: to use one costs no step in the Map but the
 * one that finds it.
 *
 * Invariants: never more than `entriesMax` entries and `bytesMax` bytes; an entry larger than `bytesMax` is not kept.
 */

import { ABSENT, type Resolution } from './source.ts'

/** Sizes and times of a cache. */
export interface LookupCacheOptions {
  /** How long what was found is used, in milliseconds. */
  readonly ttlMs: number
  /** How long it is remembered that there is nothing for a key, in milliseconds. */
  readonly negativeTtlMs: number
  /** How much longer an entry may be used while the source fails, in milliseconds. */
  readonly staleMs: number
  readonly entriesMax: number
  /** Most bytes, as `weightOf` counts them. */
  readonly bytesMax: number
}

/** What an entry weighs besides its texts, in bytes: the Map's slot, the objects, the headers of its strings. */
const ENTRY_BYTES = 240
/** A character of a text is kept in two bytes at worst. */
const TEXT_BYTES = 2
/** What a character of JSON parses to, at worst: two characters of `[1,1,…]` are a number of 16 bytes. */
const PARSED_BYTES = 8

/** What an entry counts for, in bytes: its key, its text, and what the text parses to, which is kept once asked for. */
export function weightOf(key: string, text: string | undefined): number {
  return ENTRY_BYTES + key.length * TEXT_BYTES + (text?.length ?? 0) * (TEXT_BYTES + PARSED_BYTES)
}

/** What was found, or that there is nothing. */
export type Known = Exclude<Resolution, { kind: 'failed' }>

interface Entry {
  readonly key: string
  readonly known: Known
  readonly weight: number
  /** Until when it is fresh, in milliseconds of the clock that the caller reads. */
  freshUntilMs: number
  /** Until when it may stand in for a source that fails. */
  readonly staleUntilMs: number
  /** The one that was used before it. */
  older: Entry | undefined
  newer: Entry | undefined
}

/** A bounded map from keys to what was found. */
export class LookupCache {
  readonly #options: LookupCacheOptions
  readonly #entries = new Map<string, Entry>()
  #oldest: Entry | undefined
  #newest: Entry | undefined
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

  /** What is known of a key and still fresh. */
  fresh(key: string, nowMs: number): Known | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.freshUntilMs <= nowMs) return undefined
    this.#use(entry)
    return entry.known
  }

  /**
   * What stands in for a source that fails. For `againMs` milliseconds it counts as fresh, so that not every event
   * waits for a source that is down.
   */
  stale(key: string, nowMs: number, againMs: number): Known | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (entry.staleUntilMs <= nowMs) {
      this.#drop(entry)
      return undefined
    }
    entry.freshUntilMs = Math.max(entry.freshUntilMs, Math.min(nowMs + againMs, entry.staleUntilMs))
    this.#use(entry)
    return entry.known
  }

  set(key: string, known: Known, nowMs: number): void {
    const before = this.#entries.get(key)
    if (before !== undefined) this.#drop(before)
    const { ttlMs, negativeTtlMs, staleMs, bytesMax, entriesMax } = this.#options
    const lifeMs = known.kind === 'absent' ? negativeTtlMs : ttlMs
    const weight = weightOf(key, known.kind === 'absent' ? undefined : known.text)
    if (lifeMs <= 0 || weight > bytesMax) return
    const freshUntilMs = nowMs + lifeMs
    const staleUntilMs = freshUntilMs + staleMs
    const entry: Entry = {
      key,
      known: known.kind === 'absent' ? ABSENT : known,
      weight,
      freshUntilMs,
      staleUntilMs,
      older: undefined,
      newer: undefined
    }
    this.#entries.set(key, entry)
    this.#append(entry)
    this.#bytes += weight
    while (this.#oldest !== undefined && (this.#bytes > bytesMax || this.#entries.size > entriesMax)) {
      this.#drop(this.#oldest)
    }
  }

  clear(): void {
    this.#entries.clear()
    this.#oldest = undefined
    this.#newest = undefined
    this.#bytes = 0
  }

  #use(entry: Entry): void {
    if (entry === this.#newest) return
    this.#unlink(entry)
    this.#append(entry)
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry.key)
    this.#unlink(entry)
    this.#bytes -= entry.weight
  }

  #append(entry: Entry): void {
    entry.older = this.#newest
    entry.newer = undefined
    if (this.#newest === undefined) this.#oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
  }

  #unlink({ older, newer }: Entry): void {
    if (older === undefined) this.#oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
  }
}
