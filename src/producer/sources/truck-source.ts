/**
 * The truck scenario as a source: events at a rate, or as fast as Kafka takes
 * them, and hooks that tell what was made and what became of it, in columns.
 */

import { type Clock, SeededRandom, sleep, systemClock, TokenBucket } from '../../core/index.ts'
import type { Settlement } from '../delivery.ts'
import type { Intake } from '../intake.ts'
import type { GeneratorConfig } from '../options.ts'
import { OpenChunks } from './open-chunks.ts'
import type { Source, SourceProgress } from './source.ts'
import { type TruckBatch, TruckEvents } from './truck-events.ts'

/** Options of `TruckSource`. */
export interface TruckSourceOptions extends Omit<GeneratorConfig, 'type'> {
  /** Index of this producer among those of the run, 0 to 255. Default 0. */
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
/** Unused rate that is made up for after a pause. */
const BURST_MS = 200

/** Makes truck events. Runs once. */
export class TruckSource implements Source {
  readonly name = 'truck'
  readonly #options: TruckSourceOptions
  readonly #clock: Clock
  readonly #events: TruckEvents
  readonly #chunks = new OpenChunks()

  constructor(options: TruckSourceOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    const random = new SeededRandom(options.seed + (options.producer ?? 0) * 0x9e3779b1)
    this.#events = new TruckEvents({ ...options, producer: options.producer ?? 0, random })
  }

  async run(intake: Intake, signal: AbortSignal): Promise<void> {
    const { records = Number.POSITIVE_INFINITY, recordsPerSecond, rampUpMs } = this.#options
    const stop = AbortSignal.any([signal, this.#chunks.failedSignal])
    const perChunk =
      recordsPerSecond === undefined
        ? CHUNK_COUNT
        : Math.max(1, Math.min(CHUNK_COUNT, Math.round((recordsPerSecond * CHUNK_MS) / 1000)))
    const pace =
      recordsPerSecond === undefined
        ? undefined
        : new TokenBucket({ perSecond: recordsPerSecond, burstMs: BURST_MS, rampUpMs })
    try {
      while (this.#events.eventCount < records && !stop.aborted) {
        const count = Math.min(perChunk, records - this.#events.eventCount)
        const waitMs = pace?.reserve(count, this.#clock.monotonicMs()) ?? 0
        if (waitMs > 0 && !(await sleep(this.#clock, waitMs, stop))) break
        await this.#hand(count, intake)
      }
    } finally {
      await this.#chunks.end()
    }
  }

  progress(): SourceProgress {
    return {
      eventCount: this.#events.eventCount,
      readBytes: this.#events.byteCount,
      safeBytes: this.#chunks.safeBytes
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  async #hand(count: number, intake: Intake): Promise<void> {
    const { chunk, batch } = this.#events.next(count, this.#clock.now())
    this.#options.onProduced?.(batch)
    const onSettled = (settlement: Settlement): void => this.#options.onSettled?.(batch, settlement)
    await this.#chunks.follow(chunk.position, intake.submit(chunk, { source: this.name }), { onSettled })
  }
}
