/** Times of a simulation: seconds, durations, times of the day. */

import { z } from 'zod'

const unitS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, min: 60, h: 3600, d: 86_400 }
const durationPattern = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)$/
const clockPattern = /^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/

/** A time: `90`, `8m` or `10:13`. */
export const simulationTime = z
  .union([
    z.number().min(0).max(1e10),
    z.string().refine(text => durationPattern.test(text) || clockPattern.test(text), {
      error: 'not a time: seconds as a number, a duration such as 90s, 8m, 2h or 1d, or a time of the day such as 10:13'
    })
  ])
  .describe('Seconds, a duration (`8m`), or a time of the day (`10:13`) where `startsAt` is given.')

/** A time as read. */
export type SimulationTime = z.infer<typeof simulationTime>

/** Whether it is a time of the day. */
export function isClockTime(time: SimulationTime): boolean {
  return typeof time === 'string' && clockPattern.test(time)
}

/**
 * A time in seconds from the start.
 *
 * @param startsAt - Time of the day at the start; a time of the day before it is meant for the next day.
 */
export function simulationSeconds(time: SimulationTime, startsAt?: string): number {
  if (typeof time === 'number') return time
  const duration = durationPattern.exec(time)
  if (duration !== null) return Number(duration[1]) * (unitS[duration[2] ?? 's'] ?? 1)
  const fromMidnight = clockSeconds(time) - (startsAt === undefined ? 0 : clockSeconds(startsAt))
  return fromMidnight < 0 ? fromMidnight + 86_400 : fromMidnight
}

/** Seconds since midnight. */
function clockSeconds(text: string): number {
  const parts = clockPattern.exec(text)
  return Number(parts?.[1] ?? 0) * 3600 + Number(parts?.[2] ?? 0) * 60 + Number(parts?.[3] ?? 0)
}
