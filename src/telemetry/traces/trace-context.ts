/**
 * W3C Trace Context: reads what came from outside, writes what goes on. Pure.
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

/** A trace that a record, a batch or a request belongs to. */
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

/** The three parts of a valid `traceparent` that matter to those who continue it. */
export interface TraceParent {
  readonly traceId: string
  readonly spanId: string
  /** Bit 0: sampled. Bit 1: the trace id is random (level 2 of the specification). */
  readonly flags: number
}

/** The parts of a `traceparent` that `readTraceparent` has passed. */
export function partsOfTraceparent(traceparent: string): TraceParent {
  return {
    traceId: traceparent.slice(3, 35),
    spanId: traceparent.slice(36, 52),
    flags: Number.parseInt(traceparent.slice(53, 55), 16)
  }
}

/** Whether those who continue a context are to record. */
export function isSampledContext({ traceparent }: TraceContext): boolean {
  return (Number.parseInt(traceparent.slice(53, 55), 16) & 1) !== 0
}

/** A context out of texts from outside; `undefined` if they hold no valid one. */
export function readTraceContext(traceparent: unknown, tracestate?: unknown): TraceContext | undefined {
  const parent = typeof traceparent === 'string' ? readTraceparent(traceparent) : undefined
  if (parent === undefined) return undefined
  const state = typeof tracestate === 'string' ? readTracestate(tracestate) : undefined
  return state === undefined ? { traceparent: parent } : { traceparent: parent, tracestate: state }
}

/**
 * The same place in a trace as AWS writes it: `Root=1-8 digits-24 digits;Parent=16 digits;Sampled=0|1`.
 *
 * Source: X-Ray developer guide, "Tracing header"; trace ids without a time in them are taken since 2023.
 */
export function xrayHeader({ traceparent }: TraceContext): string {
  const { traceId, spanId, flags } = partsOfTraceparent(traceparent)
  return `Root=1-${traceId.slice(0, 8)}-${traceId.slice(8)};Parent=${spanId};Sampled=${flags & 1}`
}
