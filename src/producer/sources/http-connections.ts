/**
 * What happens to a connection that sends something that is no HTTP: it is answered and ended, but not before the
 * requests that came whole on it have their answers. Node ends it at once: a sender whose events are in Kafka would
 * never hear of it because of what stands behind its request, and would send them again.
 */

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** What a connection that went wrong still waits for. */
interface Connection {
  readonly open: Set<IncomingMessage>
  /** The answer that ends it. */
  farewell: string | undefined
}

/** Follows the connections of a server. */
export class HttpConnections {
  readonly #connections = new WeakMap<Duplex, Connection>()

  /** A request is being served. */
  began(request: IncomingMessage): void {
    const connection = this.#connections.get(request.socket)
    if (connection === undefined) {
      this.#connections.set(request.socket, { open: new Set([request]), farewell: undefined })
    } else connection.open.add(request)
  }

  /** A request has its answer. */
  ended(request: IncomingMessage): void {
    const connection = this.#connections.get(request.socket)
    if (connection === undefined) return
    connection.open.delete(request)
    if (connection.open.size === 0 && connection.farewell !== undefined) end(request.socket, connection.farewell)
  }

  /** A connection went wrong: for the server's event `clientError`. */
  failed(error: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = this.#connections.get(socket)
    const farewell = farewellOf(error.code)
    const waits = connection !== undefined && connection.open.size > 0 && [...connection.open].every(isWhole)
    if (waits && socket.writable) connection.farewell = farewell
    else end(socket, farewell)
  }
}

function isWhole(request: IncomingMessage): boolean {
  return request.complete
}

function end(socket: Duplex, farewell: string): void {
  if (socket.writable) socket.end(farewell, () => socket.destroy())
  else socket.destroy()
}

/** The answers that Node itself gives. */
function farewellOf(code: string | undefined): string {
  const status =
    code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW'
        ? '413 Payload Too Large'
        : code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? '408 Request Timeout'
          : '400 Bad Request'
  return `HTTP/1.1 ${status}\r\nconnection: close\r\n\r\n`
}
