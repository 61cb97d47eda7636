/**
 * The key that a record is looked up by: one field, or a template of several.
 *
 * A record without one has no key: the field is absent, `null`, empty, neither text nor a number; a number beyond 2^53,
 * whose digits are lost when the event is parsed and which would find somebody else's data; text that is not
 * well-formed Unicode; a key longer than `KEY_BYTES_MAX`.
 */

import { readTextTemplate } from '../../core/index.ts'

/** Longest key, in bytes: that of a partition key. Source: Amazon DynamoDB quotas, "Partition key length". */
export const KEY_BYTES_MAX = 2_048

/** A key as it is configured, taken apart. */
export interface KeyPattern {
  /** One more than there are fields. */
  readonly literals: readonly string[]
  /** Paths of the fields, each a list of names from the top of the event. */
  readonly paths: readonly (readonly string[])[]
}

/** Reads `driver_id`, `driver.id` or `DRIVER#{driver.id}`; a string is what is wrong with it. */
export function readKeyPattern(text: string): KeyPattern | string {
  const template =
    text.includes('{') || text.includes('}') ? readTextTemplate(text) : { literals: ['', ''], fields: [text] }
  if (typeof template === 'string') return template
  if (template.fields.length === 0) return 'names no field: every record would have the same key'
  const paths = template.fields.map(field => field.split('.'))
  if (paths.some(path => path.includes(''))) return 'has a field with an empty name'
  return { literals: template.literals, paths }
}

/** The key of an event, by what its fields are; `undefined` if it has none. */
export function keyOf(pattern: KeyPattern, valueAt: (path: readonly string[]) => unknown): string | undefined {
  let key = pattern.literals[0] ?? ''
  for (const [index, path] of pattern.paths.entries()) {
    const text = textOfKey(valueAt(path))
    if (text === undefined) return undefined
    key += text + (pattern.literals[index + 1] ?? '')
  }
  // A character has 3 bytes at most in UTF-8, so that short keys need no count.
  const isShort = key.length * 3 <= KEY_BYTES_MAX || Buffer.byteLength(key) <= KEY_BYTES_MAX
  return isShort && key.isWellFormed() ? key : undefined
}

function textOfKey(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  if (typeof value !== 'number') return undefined
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? undefined : String(value)
}

/** The value at a path of an event. Own members only: "constructor" is nobody's id. */
export function valueAtPath(message: unknown, path: readonly string[]): unknown {
  let at = message
  for (const name of path) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, name)) return undefined
    // Boundary: an object that is no list has members by name.
    at = (at as Readonly<Record<string, unknown>>)[name]
  }
  return at
}

/** A partition key and a sort key as one key, told apart whatever they hold. */
export function joinSortKey(partition: string, sort: string): string {
  return JSON.stringify([partition, sort])
}

/** Takes apart what `joinSortKey` has made. */
export function splitSortKey(key: string): readonly [string, string] {
  // Boundary: only `joinSortKey` makes such keys.
  return JSON.parse(key) as [string, string]
}
