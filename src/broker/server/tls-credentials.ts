/**
 * Certificate, key and authorities of a listener, from PEM text or files.
 *
 * Files are looked at every `RELOAD_PERIOD_MS`; when their content has changed
 * and holds together (the key is the certificate's), new connections get it.
 * Content that does not is logged once and the old one stays: a certificate is
 * often replaced by two writes. Open connections are never touched.
 */

import fs from 'node:fs/promises'
import { constants } from 'node:crypto'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { type Clock, messageOf, PipelineError, type Timer } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { ListenerTlsOptions } from '../security/authentication/listener-options.ts'

/** How often files are looked at, in milliseconds. */
export const RELOAD_PERIOD_MS = 2000

/** Where to read from, and whom to tell. */
export interface TlsCredentialsOptions {
  readonly tls: ListenerTlsOptions
  readonly listenerName: string
  readonly clock: Clock
  readonly logger: Logger
}

/** The credentials of one listener. */
export class TlsCredentials {
  readonly #options: TlsCredentialsOptions
  #context: SecureContextOptions
  #refused: string | undefined
  #timer: Timer | undefined

  private constructor(options: TlsCredentialsOptions, context: SecureContextOptions) {
    this.#options = options
    this.#context = context
  }

  /**
   * Reads the credentials.
   *
   * @throws PipelineError `ERR_BROKER_INVALID_SETTING` if a file cannot be read or they do not hold together.
   */
  static async open(options: TlsCredentialsOptions): Promise<TlsCredentials> {
    try {
      const context = await read(options.tls)
      createSecureContext(context)
      return new TlsCredentials(options, context)
    } catch (cause) {
      throw new PipelineError(
        'ERR_BROKER_INVALID_SETTING',
        `the TLS of the listener ${options.listenerName} cannot be set up: ${messageOf(cause)}`,
        { cause }
      )
    }
  }

  /** What Node's TLS needs. */
  get context(): SecureContextOptions {
    return this.#context
  }

  /** Looks at the files from now on, and calls back with what has changed. */
  watch(onChange: (context: SecureContextOptions) => void): void {
    const { tls, clock } = this.#options
    if ([tls.cert, tls.key, tls.ca].every(source => source === undefined || isPem(source))) return
    let isReading = false
    const look = async (): Promise<void> => {
      if (isReading) return
      isReading = true
      await this.#refresh(onChange)
      isReading = false
    }
    this.#timer = clock.every(RELOAD_PERIOD_MS, () => void look()).unref()
  }

  /** Stops looking. */
  close(): void {
    this.#timer?.cancel()
  }

  /** Never rejects: what goes wrong is logged. */
  async #refresh(onChange: (context: SecureContextOptions) => void): Promise<void> {
    const { tls, listenerName, logger } = this.#options
    let found = ''
    try {
      const context = await read(tls)
      found = textOf(context)
      if (found === textOf(this.#context) || found === this.#refused) return
      createSecureContext(context)
      onChange(context)
      this.#context = context
      this.#refused = undefined
      logger.info({ listener: listenerName }, 'the TLS certificate was read again')
    } catch (error) {
      if (this.#refused !== found) {
        logger.error(
          { listener: listenerName, reason: messageOf(error) },
          'the changed TLS certificate cannot be used: the one before stays'
        )
      }
      this.#refused = found
    }
  }
}

async function read(tls: ListenerTlsOptions): Promise<SecureContextOptions> {
  const [cert, key, ca] = await Promise.all([pem(tls.cert), pem(tls.key ?? tls.cert), pem(tls.ca)])
  return {
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    ...(tls.keyPassword === undefined ? {} : { passphrase: tls.keyPassword }),
    minVersion: tls.minVersion ?? 'TLSv1.2',
    honorCipherOrder: true,
    // A resumed session would keep a client's certificate good although its authority is trusted no more.
    ...((tls.clientAuth ?? 'none') === 'none' ? {} : { secureOptions: constants.SSL_OP_NO_TICKET })
  }
}

async function pem(source: string | undefined): Promise<string | undefined> {
  return source === undefined || isPem(source) ? source : await fs.readFile(source, 'utf8')
}

function isPem(source: string): boolean {
  return source.includes('-----BEGIN ')
}

function textOf({ cert, key, ca }: SecureContextOptions): string {
  return [cert, key, ca].map(String).join('\n')
}
