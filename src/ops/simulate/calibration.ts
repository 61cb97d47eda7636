/**
 * What a run has measured, as the settings of a simulation: the time of an
 * invocation (base and per record), what a batch costs beside it, the CPU of a
 * batch and of a record, the pause of a rebalance.
 *
 * Times of invocations are fitted by Theil and Sen's method (the median of the
 * slopes between pairs), so that a few slow ones do not tilt the line; the line
 * is then moved so that its mean is that of the samples, because throughput is a
 * matter of the mean. CPU is fitted by the sums of windows with small and with
 * large batches, neither part below zero.
 *
 * Limits: where all batches have the same size, base and per record cannot be
 * told apart, and all is base: `isSizeVaried` says so. The CPU is that of the
 * process that was measured, with all that ran in it.
 */

import { z } from 'zod'

import { messageOf, PipelineError } from '../../core/index.ts'
import type { ScenarioSettings } from './what-if.ts'

const sample = z.object({
  /** Instance of the batch. Default 0. */
  instance: z.number().int().nonnegative().default(0),
  /** Partition, any text. */
  partition: z.union([z.string(), z.number()]),
  records: z.number().int().positive(),
  /** Begin and end of the invocation, in milliseconds on one clock. */
  startMs: z.number(),
  endMs: z.number()
})

const cpuWindow = z.object({
  cpuMs: z.number().nonnegative(),
  /** Length of the window. Given, only windows that were busy for most of it count: others say nothing of a ceiling. */
  windowMs: z.number().positive().optional(),
  records: z.number().nonnegative(),
  batches: z.number().nonnegative()
})

const measuredRun = z.object({
  kind: z.literal('comporta-run'),
  version: z.literal(1),
  /** Most batches of an instance at once, in that run. */
  concurrency: z.number().int().positive(),
  batches: z.array(sample).min(10).max(1_000_000),
  cpu: z.array(cpuWindow).max(1_000_000).default([]),
  rebalanceMs: z.array(z.number().nonnegative()).default([])
})

/** What a run writes: invocations, CPU windows, pauses of rebalances. */
export type MeasuredRun = z.input<typeof measuredRun>

/** What was fitted. */
export interface Calibration {
  readonly sampleCount: number
  readonly baseMs: number
  readonly perRecordUs: number
  /** Deviation of the times from the line, as a share of their mean. */
  readonly spreadRatio: number
  /** Median time of a partition with work between two invocations, while a slot was free, in milliseconds. */
  readonly overheadMs: number
  readonly cpuPerBatchMs: number
  readonly cpuPerRecordUs: number
  /** Median pause; `undefined` if none was measured. */
  readonly rebalanceMs: number | undefined
  /** Whether batches had different sizes, so that base and per record are told apart. */
  readonly isSizeVaried: boolean
}

/** Pairs of samples that are looked at: of a large run, a part that is the same each time. */
const PAIRS_MAX = 20_000
/** Share of a window from which on its instance was at its ceiling. */
const BUSY_RATIO = 0.8
/** A gap this long, in milliseconds, is a partition without work. */
const GAP_MAX_MS = 500

/**
 * Checks the JSON that a run has written.
 *
 * @throws PipelineError `ERR_OPS_MEASUREMENT_INVALID`.
 */
export function readMeasuredRun(text: string, name: string): MeasuredRun {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new PipelineError('ERR_OPS_MEASUREMENT_INVALID', `${name} is not JSON: ${messageOf(error)}`, { cause: error })
  }
  const result = measuredRun.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const place = issue?.path.map(String).join('.') ?? ''
  throw new PipelineError('ERR_OPS_MEASUREMENT_INVALID', `${name}: ${place}: ${issue?.message ?? 'not a measured run'}`)
}

/** Fits a run. */
export function calibrate(run: MeasuredRun): Calibration {
  const points = run.batches.map(({ records, startMs, endMs }) => ({ records, ms: endMs - startMs }))
  const slope = Math.max(0, medianSlope(points))
  const meanMs = mean(points.map(({ ms }) => ms))
  const meanRecords = mean(points.map(({ records }) => records))
  const baseMs = Math.max(0, meanMs - slope * meanRecords)
  const residuals = points.map(({ records, ms }) => (ms - baseMs - slope * records) ** 2)
  const sizes = points.map(({ records }) => records).toSorted((a, b) => a - b)
  const low = sizes[Math.floor(sizes.length * 0.1)] ?? 0
  const high = sizes[Math.floor(sizes.length * 0.9)] ?? 0
  const cpu = fitCpu(run.cpu ?? [])
  return {
    sampleCount: points.length,
    baseMs,
    perRecordUs: slope * 1000,
    spreadRatio: meanMs > 0 ? Math.sqrt(mean(residuals)) / meanMs : 0,
    overheadMs: overheadOf(run),
    ...cpu,
    rebalanceMs: run.rebalanceMs === undefined || run.rebalanceMs.length === 0 ? undefined : median(run.rebalanceMs),
    isSizeVaried: high >= 1.5 * Math.max(1, low)
  }
}

