/**
 * W3C Trace Context: reads what came from outside, makes what is new. Pure but
 * for the random bytes of new ids.
 *
 *     traceparent = version "-" trace-id "-" parent-id "-" trace-flags   ; 2, 32, 16 and 2 lower-case hex digits
 *     tracestate  = key "=" value *("," key "=" value)                   ; at most 32
 *
 * Rules of the specification that matter here: version `ff` and ids of zeros
 * alone are invalid; a version above `00` is read by the layout of `00`, may be
 * longer, and is passed on as `00`; with an invalid `traceparent` the trace starts
 * anew and its `tracestate` is dropped; an invalid `tracestate` is dropped alone.
 *
 * Source: https://www.w3.org/TR/trace-context/ (Recommendation, level 1).
 */

import { randomFillSync } from 'node:crypto'

/** A trace that a record belongs to. */
export interface TraceContext {
  readonly traceparent: string
  /** What vendors add; absent if nothing. */
  readonly tracestate?: string
}

/** Longest `tracestate` that is passed on, in characters; the specification asks for 512 at least. */
const STATE_CHARACTERS_MAX = 1024
const STATE_MEMBERS_MAX = 32
/** Members longer than this go first when a `tracestate` is too long. Source: §3.3.1.5. */
const LONG_MEMBER_CHARACTERS = 128

const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const NO_TRACE = '0'.repeat(32)
const NO_PARENT = '0'.repeat(16)
// Source: §3.3.1.3. A key begins with a letter, or, with a tenant (`tenant@system`), with a digit.
const KEY = /^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/** A `traceparent` in the form that is passed on; `undefined` if it is invalid. */
export function readTraceparent(text: string): string | undefined {
  // Longer ones exist only in versions that are not known yet; nothing of the rest is passed on.
  if (text.length > 1024) return undefined
  const match = PARENT.exec(text)
  if (match === null) return undefined
  const [, version, traceId, parentId, flags, rest] = match
  if (version === 'ff' || traceId === NO_TRACE || parentId === NO_PARENT) return undefined
  if (version === '00') return rest === undefined ? text : undefined
  return `00-${traceId}-${parentId}-${flags}`
}

/** A `tracestate` in the form that is passed on; `undefined` if it is invalid, empty, or too long in any form. */
export function readTracestate(text: string): string | undefined {
  if (text.length > 16_384) return undefined
  const members: string[] = []
  const keys = new Set<string>()
  for (const each of text.split(',')) {
    const member = each.replace(/^[ \t]+|[ \t]+$/g, '')
    if (member === '') continue // empty members are allowed
    const equalsAt = member.indexOf('=')
    const key = member.slice(0, Math.max(0, equalsAt))
    if (!KEY.test(key) || !VALUE.test(member.slice(equalsAt + 1)) || keys.has(key)) return undefined
    keys.add(key)
    members.push(member)
  }
  if (members.length === 0 || members.length > STATE_MEMBERS_MAX) return undefined
  return shortened(members)
}

function shortened(members: string[]): string | undefined {
  let length = members.join(',').length
  for (let index = members.length - 1; index >= 0 && length > STATE_CHARACTERS_MAX; index -= 1) {
    const member = members[index] ?? ''
    if (member.length <= LONG_MEMBER_CHARACTERS) continue
    members.splice(index, 1)
    length -= member.length + 1
  }
  while (length > STATE_CHARACTERS_MAX) length -= (members.pop() ?? '').length + 1
  return members.length === 0 ? undefined : members.join(',')
}

const ID_BYTES = 24
const POOL_IDS = 256

/** Fills a buffer with random bytes. */
export type RandomFill = (bytes: Buffer) => void

/** Makes new traces. */
export class TraceMaker {
  readonly #pool = Buffer.alloc(ID_BYTES * POOL_IDS)
  readonly #fill: RandomFill
  readonly #sampledFrom: number
  #position = this.#pool.length

  /**
   * @param sampledRatio - Share of the traces that are marked as sampled, 0 to 1.
   * @param fill - Default: the system's generator.
   */
  constructor(sampledRatio: number, fill: RandomFill = randomFillSync) {
    // As in OpenTelemetry: the last 56 bits of the trace id decide. Of these the upper 48 are enough here.
    this.#sampledFrom = Math.round((1 - sampledRatio) * 2 ** 48)
    this.#fill = fill
  }

  /** A `traceparent` with new ids. */
  next(): string {
    if (this.#position >= this.#pool.length) {
      this.#fill(this.#pool)
      this.#position = 0
    }
    const start = this.#position
    this.#position += ID_BYTES
    const flags = this.#pool.readUIntBE(start + 9, 6) >= this.#sampledFrom ? '01' : '00'
    const traceId = this.#pool.toString('hex', start, start + 16)
    const parentId = this.#pool.toString('hex', start + 16, start + ID_BYTES)
    // Ids of zeros alone are invalid: that never happens with random bytes, but would be passed on for ever.
    if (traceId === NO_TRACE || parentId === NO_PARENT) return this.next()
    return `00-${traceId}-${parentId}-${flags}`
  }
}
