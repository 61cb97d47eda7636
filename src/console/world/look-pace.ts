/**
 * How often the cluster is looked at. Pure.
 *
 * A look takes a fifth of the time at most: on a large cluster, or a slow one, the looks come less often by themselves.
 */

/** Share of the time that looks may take. */
export const LOOK_SHARE_MAX = 0.2
/** Looks that the pace goes by. */
const REMEMBERED = 3
/** Longest time between looks, in milliseconds. */
const INTERVAL_MAX_MS = 300_000
/** Steps in which the interval changes, in milliseconds: it would else never stand still. */
const STEP_MS = 500

/** See the module. */
export class LookPace {
  readonly #leastMs: number
  readonly #durationsMs: number[] = []

  /** @param leastMs - Shortest time between the beginnings of two looks, in milliseconds. */
  constructor(leastMs: number) {
    this.#leastMs = leastMs
  }

  /** Takes note of how long a look took. */
  note(durationMs: number): void {
    this.#durationsMs.push(durationMs)
    if (this.#durationsMs.length > REMEMBERED) this.#durationsMs.shift()
  }

  /** Time between the beginnings of two looks, in milliseconds. */
  get intervalMs(): number {
    // The median: one look that waited for a leader to be elected does not slow down the next.
    const sorted = this.#durationsMs.toSorted((left, right) => left - right)
    const typicalMs = sorted[Math.floor(sorted.length / 2)] ?? 0
    const neededMs = Math.ceil(typicalMs / LOOK_SHARE_MAX / STEP_MS) * STEP_MS
    return Math.min(INTERVAL_MAX_MS, Math.max(this.#leastMs, neededMs))
  }

  /** Whether looks take so long that they come less often than asked for. */
  get isSlowed(): boolean {
    return this.intervalMs > this.#leastMs
  }
}
