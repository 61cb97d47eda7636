/**
 * The fluid engine: flows that are constant between changes, for millions of records per second and days.
 *
 * A partition is either behind (it sends full batches as fast as its lane and a
 * fair share of its instance's slots, the target's concurrency and the
 * instance's CPU allow) or with the flow, where its lag is what batching and the
 * target keep under way: arrival rate × (mean wait for the batch + time of the
 * batch), by Little's law. A step lasts until the first of: the next change of
 * the scenario, a partition that catches up, or, where rates slope, a small part
 * of the slope.
 *
 * Left out: the spread of times, the queueing of single batches for a slot
 * below full load, bursts of a Poisson pattern.
 */

import type { DataPlane, PlaneParts } from './data-plane.ts'
import { batchRecordsMax, instanceSeconds, meanInvocationMs, type TargetState } from './target-curve.ts'
import { fillLevel } from './water-fill.ts'

/** Steps of a duration at most, where partitions catch up one after the other. */
const STEPS_MAX = 200_000
/** Steps of a piece whose rate slopes. */
const SLOPE_STEPS = 40
/** A partition is behind if its lag is so many times what it is with the flow: rates that slope move that a little. */
const BEHIND = 1.02

/** What a batch costs now. */
interface Cost {
  readonly state: TargetState
  readonly recordsMax: number
  /** Of a full batch: time of a lane, of a slot, of the CPU, in seconds. */
  readonly laneS: number
  readonly slotS: number
  readonly cpuS: number
}

/** Flows. */
export class FluidPlane implements DataPlane {
  steps = 0
  readonly #parts: PlaneParts
  readonly #lanesMax: number
  readonly #ageS: number
  readonly #stepMinS: number
  readonly #durationS: number
  #nowS = 0
  #isDirty = true
  #members: (readonly number[])[] = []
  #done: Float64Array = new Float64Array(0)
  #lag: Float64Array = new Float64Array(0)
  /** Lag of a partition that is with the flow. */
  #steady: Float64Array = new Float64Array(0)
  /** Most it can be served now, records per second. */
  #limits: Float64Array = new Float64Array(0)
  #arrivals: Float64Array = new Float64Array(0)
  /** Seconds of slot per record, and records per batch, as it is served now. */
  #slotPerRecordS: Float64Array = new Float64Array(0)
  #batchRecords: Float64Array = new Float64Array(0)
  /** Records per batch with the flow. */
  #steadyRecords: Float64Array = new Float64Array(0)
  #inFlight: Float64Array = new Float64Array(0)
  #ends: Float64Array = new Float64Array(0)
  #state: TargetState

  constructor(parts: PlaneParts & { readonly durationS: number }) {
    this.#parts = parts
    const { group } = parts.scenario
    this.#lanesMax = group.order === 'partition' ? 1 : group.batchesPerPartitionMax
    this.#ageS = group.batch.ageMs / 1000
    this.#durationS = parts.durationS
    this.#state = parts.target.at(0)
    this.#stepMinS = Math.max(0.01, parts.durationS / STEPS_MAX)
  }

  advance(toS: number): void {
    while (this.#nowS < toS - 1e-9) {
      this.#nowS += this.#step(toS - this.#nowS)
      this.steps++
    }
    this.#nowS = toS
  }

  changed(nowS: number): void {
    const { log, ownership } = this.#parts
    const { partitionCount } = log
    if (this.#done.length < partitionCount) {
      const grown = (values: Float64Array): Float64Array => {
        const more = new Float64Array(partitionCount)
        more.set(values)
        return more
      }
      this.#done = grown(this.#done)
      this.#lag = grown(this.#lag)
      this.#steady = grown(this.#steady)
      this.#limits = grown(this.#limits)
      this.#arrivals = grown(this.#arrivals)
      this.#slotPerRecordS = grown(this.#slotPerRecordS)
      this.#batchRecords = grown(this.#batchRecords)
      this.#steadyRecords = grown(this.#steadyRecords)
      this.#ends = grown(this.#ends)
    }
    const members: number[][] = Array.from({ length: ownership.instanceCount }, () => [])
    for (let partition = 0; partition < partitionCount; partition++) {
      this.#lag[partition] = log.endAt(partition, nowS) - (this.#done[partition] ?? 0)
      if (ownership.paused[partition] === 0) members[ownership.owners[partition] ?? -1]?.push(partition)
    }
    this.#members = members
    this.#inFlight = new Float64Array(ownership.instanceCount)
    this.#isDirty = true
  }

