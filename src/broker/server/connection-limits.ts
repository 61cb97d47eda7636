/**
 * How many connections there may be: at a time, from one address, on one
 * listener, and how many new ones per second.
 *
 * Unlike Kafka, which stops accepting when `max.connections` is reached, this
 * broker closes what comes above it: a client then gets an error at once
 * instead of a silence. New connections above the rate wait, as in Kafka, but at
 * most `DELAY_MS_MAX`; with that, waiting connections are bounded too. What comes
 * above the quota of its address is kept waiting and then closed, as in Kafka.
 * Settings are read at every decision, so a change counts at once.
 * Source: KIP-402, KIP-612.
 */

import type { Clock } from '../../core/index.ts'
import type { BrokerSettings } from '../settings.ts'

/** What the limits know of a listener. */
interface LimitedListener {
  readonly name: string
  readonly connectionCountMax: number
}

/** Longest wait of a new connection for its turn, in milliseconds. */
const DELAY_MS_MAX = 10_000
/** New connections that may come at once, in milliseconds of the rate. */
const BURST_MS = 1000

/** Whether a connection may be, and when. */
export type Admission = { readonly delayMs: number } | Refusal

/** A connection that may not be. */
export interface Refusal {
  readonly refusal: string
  /** How long it is kept before it is closed, in milliseconds. Default 0. */
  readonly holdMs?: number
}

/** Counts the connections of one broker. */
export class ConnectionLimits {
  readonly #settings: BrokerSettings
  readonly #clock: Clock
  readonly #tooSoonMs: (address: string) => number
  readonly #byAddress = new Map<string, number>()
  readonly #byListener = new Map<string, number>()
  #count = 0
  /** When the connections admitted so far are paid for, at the rate. */
  #paidUntilMs = Number.NEGATIVE_INFINITY
  #overrides = { text: '', counts: new Map<string, number>() }

  /** @param tooSoonMs - By how much a connection of an address comes too soon for its quota; 0 if it does not. */
  constructor(settings: BrokerSettings, clock: Clock, tooSoonMs: (address: string) => number = () => 0) {
    this.#settings = settings
    this.#clock = clock
    this.#tooSoonMs = tooSoonMs
  }

  /** Counts a connection in, unless it is refused. */
  acquire(address: string, listener: LimitedListener): Admission {
    const refusal = this.#refusal(address, listener)
    if (refusal !== undefined) return { refusal }
    const tooSoonMs = this.#tooSoonMs(address)
    if (tooSoonMs > 0) {
      return {
        refusal: 'more new connections than connection_creation_rate allows',
        holdMs: Math.min(tooSoonMs, DELAY_MS_MAX)
      }
    }
    const delayMs = this.#pay()
    if (delayMs > DELAY_MS_MAX) return { refusal: 'more new connections than max.connection.creation.rate allows' }
    this.#count += 1
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1)
    this.#byListener.set(listener.name, (this.#byListener.get(listener.name) ?? 0) + 1)
    return { delayMs }
  }

  /** Counts a connection out. */
  release(address: string, listener: LimitedListener): void {
    this.#count -= 1
    const count = (this.#byAddress.get(address) ?? 1) - 1
    if (count === 0) this.#byAddress.delete(address)
    else this.#byAddress.set(address, count)
    this.#byListener.set(listener.name, (this.#byListener.get(listener.name) ?? 1) - 1)
  }

  #refusal(address: string, listener: LimitedListener): string | undefined {
    if (this.#count >= this.#settings.number('max.connections')) return 'max.connections are open'
    if ((this.#byListener.get(listener.name) ?? 0) >= listener.connectionCountMax) {
      return `max.connections of the listener ${listener.name} are open`
    }
    const limit = this.#limitOf(address)
    return (this.#byAddress.get(address) ?? 0) >= limit ? `max.connections.per.ip (${limit}) are open` : undefined
  }

  #limitOf(address: string): number {
    const text = this.#settings.text('max.connections.per.ip.overrides')
    if (text !== this.#overrides.text) this.#overrides = { text, counts: parseOverrides(text) ?? new Map() }
    return this.#overrides.counts.get(address) ?? this.#settings.number('max.connections.per.ip')
  }

  /** Milliseconds until the rate has room for one more; it takes its place only if it can wait so long. */
  #pay(): number {
    const nowMs = this.#clock.monotonicMs()
    const startMs = Math.max(this.#paidUntilMs, nowMs - BURST_MS)
    const paidUntilMs = startMs + 1000 / this.#settings.number('max.connection.creation.rate')
    const delayMs = Math.max(0, paidUntilMs - nowMs)
    if (delayMs <= DELAY_MS_MAX) this.#paidUntilMs = paidUntilMs
    return delayMs
  }
}

/** Limits by address of `address:count,…`; `undefined` if the text is none. */
export function parseOverrides(text: string): Map<string, number> | undefined {
  const counts = new Map<string, number>()
  for (const part of text.split(',')) {
    if (part.trim() === '') continue
    const match = /^\s*\[?([^\s\]]+)\]?:(\d{1,10})\s*$/.exec(part)
    if (match?.[1] === undefined) return undefined
    counts.set(match[1], Number(match[2]))
  }
  return counts
}

/** An address as it is counted and shown: an IPv4 address that came over an IPv6 socket is an IPv4 address. */
export function plainAddress(address: string | undefined): string {
  return address?.replace(/^::ffff:(?=\d+\.)/i, '') ?? 'unknown'
}
