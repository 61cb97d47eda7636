/** Numbers, durations and times in the reader's language; components that show them follow it. */

import { signal } from '@preact/signals'

import {
  agoText,
  bytesText,
  compactText,
  countText,
  moneyText,
  percentText,
  rateText,
  secondsText,
  timeText
} from './format-values.ts'
import { serverNow } from './server-time.ts'
import { language } from './words.ts'

/** The time, each second while the page is seen. */
export const now = signal(serverNow())

/** Starts the clock of `now`. */
export function watchTime(): void {
  setInterval(() => {
    if (!document.hidden) now.value = serverNow()
  }, 1_000)
}

/** A number of things; decimal text stays exact. */
export function count(value: number | string | null | undefined): string {
  return countText(value, language.value)
}

/** A number of things in few characters. */
export function compact(value: number | string | null | undefined): string {
  return compactText(value, language.value)
}

/** Something per second. */
export function rate(value: number | null | undefined): string {
  return rateText(value, language.value)
}

/** A duration in seconds. */
export function seconds(value: number | null | undefined): string {
  return secondsText(value, language.value)
}

/** A size in bytes. */
export function bytes(value: number | string | null | undefined): string {
  return bytesText(value, language.value)
}

/** A share of 1. */
export function percent(value: number | null | undefined): string {
  return percentText(value, language.value)
}

/** US dollars. */
export function money(value: number | null | undefined): string {
  return moneyText(value, language.value)
}

/** A time of day, with its date if it is not today's. */
export function time(atMs: number | null | undefined): string {
  return timeText(atMs, now.peek(), language.value)
}

/** How long ago; follows the clock. */
export function ago(atMs: number | null | undefined): string {
  return agoText(atMs, now.value, language.value)
}
