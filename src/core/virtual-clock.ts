/**
 * A clock that stands still until it is told to move: for tests and simulation.
 *
 * `advance` runs due timers in order of time, then of creation, and lets
 * promise reactions run between two timers, so that a timer set by a reaction
 * within the advanced span still fires in it.
 */

import type { Clock, Timer } from './clock.ts'

interface Pending {
  dueMs: number
  readonly order: number
  readonly periodMs: number | undefined
  readonly callback: () => void
}

/** A clock whose time moves only through `advance`. */
export class VirtualClock implements Clock {
  #nowMs: number
  readonly #startMs: number
  #order = 0
  readonly #pending = new Set<Pending>()

  /** @param startMs - First value of `now()`, in epoch milliseconds. Default 1_700_000_000_000. */
  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs
    this.#startMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs - this.#startMs
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#add(delayMs, undefined, callback)
  }

  every(periodMs: number, callback: () => void): Timer {
    return this.#add(periodMs, Math.max(1, periodMs), callback)
  }

  /** How many timers are pending: a leak shows here. */
  get pendingCount(): number {
    return this.#pending.size
  }

  /** Moves time forward by `ms` milliseconds and runs what falls due. */
  async advance(ms: number): Promise<void> {
    const target = this.#nowMs + ms
    await settle()
    for (let next = this.#next(target); next !== undefined; next = this.#next(target)) {
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      if (next.periodMs === undefined) this.#pending.delete(next)
      else next.dueMs += next.periodMs
      next.callback()
      await settle()
    }
    this.#nowMs = target
  }

  #add(delayMs: number, periodMs: number | undefined, callback: () => void): Timer {
    const entry: Pending = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, periodMs, callback }
    this.#pending.add(entry)
    const timer: Timer = { cancel: () => void this.#pending.delete(entry), unref: () => timer }
    return timer
  }

  #next(limitMs: number): Pending | undefined {
    let best: Pending | undefined
    for (const entry of this.#pending) {
      if (entry.dueMs > limitMs) continue
      if (best === undefined || entry.dueMs < best.dueMs || (entry.dueMs === best.dueMs && entry.order < best.order)) {
        best = entry
      }
    }
    return best
  }
}

/** Lets every promise reaction that is ready run, I/O callbacks included. */
function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
