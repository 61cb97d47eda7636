/** Metrics of the embedded Lambda runtime, recorded once per invocation. */

import type { Meter } from '../../telemetry/index.ts'

/** How the runtime counts. */
export interface RuntimeMetrics {
  /** One invocation ended. */
  finished(functionName: string, outcome: string, durationMs: number): void
  /** One invocation was refused: too many run, or a throttle was injected. */
  throttled(functionName: string): void
  /** Something became of asynchronous invocations. */
  event(functionName: string, outcome: 'succeeded' | 'retried' | 'failed' | 'dropped', count: number): void
  /** The outcome of an asynchronous invocation did not reach its destination. */
  destinationFailed(functionName: string): void
}

/** Creates the instruments. */
export function runtimeMetrics(meter: Meter): RuntimeMetrics {
  const invocations = meter.createCounter('comporta.lambda.invocations', {
    description: 'Invocations that ended, by function and outcome.'
  })
  const throttles = meter.createCounter('comporta.lambda.throttles', {
    description: 'Invocations refused with 429 because too many ran.'
  })
  const duration = meter.createHistogram('comporta.lambda.duration', {
    description: 'Time of an invocation in its environment, a cold start included.',
    unit: 'ms'
  })
  const events = meter.createCounter('comporta.lambda.events', {
    description: 'What became of asynchronous invocations: succeeded, retried, failed, dropped.'
  })
  const failures = meter.createCounter('comporta.lambda.destination.failures', {
    description: 'Outcomes of asynchronous invocations that did not reach their destination.'
  })
  return {
    finished: (functionName, outcome, durationMs) => {
      invocations.add(1, { function: functionName, outcome })
      duration.record(durationMs, { function: functionName })
    },
    throttled: functionName => throttles.add(1, { function: functionName }),
    event: (functionName, outcome, count) => events.add(count, { function: functionName, outcome }),
    destinationFailed: functionName => failures.add(1, { function: functionName })
  }
}
