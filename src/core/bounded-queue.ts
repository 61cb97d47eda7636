/**
 * A first-in-first-out queue with a limit on count and on weight (bytes).
 *
 * Producers wait in `put` while it is full: that wait is the backpressure.
 * One item that alone outweighs the limit is let in when the queue is empty,
 * otherwise it could never pass.
 */

import { PipelineError } from './errors.ts'

/** Limits of a queue. */
export interface BoundedQueueOptions {
  /** Most items. Integer, at least 1. */
  readonly countMax: number
  /** Most weight, in the unit that `put` is given (usually bytes). Default: no limit. */
  readonly weightMax?: number
}

interface Entry<T> {
  readonly item: T
  readonly weight: number
}

/** A queue that makes its writers wait when it is full. */
export class BoundedQueue<T> {
  readonly #countMax: number
  readonly #weightMax: number
  #entries: Entry<T>[] = []
  #head = 0
  #weight = 0
  #isClosed = false
  #writers: (() => void)[] = []
  #readers: (() => void)[] = []

  constructor(options: BoundedQueueOptions) {
    this.#countMax = options.countMax
    this.#weightMax = options.weightMax ?? Number.POSITIVE_INFINITY
  }

  /** How many items wait. */
  get count(): number {
    return this.#entries.length - this.#head
  }

  /** How much the waiting items weigh. */
  get weight(): number {
    return this.#weight
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Adds an item if there is room now. */
  tryPut(item: T, weight = 1): boolean {
    if (this.#isClosed) throw new PipelineError('ERR_CORE_ABORTED', 'the queue is closed: nothing more can be added')
    const isOverWeight = this.#weight + weight > this.#weightMax && this.count > 0
    if (this.count >= this.#countMax || isOverWeight) return false
    this.#entries.push({ item, weight })
    this.#weight += weight
    wakeOne(this.#readers)
    return true
  }

  /**
   * Adds an item, waiting for room.
   *
   * @throws PipelineError `ERR_CORE_ABORTED` if the queue is or becomes closed.
   */
  async put(item: T, weight = 1): Promise<void> {
    while (!this.tryPut(item, weight)) await new Promise<void>(resolve => this.#writers.push(resolve))
  }

  /** Takes the oldest item if there is one. */
  tryTake(): T | undefined {
    const entry = this.#entries[this.#head]
    if (entry === undefined) return undefined
    this.#head += 1
    this.#weight -= entry.weight
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
    wakeOne(this.#writers)
    return entry.item
  }

  /** Takes the oldest item, waiting for one; `undefined` once the queue is closed and empty. */
  async take(): Promise<T | undefined> {
    for (;;) {
      const item = this.tryTake()
      if (item !== undefined) return item
      if (this.#isClosed) return undefined
      await new Promise<void>(resolve => this.#readers.push(resolve))
    }
  }

  /** Refuses new items; what waits can still be taken. */
  close(): void {
    this.#isClosed = true
    for (const wake of [...this.#readers.splice(0), ...this.#writers.splice(0)]) wake()
  }
}

function wakeOne(waiting: (() => void)[]): void {
  waiting.shift()?.()
}
