/**
 * An engine of micro-batches: at each interval it takes what waits, up to its
 * caps, into one batch, and the next begins when that is done.
 *
 * A batch that needs more memory than there is ends the job, one that takes too
 * long is cancelled; both start again later at the same offsets. The rate of the
 * backpressure is that of Spark's PID estimator (proportional 1, integral 0.2,
 * derivative 0; source: `spark.streaming.backpressure.pid.*`).
 */

import type { DataPlane, PlaneParts } from './data-plane.ts'
import type { SimulationScenario } from './simulation-types.ts'

type Settings = NonNullable<SimulationScenario['microBatch']>

interface Running {
  readonly counts: Float64Array
  readonly total: number
  readonly startS: number
  readonly endS: number
  readonly outcome: 'done' | 'cancelled'
}

/** What is told to the run. */
export interface MicroBatchPort {
  note(atS: number, text: string): void
}

/** Batches of everything that waits. */
export class MicroBatchPlane implements DataPlane {
  steps = 0
  readonly #parts: PlaneParts
  readonly #settings: Settings
  readonly #port: MicroBatchPort
  #done: Float64Array = new Float64Array(0)
  #nextS = 0
  #running: Running | undefined
  /** Records per second that the backpressure allows. */
  #rate: number
  #isFirst = true

  constructor(parts: PlaneParts & { readonly settings: Settings; readonly port: MicroBatchPort }) {
    this.#parts = parts
    this.#settings = parts.settings
    this.#port = parts.port
    this.#rate = parts.settings.backpressure?.initialRate ?? Infinity
    this.#nextS = parts.settings.intervalMs / 1000
  }

  /** Bytes of the batch that is being worked on. */
  get memoryBytes(): number {
    return (this.#running?.total ?? 0) * this.#recordBytes
  }

  get #recordBytes(): number {
    return this.#settings.memoryPerRecordBytes ?? this.#parts.scenario.topic.recordBytes
  }

  advance(toS: number): void {
    for (;;) {
      const running = this.#running
      if (running !== undefined) {
        if (running.endS > toS) return
        this.#finish(running)
      } else {
        if (this.#nextS > toS) return
        this.#begin(this.#nextS)
      }
      this.steps++
    }
  }

  changed(): void {
    const { partitionCount } = this.#parts.log
    if (this.#done.length >= partitionCount) return
    const done = new Float64Array(partitionCount)
    done.set(this.#done)
    this.#done = done
  }

  doneOf(partition: number): number {
    return this.#done[partition] ?? 0
  }

  lagOf(partition: number, nowS: number): number {
    return Math.max(0, this.#parts.log.endAt(partition, nowS) - this.doneOf(partition))
  }

  abandon(): void {
    // A rebalance means nothing to an engine that assigns partitions itself.
  }

  jump(partition: number, offset: number): number {
    const count = Math.max(0, offset - this.doneOf(partition))
    this.#done[partition] = this.doneOf(partition) + count
    return count
  }

  inFlightOf(): number {
    return this.#running === undefined ? 0 : 1
  }

  #begin(nowS: number): void {
    const { log, stats } = this.#parts
    const { intervalMs, maxRatePerPartition, memoryBytes, timeoutMs, restartMs } = this.#settings
    const intervalS = intervalMs / 1000
    const counts = new Float64Array(log.partitionCount)
    let waiting = 0
    for (let partition = 0; partition < counts.length; partition++) {
      counts[partition] = this.lagOf(partition, nowS)
      waiting += counts[partition] ?? 0
    }
    const share = waiting > 0 ? Math.min(1, (this.#rate * intervalS) / waiting) : 1
    let total = 0
    counts.forEach((count, partition) => {
      const most = (maxRatePerPartition ?? Infinity) * intervalS
      counts[partition] = Math.floor(Math.min(count * share, most))
      total += counts[partition] ?? 0
    })
    if (total === 0) {
      this.#nextS = nowS + intervalS
      return
    }
    const needed = total * this.#recordBytes
    if (needed > memoryBytes) {
      stats.outOfMemory++
      const [need, have] = [needed, memoryBytes].map(bytes => `${(bytes / 1e9).toFixed(1)} GB`)
      if (stats.outOfMemory <= 3)
        this.#port.note(nowS, `out of memory: a batch of ${total} records needs ${need} of ${have}`)
      this.#nextS = nowS + restartMs / 1000
      return
    }
    const takesS = this.#settings.perBatchMs / 1000 + total / this.#settings.recordsPerSecond
    const isCancelled = takesS > timeoutMs / 1000
    const endS = nowS + (isCancelled ? timeoutMs / 1000 : takesS)
    this.#running = { counts, total, startS: nowS, endS, outcome: isCancelled ? 'cancelled' : 'done' }
  }

  #finish({ counts, total, startS, endS, outcome }: Running): void {
    const { stats, log } = this.#parts
    this.#running = undefined
    stats.invocations++
    stats.targetSeconds += endS - startS
    if (outcome === 'cancelled') {
      stats.cancelledBatches++
      stats.failedInvocations++
      stats.duplicates += total
      if (stats.cancelledBatches <= 3)
        this.#port.note(endS, `a batch of ${total} records is cancelled: it took too long`)
      this.#nextS = endS + this.#settings.restartMs / 1000
      return
    }
    counts.forEach((count, partition) => {
      if (count <= 0) return
      const first = this.doneOf(partition)
      this.#done[partition] = first + count
      stats.addDelays(count, endS - log.timeOf(partition, first), endS - log.timeOf(partition, first + count - 1))
    })
    stats.consumed += total
    stats.batches++
    stats.batchRecords += total
    this.#estimate(total, endS - startS)
    const intervalS = this.#settings.intervalMs / 1000
    this.#nextS = Math.max(
      endS,
      Math.ceil(startS / intervalS + 1e-9) * intervalS + (startS % intervalS === 0 ? intervalS : 0)
    )
  }

  /** Spark's `PIDRateEstimator`. */
  #estimate(total: number, tookS: number): void {
    const { backpressure, intervalMs } = this.#settings
    if (backpressure === undefined) return
    const processingRate = total / Math.max(1e-3, tookS)
    if (this.#isFirst && this.#rate === Infinity) {
      this.#isFirst = false
      this.#rate = processingRate
      return
    }
    this.#isFirst = false
    const intervalS = intervalMs / 1000
    const late = Math.max(0, tookS - intervalS)
    const error = this.#rate - processingRate
    const historical = (late * processingRate) / intervalS
    this.#rate = Math.max(backpressure.minRate, this.#rate - error - 0.2 * historical)
  }
}
