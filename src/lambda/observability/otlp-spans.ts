/**
 * Sends the spans of a distributor to an OpenTelemetry collector: OTLP over HTTP with JSON, before the answer of an
 * invocation, because Lambda may freeze the function right behind it.
 *
 * Our own, because OpenTelemetry's SDK and exporter would be half a megabyte more for every cold start. An invocation
 * that is neither sampled nor kept sends nothing. A collector that is away costs an invocation `SEND_MS_MAX` at most;
 * after a failure nothing is sent for `REST_MS`. Spans that are not sent are dropped.
 *
 * Source: OTLP specification, "JSON Protobuf Encoding": ids are hexadecimal, 64-bit integers are texts.
 */

import { type Clock, messageOf, systemClock } from '../../core/index.ts'
import { type EndedSpan, partsOfTraceparent, Recorder, type SpanKind, type Tracing } from '../../telemetry/index.ts'
import { HttpClient, type LoudLog } from '../../targets/sinks/index.ts'

/** `observability.otlp`: a collector. */
export interface OtlpSettings {
  /** Full address, path included, for example `http://127.0.0.1:4318/v1/traces`. */
  readonly url: string
  /** Headers of each request; values as they are, or the variable that holds them. Default: none. */
  readonly headers?: Readonly<Record<string, string | { readonly env: string }>>
  /** Share of the traces that begin here. Default 0.01. What the dispatcher invokes follows its decision. */
  readonly ratio?: number
  /** From how long on an invocation is kept, in milliseconds. Default 5_000. */
  readonly slowMs?: number
}

/** The traces of one distributor. */
export interface FunctionTraces {
  readonly tracing: Tracing
  /** Sends what has ended; gives up after `timeoutMs` milliseconds. Never rejects. */
  flush(timeoutMs: number): Promise<void>
  close(): void
}

/** Longest time for a request, in milliseconds. */
const SEND_MS_MAX = 500
/** How long nothing is sent after a failure, in milliseconds. */
const REST_MS = 30_000
/** Most spans that wait. */
const SPANS_MAX = 1024
const REPLY_BYTES_MAX = 65_536

/** What traces of a function are made from. */
export interface FunctionTracesOptions {
  readonly settings: OtlpSettings
  /** Variables that headers may name; also `AWS_LAMBDA_FUNCTION_NAME` and `OTEL_SERVICE_NAME`. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly loud: LoudLog
  readonly clock?: Clock
}

/** Starts to record. */
export function functionTraces(options: FunctionTracesOptions): FunctionTraces {
  const { settings, environment, loud, clock = systemClock } = options
  const { ratio, slowMs } = settings
  const sender = new Sender(settings, environment, clock)
  let spans: EndedSpan[] = []
  let restsUntilMs = Number.NEGATIVE_INFINITY
  const recorder = new Recorder({
    clock,
    sampling: { ...(ratio === undefined ? {} : { ratio }), ...(slowMs === undefined ? {} : { slowMs }) },
    emit: span => {
      if (spans.length < SPANS_MAX) spans.push(span)
    }
  })
  return {
    tracing: recorder,
    flush: async timeoutMs => {
      if (spans.length === 0) return
      const sent = spans
      spans = []
      if (clock.monotonicMs() < restsUntilMs) return
      try {
        await sender.send(sent, Math.min(SEND_MS_MAX, timeoutMs))
      } catch (error) {
        restsUntilMs = clock.monotonicMs() + REST_MS
        loud.error({ spans: sent.length }, `spans were not sent: ${messageOf(error)}`)
      }
    },
    close: () => sender.close()
  }
}

class Sender {
  readonly #client: HttpClient
  readonly #head: string
  readonly #resource: readonly OtlpAttribute[]
  readonly #clock: Clock

  constructor({ url: given, headers = {} }: OtlpSettings, environment: Environment, clock: Clock) {
    const url = new URL(given)
    const isTls = url.protocol === 'https:'
    this.#clock = clock
    this.#client = new HttpClient({
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
      isTls,
      connectTimeoutMs: SEND_MS_MAX,
      connectionsMax: 1,
      clock
    })
    const lines = [`POST ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`, 'content-type: application/json']
    for (const [name, value] of Object.entries(headers)) {
      lines.push(`${name}: ${typeof value === 'string' ? value : (environment[value.env] ?? '')}`)
    }
    this.#head = lines.join('\r\n')
    const name = environment['OTEL_SERVICE_NAME'] ?? environment['AWS_LAMBDA_FUNCTION_NAME'] ?? 'comporta-distributor'
    this.#resource = [
      attribute('service.name', name),
      attribute('faas.name', environment['AWS_LAMBDA_FUNCTION_NAME'])
    ].flat()
  }

  async send(spans: readonly EndedSpan[], timeoutMs: number): Promise<void> {
    const scopeSpans = [{ scope: { name: 'comporta' }, spans: spans.map(otlpSpan) }]
    const request = { resourceSpans: [{ resource: { attributes: this.#resource }, scopeSpans }] }
    const body = Buffer.from(JSON.stringify(request))
    const controller = new AbortController()
    const timer = this.#clock.after(timeoutMs, () => controller.abort(new Error(`no answer within ${timeoutMs} ms`)))
    try {
      const head = `${this.#head}\r\ncontent-length: ${body.length}\r\n\r\n`
      const sending = { head, body, replyBytesMax: REPLY_BYTES_MAX, signal: controller.signal }
      const { statusCode } = await this.#client.send(sending)
      if (statusCode >= 300) throw new Error(`the collector answers with status ${statusCode}`)
    } finally {
      timer.cancel()
    }
  }

  close(): void {
    this.#client.close()
  }
}

type Environment = Readonly<Record<string, string | undefined>>

interface OtlpAttribute {
  readonly key: string
  readonly value: Readonly<Record<string, string | number | boolean>>
}

/** Numbers of OTLP's `Span.SpanKind`, which begin at 1. */
const KINDS: Readonly<Record<SpanKind, number>> = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 }
const STATUS_ERROR = 2

function otlpSpan(span: EndedSpan): object {
  const { traceId, spanId, parentSpanId, tracestate, errorType } = span
  const attributes = { ...span.attributes, ...(errorType === undefined ? {} : { 'error.type': errorType }) }
  return {
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    ...(tracestate === undefined ? {} : { traceState: tracestate }),
    name: span.name,
    kind: KINDS[span.kind],
    startTimeUnixNano: nanoseconds(span.startMs),
    endTimeUnixNano: nanoseconds(span.startMs + span.durationMs),
    attributes: Object.entries(attributes).flatMap(([key, value]) => attribute(key, value)),
    links: span.links.map(link => {
      const { traceId: linked, spanId: at } = partsOfTraceparent(link.traceparent)
      return { traceId: linked, spanId: at, ...(link.tracestate === undefined ? {} : { traceState: link.tracestate }) }
    }),
    droppedLinksCount: span.linksLeftOut,
    status: errorType === undefined ? {} : { code: STATUS_ERROR }
  }
}

function attribute(key: string, value: string | number | boolean | undefined): OtlpAttribute[] {
  if (value === undefined) return []
  if (typeof value === 'string') return [{ key, value: { stringValue: value } }]
  if (typeof value === 'boolean') return [{ key, value: { boolValue: value } }]
  return [{ key, value: Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value } }]
}

function nanoseconds(ms: number): string {
  const whole = Math.floor(ms)
  return String(BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1_000_000)))
}
