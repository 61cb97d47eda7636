/**
 * Tells a role that gets on from one that stands still, whatever else it does: heartbeats are no progress.
 *
 * Looked at from time to time. Work that is there while nothing is finished adds up, beyond the time that what is
 * under way may take by its own limits; anything that is finished, or no work at all, ends the count. The time between
 * two looks counts for at most `LOOK_MS_MAX`: a process that was stopped (SIGSTOP, a sleeping machine) has not stood
 * still by itself. Pure: time is passed in.
 */

/** A role at one look. */
export interface WorkSeen {
  /** Whether anything waits to be finished. */
  readonly hasWork: boolean
  /** Anything that changes when something is finished, and only then. */
  readonly mark: string
  /** Time that what is under way may take by its own limits, in milliseconds. */
  readonly allowanceMs: number
}

/** Longest time that one look counts for, in milliseconds. */
const LOOK_MS_MAX = 15_000

/** Remembers when something was finished last. */
export class ProgressMemory {
  readonly #timeoutMs: number
  #mark: string | undefined
  #lookedMs = 0
  #stoodStillMs = 0
  #allowanceMs = 0

  /** @param timeoutMs - Time with work and without progress after which a role stands still. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  /** Takes a look. */
  look({ hasWork, mark, allowanceMs }: WorkSeen, nowMs: number): void {
    const elapsedMs = Math.min(LOOK_MS_MAX, nowMs - this.#lookedMs)
    const hasMoved = this.#mark !== mark
    this.#stoodStillMs = hasMoved || !hasWork ? 0 : this.#stoodStillMs + elapsedMs
    this.#mark = mark
    this.#allowanceMs = allowanceMs
    this.#lookedMs = nowMs
  }

  /** Time with work in which nothing was finished, in milliseconds. */
  get stoodStillMs(): number {
    return this.#stoodStillMs
  }

  /** Whether that is too long. */
  get standsStill(): boolean {
    return this.#stoodStillMs >= this.#timeoutMs + this.#allowanceMs
  }
}

/** How often a role looks at itself, for a timeout: twenty times within it, at least every five seconds. */
export function lookEveryMs(timeoutMs: number): number {
  return Math.min(5000, Math.max(50, timeoutMs / 20))
}
