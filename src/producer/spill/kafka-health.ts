/**
 * Whether Kafka counts as away, by its acknowledgements alone. Pure: no I/O, no clock.
 *
 * It is away when the oldest record without an acknowledgement is older than
 * `afterMs`, or when records have waited that long without any acknowledgement
 * (those whose topic is not known yet are in no batch, and have no age). It is
 * back with the next acknowledgement after which neither holds. Nothing to
 * acknowledge is no trouble: whether Kafka answers then shows with the next record.
 */

/** What an appender shows at a moment; times in milliseconds of one monotonic clock. */
export interface AppenderSample {
  readonly nowMs: number
  /** Bytes of records without an acknowledgement. */
  readonly bufferedBytes: number
  /** When the oldest of them was appended; `undefined` if that is not known. */
  readonly oldestAppendedMs: number | undefined
}

/** Judges by samples and acknowledgements. */
export class KafkaHealth {
  readonly #afterMs: number
  /** Since when there has always been something to acknowledge. */
  #waitingSinceMs: number | undefined
  #acknowledgedMs = Number.NEGATIVE_INFINITY

  /** @param afterMs - Longest wait for an acknowledgement, in milliseconds. */
  constructor(afterMs: number) {
    this.#afterMs = afterMs
  }

  /** Records were acknowledged. */
  acknowledged(nowMs: number): void {
    this.#acknowledgedMs = nowMs
  }

  /** Whether Kafka counts as away now. */
  isAway(sample: AppenderSample): boolean {
    const { nowMs, bufferedBytes, oldestAppendedMs } = sample
    const isOld = bufferedBytes > 0 && oldestAppendedMs !== undefined && nowMs - oldestAppendedMs >= this.#afterMs
    return this.isSilent(sample) || isOld
  }

  /** Whether nothing was acknowledged for that long although there was always something to acknowledge. */
  isSilent({ nowMs, bufferedBytes }: AppenderSample): boolean {
    if (bufferedBytes === 0) {
      this.#waitingSinceMs = undefined
      return false
    }
    this.#waitingSinceMs ??= nowMs
    return nowMs - Math.max(this.#waitingSinceMs, this.#acknowledgedMs) >= this.#afterMs
  }
}
