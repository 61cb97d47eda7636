/**
 * Something that is read from places which change: certificates, passwords.
 *
 * It is looked at every so often and on SIGHUP, as long as somebody listens to
 * it. What is new and sound takes the place of what was; what is new and not
 * sound, or out of reach, changes nothing: a line in the log and a number say
 * so, once per problem, and it is looked at again soon, because certificate
 * and key are often replaced by two writes.
 */

import type { Renewable } from '../../client/index.ts'
import { type Clock, messageOf, PipelineError, type Timer } from '../../core/index.ts'
import type { Counter, Logger } from '../../telemetry/index.ts'
import { onHangup } from '../process/hangup.ts'

/** How soon something that was refused is looked at again, in milliseconds. */
export const REFUSED_RETRY_MS = 5_000
/** The same for a place out of reach. */
export const UNREACHABLE_RETRY_MS = 30_000

/** One look. */
export interface Reading<T> {
  readonly value: T
  /** Differs when the value does. Never the value itself. */
  readonly fingerprint: string
}

/** How to look. */
export interface WatchOptions<T> {
  /** In words, for the log: `the certificates of kafka.tls`. */
  readonly what: string
  /** Throws `ERR_CONFIG_CREDENTIALS` (cannot be used) or `ERR_CLI_CREDENTIALS_UNREACHABLE` (cannot be had). */
  readonly read: () => Promise<Reading<T>>
  /** `undefined`: it cannot change. */
  readonly everyMs: number | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** Counts looks that had a consequence, by `outcome`: taken, refused, unreachable. */
  readonly reloads: Counter
  /** Names it among others in metrics. */
  readonly material: string
  /** What the log says of a new one besides. */
  readonly describe?: (value: T) => Readonly<Record<string, unknown>>
}

/** The newest that is sound. */
export class Watched<T> implements Renewable<T> {
  readonly #options: WatchOptions<T>
  readonly #listeners = new Set<() => void>()
  #reading: Reading<T>
  #timer: Timer | undefined
  #endHangup: (() => void) | undefined
  #looking: Promise<void> | undefined
  #problem: string | undefined

  private constructor(options: WatchOptions<T>, reading: Reading<T>) {
    this.#options = options
    this.#reading = reading
  }

  /** Reads it for the first time; what goes wrong then is the caller's. */
  static async open<T>(options: WatchOptions<T>): Promise<Watched<T>> {
    return new Watched(options, await options.read())
  }

  current(): T {
    return this.#reading.value
  }

  /** Calls back when there is a new one; looks for one as long as somebody wants to know. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    if (this.#listeners.size === 1) this.#begin()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#end()
    }
  }

  /** Looks now. Looks that meet are one. Never rejects. */
  async look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    await this.#looking
  }

  #begin(): void {
    const { everyMs } = this.#options
    if (everyMs === undefined) return
    this.#schedule(everyMs)
    this.#endHangup = onHangup(() => void this.look())
  }

  #end(): void {
    this.#timer?.cancel()
    this.#endHangup?.()
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel()
    this.#timer = this.#options.clock.after(delayMs, () => void this.look()).unref()
  }

  async #look(): Promise<void> {
    const { everyMs = Number.POSITIVE_INFINITY, read } = this.#options
    let nextMs = everyMs
    try {
      this.#take(await read())
    } catch (error) {
      nextMs = Math.min(everyMs, this.#refuse(error))
    }
    if (this.#listeners.size > 0) this.#schedule(nextMs)
    this.#options.logger.debug({ nextMs }, `${this.#options.what} were looked at`)
  }

  #take(reading: Reading<T>): void {
    const { what, logger, reloads, material, describe } = this.#options
    if (this.#problem !== undefined && reading.fingerprint === this.#reading.fingerprint) {
      logger.info({}, `${what} can be read again, and are as before`)
    }
    this.#problem = undefined
    if (reading.fingerprint === this.#reading.fingerprint) return
    this.#reading = reading
    reloads.add(1, { material, outcome: 'taken' })
    logger.info(describe?.(reading.value) ?? {}, `${what} have changed: connections are renewed one by one`)
    for (const listener of this.#listeners) listener()
  }

  /** @returns When to look again, in milliseconds. */
  #refuse(error: unknown): number {
    const { what, logger, reloads, material } = this.#options
    const isUnreachable = PipelineError.is(error, 'ERR_CLI_CREDENTIALS_UNREACHABLE')
    const reason = messageOf(error)
    if (isUnreachable || reason !== this.#problem) {
      reloads.add(1, { material, outcome: isUnreachable ? 'unreachable' : 'refused' })
    }
    if (reason !== this.#problem) {
      const fields = { code: PipelineError.is(error) ? error.code : undefined, reason }
      if (isUnreachable) logger.warn(fields, `${what} cannot be looked at now: the old ones stay`)
      else logger.error(fields, `${what} have changed and cannot be used: the old ones stay`)
    }
    this.#problem = reason
    return isUnreachable ? UNREACHABLE_RETRY_MS : REFUSED_RETRY_MS
  }
}
