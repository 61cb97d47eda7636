/**
 * Answers of the lag endpoint, from the newest look: pure.
 *
 * `/keda/{group}` for KEDA's `metrics-api` scaler (options of the kafka trigger
 * as query), `/v3/kafka/…` as Burrow's HTTP server, `/metrics` for Prometheus with
 * the names of kafka-lag-exporter and Burrow, `/healthz`. Only what was asked for
 * is written; partitions in `/metrics` up to `seriesMax`.
 */

import { messageOf, PipelineError } from '../../core/index.ts'
import type { GroupLag, GroupStatus, LagReport, PartitionLag, PartitionStatus } from '../lag/lag-types.ts'
import { kedaDecisionOf, kedaView } from './group-view.ts'
import type { KedaOptions } from './options.ts'

/** What is answered from. */
export interface EndpointState {
  /** `undefined` before the first look. */
  readonly report: LagReport | undefined
  /** Age of the look, in milliseconds. */
  readonly ageMs: number
  /** From this age on a look is not answered from, in milliseconds. */
  readonly ageMsMax: number
  /** Name of the cluster in Burrow's paths and in labels. */
  readonly cluster: string
  /** Committed offsets of the look before, for `excludePersistentLag`. */
  readonly previous: ReadonlyMap<string, ReadonlyMap<string, bigint>>
  readonly seriesMax: number
}

/** An answer. */
export interface EndpointAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

const DRAIN_SECONDS = 300

/** @param target - Path and query of the request. */
export function answerOf(target: string, state: EndpointState): EndpointAnswer {
  const url = URL.parse(target, 'http://endpoint')
  if (url === null) return json(400, { error: 'not a path' })
  const steps = stepsOf(url.pathname)
  if (steps === undefined) return json(400, { error: 'the path has a percent sign that encodes nothing' })
  const [first, ...rest] = steps
  if (first === 'healthz') return health(state)
  if (first === 'burrow' && rest.join('/') === 'admin') return text(200, 'GOOD')
  if (first === 'metrics' && rest.length === 0) return text(200, metricsOf(state))
  if (first === 'keda' && rest.length === 1) return keda(rest[0] ?? '', url.searchParams, state)
  if (first === 'v3' && rest[0] === 'kafka') return burrow(rest.slice(1), url.pathname, state)
  return json(404, { error: 'there is /keda/{group}, /v3/kafka/{cluster}/consumer/{group}/lag, /metrics and /healthz' })
}

function stepsOf(path: string): string[] | undefined {
  try {
    return path.split('/').filter(Boolean).map(decodeURIComponent)
  } catch {
    return undefined
  }
}

