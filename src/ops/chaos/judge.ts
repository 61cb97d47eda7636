/** From what was seen to the verdict of one experiment. Pure. */

import type { AuditReport } from '../audit/audit.ts'
import type { ChaosExperiment } from './experiment.ts'
import {
  type ChaosLedgers,
  type ChaosObservation,
  type ChaosSample,
  lagOf,
  largestLag,
  longestPause,
  type PartitionPause,
  type SteadyState,
  type TimelineEntry
} from './observation.ts'

/**
 * `holds`: the hypothesis was not refuted. `refuted`: it was. `aborted`: an abort condition came true. `unsteady`:
 * there was no steady state, so nothing was harmed. `failed`: the experiment could not be carried out. `interrupted`:
 * by a person. `skipped`: it cannot be done here. Only `holds` is success; `skipped` is neither.
 */
export type ChaosVerdict = 'holds' | 'refuted' | 'aborted' | 'unsteady' | 'failed' | 'interrupted' | 'skipped'

/** A point of the lag curve. */
export interface LagPoint {
  readonly atMs: number
  /** Records; `null` while Kafka did not answer. */
  readonly lag: number | null
  readonly delivered: number
}

/** The report of one experiment: what `--json` prints. */
export interface ChaosReport {
  readonly experiment: string
  readonly summary: string
  readonly hypothesis: string
  readonly verdict: ChaosVerdict
  /** Why it is not `holds`. */
  readonly reasons: readonly string[]
  /** Code of the error that ended it, if one did. */
  readonly code: string | undefined
  /** Events per second of the load. */
  readonly ratePerSecond: number
  readonly tookMs: number
  readonly before: SteadyState | undefined
  readonly after: SteadyState | undefined
  readonly harm: { readonly fromMs: number; readonly toMs: number } | undefined
  /** From the end of the harm to the steady state. */
  readonly recoveredMs: number | undefined
  readonly lagMax: number
  readonly longestPause: PartitionPause | undefined
  readonly rebalances: number
  /** Deliveries that repeated one, and how many may. */
  readonly duplicates: number | undefined
  readonly duplicatesMax: number
  readonly deadLetters: number | undefined
  /** Late because their key changed its partition when a topic grew. */
  readonly movedOutOfOrder: number
  readonly audit: AuditReport | undefined
  readonly timeline: readonly TimelineEntry[]
  /** At most 400 points. */
  readonly lagCurve: readonly LagPoint[]
}

/** A run as its runner has seen it. */
export interface RunRecord {
  readonly ratePerSecond: number
  readonly tookMs: number
  readonly stop:
    | { readonly verdict: Exclude<ChaosVerdict, 'holds' | 'refuted'>; readonly reason: string; readonly code?: string }
    | undefined
  readonly before: SteadyState | undefined
  readonly after: SteadyState | undefined
  readonly ledgers: ChaosLedgers | undefined
  readonly harm: { readonly fromMs: number; readonly toMs: number; readonly firstSample: number } | undefined
  readonly recoveredMs: number | undefined
  readonly samples: readonly ChaosSample[]
  readonly timeline: readonly TimelineEntry[]
}

const CURVE_POINTS_MAX = 400

