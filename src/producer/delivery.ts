/**
 * What becomes of one chunk: one listener, a count of open verdicts, one promise.
 *
 * Every event of the chunk ends in exactly one outcome: delivered to its topic,
 * dead-lettered, refused to its sender, spilled to disk, shed, or failed. The chunk is settled once
 * nothing more is handed over (`seal`) and no verdict is open. Only what goes
 * wrong costs work per event; a chunk without trouble costs one call per batch.
 */

import { PipelineError } from '../core/index.ts'
import type { AppendHeader, AppendRecord, DeliveredBatch } from '../client/index.ts'
import type { EventChunk } from './event-chunk.ts'
import type { EventProblem } from './event-problem.ts'
import type { OutletListener } from './outlet.ts'
import { isRecordFault } from './record-faults.ts'

/** Outcomes of an event, as numbers so that a chunk's fit in a byte each. 0 = still open. */
export const EVENT_OUTCOME = { delivered: 1, deadLettered: 2, refused: 3, failed: 4, spilled: 5, shed: 6 } as const

/** An event that was refused to its sender. */
export interface Refusal {
  /** Line, or number in an array, from 1. */
  readonly line: number
  readonly problem: EventProblem
}

/** The end of a chunk. */
export interface Settlement {
  /** Events acknowledged in their topic by all in-sync replicas. */
  readonly deliveredCount: number
  /** Events acknowledged in the dead letter topic. */
  readonly deadLetteredCount: number
  /** Events refused to the sender; only when the source asked for that instead of dead letters. */
  readonly refusedCount: number
  /** Events that are safe on this machine's disk and go to Kafka from there. */
  readonly spilledCount: number
  /** Events dropped on purpose, because they came faster than the rate allows. */
  readonly shedCount: number
  /** Events that are none of these; each must be handed over again. They may be in Kafka nevertheless. */
  readonly failedCount: number
  /** Outcome of each event, see `EVENT_OUTCOME`. */
  readonly outcomes: Uint8Array
  /** The first refusals, as many as were asked for. */
  readonly refusals: readonly Refusal[]
  /** The first failure; `undefined` if `failedCount` is 0. */
  readonly error: PipelineError | undefined
}

/** An event on its way to the dead letter topic. */
export interface DeadLetter {
  readonly delivery: Delivery
  readonly index: number
  readonly problem: EventProblem
  /** Key and topic of a record that Kafka refused. */
  readonly key: Buffer | null
  readonly topic: string | undefined
  /** Headers that the record has or would have. Default: none. */
  readonly headers?: readonly AppendHeader[] | undefined
}

/** What a delivery needs of its owner. */
export interface DeliveryOwner {
  /** Takes an event that Kafka refused for good; answers through `deadLettered` or `fail`. */
  sendDeadLetter(letter: DeadLetter): void
  /** Records of the delivery were acknowledged, about `latencyMs` after they were handed over. */
  acknowledged(recordCount: number, latencyMs: number): void
  /** Monotonic time in milliseconds. */
  nowMs(): number
}

/** Follows one chunk from hand-over to settlement. */
export class Delivery implements OutletListener {
  readonly chunk: EventChunk
  /** Name of the source, for dead letters. */
  readonly source: string
  /** Resolves when every event has its outcome. Never rejects. */
  readonly settled: Promise<Settlement>
  /** How many events, from the first, were handed over or refused. The intake moves it. */
  handedOverCount = 0
  readonly #owner: DeliveryOwner
  readonly #refusalsMax: number
  /** For each slice that was handed over: how many events were before it, and when it was. */
  readonly #handedOverFrom: number[] = []
  readonly #handedOverAtMs: number[] = []
  #oldestSlice = 0
  readonly #outcomes: Uint8Array
  readonly #refusals: Refusal[] = []
  #resolve: (settlement: Settlement) => void = () => undefined
  #openCount = 0
  #openedCount = 0
  #deliveredCount = 0
  #deadLetteredCount = 0
  #refusedCount = 0
  #spilledCount = 0
  #shedCount = 0
  #failedCount = 0
  #error: PipelineError | undefined
  #isSealed = false

  constructor(options: { chunk: EventChunk; source: string; owner: DeliveryOwner; refusalsMax: number }) {
    this.chunk = options.chunk
    this.source = options.source
    this.#owner = options.owner
    this.#refusalsMax = options.refusalsMax
    this.#outcomes = new Uint8Array(options.chunk.count)
    this.settled = new Promise(resolve => {
      this.#resolve = resolve
    })
  }

