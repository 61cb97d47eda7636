/**
 * Filters: which records are sent at all.
 *
 * A record passes if one of the filters matches; in a filter everything that is
 * named must match. What cannot be judged passes: a value that is not JSON where
 * fields are asked for belongs into the dead letter topic, with its reason, and
 * not into oblivion. Keys and headers are compared before any value is parsed.
 */

import type { RecordFilterConfig } from '../config/index.ts'
import { compileEventPattern, type EventPattern } from '../core/index.ts'
import { HeaderCursor, type RecordTable } from './record-table.ts'

interface CompiledFilter {
  readonly key: EventPattern | undefined
  readonly headers: readonly (readonly [name: string, pattern: EventPattern])[]
  /** On the text of the value. */
  readonly text: EventPattern | undefined
  /** On the fields of the value. */
  readonly fields: EventPattern | undefined
}

/** The value of a row as far as it was needed. */
interface ParsedValue {
  isParsed: boolean
  isJson: boolean
  value: unknown
}

/** Judges records. Holds nothing between calls but a cursor. */
export class RecordFilter {
  readonly #filters: readonly CompiledFilter[]
  readonly #cursor = new HeaderCursor()

  /** @param filters - At least one; checked already by the configuration. */
  constructor(filters: readonly RecordFilterConfig[]) {
    this.#filters = filters.map(compile)
  }

  /** Whether a row is to be sent. */
  passes(table: RecordTable, row: number): boolean {
    const parsed: ParsedValue = { isParsed: false, isJson: false, value: undefined }
    return this.#filters.some(filter => this.#matches(filter, { table, row, parsed }))
  }

  #matches(filter: CompiledFilter, record: { table: RecordTable; row: number; parsed: ParsedValue }): boolean {
    const { table, row, parsed } = record
    if (filter.key !== undefined && !filter.key(textOf(table.key(row)))) return false
    for (const [name, pattern] of filter.headers) if (!this.#hasHeader(table, row, { name, pattern })) return false
    if (filter.text !== undefined && !filter.text(textOf(table.value(row)))) return false
    if (filter.fields === undefined) return true
    if (!parsed.isParsed) parse(table.value(row), parsed)
    return !parsed.isJson || filter.fields(parsed.value)
  }

  #hasHeader(table: RecordTable, row: number, wanted: { name: string; pattern: EventPattern }): boolean {
    const cursor = this.#cursor
    table.openHeaders(row, cursor)
    let isFound = false
    while (cursor.next()) {
      if (cursor.buffer.toString('utf8', cursor.keyStart, cursor.keyEnd) !== wanted.name) continue
      isFound = true
      const value = cursor.valueStart < 0 ? null : cursor.buffer.toString('utf8', cursor.valueStart, cursor.valueEnd)
      if (wanted.pattern(value)) return true
    }
    return !isFound && wanted.pattern(undefined)
  }
}

function compile({ key, headers, value }: RecordFilterConfig): CompiledFilter {
  const compiled = (pattern: unknown): EventPattern => compileEventPattern(pattern, () => undefined)
  const isText = Array.isArray(value)
  return {
    key: key === undefined ? undefined : compiled(key),
    headers: Object.entries(headers ?? {}).map(([name, pattern]) => [name, compiled(pattern)]),
    text: isText ? compiled(value) : undefined,
    fields: value === undefined || isText ? undefined : compiled(value)
  }
}

function textOf(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString('utf8')
}

function parse(bytes: Buffer | null, parsed: ParsedValue): void {
  parsed.isParsed = true
  try {
    parsed.value = bytes === null ? null : JSON.parse(bytes.toString('utf8'))
    parsed.isJson = true
  } catch {
    parsed.isJson = false
  }
}
