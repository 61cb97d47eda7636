/**
 * Kafka sink: writes records to a topic, with their keys, and answers when all in-sync replicas have them.
 *
 * The connection lives as long as the process does and is used by all deliveries. A function is frozen between two
 * invocations: nothing is sent meanwhile, no timer runs, and when it is thawed the connections may be gone without a
 * sign. So a connection that was silent for `idleMaxMs` is replaced before it is used, one that turns out to be dead
 * is replaced by the client itself, within the time of the delivery, and a delivery that is given up takes the
 * connection and everything unsent with it: nothing that was reported as undelivered is sent by a later thaw.
 *
 * Order: records of one key go to one partition, in the order of the request, by an idempotent producer with
 * `acks: all`. What a failure means is in `append-outcome.ts`: what only these records can cause is refused, everything
 * else waits. A refused record that went in a batch with others has the whole request halved, which writes some again.
 */

import type { AppendHeader, AppendRecord } from '../../client/index.ts'
import { type Clock, messageOf, PipelineError, systemClock } from '../../core/index.ts'
import { isSampledContext, type Logger, silentLogger } from '../../telemetry/index.ts'
import { appendOutcome } from '../append-outcome.ts'
import { LoudLog } from '../loud-log.ts'
import { readSasl, readTls } from './kafka-security.ts'
import { type FailedGroup, KafkaSession } from './kafka-session.ts'
import { isTopicName, kafkaSinkProblems, type KafkaSinkSettings } from './kafka-settings.ts'
import type { RecordSink, SinkFailure, SinkLimits, SinkOutcome, SinkRequest } from './record-sink.ts'
import {
  isOfRecord,
  parseExact,
  readRecordTemplate,
  readsValue,
  type RecordTemplate,
  renderTemplate
} from './record-template.ts'

/** What a Kafka sink is made from. */
export interface KafkaSinkOptions extends Omit<KafkaSinkSettings, 'type'> {
  readonly name: string
  /** Longest wait for the acknowledgement of a record, in milliseconds; the signal may be sooner. Default 5_000. */
  readonly timeoutMs?: number
  /** Where secrets and the credentials for MSK are. Default: nowhere. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly clock?: Clock
  readonly logger?: Logger
}

const TIMEOUT_MS = 5_000
const IDLE_MAX_MS = 240_000
/** Most bytes of one request: half of what the client buffers, so that two partitions fit. */
const BYTES_MAX = 16_777_216

const OK: SinkOutcome = { kind: 'ok' }
const LATE = 'no acknowledgement by Kafka in time'

/** What was written of a request, and what became of it so far. */
interface Settling {
  readonly records: ReadonlyMap<number, AppendRecord>
  readonly failures: Map<number, SinkFailure>
  /** Whether the delivery was given up. */
  readonly isLate: boolean
}

/** Writes records to Kafka. */
export class KafkaSink implements RecordSink {
  readonly name: string
  readonly limits: SinkLimits
  readonly #options: KafkaSinkOptions
  readonly #topic: RecordTemplate
  readonly #key: RecordTemplate
  readonly #readsValue: boolean
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #loud: LoudLog
  #session: KafkaSession | undefined
  #opening: Promise<KafkaSession> | undefined
  #activeCount = 0
  #usedAtMs = 0
  #usedAtMonotonicMs = 0
  #isClosed = false

  /** @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot work as configured. */
  constructor(options: KafkaSinkOptions) {
    const { name, timeoutMs: _, environment = {}, clock, logger, ...settings } = options
    const problems = kafkaSinkProblems({ type: 'kafka', ...settings }, environment)
    const topic = readRecordTemplate(options.topic)
    const key = readRecordTemplate(options.key ?? '{key}')
    if (problems.length > 0 || typeof topic === 'string' || typeof key === 'string') {
      throw new PipelineError('ERR_DISPATCHER_TARGET_INVALID', `target ${name}: ${problems.join('; ')}`)
    }
    this.name = name
    this.limits = { recordsMax: options.recordsMax ?? 10_000, bytesMax: BYTES_MAX }
    this.#options = options
    this.#topic = topic
    this.#key = key
    this.#readsValue = readsValue(topic) || readsValue(key)
    this.#clock = clock ?? systemClock
    this.#logger = logger ?? silentLogger
    this.#loud = new LoudLog(this.#logger, this.#clock)
  }

