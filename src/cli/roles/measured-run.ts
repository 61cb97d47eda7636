/**
 * What a dispatcher measures of itself for the simulator: when each batch went to
 * the target and came back, and what processor time that took.
 *
 * The latest 100,000 batches are kept, 40 bytes each, in typed arrays: a
 * measurement may run for hours. The file is written when the dispatcher has
 * stopped, in the form that `comporta simulate --calibrate` reads.
 */

import { cpuUsage } from 'node:process'

import type { Clock } from '../../core/index.ts'
import type { MeasuredRun } from '../../ops/index.ts'
import type { Target } from '../../targets/index.ts'

const batchesMax = 100_000
const windowMs = 1000
/** A day of windows. */
const windowsMax = 86_400

/** Records batches and processor time; `stop` ends it. */
export class RunRecorder {
  readonly #clock: Clock
  readonly #concurrency: number
  readonly #partitions = new Map<string, number>()
  readonly #partition = new Uint32Array(batchesMax)
  readonly #records = new Uint32Array(batchesMax)
  readonly #startMs = new Float64Array(batchesMax)
  readonly #endMs = new Float64Array(batchesMax)
  readonly #windows: NonNullable<MeasuredRun['cpu']> = []
  readonly #timer: { cancel(): void }
  #count = 0
  #since: { readonly atMs: number; readonly cpu: NodeJS.CpuUsage; records: number; batches: number }

  constructor({ clock, concurrency }: { readonly clock: Clock; readonly concurrency: number }) {
    this.#clock = clock
    this.#concurrency = concurrency
    this.#since = { atMs: clock.monotonicMs(), cpu: cpuUsage(), records: 0, batches: 0 }
    this.#timer = clock.every(windowMs, () => this.#closeWindow())
  }

  /** Batches that were seen, those that were forgotten included. */
  get batchCount(): number {
    return this.#count
  }

  /** The same target, watched. */
  watch(target: Target): Target {
    const record = this.#record.bind(this)
    const clock = this.#clock
    return {
      name: target.name,
      bodyBytesMax: target.bodyBytesMax,
      timeoutMs: target.timeoutMs,
      ...(target.takesRecords === undefined ? {} : { takesRecords: target.takesRecords }),
      async invoke(batch, signal) {
        const startMs = clock.monotonicMs()
        const outcome = await target.invoke(batch, signal)
        // What the target did not take says nothing of the time that it takes.
        if (outcome.kind === 'ok' || outcome.kind === 'partial') {
          record({ place: `${batch.topic}-${batch.partition}`, records: batch.recordCount, startMs })
        }
        return outcome
      },
      close: () => target.close()
    }
  }

  /** Stops measuring and gives what was seen, oldest first. */
  stop(): MeasuredRun {
    this.#timer.cancel()
    const names = [...this.#partitions.keys()]
    const kept = Math.min(this.#count, batchesMax)
    const batches = Array.from({ length: kept }, (_, index) => {
      const at = (this.#count - kept + index) % batchesMax
      return {
        partition: names[this.#partition[at] ?? 0] ?? '',
        records: this.#records[at] ?? 0,
        startMs: this.#startMs[at] ?? 0,
        endMs: this.#endMs[at] ?? 0
      }
    })
    return { kind: 'comporta-run', version: 1, concurrency: this.#concurrency, batches, cpu: this.#windows }
  }

  #record({ place, records, startMs }: { place: string; records: number; startMs: number }): void {
    let partition = this.#partitions.get(place)
    if (partition === undefined) {
      partition = this.#partitions.size
      this.#partitions.set(place, partition)
    }
    const at = this.#count % batchesMax
    this.#partition[at] = partition
    this.#records[at] = records
    this.#startMs[at] = startMs
    this.#endMs[at] = this.#clock.monotonicMs()
    this.#count += 1
    this.#since.records += records
    this.#since.batches += 1
  }

  #closeWindow(): void {
    const { atMs, cpu, records, batches } = this.#since
    const nowMs = this.#clock.monotonicMs()
    const used = cpuUsage(cpu)
    this.#since = { atMs: nowMs, cpu: cpuUsage(), records: 0, batches: 0 }
    if (batches === 0 || this.#windows.length >= windowsMax) return
    this.#windows.push({ cpuMs: (used.user + used.system) / 1000, windowMs: nowMs - atMs, records, batches })
  }
}
