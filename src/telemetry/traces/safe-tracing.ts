/**
 * A program's own tracer, kept away from the records: whatever it throws, in its sampler, its processors or its spans,
 * costs spans and never a batch, a chunk or an answer. The first failure is logged, those behind it are not: a tracer
 * that throws does so for every batch.
 */

import { messageOf } from '../../core/index.ts'
import type { Logger } from '../logger.ts'
import type { TraceContext } from './trace-context.ts'
import {
  type KeepReason,
  noSpan,
  type SpanAttributes,
  type SpanStart,
  type TraceSpan,
  type Tracing
} from './tracing.ts'

/** Begins spans as another does; a span that cannot be begun is one that nobody sees. */
export class SafeTracing implements Tracing {
  readonly #tracing: Tracing
  readonly #logger: Logger
  #hasFailed = false

  constructor(tracing: Tracing, logger: Logger) {
    this.#tracing = tracing
    this.#logger = logger
  }

  start(start: SpanStart): TraceSpan {
    return this.attempt(() => new SafeSpan(this, this.#tracing.start(start)), noSpan)
  }

  /** What a call gives, or what stands for it if it throws. */
  attempt<T>(call: () => T, otherwise: T): T {
    try {
      return call()
    } catch (error) {
      if (this.#hasFailed) return otherwise
      this.#hasFailed = true
      this.#logger.warn({ reason: messageOf(error) }, 'the tracer throws: spans are lost, records are not')
      return otherwise
    }
  }
}

class SafeSpan implements TraceSpan {
  readonly #safe: SafeTracing
  readonly #span: TraceSpan

  constructor(safe: SafeTracing, span: TraceSpan) {
    this.#safe = safe
    this.#span = span
  }

  get traceId(): string {
    return this.#safe.attempt(() => this.#span.traceId, noSpan.traceId)
  }

  get spanId(): string {
    return this.#safe.attempt(() => this.#span.spanId, noSpan.spanId)
  }

  get isSampled(): boolean {
    return this.#safe.attempt(() => this.#span.isSampled, false)
  }

  get isRecording(): boolean {
    return this.#safe.attempt(() => this.#span.isRecording, false)
  }

  get context(): TraceContext | undefined {
    return this.#safe.attempt(() => this.#span.context, undefined)
  }

  startChild(start: Pick<SpanStart, 'name' | 'kind' | 'attributes'>): TraceSpan {
    return this.#safe.attempt(() => new SafeSpan(this.#safe, this.#span.startChild(start)), noSpan)
  }

  set(attributes: SpanAttributes): void {
    this.#safe.attempt(() => this.#span.set(attributes), undefined)
  }

  fail(errorType: string): void {
    this.#safe.attempt(() => this.#span.fail(errorType), undefined)
  }

  keep(reason: KeepReason): void {
    this.#safe.attempt(() => this.#span.keep(reason), undefined)
  }

  end(): void {
    this.#safe.attempt(() => this.#span.end(), undefined)
  }
}
