/**
 * What clients may use per second, and how long they must wait when they used more.
 *
 * A handler tells what a request used and gets a throttle time; the answer goes
 * out at once with that time in it, and the connection reads no further request
 * until the time is over (KIP-219). Without any quota each question costs one
 * comparison. The bytes of a produce request are counted when it came, those of
 * a fetch before they are sent: a fetch that is over the quota is answered without
 * records. Changes of topics pay in partitions (KIP-599).
 *
 * Limits: `CLIENTS_MAX` clients are remembered by kind of quota; those idle for
 * all windows weigh nothing and go first. Client ids count by their first
 * `CLIENT_ID_LENGTH_MAX` characters.
 */

import type { Clock } from '../../../core/index.ts'
import { type ClientQuotaKey, connectionLimitFor, type Limit, limitFor } from './quota-entities.ts'
import { QuotaStore } from './quota-store.ts'
import { SampledRate, TokenBucket, type Windows } from './sampled-rate.ts'

/** Most clients whose use is remembered. */
export const CLIENTS_MAX = 20_000
/** Longest client id that is counted by itself: clients choose it, and it is remembered. */
const CLIENT_ID_LENGTH_MAX = 256
/** Longest throttle for the time requests take, in milliseconds: one window, as in Kafka. */
const REQUEST_WINDOWS_MAX = 1

/** Who used something. */
export interface QuotaClient {
  /** `User:alice`; quotas are for `alice`. */
  readonly principal: string
  readonly clientId: string
}

/** How quotas count. */
export interface QuotasOptions {
  readonly dataDir: string
  readonly clock: Clock
  /** Kafka `quota.window.num` and `quota.window.size.seconds`. */
  readonly windows: Windows
  /** Kafka `controller.quota.window.num` and `controller.quota.window.size.seconds`. */
  readonly mutationWindows: Windows
}

/** Things that are counted and forget when they were last used. */
interface Counted {
  readonly lastMs: number
}

/** Quotas that are rates of what came. */
type RateKey = Exclude<ClientQuotaKey, 'controller_mutation_rate'>

/** Counters of clients, at most `CLIENTS_MAX`. */
class Counters<T extends Counted> {
  readonly #make: () => T
  readonly #idleMs: number
  readonly #byName = new Map<string, T>()

  constructor(windows: Windows, make: () => T) {
    this.#make = make
    this.#idleMs = windows.count * windows.windowMs
  }

