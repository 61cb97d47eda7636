/**
 * What a distributor's invocations are traced with: the program's own tracer, or what `observability.otlp` describes.
 * Nothing of it is loaded where neither is given.
 */

import type { Clock } from '../../core/index.ts'
import type { LoudLog } from '../../targets/sinks/index.ts'
import type { DistributorEvent } from '../event/read-event.ts'
import type { DistributorContext } from './context.ts'
import type { InvocationTrace } from './invocation-trace.ts'
import type { DistributorOptions } from './options.ts'

/** The traces of a distributor. */
export interface OpenTraces {
  start(event: DistributorEvent, context: DistributorContext): InvocationTrace
  /** Sends what has ended; gives up after `timeoutMs` milliseconds. Never rejects. */
  flush(timeoutMs: number): Promise<void>
  close(): void
}

/** Opens what the options describe; `undefined` if that is nothing. */
export function openTraces(
  options: DistributorOptions,
  around: { readonly loud: LoudLog; readonly clock: Clock }
): Promise<OpenTraces> | undefined {
  const { tracer, observer, observability } = options
  const settings = observer === undefined ? observability?.otlp : undefined
  return tracer === undefined && settings === undefined ? undefined : load(options, around)
}

async function load(
  { tracer, observability, environment = {} }: DistributorOptions,
  around: { readonly loud: LoudLog; readonly clock: Clock }
): Promise<OpenTraces> {
  const { InvocationTrace } = await import('./invocation-trace.ts')
  if (tracer !== undefined || observability?.otlp === undefined) {
    const { noTracing, tracingOf } = await import('../../telemetry/index.ts')
    const tracing = tracingOf(tracer) ?? noTracing
    return {
      start: (event, context) => new InvocationTrace(tracing, event, context),
      flush: () => Promise.resolve(),
      close: () => undefined
    }
  }
  const { functionTraces } = await import('../observability/otlp-spans.ts')
  const traces = functionTraces({ settings: observability.otlp, environment, ...around })
  return {
    start: (event, context) => new InvocationTrace(traces.tracing, event, context),
    flush: timeoutMs => traces.flush(timeoutMs),
    close: () => traces.close()
  }
}
