/** Options that say which records are meant, and how they are shown. */

import { type Command, InvalidArgumentError, Option } from 'commander'

import { systemClock } from '../../core/index.ts'
import type { RecordBound, RecordPart, RecordQuery, TextCondition } from '../../ops/index.ts'
import { collect, collectPartition } from './collect.ts'
import { isoTimeMs } from './iso-time.ts'

/** Options of what is looked for. */
export interface QueryOptions {
  readonly contains?: readonly string[]
  readonly regex?: readonly string[]
  readonly ignoreCase?: boolean
  readonly in?: RecordPart
  readonly key?: string
  readonly header?: readonly string[]
  readonly where?: Readonly<Record<string, unknown>>
  readonly pattern?: unknown
  readonly invert?: boolean
}

/** Options of the range. */
export interface RangeOptions {
  readonly from?: RecordBound
  readonly to?: RecordBound
  readonly partition?: readonly number[]
  readonly isolation?: string
  readonly timeout?: number
  readonly limit?: number
}

/** How a bound is written. */
export const BOUND_HELP =
  '"beginning", "end", an offset, a time (ISO 8601 with its zone, or 1700000000000ms), or how long ago: 15m, 2h, 1d'

/** Adds conditions on records. */
export function withQueryOptions(command: Command): Command {
  return command
    .option('--contains <text>', 'text that must be in it; may be given again, all must be', collect)
    .option('--regex <pattern>', 'regular expression (RE2) that must match in it; may be given again', collect)
    .option('--ignore-case', 'upper and lower case are one, for --contains and --regex')
    .addOption(
      new Option(
        '--in <part>',
        'where --contains and --regex look: any (default), key, value, headers, header:<name>'
      ).argParser(parsePart)
    )
    .option('--key <text>', 'the whole key')
    .option('--header <name=text>', 'a header and its whole value; may be given again', collect)
    .option(
      '--where <field=condition>',
      'a field of the JSON value: vehicle.code=400, speed={"from":80}, type=["a",{"prefix":"b"}]; may be given again',
      collectFields
    )
    .option('--pattern <json>', 'an event pattern (as EventBridge’s) on the JSON value', parseJson)
    .option('--invert', 'the records that do not meet the conditions above')
}

/** Adds bounds and limits. */
export function withRangeOptions(command: Command): Command {
  return command
    .option('--from <where>', `first record: ${BOUND_HELP}`, readBound)
    .option('--to <where>', 'end, not itself read: the same', readBound)
    .option('--partition <number>', 'only this partition; may be given again', collectPartition)
    .addOption(
      new Option('--isolation <level>', 'whether records of open and aborted transactions are read')
        .choices(['read_committed', 'read_uncommitted'])
        .default('read_committed')
    )
    .option('--timeout <seconds>', 'end after so long', parseSeconds)
}

/** The query that the options say. `undefined` if they say none. */
export function queryOf(options: QueryOptions, bounds: { from?: RecordBound; to?: RecordBound } = {}): RecordQuery {
  const part = options.in ?? 'any'
  const isCaseIgnored = options.ignoreCase === true
  const text: TextCondition[] = [
    ...(options.contains ?? []).map(contains => ({ in: part, contains, isCaseIgnored })),
    ...(options.regex ?? []).map(regex => ({ in: part, regex, isCaseIgnored })),
    ...(options.key === undefined ? [] : [{ in: 'key' as const, equals: options.key }]),
    ...(options.header ?? []).map(given => {
      const at = given.indexOf('=')
      return { in: { header: given.slice(0, at) }, equals: given.slice(at + 1) }
    })
  ]
  return {
    text,
    ...(options.where === undefined ? {} : { fields: options.where }),
    ...(options.pattern === undefined ? {} : { pattern: options.pattern }),
    ...(options.invert === true ? { isInverted: true } : {}),
    ...(bounds.from?.at === 'time' ? { fromMs: bounds.from.timestampMs } : {}),
    ...(bounds.to?.at === 'time' ? { toMs: bounds.to.timestampMs } : {})
  }
}

/** Whether a query says anything. */
export function isQueryEmpty(query: RecordQuery): boolean {
  const { text = [], fields, pattern, fromMs, toMs } = query
  return text.length === 0 && [fields, pattern, fromMs, toMs].every(each => each === undefined)
}

const agoUnits: Readonly<Record<string, number>> = { s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** Reads a bound; commander prints the reason if it is none. */
export function readBound(text: string): RecordBound {
  if (text === 'beginning' || text === 'earliest') return { at: 'beginning' }
  if (text === 'end' || text === 'latest') return { at: 'end' }
  if (/^\d{1,19}$/.test(text)) return { at: 'offset', offset: BigInt(text) }
  const [, ago, unit] = /^(\d{1,9})(s|m|min|h|d)$/.exec(text) ?? []
  if (ago !== undefined && unit !== undefined) {
    return { at: 'time', timestampMs: systemClock.now() - Number(ago) * (agoUnits[unit] ?? 0) }
  }
  const [, epochMs] = /^(\d{1,15})ms$/.exec(text) ?? []
  if (epochMs !== undefined) return { at: 'time', timestampMs: Number(epochMs) }
  const timestampMs = isoTimeMs(text)
  if (timestampMs !== undefined) return { at: 'time', timestampMs }
  throw new InvalidArgumentError(`It is ${BOUND_HELP}.`)
}

/** Reads a count from 1 on. */
export function parseCount(text: string): number {
  const count = Number(text)
  if (/^\d{1,12}$/.test(text) && count > 0) return count
  throw new InvalidArgumentError('It is a whole number from 1 on.')
}

/** Reads seconds. */
export function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (/^\d{1,9}(\.\d+)?$/.test(text) && seconds > 0) return seconds
  throw new InvalidArgumentError('It is a number of seconds above 0.')
}

function parsePart(text: string): RecordPart {
  if (text === 'any' || text === 'key' || text === 'value' || text === 'headers') return text
  if (text.startsWith('header:') && text.length > 'header:'.length) return { header: text.slice('header:'.length) }
  throw new InvalidArgumentError('It is any, key, value, headers or header:<name>.')
}

function collectFields(
  text: string,
  before: Readonly<Record<string, unknown>> = {}
): Readonly<Record<string, unknown>> {
  const at = text.indexOf('=')
  if (at <= 0) throw new InvalidArgumentError('It is a field and what it may be: vehicle.code=400.')
  const given = text.slice(at + 1)
  // Lists and operators are JSON, everything else is the text itself.
  const condition = /^\s*[[{]/.test(given) ? parseJson(given) : given
  return { ...before, [text.slice(0, at)]: Array.isArray(condition) ? condition : [condition] }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new InvalidArgumentError('It is not JSON.')
  }
}
