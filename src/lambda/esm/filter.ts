/**
 * Filter criteria of a mapping: which records the function gets. What is filtered out counts as done.
 *
 * A pattern speaks of `value` only. Its form is JSON (`{"value":{"code":[400]}}`) or plain text
 * (`{"value":[{"prefix":"ERR"}]}`), and so is the form of each record. Where the two differ, or the value is not UTF-8,
 * AWS leaves the value out of the comparison: the record passes. That surprises people, and it is what AWS documents.
 *
 * AWS does not say what a JSON value is that is neither an object nor a list: here `42` and `"text"` are plain text.
 * Nor does it say what happens to a record without value: here its field is missing (`{"exists":false}` matches).
 *
 * Source: Lambda developer guide, "Filtering events from Amazon MSK and self-managed Apache Kafka event sources" and
 * "Properly filtering … messages", table of formats.
 */

import { isUtf8 } from 'node:buffer'

import { compileEventPattern, type EventPattern } from '../../core/index.ts'

/** Tells whether the function is to get a record with this value. */
export type RecordFilter = (value: Buffer | null) => boolean

interface Pattern {
  readonly format: 'json' | 'text'
  readonly matches: EventPattern
}

/** Compiles patterns that `mappingProblems` found sound; a record passes if one matches. Without any all pass. */
export function compileFilters(filters: readonly unknown[]): RecordFilter | undefined {
  if (filters.length === 0) return undefined
  const patterns = filters.map(compile)
  return value => {
    if (value === null) return patterns.some(({ matches }) => matches({}))
    const content = contentOf(value)
    return patterns.some(({ format, matches }) => content?.format !== format || matches({ value: content.value }))
  }
}

function compile(pattern: unknown): Pattern {
  // Whoever compiles has had it checked: an object with the field `value`.
  const { value } = pattern as { readonly value: unknown }
  const format = Array.isArray(value) ? 'text' : 'json'
  return { format, matches: compileEventPattern(pattern, () => undefined) }
}

/** A value and its form; `undefined` if it is not UTF-8. */
function contentOf(bytes: Buffer): { readonly format: 'json' | 'text'; readonly value: unknown } | undefined {
  if (!isUtf8(bytes)) return undefined
  const text = bytes.toString('utf8')
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return { format: 'json', value }
  } catch {
    // Not JSON: plain text, as the table of formats has it.
  }
  return { format: 'text', value: text }
}
