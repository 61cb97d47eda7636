/** From the pipeline file to what is priced: what the file says counts, then `operations.cost`, then flags. */

import type { CostConfig, PipelineConfig } from '../../config/index.ts'
import type { CostWorkload } from './workload-types.ts'

/** What stands above the pipeline file: flags, and what was measured. */
export interface WorkloadOverrides {
  readonly recordsPerSecond?: number | undefined
  readonly recordBytes?: number | undefined
  readonly partitions?: number | undefined
  readonly retentionHours?: number | undefined
  readonly readers?: number | undefined
  readonly recordsMax?: number | undefined
  readonly ageMs?: number | undefined
  readonly invoker?: CostWorkload['invoker'] | undefined
  readonly cluster?: Partial<CostWorkload['cluster']> | undefined
}

/** The users' running example, for who has neither a pipeline file nor a measurement. */
const exampleRecordsPerSecond = 13_000
const defaultPartitions = 12
const defaultMemoryMb = 512
const hourMs = 3_600_000

/** Makes the workload. A setting that is given nowhere has the default of `operations.cost`. */
export function workloadOf(
  cost: CostConfig,
  pipeline: PipelineConfig | undefined,
  given: WorkloadOverrides = {}
): CostWorkload {
  const { dispatcher } = pipeline ?? {}
  const topics = dispatcher?.topics ?? Object.keys(pipeline?.topics ?? {})
  const rate = cost.recordsPerSecond ?? pipeline?.producer?.rate?.recordsPerSecond ?? exampleRecordsPerSecond
  return {
    recordsPerSecond: given.recordsPerSecond ?? rate,
    recordBytes: given.recordBytes ?? cost.recordBytes,
    peakFactor: cost.peakFactor,
    compressionRatio: cost.compressionRatio,
    retentionHours: given.retentionHours ?? retentionOf(pipeline, topics) ?? cost.retentionHours,
    replicationFactor: cost.replicationFactor,
    partitions: given.partitions ?? partitionsOf(pipeline, topics),
    readers: given.readers ?? cost.readers,
    isRackAware: cost.rackAware,
    cluster: { ...cost.cluster, ...given.cluster },
    dispatcher: cost.dispatcher,
    invoker: given.invoker ?? cost.invoker,
    function: {
      ...cost.function,
      memoryMb: cost.function.memoryMb ?? functionMemory(pipeline) ?? defaultMemoryMb,
      recordsMax: given.recordsMax ?? dispatcher?.batch.recordsMax ?? 500,
      ageMs: given.ageMs ?? dispatcher?.batch.ageMs ?? 1000
    }
  }
}

function partitionsOf(pipeline: PipelineConfig | undefined, topics: readonly string[]): number {
  const sum = topics.reduce((total, topic) => total + (pipeline?.topics[topic]?.partitions ?? 0), 0)
  return sum === 0 ? defaultPartitions : sum
}

/** The longest `retention.ms` that the file sets for the topics. */
function retentionOf(pipeline: PipelineConfig | undefined, topics: readonly string[]): number | undefined {
  const values = topics.flatMap(topic => {
    const value = Number(pipeline?.topics[topic]?.config['retention.ms'])
    return value > 0 ? [value / hourMs] : []
  })
  return values.length === 0 ? undefined : Math.max(...values)
}

function functionMemory(pipeline: PipelineConfig | undefined): number | undefined {
  const target = pipeline?.dispatcher?.target
  if (target?.type !== 'lambda') return undefined
  return pipeline?.lambda?.functions[target.functionName]?.memoryMb
}
