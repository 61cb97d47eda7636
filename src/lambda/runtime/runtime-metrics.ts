/** Metrics of the embedded Lambda runtime, recorded once per invocation. */

import type { Meter } from '../../telemetry/index.ts'

/** How the runtime counts. */
export interface RuntimeMetrics {
  /** One invocation ended. */
  finished(functionName: string, outcome: string, durationMs: number): void
  /** One invocation was refused because all environments were busy. */
  throttled(functionName: string): void
}

/** Creates the instruments. */
export function runtimeMetrics(meter: Meter): RuntimeMetrics {
  const invocations = meter.createCounter('comporta.lambda.invocations', {
    description: 'Invocations that ended, by function and outcome.'
  })
  const throttles = meter.createCounter('comporta.lambda.throttles', {
    description: 'Invocations refused with 429 because all environments were busy.'
  })
  const duration = meter.createHistogram('comporta.lambda.duration', {
    description: 'Time of an invocation in its environment, a cold start included.',
    unit: 'ms'
  })
  return {
    finished: (functionName, outcome, durationMs) => {
      invocations.add(1, { function: functionName, outcome })
      duration.record(durationMs, { function: functionName })
    },
    throttled: functionName => throttles.add(1, { function: functionName })
  }
}
