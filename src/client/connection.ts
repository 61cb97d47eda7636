/**
 * One connection to one broker: socket, TLS, version negotiation, SASL, requests.
 *
 * `Connection.open` resolves when the connection can be used; from then on it
 * is either open or closed for good, and `onClose` says so once. It never
 * reconnects: that is the business of `Cluster`.
 *
 * With SASL, the broker may limit how long an authentication counts
 * (KIP-368): the connection then authenticates again in time, holding other
 * requests back for the length of the conversation.
 */

import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { type ConnectionOptions as NodeTlsOptions, connect as connectTls } from 'node:tls'
import {
  type Clock,
  messageOf,
  PipelineError,
  type Random,
  systemClock,
  systemRandom,
  type Timer
} from '../core/index.ts'
import {
  type Api,
  apiVersionsApi,
  decodeResponse,
  encodeRequest,
  saslAuthenticateApi,
  saslHandshakeApi
} from '../protocol/index.ts'
import { type Logger, silentLogger } from '../telemetry/index.ts'
import { AnswerMemory } from './answer-memory.ts'
import type { ConnectionSettings, SaslOptions, TlsOptions } from './cluster-options.ts'
import { KAFKA, throwKafkaError } from './kafka-error.ts'
import { RequestPipeline } from './request-pipeline.ts'
import { ResponseAssembler } from './response-assembler.ts'
import { converse, isSecretFree, refused } from './sasl.ts'

/** Longest answer accepted by default, in bytes: room for a fetch of 50 MiB, Kafka's default, and a large batch. */
export const RESPONSE_BYTES_MAX_DEFAULT = 134_217_728

const apiVersionsVersion = 3
const softwareName = 'comporta'
const softwareVersion = '0.1.0'
const keepAliveDelayMs = 30_000
/** Share of the session lifetime after which to authenticate again: 85 % to 95 %, as in Kafka's own client. */
const reauthenticationRatio = 0.85
const reauthenticationJitter = 0.1

/** Options of one connection. */
export interface ConnectionOptions extends ConnectionSettings {
  readonly host: string
  readonly port: number
  /** Called once when the connection has ended, with the reason. */
  readonly onClose?: (error: PipelineError) => void
}

/** How one request is sent on a connection. */
export interface RequestOptions {
  /** Version to use. Default: the highest that both sides know. */
  readonly version?: number
  /** Longest wait, in milliseconds. Default `requestTimeoutMs`. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

interface SubmitOptions extends RequestOptions {
  readonly version: number
  readonly isUrgent?: boolean
  readonly hasResponse?: boolean
}

interface VersionRange {
  readonly minVersion: number
  readonly maxVersion: number
}

/** A usable connection. */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #clock: Clock
  readonly #random: Random
  readonly #logger: Logger
  readonly #peer: string
  readonly #pipeline: RequestPipeline
  readonly #requestTimeoutMs: number
  #socket: Socket | undefined
  #versions = new Map<number, VersionRange>()
  readonly #features = new Map<string, number>()
  #correlationId = 0
  #reauthentication: Timer | undefined
  #closeError: PipelineError | undefined

