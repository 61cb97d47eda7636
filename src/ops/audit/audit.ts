/**
 * The audit: was every event delivered once to each of its services, or dead
 * lettered with a reason, and did each service see each key in order?
 *
 * Pure: it is fed produced events, deliveries (per service in order of arrival)
 * and dead letters, and gives a verdict. Order is judged on first deliveries
 * only, because a redelivery after a crash repeats what was already seen.
 * Memory is a few bytes per event and service, in typed arrays.
 */

import { EXPECTATION, type LedgerEntry, SERVICES_MAX } from './ledger.ts'

/** A dead letter as read from its topic. */
export interface DeadLetter {
  readonly producer: number
  readonly event: number
  /** The reason header; an empty one is a violation. */
  readonly reason: string
}

/** How often something happened that must not, and the first places where it did. */
export interface Violation {
  readonly count: number
  /** At most ten, as `producer-event`. */
  readonly examples: readonly string[]
}

/** The verdict. */
export interface AuditReport {
  /** Whether the run holds: nothing lost, nothing out of order, no dead letter that should not be one. */
  readonly holds: boolean
  /**
   * Events that were made. Where acknowledgements are known, only those that Kafka has acknowledged or that somebody
   * has seen: whether Kafka has the others, nobody can know.
   */
  readonly produced: number
  /** Deliveries due: an event that fans out to two services counts twice. */
  readonly deliveriesDue: number
  readonly delivered: number
  /** Deliveries of an event that its service already had, and dead letters that repeat one. */
  readonly duplicates: number
  readonly deadLettered: number
  readonly deadLettersByReason: Readonly<Record<string, number>>
  /** Due, but neither delivered nor dead lettered. */
  readonly lost: Violation
  /** A key's event delivered for the first time after a later event of that key. */
  readonly outOfOrder: Violation
  /** Delivered to a service it was not meant for, or never produced. */
  readonly unexpected: Violation
  /** Dead lettered without a reason, or although it was sound. */
  readonly wrongDeadLetters: Violation
}

class Tally {
  count = 0
  readonly examples: string[] = []

  get violation(): Violation {
    return { count: this.count, examples: this.examples }
  }

  add(producer: number, event: number): void {
    this.count += 1
    if (this.examples.length < 10) this.examples.push(`${producer}-${event}`)
  }
}

/** Growable columns of one producer's events: what is due, and what has arrived. */
class Events {
  /** Expectation of each event; 0 = never produced. */
  due = new Uint16Array(1 << 16)
  /** Services that have had each event. */
  arrived = new Uint16Array(1 << 16)
  /** Dead letters of each event, saturating. */
  dead = new Uint8Array(1 << 16)
  /** 1 = Kafka has acknowledged it. */
  acknowledged = new Uint8Array(1 << 16)
  hasAcknowledgements = false
  length = 0

  reach(event: number): void {
    this.length = Math.max(this.length, event + 1)
    if (event < this.due.length) return
    const capacity = 2 ** Math.ceil(Math.log2(event + 1))
    this.due = grown(new Uint16Array(capacity), this.due)
    this.arrived = grown(new Uint16Array(capacity), this.arrived)
    this.dead = grown(new Uint8Array(capacity), this.dead)
    this.acknowledged = grown(new Uint8Array(capacity), this.acknowledged)
  }
}

function grown<T extends Uint8Array | Uint16Array>(larger: T, from: T): T {
  larger.set(from)
  return larger
}

/** How an audit judges. */
export interface AuditOptions {
  /**
   * Whether an event may come behind a later one of its key: where the key changed its partition, because a topic grew.
   * Default: never.
   */
  readonly mayBeLate?: (entry: LedgerEntry) => boolean
}

/** Gathers what happened and judges it. Feed all produced events before deliveries and dead letters. */
export class Audit {
  readonly #options: AuditOptions
  readonly #producers = new Map<number, Events>()
  /** Per service, producer and key, by `streamOf`: the highest sequence seen. */
  readonly #lastSequence = new Map<number, number>()
  #produced = 0
  #delivered = 0
  #duplicates = 0
  #deadLettered = 0
  readonly #reasons = new Map<string, number>()
  readonly #outOfOrder = new Tally()
  readonly #unexpected = new Tally()
  readonly #wrongDeadLetters = new Tally()
  #allowedLate = 0

  constructor(options: AuditOptions = {}) {
    this.#options = options
  }

  /** First deliveries behind a later event of their key that were allowed. */
  get allowedLateCount(): number {
    return this.#allowedLate
  }

  /** An event was made. */
  produced(entry: LedgerEntry): void {
    const events = this.#eventsOf(entry.producer)
    events.reach(entry.event)
    events.due[entry.event] = entry.detail
    this.#produced += 1
  }