function json(status: number, value: unknown): EndpointAnswer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` }
}

function text(status: number, body: string): EndpointAnswer {
  return { status, contentType: 'text/plain; version=0.0.4; charset=utf-8', body }
}

/** A look that is fresh enough; autoscalers had better hear nothing than what was so minutes ago. */
function fresh({ report, ageMs, ageMsMax }: EndpointState): LagReport | undefined {
  return ageMs <= ageMsMax ? report : undefined
}

function health(state: EndpointState): EndpointAnswer {
  const isFresh = fresh(state) !== undefined
  return json(isFresh ? 200 : 503, {
    ok: isFresh,
    lookAgeMs: state.report === undefined ? null : Math.round(state.ageMs)
  })
}

function keda(groupId: string, query: URLSearchParams, state: EndpointState): EndpointAnswer {
  const report = fresh(state)
  if (report === undefined) return json(503, { error: 'there is no fresh look: Kafka may be away' })
  const group = report.groups.find(each => each.groupId === groupId)
  if (group === undefined) return json(404, { error: `there is no group ${groupId}` })
  try {
    const { options, drainSeconds } = readKedaOptions(query)
    const decision = kedaDecisionOf(group, options, state.previous.get(groupId))
    if (decision.problem !== undefined) return json(503, { error: decision.problem })
    return json(200, kedaView(group, { decision, drainSeconds }))
  } catch (error) {
    if (!PipelineError.is(error)) throw error
    return json(400, { error: messageOf(error) })
  }
}

const NUMBERS = [
  'lagThreshold',
  'activationLagThreshold',
  'minReplicaCount',
  'maxReplicaCount',
  'idleReplicaCount',
  'tolerance'
]
const FLAGS = [
  'allowIdleConsumers',
  'excludePersistentLag',
  'scaleToZeroOnInvalidOffset',
  'limitToPartitionsWithLag',
  'ensureEvenDistributionOfPartitions'
]
const TEXTS = ['topic', 'partitionLimitation']
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  offsetResetPolicy: ['latest', 'earliest'],
  metricType: ['AverageValue', 'Value']
}

/**
 * Options as KEDA's trigger has them: text; and `drainSeconds`. What is not one is refused, lest a misspelled option is
 * taken for set.
 *
 * @throws PipelineError `ERR_OPS_KEDA_INVALID`.
 */
export function readKedaOptions(query: URLSearchParams): { options: KedaOptions; drainSeconds: number } {
  const found: Record<string, string | number | boolean> = {}
  let drainSeconds = DRAIN_SECONDS
  for (const [name, value] of query) {
    const number = value.trim() === '' ? Number.NaN : Number(value)
    if (name === 'drainSeconds' && number > 0) drainSeconds = number
    else if (NUMBERS.includes(name) && !Number.isNaN(number)) found[name] = number
    else if (FLAGS.includes(name) && (value === 'true' || value === 'false')) found[name] = value === 'true'
    else if (TEXTS.includes(name) || CHOICES[name]?.includes(value) === true) found[name] = value
    else throw new PipelineError('ERR_OPS_KEDA_INVALID', `${name}=${value} is no option of KEDA’s kafka trigger`)
  }
  // Checked above: every name is one of KEDA's, with a value of its type.
  return { options: found as KedaOptions, drainSeconds }
}

function burrow(steps: readonly string[], path: string, state: EndpointState): EndpointAnswer {
  const request = { url: path, host: 'comporta' }
  const answer = (status: number, value: object): EndpointAnswer => json(status, { ...value, request })
  const missing = (message: string): EndpointAnswer => answer(404, { error: true, message })
  const report = fresh(state)
  if (report === undefined) return answer(503, { error: true, message: 'there is no fresh look' })
  const [cluster, kind, groupId, question] = steps
  if (cluster === undefined)
    return answer(200, { error: false, message: 'cluster list returned', clusters: [state.cluster] })
  if (cluster !== state.cluster) return missing('cluster not found')
  if (kind !== 'consumer') return missing('not found')
  if (groupId === undefined) {
    const consumers = report.groups.map(each => each.groupId)
    return answer(200, { error: false, message: 'consumer list returned', consumers })
  }
  const group = report.groups.find(each => each.groupId === groupId)
  if (group === undefined) return missing('cluster or consumer not found')
  if (question !== 'status' && question !== 'lag') return missing('not found')
  const status = burrowStatus(group, { cluster, takenAtMs: report.takenAtMs, isWhole: question === 'lag' })
  return answer(200, { error: false, message: 'consumer status returned', status })
}

interface BurrowContext {
  readonly cluster: string
  readonly takenAtMs: number
  readonly isWhole: boolean
}

function burrowStatus(group: GroupLag, { cluster, takenAtMs, isWhole }: BurrowContext): object {
  const partition = (each: PartitionLag): object => ({
    topic: each.topic,
    partition: each.partition,
    owner: each.owner,
    client_id: '',
    status: burrowWord(each.status),
    // Burrow's window is not kept in a report: its newest end is what is known.
    start: null,
    end:
      each.committed === undefined
        ? null
        : { offset: Number(each.committed), timestamp: takenAtMs, observedAt: takenAtMs, lag: Number(each.lagRecords) },
    current_lag: Number(each.lagRecords),
    complete: group.complete
  })
  const { worst } = group
  const most = group.partitions.find(each => each.topic === worst?.topic && each.partition === worst.partition)
  const shown = isWhole ? group.partitions : group.partitions.filter(each => burrowWord(each.status) !== 'OK')
  return {
    cluster,
    group: group.groupId,
    status: group.status === 'NONE' ? 'NOTFOUND' : group.status,
    complete: group.complete,
    partitions: shown.map(partition),
    partition_count: group.partitions.length,
    maxlag: most === undefined ? null : partition(most),
    totallag: Number(group.lagRecords)
  }
}

function burrowWord(status: PartitionStatus): string {
  return status === 'NONE' ? 'OK' : status
}

/** Burrow's numbers for statuses. Source: Burrow `core/protocol/evaluator.go`. */
const STATUS_NUMBER: Readonly<Record<PartitionStatus | GroupStatus, number>> = {
  NONE: 0,
  OK: 1,
  WARN: 2,
  ERR: 3,
  STOP: 4,
  STALL: 5,
  REWIND: 6
}

interface Series {
  readonly name: string
  readonly help: string
  readonly lines: string[]
}

/** Lines of Prometheus' text format. */
export function metricsOf({ report, ageMs, cluster, seriesMax }: EndpointState): string {
  const all = new Map<string, Series>()
  let left = seriesMax
  const add = (
    name: string,
    help: string,
    point: { readonly labels: string; readonly value: number | undefined }
  ): void => {
    if (point.value === undefined || left <= 0) return
    left -= 1
    const series = all.get(name) ?? { name, help, lines: [] }
    series.lines.push(`${name}{${point.labels}} ${point.value}`)
    all.set(name, series)
  }
  const own = label('cluster_name', cluster)
  add('comporta_lag_look_age_seconds', 'Age of the look that these numbers are from', {
    labels: own,
    value: ageMs / 1000
  })
  // Groups first: where the limit cuts, it cuts partitions.
  for (const group of report?.groups ?? []) groupSeries(group, cluster, add)
  for (const group of report?.groups ?? []) {
    for (const partition of group.partitions) partitionSeries({ group, partition, cluster }, add)
  }
  const text = [...all.values()].map(
    ({ name, help, lines }) => `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join('\n')}\n`
  )
  return text.join('')
}

type Add = (name: string, help: string, point: { readonly labels: string; readonly value: number | undefined }) => void

function groupSeries(group: GroupLag, cluster: string, add: Add): void {
  if (group.problem !== undefined) return
  const exporter = `${label('cluster_name', cluster)},${label('group', group.groupId)}`
  const burrowLabels = `${label('cluster', cluster)},${label('consumer_group', group.groupId)}`
  const maxLag = group.partitions.reduce((most, { lagRecords }) => Math.max(most, Number(lagRecords)), 0)
  const sum = Number(group.lagRecords)
  const [maxSeconds, seconds] = ['kafka_consumergroup_group_max_lag_seconds', group.lagSeconds] as const
  add(maxSeconds, 'Max group time lag', { labels: exporter, value: seconds })
  add('kafka_consumergroup_group_max_lag', 'Max group offset lag', { labels: exporter, value: maxLag })
  add('kafka_consumergroup_group_sum_lag', 'Sum of group offset lag', { labels: exporter, value: sum })
  add('burrow_kafka_consumer_lag_total', 'The sum of all partition current lag values for the group', {
    labels: burrowLabels,
    value: sum
  })
  add('burrow_kafka_consumer_status', 'The status of the consumer group', {
    labels: burrowLabels,
    value: STATUS_NUMBER[group.status]
  })
}

interface PartitionPoint {
  readonly group: GroupLag
  readonly partition: PartitionLag
  readonly cluster: string
}

function partitionSeries({ group, partition: each, cluster }: PartitionPoint, add: Add): void {
  if (group.problem !== undefined || !each.isKnown) return
  const place = `${label('topic', each.topic)},${label('partition', String(each.partition))}`
  const exporter = `${label('cluster_name', cluster)},${label('group', group.groupId)},${place}`
  const burrowLabels = `${label('cluster', cluster)},${label('consumer_group', group.groupId)},${place}`
  const committed = each.committed === undefined ? undefined : Number(each.committed)
  const lag = Number(each.lagRecords)
  add('kafka_consumergroup_group_lag', 'Group offset lag of a partition', { labels: exporter, value: lag })
  add('kafka_consumergroup_group_lag_seconds', 'Group time lag of a partition', {
    labels: exporter,
    value: each.lagSeconds
  })
  add('kafka_consumergroup_group_offset', 'Last group consumed offset of a partition', {
    labels: exporter,
    value: committed
  })
  add('burrow_kafka_consumer_partition_lag', 'The latest lag for the partition', { labels: burrowLabels, value: lag })
  add('burrow_kafka_consumer_current_offset', 'Latest offset of the consumer group', {
    labels: burrowLabels,
    value: committed
  })
}

function label(name: string, value: string): string {
  return `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}
