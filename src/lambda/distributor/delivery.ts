/**
 * Delivery of one partition's records to one target, in order, one request
 * after the other.
 *
 * - Requests are cut by the target's limits.
 * - Unavailable (or out of time): this and everything after it waits for the
 *   next attempt.
 * - Refused: halved until the bad record is alone; that one is dead-lettered and
 *   the others go on.
 * - A record that must be tried again takes all later ones of its scope (the
 *   target, or the key at the target) with it, also those that the target
 *   took: they are sent again behind it, so that order holds.
 * - What must be tried again is tried again here, after a pause, while the target's
 *   attempts and the time of the invocation last. Then it is left to the caller.
 *
 * No request starts, and none goes on, past the invocation's deadline less
 * `reserveMs`: an answer that names what is undone is worth more than a timeout,
 * which would lose the memory of what is done.
 */

import { createHash } from 'node:crypto'

import { messageOf, sleep } from '../../core/index.ts'
import type { RecordSink, SinkOutcome, SinkRequest } from '../../targets/sinks/index.ts'
import type { TraceContext } from '../../telemetry/index.ts'
import { type EventPartition, textOf } from '../event/read-event.ts'
import type { InvocationTrace } from './invocation-trace.ts'
import type { FinalWord } from './ledger.ts'
import type { DistributorObserver } from './observer.ts'
import { type DistributorSettings, REQUEST_MS_MIN, type TargetSettings } from './options.ts'
import type { Verdict } from './verdict.ts'

/** Longest pause before another attempt, in milliseconds: a longer one is the caller's, whose waiting costs nothing. */
const PAUSE_MS_MAX = 1_000

/** How long a sink may take to answer that it gives up, in milliseconds; `reserveMs` has to hold it. */
const GRACE_MS = 100

/** What a delivery needs besides its records. */
export interface DeliveryRuntime {
  readonly settings: DistributorSettings
  readonly observer: DistributorObserver
  /** Absent where nobody traces. */
  readonly trace?: Pick<InvocationTrace, 'request' | 'requestDone'> | undefined
  /** Milliseconds until requests must be over. */
  timeLeftMs(): number
}

/** A target that is ready to be given records. */
export interface Target extends TargetSettings {
  readonly sink: RecordSink
  readonly recordsMax: number
  readonly bytesMax: number
  readonly recordBytesMax: number
}

/** The records of one partition on their way to one target. */
export class Delivery {
  readonly target: Target
  readonly partition: EventPartition
  /** Indexes of the records, in order. */
  readonly indexes: number[] = []
  readonly #runtime: DeliveryRuntime
  readonly #isByKey: boolean
  readonly #verdicts = new Map<number, Verdict>()
  readonly #blockedKeys = new Set<string>()
  /** Set once everything after it must wait. */
  #stop: Verdict | undefined
  #attempt = 1
  #bisectRequestsLeft: number
  /** Whether the sink did not even answer that it gives up. */
  #isLost = false
  /** Records that were found to be refused. */
  #badCount = 0

  constructor(target: Target, partition: EventPartition, runtime: DeliveryRuntime) {
    this.target = target
    this.partition = partition
    this.#runtime = runtime
    this.#isByKey = runtime.settings.order === 'key' && partition.keys !== undefined
    this.#bisectRequestsLeft = runtime.settings.bisectRequestsMax
  }

  /** Verdicts of this target by record index; records without one are well. */
  get verdicts(): ReadonlyMap<number, Verdict> {
    return this.#verdicts
  }

  /** What the target has said for good about a record of this delivery, if it has. */
  finalWord(index: number): FinalWord | undefined {
    const verdict = this.#verdicts.get(index)
    if (verdict === undefined) return 'ok'
    return verdict.action === 'retry' ? undefined : verdict
  }

