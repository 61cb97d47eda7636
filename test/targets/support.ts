/** Batches, servers and loggers for the tests of the room `targets`. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'

import type { TargetBatch } from '../../src/targets/index.ts'
import type { Logger } from '../../src/telemetry/index.ts'

/** A batch of two records, 12 and 14, of `mt-c400-3`. */
export function batchOf(options: Partial<TargetBatch> = {}): TargetBatch {
  return {
    topic: 'mt-c400',
    partition: 3,
    recordCount: 2,
    firstOffset: 12n,
    lastOffset: 14n,
    body: Buffer.from('{"topic":"mt-c400","partition":3,"messages":[1,2],"offsets":[12,14]}'),
    contentType: 'application/json',
    attempt: 1,
    idempotencyKey: 'g/mt-c400/3/12-14',
    ...options
  }
}

/** One request that a server got. */
export interface Received {
  readonly request: IncomingMessage
  readonly body: string
}

/** A real HTTP server on a free port. */
export async function serve(
  t: TestContext,
  answer: (received: Received, response: ServerResponse) => void
): Promise<{ url: string; received: Received[]; connectionCount(): number; stop(): Promise<void> }> {
  const received: Received[] = []
  let connectionCount = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const entry = { request, body: Buffer.concat(chunks).toString('utf8') }
      received.push(entry)
      answer(entry, response)
    })
  })
  server.on('connection', () => (connectionCount += 1))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const stop = (): Promise<void> =>
    new Promise(resolve => {
      server.closeAllConnections()
      server.close(() => resolve())
    })
  t.after(stop)
  return { url: `http://127.0.0.1:${port}`, received, connectionCount: () => connectionCount, stop }
}

/** A logger that keeps its error lines. */
export function errorLog(): { logger: Logger; errors: string[] } {
  const errors: string[] = []
  const logger: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (_fields, message) => void errors.push(message),
    child: () => logger
  }
  return { logger, errors }
}

/** A signal that never aborts. */
export const never: AbortSignal = new AbortController().signal
