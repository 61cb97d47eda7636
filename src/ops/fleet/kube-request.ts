/** Requests to a Kubernetes API: JSON over verified TLS, with the credentials of the moment. */

import { type IncomingMessage, request as httpRequest } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'

import { type Clock, PipelineError } from '../../core/index.ts'
import { withDeadline } from './deadline.ts'
import { httpError, unreachable } from './fleet-error.ts'
import type { KubeAccess } from './kube-access.ts'

/** A request. */
export interface KubeRequest {
  readonly method: 'GET' | 'PATCH' | 'DELETE'
  readonly path: string
  /** For PATCH: a JSON merge patch. Source: RFC 7396. */
  readonly body?: unknown
  /** For messages: `deployment default/consumer`. */
  readonly what: string
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
}

const TIMEOUT_MS = 15_000
/** A list of a thousand pods has some ten megabytes. */
const ANSWER_BYTES_MAX = 67_108_864

/**
 * Sends it.
 *
 * @returns The object of the answer.
 * @throws PipelineError `ERR_OPS_NOT_FOUND`, `ERR_OPS_REFUSED` (no right, conflict), `ERR_OPS_FLEET_UNREACHABLE`.
 */
export async function kubeRequest(access: KubeAccess, given: KubeRequest): Promise<unknown> {
  const { token, cert, key } = await access.credentials()
  const text = given.body === undefined ? undefined : JSON.stringify(given.body)
  const url = new URL(`${access.server}${given.path}`)
  const options = {
    method: given.method,
    headers: {
      accept: 'application/json',
      'user-agent': 'comporta',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(text === undefined
        ? {}
        : { 'content-type': 'application/merge-patch+json', 'content-length': Buffer.byteLength(text) })
    },
    ...(access.ca === undefined ? {} : { ca: access.ca }),
    ...(access.servername === undefined ? {} : { servername: access.servername }),
    ...(cert === undefined || key === undefined ? {} : { cert, key })
  }
  let answer: { readonly status: number; readonly body: string }
  try {
    const { clock, signal } = given
    answer = await withDeadline({ clock, timeoutMs: TIMEOUT_MS, signal }, async ending => {
      const response = await responseOf(url, { ...options, signal: ending }, text)
      return { status: response.statusCode ?? 0, body: await readAll(response) }
    })
  } catch (error) {
    throw unreachable(error, given.what)
  }
  // A token may be taken back before it ends: the next request asks for another.
  if (answer.status === 401) access.forget?.()
  const value = jsonOf(answer.body)
  if (answer.status < 200 || answer.status > 299) {
    throw httpError(answer.status, given.what, typeof value?.['message'] === 'string' ? value['message'] : '')
  }
  if (value === undefined) throw new PipelineError('ERR_OPS_REFUSED', `${given.what}: the answer is not JSON`)
  return value
}

function responseOf(url: URL, options: RequestOptions, text: string | undefined): Promise<IncomingMessage> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const sent = send(url, options, resolve)
    sent.once('error', reject)
    sent.end(text)
  })
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function jsonOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    // An object of Kubernetes: its fields are looked at where they are used.
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
