/**
 * Which alerts are due: told of the conditions that hold, it says what to send.
 *
 * Pure. A condition has to hold for a while before it is sent (`for`), and to be
 * gone for a while before it is resolved, so that one that comes and goes is one
 * alert. While it holds it is sent again after `repeatMs`. What never was sent
 * is never resolved, and what could not be looked at stands as it is.
 * Limit: `alertsMax` conditions at a time, the first come.
 */

import type { Alert, AlertCondition } from './alert.ts'

/** How patient it is. */
export interface AlertBookOptions {
  /** Time that a condition has to hold, in milliseconds. Default 60_000. */
  readonly forMs?: number
  /** Time that it has to be gone, in milliseconds. Default 60_000. */
  readonly resolveAfterMs?: number
  /** Time after which an alert that still holds is sent again, in milliseconds. Default 4 hours. */
  readonly repeatMs?: number
  /** Conditions kept at a time. Default 1,000. */
  readonly alertsMax?: number
}

interface Entry {
  condition: AlertCondition
  readonly sinceMs: number
  /** When it was last seen to hold. */
  seenMs: number
  /** When it was last sent; `undefined` = not yet. */
  sentMs: number | undefined
  repeats: number
}

/** The book. */
export class AlertBook {
  readonly #options: Required<AlertBookOptions>
  readonly #entries = new Map<string, Entry>()
  #leftOut = 0

  constructor(options: AlertBookOptions = {}) {
    this.#options = { forMs: 60_000, resolveAfterMs: 60_000, repeatMs: 14_400_000, alertsMax: 1000, ...options }
  }

  /** Conditions that found no place. */
  get leftOut(): number {
    return this.#leftOut
  }

  /** Alerts that have been sent and not been resolved, oldest first. */
  firing(): Alert[] {
    return [...this.#entries.values()]
      .filter(({ sentMs }) => sentMs !== undefined)
      .map(entry => alertOf(entry, 'firing', entry.sentMs ?? entry.sinceMs))
  }

  /**
   * Takes in what holds now.
   *
   * @param isSeen - Whether it was looked whether a condition still holds. Default: all were.
   * @returns What to send, resolved ones first.
   */
  decide(
    conditions: readonly AlertCondition[],
    nowMs: number,
    isSeen: (condition: AlertCondition) => boolean = () => true
  ): Alert[] {
    for (const condition of conditions) this.#see(condition, nowMs)
    const resolved: Alert[] = []
    const firing: Alert[] = []
    for (const [key, entry] of this.#entries) {
      if (entry.seenMs !== nowMs && !isSeen(entry.condition)) continue
      const isGone = nowMs - entry.seenMs >= this.#options.resolveAfterMs && entry.seenMs < nowMs
      const neverSent = entry.sentMs === undefined && entry.seenMs < nowMs
      if (isGone || neverSent) {
        this.#entries.delete(key)
        if (!neverSent) resolved.push(alertOf(entry, 'resolved', nowMs))
      } else if (entry.seenMs === nowMs && this.#isDue(entry, nowMs)) {
        firing.push(alertOf(entry, 'firing', nowMs))
        if (entry.sentMs !== undefined) entry.repeats += 1
        entry.sentMs = nowMs
      }
    }
    return [...resolved, ...firing]
  }

  #see(condition: AlertCondition, nowMs: number): void {
    const entry = this.#entries.get(condition.key)
    if (entry !== undefined) {
      entry.condition = condition
      entry.seenMs = nowMs
    } else if (this.#entries.size >= this.#options.alertsMax) this.#leftOut += 1
    else {
      const fresh = { condition, sinceMs: nowMs, seenMs: nowMs, sentMs: undefined, repeats: 0 }
      this.#entries.set(condition.key, fresh)
    }
  }

  #isDue({ condition, sinceMs, sentMs }: Entry, nowMs: number): boolean {
    if (sentMs !== undefined) return nowMs - sentMs >= this.#options.repeatMs
    return nowMs - sinceMs >= (condition.forMs ?? this.#options.forMs)
  }
}

function alertOf({ condition, sinceMs, repeats, sentMs }: Entry, status: Alert['status'], atMs: number): Alert {
  return { ...condition, status, sinceMs, atMs, repeats: sentMs === undefined ? 0 : repeats + 1 }
}
