/** Which failures of events a source outlives: it waits and hands them over again; all others end it. */

import { type BackoffOptions, PipelineError } from '../../core/index.ts'

/** Wait before events that Kafka did not take are handed over again. */
export const AGAIN_BACKOFF: BackoffOptions = { initialMs: 500, maxMs: 30_000 }

/**
 * Whether events that failed may be handed over again by the same producer: Kafka was away, slow or short of replicas.
 * Not if it refuses this producer (authorization, fencing), or if the producer itself ends.
 */
export function mayPassLater(error: PipelineError): boolean {
  const cause = PipelineError.is(error.cause) ? error.cause : error
  if (cause.code === 'ERR_PRODUCER_DRAIN_TIMEOUT' || cause.code === 'ERR_PRODUCER_DRAINING') return false
  return cause.retriable || cause.code === 'ERR_CLIENT_DELIVERY_TIMEOUT'
}
