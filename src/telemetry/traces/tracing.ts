/**
 * Spans: the contract that rooms record through.
 *
 * A room begins a span for a batch, never for a record, and only where it was given a `Tracing`: without one nothing is
 * made. What is behind it (the recorder of this package, or a program's own OpenTelemetry tracer) decides whether
 * anybody ever sees the span; `isRecording` says whether attributes are worth making.
 *
 * Names and attributes follow OpenTelemetry's conventions for messaging. Attributes hold no keys, values, headers or
 * reasons that a service has given: those may repeat a record.
 */

import type { TraceContext } from './trace-context.ts'

/** What a span stands for. Source: OpenTelemetry, "SpanKind". */
export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer'

/** What is told of a span. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>

/** Why a trace is worth keeping although it was not sampled at its beginning. */
export type KeepReason = 'failed' | 'retried' | 'deadLettered' | 'slow'

/** How a span begins. */
export interface SpanStart {
  /** Low in cardinality: an operation and a topic or target. */
  readonly name: string
  readonly kind: SpanKind
  /** Span of another process that this one continues. Default: a new trace. */
  readonly parent?: TraceContext | undefined
  /** Spans that this one is caused by without being their child. Those that are sampled make it sampled. */
  readonly links?: readonly TraceContext[] | undefined
  /** How many more there would have been. Default 0. */
  readonly linksLeftOut?: number
  readonly attributes?: SpanAttributes
}

/** A span under way. */
export interface TraceSpan {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits. */
  readonly spanId: string
  /** Whether those who continue the trace are to record, too. */
  readonly isSampled: boolean
  /** Whether anybody may ever see it; attributes need not be made otherwise. */
  readonly isRecording: boolean
  /** What goes to those who continue the trace; `undefined` if there is none to continue. */
  readonly context: TraceContext | undefined
  /** Begins a span under this one, in this process. */
  startChild(start: Pick<SpanStart, 'name' | 'kind' | 'attributes'>): TraceSpan
  /** Adds attributes; later ones count. */
  set(attributes: SpanAttributes): void
  /** Says that what it stands for failed. `errorType` is low in cardinality and no text from outside. */
  fail(errorType: string): void
  /** Says that its trace is worth keeping. */
  keep(reason: KeepReason): void
  /** Ends it. Idempotent. */
  end(): void
}

/** Begins spans. */
export interface Tracing {
  /** Begins the first span of this process in a trace. */
  start(span: SpanStart): TraceSpan
}

/** A span that nobody sees, for where one is needed and nobody traces. */
export const noSpan: TraceSpan = {
  traceId: '0'.repeat(32),
  spanId: '0'.repeat(16),
  isSampled: false,
  isRecording: false,
  context: undefined,
  startChild: () => noSpan,
  set: () => undefined,
  fail: () => undefined,
  keep: () => undefined,
  end: () => undefined
}

/** Begins spans that nobody sees. */
export const noTracing: Tracing = { start: () => noSpan }
