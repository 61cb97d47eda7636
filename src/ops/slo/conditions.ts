/**
 * What is worth an alert: burn rates of objectives, data loss always, and for groups without an objective the users'
 * health table. Pure: a look in, conditions out; how long they have to hold is the book's business.
 */

import type { AlertCondition } from '../alerts/alert.ts'
import type { GroupLag, LagReport } from '../lag/lag-types.ts'
import { type BurnVerdict, burnRate } from './burn-rates.ts'
import type { SloStatus } from './tracker.ts'
import { perCent, records, seconds } from './words.ts'

/** When a group without an objective is ill. Every threshold is the one at which it is: `above` or `at`. */
export interface HealthThresholds {
  /** Ill above this many unread records. Default 1,000; healthy is 100. */
  readonly lagRecords: number
  /** Whether a group whose topics get no records at all is ill. Default true. */
  readonly isSilenceBad: boolean
  /** Seconds for which nothing has to come in. Default 300. */
  readonly silenceForSeconds: number
  /** Ill if what is unread takes up this share of the retention, 0 to 1. Default 0.9; healthy is 0.7. */
  readonly retentionRatio: number
  /** Ill if the lag grows for so many seconds. Default 600. */
  readonly growthForSeconds: number
  /** Ill if retention will delete the oldest unread record within so many hours. Default 6. */
  readonly headroomHours: number
}

/** The users' health table. */
export const HEALTH: HealthThresholds = {
  lagRecords: 1000,
  isSilenceBad: true,
  silenceForSeconds: 300,
  retentionRatio: 0.9,
  growthForSeconds: 600,
  headroomHours: 6
}

/** A lag that is healthy is not worth a word on its growth. */
const HEALTHY_LAG = 100n
/** Share of unknown time above which an objective is blind. */
const BLIND = 0.5

/** What conditions are made of. */
export interface ConditionInput {
  readonly report: LagReport
  /** Objectives that are kept; groups that have one are not held against the health table. */
  readonly slo?: readonly SloStatus[]
  readonly health?: Partial<HealthThresholds>
}

/** Everything that holds. */
export function conditionsOf({ report, slo = [], health }: ConditionInput): AlertCondition[] {
  const thresholds = { ...HEALTH, ...health }
  const withObjective = new Set(slo.map(({ objective }) => objective.group))
  const found: AlertCondition[] = slo.flatMap(objectiveConditions)
  for (const group of report.groups) {
    found.push(...alwaysConditions(group, thresholds))
    if (!withObjective.has(group.groupId)) found.push(...healthConditions(group, thresholds))
  }
  return found
}

/** Everything that holds where a look failed: nothing is known of any group. */
export function conditionsWithoutLook(problem: string, slo: readonly SloStatus[] = []): AlertCondition[] {
  return [
    {
      key: 'unreachable',
      severity: 'page',
      title: 'Kafka cannot be looked at',
      group: '',
      value: 'unknown',
      threshold: 'an answer',
      reason: problem,
      next: 'comporta doctor'
    },
    ...slo.flatMap(objectiveConditions)
  ]
}

/** Whether a report says anything of a group; one that could not be read, or was not told of, may be as it was. */
export function isSeenIn({ groups, isPartial }: LagReport, groupId: string): boolean {
  if (groupId === '') return true
  const found = groups.find(each => each.groupId === groupId)
  return found === undefined ? isPartial !== true : found.problem === undefined
}

