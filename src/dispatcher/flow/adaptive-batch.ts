/**
 * How many records a batch holds so that the target answers in time.
 *
 * Additive growth, multiplicative cut: full batches that were answered within
 * the wanted time let the size grow by a twentieth of its range; one that took
 * longer, or timed out, cuts it. Batches that were not full say nothing. After a
 * change only batches made with the new size count. Pure.
 */

/** Limits of the size. */
export interface AdaptiveBatchOptions {
  /** Fewest records. At least 1. */
  readonly recordsMin: number
  /** Most records: `batch.recordsMax`. */
  readonly recordsMax: number
  /** Time that a batch should take at the target, in milliseconds. */
  readonly latencyTargetMs: number
}

/** Share of the size that is left after a batch that took too long. */
const CUT_RATIO = 0.7
/** In-time batches in a row that let the size grow. */
const GROW_AFTER = 4

/** Finds the size of batches for one target. */
export class AdaptiveBatch {
  #options: AdaptiveBatchOptions
  #recordsMax: number
  #changedMs = Number.NEGATIVE_INFINITY
  #inTimeCount = 0

  /** Begins with the largest size: what was configured holds until the target shows that it is too much. */
  constructor(options: AdaptiveBatchOptions) {
    this.#options = options
    this.#recordsMax = options.recordsMax
  }

  /** Most records of the next batch. */
  get recordsMax(): number {
    return Math.round(this.#recordsMax)
  }

  /** Changes the limits while it runs. */
  configure(options: AdaptiveBatchOptions): void {
    // A raised limit is tried from its top, as at the start.
    this.#recordsMax =
      options.recordsMax > this.#options.recordsMax
        ? options.recordsMax
        : Math.min(this.#recordsMax, options.recordsMax)
    this.#recordsMax = Math.max(this.#recordsMax, Math.min(options.recordsMin, options.recordsMax))
    this.#options = options
  }

  /** Learns from a batch that was answered, or (`isTimeout`) was not in time. */
  answered(
    sample: { readonly sentMs: number; readonly answeredMs: number; readonly records: number },
    isTimeout = false
  ): void {
    if (sample.sentMs < this.#changedMs) return
    const { recordsMin, recordsMax, latencyTargetMs } = this.#options
    const ms = sample.answeredMs - sample.sentMs
    if (ms > latencyTargetMs || isTimeout) {
      this.#inTimeCount = 0
      if (this.#recordsMax <= recordsMin) return
      // Not above what was sent: a batch that was not full took too long as well.
      const from = Math.min(this.#recordsMax, sample.records)
      this.#recordsMax = Math.max(recordsMin, from * CUT_RATIO)
      this.#changedMs = sample.answeredMs
      return
    }
    if (sample.records < this.recordsMax || this.#recordsMax >= recordsMax) return
    this.#inTimeCount += 1
    if (this.#inTimeCount < GROW_AFTER) return
    this.#inTimeCount = 0
    this.#recordsMax = Math.min(recordsMax, this.#recordsMax + Math.max(1, (recordsMax - recordsMin) / 20))
    this.#changedMs = sample.answeredMs
  }
}
