/** A table as comma separated values (RFC 4180): pure. */

/** A cell: numbers stay numbers, what is not known is empty. */
export type CsvCell = string | number | boolean | null | undefined

/**
 * Lines with a head. Text that a spreadsheet would run as a formula is given an apostrophe in front, because names of
 * groups and topics are not ours. Source: OWASP, CSV injection.
 */
export function csvText(head: readonly string[], rows: readonly (readonly CsvCell[])[]): string {
  return [head, ...rows].map(row => `${row.map(cellText).join(',')}\r\n`).join('')
}

function cellText(cell: CsvCell): string {
  if (cell === null || cell === undefined) return ''
  if (typeof cell !== 'string') return String(cell)
  // Offsets are decimal text, with a sign of their own.
  if (/^-?\d+$/.test(cell)) return cell
  const safe = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
