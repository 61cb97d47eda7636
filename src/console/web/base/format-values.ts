/** Numbers, durations and times as people read them: pure. What is not known is a dash, never 0. */

import type { Language } from './word-forms.ts'

/** Shown for what is not known. */
export const UNKNOWN = '–'

/** A number of things; text is an exact decimal, as offsets are. */
export function countText(value: number | string | null | undefined, language: Language): string {
  if (value === null || value === undefined) return UNKNOWN
  if (typeof value === 'string') return /^-?\d+$/.test(value) ? numbers(language, {}).format(BigInt(value)) : value
  if (!Number.isFinite(value)) return UNKNOWN
  return numbers(language, { maximumFractionDigits: Math.abs(value) < 10 ? 2 : 0 }).format(value)
}

/** A number of things in few characters: `1.2M`. */
export function compactText(value: number | string | null | undefined, language: Language): string {
  if (value === null || value === undefined) return UNKNOWN
  const number = Number(value)
  if (!Number.isFinite(number)) return UNKNOWN
  if (Math.abs(number) < 10_000) return countText(number, language)
  return numbers(language, { notation: 'compact', maximumSignificantDigits: 3 }).format(number)
}

/** Something per second: `1,204/s`. */
export function rateText(value: number | null | undefined, language: Language): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN
  const digits = Math.abs(value) < 10 ? 1 : 0
  const text = Math.abs(value) < 100_000 ? numbers(language, { maximumFractionDigits: digits }).format(value) : ''
  return `${text === '' ? compactText(value, language) : text}/s`
}

const durationUnits = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60]
] as const

/** A duration: `0.4s`, `3m 20s`, `2h 5m`: the two largest units. */
export function secondsText(value: number | null | undefined, language: Language): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN
  if (value < 0) return `−${secondsText(-value, language)}`
  if (value > 0 && value < 1) return unit(Math.ceil(value * 1_000), 'millisecond', language)
  if (value < 10) return unit(Math.round(value * 10) / 10, 'second', language)
  const whole = Math.round(value)
  const found = durationUnits.findIndex(([, size]) => whole >= size)
  const larger = durationUnits[found]
  if (larger === undefined) return unit(whole, 'second', language)
  const [name, size] = larger
  const [nextName, nextSize] = durationUnits[found + 1] ?? (['second', 1] as const)
  const rest = Math.floor((whole % size) / nextSize)
  const first = unit(Math.floor(whole / size), name, language)
  return rest === 0 ? first : `${first} ${unit(rest, nextName, language)}`
}

const byteUnits = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'] as const

/** A size, in powers of 1000: `1.2 MB`. */
export function bytesText(value: number | string | null | undefined, language: Language): string {
  if (value === null || value === undefined || !Number.isFinite(Number(value))) return UNKNOWN
  let size = Number(value)
  let step = 0
  while (Math.abs(size) >= 1_000 && step < byteUnits.length - 1) {
    size /= 1_000
    step++
  }
  const maximumFractionDigits = Math.abs(size) < 100 && step > 0 ? 1 : 0
  return numbers(language, {
    style: 'unit',
    unit: byteUnits[step] ?? 'byte',
    unitDisplay: step === 0 ? 'long' : 'short',
    maximumFractionDigits
  }).format(size)
}

/** A share: `12.5%`. */
export function percentText(value: number | null | undefined, language: Language): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN
  return numbers(language, { style: 'percent', maximumFractionDigits: Math.abs(value) < 0.1 ? 1 : 0 }).format(value)
}

/** Money, in US dollars. */
export function moneyText(value: number | null | undefined, language: Language): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN
  const digits = Math.abs(value) < 1 ? 4 : 2
  const options = {
    style: 'currency',
    currency: 'USD',
    minimumFractionDigits: 2,
    maximumFractionDigits: digits
  } as const
  return numbers(language, options).format(value)
}

/** A time of day; with its date if that is not the day of `nowMs`. In the reader's time zone. */
export function timeText(atMs: number | null | undefined, nowMs: number, language: Language): string {
  if (atMs === null || atMs === undefined || !Number.isFinite(atMs)) return UNKNOWN
  const at = new Date(atMs)
  const isToday = at.toDateString() === new Date(nowMs).toDateString()
  return times(language, isToday ? { timeStyle: 'medium' } : { dateStyle: 'medium', timeStyle: 'medium' }).format(at)
}

/** How long ago: `3s ago`; what lies ahead, by clocks that differ, is now. */
export function agoText(atMs: number | null | undefined, nowMs: number, language: Language): string {
  if (atMs === null || atMs === undefined || !Number.isFinite(atMs)) return UNKNOWN
  const seconds = Math.max(0, Math.round((nowMs - atMs) / 1_000))
  const [name, size] = durationUnits.find(([, length]) => seconds >= length) ?? (['second', 1] as const)
  return relative(language).format(-Math.floor(seconds / size), name)
}

function unit(value: number, name: string, language: Language): string {
  const options = { style: 'unit', unit: name, unitDisplay: 'narrow', maximumFractionDigits: 1 } as const
  return numbers(language, options).format(value)
}

const numberFormats = new Map<string, Intl.NumberFormat>()
const timeFormats = new Map<string, Intl.DateTimeFormat>()
const relativeFormats = new Map<string, Intl.RelativeTimeFormat>()

function numbers(language: Language, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  return kept(numberFormats, `${language}${JSON.stringify(options)}`, () => new Intl.NumberFormat(language, options))
}

function times(language: Language, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  return kept(timeFormats, `${language}${JSON.stringify(options)}`, () => new Intl.DateTimeFormat(language, options))
}

function relative(language: Language): Intl.RelativeTimeFormat {
  const options = { numeric: 'auto', style: 'narrow' } as const
  return kept(relativeFormats, language, () => new Intl.RelativeTimeFormat(language, options))
}

/** Formats are dear to make and few. */
function kept<F>(formats: Map<string, F>, key: string, make: () => F): F {
  const known = formats.get(key) ?? make()
  formats.set(key, known)
  return known
}
