/** Tables and JSON: the two forms in which operations print. */

import { printableText } from '../../core/index.ts'

/** One column. */
export interface Column<Row> {
  readonly title: string
  readonly text: (row: Row) => string
  /** Numbers stand right. Default `left`. */
  readonly align?: 'left' | 'right'
}

/**
 * Rows under their titles, columns two spaces apart, a line each; ends with a line break. Names come from anybody: what
 * a terminal would obey is escaped.
 */
export function tableOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map(row => columns.map(column => printableText(column.text(row))))
  const widths = columns.map(({ title }, index) =>
    cells.reduce((width, row) => Math.max(width, row[index]?.length ?? 0), title.length)
  )
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, index) => {
        const width = widths[index] ?? 0
        return columns[index]?.align === 'right' ? text.padStart(width) : text.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return [columns.map(({ title }) => title), ...cells].map(texts => `${line(texts)}\n`).join('')
}

/** A value as JSON on one line; 64-bit numbers as decimal text, maps as objects. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value, (_name, part: unknown) => plain(part))}\n`
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  return value instanceof Map ? Object.fromEntries(value) : value
}
