/**
 * One event's way to topic, key and headers: key, route (which may ask for the
 * key), validate, headers. An event that cannot be routed is that, even if it
 * lacks a key, too.
 *
 * What is read of an event is declared in the `FieldSet` when the resolver is
 * made. The value of the record is the event's own bytes, never encoded again.
 */

import type { AppendHeader } from '../client/index.ts'
import type { FieldSet, OpenEvent } from './event-fields.ts'
import type { EventProblem } from './event-problem.ts'
import { KeyResolver } from './key-resolver.ts'
import type { KeyConfig, RouteConfig } from './options.ts'
import type { Partitioner } from './routing/partitioner.ts'
import type { HeavyDetector } from './routing/heavy-detector.ts'
import { TopicRouter } from './topic-router.ts'
import type { EventChecks } from './validation/event-checks.ts'

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
  /** What events must be. Default: nothing more than JSON objects. */
  readonly checks?: EventChecks | undefined
  /** The escape hatch that chooses partitions by hand. Default: the key decides. */
  readonly partitioner?: Partitioner | undefined
}

const contextHeaders: HeaderMaker = { headersFor: event => event.context.headers }

/** Resolves events. Its fields hold the last event's result until the next call. */
export class EventResolver {
  readonly #router: TopicRouter
  readonly #keys: KeyResolver
  readonly #headerMaker: HeaderMaker
  readonly #checks: EventChecks | undefined
  readonly #partitioner: Partitioner | undefined
  /** Topic of the last event that had no problem. */
  topic = ''
  /** Headers of the last event that had no problem. */
  headers: readonly AppendHeader[] | undefined
  /** Time of the last event that had no problem, in milliseconds since 1970; `undefined` = when it is handed over. */
  timestampMs: number | undefined
  /** `undefined`: the key decides. Otherwise what the escape hatch chose for the last event that had no problem. */
  partition: number | undefined
  /** Key of the last event that had no problem. Not to be changed: records share it. */
  key: Buffer | null = null

  constructor(options: EventResolverOptions) {
    const { fields } = options
    this.#router = new TopicRouter(options.route, fields)
    this.#keys = new KeyResolver(options.key, fields)
    this.#checks = options.checks
    options.checks?.bind(fields)
    this.#partitioner = options.partitioner
    this.#headerMaker = options.headers ?? contextHeaders
  }

  /** All topics that events may go to. */
  get topics(): readonly string[] {
    return this.#router.topics
  }

  /** Watches over heavy hitters; absent = none. */
  get detector(): HeavyDetector | undefined {
    return this.#router.detector
  }

  /** Resolves an event into `topic`, `key` and `headers`, or says what is wrong with it. */
  resolve(event: OpenEvent): EventProblem | undefined {
    const { chunk, index } = event
    const isKeyBrought = chunk.rowKeys !== undefined
    const missing = isKeyBrought ? undefined : this.#keys.resolve(event)
    const key = chunk.rowKeys === undefined ? this.#keys.key : chunk.rowKeys(index)
    const routed = this.#router.route(event, missing === undefined ? key : null)
    if (routed === undefined) return { errorClass: 'unroutable', reason: this.#router.problemOf(event) }
    if (missing !== undefined) return unkeyed(missing)
    const problem = this.#checks?.check(event, this.#router.rule, routed.name)
    if (problem !== undefined) return problem
    const keyText = isKeyBrought ? key?.toString() : this.#keys.text
    this.key = key
    this.topic = this.#router.topicFor(routed, event, keyText)
    this.timestampMs = chunk.rowTimes?.(index)
    this.headers = this.#headerMaker.headersFor(event, this.topic)
    const brought = chunk.rowHeaders?.(index)
    if (brought !== undefined) this.headers = this.headers === undefined ? brought : [...brought, ...this.headers]
    return this.#partitioner?.place(this)
  }
}

function unkeyed(field: string): EventProblem {
  return {
    errorClass: 'unkeyed',
    reason: `the key field ${field} is missing, or no string, number or boolean`
  }
}
