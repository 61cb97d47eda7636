/**
 * One question to several brokers, any of which may answer: the next one is asked when one fails, or is silent.
 *
 * A broker that hangs keeps its connections open, so it cannot be told from one that takes its time. Waiting for it
 * alone would cost `requestTimeoutMs` with every question; the answers that nobody waits for any more are dropped.
 */

import type { Clock, Timer } from '../core/index.ts'

/** How to ask. */
export interface FirstAnswerOptions<T> {
  readonly clock: Clock
  /** Silence after which the next one is asked too, in milliseconds. */
  readonly silenceMs: number
  /** Asks the next one, counted from 0; `undefined` = nobody is left. The first one must exist. */
  readonly ask: (attempt: number) => Promise<T> | undefined
}

/** Resolves with the first answer; rejects with the first failure when all have failed. */
export function firstAnswer<T>(options: FirstAnswerOptions<T>): Promise<T> {
  const { clock, silenceMs, ask } = options
  return new Promise((resolve, reject) => {
    let attempts = 0
    let open = 0
    let isExhausted = false
    let failure: { readonly reason: unknown } | undefined
    let timer: Timer | undefined
    const askNext = (): void => {
      timer?.cancel()
      const asked = isExhausted ? undefined : ask(attempts)
      if (asked === undefined) {
        isExhausted = true
        if (open === 0) reject(failure?.reason)
        return
      }
      attempts += 1
      open += 1
      timer = clock.after(silenceMs, askNext)
      asked.then(
        answer => {
          isExhausted = true
          timer?.cancel()
          resolve(answer)
        },
        (reason: unknown) => {
          open -= 1
          failure ??= { reason }
          askNext()
        }
      )
    }
    askNext()
  })
}