  get(name: string, nowMs: number): T {
    const known = this.#byName.get(name)
    if (known !== undefined) return known
    if (this.#byName.size >= CLIENTS_MAX) this.#makeRoom(nowMs)
    const fresh = this.#make()
    this.#byName.set(name, fresh)
    return fresh
  }

  /** Those whose windows are all empty cost nothing to forget; if there are none, the oldest goes. */
  #makeRoom(nowMs: number): void {
    for (const [name, { lastMs }] of this.#byName) if (nowMs - lastMs >= this.#idleMs) this.#byName.delete(name)
    for (const name of this.#byName.keys()) {
      if (this.#byName.size < CLIENTS_MAX) return
      this.#byName.delete(name)
    }
  }
}

/** Quotas of one broker. */
export class Quotas {
  readonly store: QuotaStore
  readonly #clock: Clock
  readonly #windows: Windows
  readonly #limits: Map<string, Limit | undefined>
  readonly #rates: Readonly<Record<RateKey, Counters<SampledRate>>>
  readonly #mutations: Counters<TokenBucket>
  readonly #connections: Counters<SampledRate>

  private constructor(store: QuotaStore, options: QuotasOptions, limits: Map<string, Limit | undefined>) {
    const { clock, windows, mutationWindows } = options
    this.store = store
    this.#clock = clock
    this.#windows = windows
    this.#limits = limits
    const rates = (): Counters<SampledRate> => new Counters(windows, () => new SampledRate(windows))
    this.#rates = { producer_byte_rate: rates(), consumer_byte_rate: rates(), request_percentage: rates() }
    this.#connections = rates()
    this.#mutations = new Counters(mutationWindows, () => new TokenBucket(mutationWindows))
  }

  /**
   * Opens the quotas in a data folder.
   *
   * @throws PipelineError `ERR_BROKER_DATA_DAMAGED`, see `QuotaStore.open`.
   */
  static async open(options: QuotasOptions): Promise<Quotas> {
    const limits = new Map<string, Limit | undefined>()
    const store = await QuotaStore.open(options.dataDir, () => limits.clear())
    return new Quotas(store, options, limits)
  }

  /** Whether there is any quota. */
  get isActive(): boolean {
    return this.store.table.size > 0
  }

  /** Counts the bytes of a produce request. @returns Milliseconds that the client is to wait. */
  produced(client: QuotaClient, bytes: number): number {
    return this.#used('producer_byte_rate', client, bytes)
  }

  /** Counts the bytes of an answer to a fetch, unless they are too many now: then it is to be sent without them. */
  fetched(client: QuotaClient, bytes: number): number {
    const throttleMs = this.#used('consumer_byte_rate', client, bytes)
    if (throttleMs > 0) this.#used('consumer_byte_rate', client, -bytes)
    return throttleMs
  }

  /** Most bytes that an answer to a fetch may have: more than that would never be within the quota. */
  fetchBytesMax(client: QuotaClient): number {
    const limit = this.#limitOf('consumer_byte_rate', client)
    if (limit === undefined) return Number.MAX_SAFE_INTEGER
    return Math.floor((limit.value * (this.#windows.count - 1) * this.#windows.windowMs) / 1000)
  }

  /** Counts the time that a request took of the broker's one thread. */
  worked(client: QuotaClient, ms: number): number {
    // Percent per second: 10 ms in a second are 1 %.
    const throttleMs = this.#used('request_percentage', client, ms / 10)
    return Math.min(throttleMs, REQUEST_WINDOWS_MAX * this.#windows.windowMs)
  }

  /** What a client may change of topics in one request. */
  mutationsOf(client: QuotaClient, isStrict: boolean): Mutations {
    const limit = this.#limitOf('controller_mutation_rate', client)
    if (limit === undefined) return UNLIMITED_MUTATIONS
    const bucket = this.#mutations.get(limit.sharedBy, this.#clock.monotonicMs())
    return new LimitedMutations({ bucket, limit: limit.value, clock: this.#clock, isStrict })
  }

  /** Counts a new connection from an address, unless it comes too soon. @returns Milliseconds it comes too soon by. */
  connected(ip: string): number {
    if (!this.isActive) return 0
    const limit = connectionLimitFor(this.store.table, ip)
    if (limit === undefined) return 0
    const nowMs = this.#clock.monotonicMs()
    const rate = this.#connections.get(ip, nowMs)
    rate.record(1, nowMs)
    const throttleMs = rate.throttleMs(limit, nowMs)
    if (throttleMs > 0) rate.record(-1, nowMs)
    return throttleMs
  }

  #used(key: RateKey, client: QuotaClient, amount: number): number {
    const limit = this.#limitOf(key, client)
    if (limit === undefined) return 0
    const nowMs = this.#clock.monotonicMs()
    const rate = this.#rates[key].get(limit.sharedBy, nowMs)
    rate.record(amount, nowMs)
    return rate.throttleMs(limit.value, nowMs)
  }

  #limitOf(key: ClientQuotaKey, { principal, clientId: given }: QuotaClient): Limit | undefined {
    if (!this.isActive) return undefined
    const clientId = given.length > CLIENT_ID_LENGTH_MAX ? given.slice(0, CLIENT_ID_LENGTH_MAX) : given
    const who = `${key} ${principal.length} ${principal}${clientId}`
    if (this.#limits.has(who)) return this.#limits.get(who)
    const user = principal.slice(principal.indexOf(':') + 1)
    const limit = limitFor(this.store.table, key, { user, clientId })
    if (this.#limits.size >= CLIENTS_MAX) this.#limits.clear()
    this.#limits.set(who, limit)
    return limit
  }
}

/** What one request changes of topics. */
export interface Mutations {
  /** Pays for so many partitions. @returns False if the request is strict and its client owes something already. */
  pay(partitionCount: number): boolean
  /** Milliseconds that the client is to wait. */
  readonly throttleMs: number
}

const UNLIMITED_MUTATIONS: Mutations = { pay: () => true, throttleMs: 0 }

class LimitedMutations implements Mutations {
  readonly #options: { bucket: TokenBucket; limit: number; clock: Clock; isStrict: boolean }

  constructor(options: { bucket: TokenBucket; limit: number; clock: Clock; isStrict: boolean }) {
    this.#options = options
  }

  pay(partitionCount: number): boolean {
    const { bucket, limit, clock, isStrict } = this.#options
    const nowMs = clock.monotonicMs()
    // The bucket may be overdrawn once: a topic of many partitions must be possible at some time.
    if (isStrict && bucket.throttleMs(limit, nowMs) > 0) {
      this.#isRefused = true
      return false
    }
    bucket.take(partitionCount, limit, nowMs)
    return true
  }

  get throttleMs(): number {
    const { bucket, limit, clock, isStrict } = this.#options
    if (isStrict && !this.#isRefused) return 0
    return bucket.throttleMs(limit, clock.monotonicMs())
  }

  #isRefused = false
}
