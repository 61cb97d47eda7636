/**
 * Masking: what of a record leaves the server for whom. Every place that shows records calls `maskRecord`, and asks
 * `hiddenParts` before it searches: who may search in what is hidden can guess it letter by letter.
 *
 * Members of JSON are replaced in the text itself: everything beside them stays as it was written (long numbers,
 * members that come twice). What is not whole, sound JSON is hidden as a whole where a rule names members.
 */

import type { RecordShape, ShownBytes, ShownRecord } from '../api/records.ts'
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

/** What of a topic's records a user cannot see in full: searching there must be refused. */
export function hiddenParts(caller: Pick<Caller, 'masks' | 'isMasked'>, topic: string): HiddenParts {
  const rules = rulesFor(caller, topic)
  const hasFields = rules.some(({ fields }) => fields.length > 0)
  return {
    key: hasFields || rules.some(({ key }) => key),
    value: hasFields || rules.some(({ value }) => value),
    headers: rules.some(({ headers }) => headers !== false && (headers === true || headers.length > 0))
  }
}

/** The record as this user may see it. The same one where nothing is hidden. */
export function maskRecord<R extends ShownRecord>(record: R, caller: Pick<Caller, 'masks' | 'isMasked'>): R {
  const rules = rulesFor(caller, record.topic)
  if (rules.length === 0) return record
  const fields = rules.flatMap(rule => rule.fields)
  const isHeaderHidden = (name: string): boolean =>
    rules.some(({ headers }) => headers === true || (Array.isArray(headers) && headers.includes(name)))
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

function rulesFor({ masks, isMasked }: Pick<Caller, 'masks' | 'isMasked'>, topic: string): readonly MaskRule[] {
  if (masks === undefined) return isMasked ? [ALL] : []
  return masks.filter(({ topics }) => fitsAny(topic, topics))
}

function maskBytes(bytes: ShownBytes | null, hidden: true | readonly string[]): ShownBytes | null {
  // A tombstone says what happened, and nothing of what was there.
  if (bytes === null || (hidden !== true && hidden.length === 0)) return bytes
  const text = hidden === true || bytes.isCut || !isJson(bytes.shape) ? undefined : maskJson(bytes.text, hidden, MASK)
  // The length would tell one value from another.
  return text === undefined ? { shape: 'masked', text: MASK, byteLength: 0, isCut: false } : { ...bytes, text }
}

function isJson(shape: RecordShape | 'masked'): boolean {
  return shape === 'json'
}