  private constructor(options: ConnectionOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#logger = options.logger ?? silentLogger
    this.#peer = `${options.host}:${options.port}`
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 30_000
    this.#pipeline = new RequestPipeline({
      peer: this.#peer,
      inFlightMax: options.inFlightMax ?? 5,
      waitingMax: options.waitingMax ?? 1_000,
      clock: this.#clock,
      write: chunks => this.#write(chunks),
      onBroken: error => this.#end(error)
    })
  }

  /**
   * Connects, negotiates versions and authenticates.
   *
   * @throws PipelineError `ERR_CLIENT_CONNECT_FAILED`, `ERR_CLIENT_AUTHENTICATION_FAILED`,
   *   `ERR_CLIENT_RESPONSE_INVALID`, `ERR_CLIENT_VERSION_UNSUPPORTED`.
   */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const connection = new Connection(options)
    const timeoutMs = options.connectTimeoutMs ?? 10_000
    const timer = connection.#clock.after(timeoutMs, () =>
      connection.#end(connectFailed(connection.#peer, `not ready after ${timeoutMs} ms`))
    )
    try {
      await connection.#connect()
      await connection.#negotiate()
      if (options.sasl !== undefined) await connection.#authenticate(options.sasl)
    } catch (error) {
      const failure = connection.#closeError ?? asConnectError(connection.#peer, error)
      connection.#end(failure)
      throw asConnectError(connection.#peer, failure)
    } finally {
      timer.cancel()
    }
    return connection
  }

  /** Whether requests can be sent. */
  get isOpen(): boolean {
    return this.#closeError === undefined
  }

  /** `host:port` of the broker. */
  get peer(): string {
    return this.#peer
  }

  /** Requests that wait or are in flight. */
  get pendingCount(): number {
    return this.#pipeline.inFlightCount + this.#pipeline.waitingCount
  }

  /** How long an answer has been due without one coming, in milliseconds; 0 if none is due. */
  get silentMs(): number {
    return this.#pipeline.silentMs
  }

  /**
   * Highest version of an API that both sides know.
   *
   * @param versionMax - Do not go above this version.
   * @throws PipelineError `ERR_CLIENT_VERSION_UNSUPPORTED`.
   */
  versionOf<Q, QI, S, SI>(api: Api<Q, QI, S, SI>, versionMax: number = api.maxVersion): number {
    const range = this.#versions.get(api.key)
    const newest = Math.min(api.maxVersion, versionMax)
    const version = Math.min(range?.maxVersion ?? -1, newest)
    if (range !== undefined && version >= Math.max(range.minVersion, api.minVersion)) return version
    const theirs = range === undefined ? 'does not offer it' : `offers ${range.minVersion} to ${range.maxVersion}`
    throw new PipelineError(
      'ERR_CLIENT_VERSION_UNSUPPORTED',
      `${api.name} is needed in version ${api.minVersion} to ${newest}; ${this.#peer} ${theirs}`,
      { kafkaCode: KAFKA.UNSUPPORTED_VERSION, fields: { api: api.name } }
    )
  }

  /** Level of a feature that the cluster has finalized, 0 if none (KIP-584). */
  featureLevel(name: string): number {
    return this.#features.get(name) ?? 0
  }

  /**
   * Sends a request and gives its answer; error codes in the answer are the caller's business.
   *
   * @throws PipelineError `ERR_CLIENT_REQUEST_TIMEOUT`, `ERR_CLIENT_DISCONNECTED`, `ERR_CLIENT_OVERLOADED`,
   *   `ERR_CLIENT_VERSION_UNSUPPORTED`, `ERR_CORE_ABORTED`, and the protocol's own errors.
   */
  async send<Q, QI, S, SI>(api: Api<Q, QI, S, SI>, message: QI, options: RequestOptions = {}): Promise<S> {
    const version = options.version ?? this.versionOf(api)
    return this.#decode(api, version, await this.#submit(api, message, { ...options, version }))
  }

  /** Sends a request that the broker does not answer (produce with acks=0); resolves when the socket has it. */
  async post<Q, QI, S, SI>(api: Api<Q, QI, S, SI>, message: QI, options: RequestOptions = {}): Promise<void> {
    await this.#submit(api, message, { version: this.versionOf(api), ...options, hasResponse: false })
  }

  /** Closes the connection of a broker that is gone: a request that comes too late is one for another connection. */
  retire(): void {
    this.#end(new PipelineError('ERR_CLIENT_DISCONNECTED', `${this.#peer} is not among the brokers any more`))
  }

  /** Closes the connection; what is in flight fails. Idempotent. */
  close(): void {
    this.#end(new PipelineError('ERR_CLIENT_CLOSED', `the connection to ${this.#peer} was closed by this client`))
  }

  #submit<Q, QI, S, SI>(api: Api<Q, QI, S, SI>, message: QI, options: SubmitOptions): Promise<Buffer> {
    if (this.#closeError !== undefined) return Promise.reject(this.#closeError)
    this.#correlationId = (this.#correlationId + 1) & 0x7fffffff
    const correlationId = this.#correlationId
    const clientId = this.#options.clientId ?? 'comporta'
    return this.#pipeline.submit({
      correlationId,
      name: api.name,
      chunks: encodeRequest(api, options.version, { correlationId, clientId }, message),
      timeoutMs: options.timeoutMs ?? this.#requestTimeoutMs,
      signal: options.signal,
      isUrgent: options.isUrgent ?? false,
      hasResponse: options.hasResponse ?? true
    })
  }

  #decode<Q, QI, S, SI>(api: Api<Q, QI, S, SI>, version: number, payload: Buffer): S {
    try {
      return decodeResponse(api, version, payload).message
    } catch (error) {
      // The frame was whole, so the stream goes on; but a peer that sends such answers is not one to go on with.
      const failure = new PipelineError(
        'ERR_CLIENT_RESPONSE_INVALID',
        `${this.#peer} sent an answer to ${api.name} version ${version} that cannot be read: ${messageOf(error)}`,
        { cause: error }
      )
      this.#end(failure)
      throw failure
    }
  }

  async #urgent<Q, QI, S, SI>(api: Api<Q, QI, S, SI>, version: number, message: QI): Promise<S> {
    return this.#decode(api, version, await this.#submit(api, message, { version, isUrgent: true }))
  }

  #connect(): Promise<void> {
    const { host, port, tls } = this.#options
    return new Promise((resolve, reject) => {
      const assembler = this.#assembler()
      const take = (consume: () => void): void => {
        try {
          if (this.isOpen) consume()
        } catch (error) {
          this.#end(PipelineError.is(error) ? error : disconnected(this.#peer, error))
        }
      }
      const isTls = tls !== undefined && tls !== false
      // A plain socket reads into the answers themselves; one of TLS has chunks of its own, as it decrypts them.
      const onread = {
        buffer: () => assembler.target(),
        callback: (byteCount: number, bytes: Uint8Array) => {
          take(() => assembler.advance(bytes as Buffer, byteCount))
          return true
        }
      }
      const socket = isTls ? connectTls(tlsOptions(host, port, tls)) : connectPlain({ host, port, onread })
      this.#socket = socket
      socket.setNoDelay(true)
      socket.setKeepAlive(true, keepAliveDelayMs)
      if (isTls) socket.on('data', (chunk: Buffer) => take(() => assembler.push(chunk)))
      let isReady = false
      const onEnd = (cause: unknown): void => {
        const error = isReady ? disconnected(this.#peer, cause) : connectFailed(this.#peer, messageOf(cause), cause)
        this.#end(error)
        reject(this.#closeError ?? error)
      }
      socket.once(isTls ? 'secureConnect' : 'connect', () => {
        isReady = true
        resolve()
      })
      socket.on('error', onEnd)
      socket.on('close', () => onEnd(new Error('the broker closed the connection')))
    })
  }

  #assembler(): ResponseAssembler {
    const memory = new AnswerMemory()
    return new ResponseAssembler(
      this.#options.responseBytesMax ?? RESPONSE_BYTES_MAX_DEFAULT,
      payload => this.#pipeline.receive(payload),
      length => memory.take(length)
    )
  }

  /** ApiVersions version 3, or what a broker that knows only older ones (error 35, always in version 0) offers. */
  async #negotiate(): Promise<void> {
    const message = { clientSoftwareName: softwareName, clientSoftwareVersion: softwareVersion }
    const payload = await this.#submit(apiVersionsApi, message, { version: apiVersionsVersion, isUrgent: true })
    const isTooNew = payload.length >= 6 && payload.readInt16BE(4) === KAFKA.UNSUPPORTED_VERSION
    const answer = isTooNew
      ? await this.#urgent(apiVersionsApi, 0, {})
      : this.#decode(apiVersionsApi, apiVersionsVersion, payload)
    throwKafkaError(answer.errorCode, `ApiVersions at ${this.#peer}`)
    for (const { apiKey, minVersion, maxVersion } of answer.apiKeys) {
      this.#versions.set(apiKey, { minVersion, maxVersion })
    }
    for (const { name, maxVersionLevel } of answer.finalizedFeatures) this.#features.set(name, maxVersionLevel)
  }

  async #authenticate(sasl: SaslOptions): Promise<void> {
    const { host, port } = this.#options
    const version = this.versionOf(saslHandshakeApi, 1)
    const handshake = await this.#urgent(saslHandshakeApi, version, { mechanism: sasl.mechanism })
    if (handshake.errorCode !== KAFKA.NONE) {
      throw refused(`${this.#peer} does not offer ${sasl.mechanism}, only ${handshake.mechanisms.join(', ')}`)
    }
    let lifetimeMs = 0n
    const authenticateVersion = this.versionOf(saslAuthenticateApi)
    const exchange = async (token: Buffer): Promise<Buffer> => {
      const answer = await this.#urgent(saslAuthenticateApi, authenticateVersion, { authBytes: token })
      if (answer.errorCode !== KAFKA.NONE) {
        const reason = answer.errorMessage ?? `error ${answer.errorCode}`
        throw refused(isSecretFree(sasl, reason) ? `${this.#peer} says: ${reason}` : `${this.#peer} refused`)
      }
      lifetimeMs = answer.sessionLifetimeMs
      return answer.authBytes
    }
    await converse({ sasl, host, port, exchange })
    if (lifetimeMs > 0n) this.#scheduleReauthentication(sasl, Number(lifetimeMs))
  }

  #scheduleReauthentication(sasl: SaslOptions, lifetimeMs: number): void {
    const delayMs = lifetimeMs * (reauthenticationRatio + reauthenticationJitter * this.#random.next())
    this.#reauthentication?.cancel()
    this.#reauthentication = this.#clock.after(Math.min(delayMs, 0x7fffffff), () => void this.#reauthenticate(sasl))
    this.#reauthentication.unref()
  }

  /** Requests in flight are answered before the conversation begins, because answers keep their order. */
  async #reauthenticate(sasl: SaslOptions): Promise<void> {
    this.#pipeline.hold()
    try {
      await this.#authenticate(sasl)
      this.#pipeline.release()
    } catch (error) {
      this.#logger.warn({ peer: this.#peer, reason: messageOf(error) }, 'authenticating again failed')
      this.#end(PipelineError.is(error) ? error : refused('authenticating again failed', error))
    }
  }

  #write(chunks: readonly Buffer[]): void {
    const socket = this.#socket
    if (socket === undefined) return
    socket.cork()
    for (const chunk of chunks) socket.write(chunk)
    socket.uncork()
  }

  #end(error: PipelineError): void {
    if (this.#closeError !== undefined) return
    this.#closeError = error
    this.#reauthentication?.cancel()
    this.#socket?.destroy()
    this.#pipeline.fail(error)
    this.#options.onClose?.(error)
  }
}

