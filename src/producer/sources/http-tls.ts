/**
 * TLS of the HTTP source: a certificate and its key from files.
 *
 * The files are looked at once a minute: a renewed certificate is used by new
 * connections, without a restart. Files that cannot be read, or do not belong
 * together, leave the old certificate in place and are logged.
 */

import { readFile } from 'node:fs/promises'
import { createServer, type Server, type ServerOptions } from 'node:https'

import { type Clock, messageOf, PipelineError, type Timer } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'

/** Files of the server's identity. */
export interface TlsFiles {
  /** Certificate and those between it and its authority, PEM. */
  readonly cert: string
  /** Private key, PEM. */
  readonly key: string
  /** Authorities of clients, PEM; then requests need a certificate. */
  readonly clientCa?: string | undefined
}

const CHECK_MS = 60_000

interface Pem {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca?: Buffer
}

/** An HTTPS server that has no certificate yet. */
export function createTlsServer(options: ServerOptions, files?: TlsFiles): Server {
  const isMutual = files?.clientCa !== undefined
  const server = createServer({
    ...options,
    minVersion: 'TLSv1.2',
    requestCert: isMutual,
    rejectUnauthorized: isMutual,
    // Who says nothing holds a connection as long as with headers; Node waits two minutes.
    handshakeTimeout: options.headersTimeout
  })
  // An answer in words would wait for the end of a handshake that never comes, and hold the connection for ever.
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return server
}

/** Gives a server its certificate, and the next one. */
export class TlsMaterial {
  readonly #server: Server
  readonly #files: TlsFiles
  readonly #clock: Clock
  readonly #logger: Logger
  #used: Pem | undefined
  #timer: Timer | undefined

  constructor(server: Server, files: TlsFiles, { clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#server = server
    this.#files = files
    this.#clock = clock
    this.#logger = logger
  }

  /**
   * Reads the files and looks at them from then on.
   *
   * @throws PipelineError `ERR_PRODUCER_LISTEN_FAILED` if they cannot be read or used.
   */
  async load(): Promise<void> {
    try {
      await this.#use()
    } catch (cause) {
      const message = `the certificate of the http source cannot be used: ${messageOf(cause)}`
      throw new PipelineError('ERR_PRODUCER_LISTEN_FAILED', message, { cause })
    }
    this.#timer = this.#clock.every(CHECK_MS, () => void this.#renew()).unref()
  }

  /** Ends looking at the files. Idempotent. */
  close(): void {
    this.#timer?.cancel()
  }

  async #renew(): Promise<void> {
    try {
      if (await this.#use()) this.#logger.info({ cert: this.#files.cert }, 'http source: a new certificate is used')
    } catch (error) {
      this.#logger.warn(
        { error: messageOf(error) },
        'http source: the new certificate cannot be used, the old one stays'
      )
    }
  }

  /** @returns Whether the files have changed. */
  async #use(): Promise<boolean> {
    const { clientCa } = this.#files
    const [cert, key, ca] = await Promise.all([
      readFile(this.#files.cert),
      readFile(this.#files.key),
      clientCa === undefined ? undefined : readFile(clientCa)
    ])
    const used = this.#used
    if (used !== undefined && used.cert.equals(cert) && used.key.equals(key) && same(used.ca, ca)) return false
    const pem = { cert, key, ...(ca === undefined ? {} : { ca }) }
    this.#server.setSecureContext({ ...pem, minVersion: 'TLSv1.2' })
    this.#used = pem
    return true
  }
}

function same(one: Buffer | undefined, other: Buffer | undefined): boolean {
  return one === undefined || other === undefined ? one === other : one.equals(other)
}
