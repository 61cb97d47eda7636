/**
 * How a trace gets through an invocation of Lambda: in the client context, which a function sees as
 * `context.clientContext.custom`, and in AWS's own header, which X-Ray and the runtime see.
 *
 * `custom` is where OpenTelemetry's instrumentation of AWS's SDK puts it, too, so functions with its layer find it.
 * An asynchronous invocation (`Event`) has no client context.
 *
 * Source: Lambda API reference, "Invoke", `ClientContext` (at most 3,583 bytes in Base64).
 */

import { type TraceContext, xrayHeader } from '../telemetry/index.ts'

const CONTEXT_BYTES_MAX = 3583
const HEADER = 'X-Amzn-Trace-Id'

/** The client context of an invocation. */
export function clientContextOf({ traceparent, tracestate }: TraceContext): string {
  const whole = encoded(tracestate === undefined ? { traceparent } : { traceparent, tracestate })
  return whole.length > CONTEXT_BYTES_MAX ? encoded({ traceparent }) : whole
}

function encoded(custom: Readonly<Record<string, string>>): string {
  return Buffer.from(JSON.stringify({ custom })).toString('base64')
}

/** The part of a command of AWS's SDK that can change its request. */
export interface RequestMiddleware {
  add(
    middleware: (next: (given: never) => Promise<never>) => (given: never) => Promise<never>,
    options: { readonly step: 'build'; readonly name: string }
  ): void
}

/** Has the SDK send AWS's header for traces with one request. */
export function sendXrayHeader(stack: { readonly add: unknown }, trace: TraceContext): void {
  const text = xrayHeader(trace)
  // Boundary: the SDK's own types of its middleware differ by command and are generic beyond use.
  const middlewares = stack as RequestMiddleware
  const middleware = (next: (given: never) => Promise<never>) => (given: never) => {
    const { request } = given as { request?: { headers?: Record<string, string> } }
    if (request?.headers !== undefined) request.headers[HEADER] = text
    return next(given)
  }
  middlewares.add(middleware, { step: 'build', name: 'comportaTrace' })
}