function tlsOptions(host: string, port: number, tls: TlsOptions | true): NodeTlsOptions {
  const options = tls === true ? {} : tls
  const servername = options.servername ?? (isIP(host) === 0 ? host : undefined)
  const { ca, ...rest } = options
  return {
    ...rest,
    host,
    port,
    ...(ca === undefined ? {} : { ca: Array.isArray(ca) ? [...(ca as readonly (string | Buffer)[])] : ca }),
    ...(servername === undefined ? {} : { servername })
  } as NodeTlsOptions
}

function connectFailed(peer: string, reason: string, cause?: unknown): PipelineError {
  return new PipelineError('ERR_CLIENT_CONNECT_FAILED', `cannot connect to ${peer}: ${reason}`, { cause })
}

function disconnected(peer: string, cause: unknown): PipelineError {
  return new PipelineError('ERR_CLIENT_DISCONNECTED', `the connection to ${peer} ended: ${messageOf(cause)}`, { cause })
}

/** While connecting, whatever is not more specific counts as a failed connection. */
function asConnectError(peer: string, error: unknown): PipelineError {
  const isSpecific =
    PipelineError.is(error) && error.code !== 'ERR_CLIENT_DISCONNECTED' && error.code !== 'ERR_CLIENT_REQUEST_TIMEOUT'
  return isSpecific ? error : connectFailed(peer, messageOf(error), error)
}