function objectiveConditions(status: SloStatus): AlertCondition[] {
  const { name, objective, last, budgetLeft, burn, blindness } = status
  const next = nextOf(objective.group)
  const burning = burn.find(({ isBurning }) => isBurning)
  const found: AlertCondition[] = []
  if (burning !== undefined) {
    found.push({
      // One alert of an objective for each severity: the pairs of windows speak of the same trouble.
      key: `slo:${name}:${burning.rule.severity}`,
      severity: burning.rule.severity,
      title: `${name} is burning its error budget`,
      group: objective.group,
      value: `${rate(burning)}, ${perCent(Math.max(0, budgetLeft))} of the budget left`,
      threshold: `burn rate ${burning.rule.rate} over ${hours(burning.rule.longMs)} and ${hours(burning.rule.shortMs)}`,
      reason: last === undefined || last.reason === '' ? 'it recovered a moment ago' : last.reason,
      next,
      // Two windows are patience enough.
      forMs: 0
    })
  }
  if (blindness > BLIND) {
    found.push({
      key: `blind:${name}`,
      severity: 'ticket',
      title: `${name} cannot be seen`,
      group: objective.group,
      value: `${perCent(blindness)} of the last half hour unknown`,
      threshold: `above ${perCent(BLIND)}`,
      reason: last?.kind === 'unknown' ? last.reason : 'looks were missing',
      next
    })
  }
  return found
}

/** What is never all right. */
function alwaysConditions(group: GroupLag, { headroomHours }: HealthThresholds): AlertCondition[] {
  const found: AlertCondition[] = []
  const next = nextOf(group.groupId)
  const lost = group.partitions.filter(({ flags }) => flags.includes('dataLoss'))
  const [first] = lost
  if (first !== undefined) {
    const gone = lost.reduce((sum, each) => sum + (each.logStartOffset - (each.committed ?? each.logStartOffset)), 0n)
    found.push({
      key: `data-loss:${group.groupId}`,
      severity: 'page',
      title: `${group.groupId} lost records to retention`,
      group: group.groupId,
      value: `${records(gone)} in ${lost.length === 1 ? '1 partition' : `${lost.length} partitions`}`,
      threshold: 'none',
      reason:
        `deleted before they were read, first in ${first.topic}-${first.partition}: retention is ` +
        'shorter than the lag',
      next: `${next}; comporta doctor --only retention-headroom`,
      forMs: 0
    })
  }
  const { headroomSeconds } = group
  if (headroomSeconds !== undefined && headroomSeconds < headroomHours * 3600) {
    found.push({
      key: `headroom:${group.groupId}`,
      severity: 'page',
      title: `retention will delete unread records of ${group.groupId}`,
      group: group.groupId,
      value: `in ${seconds(headroomSeconds)}`,
      threshold: `within ${seconds(headroomHours * 3600)}`,
      reason: 'the oldest unread record is almost as old as retention allows',
      next: `${next}; raise retention.ms of the topic first, then find out why it is behind`
    })
  }
  return found
}

function healthConditions(group: GroupLag, thresholds: HealthThresholds): AlertCondition[] {
  const about = { group: group.groupId, next: nextOf(group.groupId) } as const
  if (group.problem !== undefined) {
    const title = `${group.groupId} cannot be read`
    return [
      {
        ...about,
        key: `unreadable:${group.groupId}`,
        severity: 'ticket',
        title,
        value: 'unknown',
        threshold: 'readable',
        reason: group.problem
      }
    ]
  }
  const unknown: AlertCondition[] =
    group.unknownCount === 0
      ? []
      : [
          {
            ...about,
            key: `unreadable:${group.groupId}`,
            severity: 'ticket',
            title: `${group.groupId} cannot be read as a whole`,
            value: `${group.unknownCount} of ${group.partitions.length} partitions unknown`,
            threshold: 'readable',
            reason: 'they have no leader, or may not be read'
          }
        ]
  return [...unknown, ...lagConditions(group, thresholds), ...retentionConditions(group, thresholds)]
}

