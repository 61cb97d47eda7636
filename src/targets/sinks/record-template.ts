/**
 * Texts made from records: `orders-{value.order.region}`, `{topic}#{key}`.
 *
 * | Place | Stands for |
 * | --- | --- |
 * | `{topic}` `{partition}` `{offset}` | where the record is from |
 * | `{timestamp}` | its time, in epoch milliseconds |
 * | `{key}` | its key |
 * | `{id}` | its id: what it is deduplicated by |
 * | `{value.a.b}` | text, number or boolean in its JSON value |
 *
 * `{{` and `}}` stand for the braces. A place that a record has nothing for makes the whole text absent. Numbers beyond
 * 2^53 keep all their digits.
 */

import { readTextTemplate } from '../../core/index.ts'
import type { SinkRequest } from './record-sink.ts'

/** What a place stands for. */
export type RecordPlace =
  | { readonly kind: 'topic' | 'partition' | 'offset' | 'timestamp' | 'key' | 'id' }
  /** A member of the value; the value itself with an empty path. */
  | { readonly kind: 'value'; readonly path: readonly string[] }

/** A template taken apart. */
export interface RecordTemplate {
  /** One more than there are places. */
  readonly literals: readonly string[]
  readonly places: readonly RecordPlace[]
}

const PLACES: readonly string[] = ['topic', 'partition', 'offset', 'timestamp', 'key', 'id']

/** Reads a template; a string is what is wrong with it. */
export function readRecordTemplate(text: string): RecordTemplate | string {
  const read = readTextTemplate(text)
  if (typeof read === 'string') return read
  const places: RecordPlace[] = []
  for (const name of read.fields) {
    const place = readPlace(name)
    if (place === undefined) {
      return `has a place {${name}} that is none of ${PLACES.map(each => `{${each}}`).join(' ')} {value.FIELD}`
    }
    places.push(place)
  }
  return { literals: read.literals, places }
}

function readPlace(name: string): RecordPlace | undefined {
  if (name === 'value') return { kind: 'value', path: [] }
  if (name.startsWith('value.')) return { kind: 'value', path: name.slice('value.'.length).split('.') }
  // Boundary: the list has just these names.
  return PLACES.includes(name) ? { kind: name as Exclude<RecordPlace['kind'], 'value'> } : undefined
}

/** Whether the text depends on the record, and not only on where it is from. */
export function isOfRecord(template: RecordTemplate): boolean {
  return template.places.some(({ kind }) => kind !== 'topic' && kind !== 'partition')
}

/** Whether the JSON value has to be read for it. */
export function readsValue(template: RecordTemplate): boolean {
  return template.places.some(({ kind }) => kind === 'value')
}

/** The text for one record; `undefined` if it has nothing for one of the places. */
export function renderTemplate(
  template: RecordTemplate,
  request: SinkRequest,
  record: { readonly index: number; readonly value: unknown }
): string | undefined {
  const [first = '', ...literals] = template.literals
  let text = first
  for (const [index, place] of template.places.entries()) {
    const part = textOfPlace(place, request, record)
    if (part === undefined) return undefined
    text += part + (literals[index] ?? '')
  }
  return text
}

function textOfPlace(
  place: RecordPlace,
  request: SinkRequest,
  { index, value }: { readonly index: number; readonly value: unknown }
): string | undefined {
  switch (place.kind) {
    case 'topic':
      return request.topic
    case 'partition':
      return String(request.partition)
    case 'offset':
      return request.offsets[index]?.toString()
    case 'timestamp':
      return request.timestamps?.[index]?.toString()
    case 'key':
      return request.keys?.[index] ?? undefined
    case 'id':
      return request.recordIds[index]
    case 'value':
      return scalarText(memberAt(value, place.path))
  }
}

/** Text, number or boolean as text; `undefined` for anything else. */
function scalarText(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined
}

/** The member of a value at a path of own members; `undefined` if there is none. */
export function memberAt(value: unknown, path: readonly string[]): unknown {
  let found = value
  for (const name of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined
    // Boundary: an object of JSON has members of any type, and that it has this one was just seen.
    found = (found as Readonly<Record<string, unknown>>)[name]
  }
  return found
}

/** JSON.parse as Node has it since 22: the callback is told how a value was written. */
type ParseWithSource = (
  text: string,
  reviver: (name: string, value: unknown, context: { readonly source?: string }) => unknown
) => unknown

/** Reads JSON; each value becomes what `revive` makes of it, which is told how numbers were written. */
export const parseWithSource: ParseWithSource = JSON.parse as ParseWithSource

/**
 * Reads JSON for templates: numbers that JavaScript would round become text, as they were written.
 *
 * @returns `undefined` for text that is no JSON, or nested beyond what can be read.
 */
export function parseExact(text: string): unknown {
  try {
    // Almost no event has such a number, and without the callback reading is several times as fast.
    if (!/\d{16}/.test(text)) return JSON.parse(text)
    return parseWithSource(text, (_name, value, { source }) =>
      typeof value === 'number' && !Number.isSafeInteger(value) ? source : value
    )
  } catch {
    return undefined
  }
}