/** The settings of a scenario that a calibration replaces. */
export function calibratedSettings(calibration: Calibration): ScenarioSettings {
  const { spreadRatio } = calibration
  return {
    'target.baseMs': calibration.baseMs,
    'target.perRecordUs': calibration.perRecordUs,
    'target.spread': spreadRatio > 0.02 ? { lognormal: Math.min(5, spreadRatio) } : 'none',
    'group.overheadMs': calibration.overheadMs,
    'group.cpu.perBatchMs': calibration.cpuPerBatchMs,
    'group.cpu.perRecordUs': calibration.cpuPerRecordUs,
    ...(calibration.rebalanceMs === undefined ? {} : { 'group.rebalanceMs': Math.round(calibration.rebalanceMs) })
  }
}

interface Point {
  readonly records: number
  readonly ms: number
}

/** Milliseconds per record: the median of the slopes between samples far apart in the list, and of different sizes. */
function medianSlope(points: readonly Point[]): number {
  const sorted = points.toSorted((a, b) => a.records - b.records)
  const half = Math.floor(sorted.length / 2)
  const slopes: number[] = []
  for (
    let shift = half;
    shift < sorted.length && slopes.length < PAIRS_MAX;
    shift += Math.max(1, Math.floor(half / 8))
  ) {
    for (let index = 0; index + shift < sorted.length && slopes.length < PAIRS_MAX; index++) {
      const [left, right] = [sorted[index], sorted[index + shift]]
      if (left === undefined || right === undefined || right.records - left.records < 1) continue
      slopes.push((right.ms - left.ms) / (right.records - left.records))
    }
  }
  return slopes.length === 0 ? 0 : median(slopes)
}

/** Between the end of a partition's batch and the begin of its next, where no slot was wanting and work was there. */
function overheadOf({ batches, concurrency }: MeasuredRun): number {
  const full = Math.max(...sizesOf(batches))
  const gaps: number[] = []
  const last = new Map<string, number>()
  const running = new Map<number, number[]>()
  for (const { instance = 0, partition, startMs, endMs, records } of batches.toSorted(
    (a, b) => a.startMs - b.startMs
  )) {
    const others = (running.get(instance) ?? []).filter(endsMs => endsMs > startMs)
    const place = `${instance}:${partition}`
    const beforeMs = last.get(place)
    // A full batch was there before the slot: the gap is not a wait for records.
    if (beforeMs !== undefined && others.length < concurrency - 1 && records >= full) {
      const gapMs = startMs - beforeMs
      if (gapMs >= 0 && gapMs < GAP_MAX_MS) gaps.push(gapMs)
    }
    others.push(endMs)
    running.set(instance, others)
    last.set(place, endMs)
  }
  return gaps.length === 0 ? 0 : median(gaps)
}

function sizesOf(batches: MeasuredRun['batches']): number[] {
  const sizes = batches.map(({ records }) => records).toSorted((a, b) => a - b)
  return sizes.slice(0, Math.max(1, Math.ceil(sizes.length * 0.9)))
}

/**
 * CPU of a batch and of a record, neither below zero, from two sums: that of the windows with fewer records per batch
 * and that of the others. Sums, because throughput is total time over total work: a fit of single windows would count
 * the quick ones more.
 */
function fitCpu(windows: NonNullable<MeasuredRun['cpu']>): { cpuPerBatchMs: number; cpuPerRecordUs: number } {
  const sizeOf = ({ records, batches }: CpuSum): number => (batches > 0 ? records / batches : 0)
  const isBusy = (cpuMs: number, windowMs: number | undefined): boolean =>
    windowMs === undefined || cpuMs >= BUSY_RATIO * windowMs
  const busy = windows.filter(({ batches, cpuMs, windowMs }) => batches > 0 && isBusy(cpuMs, windowMs))
  const worked = busy.toSorted((a, b) => sizeOf(a) - sizeOf(b))
  const middle = (sizeOf(worked[0] ?? NOTHING) + sizeOf(worked.at(-1) ?? NOTHING)) / 2
  const small = sumOf(worked.filter(window => sizeOf(window) < middle))
  const large = sumOf(worked.filter(window => sizeOf(window) >= middle))
  const all = sumOf(worked)
  if (small.batches > 0 && sizeOf(large) > 1.5 * sizeOf(small)) {
    const determinant = small.batches * large.records - large.batches * small.records
    const perBatch = (small.cpuMs * large.records - large.cpuMs * small.records) / determinant
    const perRecord = (large.cpuMs * small.batches - small.cpuMs * large.batches) / determinant
    if (perRecord < 0) return { cpuPerBatchMs: all.cpuMs / all.batches, cpuPerRecordUs: 0 }
    if (perBatch >= 0) return { cpuPerBatchMs: perBatch, cpuPerRecordUs: perRecord * 1000 }
  }
  // Windows of one size do not tell the two apart: all is per record.
  return { cpuPerBatchMs: 0, cpuPerRecordUs: all.records > 0 ? (all.cpuMs / all.records) * 1000 : 0 }
}

interface CpuSum {
  readonly cpuMs: number
  readonly records: number
  readonly batches: number
}

const NOTHING: CpuSum = { cpuMs: 0, records: 0, batches: 0 }

function sumOf(windows: readonly CpuSum[]): CpuSum {
  return windows.reduce(
    (sum, { cpuMs, records, batches }) => ({
      cpuMs: sum.cpuMs + cpuMs,
      records: sum.records + records,
      batches: sum.batches + batches
    }),
    NOTHING
  )
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2
}
