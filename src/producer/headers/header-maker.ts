/**
 * Headers of records: correlation id, W3C trace context, schema id, producer id,
 * time of arrival, idempotency key, fixed ones.
 *
 * What is the same for all events of a chunk and a topic is made once and shared;
 * an event pays only for what is its own. A value from outside (a field of the
 * event, a header of a request, a header that a record of another topic brings)
 * is at most 1 KiB and has no control characters; otherwise it counts as absent.
 * A header that a record brings under the same name stays and is not doubled.
 */

import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'

import type { AppendHeader } from '../../client/index.ts'
import type { Clock } from '../../core/index.ts'
import type { ChunkContext } from '../chunk-context.ts'
import type { EventChunk } from '../event-chunk.ts'
import type { FieldSet, OpenEvent } from '../event-fields.ts'
import type { HeaderConfig } from '../options.ts'
import { readTraceparent, readTracestate, type TraceContext } from '../../telemetry/index.ts'
import { type RandomFill, TraceMaker } from './trace-maker.ts'

/** Longest value from outside, in bytes. */
export const OUTSIDE_VALUE_BYTES_MAX = 1024

/** Names of the headers of a trace. Source: W3C Trace Context; OpenTelemetry uses the same in Kafka's records. */
export const TRACE_HEADER = { parent: 'traceparent', state: 'tracestate' } as const

/** What headers are made from: an event of a chunk. One that cannot be read has no text in any field. */
export type HeaderEvent = Pick<OpenEvent, 'chunk' | 'context' | 'index' | 'text'>

/** What a header maker needs. */
export interface HeaderMakerOptions {
  readonly config: HeaderConfig
  /** Gets the fields that will be read. */
  readonly fields: FieldSet
  readonly clock: Clock
  /** Makes new correlation ids. Default: random UUIDs. */
  readonly newId?: () => string
  /** Makes new trace ids. Default: the system's generator. */
  readonly fill?: RandomFill
  /** Whether chunks have spans: then only those begin sampled traces, and what is made here has no span. */
  readonly isTraced?: boolean
}

/** Makes the headers of records. */
export class RecordHeaders {
  readonly #config: HeaderConfig
  readonly #clock: Clock
  readonly #newId: () => string
  readonly #traces: TraceMaker
  readonly #correlationField: number | undefined
  readonly #traceField: number | undefined
  readonly #stateField: number | undefined
  readonly #fixed: readonly AppendHeader[]
  /** Those of the last chunk, by topic. */
  readonly #shared = new Map<string | undefined, readonly AppendHeader[]>()
  /** The last topic, and its; mostly the next event has the same. */
  #lastTopic: string | undefined
  #lastShared: readonly AppendHeader[] = []
  /** Whether an event of the chunk may have headers of its own. */
  #hasOwn = false
  #chunk: EventChunk | undefined
  #ofChunk: readonly AppendHeader[] = []
  /** The correlation id and trace that all events of the chunk have, if so. */
  #correlation: AppendHeader | undefined
  #trace: readonly AppendHeader[] | undefined

  constructor({ config, fields, clock, newId = randomUUID, fill, isTraced = false }: HeaderMakerOptions) {
    const { correlationId, trace, producerId } = config
    this.#config = config
    this.#clock = clock
    this.#newId = newId
    this.#traces = new TraceMaker(isTraced ? 0 : (trace?.sampledRatio ?? 1), fill)
    this.#correlationField = added(fields, correlationId?.field)
    this.#traceField = added(fields, trace?.field)
    this.#stateField = added(fields, trace?.stateField)
    const own = Object.entries(config.static).map(([key, value]) => header(key, value))
    if (producerId !== undefined) {
      own.push(header(producerId.name, producerId.value ?? `${hostname()}-${process.pid}`))
    }
    this.#fixed = own
  }

