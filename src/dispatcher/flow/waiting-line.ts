/**
 * Who waits for leave, by class: first come, first served within one, shares among them.
 *
 * A class is a set of topics with a share of the invocations; without classes
 * there is one line for all. Those who may not go now (their partition is
 * paused, or has no room) are passed over and keep their place. Pure.
 */

import { FairShare } from './fair-share.ts'

/** One class of topics. */
export interface ClassOptions {
  readonly name: string
  readonly topics: readonly string[]
  /** Its part of the invocations; only the ratio to the others counts. */
  readonly share: number
  /** Most invocations of this class at once. Default: no limit of its own. */
  readonly concurrency?: number | undefined
}

/** Somebody in line. */
export interface InLine {
  readonly sinceMs: number
}

/** A class as JSON can hold it. */
export interface ClassDescription {
  readonly name: string
  readonly share: number
  readonly concurrency: number | null
  readonly waiting: number
  /** How long the first in line has waited, in milliseconds. */
  readonly oldestWaitMs: number
  readonly inFlight: number
  /** Leaves given since the start. */
  readonly given: number
  readonly isStarved: boolean
}

interface Line<W> {
  readonly options: ClassOptions
  readonly waiters: W[]
  inFlight: number
  given: number
  isStarved: boolean
}

/** Lines of those who wait. */
export class WaitingLines<W extends InLine> {
  #lines: Line<W>[]
  #shares: FairShare
  readonly #lineOfTopic = new Map<string, number>()
  #count = 0

  /** @param classes - May be empty: then there is one line. A topic in none of them waits in the last. */
  constructor(classes: readonly ClassOptions[]) {
    const all = classes.length === 0 ? [{ name: 'all', topics: [], share: 1 }] : classes
    this.#lines = all.map(options => ({ options, waiters: [], inFlight: 0, given: 0, isStarved: false }))
    for (const [index, { topics }] of all.entries()) for (const topic of topics) this.#lineOfTopic.set(topic, index)
    this.#shares = new FairShare(all.map(({ share }) => share))
  }

  /** How many wait. */
  get count(): number {
    return this.#count
  }

  /** Changes shares and limits of the classes, not the classes themselves. */
  configure(classes: readonly ClassOptions[]): void {
    if (classes.length === 0) return
    this.#lines = this.#lines.map((line, index) => ({ ...line, options: classes[index] ?? line.options }))
    this.#shares.setShares(classes.map(({ share }) => share))
  }

  /** Joins the line of a topic. */
  join(topic: string, waiter: W): void {
    this.#lines[this.#indexOf(topic)]?.waiters.push(waiter)
    this.#count += 1
  }

  /** Leaves the line; nothing happens if it had its turn. */
  leave(topic: string, waiter: W): void {
    const waiters = this.#lines[this.#indexOf(topic)]?.waiters ?? []
    const index = waiters.indexOf(waiter)
    if (index < 0) return
    waiters.splice(index, 1)
    this.#count -= 1
  }

  /** Whether anybody may go now. */
  hasReady(mayGo: (waiter: W) => boolean): boolean {
    return this.#lines.some(line => this.#firstReady(line, mayGo) >= 0)
  }

  /** Takes the next in turn among those who may go now. `end` must be told when its invocation is over. */
  next(mayGo: (waiter: W) => boolean): { readonly waiter: W; readonly end: () => void } | undefined {
    const ready = this.#lines.map(line => this.#firstReady(line, mayGo))
    const chosen = this.#lines.length === 1 ? 0 : this.#shares.next(index => (ready[index] ?? -1) >= 0)
    const line = this.#lines[chosen ?? -1]
    if (chosen === undefined || line === undefined) return undefined
    const [waiter] = line.waiters.splice(ready[chosen] ?? -1, (ready[chosen] ?? -1) < 0 ? 0 : 1)
    if (waiter === undefined) return undefined
    this.#count -= 1
    line.inFlight += 1
    line.given += 1
    return { waiter, end: () => this.#ended(chosen) }
  }

  /**
   * Classes that wait longer than allowed while others get leave, although nothing of their own is in the way: told
   * once, until they get it. To be asked after leave was given.
   */
  newlyStarved(
    nowMs: number,
    starvationMs: number,
    mayGo: (waiter: W) => boolean
  ): { readonly name: string; readonly waitedMs: number }[] {
    const starved: { name: string; waitedMs: number }[] = []
    if (this.#lines.length === 1) return starved
    for (const line of this.#lines) {
      const first = line.waiters[this.#firstReady(line, mayGo)]
      const waitedMs = first === undefined ? 0 : nowMs - first.sinceMs
      const isStarved = waitedMs > starvationMs
      if (isStarved && !line.isStarved) starved.push({ name: line.options.name, waitedMs: Math.round(waitedMs) })
      line.isStarved = isStarved
    }
    return starved
  }

  /** The classes; one called `all` if there are none. */
  describe(nowMs: number): ClassDescription[] {
    return this.#lines.map(({ options, waiters, inFlight, given, isStarved }) => ({
      name: options.name,
      share: options.share,
      concurrency: options.concurrency ?? null,
      waiting: waiters.length,
      oldestWaitMs: waiters[0] === undefined ? 0 : Math.round(nowMs - waiters[0].sinceMs),
      inFlight,
      given,
      isStarved
    }))
  }

  #ended(index: number): void {
    const line = this.#lines[index]
    if (line !== undefined) line.inFlight -= 1
  }

  #indexOf(topic: string): number {
    return this.#lines.length === 1 ? 0 : (this.#lineOfTopic.get(topic) ?? this.#lines.length - 1)
  }

  #firstReady(line: Line<W>, mayGo: (waiter: W) => boolean): number {
    const { concurrency } = line.options
    if (concurrency !== undefined && line.inFlight >= concurrency) return -1
    return line.waiters.findIndex(mayGo)
  }
}