  /** Whether the record is one of this delivery's. */
  has(index: number): boolean {
    // Ascending: the place where it would be is found by halves.
    let low = 0
    let high = this.indexes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.indexes[middle] ?? 0) < index) low = middle + 1
      else high = middle
    }
    return this.indexes[low] === index
  }

  /** Delivers everything; afterwards every record is well or has a verdict. Never rejects. */
  async run(): Promise<void> {
    await this.#pass(this.indexes)
    while (this.#verdicts.size > 0) {
      const again = this.indexes.filter(index => this.#verdicts.get(index)?.action === 'retry')
      const pauseMs = again.length === 0 ? undefined : this.#pauseMs(again)
      if (pauseMs === undefined) return
      await sleep(this.#runtime.settings.clock, pauseMs)
      this.#attempt += 1
      this.#stop = undefined
      this.#blockedKeys.clear()
      for (const index of again) this.#verdicts.delete(index)
      await this.#pass(again)
    }
  }

  /** How long to wait before these records are tried again; `undefined` if that is left to the caller. */
  #pauseMs(again: readonly number[]): number | undefined {
    const { retry } = this.target
    const { random } = this.#runtime.settings
    // Without requests to look for bad records with, the same answer would come again.
    if (this.#attempt >= retry.attemptsMax || this.#bisectRequestsLeft < 2 || this.#isLost) return undefined
    let askedMs = 0
    for (const index of again) askedMs = Math.max(askedMs, this.#verdicts.get(index)?.retryAfterMs ?? 0)
    const backoffMs = retry.backoffMs * 2 ** (this.#attempt - 1) * (1 - random.next() / 2)
    const pauseMs = Math.max(askedMs, Math.min(backoffMs, PAUSE_MS_MAX))
    const isWorthIt = pauseMs <= PAUSE_MS_MAX && this.#runtime.timeLeftMs() - pauseMs >= REQUEST_MS_MIN
    return isWorthIt ? pauseMs : undefined
  }

  async #pass(indexes: readonly number[]): Promise<void> {
    if (this.target.sink.limits.isKeyOncePerRequest !== true) return this.#sendAll(indexes)
    for (const wave of this.#waves(indexes)) await this.#sendAll(wave)
  }

  /**
   * Lists in which each key is there at most once, in order: the n-th record of a key is in the n-th list. Ordered by
   * partition, each record is a list of its own.
   */
  #waves(indexes: readonly number[]): readonly (readonly number[])[] {
    if (!this.#isByKey) return indexes.map(index => [index])
    const counts = new Map<string, number>()
    const waves: number[][] = []
    for (const index of indexes) {
      const key = this.#keyOf(index)
      const wave = key === null ? 0 : (counts.get(key) ?? 0)
      if (key !== null) counts.set(key, wave + 1)
      const list = waves[wave]
      if (list === undefined) waves.push([index])
      else list.push(index)
    }
    return waves
  }

  async #sendAll(indexes: readonly number[]): Promise<void> {
    const { recordsMax, bytesMax, recordBytesMax } = this.target
    let request: number[] = []
    let bytes = 0
    for (const index of indexes) {
      const text = textOf(this.partition, index)
      const size = text === undefined ? 0 : Buffer.byteLength(text)
      if (text === undefined || size > recordBytesMax) {
        this.#verdicts.set(index, { action: 'deadLetter', reason: this.#unsendable(text, size) })
        continue
      }
      // One byte for what stands between two records.
      if (request.length > 0 && (request.length >= recordsMax || bytes + size + 1 > bytesMax)) {
        await this.#deliver(request)
        request = []
        bytes = 0
      }
      request.push(index)
      bytes += size + 1
    }
    await this.#deliver(request)
  }

  #unsendable(text: string | undefined, size: number): string {
    if (text === undefined) return 'the event is nested too deeply to be written again'
    return `the record has ${size} bytes; target ${this.target.name} takes ${this.target.recordBytesMax}`
  }

  async #deliver(given: readonly number[]): Promise<void> {
    const indexes = this.#withoutBlocked(given)
    if (indexes.length === 0) return
    const outcome = await this.#send(indexes)
    switch (outcome.kind) {
      case 'ok':
        return
      case 'partial':
        return this.#settlePartial(indexes, outcome.failures)
      case 'unavailable':
        return this.#halt(indexes, unavailable(outcome))
      case 'rejected':
        return this.#bisect(indexes, outcome.reason)
    }
  }

  async #bisect(indexes: readonly number[], reason: string): Promise<void> {
    const [only] = indexes
    if (only !== undefined && indexes.length === 1) {
      this.#verdicts.set(only, { action: 'deadLetter', reason })
      this.#badCount += 1
      return
    }
    // One is found in any case: the next attempt goes on from here, and would find none either.
    if (this.#bisectRequestsLeft < 2 && this.#badCount > 0) {
      return this.#halt(indexes, { action: 'retry', reason: `${reason}; the bad record was not found yet` })
    }
    this.#bisectRequestsLeft -= 2
    const middle = indexes.length >>> 1
    await this.#deliver(indexes.slice(0, middle))
    await this.#deliver(indexes.slice(middle))
  }

  #settlePartial(indexes: readonly number[], failures: ReadonlyMap<number, Verdict>): void {
    const { isUnordered = false } = this.target.sink.limits
    for (const [position, index] of indexes.entries()) {
      const own = failures.get(position)
      const waiting = this.#blockedBy(index)
      if (waiting !== undefined) this.#verdicts.set(index, waiting)
      else if (own !== undefined) {
        this.#verdicts.set(index, own)
        if (own.action === 'retry' && !isUnordered) this.#block(index, own)
      }
    }
  }

  #block(index: number, verdict: Verdict): void {
    if (!this.#isByKey) {
      this.#stop = behind(this.target.name, verdict)
      return
    }
    const key = this.#keyOf(index)
    if (key !== null) this.#blockedKeys.add(key)
  }

  #halt(indexes: readonly number[], verdict: Verdict): void {
    this.#stop = verdict
    for (const index of indexes) this.#verdicts.set(index, verdict)
  }

  /** Leaves out the records that must wait, and gives them their verdict. */
  #withoutBlocked(indexes: readonly number[]): readonly number[] {
    if (this.#stop === undefined && this.#blockedKeys.size === 0) return indexes
    return indexes.filter(index => {
      const waiting = this.#blockedBy(index)
      if (waiting !== undefined) this.#verdicts.set(index, waiting)
      return waiting === undefined
    })
  }

  #blockedBy(index: number): Verdict | undefined {
    if (this.#stop !== undefined) return this.#stop
    const key = this.#blockedKeys.size === 0 ? null : this.#keyOf(index)
    return key !== null && this.#blockedKeys.has(key) ? behind(this.target.name) : undefined
  }

  #keyOf(index: number): string | null {
    return this.partition.keys?.[index] ?? null
  }

  async #send(indexes: readonly number[]): Promise<SinkOutcome> {
    const { target, partition } = this
    const { settings, observer } = this.#runtime
    const timeoutMs = Math.min(target.timeoutMs, this.#runtime.timeLeftMs())
    if (timeoutMs < REQUEST_MS_MIN) {
      return { kind: 'unavailable', reason: `no time was left in the invocation for target ${target.name}` }
    }
    const span = this.#runtime.trace?.request(target.name)
    const request = requestOf(partition, indexes, span?.context)
    const startMs = observer.requestDone === undefined ? 0 : settings.clock.monotonicMs()
    const outcome = await this.#answer(request, timeoutMs)
    const attempt = this.#attempt
    if (span !== undefined) {
      this.#runtime.trace?.requestDone(span, { target: target.name, attempt, request, outcome })
    }
    if (observer.requestDone !== undefined) {
      observer.requestDone({
        target: target.name,
        topic: partition.topic,
        partition: partition.partition,
        recordCount: indexes.length,
        bytes: request.texts.reduce((sum, text) => sum + text.length, 0),
        attempt,
        durationMs: settings.clock.monotonicMs() - startMs,
        outcome: outcome.kind,
        reason: reasonOf(outcome)
      })
    }
    return outcome
  }

  /** The answer of the sink, or that there is none: a sink that breaks its promises must not hold the function up. */
  #answer(request: SinkRequest, timeoutMs: number): Promise<SinkOutcome> {
    const { target } = this
    const { clock } = this.#runtime.settings
    const controller = new AbortController()
    return new Promise(resolve => {
      let timer = clock.after(timeoutMs, () => {
        const reason = `no reply within ${Math.round(timeoutMs)} ms`
        timer = clock.after(GRACE_MS, () => {
          // It may be at it still: another attempt would come beside this one.
          this.#isLost = true
          resolve(failed(target, new Error(`${reason}, and it goes on`)))
        })
        controller.abort(new Error(reason))
      })
      const settle = (outcome: SinkOutcome): void => {
        timer.cancel()
        resolve(outcome)
      }
      try {
        target.sink.deliver(request, controller.signal).then(settle, (error: unknown) => settle(failed(target, error)))
      } catch (error) {
        settle(failed(target, error))
      }
    })
  }
}

