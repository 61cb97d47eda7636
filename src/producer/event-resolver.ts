/**
 * One event's way from bytes to topic and key: parse, validate, route, key.
 *
 * The value of the record is the event's own bytes, never encoded again; the
 * parsed form lives only as long as its fields are read. Of two members with
 * the same name the last one counts, as everywhere in JavaScript.
 */

import { type ChunkText, type EventChunk, spanEnd, spanStart } from './event-chunk.ts'
import { type FieldPath, fieldPath, type ParsedEvent, readField } from './field-reader.ts'
import { KeyResolver } from './key-resolver.ts'
import type { KeyConfig, RouteConfig } from './options.ts'
import { TopicRouter } from './topic-router.ts'

/**
 * What kind of harm an event did: not JSON; too long; no topic takes it; a key
 * field is missing; or Kafka refused it for good.
 */
export type EventErrorClass = 'malformed' | 'oversized' | 'unroutable' | 'unkeyed' | 'undeliverable'

/** Why an event cannot be published. The reason names fields and sizes, never contents. */
export interface EventProblem {
  readonly errorClass: EventErrorClass
  readonly reason: string
}

const notUtf8: EventProblem = { errorClass: 'malformed', reason: 'the bytes are not UTF-8' }
const notObject: EventProblem = { errorClass: 'malformed', reason: 'not a JSON object' }

/** What an event resolver needs of `ProducerConfig`. */
export interface EventResolverOptions {
  readonly route: RouteConfig
  readonly key: KeyConfig
  /** Longest event, in bytes. */
  readonly recordBytesMax: number
}

/** Resolves events. Its fields hold the last event's result until the next call. */
export class EventResolver {
  readonly #recordBytesMax: number
  readonly #router: TopicRouter
  readonly #routePath: FieldPath | undefined
  readonly #keys: KeyResolver
  /** Topic of the last event that had no problem. */
  topic = ''

  constructor(options: EventResolverOptions) {
    this.#recordBytesMax = options.recordBytesMax
    this.#router = new TopicRouter(options.route)
    this.#routePath = this.#router.field === undefined ? undefined : fieldPath(this.#router.field)
    this.#keys = new KeyResolver(options.key)
  }

  /** All topics that events may go to. */
  get topics(): readonly string[] {
    return this.#router.topics
  }

  /** Key of the last event that had no problem. Not to be changed: records share it. */
  get key(): Buffer | null {
    return this.#keys.key
  }

  /** Resolves one event of a chunk into `topic` and `key`, or says what is wrong with it. */
  resolve(chunk: EventChunk, text: ChunkText, index: number): EventProblem | undefined {
    const bytes = chunk.truncated?.get(index) ?? spanEnd(chunk, index) - spanStart(chunk, index)
    if (bytes > this.#recordBytesMax) return oversized(bytes, this.#recordBytesMax)
    const json = text.textOf(index)
    if (json === undefined) return notUtf8
    let event: unknown
    try {
      event = JSON.parse(json)
    } catch (error) {
      return notJson(error)
    }
    if (typeof event !== 'object' || event === null || Array.isArray(event)) return notObject
    // Checked above: an object that is not an array.
    return this.#place(event as ParsedEvent, json)
  }

  #place(event: ParsedEvent, json: string): EventProblem | undefined {
    const value = this.#routePath === undefined ? undefined : readField(event, this.#routePath, json)
    const topic = this.#router.topicFor(value)
    if (topic === undefined) return unroutable(this.#router.field ?? '', value)
    const missing = this.#keys.resolve(event, json)
    if (missing !== undefined) return unkeyed(missing)
    this.topic = topic
    return undefined
  }
}

function oversized(bytes: number, bytesMax: number): EventProblem {
  return { errorClass: 'oversized', reason: `the event has ${bytes} bytes, allowed are ${bytesMax}` }
}

function unroutable(field: string, value: string | undefined): EventProblem {
  const what = value === undefined ? 'is missing, or no string, number or boolean' : 'has a value that no topic takes'
  return { errorClass: 'unroutable', reason: `the field ${field} ${what}` }
}

function unkeyed(field: string): EventProblem {
  return {
    errorClass: 'unkeyed',
    reason: `the key field ${field} is missing, or no string, number or boolean`
  }
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
