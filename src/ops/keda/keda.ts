/**
 * What KEDA's `kafka` trigger makes of a group's lag, and how many replicas the
 * autoscaler behind it wants: KEDA's own arithmetic, odd corners included, so
 * that a cluster without KEDA decides the same, and one with KEDA can be
 * explained. Pure: what KEDA remembers between polls is passed in and out.
 *
 * Corners that are KEDA's: with `earliest` a partition without a commit counts
 * the whole offset of its end, deleted history included; a commit above the end
 * counts negative; the cap compares whole multiples of the threshold, so that a
 * lag of 35 with a threshold of 10 on 3 partitions still asks for 4 replicas; a
 * partition whose end is not known counts neither as lag nor as a partition.
 * Source: KEDA `pkg/scalers/kafka_scaler.go`, `pkg/scaling/executor`; the
 * formula of Kubernetes' HorizontalPodAutoscaler.
 */

import { partitionKeyOf, type TopicPartition } from '../../client/index.ts'
import { type KedaOptions, type KedaSettings, kedaSettings } from './options.ts'

/** One partition, as KEDA would see it. */
export interface KedaPartition extends TopicPartition {
  /** Next record to read; `undefined` or -1n = nothing committed. */
  readonly committed: bigint | undefined
  /** Next offset to be written; `undefined` = the leader did not say. */
  readonly endOffset: bigint | undefined
  /** Why Kafka refused to say the committed offset: KEDA then has no metric at all. */
  readonly problem?: string
}

/** What a decision is made of. */
export interface KedaInput {
  readonly options?: KedaOptions
  readonly partitions: readonly KedaPartition[]
  /** `KedaDecision.offsets` of the poll before. Default: the first poll. */
  readonly previous?: ReadonlyMap<string, bigint>
  /** Replicas now; with it the autoscaler's tolerance counts. */
  readonly currentReplicas?: number
}

/** What stopped the number of replicas from following the lag. */
export type KedaLimit =
  | 'none'
  | 'partitions'
  | 'partitionsWithLag'
  | 'evenDistribution'
  | 'minReplicaCount'
  | 'maxReplicaCount'
  | 'inactive'
  | 'tolerance'
  | 'problem'

/** What KEDA would say. */
export interface KedaDecision {
  /** The value of the metric, after all caps. */
  readonly metric: bigint
  /** What decides on activation: nothing excluded, no caps. */
  readonly lagWithPersistent: bigint
  readonly isActive: boolean
  /** Replicas that the autoscaler wants. */
  readonly replicas: number
  /** Partitions that count. */
  readonly partitionCount: number
  readonly partitionsWithLag: number
  readonly limitedBy: KedaLimit
  /** One sentence on how it came to be. */
  readonly reason: string
  /** What KEDA remembers: pass it to the next decision. */
  readonly offsets: ReadonlyMap<string, bigint>
  /** Why there is no metric; the replicas then stay as they are. */
  readonly problem?: string
}

/**
 * Decides as KEDA does.
 *
 * @throws PipelineError `ERR_OPS_KEDA_INVALID` for options that KEDA refuses.
 */
export function kedaReplicas(input: KedaInput): KedaDecision {
  const settings = kedaSettings(input.options ?? {})
  const offsets = new Map(input.previous)
  const active = input.partitions.filter(partition => isLookedAt(partition, settings))
  const problem = problemOf(active, settings)
  if (problem !== undefined) return withoutMetric(problem, input, settings)
  const counted = active.filter(({ endOffset }) => endOffset !== undefined)
  const sum = { lag: 0n, lagWithPersistent: 0n, partitionsWithLag: 0 }
  for (const partition of counted) {
    const { lag, lagWithPersistent } = lagOf(partition, settings, offsets)
    sum.lag += lag
    sum.lagWithPersistent += lagWithPersistent
    if (lag > 0n) sum.partitionsWithLag += 1
  }
  const capped = cap(sum.lag, { settings, partitionCount: counted.length, partitionsWithLag: sum.partitionsWithLag })
  const isActive = sum.lagWithPersistent > BigInt(settings.activationLagThreshold)
  const wanted = replicasOf(capped, { settings, isActive, currentReplicas: input.currentReplicas })
  return {
    metric: capped.metric,
    lagWithPersistent: sum.lagWithPersistent,
    isActive,
    partitionCount: counted.length,
    partitionsWithLag: sum.partitionsWithLag,
    offsets,
    ...wanted
  }
}

function isLookedAt({ topic, partition }: KedaPartition, { topic: wanted, partitionRanges }: KedaSettings): boolean {
  if (wanted === undefined || wanted === '') return true
  if (topic !== wanted) return false
  return partitionRanges.length === 0 || partitionRanges.some(([from, to]) => partition >= from && partition <= to)
}

function problemOf(partitions: readonly KedaPartition[], { topic }: KedaSettings): string | undefined {
  if (partitions.length === 0) return topic === undefined ? undefined : `topic ${topic} has no partition to look at`
  const failed = partitions.find(({ problem }) => problem !== undefined)
  return failed && `the committed offset of ${failed.topic}-${failed.partition} is not known: ${failed.problem}`
}

function withoutMetric(problem: string, input: KedaInput, settings: KedaSettings): KedaDecision {
  return {
    metric: 0n,
    lagWithPersistent: 0n,
    isActive: false,
    replicas: input.currentReplicas ?? settings.minReplicaCount,
    partitionCount: 0,
    partitionsWithLag: 0,
    limitedBy: 'problem',
    reason: `no metric, so the replicas stay: ${problem}`,
    offsets: new Map(input.previous),
    problem
  }
}

