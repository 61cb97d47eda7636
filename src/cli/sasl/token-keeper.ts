/**
 * Keeps a bearer token: fetched when first needed, fetched anew before it ends.
 *
 * While there is one that counts, nobody waits and nobody hears of a failure:
 * it is tried again in the background until the token ends. Only then does
 * who asks get the reason.
 */

import { backoffMs, type Clock, messageOf, type Random, type Timer } from '../../core/index.ts'
import { counterOf, type Logger, type Meter, observedGaugeOf } from '../../telemetry/index.ts'
import { refreshTimeMs, type RefreshWindows } from './refresh-time.ts'

const retryBackoff = { initialMs: 1_000, maxMs: 60_000 }
/** A token that is to be replaced sooner, in milliseconds, counts as one that has ended. */
const SHORTEST_MS = 100
const TIMER_MAX_MS = 0x7fffffff

/** A token and its life, in milliseconds since 1970. */
export interface FetchedToken {
  readonly value: string
  readonly startsAtMs: number
  readonly expiresAtMs: number
}

/** What it needs. */
export interface TokenKeeperOptions {
  readonly fetch: () => Promise<FetchedToken>
  readonly windows: RefreshWindows
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly meter: Meter
}

/** One token. */
export class TokenKeeper {
  readonly #options: TokenKeeperOptions
  readonly #refreshes: ReturnType<Meter['createCounter']>
  readonly #gauge: ReturnType<Meter['createObservableGauge']>
  readonly #observe: (result: { observe(value: number): void }) => void
  #token: FetchedToken | undefined
  #fetching: Promise<FetchedToken> | undefined
  #timer: Timer | undefined
  #failureCount = 0
  /** Tokens in a row that were to be replaced at once. */
  #shortCount = 0
  #isClosed = false

  constructor(options: TokenKeeperOptions) {
    this.#options = options
    const { meter, clock } = options
    this.#refreshes = counterOf(meter, 'comporta.kafka.token.refreshes')
    this.#gauge = observedGaugeOf(meter, 'comporta.kafka.token.expiry_seconds')
    this.#observe = result => {
      if (this.#token !== undefined) result.observe(Math.floor((this.#token.expiresAtMs - clock.now()) / 1000))
    }
    this.#gauge.addCallback(this.#observe)
  }

  /** A token that counts. Rejects with the reason why there is none. */
  async token(): Promise<string> {
    const { clock } = this.#options
    if (this.#token !== undefined && this.#token.expiresAtMs > clock.now()) return this.#token.value
    return (await this.#fetch()).value
  }

  /** Ends it. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#gauge.removeCallback(this.#observe)
  }

  #fetch(): Promise<FetchedToken> {
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #fetchOnce(): Promise<FetchedToken> {
    try {
      const token = await this.#options.fetch()
      this.#refreshes.add(1, { outcome: 'fetched' })
      this.#token = token
      this.#failureCount = 0
      this.#scheduleRefresh(token)
      return token
    } catch (error) {
      this.#refreshes.add(1, { outcome: 'failed' })
      throw error
    }
  }

  #scheduleRefresh(token: FetchedToken): void {
    const { windows, clock, random, logger } = this.#options
    const nowMs = clock.now()
    const delayMs = refreshTimeMs(token, windows, { nowMs, chance: random.next() }) - nowMs
    if (delayMs >= SHORTEST_MS) {
      this.#shortCount = 0
      this.#schedule(delayMs)
      return
    }
    // A clock that is ahead sees tokens that have ended already: the next one is no better, and asking has its cost.
    this.#shortCount += 1
    const waitMs = backoffMs(retryBackoff, this.#shortCount, random)
    const fields = { validForMs: token.expiresAtMs - nowMs, waitMs }
    logger.warn(fields, 'a token for Kafka ends as soon as it comes: look at the clock of this machine')
    this.#schedule(waitMs)
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel()
    if (this.#isClosed) return
    const boundedMs = Math.min(Math.max(delayMs, 0), TIMER_MAX_MS)
    this.#timer = this.#options.clock.after(boundedMs, () => void this.#refresh()).unref()
  }

  async #refresh(): Promise<void> {
    const { clock, random, logger } = this.#options
    try {
      await this.#fetch()
    } catch (error) {
      this.#failureCount += 1
      const leftMs = (this.#token?.expiresAtMs ?? 0) - clock.now()
      const fields = { reason: messageOf(error), validForMs: Math.max(0, leftMs) }
      logger.warn(fields, 'no new token for Kafka; the old one stays until it ends, and it is tried again')
      this.#schedule(backoffMs(retryBackoff, this.#failureCount, random))
    }
  }
}
