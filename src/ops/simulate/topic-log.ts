/**
 * The log of a simulated topic: end offsets and arrival times of each partition
 * as records come and partitions grow, and what retention deletes.
 *
 * Offsets are counts from 0. With an even pattern they follow from the curve of
 * arrivals and cost no memory; with `poisson` each record's time is drawn when
 * somebody asks for it, and kept until it is done.
 */

import { type Random, SeededRandom } from '../../core/index.ts'
import type { ArrivalCurve } from './arrival-curve.ts'
import { partitionShares } from './partition-shares.ts'
import type { SimulationScenario } from './simulation-types.ts'

/** A time from which on records are spread over partitions in one way. */
interface Epoch {
  readonly fromS: number
  readonly countBefore: number
  readonly shares: Float64Array
  /** End offset of each partition at `fromS`. */
  readonly ends: Float64Array
}

/** Drawn arrival times of a partition. */
interface Drawn {
  /** Arrival times of the offsets from `first` on. */
  times: number[]
  first: number
  /** Records that were to be expected by the last drawn time. */
  expected: number
}

/** Absorbs what floating point loses when a count is turned into a time and back. */
const EPSILON = 1e-6

/** The partitions of a topic. */
export class TopicLog {
  readonly curve: ArrivalCurve
  readonly #scenario: SimulationScenario
  readonly #isWhole: boolean
  readonly #random: Random
  #epochs: Epoch[]
  #drawn: Drawn[] = []
  /** First offset that is there, per partition. */
  logStarts: Float64Array

  /** @param isWhole - Whole records, for events; without, flows. */
  constructor(scenario: SimulationScenario, curve: ArrivalCurve, isWhole: boolean) {
    this.curve = curve
    this.#scenario = scenario
    this.#isWhole = isWhole
    // Not the seed of the service times: the same numbers in both would tie them together.
    this.#random = new SeededRandom(scenario.seed ^ 0x5bd1_e995)
    const { partitions } = scenario.topic
    const shares = partitionShares(scenario.arrival.keys, partitions)
    this.#epochs = [{ fromS: -Infinity, countBefore: 0, shares, ends: new Float64Array(partitions) }]
    this.logStarts = new Float64Array(partitions)
    if (isWhole && scenario.arrival.pattern === 'poisson') {
      this.#drawn = Array.from(shares, () => ({ times: [], first: 0, expected: 0 }))
    }
  }

  /** How many partitions there are. */
  get partitionCount(): number {
    return this.logStarts.length
  }

  /** Shares of the partitions from the last growth on. */
  get shares(): Float64Array {
    return this.#last.shares
  }

  /** End offset of a partition at a time: how many records had come. */
  endAt(partition: number, timeS: number): number {
    const drawn = this.#drawn[partition]
    if (drawn !== undefined) return this.#drawnBy(drawn, partition, timeS)
    const epoch = this.#epochAt(timeS)
    const share = epoch.shares[partition] ?? 0
    const end = (epoch.ends[partition] ?? 0) + share * (this.curve.countAt(timeS) - epoch.countBefore)
    return this.#isWhole ? Math.floor(end + this.#phase(partition) + EPSILON) : end
  }

  /** End offsets of all partitions at a time, into a list; for flows, from the last growth on. */
  endsInto(ends: Float64Array, timeS: number): void {
    const { shares, ends: before, countBefore } = this.#last
    const come = this.curve.countAt(timeS) - countBefore
    for (let partition = 0; partition < ends.length; partition++) {
      ends[partition] = (before[partition] ?? 0) + (shares[partition] ?? 0) * come
    }
  }

