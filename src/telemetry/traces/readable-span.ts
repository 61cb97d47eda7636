/** Spans of the recorder as OpenTelemetry's exporters read them. */

import type { Attributes, HrTime, Link, SpanContext, TraceState } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'

import type { EndedSpan } from './recorder.ts'
import { partsOfTraceparent, type TraceContext } from './trace-context.ts'
import type { SpanAttributes, SpanKind } from './tracing.ts'

/** Numbers of OpenTelemetry's `SpanKind`. */
export const SPAN_KINDS: Readonly<Record<SpanKind, number>> = {
  internal: 0,
  server: 1,
  client: 2,
  producer: 3,
  consumer: 4
}
/** Numbers of OpenTelemetry's `SpanStatusCode`. */
export const SPAN_STATUS = { unset: 0, error: 2 } as const

const SAMPLED = 1

/** What all spans of a process have in common, and what only OpenTelemetry's API can make. */
export interface SpanSurroundings {
  readonly resource: Resource
  readonly scope: ReadableSpan['instrumentationScope']
  readonly createTraceState: (text: string) => TraceState
}

/** A span in the form of OpenTelemetry's SDK. It counts as sampled: whoever got here is wanted. */
export function readableSpan(span: EndedSpan, { resource, scope, createTraceState }: SpanSurroundings): ReadableSpan {
  const { traceId, spanId, parentSpanId, isParentRemote, tracestate, errorType } = span
  const state = tracestate === undefined ? {} : { traceState: createTraceState(tracestate) }
  const context: SpanContext = { traceId, spanId, traceFlags: SAMPLED, ...state }
  const attributes = attributesOf(span.attributes)
  if (errorType !== undefined) attributes['error.type'] = errorType
  return {
    name: span.name,
    kind: SPAN_KINDS[span.kind],
    spanContext: () => context,
    ...(parentSpanId === undefined
      ? {}
      : { parentSpanContext: { traceId, spanId: parentSpanId, traceFlags: SAMPLED, isRemote: isParentRemote } }),
    startTime: hrTime(span.startMs),
    endTime: hrTime(span.startMs + span.durationMs),
    duration: hrTime(span.durationMs),
    status: { code: errorType === undefined ? SPAN_STATUS.unset : SPAN_STATUS.error },
    attributes,
    links: span.links.map(link => linkOf(link, createTraceState)),
    events: [],
    ended: true,
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: span.linksLeftOut
  }
}

/** A link to a span of another process. */
export function linkOf(context: TraceContext, createTraceState: SpanSurroundings['createTraceState']): Link {
  return { context: spanContextOf(context, createTraceState) }
}

/** A context as OpenTelemetry's API has it. */
export function spanContextOf(
  { traceparent, tracestate }: TraceContext,
  createTraceState: SpanSurroundings['createTraceState']
): SpanContext {
  const { traceId, spanId, flags } = partsOfTraceparent(traceparent)
  const state = tracestate === undefined ? {} : { traceState: createTraceState(tracestate) }
  return { traceId, spanId, traceFlags: flags, isRemote: true, ...state }
}

/** Attributes without those that are not known. */
export function attributesOf(attributes: SpanAttributes): Attributes {
  const known: Attributes = {}
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) known[name] = value
  return known
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000)
  return [seconds, Math.round((ms - seconds * 1000) * 1_000_000)]
}
