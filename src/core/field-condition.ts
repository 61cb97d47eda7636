/**
 * What the text of one field may be: values, ranges of numbers, and the text operators of event patterns.
 *
 * ```
 * [300, "A-1", true, { "from": 400, "to": 499 }, { "prefix": "eu-" }, { "exists": false }]
 * ```
 *
 * One entry must match. A value matches its text, so 300 and "300" are one; a range takes plain decimal numbers, both
 * ends included, and either end may be left out. The operators are those of `event-pattern.ts` but `numeric`, for which
 * there are ranges. Read once; every problem is reported.
 */

import { compileEventPattern, type EventPattern, type PatternReport } from './event-pattern.ts'

/** Numbers from one to another, both included; infinite where an end is left out. */
export interface NumberRange {
  readonly from: number
  readonly to: number
}

/** A condition on the text of a field, taken apart so that whoever uses it can look values up. */
export interface FieldCondition {
  readonly texts: readonly string[]
  readonly ranges: readonly NumberRange[]
  /** Operators; each gets the text, or `undefined` for a field that is absent. */
  readonly patterns: readonly EventPattern[]
}

/** Those of event patterns but `numeric`. */
const OPERATORS: readonly string[] = ['prefix', 'suffix', 'equals-ignore-case', 'wildcard', 'anything-but', 'exists']

/** At most 15 digits before and after the point: what a double holds exactly enough to compare. */
const decimal = /^-?(0|[1-9]\d{0,14})(\.\d{1,15})?$/

/** The number that a text is; `undefined` if it is no plain decimal number, as 0x12, 1e3, 007 or text with blanks. */
export function decimalOf(text: string): number | undefined {
  return decimal.test(text) ? Number(text) : undefined
}

/** Reads a condition. Entries that are wrong are reported and left out. */
export function readFieldCondition(list: unknown, report: PatternReport): FieldCondition {
  const texts: string[] = []
  const ranges: NumberRange[] = []
  const patterns: EventPattern[] = []
  if (!Array.isArray(list)) report([], 'must be a list of values, ranges and operators')
  else if (list.length === 0) report([], 'is empty: nothing would ever match')
  for (const [index, entry] of Array.isArray(list) ? list.entries() : []) {
    const wrong = (message: string): void => report([index], message)
    if (typeof entry === 'string' || typeof entry === 'number' || typeof entry === 'boolean') texts.push(String(entry))
    else if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
      wrong('must be text, a number, true, false, a range or an operator')
    } else if ('from' in entry || 'to' in entry) {
      const range = readRange(entry as Record<string, unknown>, wrong)
      if (range !== undefined) ranges.push(range)
    } else if ('numeric' in entry) wrong('numeric is for event patterns; here a range does it: { from: 1, to: 9 }')
    else {
      const unknown = Object.keys(entry).find(name => !OPERATORS.includes(name))
      if (unknown !== undefined)
        report([index, unknown], `is no operator; there are: ${OPERATORS.join(', ')}, and from, to`)
      else patterns.push(compileEventPattern([entry], (path, message) => report([index, ...path.slice(1)], message)))
    }
  }
  return { texts, ranges, patterns }
}

function readRange(entry: Record<string, unknown>, wrong: (message: string) => void): NumberRange | undefined {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY, ...rest } = entry
  if (Object.keys(rest).length > 0) wrong(`a range has from and to only, not ${Object.keys(rest).join(', ')}`)
  else if (typeof from !== 'number' || typeof to !== 'number' || Number.isNaN(from) || Number.isNaN(to)) {
    wrong('the ends of a range must be numbers')
  } else if (from > to) wrong(`the range ${from} to ${to} is empty`)
  else return { from, to }
  return undefined
}
