/**
 * Sends entries in requests, several at a time, and says what became of each
 * record.
 *
 * - A request that the service cannot take now ends the delivery: nothing new
 *   starts, what is under way is waited for, the rest is reported as not sent.
 * - A request whose content is refused is halved until the bad entry is alone;
 *   the service's answers for single entries are used as they are.
 * - An entry that must be tried again holds back what is behind it in its group.
 *
 * Never rejects.
 */

import type { SinkFailure, SinkOutcome } from '../sinks/record-sink.ts'
import { awsErrorKind, awsOutcome, isAwsSetupKind } from './aws-errors.ts'
import { type Entry, type EntryLimits, EntryPlan } from './entry-plan.ts'

/** How entries get to the service. */
export interface EntryDeliveryOptions<E extends Entry> {
  readonly entries: readonly E[]
  readonly limits: EntryLimits
  /** Most requests at once. */
  readonly concurrency: number
  /**
   * Sends one request.
   *
   * @returns What is wrong with entries, by position; the others are delivered.
   * @throws What the SDK throws.
   */
  readonly send: (entries: readonly E[], signal: AbortSignal) => Promise<ReadonlyMap<number, SinkFailure>>
  /** Records that are refused before anything is sent, by index. */
  readonly refused: ReadonlyMap<number, SinkFailure>
  readonly signal: AbortSignal
  /** Epoch milliseconds. */
  nowMs(): number
  /** Told of an error that only a change of set-up helps against. */
  onSetupError(reason: string): void
}

type Unavailable = Extract<SinkOutcome, { kind: 'unavailable' }>

/** Delivers the entries. Never rejects. */
export function deliverEntries<E extends Entry>(options: EntryDeliveryOptions<E>): Promise<SinkOutcome> {
  return new EntryDelivery(options).run()
}

class EntryDelivery<E extends Entry> {
  readonly #options: EntryDeliveryOptions<E>
  readonly #plan: EntryPlan<E>
  readonly #failures: Map<number, SinkFailure>
  readonly #blocked = new Set<string>()
  /** Why nothing more is sent. */
  #halt: Unavailable | undefined
  #deliveredCount = 0

  constructor(options: EntryDeliveryOptions<E>) {
    this.#options = options
    this.#plan = new EntryPlan(options.entries, options.limits)
    this.#failures = new Map(options.refused)
  }

  async run(): Promise<SinkOutcome> {
    const open = new Set<Promise<void>>()
    for (;;) {
      while (open.size < this.#options.concurrency && this.#mayGoOn()) {
        const entries = this.#plan.next()
        if (entries.length === 0) break
        const request = this.#request(entries).finally(() => {
          this.#plan.close(entries)
          open.delete(request)
        })
        open.add(request)
      }
      if (open.size === 0) break
      await Promise.race(open)
    }
    this.#settleRest()
    return this.#outcome()
  }

  #mayGoOn(): boolean {
    return this.#halt === undefined && !this.#options.signal.aborted
  }

  async #request(entries: readonly E[]): Promise<void> {
    let answers: ReadonlyMap<number, SinkFailure>
    try {
      answers = await this.#options.send(entries, this.#options.signal)
    } catch (error) {
      const outcome = awsOutcome(error, this.#options.nowMs())
      if (isAwsSetupKind(awsErrorKind(error))) this.#options.onSetupError(outcome.reason)
      if (outcome.kind === 'rejected') return this.#halve(entries, outcome.reason)
      this.#halt ??= outcome
      const { kind: _, ...rest } = outcome
      for (const entry of entries) this.#fail(entry, { action: 'retry', isUnavailable: true, ...rest })
      return
    }
    for (const [position, entry] of entries.entries()) {
      const failure = answers.get(position)
      if (failure === undefined) this.#deliveredCount += 1
      else this.#fail(entry, failure)
    }
  }

  async #halve(entries: readonly E[], reason: string): Promise<void> {
    const [only] = entries
    if (only !== undefined && entries.length === 1) {
      this.#fail(only, { action: 'deadLetter', reason })
      return
    }
    const middle = entries.length >>> 1
    for (const half of [entries.slice(0, middle), entries.slice(middle)]) {
      const free = half.filter(({ group }) => group === undefined || !this.#blocked.has(group))
      for (const entry of half) if (!free.includes(entry)) this.#fail(entry, BEHIND)
      if (free.length === 0) continue
      if (this.#mayGoOn()) await this.#request(free)
      else for (const entry of free) this.#fail(entry, this.#notSent())
    }
  }

  #fail(entry: E, failure: SinkFailure): void {
    for (const index of entry.indexes) this.#failures.set(index, failure)
    if (failure.action !== 'retry' || entry.group === undefined) return
    this.#blocked.add(entry.group)
    this.#plan.block(entry.group)
  }

  #settleRest(): void {
    const notSent = this.#notSent()
    for (const entry of this.#plan.rest()) {
      const isBehind = entry.group !== undefined && this.#blocked.has(entry.group)
      for (const index of entry.indexes) this.#failures.set(index, isBehind ? BEHIND : notSent)
    }
  }

  #notSent(): SinkFailure {
    const halt = this.#halt
    if (halt === undefined) return { action: 'retry', isUnavailable: true, reason: NO_TIME }
    const wait = halt.retryAfterMs === undefined ? {} : { retryAfterMs: halt.retryAfterMs }
    return { action: 'retry', isUnavailable: true, reason: `not sent: ${halt.reason}`, ...wait }
  }

  #outcome(): SinkOutcome {
    if (this.#failures.size === 0) return { kind: 'ok' }
    const isAllUndone = this.#deliveredCount === 0 && this.#options.refused.size === 0
    const isWaiting = isAllUndone && [...this.#failures.values()].every(({ action }) => action === 'retry')
    if (isWaiting && this.#halt !== undefined) return this.#halt
    if (isWaiting && this.#options.signal.aborted) return { kind: 'unavailable', reason: NO_TIME }
    return { kind: 'partial', failures: this.#failures }
  }
}

const NO_TIME = 'no time was left to send it'

const BEHIND: SinkFailure = {
  action: 'retry',
  reason: 'waits behind an earlier record of its group that must be sent again',
  isUnavailable: true
}
