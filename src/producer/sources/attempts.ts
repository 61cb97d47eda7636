/**
 * Long-running sources do not end because events failed: they wait, go back to
 * their safe position and read from there again.
 *
 * What was published behind that position before the failure is published twice.
 * Everything else that ends a source ends it: a folder that is none, a state file
 * that cannot be used.
 */

import {
  backoffMs,
  type BackoffOptions,
  type Clock,
  messageOf,
  PipelineError,
  type Random,
  sleep
} from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'

/** Waits between attempts, unless said otherwise. */
const RETRY: BackoffOptions = { initialMs: 1000, maxMs: 30_000 }
/** An attempt that ran so long counts as a success: the next wait is short again. */
const SOUND_MS = 60_000

/** Failures of events that another time may cure. */
const RETRIED: ReadonlySet<string> = new Set([
  'ERR_PRODUCER_DELIVERY_FAILED',
  'ERR_PRODUCER_DEAD_LETTER_FAILED',
  'ERR_PRODUCER_AWAY'
])

/** Whether events failed so that it makes sense to hand them over again later. */
export function isRetriedFailure(error: unknown): boolean {
  return PipelineError.is(error) && RETRIED.has(error.code)
}

/** What attempts need. */
export interface AttemptsOptions {
  /** Name of the source, for the log. */
  readonly name: string
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly random: Random
  /** Waits between attempts. Default 1 s, doubling up to 30 s. */
  readonly retry?: BackoffOptions | undefined
  readonly logger: Logger
  /** Failures that another attempt may cure. Default: those of events. */
  readonly isRetried?: (error: unknown) => boolean
  /** Reads from the safe position until the signal aborts, and throws the failure of an event. */
  readonly attempt: () => Promise<void>
  /** Called before each further attempt. */
  readonly onRetry: () => void
}

/**
 * Attempts until the signal aborts.
 *
 * @throws PipelineError what no other attempt can cure, and the failure of events during the stop.
 */
export async function attemptUntilStopped(options: AttemptsOptions): Promise<void> {
  const { name, signal, clock, logger, isRetried = isRetriedFailure } = options
  for (let failureCount = 1; ; failureCount += 1) {
    const startMs = clock.monotonicMs()
    try {
      await options.attempt()
      return
    } catch (error) {
      if (signal.aborted || !isRetried(error)) throw error
      if (clock.monotonicMs() - startMs >= SOUND_MS) failureCount = 1
      const waitMs = backoffMs(options.retry ?? RETRY, failureCount, options.random)
      logger.warn({ source: name, error: messageOf(error), waitMs }, 'the source goes back to its safe position')
      if (!(await sleep(clock, waitMs, signal))) throw error
      options.onRetry()
    }
  }
}
