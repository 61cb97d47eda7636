/**
 * The words of the simulator: what goes in, what comes out.
 *
 * Times are seconds from the start of the simulation. Records are counted, not
 * made: in the `fluid` mode counts may have fractions.
 */

import type { SimulationConfig } from '../../config/index.ts'

/** What is simulated: a simulation file as read, defaults filled in (`simulationConfig({...})`). */
export type SimulationScenario = SimulationConfig

/** What a scaling policy sees. */
export interface ScaleView {
  /** Seconds from the start. */
  readonly timeS: number
  /** Records that wait or are under way, all partitions together. */
  readonly lag: number
  /** Age of the oldest of them, in seconds. */
  readonly lagSeconds: number
  /** Records per second since the last look. */
  readonly arrivalPerSecond: number
  readonly servicePerSecond: number
  /** Instances that there should be, those that boot or restart included. */
  readonly instances: number
  /** Instances in the group. */
  readonly instancesReady: number
  readonly partitions: number
  /** Waiting records of each partition. */
  readonly partitionLags: Float64Array
  /** Records of each that have come, and that are done, since the start. */
  readonly partitionEnds: Float64Array
  readonly partitionDone: Float64Array
  /** Age of the oldest waiting record of each, in seconds. */
  readonly partitionLagSeconds: Float64Array
  /** Number of the instance that owns each; -1 if none does. */
  readonly partitionOwners: Int32Array
  /** Numbers of the instances in the group. */
  readonly members: readonly number[]
  /** Mean time of an invocation since the last look, in milliseconds; `undefined` if there was none. */
  readonly targetMs: number | undefined
  /** Records per second that one instance can do with full batches, by the model, now. */
  readonly perInstancePerSecond: number
  readonly isRebalancing: boolean
}

/** How many instances there should be. */
export type ScaleDecider = (view: ScaleView) => number

/** What a program may give beside the scenario. */
export interface SimulationHooks {
  /** Decides where the scenario says `autoscale: { policy: hook }`, and instead of any other policy. */
  readonly decide?: ScaleDecider
}

/** Samples over time: equally long lists, one entry per sample. */
export interface SimulationSeries {
  /** Seconds from the start. */
  readonly timesS: readonly number[]
  /** Records in the log that are not done: waiting, in a batch or at the target. */
  readonly lag: readonly number[]
  /** Age of the oldest of them over all partitions, in seconds. */
  readonly lagSeconds: readonly number[]
  /** Records per second that came, since the sample before. */
  readonly arrival: readonly number[]
  /** Records per second that were done, since the sample before. */
  readonly service: readonly number[]
  /** Instances in the group. */
  readonly instances: readonly number[]
  /** Invocations of the target that ended, since the sample before. */
  readonly invocations: readonly number[]
  /** Mean time of an invocation in ms, since the sample before; 0 if there was none. */
  readonly targetMs: readonly number[]
  /** Bytes that the largest instance (or the engine) needs. */
  readonly memoryBytes: readonly number[]
  /** Records lost to retention since the start. */
  readonly lost: readonly number[]
}

/** What happened, in words. */
export interface SimulationMoment {
  readonly atS: number
  readonly kind: 'event' | 'rebalance' | 'target' | 'alert' | 'scale' | 'lag' | 'loss' | 'memory' | 'normal'
  readonly text: string
}

/** The figures of a run. */
export interface SimulationSummary {
  readonly durationS: number
  /** Records that came, the backlog of the start included. */
  readonly produced: number
  readonly consumed: number
  /** Records in the log at the end that are not done. */
  readonly lagAtEnd: number
  /** Records that retention deleted before they were read. */
  readonly lost: number
  /** Records that a reset to the end left unread. */
  readonly skipped: number
  /** Records that the producer's limit still holds back at the end. */
  readonly heldByProducer: number
  readonly peakLag: number
  readonly peakLagAtS: number
  readonly peakLagSeconds: number
  readonly peakLagSecondsAtS: number
  /** When the lag, after its peak, was normal again; `undefined` if never. */
  readonly normalAtS: number | undefined
  /** When everything that came had been done for the first time after the peak (lag that a steady flow has at most). */
  readonly drainedAtS: number | undefined
  /** First time of each alert, by name. */
  readonly alerts: readonly { readonly name: string; readonly atS: number }[]
  /** Time from log to done of a record, in seconds. */
  readonly delayMeanS: number
  readonly delayP50S: number
  readonly delayP99S: number
  readonly delayMaxS: number
  /** Mean over time of the records in the log that are not done. */
  readonly lagMean: number
  readonly invocations: number
  /** Of them, those that failed or ran out of time. */
  readonly failedInvocations: number
  /** Refused for want of the target's concurrency. */
  readonly throttles: number
  readonly recordsPerBatch: number
  /** Time that all invocations took together; with the function's memory, GB-seconds. */
  readonly targetSeconds: number
  readonly gbSeconds: number
  readonly instanceSeconds: number
  readonly instancesPeak: number
  readonly rebalances: number
  /** Time in which at least one partition was paused by a rebalance. */
  readonly rebalanceSeconds: number
  /** Records that were delivered more than once. */
  readonly duplicates: number
  readonly memoryPeakBytes: number
  readonly outOfMemory: number
  /** Micro-batches that were cancelled for their time. */
  readonly cancelledBatches: number
  readonly bytesIn: number
}

/** A run. */
export interface SimulationResult {
  readonly name: string
  readonly mode: 'exact' | 'fluid'
  readonly seed: number
  /** Time of the day at the start. */
  readonly startsAt: string | undefined
  /** Steps of the engine: events, or changes of flow. */
  readonly steps: number
  readonly summary: SimulationSummary
  readonly timeline: readonly SimulationMoment[]
  readonly series: SimulationSeries
}
