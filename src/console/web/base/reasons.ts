/** Reasons and facts that come from the server as keys and values, in the reader's language and with units. */

import type { Fact, Reason } from '../../api/overview.ts'
import { bytes, count, percent, rate, seconds } from './format.ts'
import { UNKNOWN } from './format-values.ts'
import { isWordKey, say } from './words.ts'

/** How a value is read: by the end of its name. */
const readings: readonly (readonly [RegExp, (value: number) => string])[] = [
  [/seconds$/i, seconds],
  [/ms$/i, value => seconds(value / 1_000)],
  [/bytes$/i, bytes],
  [/rate$/i, rate],
  [/ratio$|^share$|utilisation$/i, percent]
]

function read(name: string, value: number | string): string {
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
  if (typeof number === 'string') return number
  const reading = readings.find(([form]) => form.test(name))
  return reading === undefined ? count(value) : reading[1](number)
}

/** Why something is not well, one sentence. */
export function reasonText({ key, values }: Reason): string {
  const texts = Object.entries(values).map(([name, value]) => [name, read(name, value)])
  const word = isWordKey(key) ? key : `reason.${key}`
  return say(word, { ...Object.fromEntries(texts), count: Number(values['partitions'] ?? values['count'] ?? 0) })
}

/** A number with its name; what is not known is a dash. */
export function factText({ key, value }: Fact): string {
  const word = isWordKey(key) ? key : `fact.${key}`
  const text = value === null ? UNKNOWN : read(key, value)
  return say(word, { value: text, count: Number(value ?? 0) })
}