  async deliver(request: SinkRequest, signal: AbortSignal): Promise<SinkOutcome> {
    this.#activeCount += 1
    let session: KafkaSession | undefined
    // Else what is unsent would follow when a frozen process is thawed, behind newer records of its key.
    const giveUp = (): void => void session?.close()
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      session = await this.#openSession(signal)
      return session === undefined ? this.#unavailable(LATE) : await this.#write(session, request, signal)
    } catch (error) {
      return this.#unavailable(signal.aborted ? LATE : messageOf(error))
    } finally {
      signal.removeEventListener('abort', giveUp)
      this.#activeCount -= 1
      this.#usedAtMs = this.#clock.now()
      this.#usedAtMonotonicMs = this.#clock.monotonicMs()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#session?.close()
    // One that is being opened closes itself.
    await this.#opening?.catch(() => undefined)
  }

  async #write(session: KafkaSession, request: SinkRequest, signal: AbortSignal): Promise<SinkOutcome> {
    const failures = new Map<number, SinkFailure>()
    const { records, problem } = this.#records(request, failures)
    // What the configuration does to all records is not the fault of one.
    if (problem !== undefined && !isOfRecord(this.#topic)) return this.#unavailable(problem)
    const missing = await session.missingTopics(new Set([...records.values()].map(({ topic }) => topic)))
    if (missing.size > 0 && !isOfRecord(this.#topic)) return this.#unavailable(absent([...missing].join(', ')))
    for (const [index, { topic }] of records) {
      if (!missing.has(topic)) continue
      failures.set(index, { action: 'deadLetter', reason: this.#say(absent(topic)) })
      records.delete(index)
    }
    const groups = records.size === 0 ? [] : await session.write([...records.values()])
    const whole = this.#settle(groups, { records, failures, isLate: signal.aborted })
    if (whole !== undefined) return whole
    return failures.size === 0 ? OK : { kind: 'partial', failures }
  }

  /** The records as they are to be written, by index. Those without a usable topic go to `failures`. */
  #records(
    request: SinkRequest,
    failures: Map<number, SinkFailure>
  ): { readonly records: Map<number, AppendRecord>; readonly problem: string | undefined } {
    const records = new Map<number, AppendRecord>()
    let problem: string | undefined
    for (const [index, text] of request.texts.entries()) {
      const value = this.#readsValue ? parseExact(text) : undefined
      const topic = renderTemplate(this.#topic, request, { index, value })
      const own = this.#topicProblem(topic, request.topic)
      if (topic === undefined || own !== undefined) {
        problem ??= own ?? ''
        failures.set(index, { action: 'deadLetter', reason: this.#say(own ?? '') })
        continue
      }
      const timestampMs = request.timestamps?.[index]
      const headers = this.#headers(request, index)
      records.set(index, {
        topic,
        key: this.#keyOf(request, index, value),
        value: Buffer.from(text, 'utf8'),
        ...(headers.length === 0 ? {} : { headers }),
        ...(timestampMs === undefined ? {} : { timestampMs })
      })
    }
    return { records, problem }
  }

  #keyOf(request: SinkRequest, index: number, value: unknown): Buffer | null {
    // A key that is no text has its bytes there only.
    const own = this.#options.key === undefined ? request.source?.keyBytes(index) : undefined
    if (own !== undefined) return own
    const text = renderTemplate(this.#key, request, { index, value })
    return text === undefined ? null : Buffer.from(text, 'utf8')
  }

  #headers(request: SinkRequest, index: number): AppendHeader[] {
    const { copyHeaders = true, originHeaders: hasOrigin = true } = this.#options
    const own = hasOrigin ? originHeaders(request, index) : []
    const given = copyHeaders ? (request.source?.headers(index) ?? []) : []
    const kept = given.filter(({ name }) => !own.some(({ key }) => key === name))
    // A record that is in a trace stays in it.
    const isTraced = request.trace === undefined || kept.some(({ name }) => name === 'traceparent')
    const trace = isTraced ? [] : traceHeadersOf(request)
    return [...kept.map(({ name, value }) => ({ key: name, value })), ...own, ...trace]
  }

  #topicProblem(topic: string | undefined, from: string): string | undefined {
    if (topic === undefined) return 'the record has nothing for a place of the topic’s name'
    if (!isTopicName(topic)) return 'the record names a topic that cannot exist'
    if (topic !== from || this.#options.otherCluster === true) return undefined
    return `records would go back to ${from}, where they are from; set otherCluster if this is another cluster`
  }

  /** @returns The outcome of the request, where it has one as a whole. */
  #settle(groups: readonly FailedGroup[], request: Settling): SinkOutcome | undefined {
    const { records, failures, isLate } = request
    const indexes = new Map([...records].map(([index, record]) => [record, index]))
    const isAlone = failures.size === 0
    let failedCount = 0
    let whole: SinkOutcome | undefined
    for (const { error, records: failed } of groups) {
      const isRefused = appendOutcome(error).kind === 'rejected'
      const message = isLate ? LATE : error.message
      const reason = this.#say(message)
      // Nobody says which one it is.
      if (isRefused && failed.length > 1) return { kind: 'rejected', reason }
      if (!isRefused) whole = this.#unavailable(message)
      failedCount += failed.length
      for (const record of failed) {
        const index = indexes.get(record)
        if (index === undefined) continue
        failures.set(
          index,
          isRefused ? { action: 'deadLetter', reason } : { action: 'retry', reason, isUnavailable: true }
        )
      }
    }
    const isWhole = isAlone && failedCount === records.size && ![...failures.values()].some(isDeadLetter)
    return isWhole ? whole : undefined
  }

  /** The session that is open, or a new one; `undefined` if there is none when the signal aborts. */
  async #openSession(signal: AbortSignal): Promise<KafkaSession | undefined> {
    if (this.#session !== undefined && (this.#session.isClosed || this.#isStale())) {
      const old = this.#session
      this.#session = undefined
      void old.close()
    }
    if (this.#session !== undefined) return this.#session
    if (this.#isClosed || signal.aborted) return undefined
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    const aborted = Promise.withResolvers<undefined>()
    const giveUp = (): void => aborted.resolve(undefined)
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      return await Promise.race([this.#opening, aborted.promise])
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  async #open(): Promise<KafkaSession> {
    const { bootstrapServers, tls, sasl, environment = {}, timeoutMs = TIMEOUT_MS } = this.#options
    const clock = this.#clock
    const surroundings = { environment, clock }
    const options = await readSasl(sasl, surroundings)
    const session = await KafkaSession.open({
      cluster: {
        bootstrapServers,
        clientId: this.#options.clientId ?? 'comporta-distributor',
        tls: await readTls(tls, surroundings),
        // A connection that died without a sign costs one such wait: the delivery must have time for another.
        requestTimeoutMs: Math.max(250, Math.floor(timeoutMs / 3)),
        connectTimeoutMs: timeoutMs,
        bootstrapTimeoutMs: timeoutMs,
        clock,
        logger: this.#logger,
        ...(options === undefined ? {} : { sasl: options })
      },
      compression: this.#options.compression ?? 'none',
      timeoutMs,
      clock,
      logger: this.#logger
    })
    if (this.#isClosed) {
      await session.close()
      throw new PipelineError('ERR_CLIENT_CLOSED', 'the target was closed')
    }
    this.#session = session
    return session
  }

  /** Whether the connections may be gone: by either clock, because the monotonic one may rest in a frozen process. */
  #isStale(): boolean {
    if (this.#activeCount > 1 || this.#usedAtMs === 0) return false
    const idleMs = Math.max(this.#clock.now() - this.#usedAtMs, this.#clock.monotonicMs() - this.#usedAtMonotonicMs)
    return idleMs > (this.#options.idleMaxMs ?? IDLE_MAX_MS)
  }

  #unavailable(message: string): SinkOutcome {
    const reason = this.#say(message)
    this.#loud.error({ target: this.name }, reason)
    return { kind: 'unavailable', reason }
  }

  #say(message: string): string {
    return `target ${this.name}: ${message}`
  }
}

function isDeadLetter({ action }: SinkFailure): boolean {
  return action === 'deadLetter'
}

function absent(topic: string): string {
  return `the topic ${topic} does not exist`
}

function traceHeadersOf({ trace }: SinkRequest): AppendHeader[] {
  if (trace === undefined || !isSampledContext(trace)) return []
  return Object.entries(trace).map(([key, value]) => ({ key, value: Buffer.from(String(value), 'latin1') }))
}

function originHeaders(request: SinkRequest, index: number): AppendHeader[] {
  return [
    { key: 'comporta-origin-topic', value: Buffer.from(request.topic, 'utf8') },
    { key: 'comporta-origin-partition', value: Buffer.from(String(request.partition), 'utf8') },
    { key: 'comporta-origin-offset', value: Buffer.from(String(request.offsets[index]), 'utf8') }
  ]
}
