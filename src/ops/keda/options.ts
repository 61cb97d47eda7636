/**
 * The options of KEDA's `kafka` trigger, their defaults, and what KEDA refuses.
 *
 * Names are KEDA's own, so that a trigger's metadata can be copied as it is.
 * Source: https://keda.sh/docs/latest/scalers/apache-kafka/ and KEDA's
 * `pkg/scalers/kafka_scaler.go`.
 */

import { PipelineError } from '../../core/index.ts'

/** Options of the trigger, and those of the ScaledObject around it that decide on replicas. */
export interface KedaOptions {
  /** Records of lag that one replica is for. Integer > 0. Default 10. */
  readonly lagThreshold?: number
  /** The lag that wakes a deployment at zero: it is active above it. Integer ≥ 0. Default 0. */
  readonly activationLagThreshold?: number
  /** Where the consumers begin without a commit. Default `latest`. */
  readonly offsetResetPolicy?: 'latest' | 'earliest'
  /** Whether there may be more replicas than partitions. Default `false`. */
  readonly allowIdleConsumers?: boolean
  /** Whether a partition whose committed offset stands still counts nothing for scaling. Default `false`. */
  readonly excludePersistentLag?: boolean
  /** Whether a partition without a commit counts nothing. Default `false`: one record, or all with `earliest`. */
  readonly scaleToZeroOnInvalidOffset?: boolean
  /** Whether there are at most as many replicas as partitions that have a lag. Needs `topic`. Default `false`. */
  readonly limitToPartitionsWithLag?: boolean
  /** Whether the number of replicas divides the number of partitions. Needs `topic`. Default `false`. */
  readonly ensureEvenDistributionOfPartitions?: boolean
  /** The one topic that is looked at. Default: every topic that the group has committed to. */
  readonly topic?: string
  /** Numbers and ranges of partitions, `1,3-5`. Default: all. KEDA ignores it without `topic`. */
  readonly partitionLimitation?: string
  /** Replicas at least; 0 lets an inactive deployment sleep. Default 0. Source: ScaledObject `minReplicaCount`. */
  readonly minReplicaCount?: number
  /** Replicas at most. Default 100. Source: ScaledObject `maxReplicaCount`. */
  readonly maxReplicaCount?: number
  /** Replicas while inactive, below `minReplicaCount`. Source: ScaledObject `idleReplicaCount`. */
  readonly idleReplicaCount?: number
  /**
   * How the autoscaler reads the metric: `AverageValue` = total ÷ threshold, `Value` = replicas now × that.
   * Default `AverageValue`, as KEDA's.
   */
  readonly metricType?: 'AverageValue' | 'Value'
  /** How far from 1 the ratio may be before the autoscaler acts. 0 to 1. Default 0.1, as Kubernetes'. */
  readonly tolerance?: number
}

/** All options with their defaults. */
export type KedaSettings = Required<Omit<KedaOptions, 'topic' | 'idleReplicaCount' | 'partitionLimitation'>> &
  Pick<KedaOptions, 'topic' | 'idleReplicaCount'> & {
    /** Ranges, both ends included; empty = all partitions. */
    readonly partitionRanges: readonly (readonly [number, number])[]
  }

const DEFAULTS = {
  lagThreshold: 10,
  activationLagThreshold: 0,
  offsetResetPolicy: 'latest',
  allowIdleConsumers: false,
  excludePersistentLag: false,
  scaleToZeroOnInvalidOffset: false,
  limitToPartitionsWithLag: false,
  ensureEvenDistributionOfPartitions: false,
  minReplicaCount: 0,
  maxReplicaCount: 100,
  metricType: 'AverageValue',
  tolerance: 0.1
} as const satisfies KedaOptions

/** What KEDA would refuse, one sentence each; empty = nothing. */
export function kedaProblems(options: KedaOptions): string[] {
  return [...numberProblems({ ...DEFAULTS, ...options }), ...pairProblems(options), ...rangesOf(options).problems]
}

