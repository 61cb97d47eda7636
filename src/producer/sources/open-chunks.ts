/**
 * The chunks of one source that are not settled: how far the source is safe, the
 * first failure, and a signal that ends the reading when there is one.
 */

import type { Settlement } from '../delivery.ts'
import type { Submission } from '../intake.ts'
import { PositionTracker } from './position-tracker.ts'

/** What a source wants to hear of a chunk. What a function throws counts as a failure of the chunk. */
export interface ChunkHooks {
  /** The chunk has its end. */
  readonly onSettled?: (settlement: Settlement) => void
  /** The chunk and all before it are safe: called in the order of the chunks. */
  readonly onSafe?: () => void
}

/** Follows the chunks of one run of a source. */
export class OpenChunks {
  readonly #positions: PositionTracker
  readonly #failed = new AbortController()
  #error: unknown
  #openCount = 0
  #onIdle: () => void = () => undefined

  /** @param safeBytes - Bytes of the source that are safe from the start. Default 0. */
  constructor(safeBytes = 0) {
    this.#positions = new PositionTracker(safeBytes)
  }

  /** Aborts when an event has failed. */
  get failedSignal(): AbortSignal {
    return this.#failed.signal
  }

  /** Bytes whose events are all safe in Kafka. */
  get safeBytes(): number {
    return this.#positions.safeBytes
  }

  /** Chunks that are not settled. */
  get openCount(): number {
    return this.#openCount
  }

  /**
   * Follows a chunk that is being handed over; resolves when it was.
   *
   * @param position - Where the chunk ends in its source, in bytes.
   * @param submitting - The hand-over, just begun.
   */
  async follow(position: number, submitting: Promise<Submission>, hooks: ChunkHooks = {}): Promise<void> {
    const markSafe = this.#positions.start(position, hooks.onSafe)
    this.#openCount += 1
    let settled: Promise<Settlement>
    try {
      settled = (await submitting).settled
    } catch (error) {
      this.#closeOne(error)
      throw error
    }
    void this.#settle(settled, settlement => {
      hooks.onSettled?.(settlement)
      if (settlement.error !== undefined) throw settlement.error
      markSafe()
    })
  }

  /** Nothing more of the source comes before `position`: it is safe once all chunks before it are. */
  reach(position: number, onSafe?: () => void): void {
    this.#positions.start(position, onSafe)()
  }

  /**
   * Resolves when all chunks are settled.
   *
   * @throws PipelineError the first failure of an event.
   */
  async end(): Promise<void> {
    if (this.#openCount > 0) {
      await new Promise<void>(resolve => {
        this.#onIdle = resolve
      })
    }
    if (this.#error !== undefined) throw this.#error
  }

  async #settle(settled: Promise<Settlement>, finish: (settlement: Settlement) => void): Promise<void> {
    try {
      finish(await settled)
    } catch (error) {
      this.#closeOne(error)
      return
    }
    this.#closeOne()
  }

  #closeOne(error?: unknown): void {
    if (error !== undefined) {
      this.#error ??= error
      this.#failed.abort()
    }
    this.#openCount -= 1
    if (this.#openCount === 0) this.#onIdle()
  }
}