  doneOf(partition: number): number {
    return this.#done[partition] ?? 0
  }

  lagOf(partition: number): number {
    return this.#lag[partition] ?? 0
  }

  abandon(partition: number): void {
    const rate = Math.min(this.#limits[partition] ?? 0, this.#arrivals[partition] ?? 0)
    const isBehind = this.#isBehind(partition)
    const underWay = (isBehind ? (this.#limits[partition] ?? 0) : rate) * (this.#slotPerRecordS[partition] ?? 0)
    this.#parts.stats.duplicates += Math.round(underWay * (this.#batchRecords[partition] ?? 0))
  }

  jump(partition: number, offset: number): number {
    const count = Math.max(0, offset - this.doneOf(partition))
    this.#done[partition] = this.doneOf(partition) + count
    this.#lag[partition] = Math.max(0, this.lagOf(partition) - count)
    return count
  }

  inFlightOf(instance: number): number {
    return this.#inFlight[instance] ?? 0
  }

  #isBehind(partition: number): boolean {
    return (this.#lag[partition] ?? 0) > (this.#steady[partition] ?? 0) * BEHIND + 1e-6
  }

  /** One step of at most `mostS` seconds; its length. */
  #step(mostS: number): number {
    const { log, target } = this.#parts
    const nowS = this.#nowS
    const curve = log.curve
    const isSloping = curve.isSloping(nowS) || target.isSloping(nowS)
    const breakS = Math.min(curve.nextBreak(nowS), target.nextBreak(nowS))
    let stepS = Math.min(mostS, breakS - nowS)
    if (isSloping) {
      const pieceS = Math.min(breakS - nowS, this.#durationS)
      stepS = Math.min(stepS, Math.max(this.#stepMinS, pieceS / SLOPE_STEPS, this.#durationS / 20_000))
    }
    const rate = curve.rateAt(nowS + (isSloping ? stepS / 2 : 0))
    this.#setRates(rate)
    stepS = this.#untilCatchUp(stepS)
    this.#isDirty = isSloping || stepS >= breakS - nowS - 1e-9
    this.#move(stepS)
    return stepS
  }

  #untilCatchUp(mostS: number): number {
    let stepS = mostS
    for (let partition = 0; partition < this.#lag.length; partition++) {
      const net = (this.#arrivals[partition] ?? 0) - (this.#limits[partition] ?? 0)
      const gap = (this.#lag[partition] ?? 0) - (this.#steady[partition] ?? 0)
      if (net < 0 && this.#isBehind(partition)) stepS = Math.min(stepS, Math.max(this.#stepMinS, gap / -net))
      // Not under way yet what batching keeps under way: nothing is done until it is.
      else if (gap < -0.1 * (this.#steady[partition] ?? 0) && (this.#arrivals[partition] ?? 0) > 0) {
        const fillS = -gap / (this.#arrivals[partition] ?? 1)
        if (fillS > this.#stepMinS) stepS = Math.min(stepS, fillS)
      }
    }
    return Math.max(Math.min(mostS, this.#stepMinS), stepS)
  }

  #move(stepS: number): void {
    const { log, stats } = this.#parts
    const endS = this.#nowS + stepS
    log.endsInto(this.#ends, endS)
    for (let partition = 0; partition < this.#lag.length; partition++) {
      const done = this.#done[partition] ?? 0
      const come = (this.#ends[partition] ?? 0) - done
      const steady = this.#steady[partition] ?? 0
      const served = Math.min((this.#limits[partition] ?? 0) * stepS, Math.max(0, come - steady))
      const isBehind = this.#isBehind(partition)
      this.#lag[partition] = come - served
      if (served <= 0) continue
      this.#done[partition] = done + served
      stats.consumed += served
      this.#count(served, served / Math.max(1, this.#batchRecords[partition] ?? 1))
      if (isBehind) {
        const oldestS = Math.max(0, this.#nowS - log.timeOf(partition, done))
        stats.addDelays(served, oldestS, Math.max(0, endS - log.timeOf(partition, done + served)))
      } else {
        const delayS = steady / Math.max(1e-12, this.#arrivals[partition] ?? 0)
        stats.addDelays(served, delayS, delayS)
      }
    }
  }

  /** Invocations of a flow: those that fail come on top. */
  #count(records: number, batches: number): void {
    const { stats, scenario } = this.#parts
    const state = this.#state
    stats.batches += batches
    stats.batchRecords += records
    const tries = batches / Math.max(1e-6, 1 - state.errorRatio)
    const ms = Math.min(scenario.target.timeoutMs, meanInvocationMs(state, records / batches))
    stats.invocations += tries
    stats.failedInvocations += tries - batches
    stats.targetSeconds += (tries * ms) / 1000
  }

  #costOf(state: TargetState, recordCount: number): { laneS: number; slotS: number; cpuS: number } {
    const { group, target } = this.#parts.scenario
    const ms = meanInvocationMs(state, recordCount)
    const errorRatio = ms > target.timeoutMs ? 1 : state.errorRatio
    const tries = 1 / Math.max(1e-9, 1 - errorRatio)
    const cpuS = instanceSeconds(this.#parts.scenario, recordCount)
    const onceS = (Math.min(ms, target.timeoutMs) + group.overheadMs) / 1000 + cpuS
    const slotS = onceS * tries
    return { slotS, laneS: slotS + ((tries - 1) * target.retryMs) / 1000, cpuS: cpuS * tries }
  }

  /** What every partition can be served, from now on, with this rate of arrivals. */
  #setRates(totalRate: number): void {
    const { log, scenario, target } = this.#parts
    const state = target.at(this.#nowS)
    this.#state = state
    const shares = log.shares
    for (let partition = 0; partition < shares.length; partition++) {
      this.#arrivals[partition] = (shares[partition] ?? 0) * totalRate
    }
    const recordsMax = batchRecordsMax(scenario, state)
    const cost: Cost = { state, recordsMax, ...this.#costOf(state, recordsMax) }
    if (this.#isDirty) {
      this.#limits.fill(0)
      this.#steady.fill(0)
      for (const members of this.#members) this.#setSteady(members, cost)
    }
    const demands = this.#members.map(members => this.#slotDemands(members, cost))
    const wanted = Float64Array.from(demands, demand =>
      Math.min(
        scenario.group.concurrency,
        demand.reduce((total, each) => total + each, 0)
      )
    )
    const level = fillLevel(wanted, state.concurrencyMax)
    this.#members.forEach((members, instance) => {
      const slots = Math.min(scenario.group.concurrency, level)
      this.#inFlight[instance] = Math.min(wanted[instance] ?? 0, slots)
      this.#share(members, { demands: demands[instance] ?? new Float64Array(0), slots, cost })
    })
  }

  /** Slots that each partition of an instance would keep busy. */
  #slotDemands(members: readonly number[], { slotS, laneS, state }: Cost): Float64Array {
    const demands = new Float64Array(members.length)
    const perLane = slotS / laneS
    members.forEach((partition, index) => {
      if (this.#isBehind(partition)) demands[index] = this.#lanesMax * perLane
      else {
        const records = Math.max(1, this.#steadyRecords[partition] ?? 1)
        const rate = this.#arrivals[partition] ?? 0
        demands[index] = Math.min(this.#lanesMax * perLane, (rate / records) * this.#costOf(state, records).slotS)
      }
    })
    return demands
  }

  /** Divides the slots of an instance, then its CPU. */
  #share(
    members: readonly number[],
    { demands, slots, cost }: { demands: Float64Array; slots: number; cost: Cost }
  ): void {
    const level = fillLevel(demands, slots)
    const fullRate = cost.recordsMax / cost.slotS
    const cpuDemands = new Float64Array(members.length)
    const isCpuBound = cost.cpuS > 0
    const lanesRate = (this.#lanesMax * cost.recordsMax) / cost.laneS
    members.forEach((partition, index) => {
      const demand = demands[index] ?? 0
      const isBehind = this.#isBehind(partition)
      // By slots that it does not get, or by its own lanes: full batches one after the other are too slow for it.
      const isHeld = demand > level || (this.#arrivals[partition] ?? 0) > lanesRate
      const records = isBehind || isHeld ? cost.recordsMax : Math.max(1, this.#steadyRecords[partition] ?? 1)
      const most = Math.min(demand, level) * fullRate
      const limit = isBehind || isHeld ? most : Math.max(most, (this.#arrivals[partition] ?? 0) * 1.000_001)
      this.#limits[partition] = isBehind || isHeld ? limit : Math.max(limit, this.#lanesMax * fullRate * 0.5)
      this.#slotPerRecordS[partition] = cost.slotS / cost.recordsMax
      const rate = isBehind || isHeld ? limit : (this.#arrivals[partition] ?? 0)
      if (isCpuBound) cpuDemands[index] = (rate / records) * this.#costOf(cost.state, records).cpuS
      this.#batchRecords[partition] = records
    })
    const cpuLevel = isCpuBound ? fillLevel(cpuDemands, 1) : Infinity
    if (cpuLevel === Infinity) return
    const cpuRate = cost.recordsMax / cost.cpuS
    members.forEach((partition, index) => {
      if ((cpuDemands[index] ?? 0) > cpuLevel)
        this.#limits[partition] = Math.min(this.#limits[partition] ?? 0, cpuLevel * cpuRate)
    })
  }

  /** Lag and batch of the partitions of an instance if they are with the flow. */
  #setSteady(members: readonly number[], { state, recordsMax }: Cost): void {
    const { concurrency } = this.#parts.scenario.group
    let cycleS = 0
    for (let round = 0; round < 30; round++) {
      // A round gives each partition one batch per lane at most; those that are due less often than that take less.
      let busyS = 0
      let use = 0
      for (const partition of members) {
        const { records, everyS } = this.#batchOf(partition, { state, recordsMax, cycleS })
        if (records === 0) continue
        const { slotS } = this.#costOf(state, records)
        busyS += slotS * Math.min(this.#lanesMax, cycleS === 0 ? 1 : cycleS / everyS)
        use += slotS / everyS
      }
      if (cycleS === 0 && use <= concurrency) break
      const nextS = busyS / concurrency
      if (Math.abs(nextS - cycleS) <= cycleS * 1e-3) break
      cycleS = nextS
    }
    for (const partition of members) {
      const { records, waitS } = this.#batchOf(partition, { state, recordsMax, cycleS })
      this.#steadyRecords[partition] = Math.max(1, records)
      this.#steady[partition] = (this.#arrivals[partition] ?? 0) * (waitS + this.#costOf(state, records).laneS)
    }
  }

  /** Batch of a partition with the flow, where the instance comes round every `cycleS`. */
  #batchOf(
    partition: number,
    { state, recordsMax, cycleS }: { state: TargetState; recordsMax: number; cycleS: number }
  ): { records: number; everyS: number; waitS: number } {
    const rate = this.#arrivals[partition] ?? 0
    if (rate <= 0) return { records: 0, everyS: 1, waitS: 0 }
    // The oldest record opens the batch, and `ageMs` counts from it.
    const byAge = Math.min(recordsMax, 1 + rate * this.#ageS)
    let records = byAge
    let held = cycleS
    // A batch that grows while the one before is at the target takes longer itself.
    for (let round = 0; round < 5; round++) {
      held = Math.max(cycleS, this.#costOf(state, records).laneS / this.#lanesMax)
      records = Math.min(recordsMax, Math.max(byAge, rate * held))
    }
    const everyS = records / rate
    const ageS = Math.min(this.#ageS, Math.max(0, (records - 1) / rate))
    const waitS =
      held > everyS * 0.999 || rate * held > byAge
        ? Math.min(held, everyS) / 2
        : (ageS * (1 + (rate * ageS) / 2)) / (1 + rate * ageS)
    return { records, everyS, waitS }
  }
}
