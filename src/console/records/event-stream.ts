/** A stream of server-sent events to one browser, which may go away or be slow at any time. */

import type { FastifyReply } from 'fastify'

/** See the module. */
export interface EventStream {
  /** Whether the browser takes more now; what is sent all the same waits in memory. */
  readonly hasRoom: boolean
  /** Aborts when the browser has gone. */
  readonly gone: AbortSignal
  send(event: string, data: unknown): void
  /** Says that the stream is alive, so that nothing between here and there closes it. */
  beat(): void
  end(): void
}

/** Takes the reply over, with the headers that it has so far. */
export function openEventStream(reply: FastifyReply): EventStream {
  const headers = reply.getHeaders()
  reply.hijack()
  const { raw } = reply
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) raw.setHeader(name, value)
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store, no-transform',
    // Proxies hold back what they would compress.
    'x-accel-buffering': 'no'
  })
  raw.flushHeaders()
  const gone = new AbortController()
  raw.on('close', () => gone.abort())
  // A socket that is gone says so here; nobody is there to be told.
  raw.on('error', () => gone.abort())
  // Who left before it began does not leave again.
  if (raw.destroyed) gone.abort()
  const write = (text: string): void => {
    if (!gone.signal.aborted) raw.write(text)
  }
  return {
    get hasRoom() {
      return !raw.writableNeedDrain
    },
    gone: gone.signal,
    send: (event, data) => write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
    beat: () => write(': \n\n'),
    end: () => {
      raw.end()
      // One that takes nothing does not take the end, either.
      if (raw.writableNeedDrain) raw.destroy()
    }
  }
}
