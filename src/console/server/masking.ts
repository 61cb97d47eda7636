/**
 * Masking: what of a record leaves the server for whom. Every place that shows records calls `maskRecord`, and asks
 * `hiddenParts` before it searches: who may search in what is hidden can guess it letter by letter.
 *
 * Members of JSON are replaced in the text itself: everything beside them stays as it was written (long numbers,
 * members that come twice). What is not a whole, sound object or list of JSON is hidden as a whole where a rule names
 * members. A dead letter is hidden as its origin is.
 */

import type { ReadRecord } from '../../ops/index.ts'
import type { ShownBytes, ShownRecord } from '../api/records.ts'
import type { ConsoleRole } from '../api/session.ts'
import type { MaskRule } from './access-types.ts'
import { maskJson } from './mask-json.ts'
import { fitsAny } from './names.ts'
import type { Caller } from './server-types.ts'

/** What stands for something hidden. */
export const MASK = '•••'

/** A rule of the settings. */
export interface MaskSetting extends MaskRule {
  readonly roles: readonly ConsoleRole[]
}

/** The rules that hold for a role. */
export function masksOf(settings: readonly MaskSetting[], role: ConsoleRole): MaskRule[] {
  return settings.filter(({ roles }) => roles.includes(role))
}

/** What is hidden of a topic's records, wholly or in part. */
export interface HiddenParts {
  readonly key: boolean
  readonly value: boolean
  readonly headers: boolean
}

/** What of the records of some topics a user cannot see in full: searching there must be refused. */
export function hiddenParts(caller: Pick<Caller, 'masks' | 'isMasked'>, ...topics: readonly string[]): HiddenParts {
  return partsOf(rulesFor(caller, topics))
}

function partsOf(rules: readonly MaskRule[]): HiddenParts {
  const hasFields = rules.some(({ fields }) => fields.length > 0)
  return {
    key: hasFields || rules.some(({ key }) => key),
    value: hasFields || rules.some(({ value }) => value),
    headers: rules.some(({ headers }) => headers !== false && (headers === true || headers.length > 0))
  }
}

/** Header of a dead letter with the topic that its record came from. */
const ORIGIN_HEADER = 'comporta-origin-topic'
/** Header of a dead letter that may quote what could not be understood. */
const REASON_HEADER = 'comporta-error-reason'

/**
 * Topics whose masks hold for a record: its own, and those that it says it came from. Whoever writes such a header by
 * hand hides more by it, never less.
 */
export function topicsOf({ topic, headers }: Pick<ReadRecord, 'topic' | 'headers'>): readonly string[] {
  const origins = headers.filter(({ key, value }) => key === ORIGIN_HEADER && value !== null)
  return [topic, ...origins.map(({ value }) => String(value))]
}

/** Whether a header may quote what is hidden. */
export function quotesHidden(name: string, { key, value, headers }: HiddenParts): boolean {
  return name === REASON_HEADER && (key || value || headers)
}

/**
 * The record as this user may see it. The same one where nothing is hidden.
 *
 * @param topics - Whose masks hold: `topicsOf` the record as it was read.
 */
export function maskRecord<R extends ShownRecord>(
  record: R,
  caller: Pick<Caller, 'masks' | 'isMasked'>,
  topics: readonly string[]
): R {
  const rules = rulesFor(caller, topics)
  if (rules.length === 0) return record
  const fields = rules.flatMap(rule => rule.fields)
  const parts = partsOf(rules)
  const isHeaderHidden = (name: string): boolean =>
    quotesHidden(name, parts) || rules.some(({ headers }) => headers === true || isNamed(headers, name))
  return {
    ...record,
    key: maskBytes(record.key, rules.some(({ key }) => key) || fields),
    value: maskBytes(record.value, rules.some(({ value }) => value) || fields),
    headers: record.headers.map(header =>
      isHeaderHidden(header.key) ? { ...header, value: maskBytes(header.value, true) } : header
    )
  }
}

/** Hides everything: where nothing says what may be seen. */
const ALL: MaskRule = { topics: ['*'], key: true, value: true, headers: true, fields: [] }

function rulesFor(
  { masks, isMasked }: Pick<Caller, 'masks' | 'isMasked'>,
  names: readonly string[]
): readonly MaskRule[] {
  if (masks === undefined) return isMasked ? [ALL] : []
  return masks.filter(({ topics }) => names.some(name => fitsAny(name, topics)))
}

/** Whoever writes a header may write it in capitals: what is secret is so in any. */
function isNamed(headers: MaskRule['headers'], name: string): boolean {
  return typeof headers !== 'boolean' && headers.some(each => each.toLowerCase() === name.toLowerCase())
}

function maskBytes(bytes: ShownBytes | null, hidden: true | readonly string[]): ShownBytes | null {
  // A tombstone says what happened, and nothing of what was there.
  if (bytes === null || (hidden !== true && hidden.length === 0)) return bytes
  const text = hidden === true || bytes.isCut || !hasMembers(bytes) ? undefined : maskJson(bytes.text, hidden, MASK)
  // The length would tell one value from another.
  if (text === undefined) return { shape: 'masked', text: MASK, byteLength: 0, isCut: false }
  return { ...bytes, text, byteLength: Buffer.byteLength(text) }
}

/** A number or a text alone is JSON, and nothing of it can be named: it is as bare as what is not JSON. */
function hasMembers({ shape, text }: ShownBytes): boolean {
  return shape === 'json' && /^[ \t\r\n]*[{[]/.test(text)
}
