/**
 * Records spans, and decides which of them anybody sees.
 *
 * ```
 * start ─ sampled? ── yes ── each span leaves when it ends ──────────────────┐
 *              └───── no ─── spans are held until the first one ends ─ worth keeping? ─ yes ─> emit
 * ```
 *
 * Why not OpenTelemetry's own: its spans cost about 5 µs each, also those that nobody will see, and a sampler has to
 * decide before anything is known. A span here is one object, its times come from the clock that everybody has, and
 * what went wrong is kept whatever the share of sampled traces is.
 *
 * Limits: `SPANS_HELD_MAX` spans of a trace are held, `LINKS_MAX` links of a span; the rest is counted. What travels to
 * other processes in a trace that is kept afterwards said "not sampled": they hold the rest of it only if they keep it.
 */

import { randomFillSync } from 'node:crypto'

import { type Clock, systemClock } from '../../core/index.ts'
import { Sampling, type SamplingOptions } from './sampling.ts'
import { isSampledContext, partsOfTraceparent, type TraceContext } from './trace-context.ts'
import type { KeepReason, SpanAttributes, SpanKind, SpanStart, TraceSpan, Tracing } from './tracing.ts'

/** Most spans of a trace that is not sampled that are held until its end. */
export const SPANS_HELD_MAX = 64
/** Most links of a span. Source: OpenTelemetry, "Span limits", LinkCountLimit. */
export const LINKS_MAX = 128

const SAMPLED = 1
/** The trace id is random. Source: W3C Trace Context, level 2. */
const RANDOM = 2

/** A span that has ended, for whoever sends it away. */
export interface EndedSpan {
  readonly name: string
  readonly kind: SpanKind
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  /** Whether the parent is in another process. */
  readonly isParentRemote: boolean
  readonly tracestate: string | undefined
  /** Whether the trace was sampled at its beginning, and not kept afterwards. */
  readonly isSampled: boolean
  /** Milliseconds since 1970, fractions allowed. */
  readonly startMs: number
  readonly durationMs: number
  readonly attributes: SpanAttributes
  readonly links: readonly TraceContext[]
  readonly linksLeftOut: number
  /** What went wrong; `undefined` if nothing did. */
  readonly errorType: string | undefined
}

/** What a recorder is made from. */
export interface RecorderOptions {
  readonly sampling?: SamplingOptions
  /** Gets spans that somebody may see. */
  readonly emit: (span: EndedSpan) => void
  readonly clock?: Clock
  /** Fills a buffer with random bytes. Default: the system's generator. */
  readonly fill?: (bytes: Buffer) => void
}

/** Makes ids, many at a time: the generator is asked seldom. */
class Ids {
  readonly #pool = Buffer.alloc(4096)
  readonly #fill: (bytes: Buffer) => void
  #position = this.#pool.length

  constructor(fill: (bytes: Buffer) => void) {
    this.#fill = fill
  }

  /** Hexadecimal digits, not all of them zero. */
  next(bytes: 8 | 16): string {
    if (this.#position + bytes > this.#pool.length) {
      this.#fill(this.#pool)
      this.#position = 0
    }
    const start = this.#position
    this.#position += bytes
    const id = this.#pool.toString('hex', start, start + bytes)
    return /^0+$/.test(id) ? this.next(bytes) : id
  }
}

/** Records the spans of one process. */
export class Recorder implements Tracing {
  readonly sampling: Sampling
  readonly clock: Clock
  readonly emit: (span: EndedSpan) => void
  readonly #ids: Ids

  constructor(options: RecorderOptions) {
    this.sampling = new Sampling(options.sampling ?? {})
    this.clock = options.clock ?? systemClock
    this.emit = options.emit
    this.#ids = new Ids(options.fill ?? (bytes => randomFillSync(bytes)))
  }

  start(start: SpanStart): TraceSpan {
    const parent = start.parent === undefined ? undefined : partsOfTraceparent(start.parent.traceparent)
    const traceId = parent?.traceId ?? this.#ids.next(16)
    const trace = new LocalTrace(this, {
      traceId,
      ...this.#decide(traceId, start, parent?.flags),
      randomFlag: parent === undefined ? RANDOM : parent.flags & RANDOM
    })
    return new RecordedSpan(trace, { start, parentSpanId: parent?.spanId, isParentRemote: parent !== undefined })
  }

  /** A new id of a span. */
  spanId(): string {
    return this.#ids.next(8)
  }

  #decide(
    traceId: string,
    { parent, links }: SpanStart,
    flags: number | undefined
  ): { readonly isSampled: boolean; readonly tracestate: string | undefined } {
    const { sampling } = this
    const isWithin = sampling.isWithin(traceId)
    const isCaused = links?.some(link => isSampledContext(link)) === true
    const isAskedFor =
      flags !== undefined && sampling.isParentBased
        ? (flags & SAMPLED) !== 0
        : isWithin || (isCaused && sampling.isParentBased)
    const isSampled = isAskedFor && sampling.maySample(this.clock.monotonicMs())
    // What the caller says of its own sampling goes on with its trace.
    const own = isSampled && isWithin && parent === undefined ? sampling.state : undefined
    return { isSampled, tracestate: parent?.tracestate ?? own }
  }
}

interface TraceOptions {
  readonly traceId: string
  readonly isSampled: boolean
  readonly tracestate: string | undefined
  readonly randomFlag: number
}

