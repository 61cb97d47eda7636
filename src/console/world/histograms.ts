/**
 * How batches and invocations are spread: `GET /api/histograms?group=`, from the histograms that the processes of the
 * pipeline serve for Prometheus. Pure: pages of metrics in, counts out.
 *
 * Such a histogram counts since its process started. What is shown is the difference between the newest page and the
 * oldest of the window, process by process; one that was started anew counts from zero.
 *
 * Limits: a page is kept every `STEP_MS`, those of `WINDOW_MS`; `SERIES_MAX` histograms of a process.
 */

import { type MetricName, prometheusName } from '../../telemetry/index.ts'
import type { Histogram, Histograms } from '../api/groups.ts'
import type { InstanceLook, MetricSample } from '../flow/instance-types.ts'
import { shortNumber } from './numbers.ts'

/** Time over which is counted, in milliseconds. */
export const WINDOW_MS = 300_000
/** Time between pages that are kept, in milliseconds. */
const STEP_MS = 10_000
const SERIES_MAX = 200
const BUCKETS_MAX = 200

type Part = 'batchRecords' | 'batchAge' | 'invokeDuration' | 'ackDuration'

interface Source {
  readonly metric: MetricName
  readonly unit: Histogram['unit']
  /** What a bound is multiplied with. */
  readonly scale: number
  /** Whether it says which group it is of. */
  readonly isOfGroup: boolean
}

const SOURCES: Readonly<Record<Part, Source>> = {
  batchRecords: { metric: 'comporta.dispatcher.batch.records', unit: 'records', scale: 1, isOfGroup: true },
  batchAge: { metric: 'comporta.dispatcher.batch.age', unit: 'seconds', scale: 1, isOfGroup: true },
  invokeDuration: { metric: 'comporta.dispatcher.invoke.duration', unit: 'seconds', scale: 0.001, isOfGroup: true },
  ackDuration: { metric: 'comporta.producer.ack.duration', unit: 'seconds', scale: 0.001, isOfGroup: false }
}

interface Role {
  readonly part: Part
  readonly kind: 'bucket' | 'sum' | 'count'
}

const ROLES: ReadonlyMap<string, Role> = new Map(
  (['batchRecords', 'batchAge', 'invokeDuration', 'ackDuration'] as const).flatMap(part => {
    const name = prometheusName(SOURCES[part].metric)
    return (['bucket', 'sum', 'count'] as const).map(kind => [`${name}_${kind}`, { part, kind }] as const)
  })
)

/** Counts up to each bound, since the process started. */
interface Counted {
  readonly upTo: Map<number, number>
  sum: number
  count: number
}

interface PageOfMetrics {
  readonly takenAtMs: number
  /** By part and group. */
  readonly series: ReadonlyMap<string, Counted>
}

/** See the module. */
export class HistogramBook {
  /** By process, oldest page first. */
  readonly #pages = new Map<string, PageOfMetrics[]>()

  /** Takes note of what processes last said. */
  see(looks: readonly InstanceLook[]): void {
    const names = new Set(looks.map(({ instance }) => instance.name))
    for (const name of this.#pages.keys()) if (!names.has(name)) this.#pages.delete(name)
    for (const look of looks) {
      const pages = this.#pages.get(look.instance.name) ?? []
      const last = pages.at(-1)
      if (look.metrics.length === 0 || (last !== undefined && look.takenAtMs <= last.takenAtMs)) continue
      this.#pages.set(look.instance.name, pages)
      // The newest is always there; the ones before it keep their distance.
      const before = pages.at(-2)
      const isClose = last !== undefined && before !== undefined && last.takenAtMs - before.takenAtMs < STEP_MS
      if (isClose) pages.pop()
      pages.push({ takenAtMs: look.takenAtMs, series: seriesOf(look.metrics) })
      while ((pages[0]?.takenAtMs ?? Infinity) < look.takenAtMs - WINDOW_MS) pages.shift()
    }
  }

  /** Of all processes together; a part is `null` if nobody serves it, or there is only one page. */
  read(groupId: string): Omit<Histograms, 'freshness'> {
    let windowMs = 0
    for (const pages of this.#pages.values()) {
      windowMs = Math.max(windowMs, (pages.at(-1)?.takenAtMs ?? 0) - (pages[0]?.takenAtMs ?? 0))
    }
    return {
      windowSeconds: Math.round(windowMs / 1000),
      batchRecords: this.#part('batchRecords', groupId),
      batchAge: this.#part('batchAge', groupId),
      invokeDuration: this.#part('invokeDuration', groupId),
      ackDuration: this.#part('ackDuration', groupId)
    }
  }

  #part(part: Part, groupId: string): Histogram | null {
    const key = keyOf(part, SOURCES[part].isOfGroup ? groupId : '')
    const total: Counted = { upTo: new Map(), sum: 0, count: 0 }
    let isKnown = false
    for (const pages of this.#pages.values()) {
      const [newest, oldest] = [pages.at(-1), pages[0]]
      const now = newest?.series.get(key)
      if (now === undefined || oldest === newest) continue
      isKnown = true
      addDifference(total, now, oldest?.series.get(key))
    }
    return isKnown ? histogramOf(total, SOURCES[part]) : null
  }
}

function keyOf(part: Part, group: string): string {
  return `${part} ${group}`
}

function seriesOf(metrics: readonly MetricSample[]): Map<string, Counted> {
  const series = new Map<string, Counted>()
  for (const { name, labels, value } of metrics) {
    const role = ROLES.get(name)
    if (role === undefined || !Number.isFinite(value)) continue
    const key = keyOf(role.part, SOURCES[role.part].isOfGroup ? (labels['group'] ?? '') : '')
    let counted = series.get(key)
    if (counted === undefined) {
      if (series.size >= SERIES_MAX) continue
      counted = { upTo: new Map(), sum: 0, count: 0 }
      series.set(key, counted)
    }
    if (role.kind === 'bucket') addBucket(counted, labels['le'], value)
    else counted[role.kind] += value
  }
  return series
}

function addBucket({ upTo }: Counted, le: string | undefined, value: number): void {
  const bound = le === '+Inf' ? Infinity : Number(le)
  if (Number.isNaN(bound) || (upTo.size >= BUCKETS_MAX && !upTo.has(bound))) return
  upTo.set(bound, (upTo.get(bound) ?? 0) + value)
}

function addDifference(total: Counted, now: Counted, then: Counted | undefined): void {
  const since = then !== undefined && then.count <= now.count ? then : undefined
  for (const [bound, value] of now.upTo) {
    const added = Math.max(0, value - (since?.upTo.get(bound) ?? 0))
    total.upTo.set(bound, (total.upTo.get(bound) ?? 0) + added)
  }
  total.sum += Math.max(0, now.sum - (since?.sum ?? 0))
  total.count += Math.max(0, now.count - (since?.count ?? 0))
}

function histogramOf({ upTo, sum, count }: Counted, { unit, scale }: Source): Histogram {
  const bounds = [...upTo.keys()].filter(Number.isFinite).sort((left, right) => left - right)
  const counts: number[] = []
  let before = 0
  for (const bound of bounds) {
    const reached = upTo.get(bound) ?? before
    counts.push(Math.max(0, reached - before))
    before = Math.max(before, reached)
  }
  counts.push(Math.max(0, count - before))
  const scaled = bounds.map(bound => shortNumber(bound * scale) ?? 0)
  return { unit, bounds: scaled, counts, count, sum: shortNumber(sum * scale) ?? 0 }
}
