/**
 * What targets have already said about records that will come again.
 *
 * When a record reached target A but not B, the caller sends it again, and A
 * should not get it twice. The ledger of a warm worker remembers A's word. It
 * is best effort: another worker, a cold start or a full ledger forgets, and
 * then only the idempotency keys protect A. It holds nothing while all is well.
 *
 * Limits: `entriesMax` records, the oldest go first; `ttlMs`, so that offsets
 * that are replayed on purpose later are delivered. The time is over when either
 * clock says so: the monotonic one may rest in an environment that is frozen.
 */

import type { Clock } from '../../core/index.ts'
import type { Verdict } from './verdict.ts'

/** What a target has said for good: the record is well, or a verdict other than retry. */
export type FinalWord = Verdict | 'ok'

interface Entry {
  readonly words: Map<string, FinalWord>
  expiresMs: number
  expiresEpochMs: number
}

/** Remembers final words by record and target. */
export class Ledger {
  readonly #entries = new Map<string, Entry>()
  readonly #entriesMax: number
  readonly #ttlMs: number
  readonly #clock: Clock

  constructor(options: { readonly entriesMax: number; readonly ttlMs: number; readonly clock: Clock }) {
    this.#entriesMax = options.entriesMax
    this.#ttlMs = options.ttlMs
    this.#clock = options.clock
  }

  /** How many records are remembered. */
  get count(): number {
    return this.#entries.size
  }

  /** What the target has said about the record, if it is still known. */
  get(recordId: string, target: string): FinalWord | undefined {
    const entry = this.#entries.get(recordId)
    if (entry === undefined || entry.expiresMs <= this.#clock.monotonicMs()) return undefined
    if (entry.expiresEpochMs <= this.#clock.now()) return undefined
    return entry.words.get(target)
  }

  set(recordId: string, target: string, word: FinalWord): void {
    const entry = this.#entries.get(recordId) ?? {
      words: new Map<string, FinalWord>(),
      expiresMs: 0,
      expiresEpochMs: 0
    }
    entry.words.set(target, word)
    entry.expiresMs = this.#clock.monotonicMs() + this.#ttlMs
    entry.expiresEpochMs = this.#clock.now() + this.#ttlMs
    // Put at the end: the map's order is the order of use.
    this.#entries.delete(recordId)
    this.#entries.set(recordId, entry)
    if (this.#entries.size <= this.#entriesMax) return
    const oldest = this.#entries.keys().next()
    if (oldest.done !== true) this.#entries.delete(oldest.value)
  }

  delete(recordId: string): void {
    this.#entries.delete(recordId)
  }
}
