/**
 * What one chunk has taken from the limits of topics.
 *
 * An event pays once, however often it is looked at: when the outlet has no room,
 * it comes again. A chunk that had to wait for a topic has a slice of that
 * topic's tokens afterwards, so that it need not get in line for every event;
 * what it does not use goes back when it waits for something else, and at its end.
 */

import type { Limit, RateGate } from './rate-gate.ts'

/** Most events that are paid for at once. */
const SLICE_MAX = 256

interface Allowance {
  readonly limit: Limit
  records: number
  bytes: number
}

/** An event whose topic is known. */
export interface TopicEvent {
  readonly index: number
  readonly topic: string
  readonly bytes: number
  /** Whether everything goes by disk at the moment: it takes its tokens when it comes back from there. */
  readonly isByDisk: boolean
}

/** Asks the limits of topics for the events of one chunk. */
export class TopicPermits {
  readonly #gate: RateGate
  readonly #source: string
  readonly #allowances = new Map<string, Allowance>()
  /** The event that has paid. */
  #paidIndex = -1
  #waitsFor: { readonly limit: Limit; readonly bytes: number } | undefined
  #shedBy: Limit | undefined

  constructor(gate: RateGate, source: string) {
    this.#gate = gate
    this.#source = source
  }

  /** What becomes of an event of that topic; after `wait`, `wait()` and ask again. */
  verdict(event: TopicEvent): 'pass' | 'wait' | 'shed' | 'spill' {
    const { index, topic, bytes } = event
    if (index === this.#paidIndex) return 'pass'
    const limit = this.#gate.limitOf(topic)
    if (limit === undefined) return 'pass'
    if (limit.policy === 'spill' && event.isByDisk) return 'spill'
    if (this.#spend(topic, bytes)) {
      this.#paidIndex = index
      return 'pass'
    }
    const { paced, policy } = limit
    if (policy === 'wait' ? paced.tryTake(1, bytes) : paced.tryOwe(1, bytes)) {
      this.#paidIndex = index
      return 'pass'
    }
    if (policy === 'wait') this.#waitsFor = { limit, bytes }
    if (policy === 'shed') this.#shedBy = limit
    return policy
  }

  /**
   * Waits for the topic that the last verdict named.
   *
   * @returns `false` if the signal ended the wait.
   */
  async wait(signal: AbortSignal): Promise<boolean> {
    this.giveBack()
    const waitsFor = this.#waitsFor
    this.#waitsFor = undefined
    if (waitsFor === undefined) return true
    const { limit } = waitsFor
    const { line } = limit.paced
    const records = line.sliceRecords(SLICE_MAX)
    const sliceBytes = line.sliceBytes()
    const hasByteLimit = sliceBytes < Number.POSITIVE_INFINITY
    const bytes = hasByteLimit ? Math.max(waitsFor.bytes, sliceBytes) : 0
    if (!(await limit.paced.take({ source: this.#source, records, bytes }, signal))) return false
    const allowance = { limit, records, bytes: hasByteLimit ? bytes : Number.POSITIVE_INFINITY }
    this.#allowances.set(limit.topic ?? '', allowance)
    return true
  }

  /** Milliseconds until a topic that an event was shed for has room for one event; `undefined` if none was. */
  retryAfterMs(): number | undefined {
    return this.#shedBy?.paced.waitMsFor(1, 1)
  }

  /** Returns what was taken ahead. */
  giveBack(): void {
    for (const allowance of this.#allowances.values()) returnOf(allowance)
    this.#allowances.clear()
  }

  #spend(topic: string, bytes: number): boolean {
    const allowance = this.#allowances.get(topic)
    if (allowance === undefined) return false
    if (allowance.records < 1 || allowance.bytes < bytes) {
      this.#allowances.delete(topic)
      returnOf(allowance)
      return false
    }
    allowance.records -= 1
    allowance.bytes -= bytes
    return true
  }
}

function returnOf({ limit, records, bytes }: Allowance): void {
  limit.paced.giveBack(records, bytes === Number.POSITIVE_INFINITY ? 0 : bytes)
}
