/**
 * The truck scenario as a source: workers beside each other, at a rate or as
 * fast as Kafka takes them, and hooks that tell what was made and what became of
 * it, in columns.
 *
 * Each worker is a stream of its own: its events carry its index in their ids,
 * its sequences begin at 0, and it waits for its own hand-overs only.
 */

import { type ScenarioConfig, scenarioConfig, type ScenarioInput } from '../../config/index.ts'
import { type Clock, SeededRandom, sleep, systemClock } from '../../core/index.ts'
import type { Settlement } from '../delivery.ts'
import type { Intake } from '../intake.ts'
import { LoadCurve, Pacer, workersOf } from './load-curve.ts'
import { OpenChunks } from './open-chunks.ts'
import type { Source, SourceProgress } from './source.ts'
import { type TruckBatch, TruckEvents, truckPopulation } from './truck-events.ts'

/** Options of `TruckSource`. */
export interface TruckSourceOptions extends ScenarioInput {
  /** Index of the first worker among all those of the run, 0 to 255; the others follow. Default 0. */
  readonly producer?: number
  /** Called with every batch before any of it is handed over. What it throws ends the source. */
  readonly onProduced?: (batch: TruckBatch) => void
  /** Called once per batch when every event has its outcome; `outcomes` is index by index as the batch's columns. */
  readonly onSettled?: (batch: TruckBatch, settlement: Settlement) => void
  readonly clock?: Clock
}

/** Events of one chunk without a rate. */
const CHUNK_COUNT = 1024
/** With a rate, a chunk is about this long. */
const CHUNK_MS = 20

interface Worker {
  readonly events: TruckEvents
  readonly pacer: Pacer | undefined
  /** Events of one chunk. */
  readonly chunkCount: number
}

/** Makes truck events. Runs once. */
export class TruckSource implements Source {
  readonly name = 'truck'
  readonly #load: ScenarioConfig
  readonly #hooks: Pick<TruckSourceOptions, 'onProduced' | 'onSettled'>
  readonly #clock: Clock
  readonly #workers: readonly Worker[]
  readonly #chunks = new OpenChunks()
  #leftCount: number
  #eventCount = 0
  #byteCount = 0

  /** @throws PipelineError `ERR_CONFIG_INVALID` if the load is wrong. */
  constructor(options: TruckSourceOptions) {
    const { producer: first = 0, onProduced, onSettled, clock, ...load } = options
    this.#load = scenarioConfig(load)
    this.#hooks = { ...(onProduced && { onProduced }), ...(onSettled && { onSettled }) }
    this.#clock = clock ?? systemClock
    const { records, seed, workers } = this.#load
    this.#leftCount = records ?? Number.POSITIVE_INFINITY
    const population = truckPopulation(this.#load)
    this.#workers = Array.from({ length: workersOf(workers) }, (_, index) => {
      const producer = first + index
      const random = new SeededRandom(seed + producer * 0x9e3779b1)
      return { events: new TruckEvents({ ...this.#load, producer, population, random }), ...this.#paceOf(index) }
    })
  }

  async run(intake: Intake, signal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.#chunks.failedSignal])
    try {
      await Promise.all(this.#workers.map(async worker => await this.#work(worker, intake, stop)))
    } finally {
      await this.#chunks.end()
    }
  }

  progress(): SourceProgress {
    return { eventCount: this.#eventCount, readBytes: this.#byteCount, safeBytes: this.#chunks.safeBytes }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #paceOf(index: number): Pick<Worker, 'pacer' | 'chunkCount'> {
    const { recordsPerSecond, rampUpMs, workers: phases, bursts } = this.#load
    if (recordsPerSecond === undefined) return { pacer: undefined, chunkCount: CHUNK_COUNT }
    const perChunk = Math.round((recordsPerSecond * CHUNK_MS) / 1000 / workersOf(phases))
    return {
      pacer: new Pacer(new LoadCurve({ recordsPerSecond, rampUpMs, phases, bursts }, index)),
      chunkCount: Math.max(1, Math.min(CHUNK_COUNT, perChunk))
    }
  }

  async #work({ events, pacer, chunkCount }: Worker, intake: Intake, stop: AbortSignal): Promise<void> {
    while (this.#leftCount > 0 && !stop.aborted) {
      const count = Math.min(chunkCount, this.#leftCount)
      const waitMs = pacer?.take(count, this.#clock.monotonicMs()) ?? 0
      if (waitMs === Number.POSITIVE_INFINITY) return
      // Taken before the wait, so that workers never make more than the whole together.
      this.#leftCount -= count
      if (waitMs > 0 && !(await sleep(this.#clock, waitMs, stop))) return
      await this.#hand(events, count, intake)
    }
  }

  async #hand(events: TruckEvents, count: number, intake: Intake): Promise<void> {
    const { chunk, batch } = events.next(count, this.#clock.now())
    this.#eventCount += count
    this.#byteCount += chunk.bytes.length
    this.#hooks.onProduced?.(batch)
    const onSettled = (settlement: Settlement): void => this.#hooks.onSettled?.(batch, settlement)
    await this.#chunks.follow(this.#byteCount, intake.submit(chunk, { source: this.name }), { onSettled })
  }
}
