/**
 * Trouble between a client of AWS and moto: a proxy that passes requests on, and
 * answers, cuts or changes those that a test names. What it passes on is real.
 */

import { createServer, type IncomingMessage, request as httpRequest } from 'node:http'
import type { TestContext } from 'node:test'

/** One request on its way. */
export interface AwsRequest {
  /** `X-Amz-Target` (`AmazonSQS.SendMessageBatch`) or, in the query protocol, `Action=…`. */
  readonly action: string
  readonly body: string
  /** How many requests with this action came before. */
  readonly index: number
}

/** What becomes of it: passed on as it is, answered here, cut, or passed on with the answer changed. */
export type AwsVerdict =
  | 'pass'
  /** The connection ends without an answer; the service never sees the request. */
  | 'cut'
  /** Passed on, and the connection ends before the answer. */
  | 'cutAnswer'
  | { readonly status: number; readonly body: string; readonly headers?: Readonly<Record<string, string>> }
  /** Passed on with another body; the answer is changed. */
  | { readonly send?: string; readonly change: (answer: string) => string }

/** A proxy that runs. */
export interface AwsProxy {
  readonly endpoint: string
  readonly requests: readonly AwsRequest[]
}

/** Starts a proxy in front of an endpoint. */
export async function startAwsProxy(
  t: TestContext,
  upstream: string,
  decide: (request: AwsRequest) => AwsVerdict | Promise<AwsVerdict>
): Promise<AwsProxy> {
  const requests: AwsRequest[] = []
  const server = createServer((incoming, outgoing) => {
    void (async () => {
      const body = await textOf(incoming)
      const target = incoming.headers['x-amz-target']
      const action = typeof target === 'string' ? target : (/Action=(\w+)/.exec(body)?.[1] ?? '')
      const request = { action, body, index: requests.filter(each => each.action === action).length }
      requests.push(request)
      const verdict = await decide(request)
      if (verdict === 'cut') return incoming.socket.destroy()
      if (typeof verdict === 'object' && 'status' in verdict) {
        outgoing.writeHead(verdict.status, { 'content-type': 'application/x-amz-json-1.0', ...verdict.headers })
        return outgoing.end(verdict.body)
      }
      const changed = typeof verdict === 'object' ? (verdict.send ?? body) : body
      const answer = await pass(upstream, incoming, changed)
      if (verdict === 'cutAnswer') return incoming.socket.destroy()
      const text = typeof verdict === 'object' ? verdict.change(answer.body) : answer.body
      const { 'content-length': _, ...headers } = answer.headers
      outgoing.writeHead(answer.status, headers)
      return outgoing.end(text)
    })().catch(() => incoming.socket.destroy())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { endpoint: `http://127.0.0.1:${port}`, requests }
}

async function textOf(stream: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Buffer))
  return Buffer.concat(chunks).toString('utf8')
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

function pass(upstream: string, incoming: IncomingMessage, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { ...incoming.headers, 'content-length': String(Buffer.byteLength(body)) }
    const outgoing = httpRequest(`${upstream}${incoming.url ?? '/'}`, { method: incoming.method, headers }, answer => {
      textOf(answer)
        .then(text => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }))
        .catch(reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
