/** A scenario from a pipeline file: what the file says, and for the rest assumptions that measured figures replace. */

import { type PipelineConfig, simulationConfig } from '../../config/index.ts'
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
      ...(dispatcher === undefined || !('timeoutMs' in dispatcher.target)
        ? {}
        : { timeoutMs: dispatcher.target.timeoutMs }),
      breaker: {
        failuresMax: dispatcher?.breaker.failuresMax ?? 5,
        openMs: dispatcher?.breaker.openMs ?? 5000
      }
    }
  })
}

function protocolOf(dispatcher: PipelineConfig['dispatcher']): 'eager' | 'cooperative' | 'consumer' {
  if (dispatcher?.groupProtocol === 'consumer') return 'consumer'
  return dispatcher?.assignors.every(name => name !== 'cooperative-sticky') === true ? 'eager' : 'cooperative'
}