  /**
   * The headers of an event's record, or of its dead letter.
   *
   * @param topic - Where the record goes; `undefined` if nowhere.
   */
  headersFor(event: HeaderEvent, topic: string | undefined): readonly AppendHeader[] | undefined {
    if (event.chunk !== this.#chunk) this.#begin(event)
    if (topic !== this.#lastTopic) {
      this.#lastShared = this.#sharedFor(topic)
      this.#lastTopic = topic
    }
    const shared = this.#lastShared
    if (!this.#hasOwn) return shared.length === 0 ? undefined : shared
    const own: AppendHeader[] = []
    const brought = event.chunk.rowHeaders?.(event.index) ?? []
    this.#addCorrelation(own, event)
    this.#addTrace(own, event, brought)
    const { idempotencyKey } = this.#config
    const key = event.context.idempotencyKey
    if (idempotencyKey !== undefined && key !== undefined) {
      own.push(header(idempotencyKey.name, `${key}/${event.chunk.lines[event.index] ?? 0}`))
    }
    if (brought.length > 0) {
      const names = new Set(brought.map(each => each.key))
      // The state belongs to its parent: that of another trace must not join it.
      if (names.has(TRACE_HEADER.parent)) names.add(TRACE_HEADER.state)
      return [...shared, ...own].filter(each => !names.has(each.key))
    }
    if (own.length === 0) return shared.length === 0 ? undefined : shared
    return shared.length === 0 ? own : [...shared, ...own]
  }

  #begin(event: HeaderEvent): void {
    const { chunk, context } = event
    const { correlationId, trace, ingestTime } = this.#config
    this.#chunk = chunk
    this.#shared.clear()
    this.#ofChunk = this.#fixed
    if (ingestTime !== undefined) {
      const atMs = context.receivedAtMs ?? this.#clock.now()
      const text = ingestTime.format === 'iso' ? new Date(atMs).toISOString() : String(atMs)
      this.#ofChunk = [...this.#ofChunk, header(ingestTime.name, text)]
    }
    if (context.headers !== undefined) this.#ofChunk = [...this.#ofChunk, ...context.headers]
    this.#correlation = undefined
    this.#trace = undefined
    if (correlationId !== undefined) this.#correlation = this.#chunkCorrelation(context)
    if (trace !== undefined) this.#trace = this.#chunkTrace(context)
    this.#hasOwn = this.#mayHaveOwn(event)
    this.#lastTopic = undefined
    this.#lastShared = this.#sharedFor(undefined)
  }

  #mayHaveOwn({ chunk, context }: HeaderEvent): boolean {
    const { correlationId, trace, idempotencyKey } = this.#config
    if (chunk.rowHeaders !== undefined) return true
    if (idempotencyKey !== undefined && context.idempotencyKey !== undefined) return true
    if (this.#correlationField !== undefined || this.#traceField !== undefined) return true
    const makesId = correlationId?.generate === true && this.#correlation === undefined
    return makesId || (trace?.generate === true && this.#trace === undefined)
  }

  #chunkCorrelation(context: ChunkContext): AppendHeader | undefined {
    const { correlationId } = this.#config
    if (correlationId === undefined) return undefined
    const given = outsideValue(context.correlationId)
    if (given !== undefined) return header(correlationId.name, given)
    return correlationId.generate && context.isOneRequest === true
      ? header(correlationId.name, this.#newId())
      : undefined
  }

  #chunkTrace(context: ChunkContext): readonly AppendHeader[] | undefined {
    const taken = traceOf(context.traceparent, context.tracestate)
    if (taken !== undefined) return traceHeaders(taken)
    return this.#config.trace?.generate === true && context.isOneRequest === true
      ? traceHeaders({ traceparent: this.#traces.next() })
      : undefined
  }

  #sharedFor(topic: string | undefined): readonly AppendHeader[] {
    const known = this.#shared.get(topic)
    if (known !== undefined) return known
    const { schemaId } = this.#config
    const id = topic === undefined ? undefined : (schemaId?.topics[topic] ?? schemaId?.value)
    const headers = [...this.#ofChunk]
    if (schemaId !== undefined && id !== undefined) headers.push(header(schemaId.name, id))
    if (this.#correlationField === undefined && this.#correlation !== undefined) headers.push(this.#correlation)
    if (this.#traceField === undefined && this.#trace !== undefined) headers.push(...this.#trace)
    this.#shared.set(topic, headers)
    return headers
  }

  #addCorrelation(own: AppendHeader[], event: HeaderEvent): void {
    const { correlationId } = this.#config
    if (correlationId === undefined) return
    const field = this.#correlationField
    if (field === undefined) {
      // Otherwise it is among the shared ones.
      if (this.#correlation === undefined && correlationId.generate) own.push(header(correlationId.name, this.#newId()))
      return
    }
    const value = outsideValue(event.text(field))
    if (value !== undefined) own.push(header(correlationId.name, value))
    else if (this.#correlation !== undefined) own.push(this.#correlation)
    else if (correlationId.generate) own.push(header(correlationId.name, this.#newId()))
  }

  #addTrace(own: AppendHeader[], event: HeaderEvent, brought: readonly AppendHeader[]): void {
    const { trace } = this.#config
    if (trace === undefined) return
    // A record of another topic that belongs to a trace stays in it, whatever its chunk says.
    if (brought.some(each => each.key === TRACE_HEADER.parent)) return
    const parentField = this.#traceField
    if (parentField !== undefined) {
      const stateField = this.#stateField
      const state = stateField === undefined ? undefined : event.text(stateField)
      const taken = traceOf(event.text(parentField), state)
      if (taken !== undefined) {
        own.push(...traceHeaders(taken))
        return
      }
    }
    if (this.#trace !== undefined) {
      if (parentField !== undefined) own.push(...this.#trace)
    } else if (trace.generate) own.push(header(TRACE_HEADER.parent, this.#traces.next()))
  }
}

function added(fields: FieldSet, name: string | undefined): number | undefined {
  return name === undefined ? undefined : fields.add(name)
}

function traceOf(traceparent: string | undefined, tracestate: string | undefined): TraceContext | undefined {
  const parent = traceparent === undefined ? undefined : readTraceparent(traceparent)
  if (parent === undefined) return undefined
  const state = tracestate === undefined ? undefined : readTracestate(tracestate)
  return state === undefined ? { traceparent: parent } : { traceparent: parent, tracestate: state }
}

function traceHeaders({ traceparent, tracestate }: TraceContext): readonly AppendHeader[] {
  const parent = header(TRACE_HEADER.parent, traceparent)
  return tracestate === undefined ? [parent] : [parent, header(TRACE_HEADER.state, tracestate)]
}

const HARMLESS = /^[^\p{Cc}\p{Cs}\u2028\u2029]+$/u

/** A value from outside, if it may become a header: not empty, not too long, no control characters. */
export function outsideValue(value: string | undefined): string | undefined {
  if (value === undefined || value.length > OUTSIDE_VALUE_BYTES_MAX) return undefined
  if (!HARMLESS.test(value) || Buffer.byteLength(value) > OUTSIDE_VALUE_BYTES_MAX) return undefined
  return value
}

function header(key: string, value: string): AppendHeader {
  return { key, value: Buffer.from(value) }
}
