/** Times and durations as people and Kafka's tool write them. Pure. */

const dateTime = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?$/
// Java's Duration: days, hours, minutes, seconds with a fraction; each may have a sign of its own.
const isoDuration =
  /^([+-])?P(?:([+-]?\d{1,9})D)?(T(?:([+-]?\d{1,9})H)?(?:([+-]?\d{1,9})M)?(?:([+-]?\d{1,9})(?:[.,](\d{0,9}))?S)?)?$/i
const plainDuration = /^(\d{1,12}(?:\.\d{1,3})?)(ms|s|m|min|h|d)$/
const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** A time or duration that was read, or why it was not. */
export type Read = { readonly kind: 'ms'; readonly ms: number } | { readonly kind: 'invalid'; readonly reason: string }

/**
 * Reads a time: `2026-03-01T09:00:00.000Z`, or milliseconds since 1970.
 *
 * @param isUtc - Whether a time without a zone is one of UTC, which Kafka's tool always assumes. Without it such a
 *   time is refused: it would mean another hour on each machine.
 */
export function readTime(text: string, { isUtc = false }: { readonly isUtc?: boolean } = {}): Read {
  if (/^\d{9,15}$/.test(text)) return { kind: 'ms', ms: Number(text) }
  const [, year, month, day, hour, minute, second = '0', fraction = '', zone] = dateTime.exec(text) ?? []
  if (year === undefined) return invalid(`"${text}" is no time like 2026-03-01T09:00:00.000Z`)
  if (zone === undefined && !isUtc) {
    return invalid(`"${text}" has no zone: add Z or one like +02:00, or say --utc`)
  }
  const fields = [year, month, day, hour, minute, second].map(Number)
  const [y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0] = fields
  // Date.UTC counts on: the 30th of February would become a day of March.
  const ms = Date.UTC(y, mo - 1, d, h, mi, s, Number(fraction.padEnd(3, '0').slice(0, 3)))
  const back = new Date(ms).toISOString()
  const isReal = back.startsWith(`${year}-${month}-${day}T${hour}:${minute}:${second.padStart(2, '0')}`)
  if (!isReal) return invalid(`"${text}" names a day or an hour that does not exist`)
  return { kind: 'ms', ms: ms - zoneMs(zone) }
}

function zoneMs(zone: string | undefined): number {
  const [, sign, hours = '0', minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone ?? '') ?? []
  if (sign === undefined) return 0
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000
}

/** Reads a duration: ISO 8601 as Java reads it (`P1DT2H30M`, `PT0.5S`), or a number and its unit (`90s`, `2h`). */
export function readDuration(text: string): Read {
  const [, amount, unit = ''] = plainDuration.exec(text) ?? []
  if (amount !== undefined) return { kind: 'ms', ms: Math.round(Number(amount) * (units[unit] ?? 0)) }
  const match = isoDuration.exec(text)
  const [, sign, days, time, hours, minutes, seconds, fraction] = match ?? []
  const isEmpty = [days, hours, minutes, seconds].every(part => part === undefined)
  if (match === null || isEmpty || time?.toUpperCase() === 'T') {
    return invalid(`"${text}" is no duration like PT1H30M, P1D, 90s or 2h`)
  }
  const partMs = Number((fraction ?? '').padEnd(3, '0').slice(0, 3)) * (seconds?.startsWith('-') === true ? -1 : 1)
  const all =
    Number(days ?? 0) * 86_400_000 +
    Number(hours ?? 0) * 3_600_000 +
    Number(minutes ?? 0) * 60_000 +
    Number(seconds ?? 0) * 1000 +
    partMs
  const ms = sign === '-' ? -all : all
  return Number.isSafeInteger(ms) ? { kind: 'ms', ms } : invalid(`"${text}" is longer than time is counted`)
}

function invalid(reason: string): Read {
  return { kind: 'invalid', reason }
}
