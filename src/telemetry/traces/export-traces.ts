/**
 * Sends spans to an OpenTelemetry collector: OLTP over HTTP with protobuf, in batches.
 *
 * A collector that is away holds nobody up: spans wait in a queue of fixed length, what does not fit is dropped and
 * counted, and one line in the log says so now and then. OpenTelemetry's SDK is loaded here, so only when spans are
 * sent.
 */

import { createRequire } from 'node:module'

import type { ReadableSpan } from '@opentelemetry/sdk-trace'

import { type Clock, systemClock, within } from '../../core/index.ts'
import { httpAgents } from '../exporters/http-agents.ts'
import { type Logger, silentLogger } from '../logger.ts'
import { readableSpan, type SpanSurroundings } from './readable-span.ts'
import { type EndedSpan, Recorder, type RecorderOptions } from './recorder.ts'
import type { SamplingOptions } from './sampling.ts'
import type { Tracing } from './tracing.ts'

/** Where and how spans are sent. */
export interface TracesOptions {
  /** Full address. Default `http://localhost:4318/v1/traces`. Source: OTLP, "OTLP/HTTP Default Port". */
  readonly url?: string
  /** Headers of each request. Default: none. */
  readonly headers?: Readonly<Record<string, string>>
  /** Longest time of one export, retries included, in milliseconds. Default 10_000. */
  readonly timeoutMs?: number
  /** Default `none`. */
  readonly compression?: 'none' | 'gzip'
  readonly sampling?: SamplingOptions
  /** Attributes of the process, for example `service.name`. */
  readonly resource?: Readonly<Record<string, string>>
  /** Most spans that wait to be sent. Integer, at least 1. Default 2048. Source: OTEL_BSP_MAX_QUEUE_SIZE. */
  readonly queueMax?: number
  /** Longest wait of a span before it is sent, in milliseconds. Default 5_000. Source: OTEL_BSP_SCHEDULE_DELAY. */
  readonly delayMs?: number
  /** Version of this package. Default: none is told. */
  readonly version?: string
  readonly clock?: Clock
  /** Fills a buffer with random bytes, for ids. Default: the system's generator. */
  readonly fill?: RecorderOptions['fill']
  readonly logger?: Logger
}

/** The traces of one process. */
export interface Traces {
  readonly tracing: Tracing
  /** Spans that were not sent: the queue was full, or the collector did not take them. */
  readonly droppedCount: number
  /** Sends what waits; gives up after `timeoutMs` milliseconds. Never rejects. */
  flush(timeoutMs: number): Promise<void>
  /** Sends what waits, for at most that long, and ends. Idempotent; never rejects. Default 2_000 ms. */
  close(timeoutMs?: number): Promise<void>
}

const DEFAULT_URL = 'http://localhost:4318/v1/traces'
const QUEUE_MAX = 2048
const BATCH_MAX = 512
const DELAY_MS = 5000
const TIMEOUT_MS = 10_000
const CLOSE_MS = 2000
/** Least time between two lines about spans that were not sent, in milliseconds. */
const COMPLAINT_MS = 60_000

type Sdk = typeof import('@opentelemetry/sdk-trace')
type Otlp = typeof import('@opentelemetry/exporter-trace-otlp-proto')
type Resources = typeof import('@opentelemetry/resources')
type Api = typeof import('@opentelemetry/api')
type SpanExporter = ConstructorParameters<Sdk['BatchSpanProcessor']>[0]['exporter']

