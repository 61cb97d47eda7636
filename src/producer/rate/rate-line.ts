/**
 * A limit and the line in front of it: who may pass when. Pure: the caller gives
 * the time and wakes those who passed.
 *
 * One bucket counts records, one bytes; both must have tokens. The one who is
 * first in line has its tokens reserved, so the level of a bucket may be below
 * zero: what is larger than the whole burst passes when its debt is paid, and
 * nobody overtakes it meanwhile. All others wait without a reservation; which
 * source is next is decided only when the first one has passed, by start-time
 * fair queueing: each source has a clock that moves by what its records cost, and
 * the source that is furthest behind is next. A source with a thousand chunks in
 * line gets as much as one with a single chunk, and first come, first served
 * holds within a source.
 *
 * Invariants: as long as no single take exceeds the burst, no more than
 * `rate * (T + burst)` passes in any span T, whatever the share was meanwhile: a
 * share that shrinks takes saved tokens along, one that grows brings none. While
 * somebody waits, no token is lost as long as it is looked at once per burst.
 */

import { TokenBucket } from '../../core/index.ts'

/** One limit: records, bytes, or both. */
export interface RateLimits {
  /** Records per second, above 0. Default: no limit. */
  readonly recordsPerSecond?: number | undefined
  /** Bytes of events per second, above 0. Default: no limit. */
  readonly bytesPerSecond?: number | undefined
  /** How many milliseconds' worth of unused tokens may be saved up. At least 1. */
  readonly burstMs: number
}

/** Somebody in line. The object stands for itself. */
export interface RateWaiter {
  readonly source: string
  readonly records: number
  readonly bytes: number
}

/** Sources whose clocks are kept: more than any pipeline has. */
const SOURCES_MAX = 1024

interface SourceQueue {
  /** Its clock: milliseconds of the limit that it has used. */
  usedMs: number
  readonly waiters: RateWaiter[]
}

/** A limit with its line. */
export class RateLine {
  readonly #limits: RateLimits
  readonly #records: TokenBucket | undefined
  readonly #bytes: TokenBucket | undefined
  readonly #sources = new Map<string, SourceQueue>()
  /** The one whose tokens are reserved. */
  #first: RateWaiter | undefined
  /** The clock of the source that was served last: nobody who comes anew starts before it. */
  #usedMs = 0
  #waiterCount = 0
  #share = 1

  constructor(limits: RateLimits) {
    const { recordsPerSecond, bytesPerSecond, burstMs } = limits
    this.#limits = limits
    this.#records =
      recordsPerSecond === undefined ? undefined : new TokenBucket({ perSecond: recordsPerSecond, burstMs })
    this.#bytes = bytesPerSecond === undefined ? undefined : new TokenBucket({ perSecond: bytesPerSecond, burstMs })
  }

  /** How many are in line. */
  get waiterCount(): number {
    return this.#waiterCount
  }

  /** Share of the limit that is this instance's, 0 to 1. */
  get share(): number {
    return this.#share
  }

  /** Saved up records, below zero when owed; `undefined` without such a limit. */
  recordTokens(nowMs: number): number | undefined {
    this.#records?.waitMs(nowMs)
    return this.#records?.level
  }

  /** Saved up bytes, below zero when owed; `undefined` without such a limit. */
  byteTokens(nowMs: number): number | undefined {
    this.#bytes?.waitMs(nowMs)
    return this.#bytes?.level
  }

