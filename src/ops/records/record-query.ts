/**
 * Which records are looked for: conditions on key, value, headers and time, all of which must hold.
 *
 * Text is compared as bytes, so a search for it looks at a whole batch first
 * and walks its records only if it is there at all. Regular expressions run on
 * RE2, whose time is linear in the text whatever the pattern. A value is parsed
 * as JSON only if the other conditions hold.
 */

import { RE2JS, RE2JSSyntaxException } from 're2js'

import {
  compileEventPattern,
  decimalOf,
  type EventPattern,
  type FieldCondition,
  messageOf,
  PipelineError,
  readFieldCondition
} from '../../core/index.ts'
import type { RecordCursor } from '../../protocol/index.ts'

/** Where a condition looks: any of key, value and header values; or in one of them; or in the header of a name. */
export type RecordPart = 'any' | 'key' | 'value' | 'headers' | { readonly header: string }

/** A condition on bytes. */
export interface TextCondition {
  readonly in?: RecordPart
  /** The bytes that must be in it. */
  readonly contains?: string | Buffer
  /** The bytes that it must consist of. */
  readonly equals?: string | Buffer
  /** A regular expression of RE2 that must match somewhere in it. */
  readonly regex?: string
  /** Whether upper and lower case are one, for `contains` and `regex`. Default `false`. */
  readonly isCaseIgnored?: boolean
}

/** What is looked for. Everything that is given must hold. */
export interface RecordQuery {
  readonly text?: readonly TextCondition[]
  /** Conditions on fields of a JSON value, by path: `vehicle.code`. Source: core/field-condition.ts. */
  readonly fields?: Readonly<Record<string, unknown>>
  /** An event pattern on the JSON value. Source: core/event-pattern.ts. */
  readonly pattern?: unknown
  /** Records with a time from this on, in milliseconds since 1970. */
  readonly fromMs?: number
  /** Records with a time before this. */
  readonly toMs?: number
  /** Whether the records are meant that do **not** meet the text, fields and pattern. Default `false`. */
  readonly isInverted?: boolean
}

/** A compiled query. Holds nothing between records but what it needs to judge the next one. */
export interface RecordMatcher {
  /** Whether a batch, just opened, may have a record that matches. */
  mayMatch(cursor: RecordCursor): boolean
  /** Whether the record that the cursor stands on matches. */
  matches(cursor: RecordCursor): boolean
}

/** Longest regular expression, in characters, and largest program of it, in RE2's instructions. */
const REGEX_CHARS_MAX = 2000
const PROGRAM_SIZE_MAX = 5000

type BytesTest = (bytes: Buffer) => boolean
type JsonTest = (value: unknown) => boolean

/**
 * Compiles a query.
 *
 * @throws PipelineError `ERR_OPS_QUERY_INVALID` with every problem.
 */
export function compileQuery(query: RecordQuery): RecordMatcher {
  const problems: string[] = []
  const texts = (query.text ?? []).map(condition => new TextTest(condition, problems))
  const json = jsonTestsOf(query, problems)
  if (problems.length > 0) throw new PipelineError('ERR_OPS_QUERY_INVALID', problems.join('; '))
  const { fromMs = Number.NEGATIVE_INFINITY, toMs = Number.POSITIVE_INFINITY, isInverted = false } = query
  const needles = isInverted ? [] : texts.flatMap(({ needle }) => (needle === undefined ? [] : [needle]))
  const hints = isInverted ? [] : hintsOf(query)
  const holds = (cursor: RecordCursor): boolean =>
    texts.every(text => text.matches(cursor)) &&
    (json.length === 0 || (valueMayHold(cursor, hints) && matchesJson(json, cursor)))
  return {
    mayMatch: cursor => {
      if (needles.length === 0 && hints.length === 0) return true
      const bytes = cursor.recordBuffer.subarray(cursor.nextPosition, cursor.recordsEnd)
      return needles.every(needle => bytes.includes(needle)) && hints.every(hint => mayHold(bytes, hint))
    },
    matches: cursor => {
      if (cursor.timestampMs < fromMs || cursor.timestampMs >= toMs) return false
      return holds(cursor) !== isInverted
    }
  }
}

class TextTest {
  /** Bytes without which nothing matches. */
  readonly needle: Buffer | undefined
  readonly #part: RecordPart
  readonly #test: BytesTest

  constructor(condition: TextCondition, problems: string[]) {
    this.#part = condition.in ?? 'any'
    const { contains, equals, regex, isCaseIgnored = false } = condition
    if ([contains, equals, regex].filter(each => each !== undefined).length !== 1) {
      problems.push('a condition on text has exactly one of contains, equals and regex')
    }
    const needle = equals ?? (isCaseIgnored ? undefined : contains)
    this.needle = needle === undefined ? undefined : Buffer.from(needle)
    this.#test = equals === undefined ? containing({ contains, regex, isCaseIgnored }, problems) : equalTo(equals)
  }

