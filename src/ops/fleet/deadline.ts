/** A call that has so long, on the clock that is passed, and ends with the caller's signal before that. */

import type { Clock } from '../../core/index.ts'

/** How long it has. */
export interface Deadline {
  readonly clock: Clock
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** Runs it with a signal that aborts when the time is over, or the given one aborts. */
export async function withDeadline<T>(
  { clock, timeoutMs, signal }: Deadline,
  run: (signal: AbortSignal) => Promise<T>
): Promise<T> {
  const end = new AbortController()
  const timer = clock.after(timeoutMs, () => end.abort(new Error(`no answer within ${timeoutMs / 1000} s`)))
  try {
    return await run(signal === undefined ? end.signal : AbortSignal.any([end.signal, signal]))
  } finally {
    timer.cancel()
  }
}
