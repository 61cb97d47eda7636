/** What can be wrong with an event. */

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