  /**
   * Kafka has said that it has an event. One such entry, and only acknowledged or seen events of this producer are due:
   * others, who note no acknowledgements, are judged by all they have made.
   */
  acknowledged(entry: LedgerEntry): void {
    const events = this.#eventsOf(entry.producer)
    events.reach(entry.event)
    events.acknowledged[entry.event] = 1
    events.hasAcknowledgements = true
    // Its `produced` entry is missing, or comes later: the event is due all the same.
    if (events.due[entry.event] === 0) events.due[entry.event] = entry.detail
  }

  /** Events that were made, acknowledged or not. */
  get handedOver(): number {
    return this.#produced
  }

  /**
   * A service got an event; `entry.detail` is the index of the service.
   *
   * @returns Whether it was the first time, a repetition, or should not have been.
   */
  delivered(entry: LedgerEntry): 'first' | 'repeated' | 'unexpected' {
    const events = this.#eventsOf(entry.producer)
    // A shift counts modulo 32: service 32 would be service 0.
    const bit = entry.detail < SERVICES_MAX ? 1 << entry.detail : 0
    const due = events.due[entry.event] ?? 0
    if (isRefusable(due) || (due & bit) === 0) {
      this.#unexpected.add(entry.producer, entry.event)
      return 'unexpected'
    }
    const arrived = events.arrived[entry.event] ?? 0
    if ((arrived & bit) !== 0) {
      this.#duplicates += 1
      return 'repeated'
    }
    events.arrived[entry.event] = arrived | bit
    this.#delivered += 1
    this.#checkOrder(entry)
    return 'first'
  }

  /** An event was found in a dead letter topic. */
  deadLettered(letter: DeadLetter): void {
    const events = this.#eventsOf(letter.producer)
    const due = events.due[letter.event] ?? 0
    const before = events.dead[letter.event] ?? 0
    if (letter.event < events.dead.length) events.dead[letter.event] = Math.min(255, before + 1)
    if (before > 0) {
      this.#duplicates += 1
      return
    }
    this.#deadLettered += 1
    this.#reasons.set(letter.reason, (this.#reasons.get(letter.reason) ?? 0) + 1)
    if (letter.reason === '' || !isRefusable(due)) this.#wrongDeadLetters.add(letter.producer, letter.event)
  }

  /** Judges what was gathered. */
  report(): AuditReport {
    const lost = new Tally()
    let deliveriesDue = 0
    let produced = 0
    for (const [producer, events] of this.#producers) {
      for (let event = 0; event < events.length; event += 1) {
        const due = events.due[event] ?? 0
        if (due === 0 || !this.#isDue(events, event)) continue
        produced += 1
        const services = isRefusable(due) ? 0 : due
        deliveriesDue += bitCount(services)
        const isMissing = (services & ~(events.arrived[event] ?? 0)) !== 0 || isRefusable(due)
        if (isMissing && events.dead[event] === 0) lost.add(producer, event)
      }
    }
    const violations = [lost, this.#outOfOrder, this.#unexpected, this.#wrongDeadLetters]
    return {
      holds: violations.every(violation => violation.count === 0),
      produced,
      deliveriesDue,
      delivered: this.#delivered,
      duplicates: this.#duplicates,
      deadLettered: this.#deadLettered,
      deadLettersByReason: Object.fromEntries(this.#reasons),
      lost: lost.violation,
      outOfOrder: this.#outOfOrder.violation,
      unexpected: this.#unexpected.violation,
      wrongDeadLetters: this.#wrongDeadLetters.violation
    }
  }

  #isDue(events: Events, event: number): boolean {
    if (!events.hasAcknowledgements || events.acknowledged[event] === 1) return true
    return (events.arrived[event] ?? 0) !== 0 || (events.dead[event] ?? 0) !== 0
  }

  #eventsOf(producer: number): Events {
    let events = this.#producers.get(producer)
    if (events === undefined) this.#producers.set(producer, (events = new Events()))
    return events
  }

  #checkOrder(entry: LedgerEntry): void {
    const key = streamOf(entry)
    const last = this.#lastSequence.get(key) ?? -1
    if (entry.keySequence > last) this.#lastSequence.set(key, entry.keySequence)
    else if (this.#options.mayBeLate?.(entry) === true) this.#allowedLate += 1
    else this.#outOfOrder.add(entry.producer, entry.event)
  }
}

/** Service, producer and key of a delivery in one number: 4, 8 and 32 bits. */
function streamOf({ detail, producer, key }: LedgerEntry): number {
  return (detail * 256 + producer) * 2 ** 32 + key
}

/** Whether an event is one that must end in a dead letter topic. */
function isRefusable(due: number): boolean {
  return (due & (EXPECTATION.malformed | EXPECTATION.poison)) !== 0
}

function bitCount(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1
  return count
}
