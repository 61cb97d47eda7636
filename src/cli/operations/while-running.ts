/** What Ctrl-C and `--timeout` mean to a command that reads: it ends, quietly; a second Ctrl-C ends the process. */

import { sleep, systemClock } from '../../core/index.ts'
import { silentLogger } from '../../telemetry/index.ts'
import { onFirstSignal } from '../process/signals.ts'

/** What tells a reading command that it is to end. */
export interface Running {
  readonly signal: AbortSignal
  /** Whether a person, not the time, has ended it. */
  readonly isStopped: () => boolean
}

/** Runs until it ends by itself, by Ctrl-C or SIGTERM, or after so many seconds. */
export async function whileRunning<T>(timeoutS: number | undefined, run: (running: Running) => Promise<T>): Promise<T> {
  const stop = new AbortController()
  const done = new AbortController()
  let isStopped = false
  const ignoreSignals = onFirstSignal(silentLogger, () => {
    isStopped = true
    stop.abort()
  })
  if (timeoutS !== undefined) {
    void sleep(systemClock, timeoutS * 1000, done.signal).then(isOver => (isOver ? stop.abort() : undefined))
  }
  try {
    return await run({ signal: stop.signal, isStopped: () => isStopped })
  } finally {
    done.abort()
    ignoreSignals()
  }
}
