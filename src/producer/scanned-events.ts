/**
 * Reads the events of chunks without an object per event: a kernel finds the declared fields in the bytes. What it does
 * not take (malformed, deep, very long) is parsed, which also says what is wrong with it.
 */

import type { ChunkContext } from './chunk-context.ts'
import { type ChunkEvents, type EventReaderOptions, ParsedEvents } from './chunk-events.ts'
import type { EventChunk } from './event-chunk.ts'
import type { EventProblem } from './event-problem.ts'
import type { ParsedEvent } from './field-reader.ts'
import type { EventKernel } from './kernel/event-kernel.ts'

/** Reads by looking for fields in the bytes. */
export class ScannedEvents implements ChunkEvents {
  readonly chunk: EventChunk
  readonly context: ChunkContext
  readonly #options: EventReaderOptions
  readonly #kernel: EventKernel
  /** Reads what the kernel does not take; made when there is such an event. */
  #parser: ParsedEvents | undefined
  #index = 0
  /** Row of the event in the kernel; -1 = it was parsed. */
  #row = -1
  #isParsed = false

  // oxlint-disable-next-line max-params -- one for each part
  constructor(chunk: EventChunk, context: ChunkContext, options: EventReaderOptions, kernel: EventKernel) {
    this.chunk = chunk
    this.context = context
    this.#options = options
    this.#kernel = kernel
  }

  get index(): number {
    return this.#index
  }

  read(index: number): EventProblem | undefined {
    const { chunk } = this
    this.#index = index
    this.#isParsed = false
    this.#row = chunk.truncated === undefined ? this.#kernel.rowOf(chunk, index) : -1
    return this.#row < 0 ? this.#parse() : undefined
  }

  text(field: number): string | undefined {
    // Another chunk may have used the kernel since.
    const row = this.#row < 0 ? -1 : this.#kernel.rowOf(this.chunk, this.#index)
    return row < 0 ? this.#parser?.text(field) : this.#kernel.textOf(row, field)
  }

  textNumber(field: number): number {
    const row = this.#row < 0 ? -1 : this.#kernel.rowOf(this.chunk, this.#index)
    return row < 0 ? 0 : this.#kernel.textNumberOf(row, field)
  }

  get textGeneration(): number {
    return this.#kernel.generation
  }

  parsed(): ParsedEvent {
    if (!this.#isParsed) this.#parse()
    return this.#parser?.parsed() ?? {}
  }

  close(): void {
    this.#kernel.release(this.chunk)
  }

  #parse(): EventProblem | undefined {
    this.#isParsed = true
    this.#parser ??= new ParsedEvents(this.chunk, this.context, this.#options)
    return this.#parser.read(this.#index)
  }
}
