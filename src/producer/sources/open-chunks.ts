/**
 * The chunks of one source that are not settled: how far the source is safe, the
 * first failure, and a signal that ends the reading when there is one.
 */

import type { Settlement } from '../delivery.ts'
import type { Submission } from '../intake.ts'
import { PositionTracker } from './position-tracker.ts'

/** Follows the chunks of one run of a source. */
export class OpenChunks {
  readonly #positions = new PositionTracker()
  readonly #failed = new AbortController()
  #error: unknown
  #openCount = 0
  #onIdle: () => void = () => undefined

  /** Aborts when an event has failed. */
  get failedSignal(): AbortSignal {
    return this.#failed.signal
  }

  /** Bytes whose events are all safe in Kafka. */
  get safeBytes(): number {
    return this.#positions.safeBytes
  }

  /**
   * Follows a chunk that is being handed over; resolves when it was.
   *
   * @param position - Where the chunk ends in its source, in bytes.
   * @param submitting - The hand-over, just begun.
   * @param onSettled - Called with the end of the chunk; what it throws counts as a failure.
   */
  async follow(
    position: number,
    submitting: Promise<Submission>,
    onSettled?: (settlement: Settlement) => void
  ): Promise<void> {
    const markSafe = this.#positions.start(position)
    this.#openCount += 1
    const { settled } = await submitting
    void this.#settle(settled, settlement => {
      onSettled?.(settlement)
      if (settlement.error !== undefined) throw settlement.error
      markSafe()
    })
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
      this.#error ??= error
      this.#failed.abort()
    }
    this.#openCount -= 1
    if (this.#openCount === 0) this.#onIdle()
  }
}