function failed(target: Target, error: unknown): SinkOutcome {
  return { kind: 'unavailable', reason: `target ${target.name} failed: ${messageOf(error)}`, isSuspect: true }
}

function reasonOf(outcome: SinkOutcome): string | undefined {
  if (outcome.kind === 'ok') return undefined
  if (outcome.kind !== 'partial') return outcome.reason
  const [first] = outcome.failures.values()
  return first?.reason
}

/** Names a record for good: the key by which a target can tell that it has seen it. */
export function recordId(partition: EventPartition, offset: number): string {
  return `${partition.topic}-${partition.partition}-${offset}`
}

function requestOf(
  partition: EventPartition,
  indexes: readonly number[],
  trace: TraceContext | undefined
): SinkRequest {
  const { topic, keys, timestamps } = partition
  const prefix = `${topic}-${partition.partition}-`
  const offsets: number[] = []
  const texts: string[] = []
  const recordIds: string[] = []
  for (const index of indexes) {
    const offset = partition.offsets[index] ?? 0
    offsets.push(offset)
    // Texts and not objects: what was produced is passed on as it is.
    texts.push(textOf(partition, index) ?? 'null')
    recordIds.push(prefix + offset)
  }
  return {
    topic,
    partition: partition.partition,
    offsets,
    texts,
    keys: keys === undefined ? undefined : indexes.map(index => keys[index] ?? null),
    timestamps: timestamps === undefined ? undefined : indexes.map(index => timestamps[index] ?? 0),
    recordIds,
    requestId: requestId(prefix, offsets),
    ...(trace === undefined ? {} : { trace }),
    source: {
      keyBytes: position => partition.keyBytes(indexes[position] ?? -1),
      headers: position => partition.headers(indexes[position] ?? -1)
    }
  }
}

/**
 * Names one request: the same records give the same key at every attempt. A set with gaps carries a digest of its
 * offsets, so that what is left of a request after a part of it went through does not pass for the whole.
 */
function requestId(prefix: string, offsets: readonly number[]): string {
  const first = offsets[0] ?? 0
  const last = offsets.at(-1) ?? first
  const hasGaps = offsets.some((offset, index) => offset !== first + index)
  const digest = hasGaps ? `-${createHash('sha1').update(offsets.join(',')).digest('hex').slice(0, 12)}` : ''
  return `${prefix}${first}-${last}${digest}`
}

function unavailable(outcome: Extract<SinkOutcome, { kind: 'unavailable' }>): Verdict {
  const { kind: _, ...rest } = outcome
  return { action: 'retry', isUnavailable: true, ...rest }
}

/** What is said of a record that waits for an earlier one. */
export function behind(target: string, verdict?: Verdict): Verdict {
  const reason = `waits behind an earlier record that target ${target} must be given again`
  const waiting = { action: 'retry', reason, isUnavailable: true } as const
  return verdict?.retryAfterMs === undefined ? waiting : { ...waiting, retryAfterMs: verdict.retryAfterMs }
}
