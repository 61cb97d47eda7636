/**
 * From a fresh TCP connection to a TLS connection: looks at the first byte,
 * runs the handshake within `HANDSHAKE_DEADLINE_MS`, and finds out whom the
 * client's certificate stands for.
 *
 * Invariants: what does not begin like TLS never reaches the TLS library; a
 * connection that leaves here has a certificate that is trusted, or none and
 * none is required.
 */

import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { type Clock, messageOf, type Timer } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { subjectOf } from '../security/authentication/distinguished-name.ts'
import { type PrincipalMapper, principalMapper } from '../security/authentication/principal-mapper.ts'
import { ANONYMOUS, TLS_HANDSHAKE_BYTE } from './connection.ts'
import { plainAddress } from './connection-limits.ts'
import type { Listener } from './resolve-listeners.ts'
import { TlsCredentials } from './tls-credentials.ts'

/** How long a client may take for the handshake, in milliseconds. */
export const HANDSHAKE_DEADLINE_MS = 10_000

/** What the acceptor needs. */
export interface TlsAcceptorOptions {
  readonly listener: Listener
  readonly clock: Clock
  readonly logger: Logger
  /** Called with a connection that is ready, and its principal. */
  readonly onSecure: (socket: TLSSocket, principal: string) => void
}

/** Accepts the TLS connections of one listener. */
export class TlsAcceptor {
  readonly #options: TlsAcceptorOptions
  readonly #credentials: TlsCredentials
  readonly #mapper: PrincipalMapper
  readonly #server: Server
  /** In the handshake, by the client's address and port, each with its deadline. */
  readonly #pending = new Map<string, { readonly socket: Socket; readonly deadline: Timer }>()

  private constructor(options: TlsAcceptorOptions, credentials: TlsCredentials) {
    this.#options = options
    this.#credentials = credentials
    const tls = options.listener.tls
    const mapper = principalMapper(tls?.principalMappingRules ?? 'DEFAULT')
    this.#mapper = typeof mapper === 'function' ? mapper : () => undefined
    this.#server = createServer({
      ...credentials.context,
      requestCert: (tls?.clientAuth ?? 'none') !== 'none',
      // Judged below, where the reason can be logged.
      rejectUnauthorized: false
    })
    this.#server.on('secureConnection', socket => this.#judge(socket))
    this.#server.on('tlsClientError', (error, socket) => {
      // Without an address the client, or the deadline below, has ended it already.
      if (socket.remoteAddress !== undefined) this.#log(socket, `the TLS handshake failed: ${reasonOf(error)}`)
      socket.on('error', () => undefined) // it is being thrown away
      socket.destroy()
    })
    credentials.watch(context => this.#server.setSecureContext(context))
  }

  /**
   * Reads the credentials.
   *
   * @throws PipelineError `ERR_BROKER_INVALID_SETTING` if they cannot be used.
   */
  static async open(options: TlsAcceptorOptions): Promise<TlsAcceptor> {
    const { listener, clock, logger } = options
    const tls = listener.tls ?? { cert: '' }
    const credentials = await TlsCredentials.open({ tls, listenerName: listener.name, clock, logger })
    return new TlsAcceptor(options, credentials)
  }

  /** Takes a fresh connection. */
  accept(socket: Socket): void {
    const { clock } = this.#options
    const deadline = clock.after(HANDSHAKE_DEADLINE_MS, () => {
      this.#log(socket, `no TLS handshake within ${HANDSHAKE_DEADLINE_MS} ms`)
      socket.destroy()
    })
    const peer = peerOf(socket)
    this.#pending.set(peer, { socket, deadline })
    socket.on('error', () => undefined) // 'close' follows
    socket.once('close', () => this.#settle(peer, socket))
    const onReadable = (): void => {
      const chunk: unknown = socket.read()
      if (!Buffer.isBuffer(chunk)) return
      socket.removeListener('readable', onReadable)
      if (chunk[0] !== TLS_HANDSHAKE_BYTE) {
        this.#log(socket, 'plain bytes on a TLS listener: the client must use security.protocol=SSL or SASL_SSL')
        socket.destroy()
        return
      }
      socket.unshift(chunk)
      this.#server.emit('connection', socket)
    }
    socket.on('readable', onReadable)
  }

  /** Drops connections in the handshake and stops looking at files. */
  close(): void {
    this.#credentials.close()
    for (const { socket } of this.#pending.values()) socket.destroy()
  }

  /** Ends the deadline; with a socket only if it is still that one's, since ports are used again. */
  #settle(peer: string, socket?: Socket): void {
    const pending = this.#pending.get(peer)
    if (pending === undefined || (socket !== undefined && pending.socket !== socket)) return
    pending.deadline.cancel()
    this.#pending.delete(peer)
  }

  #judge(socket: TLSSocket): void {
    const { listener, onSecure } = this.#options
    this.#settle(peerOf(socket))
    const mode = listener.tls?.clientAuth ?? 'none'
    const certificate = mode === 'none' ? undefined : socket.getPeerX509Certificate()
    if (certificate === undefined) {
      if (mode === 'required') this.#refuse(socket, 'the client has no certificate, and one is required')
      else onSecure(socket, ANONYMOUS)
      return
    }
    if (!socket.authorized) {
      this.#refuse(socket, `the certificate of the client is not trusted: ${messageOf(socket.authorizationError)}`)
      return
    }
    const name = this.#mapper(subjectOf(certificate.raw))
    if (name === undefined) {
      this.#refuse(socket, 'no rule of ssl.principal.mapping.rules fits the client’s certificate')
      return
    }
    const principal = `User:${name}`
    const client = plainAddress(socket.remoteAddress)
    this.#options.logger.debug({ client, listener: listener.name, principal }, 'authenticated')
    onSecure(socket, principal)
  }

  #refuse(socket: TLSSocket, reason: string): void {
    this.#log(socket, reason)
    socket.on('error', () => undefined) // it is being thrown away
    socket.destroy()
  }

  #log(socket: Socket, reason: string): void {
    const { listener, logger } = this.#options
    const client = plainAddress(socket.remoteAddress)
    logger.warn({ client, port: socket.remotePort, listener: listener.name, reason }, 'connection closed')
  }
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}

/** OpenSSL's reason in words, without the place in its source. */
function reasonOf(error: Error): string {
  return 'reason' in error && typeof error.reason === 'string' ? error.reason : messageOf(error)
}