  /** The next events are handed over now: the latency of their acknowledgement counts from here. */
  handingOver(): void {
    this.#handedOverFrom.push(this.#openedCount)
    this.#handedOverAtMs.push(this.#owner.nowMs())
  }

  /** A record or dead letter of this chunk was handed over: a verdict is open. */
  opened(): void {
    this.#openCount += 1
    this.#openedCount += 1
  }

  /** An event was refused to its sender. */
  refuse(index: number, problem: EventProblem): void {
    this.#outcomes[index] = EVENT_OUTCOME.refused
    this.#refusedCount += 1
    if (this.#refusals.length < this.#refusalsMax) {
      this.#refusals.push({ line: this.chunk.lines[index] ?? 0, problem })
    }
  }

  /** Events dropped on purpose so far. */
  get shedCount(): number {
    return this.#shedCount
  }

  /** An event is dropped on purpose; nothing was handed over for it. */
  shed(index: number): void {
    this.#outcomes[index] = EVENT_OUTCOME.shed
    this.#shedCount += 1
  }

  spilled(recordCount: number, rows: readonly number[] = []): void {
    for (const row of rows) this.#outcomes[row] = EVENT_OUTCOME.spilled
    this.#spilledCount += recordCount
    this.#close(recordCount)
  }

  delivered(batch: DeliveredBatch): void {
    const latencyMs = this.#owner.nowMs() - this.#handedOverMs(this.#deliveredCount)
    this.#deliveredCount += batch.recordCount
    this.#owner.acknowledged(batch.recordCount, latencyMs)
    this.#close(batch.recordCount)
  }

  failed(error: PipelineError, records: AppendRecord[]): void {
    if (!isRecordFault(error)) {
      const failure = deliveryFailed(error)
      for (const record of records) this.#fail(record.row ?? 0, failure)
      this.#close(records.length)
      return
    }
    const problem: EventProblem = { errorClass: 'undeliverable', reason: error.message }
    for (const record of records) {
      const index = record.row ?? 0
      this.#outcomes[index] = EVENT_OUTCOME.deadLettered
      const { key, topic, headers } = record
      this.#owner.sendDeadLetter({ delivery: this, index, problem, key, topic, headers })
    }
  }

  /** A dead letter of this chunk was acknowledged. */
  deadLettered(index: number): void {
    this.#outcomes[index] = EVENT_OUTCOME.deadLettered
    this.#deadLetteredCount += 1
    this.#close(1)
  }

  /** A dead letter of this chunk is safe on disk. */
  deadLetterSpilled(index: number): void {
    this.spilled(1, [index])
  }

  /** A dead letter of this chunk could not be written. */
  deadLetterFailed(index: number, error: PipelineError): void {
    this.#fail(index, error)
    this.#close(1)
  }

  /** Nothing more is handed over; events that were not are failed with the error. */
  seal(error?: PipelineError): void {
    for (let index = this.handedOverCount; index < this.chunk.count && error !== undefined; index += 1) {
      this.#fail(index, error)
    }
    this.#isSealed = true
    this.#close(0)
  }

  #fail(index: number, error: PipelineError): void {
    this.#outcomes[index] = EVENT_OUTCOME.failed
    this.#failedCount += 1
    this.#error ??= error
  }

  #close(count: number): void {
    this.#openCount -= count
    if (!this.#isSealed || this.#openCount > 0) return
    const { delivered } = EVENT_OUTCOME
    for (let index = 0; index < this.#outcomes.length; index += 1) this.#outcomes[index] ||= delivered
    this.#resolve({
      deliveredCount: this.#deliveredCount,
      deadLetteredCount: this.#deadLetteredCount,
      refusedCount: this.#refusedCount,
      spilledCount: this.#spilledCount,
      shedCount: this.#shedCount,
      failedCount: this.#failedCount,
      outcomes: this.#outcomes,
      refusals: this.#refusals,
      error: this.#error
    })
  }

  /** When about the event with that number was handed over: exact if Kafka answers in order. */
  #handedOverMs(number: number): number {
    while ((this.#handedOverFrom[this.#oldestSlice + 1] ?? Infinity) <= number) this.#oldestSlice += 1
    return this.#handedOverAtMs[this.#oldestSlice] ?? this.#owner.nowMs()
  }
}

function deliveryFailed(cause: PipelineError): PipelineError {
  if (cause.code === 'ERR_PRODUCER_FENCED' || cause.code === 'ERR_PRODUCER_TRANSACTION') return cause
  return new PipelineError('ERR_PRODUCER_DELIVERY_FAILED', `Kafka did not take the event: ${cause.message}`, {
    cause,
    ...(cause.kafkaCode === undefined ? {} : { kafkaCode: cause.kafkaCode })
  })
}
