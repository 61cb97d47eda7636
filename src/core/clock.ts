/**
 * Time, as a value that is passed.
 *
 * Nothing outside this file (and `cli`) reads a clock or sets a timer, so any
 * component runs on the virtual clock in tests. Timers created here keep the
 * process alive unless `unref` is called on them.
 */

/** A timer that can be cancelled. */
export interface Timer {
  /** Cancels the timer; later calls do nothing. */
  cancel(): void
  /** Lets the process end while this timer is pending. */
  unref(): Timer
}

/** Wall time, monotonic time and timers. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z, as an integer. */
  now(): number
  /** Milliseconds since an arbitrary start, never going back; fractions allowed. */
  monotonicMs(): number
  /** Calls once after `delayMs` milliseconds. */
  after(delayMs: number, callback: () => void): Timer
  /** Calls every `periodMs` milliseconds until cancelled. */
  every(periodMs: number, callback: () => void): Timer
}

function wrap(handle: NodeJS.Timeout): Timer {
  const timer: Timer = {
    cancel: () => clearTimeout(handle),
    unref: () => {
      handle.unref()
      return timer
    }
  }
  return timer
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, callback) => wrap(setTimeout(callback, delayMs)),
  every: (periodMs, callback) => wrap(setInterval(callback, periodMs))
}

/**
 * Resolves after `delayMs` milliseconds, or as soon as the signal aborts: it
 * never rejects, because a wait that was cut short is an expected outcome.
 *
 * @returns `true` if the whole time passed, `false` if the signal ended it.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted === true) return Promise.resolve(false)
  return new Promise(resolve => {
    const onAbort = (): void => {
      timer.cancel()
      resolve(false)
    }
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve(true)
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** Resolves with the promise, or with `undefined` after `timeoutMs` milliseconds. The promise itself goes on. */
export async function within<T>(clock: Clock, timeoutMs: number, promise: Promise<T>): Promise<T | undefined> {
  const cancel = new AbortController()
  try {
    return await Promise.race([promise, sleep(clock, timeoutMs, cancel.signal).then(() => undefined)])
  } finally {
    cancel.abort()
  }
}

/**
 * Resolves after pending I/O has had its turn. A loop that works through much at
 * once awaits it now and then, so that sockets and timers are not starved.
 */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
