/**
 * Asks a source for many keys: in batches, so many at a time, again after a failure, halving what is refused.
 *
 * - A request that fails is repeated up to `ATTEMPTS_MAX` times with growing waits, as long as there is time; what
 *   DynamoDB has left unprocessed likewise.
 * - A refused batch is halved until the bad key is alone, `BISECT_REQUESTS_MAX` requests at most: one key does not
 *   fail the others.
 * - After `PAUSE_FAILURES` failures in a row the source is left alone for a second (or as long as it asks, half a
 *   minute at most): events are then answered at once instead of waiting for what does not answer.
 * - Values larger or deeper than allowed are failures of their key.
 */

import { backoffMs, type Clock, type Random, sleep } from '../../core/index.ts'
import { depthOf } from './json-text.ts'
import {
  ABSENT,
  DEPTH_MAX,
  type LookupFailure,
  type LookupSource,
  type Resolution,
  type SourceAnswer
} from './source.ts'

const ATTEMPTS_MAX = 3
const BACKOFF = { initialMs: 25, maxMs: 500 } as const
const BISECT_REQUESTS_MAX = 64
const PAUSE_FAILURES = 8
const PAUSE_MS = 1_000
const PAUSE_MS_MAX = 30_000

/** How a source is asked. */
export interface SourceReaderOptions {
  readonly source: LookupSource
  readonly concurrency: number
  readonly batchMax: number
  readonly valueBytesMax: number
  readonly clock: Clock
  readonly random: Random
  /** Told of failures that only a change of set-up can end. */
  readonly onSetupFailure: (reason: string) => void
}

/** One call: where results go, and what it may still do. */
interface Reading {
  readonly results: Map<string, Resolution>
  readonly signal: AbortSignal
  bisectRequestsLeft: number
}

type Unavailable = Extract<SourceAnswer, { kind: 'unavailable' }>

/** Reads keys from a source. */
export class SourceReader {
  readonly #options: SourceReaderOptions
  readonly #waiting: (() => void)[] = []
  #active = 0
  #failuresInRow = 0
  #pausedUntilMs = Number.NEGATIVE_INFINITY

  constructor(options: SourceReaderOptions) {
    this.#options = options
  }

