/**
 * What a scaler remembers, as it stands in a file and in time: a file that is damaged anywhere is said, not used, and
 * times that lie ahead, because a clock was set back, are now at the latest.
 */

import { readState } from '../fleet/json-state.ts'
import { EMPTY_SCALE_STATE, type ScalePolicy, type ScaleState } from './scale-types.ts'

/**
 * What a scaler remembered.
 *
 * @throws PipelineError `ERR_OPS_SCALE_STATE` if the file cannot be read, or is damaged.
 */
export async function readScaleState(path: string): Promise<ScaleState> {
  return (await readState(path, isScaleState)) ?? EMPTY_SCALE_STATE
}

/** Without times after now. */
export function notAhead(state: ScaleState, policy: ScalePolicy, nowMs: number): ScaleState {
  const { lastStep, ceiling, unsettledSinceMs, settledSinceMs, incompleteSinceMs, sickSinceMs } = state
  const since = { unsettledSinceMs, settledSinceMs, incompleteSinceMs, sickSinceMs }
  const ahead = Object.entries(since).filter(([, atMs]) => atMs !== undefined && atMs > nowMs)
  const untilMs = Math.min(ceiling?.untilMs ?? 0, nowMs + policy.ceilingSeconds * 1000)
  return {
    ...state,
    ...Object.fromEntries(ahead.map(([name]) => [name, nowMs])),
    ...(lastStep === undefined ? {} : { lastStep: { ...lastStep, atMs: Math.min(lastStep.atMs, nowMs) } }),
    ...(ceiling === undefined ? {} : { ceiling: { ...ceiling, untilMs } }),
    rebalancesMs: state.rebalancesMs.filter(atMs => atMs <= nowMs),
    wants: state.wants.filter(({ atMs }) => atMs <= nowMs)
  }
}

type Check = (value: unknown) => boolean

const isNumber: Check = value => typeof value === 'number' && Number.isFinite(value) && value >= 0
const isCount: Check = value => Number.isSafeInteger(value) && isNumber(value)
const isText: Check = value => typeof value === 'string'
const isFlag: Check = value => typeof value === 'boolean'
const isOffset: Check = value => typeof value === 'string' && /^-?\d{1,19}$/.test(value)

function optional(check: Check): Check {
  return value => value === undefined || check(value)
}

function list(check: Check): Check {
  return value => Array.isArray(value) && value.every(check)
}

function object(checks: Readonly<Record<string, Check>>): Check {
  return value => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    const fields = new Map(Object.entries(value))
    return Object.entries(checks).every(([name, check]) => check(fields.get(name)))
  }
}

const sinceNames = ['unsettledSinceMs', 'settledSinceMs', 'incompleteSinceMs', 'sickSinceMs']
const numberNames = ['ratePerInstance', 'usualLatencyMs', 'rebalanceSeconds', ...sinceNames]

const isWhole = object({
  version: value => value === 1,
  ...Object.fromEntries(numberNames.map(name => [name, optional(isNumber)])),
  isRateLowerBound: optional(isFlag),
  rebalancesMs: list(isNumber),
  members: optional(list(isText)),
  lastWanted: optional(isCount),
  lastStep: optional(
    object({ atMs: isNumber, from: isCount, to: isCount, by: isText, throughput: optional(isNumber), verdict: isText })
  ),
  ceiling: optional(object({ instances: isCount, untilMs: isNumber, reason: isText })),
  wants: list(object({ atMs: isNumber, instances: isNumber })),
  kedaOffsets: optional(value => object({})(value) && Object.values(Object(value) as object).every(isOffset))
})

function isScaleState(value: unknown): value is ScaleState {
  return isWhole(value)
}
