/**
 * A producer: sources on one side, an outlet on the other, which is one idempotent appender or stands before it.
 *
 * Stopping goes from the source on: `drain` stops the sources, waits until all
 * they have handed over is acknowledged, and says what was not; `close` gives up
 * the rest. The producer owns its outlet, not the cluster.
 */

import type { Cluster } from '../client/index.ts'
import { errorTopics, type ProducerConfig, producerWarnings } from '../config/index.ts'
import {
  type Clock,
  messageOf,
  PipelineError,
  type Random,
  sleep,
  systemClock,
  systemRandom,
  within
} from '../core/index.ts'
import { type AnyTracer, type Logger, type Meter, noopMeter, silentLogger, tracingOf } from '../telemetry/index.ts'
import type { EventChunk } from './event-chunk.ts'
import { EventIntake, type Intake, type Submission, type SubmitOptions } from './intake.ts'
import type { Outlet, OutletState } from './outlet.ts'
import { observe, ProducerMeter, type ProducerTotals } from './producer-metrics.ts'
import { type ResolverParts, resolverParts } from './resolver-parts.ts'
import type { HeavyReport } from './routing/heavy-detector.ts'
import { observeRate } from './rate/rate-metrics.ts'
import { SharedRate } from './rate/shared-rate.ts'
import { observeSources } from './source-metrics.ts'
import type { Source, SourceProgress, SourceReport } from './sources/source.ts'
import { Transactions } from './transactions/transactions.ts'
import { createOutlet } from './spill/create-outlet.ts'
import { observeOutlet } from './spill/spill-metrics.ts'
import { SpillOutlet, type SpillStatus } from './spill/spill-outlet.ts'

/** Options of `startProducer`. */
export interface ProducerOptions {
  readonly config: ProducerConfig
  /** Shared with the caller, who closes it after the producer. */
  readonly cluster: Cluster
  /** Sources to run from the start; more can be added with `run`. Default none: the caller builds `config.sources`. */
  readonly sources?: readonly Source[]
  /** How long topics may take to appear, in milliseconds: another process may be creating them. Default 5_000. */
  readonly topicWaitMs?: number
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
  readonly meter?: Meter
  /** Traces chunks: OpenTelemetry's `Tracer` or `TracerProvider`, or `createTraces().tracing`. Default: no traces. */
  readonly tracer?: AnyTracer | undefined
}

/** Whether a producer takes events, finishes them, or has ended. */
export type ProducerState = 'running' | 'draining' | 'closed'

/** How a producer is. */
export interface ProducerStatus {
  readonly state: ProducerState
  readonly totals: ProducerTotals
  /** Whether records go to Kafka now, or where else. */
  readonly outlet: OutletState
  /** What is on disk; `undefined` without `producer.spill`. */
  readonly spill: SpillStatus | undefined
  /** Chunks that are not settled. */
  readonly openChunkCount: number
  /** Bytes that those chunks hold. */
  readonly openBytes: number
  /** Bytes handed to Kafka and not yet acknowledged. */
  readonly bufferedBytes: number
  /** Sum of all waits for the rate limit, in milliseconds. */
  readonly throttledMs: number
  /** What makes up much of a topic; `undefined` without `producer.route.detector`. */
  readonly heavy: readonly HeavyReport[] | undefined
  readonly sources: readonly (SourceProgress & { readonly name: string })[]
}

/** The end of a drain. */
export interface DrainReport {
  /** Whether all that was read is acknowledged. */
  readonly isComplete: boolean
  readonly totals: ProducerTotals
  readonly sources: readonly SourceReport[]
  /** What is left on disk for the next start; `undefined` without `producer.spill`. */
  readonly spill: SpillStatus | undefined
  /** `ERR_PRODUCER_DRAIN_TIMEOUT` if the deadline came first, else the first error of a source. */
  readonly error: PipelineError | undefined
}

/** A running producer. */
export interface Producer extends Intake {
  /** Runs a source to its end. Never rejects: the report has the error. */
  run(source: Source): Promise<SourceReport>
  /** Resolves when all sources have ended, with their reports. */
  finished(): Promise<readonly SourceReport[]>
  /**
   * Stops the sources, waits until everything they read is acknowledged, and ends.
   * Idempotent: later calls get the first one's report.
   *
   * @param deadlineMs - Longest wait, in milliseconds. Default 30_000.
   */
  drain(deadlineMs?: number): Promise<DrainReport>
  /** Ends at once: what is not acknowledged fails. Idempotent. */
  close(): Promise<void>
  status(): ProducerStatus
}

const DRAIN_MS = 30_000
const TOPIC_WAIT_MS = 5000
const TOPIC_CHECK_MS = 200

