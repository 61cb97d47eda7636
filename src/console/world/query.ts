/** Reads what lists are asked for: pages, sorting, names. What makes no sense is said, not guessed. */

import { PipelineError } from '../../core/index.ts'

/** A page that was asked for. */
export interface AskedPage<Sort extends string> {
  readonly offset: number
  readonly limit: number
  readonly sort: Sort
  readonly isDescending: boolean
  /** Lower case; empty = all. */
  readonly find: string
}

/** What a list can be asked for. */
export interface PageRules<Sort extends string> {
  readonly sorts: readonly Sort[]
  /** Where nothing else is asked for. */
  readonly sort: Sort
  readonly isDescending?: boolean
}

const LIMIT_DEFAULT = 100
/** Rows of a page at most. */
export const LIMIT_MAX = 500
const OFFSET_MAX = 10_000_000
const TEXT_MAX = 300

/** @throws PipelineError `ERR_CONSOLE_REQUEST` */
export function askedPage<Sort extends string>(query: URLSearchParams, rules: PageRules<Sort>): AskedPage<Sort> {
  const sort = query.get('sort') ?? rules.sort
  const known = rules.sorts.find(each => each === sort)
  if (known === undefined) throw badRequest(`sort is one of ${rules.sorts.join(', ')}, not ${quoted(sort)}`)
  const isDescendingDefault = known === rules.sort && rules.isDescending === true
  return {
    offset: integerOf(query, 'offset', { least: 0, most: OFFSET_MAX, otherwise: 0 }),
    limit: integerOf(query, 'limit', { least: 1, most: LIMIT_MAX, otherwise: LIMIT_DEFAULT }),
    sort: known,
    isDescending: booleanOf(query, 'descending') ?? isDescendingDefault,
    find: (textOf(query, 'find') ?? '').toLowerCase()
  }
}

/**
 * A text of the query; `undefined` if it is not there or empty.
 *
 * @throws PipelineError `ERR_CONSOLE_REQUEST` if it is too long.
 */
export function textOf(query: URLSearchParams, name: string): string | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  if (text.length > TEXT_MAX) throw badRequest(`${name} is longer than ${TEXT_MAX} characters`)
  return text
}

/** @throws PipelineError `ERR_CONSOLE_REQUEST` if it is missing. */
export function neededText(query: URLSearchParams, name: string): string {
  const text = textOf(query, name)
  if (text === undefined) throw badRequest(`${name} is missing`)
  return text
}

/**
 * Words of a list, `status=WARN,ERR`; empty = all.
 *
 * @throws PipelineError `ERR_CONSOLE_REQUEST` for a word that is not known.
 */
export function wordsOf<Word extends string>(
  query: URLSearchParams,
  name: string,
  known: readonly Word[]
): readonly Word[] {
  const text = textOf(query, name)
  if (text === undefined) return []
  return text.split(',').map(word => {
    const found = known.find(each => each === word)
    if (found === undefined) throw badRequest(`${name} is of ${known.join(', ')}, not ${quoted(word)}`)
    return found
  })
}

/** What is wrong with a request. */
export function badRequest(message: string): PipelineError {
  return new PipelineError('ERR_CONSOLE_REQUEST', message)
}

/** What is not there. */
export function notFound(what: string): PipelineError {
  return new PipelineError('ERR_CONSOLE_NOT_FOUND', `${what} is not there, or was not when the cluster was looked at`)
}

interface IntegerRules {
  readonly least: number
  readonly most: number
  readonly otherwise: number
}

function integerOf(query: URLSearchParams, name: string, { least, most, otherwise }: IntegerRules): number {
  const text = query.get(name)
  if (text === null || text === '') return otherwise
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw badRequest(`${name} is a whole number from ${least} to ${most}, not ${quoted(text)}`)
}

function booleanOf(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  if (text === 'true' || text === '1') return true
  if (text === 'false' || text === '0') return false
  throw badRequest(`${name} is true or false, not ${quoted(text)}`)
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 40))
}