  /** When a record came, or will; `Infinity` if it never does. `offset` is that of the record. */
  timeOf(partition: number, offset: number): number {
    const drawn = this.#drawn[partition]
    if (drawn !== undefined) return this.#drawnTime(drawn, partition, offset)
    // Whole records are there when the count reaches the next whole number.
    const end = this.#isWhole ? offset + 1 - this.#phase(partition) : offset
    let epoch = this.#last
    for (let index = this.#epochs.length - 1; index > 0 && end < (epoch.ends[partition] ?? 0); index--) {
      epoch = this.#epochs[index - 1] ?? epoch
    }
    const share = epoch.shares[partition] ?? 0
    if (share <= 0) return Infinity
    return this.curve.timeOf(epoch.countBefore + (end - (epoch.ends[partition] ?? 0)) / share)
  }

  /** Forgets arrival times below an offset. */
  trim(partition: number, offset: number): void {
    const drawn = this.#drawn[partition]
    if (drawn === undefined || offset - drawn.first < 4096) return
    drawn.times.splice(0, offset - drawn.first)
    drawn.first = offset
  }

  /** More partitions from now on: keys are spread anew, old records stay. */
  grow(partitionCount: number, nowS: number): void {
    const ends = new Float64Array(partitionCount)
    const before = this.#last
    const come = this.curve.countAt(nowS) - before.countBefore
    before.ends.forEach((end, partition) => (ends[partition] = end + (before.shares[partition] ?? 0) * come))
    this.#epochs.push({
      fromS: nowS,
      countBefore: this.curve.countAt(nowS),
      shares: partitionShares(this.#scenario.arrival.keys, partitionCount),
      ends
    })
    const logStarts = new Float64Array(partitionCount)
    logStarts.set(this.logStarts)
    this.logStarts = logStarts
  }

  /** Deletes what is too old or too much of a partition, whole segments only; the new first offset. */
  retain(partition: number, nowS: number, limits: { timeS: number | undefined; bytes: number | undefined }): number {
    const { recordBytes, segmentBytes } = this.#scenario.topic
    const end = this.endAt(partition, nowS)
    const byTime = limits.timeS === undefined ? 0 : this.endAt(partition, nowS - limits.timeS)
    const byBytes = limits.bytes === undefined ? 0 : end - limits.bytes / recordBytes
    const segmentRecords = Math.max(1, Math.floor(segmentBytes / recordBytes))
    const segments = Math.floor(Math.min(end, Math.max(byTime, byBytes)) / segmentRecords)
    const start = Math.max(this.logStarts[partition] ?? 0, segments * segmentRecords)
    this.logStarts[partition] = start
    return start
  }

  get #last(): Epoch {
    return this.#epochs.at(-1) ?? { fromS: 0, countBefore: 0, shares: new Float64Array(0), ends: new Float64Array(0) }
  }

  #epochAt(timeS: number): Epoch {
    let index = this.#epochs.length - 1
    while (index > 0 && (this.#epochs[index]?.fromS ?? 0) > timeS) index--
    return this.#epochs[index] ?? this.#last
  }

  /** Partitions do not get their records in step. */
  #phase(partition: number): number {
    return (partition * 0.618_033_988_749_895) % 1
  }

  #drawnBy(drawn: Drawn, partition: number, timeS: number): number {
    while ((drawn.times.at(-1) ?? -Infinity) <= timeS) this.#draw(drawn, partition)
    let low = 0
    let high = drawn.times.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((drawn.times[middle] ?? Infinity) <= timeS) low = middle + 1
      else high = middle
    }
    return drawn.first + low
  }

  #drawnTime(drawn: Drawn, partition: number, offset: number): number {
    while (drawn.first + drawn.times.length <= offset && drawn.times.at(-1) !== Infinity) this.#draw(drawn, partition)
    return drawn.times[offset - drawn.first] ?? Infinity
  }

  /** A Poisson process whose clock is the expected count: any rate over time, without thinning. */
  #draw(drawn: Drawn, partition: number): void {
    drawn.expected += -Math.log(1 - this.#random.next())
    const share = this.shares[partition] ?? 0
    drawn.times.push(share > 0 ? this.curve.timeOf(drawn.expected / share) : Infinity)
  }
}
