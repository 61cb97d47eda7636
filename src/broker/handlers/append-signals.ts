/**
 * Wakes fetches that wait for records.
 *
 * A waiting fetch names its partitions and how many more bytes it wants; it
 * resolves when so many were appended to them, when one of them changes
 * otherwise (deleted, truncated), at its deadline, or when its client is gone.
 * Nothing is read from disk while it waits.
 *
 * For a reader of committed records bytes count when the last stable offset
 * moves: what an open transaction appends is nothing to it, and its end may make
 * much readable at once.
 *
 * Limits: one waiter per fetch in flight, which is at most one per connection.
 */

import type { Clock } from '../../core/index.ts'

/** Bytes of the batch that ends a transaction. */
const MARKER_BYTES = 78

/** A partition, as far as it can be waited for. */
export interface WaitedPartition {
  readonly lastStableOffset: bigint
  readonly highWatermark: bigint
}

/** What a reader of committed records knows of a partition. */
interface Stable {
  offset: bigint
  /** Appended since that offset moved. */
  bytes: number
}

interface Waiter {
  wantedBytes: number
  /** Only for readers of committed records. */
  readonly stable: Map<WaitedPartition, Stable> | undefined
  wake: () => void
}

/** What a fetch waits for. */
export interface AppendWait {
  readonly partitions: readonly WaitedPartition[]
  /** Whether only records below the last stable offset are wanted. Default false. */
  readonly isReadCommitted?: boolean
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
  readonly #waiters = new Map<WaitedPartition, Set<Waiter>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many partitions are waited for. */
  get partitionCount(): number {
    return this.#waiters.size
  }

  /** Tells that records were appended to a partition. */
  appended(partition: WaitedPartition, bytes: number): void {
    const waiters = this.#waiters.get(partition)
    if (waiters === undefined) return
    for (const waiter of waiters) {
      waiter.wantedBytes -= newBytes(waiter, partition, bytes)
      if (waiter.wantedBytes <= 0) waiter.wake()
    }
  }

  /** Tells that a marker was appended to a partition: the last stable offset may have moved. */
  markerAppended(partition: WaitedPartition): void {
    this.appended(partition, MARKER_BYTES)
  }

  /** Tells that a partition changed in another way: whoever waits must look again. */
  changed(partition: WaitedPartition): void {
    for (const waiter of this.#waiters.get(partition) ?? []) waiter.wake()
  }

  /** Waits for appends. Resolves with whether there is reason to look again; if not, the time is over. */
  wait({ partitions, isReadCommitted, wantedBytes, waitMs, signal }: AppendWait): Promise<boolean> {
    if (waitMs <= 0 || signal.aborted) return Promise.resolve(true)
    return new Promise(resolve => {
      const stable = isReadCommitted === true ? stableOf(partitions) : undefined
      const waiter: Waiter = { wantedBytes, stable, wake: () => undefined }
      const end = (isWoken: boolean): void => {
        timer.cancel()
        signal.removeEventListener('abort', waiter.wake)
        for (const partition of partitions) this.#remove(partition, waiter)
        resolve(isWoken)
      }
      waiter.wake = () => end(true)
      const timer = this.#clock.after(waitMs, () => end(false))
      signal.addEventListener('abort', waiter.wake, { once: true })
      for (const partition of partitions) this.#add(partition, waiter)
    })
  }

  #add(partition: WaitedPartition, waiter: Waiter): void {
    const waiters = this.#waiters.get(partition)
    if (waiters === undefined) this.#waiters.set(partition, new Set([waiter]))
    else waiters.add(waiter)
  }

  #remove(partition: WaitedPartition, waiter: Waiter): void {
    const waiters = this.#waiters.get(partition)
    waiters?.delete(waiter)
    if (waiters?.size === 0) this.#waiters.delete(partition)
  }
}

function stableOf(partitions: readonly WaitedPartition[]): Map<WaitedPartition, Stable> {
  return new Map(
    partitions.map(each => {
      const { lastStableOffset: offset, highWatermark } = each
      // How much an open transaction holds back is not known: its end is worth a look.
      return [each, { offset, bytes: offset < highWatermark ? Number.POSITIVE_INFINITY : 0 }]
    })
  )
}

/** How many of the appended bytes, and of those before them, the waiter may read now. */
function newBytes({ stable }: Waiter, partition: WaitedPartition, bytes: number): number {
  const known = stable?.get(partition)
  if (known === undefined) return bytes
  known.bytes += bytes
  if (known.offset === partition.lastStableOffset) return 0
  known.offset = partition.lastStableOffset
  const readable = known.bytes
  known.bytes = 0
  return readable
}