interface Lag {
  readonly lag: bigint
  readonly lagWithPersistent: bigint
}

function lagOf(partition: KedaPartition, settings: KedaSettings, offsets: Map<string, bigint>): Lag {
  const { committed = -1n, endOffset = 0n } = partition
  if (committed === -1n) {
    const lag = settings.offsetResetPolicy === 'latest' ? 1n : endOffset
    return settings.scaleToZeroOnInvalidOffset ? both(0n) : both(lag)
  }
  const lag = endOffset - committed
  if (!settings.excludePersistentLag) return both(lag)
  const key = partitionKeyOf(partition)
  if (offsets.get(key) === committed) return { lag: 0n, lagWithPersistent: lag }
  offsets.set(key, committed)
  return both(lag)
}

function both(lag: bigint): Lag {
  return { lag, lagWithPersistent: lag }
}

interface Capped {
  readonly metric: bigint
  readonly limitedBy: KedaLimit
}

interface CapInput {
  readonly settings: KedaSettings
  readonly partitionCount: number
  readonly partitionsWithLag: number
}

function cap(lag: bigint, { settings, partitionCount, partitionsWithLag }: CapInput): Capped {
  const { allowIdleConsumers, limitToPartitionsWithLag, ensureEvenDistributionOfPartitions } = settings
  if (allowIdleConsumers && !ensureEvenDistributionOfPartitions) return { metric: lag, limitedBy: 'none' }
  const threshold = BigInt(settings.lagThreshold)
  let capped: Capped = { metric: lag, limitedBy: 'none' }
  if (ensureEvenDistributionOfPartitions) {
    const metric = BigInt(evenReplicas(lag, partitionCount, threshold)) * threshold
    capped = { metric, limitedBy: metric === lag ? 'none' : 'evenDistribution' }
  }
  const most = BigInt(limitToPartitionsWithLag ? partitionsWithLag : partitionCount)
  // Whole multiples, as KEDA divides integers: a remainder above the cap stays.
  if (capped.metric / threshold <= most) return capped
  return { metric: most * threshold, limitedBy: limitToPartitionsWithLag ? 'partitionsWithLag' : 'partitions' }
}

/** The smallest divisor of the number of partitions that is enough for the lag; all of them if none is. */
function evenReplicas(lag: bigint, partitionCount: number, threshold: bigint): number {
  for (let count = 1; count <= partitionCount; count += 1) {
    if (partitionCount % count === 0 && BigInt(count) * threshold >= lag) return count
  }
  return partitionCount
}

interface ReplicasInput {
  readonly settings: KedaSettings
  readonly isActive: boolean
  readonly currentReplicas: number | undefined
}

type Replicas = Pick<KedaDecision, 'replicas' | 'limitedBy' | 'reason'>

function replicasOf(capped: Capped, { settings, isActive, currentReplicas }: ReplicasInput): Replicas {
  const { minReplicaCount, maxReplicaCount, idleReplicaCount, lagThreshold } = settings
  if (!isActive && (minReplicaCount === 0 || idleReplicaCount !== undefined)) {
    const replicas = idleReplicaCount ?? 0
    const reason =
      `nothing above activationLagThreshold ${settings.activationLagThreshold}: ${replicas} ` + 'after the cool-down'
    return { replicas, limitedBy: 'inactive', reason }
  }
  const formula = formulaOf(capped.metric, settings, currentReplicas)
  const kept = keptBy(formula.ratio, settings, currentReplicas)
  const wanted = kept ?? formula.replicas
  const least = Math.max(1, minReplicaCount)
  const replicas = Math.min(maxReplicaCount, Math.max(least, wanted))
  const sum = `lag ${capped.metric} ÷ ${lagThreshold} = ${formula.replicas}`
  if (wanted > maxReplicaCount) return { replicas, limitedBy: 'maxReplicaCount', reason: `${sum}, at most ${replicas}` }
  if (wanted < least) return { replicas, limitedBy: 'minReplicaCount', reason: `${sum}, at least ${replicas}` }
  if (kept !== undefined) {
    return { replicas, limitedBy: 'tolerance', reason: `${sum}, within the tolerance of what is there: ${replicas}` }
  }
  return { replicas, limitedBy: capped.limitedBy, reason: `${sum}${sentences[capped.limitedBy] ?? ''}` }
}

const sentences: Partial<Record<KedaLimit, string>> = {
  partitions: ', capped at the number of partitions',
  partitionsWithLag: ', capped at the number of partitions with a lag',
  evenDistribution: ', rounded up to a divisor of the number of partitions'
}

interface Formula {
  readonly replicas: number
  /** Load against target; 1 = as it should be. `undefined` without replicas now. */
  readonly ratio: number | undefined
}

function formulaOf(metric: bigint, { lagThreshold, metricType }: KedaSettings, current: number | undefined): Formula {
  const needed = Number(metric) / lagThreshold
  if (metricType === 'AverageValue') {
    return { replicas: Math.ceil(needed), ratio: current === undefined ? undefined : needed / Math.max(1, current) }
  }
  return { replicas: Math.ceil(needed * Math.max(1, current ?? 1)), ratio: current === undefined ? undefined : needed }
}

function keptBy(ratio: number | undefined, settings: KedaSettings, current: number | undefined): number | undefined {
  // At zero, or idle, it is KEDA that wakes the deployment, not the autoscaler with its tolerance.
  if (ratio === undefined || current === undefined || current === 0) return undefined
  return Math.abs(ratio - 1) <= settings.tolerance ? current : undefined
}