/** Judges a run. */
export function judgeRun(experiment: ChaosExperiment, run: RunRecord): ChaosReport {
  const since = run.samples.slice(Math.max(0, run.harm?.firstSample ?? 0))
  const observation = observationOf(run, since)
  const reasons = run.stop === undefined ? reasonsOf(experiment, observation) : [run.stop.reason]
  const { harm, ledgers } = run
  return {
    experiment: experiment.name,
    summary: experiment.summary,
    hypothesis: experiment.hypothesis,
    verdict: run.stop?.verdict ?? (reasons.length === 0 ? 'holds' : 'refuted'),
    reasons,
    code: run.stop?.code,
    ratePerSecond: run.ratePerSecond,
    tookMs: run.tookMs,
    before: run.before,
    after: run.after,
    harm: harm === undefined ? undefined : { fromMs: Math.round(harm.fromMs), toMs: Math.round(harm.toMs) },
    recoveredMs: run.recoveredMs === undefined ? undefined : Math.round(run.recoveredMs),
    lagMax: largestLag(since),
    longestPause: roundedPause(longestPause(since)),
    rebalances: rebalancesOf(since),
    duplicates: ledgers?.audit.duplicates,
    duplicatesMax: experiment.duplicatesMax,
    deadLetters: ledgers?.audit.deadLettered,
    movedOutOfOrder: ledgers?.movedOutOfOrder ?? 0,
    audit: ledgers?.audit,
    timeline: run.timeline,
    lagCurve: curveOf(run.samples)
  }
}

/** A report of something that was not run. */
export function skippedReport(experiment: ChaosExperiment, reason: string): ChaosReport {
  const run = { ratePerSecond: 0, tookMs: 0, samples: [], timeline: [] }
  const nothing = { before: undefined, after: undefined, ledgers: undefined, harm: undefined, recoveredMs: undefined }
  return judgeRun(experiment, { ...run, ...nothing, stop: { verdict: 'skipped', reason } })
}

function observationOf(run: RunRecord, since: readonly ChaosSample[]): ChaosObservation | undefined {
  const { before, ledgers, harm } = run
  if (before === undefined || ledgers === undefined || harm === undefined) return undefined
  return {
    before,
    after: run.after,
    ledgers,
    harmFromMs: harm.fromMs,
    harmToMs: harm.toMs,
    recoveredMs: run.recoveredMs,
    lagMax: largestLag(since),
    pause: longestPause(since),
    rebalances: rebalancesOf(since),
    ended: since.at(-1)?.ended ?? [],
    samples: since
  }
}

function reasonsOf(experiment: ChaosExperiment, observed: ChaosObservation | undefined): string[] {
  if (observed === undefined) return ['the run did not come to its end']
  const { audit } = observed.ledgers
  const reasons = auditReasons(audit)
  if (audit.duplicates > experiment.duplicatesMax) {
    reasons.push(`${audit.duplicates} deliveries repeated one: at most ${experiment.duplicatesMax} may`)
  }
  if (observed.after === undefined || observed.recoveredMs === undefined) {
    reasons.push(`the steady state was not there again ${experiment.recoverWithinMs / 1000} s after the harm`)
  }
  reasons.push(...(experiment.refute?.(observed) ?? []))
  return reasons
}

/** What an audit has found, in words: one sentence for each kind of violation. */
export function auditReasons(audit: AuditReport): string[] {
  const found: [AuditReport['lost'], string][] = [
    [audit.lost, 'lost'],
    [audit.outOfOrder, 'delivered out of order'],
    [audit.unexpected, 'delivered that should not have been'],
    [audit.wrongDeadLetters, 'dead lettered that should not have been, or without a reason']
  ]
  return found
    .filter(([violation]) => violation.count > 0)
    .map(([{ count, examples }, what]) => `${count} events ${what}, for example ${examples.slice(0, 3).join(', ')}`)
}

function rebalancesOf(samples: readonly ChaosSample[]): number {
  return (samples.at(-1)?.rebalances ?? 0) - (samples[0]?.rebalances ?? 0)
}

function roundedPause(pause: PartitionPause | undefined): PartitionPause | undefined {
  return pause === undefined ? undefined : { ...pause, ms: Math.round(pause.ms) }
}

/** Evenly thinned: the shape stays, a long run does not fill a page. */
function curveOf(samples: readonly ChaosSample[]): LagPoint[] {
  const every = Math.max(1, Math.ceil(samples.length / CURVE_POINTS_MAX))
  return samples
    .filter((_, index) => index % every === 0)
    .map(sample => ({ atMs: Math.round(sample.atMs), lag: lagOf(sample) ?? null, delivered: sample.delivered }))
}
