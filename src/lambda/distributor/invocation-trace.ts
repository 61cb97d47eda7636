/**
 * The spans of one invocation: one for all of it, named after the function, and under it `send <target>` for each
 * request.
 *
 * It continues the trace that the dispatcher has put into the client context. AWS's own event source mapping gives
 * none: then the invocation is a trace of its own, linked to the sampled ones of its records, whose headers are in the
 * event. Loaded only where somebody traces: the start of a function must not pay for it otherwise.
 */

import { PipelineError } from '../../core/index.ts'
import {
  isSampledContext,
  partsOfTraceparent,
  readTraceContext,
  SPAN_ATTRIBUTES,
  type TraceContext,
  type TraceSpan,
  type Tracing
} from '../../telemetry/index.ts'
import type { SinkOutcome, SinkRequest } from '../../targets/sinks/index.ts'
import type { DistributorEvent, EventPartition } from '../event/read-event.ts'
import type { DistributorContext } from './context.ts'
import type { ObservedResult, ObservedTrace } from './observer.ts'

/** Most traces that an invocation is linked to. Source: OpenTelemetry, "Span limits". */
const LINKS_MAX = 128
/** Most records whose headers are looked at for that. */
const RECORDS_MAX = 512

const A = SPAN_ATTRIBUTES

/** What becomes of a request. */
export interface TracedRequest {
  readonly target: string
  readonly attempt: number
  readonly request: SinkRequest
  readonly outcome: SinkOutcome
}

/** The trace of one invocation. */
export class InvocationTrace {
  readonly #span: TraceSpan

  constructor(tracing: Tracing, event: DistributorEvent, context: DistributorContext) {
    const parent = callerTrace(context)
    const links = parent === undefined && event.format === 'esm' ? linksOf(event.partitions) : undefined
    const span = tracing.start({ name: context.functionName ?? 'distributor', kind: 'server', parent, links })
    this.#span = span
    if (!span.isRecording) return
    const topics = new Set(event.partitions.map(({ topic }) => topic))
    const [only] = event.partitions
    span.set({
      [A.trigger]: 'pubsub',
      [A.invocationId]: context.awsRequestId,
      [A.system]: 'kafka',
      [A.topic]: topics.size === 1 ? only?.topic : undefined,
      [A.partition]: event.partitions.length === 1 ? String(only?.partition) : undefined,
      [A.recordCount]: event.partitions.reduce((sum, { offsets }) => sum + offsets.length, 0)
    })
  }

  /** Where in the trace the invocation is. */
  get place(): ObservedTrace {
    const { traceId, spanId } = this.#span
    return { traceId, spanId }
  }

  /** A request begins: its span, whose context goes to the target. */
  request(target: string): TraceSpan {
    return this.#span.startChild({ name: `send ${target}`, kind: 'client' })
  }

  /** A request has ended. */
  requestDone(span: TraceSpan, { target, attempt, request, outcome: { kind } }: TracedRequest): void {
    if (span.isRecording) {
      span.set({
        [A.target]: target,
        [A.topic]: request.topic,
        [A.partition]: String(request.partition),
        [A.recordCount]: request.offsets.length,
        [A.attempt]: attempt,
        [A.idempotencyKey]: request.requestId,
        [A.outcome]: kind
      })
    }
    if (kind === 'rejected' || kind === 'unavailable') span.fail(kind)
    span.end()
  }

  /** The answer is ready. */
  end({ retriedCount, deadLetteredCount }: ObservedResult): void {
    const span = this.#span
    if (retriedCount > 0) {
      span.set({ [A.retried]: retriedCount })
      span.keep('retried')
    }
    if (deadLetteredCount > 0) {
      span.set({ [A.deadLettered]: deadLetteredCount })
      span.keep('deadLettered')
    }
    span.end()
  }

  /** The invocation fails as a whole. */
  fail(error: unknown): void {
    this.#span.fail(PipelineError.is(error) ? error.code : 'failed')
    this.#span.end()
  }
}

/** Where in a trace the caller of an invocation is; `undefined` if it does not say. */
export function callerPlace(context: DistributorContext): ObservedTrace | undefined {
  const caller = callerTrace(context)
  if (caller === undefined) return undefined
  const { traceId, spanId } = partsOfTraceparent(caller.traceparent)
  return { traceId, spanId }
}

/** The trace that the caller has put into the client context. */
function callerTrace({ clientContext }: DistributorContext): TraceContext | undefined {
  if (!isObject(clientContext) || !isObject(clientContext['custom'])) return undefined
  const { traceparent, tracestate } = clientContext['custom']
  return readTraceContext(traceparent, tracestate)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function linksOf(partitions: readonly EventPartition[]): readonly TraceContext[] {
  const found = new Map<string, TraceContext>()
  let looked = 0
  for (const partition of partitions) {
    for (let index = 0; index < partition.offsets.length; index += 1) {
      if (looked >= RECORDS_MAX || found.size >= LINKS_MAX) return [...found.values()]
      looked += 1
      const headers = partition.headers(index) ?? []
      const parent = headers.find(({ name }) => name === 'traceparent')?.value?.toString('latin1')
      if (parent === undefined || found.has(parent)) continue
      const state = headers.find(({ name }) => name === 'tracestate')?.value?.toString('latin1')
      const context = readTraceContext(parent, state)
      if (context !== undefined && isSampledContext(context)) found.set(parent, context)
    }
  }
  return [...found.values()]
}
