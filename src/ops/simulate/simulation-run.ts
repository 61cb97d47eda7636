/** One run of the simulator: the control side, and what is written down. */

import { simulationSeconds } from '../../config/index.ts'
import type { Random } from '../../core/index.ts'
import type { ArrivalCurve } from './arrival-curve.ts'
import type { DataPlane, PlaneParts } from './data-plane.ts'
import { EventHeap } from './event-heap.ts'
import { Membership } from './membership.ts'
import { MicroBatchPlane } from './micro-batch-plane.ts'
import { type Look, Recorder, whole } from './recorder.ts'
import { RunStats } from './run-stats.ts'
import { deciderOf } from './scaling.ts'
import type { ScaleView, SimulationHooks, SimulationResult, SimulationScenario } from './simulation-types.ts'
import { summaryOf } from './summary.ts'
import { batchRecordsMax, instanceSeconds, meanInvocationMs, TargetCurve } from './target-curve.ts'
import { TopicLog } from './topic-log.ts'

/** Points of the series, if the scenario does not say. */
const SAMPLES = 600
/** Time after which an instance that ran out of memory is back, in seconds. */
const RESTART_S = 30

interface RunParts {
  readonly curve: ArrivalCurve
  readonly durationS: number
  readonly isExact: boolean
  readonly hooks: SimulationHooks
  readonly random: Random
}

type ScenarioEvent = SimulationScenario['events'][number]

/** A run. */
export class SimulationRun {
  readonly #scenario: SimulationScenario
  readonly #parts: RunParts
  readonly #log: TopicLog
  readonly #target: TargetCurve
  readonly #stats = new RunStats()
  readonly #recorder: Recorder
  readonly #control = new EventHeap<() => void>()
  readonly #group: Membership
  #plane: DataPlane | undefined
  #micro: MicroBatchPlane | undefined
  #nowS = 0
  /** Instances that there should be: those that restart count, those that boot too. */
  #wanted: number
  #rebalanceUntilS = 0

