/**
 * The span of one chunk on its way to Kafka: `send <topic>`, from its hand-over to the last acknowledgement.
 *
 * Events of a chunk share one span and, if it is sampled, one `traceparent` header that is made once: a record costs
 * nothing but the bytes. An event that brings a trace of its own (a record of another topic, a field) stays in it; the
 * span is linked to those traces. Without a `Tracing` nothing is made and nothing looked at.
 */

import type { AppendHeader } from '../client/index.ts'
import {
  isSampledContext,
  readTraceContext,
  SPAN_ATTRIBUTES,
  type TraceContext,
  type TraceSpan,
  type Tracing
} from '../telemetry/index.ts'
import type { ChunkContext } from './chunk-context.ts'
import type { Settlement } from './delivery.ts'
import type { EventChunk } from './event-chunk.ts'
import type { OpenEvent } from './event-fields.ts'
import type { HeaderMaker } from './event-resolver.ts'
import { TRACE_HEADER } from './headers/header-maker.ts'

/** Most traces of a chunk's own events that its span is linked to. Source: OpenTelemetry, "Span limits". */
const LINKS_MAX = 128
/** Most events of a chunk whose headers are looked at for that. */
const ROWS_MAX = 512

const A = SPAN_ATTRIBUTES

/** What is handed over. */
export interface TracedSubmission {
  readonly chunk: EventChunk
  readonly source: string
  readonly context: ChunkContext
  /** All topics that events may go to. */
  readonly topics: readonly string[]
  /** Whether the headers of records are made from the chunk's trace by configuration. */
  readonly hasTraceHeaders: boolean
}

/** The trace of one chunk. */
export class SubmissionTrace {
  /** What the source knows of the chunk, with the trace that its records belong to. */
  readonly context: ChunkContext
  readonly #span: TraceSpan

  private constructor(span: TraceSpan, context: ChunkContext) {
    this.#span = span
    this.context = context
  }

  /** Begins the trace of a chunk; `undefined` where nobody traces. */
  static begin(tracing: Tracing | undefined, submission: TracedSubmission): SubmissionTrace | undefined {
    const { chunk, source, context, topics } = submission
    if (tracing === undefined || chunk.count === 0) return undefined
    const [topic] = topics.length === 1 ? topics : []
    const span = tracing.start({
      name: topic === undefined ? 'send' : `send ${topic}`,
      kind: 'producer',
      parent: readTraceContext(context.traceparent, context.tracestate),
      links: linksOf(chunk)
    })
    if (span.isRecording) {
      span.set({
        [A.system]: 'kafka',
        [A.operation]: 'send',
        [A.operationType]: 'send',
        [A.topic]: topic,
        [A.recordCount]: chunk.count,
        [A.source]: source
      })
    }
    const trace = span.isSampled ? span.context : undefined
    return new SubmissionTrace(span, trace === undefined ? context : withTrace(submission, trace))
  }

  /** Every event of the chunk has its outcome. */
  end({ deadLetteredCount, failedCount, error }: Settlement): void {
    const span = this.#span
    if (deadLetteredCount > 0) {
      span.set({ [A.deadLettered]: deadLetteredCount })
      span.keep('deadLettered')
    }
    if (failedCount > 0) span.fail(error?.code ?? 'failed')
    span.end()
  }
}

function withTrace({ context, hasTraceHeaders }: TracedSubmission, trace: TraceContext): ChunkContext {
  if (hasTraceHeaders) {
    const { tracestate: _, ...rest } = context
    return { ...rest, ...trace }
  }
  const { traceparent, tracestate } = trace
  const headers: AppendHeader[] = [
    ...(context.headers ?? []),
    { key: TRACE_HEADER.parent, value: Buffer.from(traceparent) }
  ]
  if (tracestate !== undefined) headers.push({ key: TRACE_HEADER.state, value: Buffer.from(tracestate) })
  return { ...context, headers }
}

/** Sampled traces that events of the chunk bring along. */
function linksOf({ rowHeaders, count }: EventChunk): readonly TraceContext[] | undefined {
  if (rowHeaders === undefined) return undefined
  const found = new Map<string, TraceContext>()
  for (let index = 0; index < Math.min(count, ROWS_MAX) && found.size < LINKS_MAX; index += 1) {
    const headers = rowHeaders(index) ?? []
    const parent = headers.find(({ key }) => key === TRACE_HEADER.parent)?.value?.toString('latin1')
    if (parent === undefined || found.has(parent)) continue
    const state = headers.find(({ key }) => key === TRACE_HEADER.state)?.value?.toString('latin1')
    const context = readTraceContext(parent, state)
    if (context !== undefined && isSampledContext(context)) found.set(parent, context)
  }
  return [...found.values()]
}

/** Headers of the chunk's context; a record that brings a trace of its own gets no other. */
export const contextHeaders: HeaderMaker = {
  headersFor: ({ chunk, context, index }: OpenEvent) => {
    const { headers } = context
    if (chunk.rowHeaders === undefined || headers === undefined) return headers
    const isTraced = chunk.rowHeaders(index)?.some(({ key }) => key === TRACE_HEADER.parent) === true
    if (!isTraced) return headers
    return headers.filter(({ key }) => key !== TRACE_HEADER.parent && key !== TRACE_HEADER.state)
  }
}
