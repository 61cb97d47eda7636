/**
 * A limit and the line in front of it: who may pass when. Pure: the caller gives
 * the time and wakes those who passed.
 *
 * One level counts records, one bytes; both must have what is asked for. A level
 * is capped by the burst, and what the first in line asks for on top if that is more
 * than the burst: so what is larger than the whole burst passes when it is paid for, and nobody
 * overtakes it meanwhile. Which source is first is decided by start-time fair
 * queueing (Goyal, Vin, Cheng 1996): each source has a clock that moves by what
 * its records cost, and the source that is furthest behind is first. A source
 * with a thousand chunks in line gets as much as one with a single chunk, and
 * first come, first served holds within a source.
 *
 * Invariants: in any span T no more passes than `rate * T` and the burst, and the
 * largest single take if that is larger than the burst, whatever the share was
 * meanwhile: a share that shrinks takes saved tokens along, one that grows brings
 * none. A limit starts empty: nothing has been saved up yet. While somebody waits
 * and is looked after every half burst, nothing of the rate is lost.
 */

/** One limit: records, bytes, or both. */
export interface RateLimits {
  /** Records per second, above 0. Default: no limit. */
  readonly recordsPerSecond?: number | undefined
  /** Bytes of events per second, above 0. Default: no limit. */
  readonly bytesPerSecond?: number | undefined
  /** How many milliseconds' worth of unused tokens may be saved up. At least 1. */
  readonly burstMs: number
}

/** A share that is this instance's only until somebody else may have it. */
export interface RateLease {
  /** When it ends, in monotonic milliseconds, as far as is known now. */
  endsAtMs(): number
  /** Share after that, 0 to 1. */
  readonly fallbackShare: number
}

/** Somebody in line. The object stands for itself. */
export interface RateWaiter {
  readonly source: string
  readonly records: number
  readonly bytes: number
}

/** Span of time whose records are taken together, in milliseconds: long enough to sleep through, short to be smooth. */
const SLICE_MS = 10

/** Sources whose clocks are kept: more than any pipeline has. */
const SOURCES_MAX = 1024

interface SourceQueue {
  /** Its clock: milliseconds of the limit that it has used. */
  usedMs: number
  readonly waiters: RateWaiter[]
}

/** Tokens of one kind. */
class Level {
  readonly #fullPerMs: number
  readonly #burstMs: number
  perMs: number
  tokens = 0
  #atMs: number | undefined

  constructor(perSecond: number, burstMs: number) {
    this.#fullPerMs = perSecond / 1000
    this.perMs = this.#fullPerMs
    this.#burstMs = burstMs
  }

  get burst(): number {
    return this.perMs * this.#burstMs
  }