  matches(cursor: RecordCursor): boolean {
    const part = this.#part
    if (part === 'key') return this.#matchesKey(cursor)
    if (part === 'value') return this.#matchesValue(cursor)
    if (part === 'any' && (this.#matchesKey(cursor) || this.#matchesValue(cursor))) return true
    if (cursor.headerCount === 0) return false
    const name = typeof part === 'object' ? part.header : undefined
    return cursor
      .headers()
      .some(({ key, value }) => (name === undefined || name === key) && value !== null && this.#test(value))
  }

  #matchesKey({ keyStart, keyEnd, recordBuffer }: RecordCursor): boolean {
    return keyStart >= 0 && this.#test(recordBuffer.subarray(keyStart, keyEnd))
  }

  #matchesValue({ valueStart, valueEnd, recordBuffer }: RecordCursor): boolean {
    return valueStart >= 0 && this.#test(recordBuffer.subarray(valueStart, valueEnd))
  }
}

function equalTo(text: string | Buffer): BytesTest {
  const wanted = Buffer.from(text)
  return bytes => bytes.equals(wanted)
}

function containing(
  {
    contains,
    regex,
    isCaseIgnored
  }: { contains: TextCondition['contains'] | undefined; regex: string | undefined; isCaseIgnored: boolean },
  problems: string[]
): BytesTest {
  if (contains !== undefined && !isCaseIgnored) {
    const needle = Buffer.from(contains)
    return bytes => bytes.includes(needle)
  }
  const pattern = contains === undefined ? (regex ?? '') : RE2JS.quote(contains.toString())
  const compiled = compileRegex(pattern, isCaseIgnored, problems)
  return compiled === undefined ? () => false : bytes => compiled.test(bytes.toString('utf8'))
}

function compileRegex(pattern: string, isCaseIgnored: boolean, problems: string[]): RE2JS | undefined {
  const named = `the regular expression ${JSON.stringify(pattern.slice(0, 80))}`
  if (pattern.length > REGEX_CHARS_MAX) {
    problems.push(`${named} has more than ${REGEX_CHARS_MAX} characters`)
    return undefined
  }
  try {
    const compiled = RE2JS.compile(pattern, isCaseIgnored ? RE2JS.CASE_INSENSITIVE : 0)
    if (compiled.programSize() <= PROGRAM_SIZE_MAX) return compiled
    problems.push(`${named} is too large: it repeats too much`)
  } catch (error) {
    const reason = error instanceof RE2JSSyntaxException ? error.getDescription() : messageOf(error)
    problems.push(`${named}: ${reason} (RE2 has no lookaround and no backreferences)`)
  }
  return undefined
}

function jsonTestsOf(query: RecordQuery, problems: string[]): JsonTest[] {
  const tests: JsonTest[] = []
  for (const [path, list] of Object.entries(query.fields ?? {})) {
    const condition = readFieldCondition(list, (_, message) => problems.push(`condition on ${path}: ${message}`))
    const names = path.split('.')
    if (names.includes('')) problems.push(`${JSON.stringify(path)} is no path of fields: write vehicle.code`)
    tests.push(value => holdsFor(fieldOf(value, names), condition))
  }
  if (query.pattern !== undefined) {
    const report = (path: readonly PropertyKey[], message: string): void =>
      void problems.push(`pattern${path.length === 0 ? '' : ` at ${path.map(String).join('.')}`}: ${message}`)
    const pattern: EventPattern = compileEventPattern(query.pattern, report)
    tests.push(value => pattern(value))
  }
  return tests
}

/**
 * Texts of which one must stand in the bytes of a value, for each condition that has nothing but texts: a look at bytes
 * is ten times as fast as to parse them. A number has many forms (400, 4e2), so there is no hint for one.
 */
function hintsOf({ fields = {} }: RecordQuery): Buffer[][] {
  return Object.values(fields).flatMap(list => {
    const { texts, ranges, patterns } = readFieldCondition(list, () => undefined)
    if (ranges.length > 0 || patterns.length > 0 || texts.some(text => !Number.isNaN(Number(text)))) return []
    return [texts.map(text => Buffer.from(text))]
  })
}

const BACKSLASH = 0x5c

/** Whether a field of JSON text may have one of the values: they stand there, or something stands there escaped. */
function mayHold(bytes: Buffer, hint: readonly Buffer[]): boolean {
  return hint.some(text => bytes.includes(text)) || bytes.includes(BACKSLASH)
}

function valueMayHold({ valueStart, valueEnd, recordBuffer }: RecordCursor, hints: readonly Buffer[][]): boolean {
  if (hints.length === 0) return true
  const bytes = recordBuffer.subarray(Math.max(0, valueStart), Math.max(0, valueEnd))
  return hints.every(hint => mayHold(bytes, hint))
}

/** What is not JSON has no fields: it matches nothing, and no condition that a field is absent. */
function matchesJson(tests: readonly JsonTest[], { valueStart, valueEnd, recordBuffer }: RecordCursor): boolean {
  if (valueStart < 0) return false
  try {
    const value: unknown = JSON.parse(recordBuffer.toString('utf8', valueStart, valueEnd))
    return tests.every(test => test(value))
  } catch {
    // Not JSON: hostile or of another format, and no reason to end a search.
    return false
  }
}

function fieldOf(value: unknown, names: readonly string[]): unknown {
  let at = value
  for (const name of names) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined
    // An own field of an object, by the check above; a list has them by number.
    at = (at as Record<string, unknown>)[name]
  }
  return at
}

/** One value must meet the condition; of a list one element. An object meets nothing but `exists`. */
function holdsFor(value: unknown, condition: FieldCondition): boolean {
  if (Array.isArray(value)) return value.some(each => holdsFor(each, condition))
  const isPlain = value === null || ['string', 'number', 'boolean'].includes(typeof value)
  const text = isPlain ? String(value) : undefined
  const { texts, ranges, patterns } = condition
  if (text !== undefined) {
    if (texts.includes(text)) return true
    const number = ranges.length === 0 ? undefined : typeof value === 'number' ? value : decimalOf(text)
    if (number !== undefined && ranges.some(({ from, to }) => number >= from && number <= to)) return true
  }
  return patterns.some(pattern => pattern(value === undefined ? undefined : (text ?? {})))
}
