/**
 * The way of a chunk: rate limit, then per event parse, route, key, append.
 *
 * Sources hand over chunks and wait for the hand-over: when Kafka is slow the
 * outlet's buffer is full, `submit` waits, and so does the source. That wait is
 * the only queue; nothing is held here. What open chunks hold is limited too.
 *
 * Invariants: the events of one source are appended in its order as long as it
 * awaits each `submit`; an event is never dropped without an outcome.
 */

import { type Clock, PipelineError, sleep, turn } from '../core/index.ts'
import { type ChunkContext, NO_CONTEXT } from './chunk-context.ts'
import type { ChunkEvents, EventReader } from './chunk-events.ts'
import { DeadLetterWriter } from './dead-letters.ts'
import { Delivery, type DeliveryOwner, type Settlement } from './delivery.ts'
import { type EventChunk, spanEnd, spanStart } from './event-chunk.ts'
import { FieldSet } from './event-fields.ts'
import type { EventProblem } from './event-problem.ts'
import { eventReader } from './event-reader.ts'
import { EventResolver } from './event-resolver.ts'
import { RecordHeaders } from './headers/header-maker.ts'
import type { ProducerConfig } from '../config/index.ts'
import { OpenBudget } from './open-budget.ts'
import type { Outlet, OutletState } from './outlet.ts'
import type { ProducerMeter } from './producer-metrics.ts'
import type { ResolverParts } from './resolver-parts.ts'
import type { HeavyReport } from './routing/heavy-detector.ts'
import { SafePoints } from './routing/safe-points.ts'
import { chunkBytes, RateGate } from './rate/rate-gate.ts'
import { ReplayPace } from './rate/replay-pace.ts'
import { TopicPermits } from './rate/topic-permits.ts'
import { contextHeaders, SubmissionTrace } from './submission-trace.ts'
import { Turnstile } from './turnstile.ts'
import type { Logger, Tracing } from '../telemetry/index.ts'

/** Slices from this size on let I/O run behind them. */
const TURN_COUNT = 256

/** Least wait when the outlet is full, in milliseconds. */
const FULL_PAUSE_MS = 1

/** Chunks that may be open: bounds memory when chunks are tiny, which limits on bytes would not. */
const OPEN_CHUNKS_MAX = 4096

/** What an open chunk takes besides its bytes: its objects, and for each event its span, its line and its outcome. */
const CHUNK_OVERHEAD_BYTES = 1024
const EVENT_OVERHEAD_BYTES = 13

/** How a source wants its events treated. */
export interface SubmitOptions {
  /** Name of the source, for dead letters and reports. */
  readonly source: string
  /** What happens to events that cannot be published: a dead letter, or back to the sender. Default `deadLetter`. */
  readonly onProblem?: 'deadLetter' | 'refuse'
  /** Most refusals that are kept with their reason. Default 100. */
  readonly refusalsMax?: number
  /** What the source knows about all events of the chunk. Default: nothing. */
  readonly context?: ChunkContext
  /** Where the source goes on behind the chunk: committed with its events, where they go in transactions. */
  readonly position?: SourcePosition
}

/** Where a source goes on. */
export interface SourcePosition {
  /** Names the source across restarts. */
  readonly key: string
  /** Makes the position, as JSON takes it; called when it is written. */
  readonly state: () => unknown
}

/** A chunk that was handed over. */
export interface Submission {
  /** Resolves when every event has its outcome. Never rejects. */
  readonly settled: Promise<Settlement>
  /** Milliseconds until the rate may have room for what was shed; infinite if nobody knows. Absent if nothing was. */
  readonly retryAfterMs?: number
}