  /** Fills `results` as answers come; afterwards every key has one. Never rejects. */
  async read(keys: readonly string[], results: Map<string, Resolution>, signal: AbortSignal): Promise<void> {
    const { source, concurrency, batchMax } = this.#options
    const size = Math.min(batchMax, source.keysMax)
    const reading: Reading = { results, signal, bisectRequestsLeft: BISECT_REQUESTS_MAX }
    let next = 0
    const work = async (): Promise<void> => {
      while (next < keys.length) {
        const batch = keys.slice(next, next + size)
        next += size
        await this.#settle(batch, reading)
      }
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, Math.ceil(keys.length / size)) }, work))
  }

  async #settle(batch: readonly string[], reading: Reading): Promise<void> {
    let keys = batch
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#ask(keys, reading)
      if (answer.kind === 'rejected') return this.#halve(keys, answer, reading)
      let failure: Unavailable | undefined
      if (answer.kind === 'answered') {
        keys = this.#take(keys, answer, reading)
        if (keys.length === 0) return
        failure = { kind: 'unavailable', reason: `${this.#options.source.name} had no room for all keys` }
      } else failure = answer
      const isLater = failure.isFinal === true || (failure.retryAfterMs ?? 0) > BACKOFF.maxMs
      const isOver = isLater || attempt >= ATTEMPTS_MAX || this.#pauseLeftMs() > 0
      if (isOver || !(await this.#wait(attempt, failure, reading.signal))) return this.#fail(keys, failure, reading)
    }
  }

  #wait(attempt: number, { retryAfterMs }: Unavailable, signal: AbortSignal): Promise<boolean> {
    const { clock, random } = this.#options
    const delayMs = backoffMs(BACKOFF, attempt, random)
    return sleep(clock, Math.max(delayMs, retryAfterMs ?? 0), signal)
  }

  /** @returns The keys that must be asked for again. */
  #take(keys: readonly string[], answer: Extract<SourceAnswer, { kind: 'answered' }>, reading: Reading): string[] {
    const again = new Set(answer.unanswered)
    for (const key of keys) {
      if (again.has(key)) continue
      const text = answer.texts.get(key)
      reading.results.set(key, text === undefined ? ABSENT : this.#checked(text))
    }
    return [...again]
  }

  #checked(text: string): Resolution {
    const { source, valueBytesMax } = this.#options
    if (text.length > valueBytesMax || Buffer.byteLength(text) > valueBytesMax) {
      return failed(`${source.name} has a value of more than ${valueBytesMax} bytes`)
    }
    if (depthOf(text) > DEPTH_MAX) return failed(`${source.name} has a value that is nested deeper than ${DEPTH_MAX}`)
    return { kind: 'found', text }
  }

  async #halve(
    keys: readonly string[],
    { reason, isUnclear }: Extract<SourceAnswer, { kind: 'rejected' }>,
    reading: Reading
  ): Promise<void> {
    const [only] = keys
    if (only !== undefined && keys.length === 1) {
      // A key that is wrong cannot always be told from a set-up that is: then nothing is held against the record.
      if (isUnclear === true) this.#options.onSetupFailure(reason)
      const failure =
        isUnclear === true ? { reason, isUnavailable: true, isSuspect: true } : { reason, isUnavailable: false }
      reading.results.set(only, { kind: 'failed', failure })
      return
    }
    if (reading.bisectRequestsLeft < 2) {
      return this.#fail(keys, { kind: 'unavailable', reason: `${reason}; the bad key was not found yet` }, reading)
    }
    reading.bisectRequestsLeft -= 2
    const middle = keys.length >>> 1
    await this.#settle(keys.slice(0, middle), reading)
    await this.#settle(keys.slice(middle), reading)
  }

  #fail(keys: readonly string[], answer: Unavailable, { results }: Reading): void {
    const pauseMs = this.#pauseLeftMs()
    const retryAfterMs = pauseMs > 0 ? Math.ceil(pauseMs) : answer.retryAfterMs
    const failure: LookupFailure = {
      reason: answer.reason,
      isUnavailable: true,
      ...(answer.isSuspect === true ? { isSuspect: true } : {}),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs })
    }
    for (const key of keys) results.set(key, { kind: 'failed', failure })
  }

  #pauseLeftMs(): number {
    return this.#pausedUntilMs - this.#options.clock.monotonicMs()
  }

  async #ask(keys: readonly string[], { results, signal }: Reading): Promise<SourceAnswer> {
    const { source, concurrency } = this.#options
    // Others of this environment may be at it: invocations can overlap where Lambda allows it.
    while (this.#active >= concurrency) await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      this.#active += 1
      if (this.#pauseLeftMs() > 0)
        return { kind: 'unavailable', reason: `${source.name} does not answer`, isFinal: true }
      if (signal.aborted)
        return { kind: 'unavailable', reason: `no time was left to ask ${source.name}`, isFinal: true }
      // Whoever stops waiting learns from it which keys may be what the source hangs on.
      const hanging: Resolution = {
        kind: 'failed',
        failure: { reason: `${source.name} did not answer in time`, isUnavailable: true, isSuspect: true }
      }
      for (const key of keys) if (!results.has(key)) results.set(key, hanging)
      const answer = await source.ask(keys, signal)
      this.#judge(answer)
      return answer
    } finally {
      this.#active -= 1
      this.#waiting.shift()?.()
    }
  }

  #judge(answer: SourceAnswer): void {
    if (answer.kind !== 'unavailable') {
      this.#failuresInRow = 0
      return
    }
    if (answer.isFinal === true) this.#options.onSetupFailure(answer.reason)
    this.#failuresInRow += 1
    if (this.#failuresInRow < PAUSE_FAILURES) return
    const pauseMs = Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS, answer.retryAfterMs ?? 0))
    this.#pausedUntilMs = this.#options.clock.monotonicMs() + pauseMs
    // One more failure after the pause begins the next one.
    this.#failuresInRow = PAUSE_FAILURES - 1
  }
}

function failed(reason: string): Resolution {
  return { kind: 'failed', failure: { reason, isUnavailable: false } }
}
