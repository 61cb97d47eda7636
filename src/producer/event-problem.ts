/** What can be wrong with an event. */

/**
 * What kind of harm an event did: not JSON; too long; no topic takes it; a key
 * field is missing; it breaks rules of its topic or its schema; the custom
 * partitioner did not place it; or Kafka refused it for good.
 */
export type EventErrorClass =
  'malformed' | 'oversized' | 'unroutable' | 'unkeyed' | 'invalid' | 'unplaced' | 'undeliverable'

/** One rule that an event breaks. */
export interface BrokenRule {
  /** Where in the event, as a JSON pointer; names that no schema knows are `*`. Empty = the event itself. */
  readonly path: string
  /** Keyword of JSON Schema: `required`, `type`, `maximum`. */
  readonly keyword: string
}

/** Why an event cannot be published. The reason names fields and sizes, never contents. */
export interface EventProblem {
  readonly errorClass: EventErrorClass
  readonly reason: string
  /** With `invalid`: the rules that are broken, as many as are told. */
  readonly broken?: readonly BrokenRule[]
  /** Where its dead letter goes. Default: the dead letter topic. */
  readonly errorTopic?: string | undefined
}
