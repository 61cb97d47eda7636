/** Metrics of the embedded Lambda runtime, recorded once per invocation. */

import { counterOf, histogramOf, type Meter, observeAll, type Observing } from '../../telemetry/index.ts'

/** How the runtime counts. */
export interface RuntimeMetrics {
  /** One invocation ended; `initMs` is the part that a cold start took, if there was one. */
  finished(functionName: string, outcome: string, time: { readonly totalMs: number; readonly initMs?: number }): void
  /** One invocation was refused: too many run, or a throttle was injected. */
  throttled(functionName: string): void
  /** Something became of asynchronous invocations. */
  event(functionName: string, outcome: 'succeeded' | 'retried' | 'failed' | 'dropped', count: number): void
  /** The outcome of an asynchronous invocation did not reach its destination. */
  destinationFailed(functionName: string): void
}

/** What is read of a function. */
export interface ObservedFunction {
  readonly name: string
  readonly busyCount: number
  readonly idleCount: number
  readonly waitingCount: number
  readonly eventsWaiting: number
  readonly concurrency: number
  readonly coldStarts: number
}

/** Creates the instruments. */
export function runtimeMetrics(meter: Meter): RuntimeMetrics {
  const invocations = counterOf(meter, 'comporta.lambda.invocations')
  const throttles = counterOf(meter, 'comporta.lambda.throttles')
  const duration = histogramOf(meter, 'comporta.lambda.duration')
  const init = histogramOf(meter, 'comporta.lambda.init.duration')
  const events = counterOf(meter, 'comporta.lambda.events')
  const failures = counterOf(meter, 'comporta.lambda.destination.failures')
  return {
    finished: (functionName, outcome, { totalMs, initMs }) => {
      invocations.add(1, { function: functionName, outcome })
      duration.record(totalMs, { function: functionName })
      if (initMs !== undefined) init.record(initMs, { function: functionName })
    },
    throttled: functionName => throttles.add(1, { function: functionName }),
    event: (functionName, outcome, count) => events.add(count, { function: functionName, outcome }),
    destinationFailed: functionName => failures.add(1, { function: functionName })
  }
}

/**
 * Has a meter read what functions are doing.
 *
 * @returns Ends it.
 */
export function observeFunctions(meter: Meter, status: () => readonly ObservedFunction[]): () => void {
  const each =
    (tell: (func: ObservedFunction, observe: Observe) => void): Observing =>
    result => {
      for (const func of status()) {
        tell(func, (value, more) => result.observe(value, { function: func.name, ...more }))
      }
    }
  return observeAll(meter, [
    { counter: 'comporta.lambda.cold_starts', read: each(({ coldStarts }, observe) => observe(coldStarts)) },
    {
      gauge: 'comporta.lambda.environments',
      read: each(({ busyCount, idleCount }, observe) => {
        observe(busyCount, { state: 'busy' })
        observe(idleCount, { state: 'idle' })
      })
    },
    { gauge: 'comporta.lambda.concurrency_limit', read: each(({ concurrency }, observe) => observe(concurrency)) },
    {
      gauge: 'comporta.lambda.waiting',
      read: each(({ waitingCount, eventsWaiting }, observe) => {
        observe(waitingCount, { type: 'request' })
        observe(eventsWaiting, { type: 'event' })
      })
    }
  ])
}

type Observe = (value: number, attributes?: Readonly<Record<string, string>>) => void
