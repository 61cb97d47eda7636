/** When a pipeline counts as steady, and when a run must be given up. Pure. */

import { type AbortConditions } from './experiment.ts'
import { type ChaosSample, lagOf, lostUnread, type SteadyState, steadyOf } from './observation.ts'

/** The bounds of the steady state, which is the same for every experiment. */
export const STEADY = {
  /** Deliveries per event of the load, as a share of what was asked for. */
  throughputRatioMin: 0.8,
  /** Lag as seconds of the load: a batch that waits for its age, and a look between two commits. */
  lagSecondsMax: 2
} as const

/** The steady state in words. */
export const STEADY_TEXT =
  `at least ${STEADY.throughputRatioMin * 100} % of the load is delivered, lag stays under ` +
  `${STEADY.lagSecondsMax} s of it, every partition has a dispatcher, no part has ended`

/** Why these samples are not steady; `undefined` if they are. */
export function unsteadyReason(samples: readonly ChaosSample[], ratePerSecond: number): string | undefined {
  const last = samples.at(-1)
  const state = steadyOf(samples)
  if (last === undefined || state === undefined) return 'nothing was seen yet'
  if (samples.some(sample => sample.offsets === undefined)) return 'Kafka does not answer'
  if (last.assigned !== last.partitionCount) {
    return `${last.assigned} of ${last.partitionCount} partitions have a dispatcher`
  }
  const lagMax = STEADY.lagSecondsMax * ratePerSecond
  if (state.lagMax > lagMax) return `lag ${state.lagMax}, which is above ${lagMax}`
  return slowReason(state, ratePerSecond)
}

function slowReason({ deliveredPerSecond }: SteadyState, ratePerSecond: number): string | undefined {
  const least = STEADY.throughputRatioMin * ratePerSecond
  if (deliveredPerSecond >= least) return undefined
  return `${Math.round(deliveredPerSecond)} deliveries/s, which is below ${Math.round(least)}`
}

/** Why a run must be given up now; `undefined` if it need not. */
export function abortReason(
  sample: ChaosSample,
  conditions: AbortConditions,
  ratePerSecond: number
): string | undefined {
  const { lagSecondsMax, strayDeadLettersMax, mayEnd = [] } = conditions
  const lag = lagOf(sample) ?? 0
  if (lag > lagSecondsMax * ratePerSecond) {
    return `lag ${lag} is more than ${lagSecondsMax} s of the load`
  }
  const lost = lostUnread(sample)
  if (lost > 0) return `loss: ${lost} records were deleted before they were read`
  if (sample.strayDeadLetters > strayDeadLettersMax) {
    return `${sample.strayDeadLetters} records in the dead letter topic that should not be there`
  }
  const unforeseen = sample.ended.find(text => !mayEnd.some(name => text.startsWith(name)))
  return unforeseen === undefined ? undefined : `a part has ended by itself: ${unforeseen}`
}

/** The conditions in words. */
export function describeAbort({ lagSecondsMax, strayDeadLettersMax, mayEnd = [] }: AbortConditions): string {
  const may = mayEnd.length === 0 ? '' : ` (but ${mayEnd.join(', ')})`
  const stray = strayDeadLettersMax === 0 ? 'any sound record' : `more than ${strayDeadLettersMax} sound records`
  const others = `unread records deleted; ${stray} dead lettered; a part ends by itself${may}`
  return `lag above ${lagSecondsMax} s of the load; ${others}`
}
