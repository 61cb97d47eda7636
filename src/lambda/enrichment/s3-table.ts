/**
 * Look-ups in one S3 object that is a whole table: loaded with its first use, and asked for again when `ttlMs` are
 * over, which costs a request without a body while its ETag is the same.
 *
 * A table that cannot be loaded again stands in for itself for `staleMs`. One that has become unreadable or too large
 * counts as one that cannot be loaded. Entries are cut out of the text and not written again.
 */

import { type Clock, within } from '../../core/index.ts'
import { depthOf, wholeObjectSpans } from './json-text.ts'
import type { S3Objects, S3Read } from './s3-objects.ts'
import { ABSENT, DEPTH_MAX, type Lookup, type LookupFailure, type Resolution, type Slot } from './source.ts'

/** How long after a failure the object is asked for again, in milliseconds. */
const AGAIN_MS = 1_000

/** What a table is made from. */
export interface S3TableOptions {
  readonly objects: S3Objects
  /** Name of the object. */
  readonly key: string
  readonly format: 'json' | 'ndjson'
  /** Member that is the key, in each line. */
  readonly keyField: string
  readonly bytesMax: number
  readonly valueBytesMax: number
  readonly ttlMs: number
  readonly staleMs: number
  readonly clock: Clock
  readonly onSetupFailure: (reason: string) => void
}

interface Table {
  readonly etag: string | undefined
  readonly entries: ReadonlyMap<string, string>
}

/** A table in memory. */
export class S3Table implements Lookup {
  readonly #options: S3TableOptions
  #table: Table | undefined
  #freshUntilMs = Number.NEGATIVE_INFINITY
  #staleUntilMs = Number.NEGATIVE_INFINITY
  #failure: LookupFailure | undefined
  #loading: Promise<true> | undefined

  constructor(options: S3TableOptions) {
    this.#options = options
  }

  async resolve(slots: readonly Slot[], timeoutMs: number): Promise<void> {
    const { clock } = this.#options
    const isHit = clock.monotonicMs() < this.#freshUntilMs
    const isLoaded = isHit || (await within(clock, timeoutMs, this.#untilLoaded(timeoutMs))) === true
    const isFresh = isLoaded && this.#failure === undefined
    const isStale = !isFresh && clock.monotonicMs() < this.#staleUntilMs
    const table = isFresh || isStale ? this.#table : undefined
    for (const slot of slots) {
      slot.isHit = isHit && isFresh
      slot.isStale = table !== undefined && isStale
      slot.resolution = table === undefined ? this.#failed() : this.#resolution(table.entries.get(slot.key))
    }
  }

  async close(): Promise<void> {
    this.#table = undefined
    this.#freshUntilMs = Number.NEGATIVE_INFINITY
    this.#staleUntilMs = Number.NEGATIVE_INFINITY
    await this.#options.objects.close()
  }

  #untilLoaded(timeoutMs: number): Promise<true> {
    this.#loading ??= this.#load(timeoutMs).finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  #failed(): Resolution {
    const reason = `${this.#options.objects.name} did not answer in time`
    return { kind: 'failed', failure: this.#failure ?? { reason, isUnavailable: true } }
  }

  #resolution(text: string | undefined): Resolution {
    if (text === undefined) return ABSENT
    const { valueBytesMax, objects } = this.#options
    if (text.length > valueBytesMax || (text.length * 3 > valueBytesMax && Buffer.byteLength(text) > valueBytesMax)) {
      const reason = `${objects.name} has a value of more than ${valueBytesMax} bytes`
      return { kind: 'failed', failure: { reason, isUnavailable: false } }
    }
    return { kind: 'found', text }
  }

  async #load(timeoutMs: number): Promise<true> {
    const { objects, key, bytesMax, clock } = this.#options
    const controller = new AbortController()
    const timer = clock.after(timeoutMs, () => controller.abort(new Error('the table did not come in time')))
    try {
      const read = await objects.read(key, { bytesMax, etag: this.#table?.etag, signal: controller.signal })
      this.#take(read)
      return true
    } finally {
      timer.cancel()
    }
  }

  #take(read: S3Read): void {
    const { objects, ttlMs } = this.#options
    switch (read.kind) {
      case 'unchanged':
        return this.#succeed(this.#table ?? { etag: undefined, entries: new Map() })
      case 'read': {
        const entries = this.#entriesOf(read.text)
        if (typeof entries !== 'string') return this.#succeed({ etag: read.etag, entries })
        return this.#fail(`${objects.name}: the table ${entries}`)
      }
      case 'absent':
        return this.#fail(`${objects.name} has no object for the table`)
      case 'rejected':
        return this.#fail(read.reason)
      case 'unavailable':
        this.#failure = { reason: read.reason, isUnavailable: true }
        if (read.isFinal === true) this.#options.onSetupFailure(read.reason)
        this.#freshUntilMs = this.#options.clock.monotonicMs() + Math.min(AGAIN_MS, Math.max(ttlMs, 1))
    }
  }

  #fail(reason: string): void {
    this.#failure = { reason, isUnavailable: true, retryAfterMs: AGAIN_MS }
    this.#freshUntilMs = this.#options.clock.monotonicMs() + AGAIN_MS
    this.#options.onSetupFailure(reason)
  }

  #succeed(table: Table): void {
    const { ttlMs, staleMs, clock } = this.#options
    this.#table = table
    this.#failure = undefined
    this.#freshUntilMs = clock.monotonicMs() + Math.max(1, ttlMs)
    this.#staleUntilMs = this.#freshUntilMs + staleMs
  }

  /** The entries by key, or what is wrong with the text. A key that comes twice has its last value. */
  #entriesOf(text: string): ReadonlyMap<string, string> | string {
    return this.#options.format === 'json' ? jsonEntries(text) : lineEntries(text, this.#options.keyField)
  }
}

function jsonEntries(text: string): ReadonlyMap<string, string> | string {
  const spans = wholeObjectSpans(text)
  if (spans === undefined) return 'is not one JSON object'
  const entries = new Map<string, string>()
  for (const span of spans) {
    const value = text.slice(span.valueStart, span.valueEnd)
    // One by one: parsed as a whole, a table takes several times its size in memory.
    if (parsedOf(value) === undefined) return 'is not JSON'
    if (depthOf(value) > DEPTH_MAX) return `is nested deeper than ${DEPTH_MAX}`
    const key = parsedOf(text.slice(span.nameStart, span.nameEnd))
    if (typeof key?.value !== 'string') return 'is not JSON'
    if (value === 'null') entries.delete(key.value)
    else entries.set(key.value, value)
  }
  return entries
}

function parsedOf(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

function lineEntries(text: string, keyField: string): ReadonlyMap<string, string> | string {
  const entries = new Map<string, string>()
  for (const [index, line] of text.split('\n').entries()) {
    const value = line.trim()
    if (value === '') continue
    const key = lineKey(value, keyField)
    if (key === undefined) return `has no JSON object with "${keyField}" in line ${index + 1}`
    if (depthOf(value) > DEPTH_MAX) return `is nested deeper than ${DEPTH_MAX} in line ${index + 1}`
    entries.set(key, value)
  }
  return entries
}

function lineKey(line: string, keyField: string): string | undefined {
  const parsed = parsedOf(line)?.value
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined
  const key: unknown = Object.hasOwn(parsed, keyField) ? Reflect.get(parsed, keyField) : undefined
  return typeof key === 'string' || typeof key === 'number' ? String(key) : undefined
}
