/**
 * The simulator behind the sliders: one scenario of a few numbers, run as flows.
 *
 * Flows take some ten milliseconds whatever the rate is, with thousands of
 * partitions a second, where the exact mode would take minutes for its millions
 * of batches; a run lets others have their turn every `TURN_MS`. What the
 * sliders do not say comes from the pipeline file and its defaults.
 */

import { z } from 'zod'

import { type PipelineConfig, simulationConfig } from '../../config/index.ts'
import { turn } from '../../core/index.ts'
import { scenarioOfPipeline, simulateInTurns, type SimulationScenario, withSettings } from '../../ops/index.ts'
import type { Reason } from '../api/overview.ts'
import type { SimulateAnswer, SimulateRequest } from '../api/insight.ts'

/** Where the sliders end. */
export const simulateSchema = z.strictObject({
  recordsPerSecond: z.number().min(1).max(10_000_000),
  partitions: z.number().int().min(1).max(5000),
  instances: z.number().int().min(1).max(500),
  concurrency: z.number().int().min(1).max(1000),
  batchRecords: z.number().int().min(1).max(10_000),
  invokeMs: z.number().min(1).max(60_000),
  outageSeconds: z.number().min(0).max(86_400),
  durationSeconds: z.number().min(60).max(86_400)
})

/** How long a run keeps others waiting, in milliseconds, but for a piece of its own. */
const TURN_MS = 10

/** When the outage begins: the steady state before it can be seen. */
const OUTAGE_AT_S = 60

/** The numbers that the pipeline has now, where the sliders begin. */
export function simulateDefaults(
  pipeline: PipelineConfig | undefined,
  measured: { readonly recordsPerSecond?: number | undefined; readonly partitions?: number | undefined }
): SimulateRequest {
  const { arrival, topic, group, target } = baseOf(pipeline)
  const rate = measured.recordsPerSecond
  return {
    recordsPerSecond: rate !== undefined && rate >= 1 ? Math.round(rate) : (arrival.recordsPerSecond ?? 1000),
    partitions: measured.partitions ?? topic.partitions,
    instances: group.instances,
    concurrency: group.concurrency,
    batchRecords: group.batch.recordsMax,
    invokeMs: target.baseMs,
    outageSeconds: 300,
    durationSeconds: 3600
  }
}

/** Runs it, and lets others have their turn meanwhile. */
export async function simulateView(
  request: SimulateRequest,
  pipeline: PipelineConfig | undefined,
  monotonicMs: () => number
): Promise<SimulateAnswer> {
  const startMs = monotonicMs()
  const scenario = scenarioOf(request, pipeline)
  let turnMs = startMs
  const { series, summary } = await simulateInTurns(scenario, () => {
    if (monotonicMs() - turnMs < TURN_MS) return undefined
    return turn().then(() => {
      turnMs = monotonicMs()
    })
  })
  const slots = slotsOf(scenario)
  const capacity = capacityOf(scenario, slots)
  const outageEndS = OUTAGE_AT_S + request.outageSeconds
  const drainSeconds = request.outageSeconds === 0 ? 0 : drainOf(summary.drainedAtS, outageEndS)
  return {
    request,
    timesS: series.timesS,
    lag: series.lag,
    arrival: series.arrival,
    service: series.service,
    lagSeconds: series.lagSeconds,
    peakLag: summary.peakLag,
    peakLagSeconds: summary.peakLagSeconds,
    drainSeconds,
    capacityPerSecond: capacity,
    utilisation: request.recordsPerSecond / capacity,
    summary: summaryOf({
      request,
      capacity,
      targetMax: slots > targetMaxOf(scenario) ? targetMaxOf(scenario) : undefined,
      drainSeconds,
      peakLag: summary.peakLag
    }),
    tookMs: monotonicMs() - startMs
  }
}

function drainOf(drainedAtS: number | undefined, outageEndS: number): number | null {
  return drainedAtS === undefined ? null : Math.max(0, drainedAtS - outageEndS)
}

function baseOf(pipeline: PipelineConfig | undefined): SimulationScenario {
  return pipeline === undefined
    ? simulationConfig({ name: 'console', duration: 3600, arrival: { recordsPerSecond: 13_000 } })
    : scenarioOfPipeline(pipeline)
}

function scenarioOf(request: SimulateRequest, pipeline: PipelineConfig | undefined): SimulationScenario {
  const { outageSeconds, durationSeconds } = request
  const phase = { from: OUTAGE_AT_S, to: OUTAGE_AT_S + outageSeconds, isDown: true }
  return withSettings(baseOf(pipeline), {
    mode: 'fluid',
    duration: durationSeconds,
    'arrival.recordsPerSecond': request.recordsPerSecond,
    'topic.partitions': request.partitions,
    'group.instances': request.instances,
    'group.concurrency': request.concurrency,
    'group.batch.recordsMax': request.batchRecords,
    'target.baseMs': request.invokeMs,
    'target.timeoutMs': Math.max(60_000, request.invokeMs * 2),
    'target.phases': outageSeconds === 0 ? [] : [phase]
  })
}

/** Invocations at once: an instance has so many slots, and each of its partitions so many lanes. */
function slotsOf({ topic, group }: SimulationScenario): number {
  const { instances, concurrency, order, batchesPerPartitionMax } = group
  const lanes = order === 'partition' ? 1 : batchesPerPartitionMax
  const least = Math.floor(topic.partitions / instances)
  const withOneMore = topic.partitions % instances
  const busy = (partitions: number): number => Math.min(concurrency, partitions * lanes)
  return withOneMore * busy(least + 1) + (instances - withOneMore) * busy(least)
}

/** Invocations at once that the target takes. */
function targetMaxOf({ target }: SimulationScenario): number {
  return target.concurrencyMax ?? Infinity
}

/** Records per second with full batches. */
function capacityOf(scenario: SimulationScenario, slots: number): number {
  const { topic, group, target } = scenario
  const records = Math.min(group.batch.recordsMax, Math.max(1, Math.floor(group.batch.bytesMax / topic.recordBytes)))
  const cpuMs = group.cpu.perBatchMs + (group.cpu.perRecordUs * records) / 1000
  const ms = target.baseMs + (target.perRecordUs * records) / 1000 + group.overheadMs + cpuMs
  return (Math.min(slots, targetMaxOf(scenario)) * records * 1000) / ms
}

function summaryOf(facts: {
  readonly request: SimulateRequest
  readonly capacity: number
  readonly drainSeconds: number | null
  readonly peakLag: number
  /** Invocations at once that the target takes, where that is what holds. */
  readonly targetMax: number | undefined
}): Reason[] {
  const { request, capacity, drainSeconds, peakLag, targetMax } = facts
  const said: Reason[] = []
  if (capacity < request.recordsPerSecond) said.push({ key: 'simulate.tooSlow', values: { capacity } })
  if (targetMax !== undefined) said.push({ key: 'simulate.targetLimit', values: { count: targetMax } })
  if (request.instances > request.partitions) {
    said.push({ key: 'simulate.idleInstances', values: { count: request.instances - request.partitions } })
  }
  if (request.outageSeconds > 0) said.push({ key: 'simulate.peak', values: { peakLag } })
  if (drainSeconds === null) said.push({ key: 'simulate.neverDrains', values: {} })
  else if (request.outageSeconds > 0) said.push({ key: 'simulate.drains', values: { seconds: drainSeconds } })
  return said
}