  /** Earns what the time since the last call is worth. A clock that goes back earns nothing. */
  earn(nowMs: number, asked: number): void {
    const elapsedMs = Math.max(0, nowMs - (this.#atMs ?? nowMs))
    this.#atMs = Math.max(nowMs, this.#atMs ?? nowMs)
    const cap = asked > this.burst ? asked + this.burst : this.burst
    this.tokens = Math.min(cap, this.tokens + elapsedMs * this.perMs)
  }

  setShare(share: number): void {
    this.perMs = this.#fullPerMs * share
    this.tokens = Math.min(this.tokens, this.burst)
  }

  /** Milliseconds until that many are there. Rounding must not make a wait that never ends. */
  waitMs(count: number): number {
    const missing = count - this.tokens
    if (missing <= count * 1e-12) return 0
    return this.perMs === 0 ? Number.POSITIVE_INFINITY : missing / this.perMs
  }
}

/** A limit with its line. */
export class RateLine {
  readonly #limits: RateLimits
  readonly #records: Level | undefined
  readonly #bytes: Level | undefined
  readonly #sources = new Map<string, SourceQueue>()
  /** The clock of the source that was served last: nobody who comes anew starts before it. */
  #usedMs = 0
  #waiterCount = 0
  #share = 1
  #lease: RateLease | undefined

  constructor(limits: RateLimits) {
    const { recordsPerSecond, bytesPerSecond, burstMs } = limits
    this.#limits = limits
    this.#records = recordsPerSecond === undefined ? undefined : new Level(recordsPerSecond, burstMs)
    this.#bytes = bytesPerSecond === undefined ? undefined : new Level(bytesPerSecond, burstMs)
  }

  /** How many are in line. */
  get waiterCount(): number {
    return this.#waiterCount
  }

  /** Share of the limit that is this instance's, 0 to 1. */
  get share(): number {
    return this.#share
  }

  /** Records saved up; `undefined` without such a limit. */
  recordTokens(nowMs: number): number | undefined {
    this.#earn(nowMs)
    return this.#records?.tokens
  }

  /** Bytes saved up; `undefined` without such a limit. */
  byteTokens(nowMs: number): number | undefined {
    this.#earn(nowMs)
    return this.#bytes?.tokens
  }

  /** Takes tokens if they are there and nobody is in line. */
  tryTake(records: number, bytes: number, nowMs: number): boolean {
    this.#earn(nowMs)
    if (this.#waiterCount > 0 || this.#missingMs(records, bytes) > 0) return false
    this.#take(records, bytes)
    return true
  }

  /**
   * Whether that much might pass: its tokens are there, or, for what is larger than the burst, the burst is full, and
   * nobody is in line.
   */
  hasRoomFor(records: number, bytes: number, nowMs: number): boolean {
    return this.#waiterCount === 0 && this.waitMsFor(records, bytes, nowMs) === 0
  }

  /** Takes tokens if `hasRoomFor` says so; what is above the burst is owed, and nothing passes until it is paid. */
  tryOwe(records: number, bytes: number, nowMs: number): boolean {
    if (!this.hasRoomFor(records, bytes, nowMs)) return false
    this.#take(records, bytes)
    return true
  }

  /** Gets in line. `pass` says when it is its turn. */
  join(waiter: RateWaiter, nowMs: number): void {
    this.#earn(nowMs)
    const queue = this.#queueOf(waiter.source)
    if (queue.waiters.length === 0) queue.usedMs = Math.max(queue.usedMs, this.#usedMs)
    queue.waiters.push(waiter)
    this.#waiterCount += 1
  }

  /** Leaves the line without having passed. Whoever is not in line leaves nothing. */
  leave(waiter: RateWaiter, nowMs: number): void {
    this.#earn(nowMs)
    const waiters = this.#sources.get(waiter.source)?.waiters ?? []
    const index = waiters.indexOf(waiter)
    if (index === -1) return
    waiters.splice(index, 1)
    this.#waiterCount -= 1
  }

  /** The first in line if its tokens are there, which are taken then. Call until it is `undefined`. */
  pass(nowMs: number): RateWaiter | undefined {
    this.#earn(nowMs)
    const queue = this.#firstQueue()
    const [waiter] = queue?.waiters ?? []
    if (queue === undefined || waiter === undefined) return undefined
    if (this.#missingMs(waiter.records, waiter.bytes) > 0) return undefined
    queue.waiters.shift()
    this.#waiterCount -= 1
    this.#usedMs = queue.usedMs
    queue.usedMs += this.#costMs(waiter)
    this.#take(waiter.records, waiter.bytes)
    return waiter
  }

  /** Milliseconds until `pass` has somebody; `undefined` if nobody is in line, infinite if the share is 0. */
  nextMs(nowMs: number): number | undefined {
    this.#earn(nowMs)
    const [waiter] = this.#firstQueue()?.waiters ?? []
    return waiter === undefined ? undefined : this.#missingMs(waiter.records, waiter.bytes)
  }

  /** Returns tokens that were taken and not used; what is above the burst is lost with the next look. */
  giveBack(records: number, bytes: number): void {
    if (this.#records !== undefined) this.#records.tokens += records
    if (this.#bytes !== undefined) this.#bytes.tokens += bytes
  }

  /** Changes the share from now on: what was saved up above the share of the burst is lost. */
  setShare(share: number, nowMs: number): void {
    this.#earn(nowMs)
    this.#applyShare(share)
  }

  #applyShare(share: number): void {
    this.#share = share
    this.#records?.setShare(share)
    this.#bytes?.setShare(share)
  }

  /**
   * Makes the share end with a lease: whoever looks later than that, even after a long pause of the whole process,
   * finds the fallback share, and no more tokens than that is worth.
   */
  setLease(lease: RateLease): void {
    this.#lease = lease
  }

  /**
   * How many records to take at once: 10 ms worth, or half the burst if that is less; at least 1.
   *
   * @param recordsMax - Most of them.
   */
  sliceRecords(recordsMax: number): number {
    if (this.#records === undefined) return recordsMax
    return Math.max(1, Math.min(recordsMax, Math.floor(this.#records.perMs * this.#sliceMs())))
  }

  /** How many bytes to take at once, as `sliceRecords`; a single longer event is taken all the same. */
  sliceBytes(): number {
    return this.#bytes === undefined ? Number.POSITIVE_INFINITY : this.#bytes.perMs * this.#sliceMs()
  }

  /**
   * About how long someone who came now would wait for that much, in milliseconds: until it could pass at once, or,
   * for what is larger than the burst, until the burst is saved up. Infinite if the share is 0.
   */
  waitMsFor(records: number, bytes: number, nowMs: number): number {
    this.#earn(nowMs)
    let ahead = { records: 0, bytes: 0 }
    for (const { waiters } of this.#sources.values()) {
      for (const each of waiters) ahead = { records: ahead.records + each.records, bytes: ahead.bytes + each.bytes }
    }
    const recordsMs = this.#records?.waitMs(Math.min(records, this.#records.burst) + ahead.records) ?? 0
    const bytesMs = this.#bytes?.waitMs(Math.min(bytes, this.#bytes.burst) + ahead.bytes) ?? 0
    if (this.#share === 0 && this.#hasLimit) return Number.POSITIVE_INFINITY
    return Math.max(recordsMs, bytesMs)
  }

  get #hasLimit(): boolean {
    return this.#records !== undefined || this.#bytes !== undefined
  }

  #sliceMs(): number {
    return Math.min(SLICE_MS, this.#limits.burstMs / 2)
  }

  #earn(nowMs: number): void {
    if (this.#lease !== undefined && this.#share !== this.#lease.fallbackShare) {
      const endsAtMs = this.#lease.endsAtMs()
      if (nowMs >= endsAtMs) {
        this.#earnUntil(endsAtMs)
        this.#applyShare(this.#lease.fallbackShare)
      }
    }
    this.#earnUntil(nowMs)
  }

  #earnUntil(nowMs: number): void {
    const [waiter] = this.#waiterCount === 0 ? [] : (this.#firstQueue()?.waiters ?? [])
    this.#records?.earn(nowMs, waiter?.records ?? 0)
    this.#bytes?.earn(nowMs, waiter?.bytes ?? 0)
  }

  #take(records: number, bytes: number): void {
    if (this.#records !== undefined) this.#records.tokens -= records
    if (this.#bytes !== undefined) this.#bytes.tokens -= bytes
  }

  #missingMs(records: number, bytes: number): number {
    return Math.max(this.#records?.waitMs(records) ?? 0, this.#bytes?.waitMs(bytes) ?? 0)
  }

  /** The queue of the source that is furthest behind. */
  #firstQueue(): SourceQueue | undefined {
    let first: SourceQueue | undefined
    for (const queue of this.#sources.values()) {
      if (queue.waiters.length > 0 && (first === undefined || queue.usedMs < first.usedMs)) first = queue
    }
    return first
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