/** Where sources put their events. */
export interface Intake {
  /** Longest event that is published, in bytes. */
  readonly recordBytesMax: number
  /**
   * Hands over a chunk. Resolves when all of it was taken, which is the source's
   * backpressure; what became of it says `settled`. Never rejects.
   */
  submit(chunk: EventChunk, options: SubmitOptions): Promise<Submission>
  /** The position that was committed with the last events of a source; absent where they do not go in transactions. */
  savedPosition?(key: string): unknown
  /** Ends what events wait for together, a transaction, because no more come now. Absent where they do not wait. */
  commit?(): Promise<void>
  /** About how long an event that came now would wait for the rate limit, in milliseconds. Absent: not at all. */
  retryAfterMs?(): number
  /** Whether events go to Kafka now, or where else. Absent: nobody looks. */
  readonly outletState?: OutletState
  /** Whether events whose sender hears an answer are refused now, because Kafka is away. Absent: never. */
  readonly isAwayRefused?: boolean
}

/** What an intake is made of. */
export interface EventIntakeOptions {
  readonly config: ProducerConfig
  readonly outlet: Outlet
  readonly clock: Clock
  readonly meter: ProducerMeter
  readonly logger?: Logger
  /** Traces chunks. Default: nobody does. */
  readonly tracing?: Tracing | undefined
  /** What the configuration names and was loaded before. Default: nothing. */
  readonly parts?: ResolverParts
}

/** Kinds of problems that leave an event without fields. */
const UNREAD: ReadonlySet<EventProblem['errorClass']> = new Set(['malformed', 'oversized'])

/** What is handed over in one go. */
interface Handing {
  readonly delivery: Delivery
  readonly events: ChunkEvents
  readonly isRefusing: boolean
  /** Absent where no topic has a limit of its own. */
  readonly permits: TopicPermits | undefined
  /** Where it ends. */
  readonly to: number
  /** Whether it goes to disk, because it came faster than the rate allows. */
  readonly isSpilled: boolean
}

/** How a hand-over came to a halt: at its end, for want of room, or at the limit of a topic. */
type Halt = 'end' | 'room' | 'rate'

/** Publishes chunks. */
export class EventIntake implements Intake {
  readonly recordBytesMax: number
  readonly #outlet: Outlet
  readonly #refusesAway: boolean
  readonly #clock: Clock
  readonly #reader: EventReader
  readonly #resolver: EventResolver
  /** Absent where no heavy hitters are looked for. */
  readonly #safePoints: SafePoints | undefined
  /** The limits before Kafka. */
  readonly rate: RateGate
  /** Absent where the configuration asks for no headers: those of the chunk's context are all. */
  readonly #headers: RecordHeaders | undefined
  readonly #tracing: Tracing | undefined
  readonly #hasTraceHeaders: boolean
  readonly #deadLetters: DeadLetterWriter
  readonly #meter: ProducerMeter
  readonly #owner: DeliveryOwner
  readonly #stop = new AbortController()
  readonly #open: OpenBudget
  /** Those who hand over while the outlet is full. */
  readonly #line = new Turnstile()

