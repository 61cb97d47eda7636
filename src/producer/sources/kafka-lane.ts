/**
 * One partition of a source topic, from its assignment until it is given back.
 *
 * Fetched batches wait in a short queue (its length is what pauses the fetch),
 * are handed over one after the other, and move the partition's offset once
 * everything before them is safe. When events fail because Kafka does not take
 * them, nothing more is handed over, what is open is waited for, and the
 * partition is read again from the first event that is not safe: so the order
 * holds, and what had got through behind it comes twice.
 *
 * Invariant: `committable` never passes an event that is not safe.
 */

import type { FetchedChunk } from '../../client/index.ts'
import { messageOf, PipelineError } from '../../core/index.ts'
import { EVENT_OUTCOME, type Settlement } from '../delivery.ts'
import { spanEnd, spanStart } from '../event-chunk.ts'
import type { Submission } from '../intake.ts'
import { type KafkaChunk, kafkaChunks, type RowOptions } from './kafka-rows.ts'
import { type OpenSpan, SafePrefix } from './safe-prefix.ts'

/** Fetched answers that may wait; with as many, the fetch of the partition rests. */
const QUEUE_MAX = 2

/** What a lane needs of its source. */
export interface LaneHost {
  readonly rows: RowOptions
  /** Hands a chunk over. */
  submit(lane: KafkaLane, chunk: KafkaChunk): Promise<Submission>
  /** The queue is full, or has room again. */
  setPaused(lane: KafkaLane, isPaused: boolean): void
  /** The offset that may be committed has moved. */
  moved(lane: KafkaLane): void
  /** Events were not taken, or records cannot be read: nothing is open, go on from `committable` when it is time. */
  halted(lane: KafkaLane, error: PipelineError): void
}

/** A partition at work. */
export class KafkaLane {
  readonly topic: string
  readonly partition: number
  /** Events handed over, and their bytes, since the lane was opened. */
  eventCount = 0
  readBytes = 0
  /** Bytes of those events that are safe. */
  safeBytes = 0
  readonly #host: LaneHost
  readonly #queue: FetchedChunk[] = []
  #prefix: SafePrefix<bigint>
  #position: bigint
  #openCount = 0
  #isWorking = false
  #isPaused = false
  #isStopped = false
  #error: PipelineError | undefined
  #waiting: (() => void)[] = []

  constructor(host: LaneHost, start: { readonly topic: string; readonly partition: number; readonly offset: bigint }) {
    this.topic = start.topic
    this.partition = start.partition
    this.#host = host
    this.#prefix = new SafePrefix(start.offset)
    this.#position = start.offset
  }

  /** Offset of the next record to read by whoever goes on: everything before it is safe. */
  get committable(): bigint {
    return this.#prefix.safe
  }

  /** Takes what was fetched. */
  push(fetched: FetchedChunk): void {
    if (this.#isStopped || this.#error !== undefined) {
      fetched.lease?.release()
      return
    }
    this.#queue.push(fetched)
    this.#pace()
    if (!this.#isWorking) void this.#work()
  }

  /** Hands nothing more over. Resolves when nothing is open. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#dropQueue()
    await this.idle()
  }

  /** Resolves when nothing is open. */
  async idle(): Promise<void> {
    while (this.#isWorking || this.#openCount > 0) await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  /** Begins again at `committable`, or at an offset, after it was halted. */
  restart(offset: bigint = this.committable): void {
    this.#prefix = new SafePrefix(offset)
    this.#position = offset
    this.#error = undefined
  }

  /** Whether it waits to be begun again. */
  get isHalted(): boolean {
    return this.#error !== undefined
  }

  /** Whether it takes no more. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    for (let fetched = this.#queue.shift(); fetched !== undefined; fetched = this.#queue.shift()) {
      try {
        await this.#handOver(fetched)
      } catch (cause) {
        this.#fail(unreadable(this, cause))
      }
      fetched.lease?.release()
      this.#pace()
    }
    this.#isWorking = false
    this.#checkIdle()
  }

  async #handOver(fetched: FetchedChunk): Promise<void> {
    for (const chunk of kafkaChunks(fetched, this.#position, this.#host.rows)) {
      if (this.#isStopped || this.#error !== undefined) return
      const prefix = this.#prefix
      const span = prefix.start(chunk.nextOffset)
      this.#position = chunk.nextOffset
      if (chunk.count === 0) {
        prefix.finish(span)
        this.#host.moved(this)
        continue
      }
      this.#openCount += 1
      this.eventCount += chunk.count
      this.readBytes += bytesOf(chunk)
      fetched.lease?.retain()
      const { settled } = await this.#host.submit(this, chunk)
      void settled.then(settlement => this.#settled({ fetched, chunk, span }, settlement))
    }
  }

  #settled(
    open: { readonly fetched: FetchedChunk; readonly chunk: KafkaChunk; readonly span: OpenSpan<bigint> },
    settlement: Settlement
  ): void {
    const { fetched, chunk, span } = open
    // An appender may still hold records that are safe on disk, or that were given up: their memory must not be
    // written over.
    if (settlement.spilledCount === 0 && settlement.error === undefined) fetched.lease?.release()
    const prefix = this.#prefix
    if (settlement.error === undefined) {
      prefix.finish(span)
      this.safeBytes += bytesOf(chunk)
    } else {
      const index = settlement.outcomes.indexOf(EVENT_OUTCOME.failed)
      prefix.fail(span, index < 0 ? chunk.nextOffset : chunk.offsetOf(index))
      this.#fail(settlement.error)
    }
    this.#openCount -= 1
    this.#host.moved(this)
    this.#checkIdle()
  }

  #fail(error: PipelineError): void {
    this.#error ??= error
    this.#dropQueue()
  }

  #checkIdle(): void {
    if (this.#isWorking || this.#openCount > 0) return
    for (const wake of this.#waiting.splice(0)) wake()
    if (this.#error !== undefined && !this.#isStopped) this.#host.halted(this, this.#error)
  }

  #dropQueue(): void {
    for (const fetched of this.#queue.splice(0)) fetched.lease?.release()
  }

  #pace(): void {
    const isPaused = this.#queue.length >= QUEUE_MAX
    if (isPaused === this.#isPaused) return
    this.#isPaused = isPaused
    this.#host.setPaused(this, isPaused)
  }
}

function bytesOf(chunk: KafkaChunk): number {
  return spanEnd(chunk, chunk.count - 1) - spanStart(chunk, 0)
}

function unreadable({ topic, partition }: KafkaLane, cause: unknown): PipelineError {
  if (PipelineError.is(cause) && cause.code.startsWith('ERR_PRODUCER_')) return cause
  const message = `records of ${topic}-${partition} cannot be read: ${messageOf(cause)}`
  return new PipelineError('ERR_PRODUCER_SOURCE_FAILED', message, { cause, retriable: true })
}
