/** How much one request may read: a time, ended early when the browser goes away or the console closes. */

import { type Clock, PipelineError } from '../../core/index.ts'

/** Longest reading of one request, in milliseconds; what is left is read by the next one. */
export const READING_MS = 4000

/** Runs with a signal that ends after so long, or with any of the others. */
export async function withBudget<T>(
  clock: Clock,
  signals: readonly AbortSignal[],
  run: (signal: AbortSignal) => Promise<T>
): Promise<T> {
  const limit = new AbortController()
  const timer = clock.after(READING_MS, () => limit.abort())
  try {
    return await run(AbortSignal.any([...signals, limit.signal]))
  } finally {
    timer.cancel()
  }
}

/** Readings at the same time: of all users, and of one session. */
export class ReadingSlots {
  readonly #most: number
  readonly #mostOfOne: number
  readonly #bySession = new Map<string, number>()
  #count = 0

  constructor(most: number, mostOfOne: number) {
    this.#most = most
    this.#mostOfOne = mostOfOne
  }

  /**
   * Takes a place; the answer gives it back.
   *
   * @throws PipelineError `ERR_CONSOLE_BUSY` if there is none.
   */
  take(sessionId: string): () => void {
    const own = this.#bySession.get(sessionId) ?? 0
    if (this.#count >= this.#most || own >= this.#mostOfOne) {
      throw new PipelineError(
        'ERR_CONSOLE_BUSY',
        'too many readings of records at the same time: try again in a moment',
        {
          retriable: true,
          fields: { retryAfterSeconds: 2 }
        }
      )
    }
    this.#count += 1
    this.#bySession.set(sessionId, own + 1)
    let isFree = false
    return () => {
      if (isFree) return
      isFree = true
      this.#count -= 1
      const left = (this.#bySession.get(sessionId) ?? 1) - 1
      if (left === 0) this.#bySession.delete(sessionId)
      else this.#bySession.set(sessionId, left)
    }
  }
}
