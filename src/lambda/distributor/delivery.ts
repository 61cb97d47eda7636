/**
 * Delivery of one partition's records to one service, in order, one request
 * after the other.
 *
 * - Requests are cut by count and bytes.
 * - Unavailable (or out of time): this and everything after it waits for the
 *   next attempt.
 * - Refused: halved until the bad record is alone; that one is dead-lettered and
 *   the others go on.
 * - A record that must be tried again takes all later ones of its scope (the
 *   service, or the key at the service) with it, also those that the service
 *   took: they are sent again behind it, so that order holds.
 *
 * No request starts, and none goes on, past the invocation's deadline less
 * `reserveMs`: an answer that names what is undone is worth more than a timeout,
 * which would lose the memory of what is done.
 */

import { createHash } from 'node:crypto'

import { messageOf } from '../../core/index.ts'
import { type EventPartition, textOf } from '../event/read-event.ts'
import type { HttpClient } from './http-client.ts'
import type { FinalWord } from './ledger.ts'
import { type DistributorSettings, REQUEST_MS_MIN, type Service } from './options.ts'
import { readReply, type ServiceOutcome } from './service-reply.ts'
import type { Verdict } from './verdict.ts'

/** What a delivery needs besides its records. */
export interface DeliveryRuntime {
  readonly settings: DistributorSettings
  readonly http: HttpClient
  /** Milliseconds until requests must be over. */
  timeLeftMs(): number
}

/** The records of one partition on their way to one service. */
export class Delivery {
  readonly service: Service
  readonly partition: EventPartition
  /** Indexes of the records, in order. */
  readonly indexes: number[] = []
  readonly #runtime: DeliveryRuntime
  readonly #verdicts = new Map<number, Verdict>()
  readonly #blockedKeys = new Set<string>()
  /** Set once everything after it must wait. */
  #stop: Verdict | undefined
  #bisectRequestsLeft: number

  constructor(service: Service, partition: EventPartition, runtime: DeliveryRuntime) {
    this.service = service
    this.partition = partition
    this.#runtime = runtime
    this.#bisectRequestsLeft = runtime.settings.bisectRequestsMax
  }

  /** Verdicts of this service by record index; records without one are well. */
  get verdicts(): ReadonlyMap<number, Verdict> {
    return this.#verdicts
  }

  /** What the service has said for good about a record of this delivery, if it has. */
  finalWord(index: number): FinalWord | undefined {
    const verdict = this.#verdicts.get(index)
    if (verdict === undefined) return 'ok'
    return verdict.action === 'retry' ? undefined : verdict
  }

