/** Times on a command line: ISO 8601 with a zone, of days that exist. `Date.parse` alone takes `5-01:00` for one. */

const isoTime = /^(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)$/

/** Milliseconds since 1970; `undefined` if it is none. Without a zone a time means another hour on each machine. */
export function isoTimeMs(text: string): number | undefined {
  const [, year, month, day] = (isoTime.exec(text) ?? []).map(Number)
  if (year === undefined || month === undefined || day === undefined) return undefined
  // Day 0 of the next month is the last of this one; without this the 30th of February would be a day of March.
  if (day > new Date(Date.UTC(year, month, 0)).getUTCDate()) return undefined
  const ms = Date.parse(text)
  return Number.isFinite(ms) ? ms : undefined
}
