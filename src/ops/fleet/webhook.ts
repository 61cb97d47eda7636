/**
 * A fleet behind somebody's own service: two requests, signed.
 *
 *   GET  <url>                       → { "wanted": 3, "running": 3, "min"?, "max"?, "instances"?: […] }
 *   an instance                      { "id": "i-1", "state": "running", "health"?: "…", "incarnation"?: "…" }
 *   POST <url> { "instances": 4 }    → any 2xx: accepted
 *   POST <url> { "restart": "i-1" }  → any 2xx: accepted
 *
 * Each carries `comporta-signature: t=<seconds since 1970>,v1=<HMAC-SHA256, hex>`
 * over `<t>.<method>.<body>` with the shared secret. The receiver refuses what is
 * older than a few minutes, so that nobody can send an old request again; asking
 * for the same size twice does no harm.
 */

import { createHmac } from 'node:crypto'

import { type Clock, PipelineError, systemClock } from '../../core/index.ts'
import { answerText } from './answer-text.ts'
import { withDeadline } from './deadline.ts'
import type { FleetActuator, FleetInstance, FleetSize, InstanceState } from './fleet.ts'
import { httpError, unreachable } from './fleet-error.ts'

/** Where it is. */
export interface WebhookFleetOptions {
  readonly url: string
  /** Shared with the receiver. */
  readonly secret: string
  /** Longest wait for an answer, in milliseconds. Default 10_000. */
  readonly timeoutMs?: number | undefined
  readonly clock?: Clock
}

const ANSWER_CHARACTERS_MAX = 1_048_576
const states: ReadonlySet<string> = new Set(['starting', 'running', 'stopping', 'failed'] satisfies InstanceState[])

/** The header with the signature of a request. */
export function webhookSignature(secret: string, seconds: number, signed: { method: string; body: string }): string {
  const mac = createHmac('sha256', secret).update(`${seconds}.${signed.method}.${signed.body}`).digest('hex')
  return `t=${seconds},v1=${mac}`
}

/** Asks and tells the service. */
export class WebhookFleet implements FleetActuator {
  readonly name: string
  readonly #options: WebhookFleetOptions

  constructor(options: WebhookFleetOptions) {
    this.#options = options
    const { host, pathname } = new URL(options.url)
    this.name = `webhook/${host}${pathname}`
  }

  async size(signal?: AbortSignal): Promise<FleetSize> {
    const { wanted, running, min, max } = await this.#look(signal)
    return {
      wanted: this.#count(wanted, 'wanted'),
      running: this.#count(running, 'running'),
      min: limit(min),
      max: limit(max)
    }
  }

  async resize(count: number, signal?: AbortSignal): Promise<void> {
    await this.#send('POST', JSON.stringify({ instances: count }), signal)
  }

  async instances(signal?: AbortSignal): Promise<readonly FleetInstance[]> {
    const { instances } = await this.#look(signal)
    if (!Array.isArray(instances)) return []
    return instances.map((each: unknown) => this.#instance(each)).toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }

  async restart(instance: string, signal?: AbortSignal): Promise<void> {
    await this.#send('POST', JSON.stringify({ restart: instance }), signal)
  }

  async #look(signal: AbortSignal | undefined): Promise<Record<string, unknown>> {
    const text = await this.#send('GET', '', signal)
    try {
      const value: unknown = JSON.parse(text)
      // Each field is looked at where it is used.
      if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
    } catch {
      // Said below, without the text, which is somebody else's.
    }
    throw new PipelineError('ERR_OPS_REFUSED', `${this.name}: the answer is not a JSON object`)
  }

  #count(value: unknown, name: string): number {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
    throw new PipelineError('ERR_OPS_REFUSED', `${this.name}: the answer has no whole number "${name}"`)
  }

  #instance(value: unknown): FleetInstance {
    const { id, state, health, incarnation } = Object(value) as Record<string, unknown>
    if (typeof id !== 'string' || typeof state !== 'string' || !states.has(state)) {
      const message = `${this.name}: an instance needs "id" and "state" (${[...states].join(', ')})`
      throw new PipelineError('ERR_OPS_REFUSED', message)
    }
    return {
      id,
      state: state as InstanceState,
      health: typeof health === 'string' ? health : state,
      ...(typeof incarnation === 'string' ? { incarnation } : {})
    }
  }

  async #send(method: 'GET' | 'POST', body: string, signal: AbortSignal | undefined): Promise<string> {
    const { url, secret, timeoutMs = 10_000, clock = systemClock } = this.#options
    const seconds = Math.floor(clock.now() / 1000)
    let response: Response
    let text: string
    try {
      const request = {
        method,
        headers: {
          'comporta-signature': webhookSignature(secret, seconds, { method, body }),
          ...(method === 'POST' ? { 'content-type': 'application/json' } : {})
        },
        ...(method === 'POST' ? { body } : {}),
        // A redirect would carry the signature to somebody else.
        redirect: 'error'
      } as const
      const answered = await withDeadline({ clock, timeoutMs, signal }, async ending => {
        const answer = await fetch(url, { ...request, signal: ending })
        return { answer, text: await answerText(answer, ANSWER_CHARACTERS_MAX) }
      })
      response = answered.answer
      text = answered.text
    } catch (error) {
      throw unreachable(error, this.name)
    }
    if (!response.ok) throw httpError(response.status, this.name, text)
    return text
  }
}

function limit(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined
}
