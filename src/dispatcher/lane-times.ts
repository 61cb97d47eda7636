/**
 * How old the oldest record is that a partition has not done: its lag in seconds.
 *
 * A record that is fetched and not in a batch yet is not looked at: it is at least as young as the last one that was in
 * a batch, which stands for it. Before the first batch the time in the head of the first fetched record batch does.
 *
 * Invariants: nothing is kept of a lane that is gone; one entry per batch under way.
 */

/** A batch, as far as its times go. */
interface Times {
  /** Timestamps of the first and of the last record, in epoch milliseconds. */
  readonly firstMs: number
  readonly lastMs: number
}

interface LaneState {
  readonly underWay: Set<Times>
  lastMs: number | undefined
}

/** Base timestamp in the head of a record batch. Source: Kafka record batch format, magic 2. */
const MAGIC_AT = 16
const BASE_TIMESTAMP_AT = 27
const HEAD_BYTES = 61

/** Knows the times of lanes. */
export class LaneTimes {
  #lanes = new WeakMap<object, LaneState>()

  /** Records of a lane were fetched; `nowMs` in epoch milliseconds. */
  fetched(lane: object, records: Buffer, nowMs: number): void {
    if (records.length < HEAD_BYTES || records[MAGIC_AT] !== 2) return
    const state = this.#of(lane)
    if (state.lastMs !== undefined) return
    const baseMs = Number(records.readBigInt64BE(BASE_TIMESTAMP_AT))
    // -1 is no time, and one to come would hide the age of what is behind it.
    if (baseMs >= 0) state.lastMs = Math.min(baseMs, nowMs)
  }

  /**
   * A batch of a lane begins.
   *
   * @returns Ends it.
   */
  began(lane: object, times: Times): () => void {
    const state = this.#of(lane)
    state.underWay.add(times)
    // A batch out of order may be older than the one before.
    state.lastMs = Math.max(state.lastMs ?? 0, times.lastMs)
    return () => state.underWay.delete(times)
  }

  /** Timestamp of the oldest record that is not done, if something is not, in epoch milliseconds. */
  oldestMs(lane: object): number | undefined {
    const state = this.#lanes.get(lane)
    if (state === undefined) return undefined
    let oldestMs = state.lastMs
    for (const { firstMs } of state.underWay) oldestMs = Math.min(oldestMs ?? firstMs, firstMs)
    return oldestMs
  }

  #of(lane: object): LaneState {
    const known = this.#lanes.get(lane)
    if (known !== undefined) return known
    const state: LaneState = { underWay: new Set(), lastMs: undefined }
    this.#lanes.set(lane, state)
    return state
  }
}
