/**
 * The events of a chunk, one after the other: each is checked to be one JSON
 * object within the limit, and gives its fields.
 *
 * The parsed form lives only as long as its fields are read. Of two members with
 * the same name the last one counts, as everywhere in JavaScript.
 */

import type { ChunkContext } from './chunk-context.ts'
import { ChunkText, type EventChunk, spanEnd, spanStart } from './event-chunk.ts'
import type { FieldSet, OpenEvent } from './event-fields.ts'
import type { EventProblem } from './event-problem.ts'
import { type ParsedEvent, readField } from './field-reader.ts'

/** The events of one chunk; `read` moves to an event. */
export interface ChunkEvents extends OpenEvent {
  /**
   * Reads an event, whose fields can be asked for until the next call.
   *
   * @returns What is wrong with it: `oversized` or `malformed`. It has no fields then.
   */
  read(index: number): EventProblem | undefined
  /** No event is read any more. */
  close(): void
}

/** Opens chunks for reading. */
export interface EventReader {
  open(chunk: EventChunk, context: ChunkContext): ChunkEvents
}

/** What an event reader is made of. */
export interface EventReaderOptions {
  /** What will be asked for. Complete before the first chunk is opened. */
  readonly fields: FieldSet
  /** Longest event, in bytes. */
  readonly recordBytesMax: number
}

const notUtf8: EventProblem = { errorClass: 'malformed', reason: 'the bytes are not UTF-8' }
const notObject: EventProblem = { errorClass: 'malformed', reason: 'not a JSON object' }
const nothing: ParsedEvent = {}

/** Reads by parsing every event. */
export class ParsedEvents implements ChunkEvents {
  readonly chunk: EventChunk
  readonly context: ChunkContext
  readonly #options: EventReaderOptions
  readonly #text: ChunkText
  #index = 0
  #event: ParsedEvent = nothing
  #json = ''

  constructor(chunk: EventChunk, context: ChunkContext, options: EventReaderOptions) {
    this.chunk = chunk
    this.context = context
    this.#options = options
    this.#text = new ChunkText(chunk)
  }

  get index(): number {
    return this.#index
  }

  read(index: number): EventProblem | undefined {
    const { chunk } = this
    const { recordBytesMax } = this.#options
    this.#index = index
    this.#event = nothing
    const bytes = chunk.truncated?.get(index) ?? spanEnd(chunk, index) - spanStart(chunk, index)
    if (bytes > recordBytesMax) return oversized(bytes, recordBytesMax)
    const json = this.#text.textOf(index)
    if (json === undefined) return notUtf8
    let event: unknown
    try {
      event = JSON.parse(json)
    } catch (error) {
      return notJson(error)
    }
    if (typeof event !== 'object' || event === null || Array.isArray(event)) return notObject
    // Checked above: an object that is not an array.
    this.#event = event as ParsedEvent
    this.#json = json
    return undefined
  }

  text(field: number): string | undefined {
    const path = this.#options.fields.paths[field]
    return path === undefined ? undefined : readField(this.#event, path, this.#json)
  }

  parsed(): ParsedEvent {
    return this.#event
  }

  close(): void {
    // Nothing is held.
  }
}

function oversized(bytes: number, bytesMax: number): EventProblem {
  return { errorClass: 'oversized', reason: `the event has ${bytes} bytes, allowed are ${bytesMax}` }
}

/** V8 quotes the event in its message, and events stay out of messages: only the position is kept. */
function notJson(error: unknown): EventProblem {
  const message = error instanceof Error ? error.message : ''
  const position = /at position (\d+)/.exec(message)?.[1]
  if (message.startsWith('Unexpected end of JSON input')) {
    return { errorClass: 'malformed', reason: 'not JSON: the event ends too early' }
  }
  const where = position === undefined ? '' : `, at character ${position}`
  return { errorClass: 'malformed', reason: `not JSON${where}` }
}