/**
 * Starts a producer. With a spill it needs no Kafka for that, if the cluster was connected with `mayBeAway`; shared
 * rates and partitioners do.
 *
 * @throws PipelineError `ERR_PRODUCER_TOPIC_MISSING` if a topic that events go to, or
 *   a topic for what is wrong, does not exist; it is not created. `ERR_CONFIG_INVALID` for a schema or a partitioner
 *   that cannot be used. `ERR_PRODUCER_SPILL_LOCKED` if another producer uses the
 *   spill folder, `ERR_PRODUCER_SPILL_FAILED` if it cannot be read or written.
 */
export async function startProducer(options: ProducerOptions): Promise<Producer> {
  for (const { path, message } of producerWarnings(options.config)) {
    options.logger?.warn({ setting: path.map(String).join('.') }, message)
  }
  const producer = new RunningProducer(options, await resolverParts(options.config, options.cluster))
  try {
    await producer.openOutlet()
    await producer.checkTopics()
    await producer.startTransactions()
    await producer.startSharedRate()
  } catch (error) {
    await producer.close()
    throw error
  }
  for (const source of options.sources ?? []) void producer.run(source)
  return producer
}

class RunningProducer implements Producer {
  readonly recordBytesMax: number
  readonly #cluster: Cluster
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #transactions: Transactions | undefined
  readonly #outlet: Outlet
  readonly #meter: ProducerMeter
  readonly #intake: EventIntake
  readonly #sharedRate: SharedRate
  readonly #topics: readonly string[]
  readonly #topicWaitMs: number
  readonly #stopObserving: () => void
  readonly #stopSources = new AbortController()
  readonly #sources = new Map<Source, Promise<SourceReport>>()
  #state: ProducerState = 'running'
  #drained: Promise<DrainReport> | undefined
  #closed: Promise<void> | undefined

