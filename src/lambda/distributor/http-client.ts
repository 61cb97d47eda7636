/**
 * How the distributor posts to a service.
 *
 * undici's request API with kept connections: measured at 55 µs of CPU for a
 * request of 55 kB, against 190 µs for `fetch` and 75 µs for `node:http`.
 */

import { Agent, request } from 'undici'

import { type Clock, systemClock } from '../../core/index.ts'

/** Most bytes of a service's reply that are read. */
export const REPLY_BYTES_MAX = 1_048_576

/** One request. */
export interface HttpPost {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Longest wait for the whole reply, in milliseconds. */
  readonly timeoutMs: number
}

/** A service's reply. */
export interface HttpReply {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly contentType: string | undefined
  readonly body: string
}

/** Posts to a service. Rejects when no whole reply came: refused, reset, too late, too large. */
export interface HttpClient {
  post(url: string, post: HttpPost): Promise<HttpReply>
  close(): Promise<void>
}

/** A client over keep-alive connections, at most `connections` per service (default 16). */
export function createHttpClient(options: { readonly connections?: number; readonly clock?: Clock } = {}): HttpClient {
  const clock = options.clock ?? systemClock
  const agent = new Agent({ connections: options.connections ?? 16, pipelining: 1 })
  return {
    post: (url, post) => send(url, post, { agent, clock }),
    close: () => agent.close()
  }
}

async function send(url: string, post: HttpPost, via: { agent: Agent; clock: Clock }): Promise<HttpReply> {
  // undici's own timeouts are coarse (about a second); an invocation's deadline is not.
  const controller = new AbortController()
  const reason = new Error(`no reply within ${Math.round(post.timeoutMs)} ms`)
  const timer = via.clock.after(post.timeoutMs, () => controller.abort(reason))
  try {
    const { statusCode, headers, body } = await request(url, {
      method: 'POST',
      headers: { ...post.headers },
      body: post.body,
      dispatcher: via.agent,
      signal: controller.signal,
      headersTimeout: 0,
      bodyTimeout: 0
    })
    const text = await readText(body)
    return {
      status: statusCode,
      retryAfter: one(headers['retry-after']),
      contentType: one(headers['content-type']),
      body: text
    }
  } catch (error) {
    throw controller.signal.aborted ? reason : error
  } finally {
    timer.cancel()
  }
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > REPLY_BYTES_MAX) throw new Error(`the reply is larger than ${REPLY_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function one(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}
