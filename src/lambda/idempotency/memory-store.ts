/**
 * Claims in the memory of one process: for tests, and for functions of which one environment is enough.
 *
 * Limit: `entriesMax` items. What has expired goes first, then the oldest; a claim that goes so is a record that may
 * be delivered twice.
 */

import type { ClaimStore, Document, Pointer, PointerWrite, StoreLimits, Swap, SwapResult } from './store.ts'

/** Options of a memory store. */
export interface MemoryStoreOptions {
  /** Most items. A block of 4,096 offsets is one, a business id is one. Default 100_000. */
  readonly entriesMax?: number
}

interface Entry {
  readonly expiresMs: number
  readonly document?: Document
  readonly pointer?: Pointer
}

/** Keeps claims in memory. */
export class MemoryStore implements ClaimStore {
  readonly #entries = new Map<string, Entry>()
  readonly #entriesMax: number

  constructor({ entriesMax = 100_000 }: MemoryStoreOptions = {}) {
    this.#entriesMax = entriesMax
  }

  /** How many items it holds. */
  get count(): number {
    return this.#entries.size
  }

  async read(key: string): Promise<Document | undefined> {
    return this.#entries.get(key)?.document
  }

  async swap({ key, expected, version, text, expiresMs }: Swap, { nowMs }: StoreLimits): Promise<SwapResult> {
    const current = this.#entries.get(key)?.document
    if (current?.version !== expected) return { kind: 'conflict', current }
    this.#put(key, { document: { version, text }, expiresMs }, nowMs)
    return { kind: 'ok' }
  }

  async point(writes: readonly PointerWrite[], { nowMs }: StoreLimits): Promise<(Pointer | undefined)[]> {
    return writes.map(({ key, pointer, replaces }) => {
      const current = this.#entries.get(key)?.pointer
      const isFree = current === undefined || current.expiresMs <= nowMs || current.owner === replaces
      if (isFree) this.#put(key, { pointer, expiresMs: pointer.expiresMs }, nowMs)
      return isFree ? undefined : current
    })
  }

  async close(): Promise<void> {
    this.#entries.clear()
  }

  #put(key: string, entry: Entry, nowMs: number): void {
    // Put at the end: the map's order is the order of the last change.
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    if (this.#entries.size <= this.#entriesMax) return
    for (const [each, { expiresMs }] of this.#entries) if (expiresMs <= nowMs) this.#entries.delete(each)
    for (const each of this.#entries.keys()) {
      // A tenth at once, so that a full store does not look through everything at each change.
      if (this.#entries.size <= Math.floor(this.#entriesMax * 0.9)) break
      if (each !== key) this.#entries.delete(each)
    }
  }
}
