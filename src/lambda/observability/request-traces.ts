/**
 * A subsegment of X-Ray for each request to a target, made when the request has ended and dated back to its beginning.
 *
 * Limit: the trace is not passed on to the target, because a request is written before anybody watches it.
 */

import type { Clock } from '../../core/index.ts'
import type { ObservedRequest } from '../distributor/observer.ts'
import type { PowertoolsTracer } from './powertools.ts'

/** Longest name of a subsegment. Source: X-Ray developer guide, "Segment documents". */
const NAME_MAX = 200
/** Most subsegments for one invocation: a bisection may need hundreds of requests. */
const REQUESTS_MAX = 100

/** Traces requests. */
export class RequestTraces {
  readonly #tracer: PowertoolsTracer
  readonly #clock: Clock
  #left = REQUESTS_MAX

  constructor(tracer: PowertoolsTracer, clock: Clock) {
    this.#tracer = tracer
    this.#clock = clock
  }

  start(): void {
    this.#left = REQUESTS_MAX
  }

  request({ target, topic, partition, recordCount, attempt, durationMs, outcome }: ObservedRequest): void {
    if (this.#left === 0 || !this.#tracer.isTracingEnabled()) return
    this.#left -= 1
    const subsegment = this.#tracer.getSegment()?.addNewSubsegment(nameOf(target))
    if (subsegment === undefined) return
    subsegment.start_time = (this.#clock.now() - durationMs) / 1_000
    subsegment.addAnnotation('target', target)
    subsegment.addAnnotation('topic', topic)
    subsegment.addAnnotation('partition', partition)
    subsegment.addAnnotation('records', recordCount)
    subsegment.addAnnotation('attempt', attempt)
    subsegment.addAnnotation('outcome', outcome)
    if (outcome === 'unavailable') subsegment.addFaultFlag()
    else if (outcome !== 'ok') subsegment.addErrorFlag()
    subsegment.close()
  }
}

/** Source: X-Ray developer guide, "Segment documents": the characters that names may have. */
function nameOf(target: string): string {
  return `target ${target}`.replace(/[^\p{L}\p{N}\s_.:/%&#=+\\\-@]/gu, '_').slice(0, NAME_MAX)
}