/**
 * The options with KEDA's defaults.
 *
 * @throws PipelineError `ERR_OPS_KEDA_INVALID` for what KEDA would refuse.
 */
export function kedaSettings(options: KedaOptions): KedaSettings {
  const problems = kedaProblems(options)
  if (problems.length > 0) throw new PipelineError('ERR_OPS_KEDA_INVALID', `KEDA refuses this: ${problems.join('; ')}`)
  const { partitionLimitation: _, ...rest } = options
  // KEDA ignores the limitation where it is not said which topic it is of.
  const partitionRanges = options.topic === undefined ? [] : rangesOf(options).ranges
  return { ...DEFAULTS, ...rest, partitionRanges }
}

type Numbers = Pick<KedaOptions, 'idleReplicaCount'> &
  Required<
    Pick<KedaOptions, 'lagThreshold' | 'activationLagThreshold' | 'minReplicaCount' | 'maxReplicaCount' | 'tolerance'>
  >

function numberProblems(given: Numbers): string[] {
  const { lagThreshold, activationLagThreshold, minReplicaCount, maxReplicaCount, idleReplicaCount, tolerance } = given
  const found: string[] = []
  if (!Number.isSafeInteger(lagThreshold) || lagThreshold <= 0) found.push('lagThreshold must be an integer above 0')
  if (!Number.isSafeInteger(activationLagThreshold) || activationLagThreshold < 0) {
    found.push('activationLagThreshold must be an integer, 0 or more')
  }
  if (!isCount(minReplicaCount)) found.push('minReplicaCount must be an integer, 0 or more')
  if (!isCount(maxReplicaCount) || maxReplicaCount < 1) found.push('maxReplicaCount must be an integer, 1 or more')
  if (minReplicaCount > maxReplicaCount) found.push('minReplicaCount is above maxReplicaCount')
  if (idleReplicaCount !== undefined && (!isCount(idleReplicaCount) || idleReplicaCount >= minReplicaCount)) {
    found.push('idleReplicaCount must be an integer below minReplicaCount')
  }
  if (!(tolerance >= 0 && tolerance <= 1)) found.push('tolerance must be between 0 and 1')
  return found
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function pairProblems(options: KedaOptions): string[] {
  const { topic, allowIdleConsumers, limitToPartitionsWithLag, ensureEvenDistributionOfPartitions } = options
  const found: string[] = []
  if (allowIdleConsumers === true && limitToPartitionsWithLag === true) {
    found.push('allowIdleConsumers and limitToPartitionsWithLag exclude each other')
  }
  if (limitToPartitionsWithLag === true && ensureEvenDistributionOfPartitions === true) {
    found.push('limitToPartitionsWithLag and ensureEvenDistributionOfPartitions exclude each other')
  }
  const hasTopic = topic !== undefined && topic !== ''
  if (limitToPartitionsWithLag === true && !hasTopic) found.push('limitToPartitionsWithLag needs a topic')
  if (ensureEvenDistributionOfPartitions === true && !hasTopic) {
    found.push('ensureEvenDistributionOfPartitions needs a topic')
  }
  return found
}

const range = /^(\d{1,10})(?:\s*-\s*(\d{1,10}))?$/

function rangesOf({ partitionLimitation = '' }: KedaOptions): { ranges: [number, number][]; problems: string[] } {
  const ranges: [number, number][] = []
  const problems: string[] = []
  if (partitionLimitation.trim() === '') return { ranges, problems }
  for (const part of partitionLimitation.split(',')) {
    const found = range.exec(part.trim())
    const from = Number(found?.[1])
    const to = Number(found?.[2] ?? found?.[1])
    if (Number.isNaN(from) || to > 0x7fff_ffff) {
      problems.push(`partitionLimitation has "${part.trim()}", which is neither a partition nor a range such as 3-5`)
    } else ranges.push([from, to])
  }
  return { ranges, problems }
}