  /** Delivers everything; afterwards every record is well or has a verdict. Never rejects. */
  async run(): Promise<void> {
    const { recordsMax, bytesMax } = this.#runtime.settings
    let request: number[] = []
    let bytes = 0
    for (const index of this.indexes) {
      const text = textOf(this.partition, index)
      if (text === undefined) {
        this.#verdicts.set(index, {
          action: 'deadLetter',
          reason: 'the event is nested too deeply to be written again'
        })
        continue
      }
      const size = Buffer.byteLength(text) + 1
      if (request.length > 0 && (request.length >= recordsMax || bytes + size > bytesMax)) {
        await this.#deliver(request)
        request = []
        bytes = 0
      }
      request.push(index)
      bytes += size
    }
    await this.#deliver(request)
  }

  async #deliver(given: readonly number[]): Promise<void> {
    const indexes = this.#withoutBlocked(given)
    if (indexes.length === 0) return
    const outcome = await this.#post(indexes)
    switch (outcome.kind) {
      case 'ok':
        return
      case 'partial':
        return this.#settlePartial(indexes, outcome.verdicts)
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
      return
    }
    if (this.#bisectRequestsLeft < 2) {
      // The next attempt goes on from here: the bad records found so far will be gone.
      return this.#halt(indexes, { action: 'retry', reason: `${reason}; the bad record was not found yet` })
    }
    this.#bisectRequestsLeft -= 2
    const middle = indexes.length >>> 1
    await this.#deliver(indexes.slice(0, middle))
    await this.#deliver(indexes.slice(middle))
  }

  #settlePartial(indexes: readonly number[], verdicts: ReadonlyMap<number, Verdict>): void {
    for (const index of indexes) {
      const own = verdicts.get(this.partition.offsets[index] ?? -1)
      const waiting = this.#blockedBy(index)
      if (waiting !== undefined) this.#verdicts.set(index, waiting)
      else if (own !== undefined) {
        this.#verdicts.set(index, own)
        if (own.action === 'retry') this.#block(index, own)
      }
    }
  }

  #block(index: number, verdict: Verdict): void {
    if (this.#runtime.settings.order === 'partition' || this.partition.keys === undefined) {
      this.#stop = behind(this.service.name, verdict)
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
    return key !== null && this.#blockedKeys.has(key) ? behind(this.service.name) : undefined
  }

  #keyOf(index: number): string | null {
    return this.partition.keys?.[index] ?? null
  }

  async #post(indexes: readonly number[]): Promise<ServiceOutcome> {
    const { service, partition } = this
    const timeoutMs = Math.min(service.timeoutMs, this.#runtime.timeLeftMs())
    if (timeoutMs < REQUEST_MS_MIN) {
      return { kind: 'unavailable', reason: `no time was left in the invocation for service ${service.name}` }
    }
    const offsets = indexes.map(index => partition.offsets[index] ?? 0)
    const headers = {
      ...service.headers,
      'content-type': 'application/json',
      'idempotency-key': batchKey(partition, offsets, service.name)
    }
    try {
      const body = requestBody(partition, indexes, offsets)
      const reply = await this.#runtime.http.post(service.url, { headers, body, timeoutMs })
      return readReply(service.name, reply, new Set(offsets))
    } catch (error) {
      // No whole reply: the service may or may not have taken the records.
      const reason = `service ${service.name}: ${messageOf(error) || 'no reply'}`
      return wasReached(error) ? { kind: 'unavailable', reason, isSuspect: true } : { kind: 'unavailable', reason }
    }
  }
}

/** Names a record for good: the key by which a service can tell that it has seen it. */
export function recordId(partition: EventPartition, offset: number): string {
  return `${partition.topic}-${partition.partition}-${offset}`
}

function requestBody(partition: EventPartition, indexes: readonly number[], offsets: readonly number[]): string {
  const source = JSON.stringify({ topic: partition.topic, partition: partition.partition })
  const ids = JSON.stringify(offsets.map(offset => recordId(partition, offset)))
  // Texts and not objects: what was produced is passed on as it is.
  const messages = indexes.map(index => textOf(partition, index) ?? 'null').join(',')
  return `{"source":${source},"messages":[${messages}],"offsets":[${offsets.join(',')}],"idempotencyKeys":${ids}}`
}

/**
 * Names one request: the same records give the same key at every attempt. A set with gaps carries a digest of its
 * offsets, so that what is left of a request after a part of it went through does not pass for the whole.
 */
function batchKey(partition: EventPartition, offsets: readonly number[], service: string): string {
  const first = offsets[0] ?? 0
  const last = offsets.at(-1) ?? first
  const hasGaps = last - first + 1 !== offsets.length
  const digest = hasGaps ? `-${createHash('sha1').update(offsets.join(',')).digest('hex').slice(0, 12)}` : ''
  return `${partition.topic}-${partition.partition}-${first}-${last}${digest}-${service}`
}

function unavailable(outcome: Extract<ServiceOutcome, { kind: 'unavailable' }>): Verdict {
  const { kind: _, ...rest } = outcome
  return { action: 'retry', isUnavailable: true, ...rest }
}

const NOT_REACHED: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT'
])

/** Whether the service may have seen the request, so that the records may be what broke it. */
function wasReached(error: unknown): boolean {
  return !(error instanceof Error && 'code' in error && NOT_REACHED.has(error.code))
}

function behind(service: string, verdict?: Verdict): Verdict {
  const reason = `waits behind an earlier record that service ${service} must be given again`
  const waiting = { action: 'retry', reason, isUnavailable: true } as const
  return verdict?.retryAfterMs === undefined ? waiting : { ...waiting, retryAfterMs: verdict.retryAfterMs }
}