  constructor(options: EventIntakeOptions) {
    const { config, outlet, clock, meter, logger, tracing } = options
    this.#tracing = tracing
    this.#hasTraceHeaders = config.headers?.trace !== undefined
    this.recordBytesMax = config.recordBytesMax
    this.#outlet = outlet
    this.#refusesAway = config.whenAway.mode === 'reject'
    this.#clock = clock
    this.#meter = meter
    this.#open = new OpenBudget({ countMax: OPEN_CHUNKS_MAX, bytesMax: config.openBytesMax })
    const fields = new FieldSet()
    if (config.headers !== undefined)
      this.#headers = new RecordHeaders({ config: config.headers, fields, clock, isTraced: tracing !== undefined })
    this.#resolver = new EventResolver({
      route: config.route,
      key: config.key,
      fields,
      ...options.parts,
      ...(this.#headers === undefined ? {} : { headers: this.#headers }),
      ...(this.#headers === undefined && tracing !== undefined ? { headers: contextHeaders } : {})
    })
    const { detector } = this.#resolver
    this.#safePoints = detector && new SafePoints({ detector, outlet, clock, logger })
    this.#reader = eventReader({ fields, recordBytesMax: config.recordBytesMax })
    this.rate = new RateGate(config.rate, clock, logger)
    if (this.rate.canSpill) outlet.setPace?.(new ReplayPace(this.rate, clock))
    this.#deadLetters = new DeadLetterWriter({
      outlet,
      topic: config.deadLetterTopic,
      valueBytesMax: config.recordBytesMax
    })
    this.#owner = {
      sendDeadLetter: letter => this.#deadLetters.write(letter),
      acknowledged: (recordCount, latencyMs) => meter.acknowledged(recordCount, latencyMs),
      nowMs: () => clock.monotonicMs()
    }
  }

  /** All topics that events may go to, the dead letter topic aside. */
  get topics(): readonly string[] {
    return this.#resolver.topics
  }

  /** What is known of heavy hitters; absent where nobody looks for them. */
  get heavy(): readonly HeavyReport[] | undefined {
    return this.#resolver.detector?.report()
  }

  /** How long events have waited for rate limits, in milliseconds, summed over all slices. */
  get throttledMs(): number {
    return this.rate.waitedMs
  }

  /** Chunks that are not settled. */
  get openCount(): number {
    return this.#open.count
  }

  /** Bytes that they hold. */
  get openBytes(): number {
    return this.#open.bytes
  }

  get outletState(): OutletState {
    return this.#outlet.state
  }

  get isAwayRefused(): boolean {
    return this.#refusesAway && this.#outlet.state === 'away'
  }

  /** Whether a chunk would have to wait until others are settled. */
  mustWait(chunk: EventChunk): boolean {
    return this.#open.mustWait(bytesHeld(chunk))
  }

  async submit(chunk: EventChunk, options: SubmitOptions): Promise<Submission> {
    const openBytes = bytesHeld(chunk)
    await this.#open.enter(openBytes)
    const delivery = new Delivery({
      chunk,
      source: options.source,
      owner: this.#owner,
      refusalsMax: options.refusalsMax ?? 100
    })
    const trace = this.#traceOf(chunk, options)
    const events = this.#reader.open(chunk, trace?.context ?? options.context ?? NO_CONTEXT)
    const isRefusing = options.onProblem === 'refuse'
    const permits = this.rate.hasTopicLimits ? new TopicPermits(this.rate, options.source) : undefined
    // Who hears an answer is told at once that nothing was taken; who does not loses what does not fit.
    let retryAfterMs = isRefusing ? this.rate.admit(chunk) : undefined
    let error: PipelineError | undefined
    try {
      if (retryAfterMs === undefined) {
        await this.#handOverAll({ delivery, events, isRefusing, permits })
        if (delivery.shedCount > 0) retryAfterMs = permits?.retryAfterMs() ?? this.rate.retryAfterMs()
      } else this.#shed(delivery, chunk.count)
    } catch (cause) {
      error = stopped(cause)
    }
    permits?.giveBack()
    events.close()
    this.#meter.received(chunk.count, chunkBytes(chunk, 0, chunk.count))
    delivery.seal(error)
    void delivery.settled.then(settlement => {
      trace?.end(settlement)
      this.#meter.settled(settlement)
      this.#open.leave(openBytes)
    })
    return { settled: delivery.settled, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
  }

  #traceOf(chunk: EventChunk, { source, context = NO_CONTEXT }: SubmitOptions): SubmissionTrace | undefined {
    if (this.#tracing === undefined) return undefined
    const { topics } = this.#resolver
    const hasTraceHeaders = this.#hasTraceHeaders
    return SubmissionTrace.begin(this.#tracing, { chunk, source, context, topics, hasTraceHeaders })
  }

  /** See `Intake.retryAfterMs`. */
  retryAfterMs(): number {
    return this.rate.retryAfterMs()
  }

  /** Resolves when the dead letters of records that Kafka has refused are handed over. */
  async lettersHandedOver(): Promise<void> {
    await this.#deadLetters.handedOver()
  }

  /** Resolves when no chunk is open. New ones may come meanwhile. */
  idle(): Promise<void> {
    return this.#open.idle()
  }

  /** Ends every wait for the rate limit: what has not been handed over fails. Idempotent. */
  stop(): void {
    this.#stop.abort()
  }

  /** Whether everything goes by disk. */
  get #isByDisk(): boolean {
    return this.#outlet.state === 'spilling' || this.#outlet.state === 'replaying'
  }

  /** Slice by slice: each asks the rate limit, and lets I/O run behind it. */
  async #handOverAll(chunkOf: Omit<Handing, 'to' | 'isSpilled'>): Promise<void> {
    const { delivery, isRefusing } = chunkOf
    const { chunk, source } = delivery
    const slice = { chunk, source, isAdmitted: isRefusing }
    while (delivery.handedOverCount < chunk.count) {
      const from = delivery.handedOverCount
      const to = this.rate.sliceEnd(chunk, from, isRefusing)
      const verdict = await this.rate.take({ ...slice, from, to, isByDisk: this.#isByDisk }, this.#stop.signal)
      if (verdict === 'stopped') throw stoppedAtLimit()
      if (verdict === 'shed') this.#shed(delivery, to)
      else await this.#handOverSlice({ ...chunkOf, to, isSpilled: verdict === 'spill' })
      if (to - from >= TURN_COUNT || verdict === 'shed') await turn()
    }
  }

  async #handOverSlice(handing: Handing): Promise<void> {
    const { delivery, permits } = handing
    delivery.handingOver()
    for (;;) {
      await this.#whileMoving()
      if (handing.isRefusing && this.isAwayRefused) throw kafkaAway()
      let halt = this.#line.isFree || handing.isSpilled ? this.#handOver(handing) : 'room'
      if (halt === 'room') halt = await this.#handOverInLine(handing)
      if (halt === 'end') return
      if ((await permits?.wait(this.#stop.signal)) === false) throw stoppedAtLimit()
      delivery.handingOver()
    }
  }

  /** Hands over when those who came before have done so, and there is room. */
  async #handOverInLine(handing: Handing): Promise<Halt> {
    handing.permits?.giveBack()
    await this.#line.enter()
    try {
      for (;;) {
        await this.#whileMoving()
        if (handing.isRefusing && this.isAwayRefused) throw kafkaAway()
        const halt = this.#handOver(handing)
        if (halt !== 'room') return halt
        handing.permits?.giveBack()
        await this.#room()
      }
    } finally {
      this.#line.leave()
    }
  }

  /** Waits while values move to the heavy topic of their split: nothing is handed over then. */
  async #whileMoving(): Promise<void> {
    for (let wait = this.#safePoints?.wait(); wait !== undefined; wait = this.#safePoints?.wait()) await wait
  }

  #shed(delivery: Delivery, to: number): void {
    const from = delivery.handedOverCount
    for (let index = from; index < to; index += 1) delivery.shed(index)
    delivery.handedOverCount = to
    this.rate.shed(to - from, { source: delivery.source })
  }

  /** Waits until the outlet may have room. The pause lets I/O run even if it says that it has and has not enough. */
  async #room(): Promise<void> {
    await this.#outlet.room()
    await sleep(this.#clock, FULL_PAUSE_MS)
  }

  /** Hands over events up to `to`, as far as it goes. */
  #handOver(handing: Handing): Halt {
    const { delivery, events, isRefusing, to } = handing
    const { chunk } = delivery
    for (let index = delivery.handedOverCount; index < to; index += 1) {
      if (chunk.tombstones?.has(index) === true) {
        if (!this.#handOverTombstone(delivery, index)) return 'room'
        delivery.handedOverCount = index + 1
        continue
      }
      const problem = chunk.problems?.get(index) ?? events.read(index) ?? this.#resolver.resolve(events)
      if (problem === undefined) {
        const halt = this.#handOverRecord(handing, index)
        if (halt !== undefined) return halt
      } else if (isRefusing) {
        delivery.refuse(index, problem)
      } else if (!this.#handOverDeadLetter(handing, index, problem)) {
        return 'room'
      }
      delivery.handedOverCount = index + 1
    }
    return 'end'
  }

  /** Hands over the event that was just resolved; says what is missing if that is not possible now. */
  #handOverRecord({ delivery, permits, isSpilled }: Handing, index: number): Halt | undefined {
    const { chunk } = delivery
    let goesToDisk = isSpilled
    if (permits !== undefined && !isSpilled) {
      const { topic } = this.#resolver
      const bytes = spanEnd(chunk, index) - spanStart(chunk, index)
      const verdict = permits.verdict({ index, topic, bytes, isByDisk: this.#isByDisk })
      if (verdict === 'wait') return 'rate'
      if (verdict === 'shed') {
        delivery.shed(index)
        this.rate.shed(1, { source: delivery.source, topic })
        return undefined
      }
      goesToDisk = verdict === 'spill'
    }
    const outlet = this.#outlet
    const isTaken =
      goesToDisk && outlet.divert !== undefined
        ? outlet.divert(this.#resolver, chunk, index, delivery)
        : outlet.appendRow(this.#resolver, chunk, index, delivery)
    if (!isTaken) return 'room'
    delivery.opened()
    return undefined
  }

  #handOverDeadLetter({ delivery, events }: Handing, index: number, problem: EventProblem): boolean {
    const { chunk } = delivery
    const key = chunk.rowKeys?.(index) ?? null
    const isRead = !UNREAD.has(problem.errorClass) && chunk.problems?.has(index) !== true
    const event = isRead ? events : { chunk, context: events.context, index, text: () => undefined }
    const headers = this.#headers === undefined ? event.context.headers : this.#headers.headersFor(event, undefined)
    if (!this.#deadLetters.tryWrite({ delivery, index, problem, key, topic: undefined, headers })) return false
    delivery.opened()
    return true
  }

  /** A record without a value has no field to route by: the configuration rules let it pass to a single topic only. */
  #handOverTombstone(delivery: Delivery, index: number): boolean {
    const { chunk } = delivery
    const [topic = ''] = this.#resolver.topics
    const headers = chunk.rowHeaders?.(index)
    const timestampMs = chunk.rowTimes?.(index)
    const record = {
      topic,
      key: chunk.rowKeys?.(index) ?? null,
      value: null,
      row: index,
      ...(headers === undefined ? {} : { headers }),
      ...(timestampMs === undefined ? {} : { timestampMs })
    }
    if (!this.#outlet.append(record, delivery)) return false
    delivery.opened()
    return true
  }
}

function kafkaAway(): PipelineError {
  const message = 'Kafka does not acknowledge records now: send the same request again later'
  return new PipelineError('ERR_PRODUCER_AWAY', message)
}

function bytesHeld(chunk: EventChunk): number {
  return chunk.bytes.length + chunk.count * EVENT_OVERHEAD_BYTES + CHUNK_OVERHEAD_BYTES
}

function stoppedAtLimit(): PipelineError {
  return new PipelineError('ERR_PRODUCER_DRAIN_TIMEOUT', 'stopped before the rate limit let the event pass')
}

function stopped(cause: unknown): PipelineError {
  if (PipelineError.is(cause, 'ERR_PRODUCER_DRAIN_TIMEOUT') || PipelineError.is(cause, 'ERR_PRODUCER_AWAY'))
    return cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new PipelineError('ERR_PRODUCER_DELIVERY_FAILED', `the event was not handed to Kafka: ${reason}`, { cause })
}
