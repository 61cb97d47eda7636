/** Reads what records are asked for, from the query of an address: from a browser, so nothing about it is sure. */

import { PipelineError } from '../../core/index.ts'
import { compileQuery, type RecordMatcher, type RecordPart, type TextCondition } from '../../ops/index.ts'
import type { RecordShape, RecordsQuery } from '../api/records.ts'
import type { HiddenParts } from '../server/masking.ts'

/** A query with its defaults. */
export interface ReadQuery extends Omit<RecordsQuery, 'partition' | 'from' | 'fromOffset' | 'findIn'> {
  readonly partition: number | undefined
  readonly from: 'earliest' | 'latest' | 'datetime' | 'offset'
  readonly fromOffset: bigint
  readonly findIn: RecordPart
  readonly shape: RecordShape
  readonly limit: number
}

const SHAPES: readonly string[] = ['auto', 'json', 'text', 'hex', 'base64'] satisfies RecordShape[]
const FROMS: readonly string[] = ['earliest', 'latest', 'datetime', 'offset'] satisfies ReadQuery['from'][]
const LIMIT_DEFAULT = 50
const LIMIT_MAX = 500
const FIND_MAX = 2000
/** Latest time that a calendar has, in milliseconds since 1970. */
export const TIME_MAX = 8_640_000_000_000_000
/** Highest number that Kafka has for a partition. */
export const PARTITION_MAX = 2_147_483_647

/** @throws PipelineError `ERR_CONSOLE_REQUEST` naming the parameter. */
export function readRecordsQuery(query: URLSearchParams): ReadQuery {
  const fromMs = numberOf(query, 'fromMs', { most: TIME_MAX })
  const toMs = numberOf(query, 'toMs', { most: TIME_MAX })
  const from = oneOf(query, 'from', FROMS) ?? (fromMs === undefined ? 'latest' : 'datetime')
  if (from === 'datetime' && fromMs === undefined) throw wrong('fromMs', 'is needed with from=datetime')
  const find = query.get('find') ?? ''
  if (find.length > FIND_MAX) throw wrong('find', `has more than ${FIND_MAX} characters`)
  const next = query.get('next') ?? ''
  return {
    topic: topicOf(query),
    partition: numberOf(query, 'partition', { most: PARTITION_MAX }),
    // Of the list by the check above.
    from: from as ReadQuery['from'],
    fromOffset: offsetOf(query, 'fromOffset') ?? 0n,
    findIn: partOf(query),
    shape: shapeOf(query),
    limit: numberOf(query, 'limit', { least: 1, most: LIMIT_MAX }) ?? LIMIT_DEFAULT,
    isPattern: query.get('isPattern') === 'true',
    isCaseIgnored: query.get('isCaseIgnored') === 'true',
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(toMs === undefined ? {} : { toMs }),
    ...(find === '' ? {} : { find }),
    ...(next === '' ? {} : { next })
  }
}

/** The shape that bytes are asked for in. */
export function shapeOf(query: URLSearchParams): RecordShape {
  // Of the list by the check.
  return (oneOf(query, 'shape', SHAPES) ?? 'auto') as RecordShape
}

/** A topic by name; not whether it is there. */
export function topicOf(query: URLSearchParams): string {
  const topic = query.get('topic') ?? ''
  if (/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/.test(topic)) return topic
  throw wrong('topic', topic === '' ? 'is needed' : 'is no name of a topic')
}

/** A whole number; `undefined` where there is none. */
export function numberOf(
  query: URLSearchParams,
  name: string,
  { least = 0, most }: { readonly least?: number; readonly most: number }
): number | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  const value = Number(text)
  if (/^\d{1,16}$/.test(text) && value >= least && value <= most) return value
  throw wrong(name, `is a whole number from ${least} to ${most}`)
}

/** An offset; `undefined` where there is none. */
export function offsetOf(query: URLSearchParams, name: string): bigint | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  if (/^\d{1,18}$/.test(text)) return BigInt(text)
  throw wrong(name, 'is no offset')
}

function partOf(query: URLSearchParams): RecordPart {
  const text = query.get('findIn') ?? 'any'
  if (text === 'any' || text === 'key' || text === 'value' || text === 'headers') return text
  const header = /^header:(.{1,200})$/s.exec(text)?.[1]
  if (header !== undefined) return { header }
  throw wrong('findIn', 'is any, key, value, headers or header:<name>')
}

function oneOf(query: URLSearchParams, name: string, words: readonly string[]): string | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  if (words.includes(text)) return text
  throw wrong(name, `is one of ${words.join(', ')}`)
}

function wrong(name: string, what: string): PipelineError {
  return new PipelineError('ERR_CONSOLE_REQUEST', `${name} ${what}`)
}

/**
 * What records must meet; `undefined` = nothing.
 *
 * @throws PipelineError `ERR_OPS_QUERY_INVALID`, `ERR_CONSOLE_FORBIDDEN` for a search in what is hidden from the user,
 *   who could guess it letter by letter.
 */
export function matcherOf(
  { find, findIn, isPattern, isCaseIgnored, fromMs, toMs }: Partial<ReadQuery>,
  hidden: HiddenParts
): RecordMatcher | undefined {
  if (find === undefined && fromMs === undefined && toMs === undefined) return undefined
  const part = findIn ?? 'any'
  if (find !== undefined) needSeen(part, hidden)
  const how = isPattern === true ? { regex: find ?? '' } : { contains: find ?? '' }
  const text: TextCondition[] = find === undefined ? [] : [{ in: part, isCaseIgnored: isCaseIgnored === true, ...how }]
  return compileQuery({
    text,
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(toMs === undefined ? {} : { toMs })
  })
}

function needSeen(part: RecordPart, { key, value, headers }: HiddenParts): void {
  const isHidden = part === 'any' ? key || value || headers : part === 'key' ? key : part === 'value' ? value : headers
  if (!isHidden) return
  const message = 'some of what you want to search in is hidden from you: search in other parts, or ask for the right'
  throw new PipelineError('ERR_CONSOLE_FORBIDDEN', message)
}
