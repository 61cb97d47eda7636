/**
 * Messages between the sockets and Kafka: bounded, in order, kept until they are safe.
 *
 * Syslog has no acknowledgement, so a message that was received is here or in
 * Kafka. Messages whose delivery failed come back to the front and are handed over
 * again after a wait; those behind them may have passed them by then.
 */

import { ChunkBuilder, type EventChunk, spanEnd, spanStart } from '../../event-chunk.ts'
import type { EventProblem } from '../../event-problem.ts'

/** A message as an event, or its bytes and what is wrong with them. */
export interface QueuedMessage {
  readonly bytes: Buffer
  /** Number of the message, from 1. */
  readonly number: number
  /** Which limit it counts against. */
  readonly protocol: 'tcp' | 'udp'
  readonly problem?: EventProblem | undefined
  /** Its whole length, if it was too long to be kept. */
  readonly wholeBytes?: number | undefined
}

/** Messages of one hand-over. */
const CHUNK_COUNT = 1024
/** Bytes of one hand-over. */
const CHUNK_BYTES = 1_048_576
/** What a message takes besides its bytes. */
const OVERHEAD_BYTES = 200

/** A queue with a count of bytes per protocol. Pure. */
export class SyslogQueue {
  #messages: QueuedMessage[] = []
  #from = 0
  readonly #bytes = { tcp: 0, udp: 0 }

  /** How many messages wait. */
  get count(): number {
    return this.#messages.length - this.#from
  }

  /** Bytes that wait of one protocol. */
  bytesOf(protocol: 'tcp' | 'udp'): number {
    return this.#bytes[protocol]
  }

  /** Takes a message. */
  push(message: QueuedMessage): void {
    this.#messages.push(message)
    this.#bytes[message.protocol] += message.bytes.length + OVERHEAD_BYTES
  }

  /** Takes back messages that were handed over and have failed: they come first, in the order of their numbers. */
  putBack(messages: readonly QueuedMessage[]): void {
    const all = [...messages, ...this.#messages.slice(this.#from)]
    this.#messages = all.toSorted((a, b) => a.number - b.number)
    this.#from = 0
    for (const { protocol, bytes } of messages) this.#bytes[protocol] += bytes.length + OVERHEAD_BYTES
  }

  /** The next messages, for one hand-over; empty if there are none. */
  take(): QueuedMessage[] {
    const taken: QueuedMessage[] = []
    let bytes = 0
    while (taken.length < CHUNK_COUNT && bytes < CHUNK_BYTES) {
      const message = this.#messages[this.#from]
      if (message === undefined) break
      this.#from += 1
      bytes += message.bytes.length
      this.#bytes[message.protocol] -= message.bytes.length + OVERHEAD_BYTES
      taken.push(message)
    }
    if (this.#from > this.#messages.length / 2) {
      this.#messages = this.#messages.slice(this.#from)
      this.#from = 0
    }
    return taken
  }
}

/** The chunk of some messages. */
export function chunkOf(messages: readonly QueuedMessage[], position: number): EventChunk {
  const builder = new ChunkBuilder()
  let at = 0
  for (const { bytes, number, problem, wholeBytes } of messages) {
    builder.add(at, at + bytes.length, number)
    if (wholeBytes !== undefined) builder.markTruncated(wholeBytes)
    if (problem !== undefined) builder.markProblem(problem)
    at += bytes.length
  }
  return builder.build(Buffer.concat(messages.map(({ bytes }) => bytes)), position)
}

/** Bytes of the messages of a chunk. */
export function bytesOfChunk(chunk: EventChunk): number {
  return chunk.count === 0 ? 0 : spanEnd(chunk, chunk.count - 1) - spanStart(chunk, 0)
}
