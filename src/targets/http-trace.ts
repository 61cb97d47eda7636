/** How a trace gets through a request of HTTP. Source: W3C Trace Context. */

import type { TraceContext } from '../telemetry/index.ts'

/** Lines of a request that say where in a trace it is; none where nobody traces. */
export function traceHeaders(trace: TraceContext | undefined): string {
  if (trace === undefined) return ''
  const { traceparent, tracestate } = trace
  const state = tracestate === undefined ? '' : `tracestate: ${tracestate}\r\n`
  return `traceparent: ${traceparent}\r\n${state}`
}
