/**
 * One event's way to topic, key and headers: route, key, headers.
 *
 * What is read of an event is declared in the `FieldSet` when the resolver is
 * made. The value of the record is the event's own bytes, never encoded again.
 */

import type { AppendHeader } from '../client/index.ts'
import type { FieldSet, OpenEvent } from './event-fields.ts'
import type { EventProblem } from './event-problem.ts'
import { KeyResolver } from './key-resolver.ts'
import type { KeyConfig, RouteConfig } from './options.ts'
import { TopicRouter } from './topic-router.ts'

export type { EventErrorClass, EventProblem } from './event-problem.ts'

/** Makes the headers of records. */
export interface HeaderMaker {
  /** The headers of an event's record; one shared array where nothing depends on the event. */
  headersFor(event: OpenEvent, topic: string): readonly AppendHeader[] | undefined
}

/** What an event resolver needs of `ProducerConfig`. */
export interface EventResolverOptions {
  readonly route: RouteConfig
  readonly key: KeyConfig
  /** Gets the fields that will be read. */
  readonly fields: FieldSet
  /** Default: the headers of the chunk's context. */
  readonly headers?: HeaderMaker
}

const contextHeaders: HeaderMaker = { headersFor: event => event.context.headers }

/** Resolves events. Its fields hold the last event's result until the next call. */
export class EventResolver {
  readonly #router: TopicRouter
  readonly #routeField: number | undefined
  readonly #keys: KeyResolver
  readonly #headerMaker: HeaderMaker
  /** Topic of the last event that had no problem. */
  topic = ''
  /** Headers of the last event that had no problem. */
  headers: readonly AppendHeader[] | undefined
  /** Time of the last event that had no problem, in milliseconds since 1970; `undefined` = when it is handed over. */
  timestampMs: number | undefined
  /** Always `undefined`: the key decides. */
  readonly partition: undefined
  /** Key of the last event that had no problem. Not to be changed: records share it. */
  key: Buffer | null = null

  constructor(options: EventResolverOptions) {
    this.#router = new TopicRouter(options.route)
    this.#routeField = this.#router.field === undefined ? undefined : options.fields.add(this.#router.field)
    this.#keys = new KeyResolver(options.key, options.fields)
    this.#headerMaker = options.headers ?? contextHeaders
  }

  /** All topics that events may go to. */
  get topics(): readonly string[] {
    return this.#router.topics
  }

  /** Resolves an event into `topic`, `key` and `headers`, or says what is wrong with it. */
  resolve(event: OpenEvent): EventProblem | undefined {
    const value = this.#routeField === undefined ? undefined : event.text(this.#routeField)
    const topic = this.#router.topicFor(value)
    if (topic === undefined) return unroutable(this.#router.field ?? '', value)
    const { chunk, index } = event
    if (chunk.rowKeys === undefined) {
      const missing = this.#keys.resolve(event)
      if (missing !== undefined) return unkeyed(missing)
      this.key = this.#keys.key
    } else {
      this.key = chunk.rowKeys(index)
    }
    this.topic = topic
    this.timestampMs = chunk.rowTimes?.(index)
    this.headers = this.#headerMaker.headersFor(event, topic)
    const brought = chunk.rowHeaders?.(index)
    if (brought !== undefined) this.headers = this.headers === undefined ? brought : [...brought, ...this.headers]
    return undefined
  }
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
