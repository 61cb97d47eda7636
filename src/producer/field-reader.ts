/**
 * Reads single fields of an event, for routing and keys.
 *
 * A field's value counts as text: strings as they are, numbers in JavaScript's
 * shortest form (`400`, `400.0` and `4e2` are all `400`), booleans as `true`
 * and `false`. Null, objects, arrays and absent fields have none. Integers too
 * large for a double keep the digits that the event has, so that two ids beyond
 * 2^53 never become one key.
 *
 * Only own properties count: an event with a `__proto__` member cannot lend
 * itself a field.
 */

/** One field: the names from the outside in. */
export type FieldPath = readonly string[]

/** An event as parsed. */
export type ParsedEvent = Readonly<Record<string, unknown>>

/** The path that a dotted name means: `vehicle.code` is the member `code` of the member `vehicle`. */
export function fieldPath(name: string): FieldPath {
  return name.split('.')
}

/**
 * The text of a field.
 *
 * @param text - The event's JSON text, read again for numbers that a double cannot hold.
 * @returns `undefined` if the field is absent or not a string, number or boolean.
 */
export function readField(event: ParsedEvent, path: FieldPath, text: string): string | undefined {
  const value = valueAt(event, path)
  if (typeof value === 'string') return value
  if (typeof value === 'number') return isExact(value) ? String(value) : exactNumber(text, path)
  return typeof value === 'boolean' ? String(value) : undefined
}

function valueAt(event: unknown, path: FieldPath): unknown {
  let value = event
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    // Checked above: an object with that own property.
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

/** Whether a double says all that the digits said: fractions may be rounded, whole numbers may not. */
function isExact(value: number): boolean {
  return Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value))
}

/** What a reviver is told of a primitive besides its value. Source: ECMAScript `JSON.parse` source text access. */
interface ReviverContext {
  readonly source?: string
}

type Reviver = (name: string, value: unknown, context: ReviverContext) => unknown

const keepDigits: Reviver = (_name, value, context) =>
  typeof value === 'number' && !isExact(value) ? (context.source ?? value) : value

/** Parses again with every inexact number as the text it was written as. */
function exactNumber(text: string, path: FieldPath): string | undefined {
  try {
    // The reviver's third parameter is newer than the type library.
    const event: unknown = JSON.parse(text, keepDigits as (name: string, value: unknown) => unknown)
    const value = valueAt(event, path)
    return typeof value === 'string' ? value : String(value)
  } catch {
    // A reviver recurses: an event nested deeper than the stack has no readable large number.
    return undefined
  }
}
