/** A scenario from a pipeline file: what the file says, and for the rest assumptions that measured figures replace. */

import { type PipelineConfig, simulationConfig, type SimulationInput } from '../../config/index.ts'
import type { Calibration } from './calibration.ts'
import type { SimulationScenario } from './simulation-types.ts'

/** What the file does not say. */
export interface PipelineAssumptions {
  /** Records per second of all topics together. Default: the producer's rate limit, or 1,000. */
  readonly recordsPerSecond?: number
  /** Mean size of a record. Default 200. */
  readonly recordBytes?: number
  /** Instances of the dispatcher. Default 1. */
  readonly instances?: number
  /** Simulated seconds. Default 3600. */
  readonly durationS?: number
  /** Of the topics together, as the cluster has them. Default: those of the file, or 12 for each topic. */
  readonly partitions?: number
  /** Measured times. */
  readonly calibration?: Calibration
}

/** Partitions of a topic of which the file says nothing. */
const PARTITIONS_DEFAULT = 12

/**
 * The dispatcher of a pipeline file as a scenario. The topics become one, with
 * the partitions of all.
 */
export function scenarioOfPipeline(pipeline: PipelineConfig, assumed: PipelineAssumptions = {}): SimulationScenario {
  const { dispatcher, producer, topics } = pipeline
  const names = dispatcher?.topics ?? Object.keys(topics)
  const partitions = names.reduce((sum, name) => sum + (topics[name]?.partitions ?? PARTITIONS_DEFAULT), 0)
  const { calibration } = assumed
  return simulationConfig({
    name: pipeline.name,
    duration: assumed.durationS ?? 3600,
    arrival: { recordsPerSecond: assumed.recordsPerSecond ?? producer?.rate?.recordsPerSecond ?? 1000 },
    topic: {
      name: names.join(', '),
      partitions: assumed.partitions ?? Math.max(1, partitions),
      recordBytes: assumed.recordBytes ?? 200
    },
    group: {
      instances: assumed.instances ?? 1,
      concurrency: dispatcher?.concurrency ?? 10,
      order: dispatcher?.order ?? 'partition',
      batchesPerPartitionMax: dispatcher?.batchesPerPartitionMax ?? 4,
      batch: {
        recordsMax: dispatcher?.batch.recordsMax ?? 500,
        bytesMax: dispatcher?.batch.bytesMax ?? 5_242_880,
        ageMs: dispatcher?.batch.ageMs ?? 1000
      },
      protocol: protocolOf(dispatcher),
      isStatic: dispatcher?.groupInstanceId !== undefined,
      sessionTimeoutMs: dispatcher?.sessionTimeoutMs ?? 45_000,
      memory: { bufferBytes: dispatcher?.bufferBytes ?? 16_777_216 },
      ...(calibration === undefined
        ? {}
        : {
            overheadMs: calibration.overheadMs,
            cpu: { perBatchMs: calibration.cpuPerBatchMs, perRecordUs: calibration.cpuPerRecordUs },
            ...(calibration.rebalanceMs === undefined ? {} : { rebalanceMs: Math.round(calibration.rebalanceMs) })
          })
    },
    target: {
      ...(calibration === undefined ? {} : { baseMs: calibration.baseMs, perRecordUs: calibration.perRecordUs }),
      ...targetOf(pipeline),
      breaker: {
        failuresMax: dispatcher?.breaker.failuresMax ?? 5,
        openMs: dispatcher?.breaker.openMs ?? 5000
      }
    }
  })
}

/** What the file says of the target: its time-out, and of a function in this runtime how many run at once. */
function targetOf({ dispatcher, lambda }: PipelineConfig): NonNullable<SimulationInput['target']> {
  const target = dispatcher?.target
  const timeoutMs = target !== undefined && 'timeoutMs' in target ? { timeoutMs: target.timeoutMs } : {}
  if (target?.type !== 'lambda' || target.endpoint !== undefined || lambda?.runtime !== 'embedded') return timeoutMs
  const [name = ''] = target.functionName.split(':')
  const found = Object.hasOwn(lambda.functions, name) ? lambda.functions[name] : undefined
  if (found === undefined || found.concurrency === 0) return timeoutMs
  return { timeoutMs: found.timeoutMs, concurrencyMax: found.concurrency, memoryMb: found.memoryMb }
}

/** What neither the file nor a measurement says, one sentence each. */
export function assumptionsOf(pipeline: PipelineConfig, assumed: PipelineAssumptions): string[] {
  const { arrival, topic, group, target } = scenarioOfPipeline(pipeline, assumed)
  const limit = pipeline.producer?.rate?.recordsPerSecond === undefined ? '' : ', the limit of the producer'
  const rate = `${String(arrival.recordsPerSecond)} records/s${limit} (--rate, --set arrival.recordsPerSecond)`
  return [
    ...(assumed.recordsPerSecond === undefined ? [rate] : []),
    ...(assumed.recordBytes === undefined ? [`${topic.recordBytes} bytes a record (--set topic.recordBytes)`] : []),
    ...(assumed.instances === undefined ? [`${group.instances} instance (--instances, --set group.instances)`] : []),
    ...(assumed.calibration === undefined
      ? [`${target.baseMs} ms an invocation (--calibrate, or --set target.baseMs)`]
      : []),
    ...(topic.backlog === 0 ? ['nothing waits at the start (--set topic.backlog)'] : [])
  ]
}

function protocolOf(dispatcher: PipelineConfig['dispatcher']): 'eager' | 'cooperative' | 'consumer' {
  if (dispatcher?.groupProtocol === 'consumer') return 'consumer'
  return dispatcher?.assignors.every(name => name !== 'cooperative-sticky') === true ? 'eager' : 'cooperative'
}
