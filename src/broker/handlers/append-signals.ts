/**
 * Wakes fetches that wait for records.
 *
 * A waiting fetch names its partitions and how many more bytes it wants; it
 * resolves when so many were appended to them, when one of them changes
 * otherwise (deleted, truncated), at its deadline, or when its client is gone.
 * Nothing is read from disk while it waits.
 *
 * Limits: one waiter per fetch in flight, which is at most one per connection.
 */

import type { Clock } from '../../core/index.ts'

interface Waiter {
  wantedBytes: number
  wake: () => void
}

/** What a fetch waits for. */
export interface AppendWait {
  /** The partitions, as whatever objects stand for them. */
  readonly partitions: readonly object[]
  /** Wakes after so many bytes, at least 1. */
  readonly wantedBytes: number
  /** Longest wait, in milliseconds. */
  readonly waitMs: number
  /** Ends the wait when the client is gone. */
  readonly signal: AbortSignal
}

/** Waiting fetches by partition. */
export class AppendSignals {
  readonly #clock: Clock
  readonly #waiters = new Map<object, Set<Waiter>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many partitions are waited for. */
  get partitionCount(): number {
    return this.#waiters.size
  }

  /** Tells that records were appended to a partition and are readable. */
  appended(partition: object, bytes: number): void {
    const waiters = this.#waiters.get(partition)
    if (waiters === undefined) return
    for (const waiter of waiters) {
      waiter.wantedBytes -= bytes
      if (waiter.wantedBytes <= 0) waiter.wake()
    }
  }

  /** Tells that a partition changed in another way: whoever waits must look again. */
  changed(partition: object): void {
    this.appended(partition, Number.POSITIVE_INFINITY)
  }

  /** Waits for appends. */
  wait({ partitions, wantedBytes, waitMs, signal }: AppendWait): Promise<void> {
    if (waitMs <= 0 || signal.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const waiter: Waiter = { wantedBytes, wake: () => undefined }
      waiter.wake = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', waiter.wake)
        for (const partition of partitions) this.#remove(partition, waiter)
        resolve()
      }
      const timer = this.#clock.after(waitMs, waiter.wake)
      signal.addEventListener('abort', waiter.wake, { once: true })
      for (const partition of partitions) this.#add(partition, waiter)
    })
  }

  #add(partition: object, waiter: Waiter): void {
    const waiters = this.#waiters.get(partition)
    if (waiters === undefined) this.#waiters.set(partition, new Set([waiter]))
    else waiters.add(waiter)
  }

  #remove(partition: object, waiter: Waiter): void {
    const waiters = this.#waiters.get(partition)
    waiters?.delete(waiter)
    if (waiters?.size === 0) this.#waiters.delete(partition)
  }
}