/** The part of a trace that is in this process. */
class LocalTrace {
  readonly recorder: Recorder
  readonly traceId: string
  readonly isSampled: boolean
  readonly tracestate: string | undefined
  readonly flags: string
  /** What is added to monotonic time to have milliseconds since 1970: one clock for all spans of a trace. */
  readonly epochMs: number
  #reason: KeepReason | undefined
  #held: EndedSpan[] | undefined
  #leftOut = 0
  #isDecided: boolean

  constructor(recorder: Recorder, options: TraceOptions) {
    this.recorder = recorder
    this.traceId = options.traceId
    this.isSampled = options.isSampled
    this.tracestate = options.tracestate
    this.flags = `0${(options.isSampled ? SAMPLED : 0) | options.randomFlag}`
    this.epochMs = recorder.clock.now() - recorder.clock.monotonicMs()
    this.#isDecided = options.isSampled
    if (!options.isSampled && recorder.sampling.keepsAny) this.#held = []
  }

  get isRecording(): boolean {
    return this.#isDecided || this.#held !== undefined
  }

  keep(reason: KeepReason): void {
    if (this.#reason === undefined && this.recorder.sampling.isReason(reason)) this.#reason = reason
  }

  ended(span: EndedSpan, isFirst: boolean): void {
    if (isFirst) this.#end(span)
    else if (this.#isDecided) this.recorder.emit(span)
    else if (this.#held === undefined) return
    else if (this.#held.length < SPANS_HELD_MAX) this.#held.push(span)
    else this.#leftOut += 1
  }

  /** The first span has ended: whatever was held is worth it, or not. */
  #end(first: EndedSpan): void {
    const { sampling, clock, emit } = this.recorder
    if (first.durationMs >= sampling.slowMs) this.keep('slow')
    const kept = this.#reason === undefined ? {} : { 'comporta.kept': this.#reason }
    const leftOut = this.#leftOut === 0 ? {} : { 'comporta.spans_left_out': this.#leftOut }
    const held = this.#held
    this.#held = undefined
    if (!this.#isDecided) {
      if (this.#reason === undefined || !sampling.mayKeep(clock.monotonicMs())) return
      this.#isDecided = true
      for (const span of held ?? []) emit(span)
    }
    emit({ ...first, attributes: { ...first.attributes, ...kept, ...leftOut } })
  }
}

interface SpanOptions {
  readonly start: Pick<SpanStart, 'name' | 'kind' | 'attributes' | 'links' | 'linksLeftOut'>
  readonly parentSpanId: string | undefined
  readonly isParentRemote: boolean
}

const NO_LINKS: readonly TraceContext[] = []

class RecordedSpan implements TraceSpan {
  readonly spanId: string
  readonly #trace: LocalTrace
  readonly #options: SpanOptions
  readonly #startMs: number
  #attributes: SpanAttributes | undefined
  #errorType: string | undefined
  #isEnded = false

  constructor(trace: LocalTrace, options: SpanOptions) {
    this.#trace = trace
    this.#options = options
    this.#startMs = trace.recorder.clock.monotonicMs()
    this.#attributes = options.start.attributes
    this.spanId = trace.recorder.spanId()
  }

  get traceId(): string {
    return this.#trace.traceId
  }

  get isSampled(): boolean {
    return this.#trace.isSampled
  }

  get isRecording(): boolean {
    return !this.#isEnded && this.#trace.isRecording
  }

  get context(): TraceContext {
    const { traceId, flags, tracestate } = this.#trace
    const traceparent = `00-${traceId}-${this.spanId}-${flags}`
    return tracestate === undefined ? { traceparent } : { traceparent, tracestate }
  }

  startChild(start: Pick<SpanStart, 'name' | 'kind' | 'attributes'>): TraceSpan {
    return new RecordedSpan(this.#trace, { start, parentSpanId: this.spanId, isParentRemote: false })
  }

  set(attributes: SpanAttributes): void {
    if (this.isRecording) this.#attributes = { ...this.#attributes, ...attributes }
  }

  fail(errorType: string): void {
    this.#errorType = errorType
    this.#trace.keep('failed')
  }

  keep(reason: KeepReason): void {
    this.#trace.keep(reason)
  }

  end(): void {
    if (this.#isEnded) return
    const trace = this.#trace
    const isRecording = this.isRecording
    this.#isEnded = true
    if (!isRecording) return
    const { start, parentSpanId, isParentRemote } = this.#options
    const { name, kind, links = NO_LINKS, linksLeftOut = 0 } = start
    const kept = links.length > LINKS_MAX ? links.slice(0, LINKS_MAX) : links
    const isFirst = parentSpanId === undefined || isParentRemote
    const span = {
      name,
      kind,
      traceId: trace.traceId,
      spanId: this.spanId,
      parentSpanId,
      isParentRemote,
      tracestate: trace.tracestate,
      isSampled: trace.isSampled,
      startMs: trace.epochMs + this.#startMs,
      durationMs: trace.recorder.clock.monotonicMs() - this.#startMs,
      attributes: this.#attributes ?? {},
      links: kept,
      linksLeftOut: linksLeftOut + links.length - kept.length,
      errorType: this.#errorType
    }
    trace.ended(span, isFirst)
  }
}