function lagConditions(group: GroupLag, thresholds: HealthThresholds): AlertCondition[] {
  const { groupId, lagRecords, status, trend = 0, arrivalRate } = group
  const about = { group: groupId, next: nextOf(groupId) } as const
  const found: AlertCondition[] = []
  if (lagRecords > BigInt(thresholds.lagRecords)) {
    const title = `lag of ${groupId} above ${records(thresholds.lagRecords)}`
    const threshold = `above ${records(thresholds.lagRecords)}`
    found.push({
      ...about,
      key: `lag:${groupId}`,
      severity: 'ticket',
      title,
      value: records(lagRecords),
      threshold,
      reason: reasonOf(group)
    })
  }
  if (trend > 0 && lagRecords > HEALTHY_LAG) {
    const forMs = thresholds.growthForSeconds * 1000
    const value = `${records(Math.ceil(trend))}/s more than are read`
    const threshold = `growing for ${seconds(thresholds.growthForSeconds)}`
    found.push({
      ...about,
      key: `growth:${groupId}`,
      severity: 'ticket',
      title: `lag of ${groupId} grows`,
      value,
      threshold,
      reason: reasonOf(group),
      forMs
    })
  }
  if (status === 'ERR') {
    const title = `${groupId} stands still or went back`
    found.push({
      ...about,
      key: `status:${groupId}`,
      severity: 'page',
      title,
      value: 'ERR',
      threshold: 'OK',
      reason: reasonOf(group)
    })
  }
  if (thresholds.isSilenceBad && arrivalRate === 0 && group.partitions.length > 0) {
    const forMs = thresholds.silenceForSeconds * 1000
    const title = `nothing comes in for ${groupId}`
    const threshold = `0 records/s for ${seconds(thresholds.silenceForSeconds)}`
    const reason = 'the producer has stopped, or cannot reach Kafka'
    found.push({
      ...about,
      key: `silence:${groupId}`,
      severity: 'page',
      title,
      value: '0 records/s',
      threshold,
      reason,
      forMs
    })
  }
  return found
}

function retentionConditions(group: GroupLag, { retentionRatio }: HealthThresholds): AlertCondition[] {
  const used = new Map<string, number>()
  for (const { topic, retentionUsed = 0 } of group.partitions) {
    if (retentionUsed >= retentionRatio) used.set(topic, Math.max(retentionUsed, used.get(topic) ?? 0))
  }
  return [...used].map(([topic, share]) => ({
    key: `retention:${group.groupId}:${topic}`,
    severity: 'page',
    title: `what ${group.groupId} has not read of ${topic} fills its retention`,
    group: group.groupId,
    value: `${perCent(share)} of the retention`,
    threshold: `${perCent(retentionRatio)} or more`,
    reason: 'the oldest unread records are about to be deleted',
    next: `${nextOf(group.groupId)}; comporta doctor --only retention-headroom`
  }))
}

/** The likeliest reason for a lag, from what is known of the group. */
function reasonOf({ state, memberCount, flags, partitions, lagRecords, worst }: GroupLag): string {
  if (flags.includes('hangingTransaction'))
    return 'a transaction stays open and holds back readers of committed records'
  if (memberCount === 0) return `the group has no members (${state}): no consumer is running`
  if (state.includes('Rebalanc')) return 'the group is rebalancing'
  const stopped = partitions.filter(each => each.status === 'STOP' || each.status === 'STALL')
  if (stopped.length > 0) return `${stopped.length} partitions have members, but nothing is committed there`
  const most = partitions.reduce((max, each) => (each.lagRecords > max ? each.lagRecords : max), 0n)
  if (worst !== undefined && partitions.length > 1 && most * 2n > lagRecords) {
    return `most of it lies in ${worst.topic}-${worst.partition}: a hot partition, or its consumer is slow`
  }
  return 'records come in faster than the consumers finish them'
}

function nextOf(group: string): string {
  return `comporta lag --group ${group}`
}

function rate({ long, short }: BurnVerdict): string {
  const text = (value: ReturnType<typeof burnRate>): string => (value === undefined ? 'unknown' : value.toFixed(1))
  return `burn rate ${text(long)} and ${text(short)}`
}

function hours(ms: number): string {
  return seconds(ms / 1000)
}
