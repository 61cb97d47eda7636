/**
 * The way of an event to the dead letter topic.
 *
 * The value is the event's bytes as they came, so that it can be corrected and
 * sent again; headers say what is wrong with it and where it came from. An event
 * counts as dealt with only after Kafka has acknowledged its dead letter, or the
 * letter is safe on this machine's disk. A
 * dead letter that is itself too large for its topic is written once more with
 * the first 16 KiB of its value; any other failure goes back to the source.
 */

import type { AppendHeader, AppendRecord } from '../client/index.ts'
import { PipelineError, turn } from '../core/index.ts'
import type { DeadLetter } from './delivery.ts'
import { eventName, spanEnd, spanStart } from './event-chunk.ts'
import type { Outlet, OutletListener } from './outlet.ts'

/** Names of the headers of a dead letter. */
export const DEAD_LETTER_HEADER = {
  /** `malformed`, `oversized`, `unroutable`, `unkeyed`, `invalid`, `unplaced` or `undeliverable`. */
  errorClass: 'comporta-error-class',
  /** What is wrong, in words. */
  reason: 'comporta-error-reason',
  /** With `invalid`: the rules that are broken, as a JSON list of `{"path","keyword"}`. */
  broken: 'comporta-error-rules',
  /** Name of the source: `stdin`, `file:events.ndjson`, … */
  source: 'comporta-source',
  /** Line, or number in an array, from 1, in decimal digits; offset, sequence number or message id. */
  line: 'comporta-line',
  /** Topic that refused the event; only with `undeliverable`. */
  topic: 'comporta-origin-topic',
  /** Whole length of an event of which only the beginning is in the value. */
  wholeBytes: 'comporta-whole-bytes'
} as const

const SHORTENED_BYTES = 16_384
const MESSAGE_TOO_LARGE = 10

/** Writes dead letters. */
export class DeadLetterWriter {
  readonly #outlet: Pick<Outlet, 'append' | 'room'>
  readonly #topic: string
  readonly #valueBytesMax: number
  /** Letters of records that Kafka refused: bounded by what the outlet can hold. */
  #waiting: Letter[] = []
  #isPumping = false

  /** @param options - `valueBytesMax`: most bytes of an event that a dead letter keeps. */
  constructor(options: { outlet: Pick<Outlet, 'append' | 'room'>; topic: string; valueBytesMax: number }) {
    this.#outlet = options.outlet
    this.#topic = options.topic
    this.#valueBytesMax = options.valueBytesMax
  }

  /**
   * Hands a dead letter to the outlet.
   *
   * @returns `false` if the outlet has no room now; nothing has happened then.
   * @throws PipelineError as `Outlet.append` does.
   */
  tryWrite(letter: DeadLetter): boolean {
    const entry = new Letter(letter, this, this.#valueBytesMax)
    return this.#outlet.append(this.#record(entry), entry)
  }

  /** Writes a dead letter as soon as there is room; failures reach the letter's delivery. */
  write(letter: DeadLetter): void {
    this.enqueue(new Letter(letter, this, this.#valueBytesMax))
  }

  /** Queues a letter, a shortened one included. */
  enqueue(entry: Letter): void {
    this.#waiting.push(entry)
    if (!this.#isPumping) void this.#pump()
  }

  /** Resolves when every letter of refused records was handed to the outlet, or has failed. */
  async handedOver(): Promise<void> {
    while (this.#isPumping || this.#waiting.length > 0) await turn()
  }

  async #pump(): Promise<void> {
    this.#isPumping = true
    await Promise.resolve() // never append from within a call of the outlet
    while (this.#waiting.length > 0) {
      const entries = this.#waiting
      this.#waiting = []
      for (const entry of entries) await this.#send(entry)
    }
    this.#isPumping = false
  }

  async #send(entry: Letter): Promise<void> {
    try {
      while (!this.#outlet.append(this.#record(entry), entry)) await this.#outlet.room()
    } catch (error) {
      entry.giveUp(error)
    }
  }

  #record(entry: Letter): AppendRecord {
    const topic = entry.letter.problem.errorTopic ?? this.#topic
    return { topic, key: entry.letter.key, value: entry.value(), headers: entry.headers() }
  }
}

/** One dead letter under way. */
class Letter implements OutletListener {
  readonly letter: DeadLetter
  readonly #writer: DeadLetterWriter
  readonly #valueBytesMax: number

  constructor(letter: DeadLetter, writer: DeadLetterWriter, valueBytesMax: number) {
    this.letter = letter
    this.#writer = writer
    this.#valueBytesMax = valueBytesMax
  }

  delivered(): void {
    this.letter.delivery.deadLettered(this.letter.index)
  }

  spilled(): void {
    this.letter.delivery.deadLetterSpilled(this.letter.index)
  }

  failed(error: PipelineError): void {
    const isTooLarge = error.code === 'ERR_CLIENT_RECORD_TOO_LARGE' || error.kafkaCode === MESSAGE_TOO_LARGE
    const canShorten = isTooLarge && this.value().length > SHORTENED_BYTES
    if (canShorten) this.#writer.enqueue(new Letter(this.letter, this.#writer, SHORTENED_BYTES))
    else this.giveUp(error)
  }

  giveUp(cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const error = new PipelineError('ERR_PRODUCER_DEAD_LETTER_FAILED', `the dead letter was not written: ${reason}`, {
      cause,
      ...(PipelineError.is(cause) && cause.kafkaCode !== undefined ? { kafkaCode: cause.kafkaCode } : {})
    })
    this.letter.delivery.deadLetterFailed(this.letter.index, error)
  }

  value(): Buffer {
    const { chunk } = this.letter.delivery
    const start = spanStart(chunk, this.letter.index)
    const end = spanEnd(chunk, this.letter.index)
    return chunk.bytes.subarray(start, Math.min(end, start + this.#valueBytesMax))
  }

  headers(): AppendHeader[] {
    const { delivery, index, problem, topic } = this.letter
    const { chunk } = delivery
    const headers = [
      header(DEAD_LETTER_HEADER.errorClass, problem.errorClass),
      header(DEAD_LETTER_HEADER.reason, problem.reason),
      header(DEAD_LETTER_HEADER.source, delivery.source),
      header(DEAD_LETTER_HEADER.line, eventName(chunk, index))
    ]
    if (problem.broken !== undefined) {
      headers.push(header(DEAD_LETTER_HEADER.broken, JSON.stringify(problem.broken)))
    }
    if (topic !== undefined) headers.push(header(DEAD_LETTER_HEADER.topic, topic))
    const wholeBytes = chunk.truncated?.get(index) ?? spanEnd(chunk, index) - spanStart(chunk, index)
    if (wholeBytes > this.value().length) headers.push(header(DEAD_LETTER_HEADER.wholeBytes, String(wholeBytes)))
    return this.letter.headers === undefined ? headers : [...headers, ...this.letter.headers]
  }
}

function header(key: string, value: string): AppendHeader {
  return { key, value: Buffer.from(value) }
}