/** Starts to record and send spans. */
export function createTraces(options: TracesOptions = {}): Traces {
  const require = createRequire(import.meta.url)
  // The types are those of the modules that are named.
  const { BatchSpanProcessor } = require('@opentelemetry/sdk-trace') as Sdk
  const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto') as Otlp
  const { resourceFromAttributes } = require('@opentelemetry/resources') as Resources
  const { createTraceState } = require('@opentelemetry/api') as Api
  const { clock = systemClock, logger = silentLogger, sampling, fill } = options
  const { timeoutMs = TIMEOUT_MS, queueMax = QUEUE_MAX } = options
  const agents = httpAgents()
  const exporter = new OTLPTraceExporter({
    // Ours, so that a request without an answer does not keep a process that has ended.
    httpAgentOptions: agents.create,
    url: options.url ?? DEFAULT_URL,
    headers: { ...options.headers },
    timeoutMillis: timeoutMs,
    // A flush sends all batches at once: what is beyond the limit would be lost.
    concurrencyLimit: 1 + Math.ceil(queueMax / BATCH_MAX),
    // The library's enumeration has these texts as its values.
    compression: (options.compression ?? 'none') as never
  })
  const queue = new SpanQueue({ exporter, queueMax, clock, logger })
  const processor = new BatchSpanProcessor({
    exporter: queue,
    maxQueueSize: queueMax,
    maxExportBatchSize: Math.min(BATCH_MAX, queueMax),
    scheduledDelayMillis: options.delayMs ?? DELAY_MS,
    exportTimeoutMillis: timeoutMs + 1000
  })
  const around: SpanSurroundings = {
    resource: resourceFromAttributes({ 'service.name': 'comporta', ...options.resource }),
    scope: { name: 'comporta', ...(options.version === undefined ? {} : { version: options.version }) },
    createTraceState
  }
  const emit = (span: EndedSpan): void => {
    if (queue.admit()) processor.onEnd(readableSpan(span, around))
  }
  const recorder = new Recorder({
    emit,
    clock,
    ...(sampling === undefined ? {} : { sampling }),
    ...(fill === undefined ? {} : { fill })
  })
  const end = async (closeMs: number): Promise<void> => {
    await within(clock, closeMs, quietly(processor.shutdown()))
    agents.close()
  }
  let closed: Promise<void> | undefined
  return {
    tracing: recorder,
    get droppedCount() {
      return queue.droppedCount
    },
    flush: flushMs =>
      within(
        clock,
        flushMs,
        processor.forceFlush().catch(() => undefined)
      ),
    close: (closeMs = CLOSE_MS) => {
      closed ??= end(closeMs)
      return closed
    }
  }
}

/** What fails was counted and logged. */
async function quietly(work: Promise<void>): Promise<void> {
  try {
    await work
  } catch {
    // As above.
  }
}

/** Stands before the exporter, and counts what waits, what fails and what does not fit. */
class SpanQueue implements SpanExporter {
  droppedCount = 0
  readonly #exporter: SpanExporter
  readonly #queueMax: number
  readonly #clock: Clock
  readonly #logger: Logger
  #waitingCount = 0
  #complainedMs = Number.NEGATIVE_INFINITY

  constructor(options: { exporter: SpanExporter; queueMax: number; clock: Clock; logger: Logger }) {
    this.#exporter = options.exporter
    this.#queueMax = options.queueMax
    this.#clock = options.clock
    this.#logger = options.logger
  }

  /** Whether there is room for another span; it takes its place. */
  admit(): boolean {
    if (this.#waitingCount < this.#queueMax) {
      this.#waitingCount += 1
      return true
    }
    this.#dropped(1, 'the queue is full')
    return false
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    this.#waitingCount -= spans.length
    this.#exporter.export(spans, result => {
      if (result.code !== 0) this.#dropped(spans.length, result.error?.message ?? 'the collector did not take them')
      // Whoever asks next need not hear of it: it was counted.
      done({ code: 0 })
    })
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.()
  }

  async shutdown(): Promise<void> {
    await this.#exporter.shutdown()
  }

  #dropped(count: number, reason: string): void {
    this.droppedCount += count
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#complainedMs < COMPLAINT_MS) return
    this.#complainedMs = nowMs
    this.#logger.warn({ dropped: this.droppedCount, reason }, 'spans were not sent')
  }
}
