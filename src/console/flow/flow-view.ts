/**
 * What the processes of a pipeline say of themselves, as one page: who runs, what holds records back, and where.
 *
 * A description is another process's, perhaps of another version: what is not
 * as expected is unknown, and the rest counts.
 */

import { z } from 'zod'

import type { Flow, InstanceRow, LimiterRow, RouteRow } from '../api/flow.ts'
import type { Freshness } from '../api/common.ts'
import type { InstanceLook, MetricSample } from './instance-types.ts'

const amount = z.number().nullable().catch(null)

const routeSchema = z.object({
  name: z.string().catch(''),
  target: z.string().catch(''),
  inFlight: z.number().catch(0),
  waiting: z.number().catch(0),
  blockedBy: z.string().nullable().catch(null),
  concurrency: z.object({ mode: z.string(), limit: amount, wouldBe: amount }).nullable().catch(null),
  breaker: z
    .object({ state: z.enum(['closed', 'open', 'halfOpen']), failureRatio: amount, openForMs: amount })
    .nullable()
    .catch(null),
  rate: z.object({ recordsPerSecond: amount, waitMs: amount }).nullable().catch(null),
  inFlightLimits: z.object({ records: amount, bytes: amount }).nullable().catch(null),
  classes: z.array(z.object({ oldestWaitMs: z.number().catch(0) })).catch([]),
  pausedPartitions: z.array(z.string()).catch([])
})

const partitionSchema = z.object({
  topic: z.string(),
  partition: z.number(),
  blockedBy: z.string().nullable().catch(null),
  fetchPausedBy: z.string().nullable().catch(null)
})

const dispatcherSchema = z.object({
  groupId: z.string().catch(''),
  routes: z.array(routeSchema).catch([]),
  partitions: z.array(partitionSchema).catch([])
})

/** The part of a dispatcher's description that the console reads. */
export type DispatcherSaid = z.infer<typeof dispatcherSchema>

/** A dispatcher's description; `undefined` for another process, and for one that says nothing. */
export function dispatcherSaid({ instance, description }: InstanceLook): DispatcherSaid | undefined {
  return instance.role === 'dispatcher' ? dispatcherSchema.safeParse(description).data : undefined
}

/** The page. */
export function flowOf(looks: readonly InstanceLook[], freshness: Freshness): Flow {
  return {
    freshness,
    instances: looks.map(instanceRow),
    routes: looks.flatMap(routeRows),
    limiters: looks.flatMap(limiterRows),
    heldUp: heldUpOf(looks)
  }
}

/** A process as a row. */
export function instanceRow({ instance, problem, isReady, startedAtMs, metrics }: InstanceLook): InstanceRow {
  const isAway = !isReady && metrics.length === 0
  return {
    name: instance.name,
    role: instance.role,
    health: isReady ? 'good' : isAway ? 'bad' : 'warn',
    problem,
    startedAtMs: startedAtMs ?? null
  }
}

function routeRows(look: InstanceLook): RouteRow[] {
  const said = dispatcherSaid(look)
  if (said === undefined) return []
  return said.routes.map(route => ({
    instance: look.instance.name,
    groupId: said.groupId,
    target: route.target === '' ? route.name : route.target,
    breaker: route.breaker?.state ?? null,
    breakerRetryInMs: route.breaker?.state === 'open' ? route.breaker.openForMs : null,
    failureRatio: route.breaker?.failureRatio ?? null,
    concurrencyLimit: route.concurrency?.limit ?? null,
    adaptiveLimit: adaptiveLimitOf(route.concurrency),
    inFlight: route.inFlight,
    inFlightRecords: route.inFlightLimits?.records ?? null,
    inFlightBytes: route.inFlightLimits?.bytes ?? null,
    waiting: route.waiting,
    oldestWaitMs: route.classes.length === 0 ? null : Math.max(...route.classes.map(each => each.oldestWaitMs)),
    ratePerSecond: route.rate?.recordsPerSecond ?? null,
    blockedBy: route.blockedBy,
    pausedPartitions: route.pausedPartitions
  }))
}

/** What adaptive concurrency allows, or would allow in a dry run. */
function adaptiveLimitOf(concurrency: DispatcherSaid['routes'][number]['concurrency']): number | null {
  if (concurrency === null || concurrency.mode === 'off') return null
  return concurrency.wouldBe ?? concurrency.limit
}

function limiterRows({ instance, metrics }: InstanceLook): LimiterRow[] {
  if (instance.role !== 'producer') return []
  const waiting = new Map(
    named(metrics, 'comporta_producer_rate_waiting').map(({ labels, value }) => [labels['limit'] ?? '', value])
  )
  return named(metrics, 'comporta_producer_rate_tokens').map(({ labels, value }) => ({
    instance: instance.name,
    limit: labels['limit'] ?? '',
    unit: labels['unit'] === 'bytes' ? 'bytes' : 'records',
    tokens: value,
    waiting: waiting.get(labels['limit'] ?? '') ?? 0
  }))
}

function heldUpOf(looks: readonly InstanceLook[]): Flow['heldUp'] {
  const reasons = new Map<string, number>()
  for (const { metrics } of looks) {
    for (const { labels, value } of named(metrics, 'comporta_dispatcher_held_up')) {
      const reason = labels['reason'] ?? ''
      if (value > 0) reasons.set(reason, (reasons.get(reason) ?? 0) + value)
    }
  }
  return [...reasons].map(([reason, partitions]) => ({ reason, partitions })).toSorted(byPartitions)
}

function byPartitions(left: { readonly partitions: number }, right: { readonly partitions: number }): number {
  return right.partitions - left.partitions
}

function named(metrics: readonly MetricSample[], name: string): readonly MetricSample[] {
  return metrics.filter(sample => sample.name === name)
}