  constructor(scenario: SimulationScenario, parts: RunParts) {
    this.#scenario = scenario
    this.#parts = parts
    this.#wanted = scenario.group.instances
    this.#log = new TopicLog(scenario, parts.curve, parts.isExact)
    this.#target = new TargetCurve(scenario)
    this.#recorder = new Recorder(scenario, this.#stats)
    this.#group = new Membership(scenario, {
      nowS: () => this.#nowS,
      partitionCount: () => this.#log.partitionCount,
      at: (timeS, run) => this.#control.push(timeS, run),
      abandon: partition => this.#plane?.abandon(partition, this.#nowS),
      changed: () => this.#plane?.changed(this.#nowS),
      invocationS: () => this.#invocationS(),
      rebalanced: fact => this.#countRebalance(fact),
      note: text => this.#recorder.note(this.#nowS, 'rebalance', text)
    })
  }

  /** The engine of micro-batches, which has no group. */
  microBatch(parts: PlaneParts, settings: NonNullable<SimulationScenario['microBatch']>): DataPlane {
    const port = { note: (atS: number, text: string) => this.#recorder.note(atS, 'memory', text) }
    this.#micro = new MicroBatchPlane({ ...parts, settings, port })
    return this.#micro
  }

  /** Runs to the end, in turns of about a sample: whoever has other things to do does them between two. */
  *start(makePlane: (parts: PlaneParts) => DataPlane): Generator<undefined, void> {
    const { durationS, random } = this.#parts
    this.#plane = makePlane({
      scenario: this.#scenario,
      log: this.#log,
      target: this.#target,
      ownership: this.#group.ownership,
      stats: this.#stats,
      random
    })
    this.#plane.changed(0)
    this.#schedule()
    while (this.#nowS < durationS) {
      const nextS = Math.min(durationS, this.#control.nextS)
      this.#plane.advance(nextS)
      this.#nowS = nextS
      while (this.#control.nextS <= nextS) this.#control.pop()?.()
      yield
    }
    if ((this.#recorder.looks.at(-1)?.timeS ?? -1) < durationS) this.#sample()
  }

  result(): SimulationResult {
    const { name, seed, startsAt } = this.#scenario
    const looks = this.#recorder.looks
    return {
      name,
      mode: this.#parts.isExact ? 'exact' : 'fluid',
      seed,
      startsAt,
      steps: this.#plane?.steps ?? 0,
      summary: summaryOf(this.#scenario, {
        recorder: this.#recorder,
        stats: this.#stats,
        durationS: this.#parts.durationS,
        heldByProducer: this.#parts.curve.heldBack,
        produced: looks.at(-1)?.produced ?? 0
      }),
      timeline: this.#recorder.moments.toSorted((a, b) => a.atS - b.atS),
      series: this.#recorder.series
    }
  }

  #schedule(): void {
    const { events, alerts, autoscale, target, topic, startsAt } = this.#scenario
    const secondsOf = (time: Parameters<typeof simulationSeconds>[0]): number => simulationSeconds(time, startsAt)
    for (const event of events) this.#control.push(secondsOf(event.at), () => this.#happen(event))
    for (const phase of target.phases) this.#control.push(secondsOf(phase.from), () => this.#noteTarget(phase))
    if (topic.retentionBytes !== undefined || topic.retentionTime !== undefined) {
      this.#every(simulationSeconds(topic.retentionCheck), () => this.#retain())
    }
    alerts.forEach((alert, index) => {
      this.#every(alert.everyS, () => this.#recorder.checkAlert(index, this.#look()))
    })
    if (autoscale !== undefined) this.#autoscale(autoscale)
    this.#every(this.#scenario.sampleS ?? this.#parts.durationS / SAMPLES, () => this.#sample(), 0)
  }

  /** Calls at equal times. */
  #every(periodS: number, run: () => void, firstS = periodS): void {
    let turn = 0
    const next = (): void => {
      run()
      turn++
      this.#control.push(firstS + turn * periodS, next)
    }
    this.#control.push(firstS, next)
  }

  #happen(event: ScenarioEvent): void {
    const note = (text: string): void => this.#recorder.note(this.#nowS, 'event', text)
    switch (event.type) {
      case 'restart':
        this.#restart(event)
        return
      case 'kill': {
        const killed = this.#group.up().slice(0, event.instances)
        note(`${killed.length} instances are killed`)
        for (const index of killed) this.#group.stop(index, false)
        // Nobody starts another, unless the scaling does.
        this.#wanted -= killed.length
        return
      }
      case 'scale':
        note(`scaled to ${event.instances} instances`)
        this.#resize(event.instances, 0)
        return
      case 'rebalance':
        note('a rebalance is forced')
        this.#group.rebalance()
        return
      case 'partitions':
        note(`partitions: ${this.#log.partitionCount} → ${event.count}`)
        this.#log.grow(event.count, this.#nowS)
        this.#group.grow(event.count)
        return
      case 'skipToEnd':
        note('offsets are reset to the end')
        this.#skipToEnd()
        return
      case 'note':
        note(event.text)
    }
  }

  #restart(event: Extract<ScenarioEvent, { type: 'restart' }>): void {
    const up = this.#group.up()
    const chosen = up.slice(0, event.instances === 'all' ? up.length : event.instances)
    const how = event.isGraceful ? 'they drain and leave' : 'without a word to the group'
    const pace = event.gapS === 0 ? 'at once' : `one every ${event.gapS} s`
    this.#recorder.note(this.#nowS, 'event', `restart of ${chosen.length} instances ${pace}, ${how}`)
    const stop = (index: number): void => {
      if (event.isGraceful && !this.#scenario.group.isStatic) this.#group.leave([index])
      else this.#group.stop(index, event.isGraceful)
    }
    if (event.gapS === 0) {
      for (const index of chosen) stop(index)
      this.#control.push(this.#nowS + event.downS, () => this.#comeBack(chosen))
      return
    }
    chosen.forEach((index, turn) => {
      const atS = this.#nowS + turn * event.gapS
      this.#control.push(atS, () => stop(index))
      this.#control.push(atS + event.downS, () => this.#comeBack([index]))
    })
  }

  #comeBack(indexes: readonly number[]): void {
    for (const index of indexes) this.#group.comeBack(index)
  }

  #skipToEnd(): void {
    for (let partition = 0; partition < this.#log.partitionCount; partition++) {
      this.#stats.skipped += this.#plane?.jump(partition, this.#log.endAt(partition, this.#nowS)) ?? 0
    }
    this.#plane?.changed(this.#nowS)
  }

  #noteTarget(phase: SimulationScenario['target']['phases'][number]): void {
    const what = [
      phase.isDown ? 'is down' : '',
      phase.addMs > 0 ? `takes ${phase.addMs} ms longer` : '',
      phase.factor === 1 ? '' : `takes ${phase.factor} times as long`,
      phase.errorRatio > 0 ? `fails ${phase.errorRatio * 100} % of its invocations` : '',
      phase.concurrencyMax === undefined ? '' : `takes ${phase.concurrencyMax} at once`
    ].filter(Boolean)
    this.#recorder.note(this.#nowS, 'target', `the target ${what.join(', ')}`)
  }

  #retain(): void {
    const { retentionBytes: bytes, retentionTime } = this.#scenario.topic
    const timeS = retentionTime === undefined ? undefined : simulationSeconds(retentionTime)
    let lost = 0
    for (let partition = 0; partition < this.#log.partitionCount; partition++) {
      const start = this.#log.retain(partition, this.#nowS, { timeS, bytes })
      lost += this.#plane?.jump(partition, start) ?? 0
    }
    this.#stats.lost += lost
    if (lost > 0) this.#plane?.changed(this.#nowS)
  }

  #autoscale(autoscale: NonNullable<SimulationScenario['autoscale']>): void {
    const decide = deciderOf(autoscale, this.#parts.hooks.decide)
    let before = { timeS: 0, produced: 0, consumed: 0, invocations: 0, targetSeconds: 0 }
    const firstS =
      autoscale.from === undefined ? autoscale.everyS : simulationSeconds(autoscale.from, this.#scenario.startsAt)
    const look = (): void => {
      const { lag, lagSeconds, produced } = this.#look()
      const stepS = Math.max(1e-9, this.#nowS - before.timeS)
      const instances = this.#wanted
      const invocations = this.#stats.invocations - before.invocations
      const wanted = decide({
        timeS: this.#nowS,
        lag,
        lagSeconds,
        arrivalPerSecond: (produced - before.produced) / stepS,
        servicePerSecond: (this.#stats.consumed - before.consumed) / stepS,
        instances,
        instancesReady: this.#group.upCount,
        partitions: this.#log.partitionCount,
        ...this.#partitionViews(),
        members: this.#group.up(),
        targetMs:
          invocations > 0 ? ((this.#stats.targetSeconds - before.targetSeconds) * 1000) / invocations : undefined,
        perInstancePerSecond: this.#perInstance(),
        isRebalancing: this.#group.isRebalancing
      })
      const { consumed, targetSeconds } = this.#stats
      before = { timeS: this.#nowS, produced, consumed, invocations: this.#stats.invocations, targetSeconds }
      if (wanted === instances) return
      this.#recorder.note(this.#nowS, 'scale', `${autoscale.policy}: ${instances} → ${wanted} instances`)
      this.#resize(wanted, autoscale.bootS)
    }
    this.#every(autoscale.everyS, look, firstS)
  }

  #partitionViews(): Pick<
    ScaleView,
    'partitionLags' | 'partitionEnds' | 'partitionDone' | 'partitionLagSeconds' | 'partitionOwners'
  > {
    const each = (valueOf: (partition: number) => number): Float64Array =>
      Float64Array.from({ length: this.#log.partitionCount }, (_, partition) => valueOf(partition))
    const doneOf = (partition: number): number => this.#plane?.doneOf(partition) ?? 0
    const partitionLags = each(partition => this.#lagOf(partition))
    return {
      partitionLags,
      partitionEnds: each(partition => this.#log.endAt(partition, this.#nowS)),
      partitionDone: each(doneOf),
      partitionLagSeconds: each(partition =>
        (partitionLags[partition] ?? 0) > 0 ? this.#nowS - this.#log.timeOf(partition, doneOf(partition)) : 0
      ),
      partitionOwners: this.#group.ownership.owners.slice()
    }
  }

  #resize(wanted: number, bootS: number): void {
    const more = wanted - this.#wanted
    this.#wanted = wanted
    if (more < 0) {
      this.#group.leave(this.#group.up().slice(Math.max(0, this.#group.upCount + more)))
    } else if (bootS === 0) {
      this.#group.join(more)
    } else if (more > 0) {
      this.#control.push(this.#nowS + bootS, () => {
        this.#recorder.note(this.#nowS, 'scale', `${more} new instances join`)
        this.#group.join(more)
      })
    }
  }

  /** Records per second that an instance with an even part of the partitions does with full batches. */
  #perInstance(): number {
    const { group, topic, target } = this.#scenario
    const state = this.#target.at(this.#nowS)
    const recordsMax = batchRecordsMax({ ...this.#scenario, topic }, state)
    const ms = Math.min(target.timeoutMs, meanInvocationMs(state, recordsMax)) + group.overheadMs
    const lanes = group.order === 'partition' ? 1 : group.batchesPerPartitionMax
    const partitions = this.#log.partitionCount / Math.max(1, this.#group.upCount)
    const slots = Math.min(group.concurrency, partitions * lanes)
    const bySlots = ms > 0 ? (slots * recordsMax * 1000 * (1 - state.errorRatio)) / ms : Infinity
    const cpuS = instanceSeconds(this.#scenario, recordsMax)
    return Math.min(bySlots, cpuS > 0 ? recordsMax / cpuS : Infinity, 1e12)
  }

  #invocationS(): number {
    const state = this.#target.at(this.#nowS)
    return meanInvocationMs(state, batchRecordsMax(this.#scenario, state)) / 1000
  }

  #countRebalance({ endS, isNew }: { readonly startS: number; readonly endS: number; readonly isNew: boolean }): void {
    if (isNew) {
      this.#stats.rebalances++
      this.#recorder.note(this.#nowS, 'rebalance', 'a rebalance begins')
    }
    this.#stats.rebalanceSeconds += Math.max(0, endS - Math.max(this.#rebalanceUntilS, this.#nowS))
    this.#rebalanceUntilS = Math.max(this.#rebalanceUntilS, endS)
  }

  #lagOf(partition: number): number {
    return this.#plane?.lagOf(partition, this.#nowS) ?? 0
  }

  #look(): Look {
    const nowS = this.#nowS
    const { owners } = this.#group.ownership
    const held = new Float64Array(Math.max(1, this.#group.ownership.instanceCount))
    let lag = 0
    let lagSeconds = 0
    let produced = 0
    for (let partition = 0; partition < this.#log.partitionCount; partition++) {
      const waiting = this.#lagOf(partition)
      produced += this.#log.endAt(partition, nowS)
      if (waiting <= 0) continue
      lag += waiting
      const owner = owners[partition] ?? -1
      if (owner >= 0) held[owner] = (held[owner] ?? 0) + waiting
      lagSeconds = Math.max(lagSeconds, nowS - this.#log.timeOf(partition, this.#plane?.doneOf(partition) ?? 0))
    }
    const instances = this.#micro === undefined ? this.#group.upCount : 1
    return { timeS: nowS, produced, lag, lagSeconds, instances, memoryBytes: this.#memory(held) }
  }

  /** What the largest instance needs: its base, what it has fetched, and a payload for each batch at the target. */
  #memory(held: Float64Array): number {
    if (this.#micro !== undefined) return this.#micro.memoryBytes
    const { group, topic } = this.#scenario
    const batchBytes = Math.min(group.batch.bytesMax, group.batch.recordsMax * topic.recordBytes)
    let most = 0
    held.forEach((records, instance) => {
      const buffered = Math.min(group.memory.bufferBytes, records * topic.recordBytes)
      const sent = (this.#plane?.inFlightOf(instance) ?? 0) * batchBytes
      most = Math.max(most, group.memory.baseBytes + buffered + sent)
    })
    return most
  }

  #sample(): void {
    const look = this.#look()
    this.#recorder.sample(look)
    const { limitBytes } = this.#scenario.group.memory
    if (this.#micro !== undefined || limitBytes === undefined || look.memoryBytes <= limitBytes) return
    const [victim] = this.#group.up()
    if (victim === undefined) return
    this.#stats.outOfMemory++
    this.#recorder.note(this.#nowS, 'memory', `an instance needs ${whole(look.memoryBytes)} bytes and is killed`)
    this.#group.stop(victim, false)
    this.#control.push(this.#nowS + RESTART_S, () => this.#comeBack([victim]))
  }
}
