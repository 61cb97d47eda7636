/**
 * What the size of a batch costs and what it buys.
 *
 * A batch is one partition's and is closed by count or by age, whichever comes
 * first: a rate spread over many partitions never fills large batches. A larger
 * batch pays the function's fixed time and its request less often, and makes
 * records wait longer. The recommendation is the smallest batch whose cost is
 * within a few percent of the cheapest that the limits allow.
 */

import { type PriceList, tieredPrice } from './prices.ts'
import type { CostWorkload } from './workload-types.ts'

/** What invocations amount to in a month. */
export interface Invocations {
  readonly invocations: number
  readonly gbSeconds: number
  readonly requestsUsd: number
  readonly durationUsd: number
}

/** A batch size and what it means. */
export interface BatchOption extends Invocations {
  /** `recordsMax` of the option. */
  readonly recordsMax: number
  /** Records in a batch on average, at the average rate. */
  readonly records: number
  /** US dollars a month. */
  readonly monthly: number
  /** US dollars for a million records. */
  readonly perMillion: number
  /** How long the first record of a batch waits for it to be closed, in milliseconds. */
  readonly waitMs: number
  /** Time of an invocation, in milliseconds. */
  readonly durationMs: number
  /** Invocations at once at the peak: Little's law. */
  readonly concurrency: number
}

/** A recommendation. */
export interface BatchAdvice {
  readonly best: BatchOption
  readonly options: readonly BatchOption[]
  /** In one sentence. */
  readonly reason: string
}

const secondsPerMonth = 730 * 3600
/** Lambda's limit of a synchronous payload. Source: Lambda quotas. */
const payloadBytesMax = 6_291_456
const sizes = [1, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]
/** How much dearer than the cheapest a smaller batch may be. */
const tolerance = 1.05

/** Records in a batch at the average rate: full, or as many as come to one partition within the age. */
export function effectiveBatch(
  workload: CostWorkload,
  recordsMax = workload.function.recordsMax
): {
  readonly records: number
  readonly isByAge: boolean
} {
  const perPartition = workload.recordsPerSecond / Math.max(1, workload.partitions)
  const byAge = Math.max(1, (perPartition * workload.function.ageMs) / 1000)
  return byAge < recordsMax ? { records: byAge, isByAge: true } : { records: recordsMax, isByAge: false }
}

/** Invocations, seconds and dollars of a month with batches of so many records. */
export function functionCost(workload: CostWorkload, records: number, prices: PriceList): Invocations {
  const { memoryMb, architecture, retryRatio } = workload.function
  const invocations = ((workload.recordsPerSecond * secondsPerMonth) / records) * (1 + retryRatio)
  // Billed by the millisecond, rounded up.
  const seconds = Math.ceil(durationMs(workload, records)) / 1000
  const gbSeconds = invocations * seconds * (memoryMb / 1024)
  return {
    invocations,
    gbSeconds,
    requestsUsd: (invocations / 1e6) * prices.lambda.requestsMillion,
    durationUsd: tieredPrice(prices.lambda.gbSecond[architecture], gbSeconds)
  }
}

function durationMs({ function: { baseMs, perRecordMs } }: CostWorkload, records: number): number {
  return baseMs + perRecordMs * records
}

/** Prices a batch size. */
export function batchOption(workload: CostWorkload, recordsMax: number, prices: PriceList): BatchOption {
  const { records } = effectiveBatch(workload, recordsMax)
  const cost = functionCost(workload, records, prices)
  const monthly = cost.requestsUsd + cost.durationUsd
  const perPartition = workload.recordsPerSecond / Math.max(1, workload.partitions)
  const time = durationMs(workload, records)
  const recordsMonthly = workload.recordsPerSecond * secondsPerMonth
  return {
    ...cost,
    recordsMax,
    records,
    monthly,
    perMillion: recordsMonthly === 0 ? 0 : (monthly / recordsMonthly) * 1e6,
    waitMs: Math.min(workload.function.ageMs, perPartition === 0 ? 0 : ((records - 1) / perPartition) * 1000),
    durationMs: time,
    concurrency: ((workload.recordsPerSecond * workload.peakFactor) / records) * (time / 1000)
  }
}

/**
 * Recommends `batch.recordsMax`.
 *
 * @param limits - `waitMaxMs`: longest that a record may wait for its batch and its invocation together.
 */
export function adviseBatch(
  workload: CostWorkload,
  prices: PriceList,
  limits: { readonly waitMaxMs: number; readonly timeoutMs: number }
): BatchAdvice {
  const asked = [...new Set([...sizes, workload.function.recordsMax])].sort((left, right) => left - right)
  const all = asked.map(recordsMax => batchOption(workload, recordsMax, prices))
  // Batches above the first that is closed by its age are never larger than that one.
  const byAge = all.findIndex(
    ({ recordsMax, records }) => records < recordsMax && recordsMax !== workload.function.recordsMax
  )
  const options =
    byAge < 0 ? all : all.filter((each, index) => index <= byAge || each.recordsMax === workload.function.recordsMax)
  const allowed = options.filter(
    ({ records, waitMs, durationMs: time }) =>
      records * workload.recordBytes <= payloadBytesMax && time <= limits.timeoutMs && waitMs + time <= limits.waitMaxMs
  )
  const [smallest] = options
  if (smallest === undefined) throw new RangeError('no batch sizes to choose from')
  const cheapest = allowed.reduce<number>((least, { monthly }) => Math.min(least, monthly), Number.POSITIVE_INFINITY)
  const best = allowed.find(({ monthly }) => monthly <= cheapest * tolerance)
  if (best === undefined) {
    const reason = `no batch keeps to ${limits.waitMaxMs} ms of waiting and a timeout of ${limits.timeoutMs} ms`
    return { best: smallest, options, reason: `${reason}: even one record takes ${Math.ceil(smallest.durationMs)} ms` }
  }
  return { best, options, reason: reasonFor(best, batchOption(workload, workload.function.recordsMax, prices)) }
}

function reasonFor(best: BatchOption, now: BatchOption): string {
  const size = (option: BatchOption): string => option.recordsMax.toLocaleString('en-US')
  const wait = `a record waits up to ${Math.round(best.waitMs)} ms for its batch`
  if (best.recordsMax === now.recordsMax) {
    return `batches of ${size(best)} are right: larger ones save less than 5 % of the function; ${wait}`
  }
  if (best.recordsMax > now.recordsMax) {
    const saved = (now.monthly - best.monthly).toFixed(2)
    return `batches of ${size(best)} cost ${saved} USD a month less than batches of ${size(now)}; ${wait}`
  }
  return `batches of ${size(best)} cost as much as batches of ${size(now)} within 5 %, or keep to a limit; ${wait}`
}
