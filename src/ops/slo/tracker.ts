/**
 * Keeps objectives: time that was good, bad or unknown, the error budget, burn rates.
 *
 * Pure: it is told of looks and of the time. Between two looks the time counts as
 * the later one says, up to `gapMsMax`; a longer silence is unknown. Two rings for
 * each objective, minutes for the short windows and hours for the budget, so that
 * memory is flat (about 75 KiB at 30 days).
 */

import type { LagReport } from '../lag/lag-types.ts'
import { BucketRing, type TimeShare, type WrittenBuckets } from './bucket-ring.ts'
import { BURN_RULES, burnRate, type BurnVerdict, judgeBurn } from './burn-rates.ts'
import { objectiveName, sampleOf, type SloObjective, type SloSample } from './objective.ts'

/** How it is set up. */
export interface SloTrackerOptions {
  readonly objectives: readonly SloObjective[]
  /** Longest time between two looks that still counts as known, in milliseconds. Default 300_000. */
  readonly gapMsMax?: number
}

/** How an objective stands. */
export interface SloStatus {
  readonly name: string
  readonly objective: SloObjective
  /** The last look; `undefined` before the first. */
  readonly last: SloSample | undefined
  /** Time over the whole window. */
  readonly time: TimeShare
  /** Share of the known time that was good, 0 to 1; `undefined` if nothing is known. */
  readonly compliance: number | undefined
  /** Bad time that the window allows, in milliseconds. */
  readonly budgetMs: number
  /** Share of it that is left; negative = overspent. */
  readonly budgetLeft: number
  /** Seconds until the budget is spent at the rate of the last hour; `undefined` = it is not being spent. */
  readonly exhaustedInSeconds: number | undefined
  readonly burn: readonly BurnVerdict[]
  /** Burn rate of the last hour. */
  readonly burnLastHour: number | undefined
  /** Share of the last half hour that is unknown, of what it has been watched. */
  readonly blindness: number
}

/** What a tracker writes down. */
export interface SloState {
  readonly objectives: Readonly<Record<string, WrittenObjective>>
}

/** One objective, written down. */
export interface WrittenObjective {
  readonly lastMs: number
  readonly minutes: WrittenBuckets
  readonly hours: WrittenBuckets
}

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
const BLIND_MS = 30 * MINUTE_MS
/** Windows up to this are summed from minutes. */
const FINE_MS = 6 * HOUR_MS

interface Kept {
  readonly name: string
  readonly objective: SloObjective
  readonly minutes: BucketRing
  readonly hours: BucketRing
  lastMs: number | undefined
  last: SloSample | undefined
}

/** Objectives over time. */
export class SloTracker {
  readonly #kept: readonly Kept[]
  readonly #gapMsMax: number

  constructor({ objectives, gapMsMax = 300_000 }: SloTrackerOptions) {
    this.#gapMsMax = gapMsMax
    this.#kept = objectives.map(objective => ({
      name: objectiveName(objective),
      objective,
      minutes: new BucketRing(MINUTE_MS, FINE_MS / MINUTE_MS + 1),
      hours: new BucketRing(HOUR_MS, Math.ceil((Math.max(3, objective.windowDays) * DAY_MS) / HOUR_MS) + 1),
      lastMs: undefined,
      last: undefined
    }))
  }

  /** Takes a look in. One that is not later than the one before changes nothing but what is shown of the last look. */
  observe(report: LagReport): void {
    for (const kept of this.#kept) this.#add(kept, sampleOf(kept.objective, report), report.takenAtMs)
  }

  /** A look that failed: the time is unknown. */
  missed(reason: string, nowMs: number): void {
    const sample: SloSample = { kind: 'unknown', lagSeconds: undefined, lagRecords: 0n, reason }
    for (const kept of this.#kept) this.#add(kept, sample, nowMs)
  }

  /** How all objectives stand. */
  status(nowMs: number): SloStatus[] {
    return this.#kept.map(kept => statusOf(kept, nowMs))
  }

  /** What to write down, so that a later tracker goes on. */
  write(): SloState {
    const entries = this.#kept.flatMap(({ name, lastMs, minutes, hours }) =>
      lastMs === undefined ? [] : [[name, { lastMs, minutes: minutes.write(), hours: hours.write() }] as const]
    )
    return { objectives: Object.fromEntries(entries) }
  }

  /** Goes on from what was written down; objectives that are not in it begin anew, others are forgotten. */
  read(state: SloState): void {
    for (const kept of this.#kept) {
      const written = Object.hasOwn(state.objectives, kept.name) ? state.objectives[kept.name] : undefined
      if (written === undefined) continue
      kept.lastMs = written.lastMs
      kept.minutes.read(written.minutes)
      kept.hours.read(written.hours)
    }
  }

  #add(kept: Kept, sample: SloSample, nowMs: number): void {
    const { lastMs } = kept
    kept.last = sample
    if (lastMs === undefined) kept.lastMs = nowMs
    // A clock that was set back a little: time that has been counted is not counted again.
    if (lastMs === undefined || nowMs <= lastMs) {
      if (lastMs !== undefined && lastMs - nowMs > this.#gapMsMax) goBack(kept, nowMs)
      return
    }
    kept.lastMs = nowMs
    for (const ring of [kept.minutes, kept.hours]) {
      if (nowMs - lastMs > this.#gapMsMax) ring.add(lastMs, nowMs, 'unknown')
      else ring.add(lastMs, nowMs, sample.kind)
    }
  }
}

/** A clock that was far ahead: what it wrote there is forgotten, or nothing would count until it is reached again. */
function goBack(kept: Kept, nowMs: number): void {
  kept.lastMs = nowMs
  kept.minutes.forgetAfter(nowMs)
  kept.hours.forgetAfter(nowMs)
}

function statusOf({ name, objective, minutes, hours, last }: Kept, nowMs: number): SloStatus {
  const shareOf = (windowMs: number): TimeShare => (windowMs <= FINE_MS ? minutes : hours).since(nowMs - windowMs)
  const windowMs = objective.windowDays * DAY_MS
  const time = hours.since(nowMs - windowMs)
  const knownMs = time.goodMs + time.badMs
  const budgetMs = (1 - objective.objective) * windowMs
  const budgetLeft = 1 - time.badMs / budgetMs
  const burnLastHour = burnRate(shareOf(HOUR_MS), HOUR_MS, objective.objective)
  const blind = shareOf(BLIND_MS)
  const watchedMs = blind.goodMs + blind.badMs + blind.unknownMs
  return {
    name,
    objective,
    last,
    time,
    compliance: knownMs > 0 ? time.goodMs / knownMs : undefined,
    budgetMs,
    budgetLeft,
    exhaustedInSeconds: exhaustion(budgetLeft * windowMs, burnLastHour),
    burn: BURN_RULES.map(rule => judgeBurn(rule, objective.objective, shareOf)),
    burnLastHour,
    blindness: watchedMs > 0 ? blind.unknownMs / watchedMs : 0
  }
}

/** @param leftMs - Budget left, as time at a burn rate of 1. */
function exhaustion(leftMs: number, rate: number | undefined): number | undefined {
  if (leftMs <= 0) return 0
  return rate === undefined || rate <= 0 ? undefined : leftMs / rate / 1000
}
