/**
 * What an autoscaler wants to know of a group, from a lag report: KEDA's own decision, and what it lacks: seconds, and
 * the time to drain.
 */

import type { GroupLag, PartitionLag } from '../lag/lag-types.ts'
import { type KedaDecision, type KedaPartition, kedaReplicas } from './keda.ts'
import type { KedaOptions } from './options.ts'

/** One group, for an autoscaler. */
export interface KedaGroupView {
  readonly group: string
  readonly lagRecords: number
  /** `null` = unknown: KEDA's metrics-api scaler then fails, and the replicas stay. */
  readonly lagSeconds: number | null
  readonly arrivalRate: number | null
  readonly serviceRate: number | null
  readonly members: number
  /** Value of the metric that KEDA's kafka scaler would give. */
  readonly kedaMetric: number
  /** Replicas that KEDA with its autoscaler would want. */
  readonly kedaReplicas: number
  readonly kedaReason: string
  readonly isActive: boolean
  /**
   * Replicas that read what comes in, and the backlog within `drainSeconds`: ceil((arrival + backlog ÷ drain) ÷ rate of
   * one member), 1 to the number of partitions. `null` where a rate is not known yet.
   */
  readonly drainReplicas: number | null
  readonly partitions: number
}

/** What KEDA would see of partitions. */
export function kedaPartitions(partitions: readonly PartitionLag[]): KedaPartition[] {
  return partitions.map(({ topic, partition, committed, endOffset, isKnown }) => ({
    topic,
    partition,
    committed,
    endOffset: isKnown ? endOffset : undefined
  }))
}

/** What KEDA would decide for a group that was looked at. */
export function kedaDecisionOf(
  group: GroupLag,
  options: KedaOptions = {},
  previous: ReadonlyMap<string, bigint> = new Map()
): KedaDecision {
  const found = kedaPartitions(group.partitions)
  const { problem } = group
  const unread = { topic: options.topic ?? '', partition: 0, committed: undefined, endOffset: 0n }
  const partitions = problem === undefined ? found : [{ ...unread, problem }]
  return kedaReplicas({ partitions, options, previous })
}

/** The view of a group. */
export function kedaView(
  group: GroupLag,
  { decision, drainSeconds }: { readonly decision: KedaDecision; readonly drainSeconds: number }
): KedaGroupView {
  const isUnknown = group.problem !== undefined || group.unknownCount > 0
  const lagSeconds =
    isUnknown && group.lagSeconds !== undefined && group.lagSeconds === 0 ? undefined : group.lagSeconds
  return {
    group: group.groupId,
    lagRecords: Number(group.lagRecords),
    lagSeconds: lagSeconds ?? null,
    arrivalRate: group.arrivalRate ?? null,
    serviceRate: group.serviceRate ?? null,
    members: group.memberCount,
    kedaMetric: Number(decision.metric),
    kedaReplicas: decision.replicas,
    kedaReason: decision.reason,
    isActive: decision.isActive,
    drainReplicas: drainReplicas(group, drainSeconds) ?? null,
    partitions: group.partitions.length
  }
}

/** The rate of one member is what members do now, which is known only while they work. */
function drainReplicas(group: GroupLag, drainSeconds: number): number | undefined {
  const { arrivalRate, serviceRate, memberCount, lagRecords, partitions } = group
  if (arrivalRate === undefined || serviceRate === undefined || partitions.length === 0) return undefined
  if (lagRecords === 0n) return Math.max(1, memberCount)
  const perMember = memberCount === 0 ? 0 : serviceRate / memberCount
  if (perMember <= 0) return undefined
  const wanted = Math.ceil((arrivalRate + Number(lagRecords) / drainSeconds) / perMember)
  return Math.min(partitions.length, Math.max(1, wanted))
}
