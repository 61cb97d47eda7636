/**
 * Records as files: NDJSON for programs, CSV for spreadsheets.
 *
 * Whoever wrote a record did not write it for a spreadsheet or a terminal: a
 * cell that would be a formula begins with an apostrophe, and what is not seen
 * (control characters, marks that turn text) is written as an escape. Source: OWASP, CSV Injection.
 */

import { printableText } from '../../core/index.ts'
import type { ExportFormat, ShownBytes, ShownRecord } from '../api/records.ts'

/** Records as a text file. */
export function exportText(records: readonly ShownRecord[], format: ExportFormat): string {
  if (format === 'ndjson') return records.map(record => `${visibleJson(record)}\n`).join('')
  const head = ['topic', 'partition', 'offset', 'time', 'key', 'value', 'headers']
  return [head, ...records.map(cellsOf)].map(cells => `${cells.map(cellText).join(',')}\r\n`).join('')
}

// Control characters beyond those that JSON escapes itself, and what is not seen.
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** JSON in which nothing stands that is not seen; it says the same. */
function visibleJson(value: unknown): string {
  return JSON.stringify(value).replace(unseen, char =>
    Array.from(
      { length: char.length },
      (_, index) => `\\u${char.charCodeAt(index).toString(16).padStart(4, '0')}`
    ).join('')
  )
}

function cellsOf(record: ShownRecord): string[] {
  const { topic, partition, offset, timestampMs, key, value, headers } = record
  const named = headers.map(header => [header.key, header.value?.text ?? null])
  return [
    topic,
    String(partition),
    offset,
    timeText(timestampMs),
    bytesText(key),
    bytesText(value),
    named.length === 0 ? '' : JSON.stringify(named)
  ]
}

function timeText(timestampMs: number): string {
  const isDate = timestampMs >= 0 && timestampMs <= 8_640_000_000_000_000
  return isDate ? new Date(timestampMs).toISOString() : String(timestampMs)
}

function bytesText(bytes: ShownBytes | null): string {
  return bytes?.text ?? ''
}

/** A cell as RFC 4180 has it, and nothing that a spreadsheet would carry out. */
function cellText(text: string): string {
  const seen = printableText(text)
  const safe = /^[=+\-@\t\r|%]/.test(seen) && !/^-?\d{1,19}$/.test(seen) ? `'${seen}` : seen
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
