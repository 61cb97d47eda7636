/**
 * Answers to requests that carry an `Idempotency-Key`: who sends a request again
 * gets the first answer again, and nothing is published twice.
 *
 *   same key, same body, answered       → the same answer
 *   same key, same body, not answered   → busy (409): the draft leaves no request waiting on another
 *   same key, other body                → mismatch (422)
 *
 * Only final answers are kept: after a 429 or 503 the same request is to be tried
 * again, so its key is free. Kept in the memory of this instance, for `windowMs`
 * at most: the oldest answers go first when there are more than `keysMax` of them,
 * or more than `bytesMax` bytes. Whoever needs more sends the key along as a header
 * of the records (`producer.headers.idempotencyKey`) and lets consumers compare.
 *
 * Source: draft-ietf-httpapi-idempotency-key-header-07. Its keys are strings in
 * quotation marks (RFC 8941); keys without them, which many senders use, are taken.
 */

import { createHash } from 'node:crypto'

/** How much is kept, and for how long. */
export interface IdempotencyLimits {
  /** How long an answer is kept, in milliseconds. */
  readonly windowMs: number
  /** Most keys. */
  readonly keysMax: number
  /** Most bytes of keys and answers together. */
  readonly bytesMax: number
}

/** An answer as it was sent. */
export interface KeptAnswer {
  readonly status: number
  readonly text: string
}

/** What is known of a request: nothing, its answer, that it is under way, or that its key belongs to another one. */
export type IdempotencyVerdict =
  { readonly kind: 'new' | 'busy' | 'mismatch' | 'full' } | { readonly kind: 'answered'; readonly answer: KeptAnswer }

/** Longest key, in characters. */
const KEY_CHARACTERS_MAX = 255
/** What an entry takes besides its key and its answer, in bytes; about. */
const ENTRY_BYTES = 300

interface Entry {
  readonly fingerprint: string
  readonly expiresAtMs: number
  readonly bytes: number
  /** Absent while the request is under way. */
  readonly answer: KeptAnswer | undefined
}

/** The key of a header's value; `undefined` if it is none. */
export function idempotencyKeyOf(value: string): string | undefined {
  const quoted = /^"((?:[ !#-[\]-~]|\\["\\])*)"\s*(?:;.*)?$/.exec(value)?.[1]
  const key = quoted === undefined ? value : quoted.replace(/\\(["\\])/g, '$1')
  if (quoted === undefined && !/^[!#-~]+$/.test(value)) return undefined
  return key.length > 0 && key.length <= KEY_CHARACTERS_MAX ? key : undefined
}

/** What tells two bodies apart. */
export function fingerprintOf(format: string, body: Buffer): string {
  return createHash('sha256').update(format).update('\0').update(body).digest('base64')
}

/** Remembers answers by key. Pure: the caller gives the time. */
export class IdempotencyStore {
  readonly #limits: IdempotencyLimits
  /** Oldest first: an entry is put at the end when it is answered. */
  readonly #entries = new Map<string, Entry>()
  #openCount = 0
  #bytes = 0

  constructor(limits: IdempotencyLimits) {
    this.#limits = limits
  }

  /** How many keys are kept. */
  get keyCount(): number {
    return this.#entries.size
  }

  /** About how many bytes they take. */
  get bytes(): number {
    return this.#bytes
  }

  /** A request has come. After `new` its end must be told: `keep` or `forgetOpen`. */
  begin(key: string, fingerprint: string, nowMs: number): IdempotencyVerdict {
    this.#expire(nowMs)
    const known = this.#entries.get(key)
    if (known !== undefined && (known.answer === undefined || known.expiresAtMs > nowMs)) {
      if (known.fingerprint !== fingerprint) return { kind: 'mismatch' }
      return known.answer === undefined ? { kind: 'busy' } : { kind: 'answered', answer: known.answer }
    }
    if (this.#openCount >= this.#limits.keysMax) return { kind: 'full' }
    this.#openCount += 1
    this.#put(key, { fingerprint, expiresAtMs: Number.POSITIVE_INFINITY, bytes: bytesOf(key, ''), answer: undefined })
    return { kind: 'new' }
  }

  /** The request was answered for good. */
  keep(key: string, answer: KeptAnswer, nowMs: number): void {
    const open = this.#remove(key)
    if (open === undefined) return
    const expiresAtMs = nowMs + this.#limits.windowMs
    this.#put(key, { fingerprint: open.fingerprint, expiresAtMs, bytes: bytesOf(key, answer.text), answer })
  }

  /** Ends a request that was not answered for good: it may come again. Does nothing after `keep`. */
  forgetOpen(key: string): void {
    if (this.#entries.get(key)?.answer === undefined) this.#remove(key)
  }

  #put(key: string, entry: Entry): void {
    this.#entries.set(key, entry)
    this.#bytes += entry.bytes
    const { keysMax, bytesMax } = this.#limits
    for (const [oldest, { answer }] of this.#entries) {
      if (this.#entries.size <= keysMax && this.#bytes <= bytesMax) return
      if (answer !== undefined) this.#remove(oldest)
    }
  }

  #remove(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
    if (entry.answer === undefined) this.#openCount -= 1
    return entry
  }

  #expire(nowMs: number): void {
    for (const [key, { expiresAtMs, answer }] of this.#entries) {
      if (answer === undefined) continue
      if (expiresAtMs > nowMs) return
      this.#remove(key)
    }
  }
}

function bytesOf(key: string, text: string): number {
  return ENTRY_BYTES + 2 * key.length + text.length
}
