/**
 * Which entries go into the next request of a service that takes several at
 * once, answers for each of them, and may take a later one while it refuses an
 * earlier one (SQS, SNS, EventBridge, Kinesis).
 *
 * Entries without a group go as they come, in any number of requests at once.
 * Entries of one group (a FIFO group, a partition key) go one request after the
 * other; `groupEntriesMax: 1` puts each group into a request at most once, so
 * that a refused entry never has a later one of its group beside it. A group
 * whose entry must be tried again is blocked: what is behind it is not sent.
 *
 * Pure: no I/O, no clock. Invariants: an entry is handed out at most once; a
 * group has entries in at most one open request; within a group, order holds.
 */

/** What is sent as one: a message, an event, a record of a stream. */
export interface Entry {
  /** Indexes of its records in the request that the sink was given. */
  readonly indexes: readonly number[]
  /** What it counts for in the service's limit of bytes. */
  readonly bytes: number
  /** Entries of one group stay in order. `undefined`: it has no order. */
  readonly group: string | undefined
}

/** What one request may hold. */
export interface EntryLimits {
  readonly entriesMax: number
  readonly bytesMax: number
  /** Most entries of one group in a request. */
  readonly groupEntriesMax: number
}

interface Group<E> {
  readonly entries: E[]
  /** Index of the next entry to hand out. */
  next: number
  isBlocked: boolean
}

/** The entries of one delivery, on their way into requests. */
export class EntryPlan<E extends Entry> {
  readonly #limits: EntryLimits
  readonly #free: E[] = []
  readonly #groups = new Map<string, Group<E>>()
  /** Groups with entries to hand out and no open request, longest waiting first. */
  #ready: Group<E>[] = []
  #freeHead = 0

  constructor(entries: readonly E[], limits: EntryLimits) {
    this.#limits = limits
    for (const entry of entries) {
      if (entry.group === undefined) {
        this.#free.push(entry)
        continue
      }
      const known = this.#groups.get(entry.group)
      if (known !== undefined) {
        known.entries.push(entry)
        continue
      }
      const group = { entries: [entry], next: 0, isBlocked: false }
      this.#groups.set(entry.group, group)
      this.#ready.push(group)
    }
  }

  /** Entries of the next request; none if there are none now, or none at all. An entry above `bytesMax` goes alone. */
  next(): E[] {
    const request = new RequestInMaking<E>(this.#limits)
    while (this.#freeHead < this.#free.length) {
      const entry = this.#free[this.#freeHead]
      if (entry === undefined || !request.take(entry)) break
      this.#freeHead += 1
    }
    let taken = 0
    for (const group of this.#ready) {
      if (!this.#takeFrom(group, request)) break
      taken += 1
    }
    if (taken > 0) this.#ready = this.#ready.slice(taken)
    return request.entries
  }

  /** Takes what fits of a group. @returns Whether anything did. */
  #takeFrom(group: Group<E>, request: RequestInMaking<E>): boolean {
    let count = 0
    while (count < this.#limits.groupEntriesMax) {
      const entry = group.entries[group.next]
      if (entry === undefined || !request.take(entry)) break
      group.next += 1
      count += 1
    }
    return count > 0
  }

  /** Holds back everything behind in a group. */
  block(name: string): void {
    const group = this.#groups.get(name)
    if (group !== undefined) group.isBlocked = true
  }

  /** Closes a request: its groups may go on, unless they are blocked. */
  close(request: readonly E[]): void {
    for (const name of new Set(request.map(({ group }) => group))) {
      const group = name === undefined ? undefined : this.#groups.get(name)
      if (group !== undefined && !group.isBlocked && group.next < group.entries.length) this.#ready.push(group)
    }
  }

  /** Entries that were never handed out. */
  rest(): E[] {
    const held = [...this.#groups.values()].flatMap(({ entries, next }) => entries.slice(next))
    return [...this.#free.slice(this.#freeHead), ...held]
  }
}

class RequestInMaking<E extends Entry> {
  readonly entries: E[] = []
  readonly #limits: EntryLimits
  #bytes = 0

  constructor(limits: EntryLimits) {
    this.#limits = limits
  }

  /** Adds an entry if it fits. */
  take(entry: E): boolean {
    const { entriesMax, bytesMax } = this.#limits
    const isFull = this.entries.length >= entriesMax || this.#bytes + entry.bytes > bytesMax
    if (isFull && this.entries.length > 0) return false
    this.entries.push(entry)
    this.#bytes += entry.bytes
    return true
  }
}