  /** Takes tokens if they are there and nobody is in line. */
  tryTake(records: number, bytes: number, nowMs: number): boolean {
    if (this.#waiterCount > 0) return false
    const hasRecords = (this.recordTokens(nowMs) ?? records) >= records
    const hasBytes = (this.byteTokens(nowMs) ?? bytes) >= bytes
    if (!hasRecords || !hasBytes) return false
    this.#records?.reserve(records, nowMs)
    this.#bytes?.reserve(bytes, nowMs)
    return true
  }

  /** Gets in line. `pass` says when it is its turn. */
  join(waiter: RateWaiter, nowMs: number): void {
    const queue = this.#queueOf(waiter.source)
    if (queue.waiters.length === 0) queue.usedMs = Math.max(queue.usedMs, this.#usedMs)
    queue.waiters.push(waiter)
    this.#waiterCount += 1
    this.#reserveFirst(nowMs)
  }

  /** Leaves the line without having passed; what was reserved goes to the next. */
  leave(waiter: RateWaiter, nowMs: number): void {
    if (waiter === this.#first) {
      this.#first = undefined
      this.giveBack(waiter.records, waiter.bytes)
    } else {
      const waiters = this.#sources.get(waiter.source)?.waiters ?? []
      const index = waiters.indexOf(waiter)
      if (index === -1) return
      waiters.splice(index, 1)
    }
    this.#waiterCount -= 1
    this.#reserveFirst(nowMs)
  }

  /** The next in line whose tokens are there, `undefined` if none. Call until it says so. */
  pass(nowMs: number): RateWaiter | undefined {
    if (this.#first === undefined || this.#debtMs(nowMs) > 0) return undefined
    const passed = this.#first
    this.#first = undefined
    this.#waiterCount -= 1
    this.#reserveFirst(nowMs)
    return passed
  }

  /** Milliseconds until `pass` has somebody; `undefined` if nobody is in line, infinite if the share is 0. */
  nextMs(nowMs: number): number | undefined {
    return this.#first === undefined ? undefined : this.#debtMs(nowMs)
  }

  /** Returns tokens that were taken and not used. */
  giveBack(records: number, bytes: number): void {
    this.#records?.giveBack(records)
    this.#bytes?.giveBack(bytes)
  }

  /** Changes the share from now on: what was saved up above the share of the burst is lost, a debt stays. */
  setShare(share: number, nowMs: number): void {
    const { recordsPerSecond = 0, bytesPerSecond = 0, burstMs } = this.#limits
    this.#share = share
    this.#records?.retune({ perSecond: recordsPerSecond * share, burstMs }, nowMs)
    this.#bytes?.retune({ perSecond: bytesPerSecond * share, burstMs }, nowMs)
  }

  /**
   * How many records to take at once: 10 ms worth, or the burst if that is less; at least 1.
   *
   * @param recordsMax - Most of them.
   */
  sliceRecords(recordsMax: number): number {
    const { recordsPerSecond } = this.#limits
    if (recordsPerSecond === undefined) return recordsMax
    return Math.max(1, Math.min(recordsMax, Math.floor(recordsPerSecond * this.#sliceSeconds())))
  }

  /** How many bytes to take at once, as `sliceRecords`; a single longer event is taken all the same. */
  sliceBytes(): number {
    const { bytesPerSecond } = this.#limits
    return bytesPerSecond === undefined ? Number.POSITIVE_INFINITY : bytesPerSecond * this.#sliceSeconds()
  }

  /**
   * About how long someone who came now would wait for that much, in milliseconds: until it could pass at once, or,
   * for what is larger than the burst, until the burst is saved up. Infinite if the share is 0.
   */
  waitMsFor(records: number, bytes: number, nowMs: number): number {
    let queued = { records: 0, bytes: 0 }
    for (const { waiters } of this.#sources.values()) {
      for (const waiter of waiters) {
        queued = { records: queued.records + waiter.records, bytes: queued.bytes + waiter.bytes }
      }
    }
    const { recordsPerSecond, bytesPerSecond } = this.#limits
    const recordsMs = this.#missingMs(recordsPerSecond, this.recordTokens(nowMs), { count: records, ahead: queued.records })
    const bytesMs = this.#missingMs(bytesPerSecond, this.byteTokens(nowMs), { count: bytes, ahead: queued.bytes })
    return Math.max(recordsMs, bytesMs)
  }

  #missingMs(perSecond: number | undefined, level: number | undefined, need: { count: number; ahead: number }): number {
    if (perSecond === undefined || level === undefined) return 0
    const perMs = (perSecond * this.#share) / 1000
    const missing = Math.min(need.count, perMs * this.#limits.burstMs) + need.ahead - level
    if (missing <= 0 && perMs > 0) return 0
    return perMs === 0 ? Number.POSITIVE_INFINITY : missing / perMs
  }

  #sliceSeconds(): number {
    return (Math.min(SLICE_MS, this.#limits.burstMs) * this.#share) / 1000
  }

  #debtMs(nowMs: number): number {
    if (this.#share === 0) return Number.POSITIVE_INFINITY
    return Math.max(this.#records?.waitMs(nowMs) ?? 0, this.#bytes?.waitMs(nowMs) ?? 0)
  }

  #reserveFirst(nowMs: number): void {
    if (this.#first !== undefined || this.#waiterCount === 0) return
    let next: SourceQueue | undefined
    for (const queue of this.#sources.values()) {
      if (queue.waiters.length > 0 && (next === undefined || queue.usedMs < next.usedMs)) next = queue
    }
    const waiter = next?.waiters.shift()
    if (next === undefined || waiter === undefined) return
    this.#usedMs = next.usedMs
    next.usedMs += this.#costMs(waiter)
    this.#first = waiter
    this.#records?.reserve(waiter.records, nowMs)
    this.#bytes?.reserve(waiter.bytes, nowMs)
  }

  #costMs({ records, bytes }: RateWaiter): number {
    const { recordsPerSecond = Infinity, bytesPerSecond = Infinity } = this.#limits
    return 1000 * Math.max(records / recordsPerSecond, bytes / bytesPerSecond)
  }

  #queueOf(source: string): SourceQueue {
    const known = this.#sources.get(source)
    if (known !== undefined) return known
    if (this.#sources.size >= SOURCES_MAX) {
      for (const [name, queue] of this.#sources) if (queue.waiters.length === 0) this.#sources.delete(name)
    }
    const queue = { usedMs: this.#usedMs, waiters: [] }
    this.#sources.set(source, queue)
    return queue
  }
}

/** Span of time whose records are taken together, in milliseconds: long enough to sleep through, short enough to be smooth. */
const SLICE_MS = 10