  constructor(options: ProducerOptions, loaded: ResolverParts) {
    const { config, cluster } = options
    this.#cluster = cluster
    this.#clock = options.clock ?? systemClock
    this.#logger = options.logger ?? silentLogger
    this.#meter = new ProducerMeter(options.meter ?? noopMeter)
    const random = options.random ?? systemRandom
    const surroundings = { config, cluster, clock: this.#clock, random, logger: this.#logger }
    this.#transactions = Transactions.of({ ...surroundings, ...config })
    this.#outlet = this.#transactions?.outlet ?? createOutlet(surroundings)
    this.#intake = new EventIntake({
      config,
      outlet: this.#outlet,
      clock: this.#clock,
      meter: this.#meter,
      logger: this.#logger,
      tracing: tracingOf(options.tracer, this.#logger),
      parts: loaded
    })
    const stopRate = observeRate(options.meter ?? noopMeter, this.#intake.rate)
    const stopAll = observe(options.meter ?? noopMeter, {
      bufferedBytes: () => this.#outlet.bufferedBytes,
      openBytes: () => this.#intake.openBytes,
      throttledMs: () => this.#intake.throttledMs,
      heavy: () => this.#intake.heavy ?? []
    })
    const gauges = { state: () => this.#outlet.state, spill: () => this.#spill }
    const stopOutlet = observeOutlet(options.meter ?? noopMeter, gauges)
    const stopSources = observeSources(options.meter ?? noopMeter, () => this.#sources.keys())
    this.#stopObserving = () => {
      stopSources()
      stopRate()
      stopOutlet()
      stopAll()
    }
    this.recordBytesMax = this.#intake.recordBytesMax
    this.#sharedRate = new SharedRate({ ...surroundings, config: config.rate, gate: this.#intake.rate })
    const own = this.#transactions === undefined ? [] : [this.#transactions.stateTopic]
    const topics = [...this.#intake.topics, ...errorTopics(config), ...own, ...this.#sharedRate.topics]
    this.#topics = [...new Set(topics)]
    this.#topicWaitMs = options.topicWaitMs ?? TOPIC_WAIT_MS
  }

  async openOutlet(): Promise<void> {
    if (this.#outlet instanceof SpillOutlet) await this.#outlet.open()
  }

  async startSharedRate(): Promise<void> {
    await this.#sharedRate.start()
  }

  async startTransactions(): Promise<void> {
    await this.#transactions?.start(this.#intake)
  }

  /** With Kafka away from the start there is nothing to check: what comes goes to disk. */
  async checkTopics(): Promise<void> {
    if (!this.#cluster.isKnown) return
    const endsAtMs = this.#clock.monotonicMs() + this.#topicWaitMs
    for (;;) {
      const { topics } = await this.#cluster.metadata(this.#topics)
      const missing = topics.filter(({ partitions }) => partitions.length === 0).map(({ topic }) => topic)
      if (missing.length === 0) return
      if (this.#clock.monotonicMs() >= endsAtMs) throw topicsMissing(missing)
      await sleep(this.#clock, TOPIC_CHECK_MS)
    }
  }

  async submit(chunk: EventChunk, options: SubmitOptions): Promise<Submission> {
    if (this.#state === 'closed') throw new PipelineError('ERR_PRODUCER_DRAINING', 'the producer has ended')
    return (this.#transactions?.intake ?? this.#intake).submit(chunk, options)
  }

  get outletState(): OutletState {
    return this.#outlet.state
  }

  get isAwayRefused(): boolean {
    return this.#intake.isAwayRefused
  }

  async commit(): Promise<void> {
    await this.#transactions?.intake.commit?.()
  }

  savedPosition(key: string): unknown {
    return this.#transactions?.intake.savedPosition?.(key)
  }

  get #spill(): SpillStatus | undefined {
    return this.#outlet instanceof SpillOutlet ? this.#outlet.spill : undefined
  }

  run(source: Source): Promise<SourceReport> {
    const running = this.#run(source)
    this.#sources.set(source, running)
    return running
  }

  async finished(): Promise<readonly SourceReport[]> {
    return await Promise.all(this.#sources.values())
  }

  drain(deadlineMs = DRAIN_MS): Promise<DrainReport> {
    this.#drained ??= this.#drain(deadlineMs)
    return this.#drained
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  status(): ProducerStatus {
    return {
      state: this.#state,
      totals: this.#meter.totals(),
      outlet: this.#outlet.state,
      spill: this.#spill,
      openChunkCount: this.#intake.openCount,
      openBytes: this.#intake.openBytes,
      bufferedBytes: this.#outlet.bufferedBytes,
      throttledMs: this.#intake.throttledMs,
      heavy: this.#intake.heavy,
      sources: [...this.#sources.keys()].map(source => ({ name: source.name, ...source.progress() }))
    }
  }

  async #run(source: Source): Promise<SourceReport> {
    let error: PipelineError | undefined
    try {
      if (this.#state !== 'running') throw new PipelineError('ERR_PRODUCER_DRAINING', 'the producer is stopping')
      await source.run(this, this.#stopSources.signal)
    } catch (cause) {
      error = sourceError(source.name, cause)
      this.#logger.error({ source: source.name, code: error.code, error: error.message }, 'source failed')
    }
    return { name: source.name, progress: source.progress(), error }
  }

  async #drain(deadlineMs: number): Promise<DrainReport> {
    const endsAtMs = this.#clock.monotonicMs() + deadlineMs
    if (this.#state === 'running') this.#state = 'draining'
    this.#stopSources.abort()
    const isDone = (await within(this.#clock, deadlineMs, this.#finishAll())) === true
    const remainingMs = Math.max(0, endsAtMs - this.#clock.monotonicMs())
    await this.#end(remainingMs)
    const sources = await this.finished()
    const failed = sources.find(source => source.error !== undefined)?.error
    const error = isDone ? failed : (failed ?? timedOut(deadlineMs))
    return {
      isComplete: isDone && error === undefined,
      totals: this.#meter.totals(),
      sources,
      spill: this.#spill,
      error
    }
  }

  /** Resolves with `true` when the sources have ended and everything they handed over has its outcome. */
  async #finishAll(): Promise<boolean> {
    await this.finished()
    try {
      await this.#outlet.flush()
    } catch (error) {
      this.#logger.warn({ error: messageOf(error) }, 'flush failed') // the open chunks learn why
    }
    await this.#intake.idle()
    return true
  }

  async #close(): Promise<void> {
    this.#stopSources.abort()
    await this.#end(0)
    await this.finished()
  }

  /** Fails what is open after the deadline, and ends. */
  async #end(deadlineMs: number): Promise<void> {
    this.#intake.stop()
    this.#transactions?.stop()
    // At once, so that the other instances may have this one's share while it finishes.
    const leaving = this.#sharedRate.close()
    await Promise.all([...this.#sources.keys()].map(source => source.close()))
    await this.#outlet.close(deadlineMs)
    await this.#intake.idle()
    await leaving
    this.#stopObserving()
    this.#state = 'closed'
  }
}

function sourceError(name: string, cause: unknown): PipelineError {
  if (PipelineError.is(cause)) return cause
  return new PipelineError('ERR_PRODUCER_SOURCE_FAILED', `the source ${name} failed: ${messageOf(cause)}`, { cause })
}

function timedOut(deadlineMs: number): PipelineError {
  const message = `not everything that was read was acknowledged within ${deadlineMs} ms`
  return new PipelineError('ERR_PRODUCER_DRAIN_TIMEOUT', message)
}

function topicsMissing(topics: readonly string[]): PipelineError {
  const names = topics.join(', ')
  const message = topics.length === 1 ? `the topic ${names} does not exist` : `these topics do not exist: ${names}`
  return new PipelineError('ERR_PRODUCER_TOPIC_MISSING', `${message}; create what is missing and start again`, {
    fields: { topics }
  })
}
