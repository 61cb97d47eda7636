/**
 * A program's own OpenTelemetry tracer behind the contract of this package: its sampler, its processors, its exporter.
 *
 * What is not sampled by it is not kept afterwards, unless its sampler answers `RECORD`: then the attribute
 * `comporta.kept` says why a span is worth keeping, and its processor may decide by that.
 */

import { createRequire } from 'node:module'

import type { Context, Span, Tracer, TracerProvider } from '@opentelemetry/api'

import { type Logger, silentLogger } from '../logger.ts'
import { attributesOf, linkOf, SPAN_KINDS, SPAN_STATUS, spanContextOf } from './readable-span.ts'
import { LINKS_MAX } from './recorder.ts'
import { SafeTracing } from './safe-tracing.ts'
import { readTraceContext, type TraceContext } from './trace-context.ts'
import type { KeepReason, SpanAttributes, SpanStart, TraceSpan, Tracing } from './tracing.ts'

type Api = typeof import('@opentelemetry/api')

const SAMPLED = 1

/** Whatever spans can be begun with: this package's recorder, or OpenTelemetry's `Tracer` or `TracerProvider`. */
export type AnyTracer = Tracing | Tracer | TracerProvider

/**
 * What rooms record through; `undefined` if nothing was given.
 *
 * @param logger - Hears once of a program's tracer that throws. Default: nobody does.
 */
export function tracingOf(tracer: AnyTracer | undefined, logger: Logger = silentLogger): Tracing | undefined {
  if (tracer === undefined) return undefined
  if ('start' in tracer) return tracer
  const adapter = new TracerAdapter('getTracer' in tracer ? tracer.getTracer('comporta') : tracer)
  return new SafeTracing(adapter, logger)
}

class TracerAdapter implements Tracing {
  readonly tracer: Tracer
  readonly api: Api

  constructor(tracer: Tracer) {
    this.tracer = tracer
    // Whoever has a tracer has loaded it. The types are those of the module that is named.
    this.api = createRequire(import.meta.url)('@opentelemetry/api') as Api
  }

  start(start: SpanStart): TraceSpan {
    const { parent, links = [], linksLeftOut = 0 } = start
    const { ROOT_CONTEXT, trace } = this.api
    const stateOf = (text: string): ReturnType<Api['createTraceState']> => this.api.createTraceState(text)
    const above =
      parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContextOf(parent, stateOf))
    const kept = links.slice(0, LINKS_MAX)
    const leftOut = linksLeftOut + links.length - kept.length
    const attributes = leftOut === 0 ? start.attributes : { ...start.attributes, 'comporta.links_left_out': leftOut }
    const span = this.tracer.startSpan(
      start.name,
      {
        kind: SPAN_KINDS[start.kind],
        links: kept.map(link => linkOf(link, stateOf)),
        attributes: attributesOf(attributes ?? {})
      },
      above
    )
    return new AdaptedSpan(this, span, above)
  }
}

class AdaptedSpan implements TraceSpan {
  readonly #adapter: TracerAdapter
  readonly #span: Span
  readonly #above: Context

  constructor(adapter: TracerAdapter, span: Span, above: Context) {
    this.#adapter = adapter
    this.#span = span
    this.#above = above
  }

  get traceId(): string {
    return this.#span.spanContext().traceId
  }

  get spanId(): string {
    return this.#span.spanContext().spanId
  }

  get isSampled(): boolean {
    return (this.#span.spanContext().traceFlags & SAMPLED) !== 0
  }

  get isRecording(): boolean {
    return this.#span.isRecording()
  }

  /** A tracer of nobody (no SDK is registered) has ids of zeros, which must not go on. */
  get context(): TraceContext | undefined {
    const { traceId, spanId, traceFlags, traceState } = this.#span.spanContext()
    const traceparent = `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, '0')}`
    return readTraceContext(traceparent, traceState?.serialize())
  }

  startChild({ name, kind, attributes = {} }: Pick<SpanStart, 'name' | 'kind' | 'attributes'>): TraceSpan {
    const { api, tracer } = this.#adapter
    const above = api.trace.setSpan(this.#above, this.#span)
    const options = { kind: SPAN_KINDS[kind], attributes: attributesOf(attributes) }
    return new AdaptedSpan(this.#adapter, tracer.startSpan(name, options, above), above)
  }

  set(attributes: SpanAttributes): void {
    this.#span.setAttributes(attributesOf(attributes))
  }

  fail(errorType: string): void {
    this.#span.setAttribute('error.type', errorType)
    this.#span.setStatus({ code: SPAN_STATUS.error })
    this.keep('failed')
  }

  keep(reason: KeepReason): void {
    this.#span.setAttribute('comporta.kept', reason)
  }

  end(): void {
    this.#span.end()
  }
}
