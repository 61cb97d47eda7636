/**
 * The processes that another `comporta scale --apply` of this machine keeps,
 * reached over its Unix socket: only who may open the socket's file may change
 * them. The words are those of `fleet.ts`, as JSON over HTTP.
 */

import { type IncomingMessage, request, type RequestOptions } from 'node:http'

import { type Clock, PipelineError, systemClock } from '../../core/index.ts'
import { withDeadline } from './deadline.ts'
import type { FleetActuator, FleetInstance, FleetSize } from './fleet.ts'
import { httpError, unreachable } from './fleet-error.ts'

/** A drain, and the start of the process in its place, may take this long. */
const TIMEOUT_MS = 600_000

/** Asks and tells the process that keeps the fleet. */
export class SocketFleet implements FleetActuator {
  readonly name: string
  readonly #socket: string
  readonly #clock: Clock

  constructor(socket: string, clock: Clock = systemClock) {
    this.#socket = socket
    this.#clock = clock
    this.name = 'local'
  }

  async size(signal?: AbortSignal): Promise<FleetSize> {
    // The other side is this same package.
    return (await this.#ask('GET', '/size', signal)) as FleetSize
  }

  async resize(count: number, signal?: AbortSignal): Promise<void> {
    await this.#ask('POST', `/resize?count=${count}`, signal)
  }

  async instances(signal?: AbortSignal): Promise<readonly FleetInstance[]> {
    return (await this.#ask('GET', '/instances', signal)) as readonly FleetInstance[]
  }

  async restart(instance: string, signal?: AbortSignal): Promise<void> {
    await this.#ask('POST', `/restart?instance=${encodeURIComponent(instance)}`, signal)
  }

  async #ask(method: string, path: string, signal: AbortSignal | undefined): Promise<unknown> {
    const options = { socketPath: this.#socket, method, path }
    const deadline = { clock: this.#clock, timeoutMs: TIMEOUT_MS, signal }
    let answer: { readonly status: number; readonly text: string }
    try {
      answer = await withDeadline(deadline, async ending => {
        const response = await responseOf({ ...options, signal: ending })
        let text = ''
        for await (const part of response.setEncoding('utf8') as AsyncIterable<string>) text += part
        return { status: response.statusCode ?? 0, text }
      })
    } catch (error) {
      const hint = 'the processes of a local fleet are kept by `comporta scale --apply`, which does not run here'
      throw unreachable(error, `${this.#socket}: ${hint}`)
    }
    if (answer.status !== 200) throw httpError(answer.status, 'local', answer.text)
    try {
      return JSON.parse(answer.text) as unknown
    } catch (error) {
      throw new PipelineError('ERR_OPS_REFUSED', `${this.#socket}: the answer is not JSON`, { cause: error })
    }
  }
}

function responseOf(options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(options, resolve)
    sent.once('error', reject)
    sent.end()
  })
}
