/**
 * The processes that another `comporta scale --apply` of this machine keeps,
 * reached over its Unix socket: only who may open the socket's file may change
 * them. The words are those of `fleet.ts`, as JSON over HTTP.
 */

import { request } from 'node:http'

import { PipelineError } from '../../core/index.ts'
import type { FleetActuator, FleetInstance, FleetSize } from './fleet.ts'
import { httpError, unreachable } from './fleet-error.ts'

/** A drain, and the start of the process in its place, may take this long. */
const TIMEOUT_MS = 600_000

/** Asks and tells the process that keeps the fleet. */
export class SocketFleet implements FleetActuator {
  readonly name: string
  readonly #socket: string

  constructor(socket: string) {
    this.#socket = socket
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
    const ends = [AbortSignal.timeout(TIMEOUT_MS), ...(signal === undefined ? [] : [signal])]
    const options = { socketPath: this.#socket, method, path, signal: AbortSignal.any(ends) }
    let answer: { readonly status: number; readonly text: string }
    try {
      answer = await new Promise((resolve, reject) => {
        const sent = request(options, response => {
          let text = ''
          response.setEncoding('utf8').on('data', (part: string) => (text += part))
          response.once('end', () => resolve({ status: response.statusCode ?? 0, text }))
          response.once('error', reject)
        })
        sent.once('error', reject)
        sent.end()
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
