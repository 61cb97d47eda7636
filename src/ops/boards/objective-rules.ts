/**
 * Rules of objectives on lag: burn rates over several windows, as `comporta slo` has them, and what retention leaves.
 *
 * The series `comporta:lag_bad:bool` is 1 while the oldest unread record of an objective is older than promised. A burn
 * rate is the share of bad samples by the share that the objective allows; of a window that is known for less than its
 * half, the missing part up to that half counts as good, so that one bad sample after a start wakes nobody.
 */

import { BURN_RULES, type BurnRule } from '../slo/burn-rates.ts'
import { objectiveName, type SloObjective } from '../slo/objective.ts'
import type { AlertRule, RecordRule, RuleGroup } from './alert-types.ts'
import { groupMatchers } from './dispatcher-alerts.ts'
import { anyOf, quoted, series } from './query.ts'
import { type BoardSettings, type BoardTopic, RETENTION_MS_DEFAULT } from './settings.ts'

/** Time between two samples, in milliseconds. */
const SAMPLE_MS = 30_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

/** Recording rules and alerts of all objectives. */
export function objectiveGroup({ objectives }: BoardSettings): RuleGroup {
  return {
    name: 'comporta-objectives',
    interval: `${SAMPLE_MS / 1000}s`,
    records: objectives.flatMap(objectiveRecords),
    alerts: objectives.flatMap(objectiveAlerts)
  }
}

/** What is left of the budgets: long windows, looked at rarely. */
export function budgetGroup({ objectives }: BoardSettings): RuleGroup {
  return {
    name: 'comporta-budgets',
    interval: '5m',
    records: objectives.map(each => {
      const { sloLabels, objective, windowDays } = withLabels(each)
      const bad = `avg_over_time(comporta:lag_bad:bool{slo=${quoted(sloLabels.slo)}}[${windowDays}d])`
      return {
        name: 'comporta:budget_left:ratio',
        expression: `1 - ${bad} / ${round(1 - objective)}`,
        labels: sloLabels
      }
    }),
    alerts: []
  }
}

/** Alerts on records that retention is about to delete unread. */
export function retentionAlerts(settings: BoardSettings): AlertRule[] {
  const { topics, health } = settings
  const all: readonly (Omit<BoardTopic, 'name'> & { readonly name?: string })[] =
    topics.length === 0 ? [{ retentionMs: RETENTION_MS_DEFAULT }] : topics
  return all.flatMap(({ name, retentionMs }) => {
    if (retentionMs === undefined || retentionMs <= 0) return []
    // A topic that keeps records for less than twice that would always be in alarm.
    const lagMs = Math.max(retentionMs / 2, retentionMs - health.headroomHours * HOUR_MS)
    const matchers = { ...groupMatchers(settings), ...(name === undefined ? {} : { topic: name }) }
    const lag = series('comporta.dispatcher.topic_lag_seconds', matchers)
    return [
      {
        name: 'ComportaRetentionHeadroom',
        severity: 'page',
        expression: `max by (group, topic) (${lag}) > ${Math.round(lagMs / 1000)}`,
        for: '1m',
        summary: 'Retention will delete unread records of {{ $labels.group }} in {{ $labels.topic }}',
        description:
          'The oldest unread record is {{ $value | humanizeDuration }} old, and is deleted at ' +
          `${durationOf(retentionMs)}.`,
        look: '`comporta lag --partitions`, column *deleted in*.',
        act: 'Time first: `comporta topics alter <topic> --set retention.ms=…`, then the cause. Undo it afterwards.'
      } as const
    ]
  })
}

interface Labelled extends SloObjective {
  readonly sloLabels: { readonly slo: string; readonly group: string }
}

function withLabels(objective: SloObjective): Labelled {
  return { ...objective, sloLabels: { slo: objectiveName(objective), group: objective.group } }
}

function windowsOf(rules: readonly BurnRule[]): number[] {
  return [...new Set(rules.flatMap(({ longMs, shortMs }) => [shortMs, longMs]))].toSorted((a, b) => a - b)
}

function objectiveRecords(objective: SloObjective): RecordRule[] {
  const { group, topics, lagSeconds, sloLabels, objective: share } = withLabels(objective)
  const lag = series('comporta.dispatcher.topic_lag_seconds', {
    group,
    ...(topics === undefined ? {} : { topic: anyOf(topics) })
  })
  const bad = `comporta:lag_bad:bool{slo=${quoted(sloLabels.slo)}}`
  return [
    { name: 'comporta:objective:lag_seconds', expression: `vector(${lagSeconds})`, labels: sloLabels },
    { name: 'comporta:lag_bad:bool', expression: `max by (group) (${lag}) > bool ${lagSeconds}`, labels: sloLabels },
    ...windowsOf(BURN_RULES).map(windowMs => {
      const window = durationOf(windowMs)
      const known = `clamp_min(count_over_time(${bad}[${window}]), ${windowMs / 2 / SAMPLE_MS})`
      return {
        name: `comporta:burn:rate${window}`,
        expression: `sum_over_time(${bad}[${window}]) / ${known} / ${round(1 - share)}`,
        labels: sloLabels
      }
    })
  ]
}

function objectiveAlerts(objective: SloObjective): AlertRule[] {
  const { sloLabels, lagSeconds, windowDays } = withLabels(objective)
  const select = `{slo=${quoted(sloLabels.slo)}}`
  return BURN_RULES.map(({ severity, rate, longMs, shortMs }) => {
    const [long, short] = [durationOf(longMs), durationOf(shortMs)]
    return {
      name: 'ComportaBudgetBurns',
      severity,
      expression: `comporta:burn:rate${long}${select} >= ${rate} and comporta:burn:rate${short}${select} >= ${rate}`,
      for: '0m',
      summary: '{{ $labels.slo }} burns its error budget',
      description:
        `Burn rate {{ $value | humanize }} over ${long}, at least ${rate} over ${short} too: the budget of ` +
        `${windowDays} days is spent that many times too fast. Promised: lag below ${lagSeconds} s.`,
      look: '`comporta slo`, then `comporta lag --for 30s --partitions`.',
      act: 'As for lag: the target, instances, a hot key; see the table above.',
      labels: { long, short }
    }
  })
}

/** `5m`, `6h`, `3d`: the largest unit that it is a whole number of. */
export function durationOf(ms: number): string {
  if (ms % DAY_MS === 0) return `${ms / DAY_MS}d`
  if (ms % HOUR_MS === 0) return `${ms / HOUR_MS}h`
  if (ms % 60_000 === 0) return `${ms / 60_000}m`
  return `${Math.round(ms / 1000)}s`
}

/** A share without the digits that binary fractions leave behind. */
function round(share: number): number {
  return Number(share.toPrecision(12))
}
