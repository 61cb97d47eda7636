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
 *
 * When certificates or passwords change, `renew` puts another socket under
 * the same connection at a moment when nothing is in flight: requests that
 * wait go over the new one, in their order, and nobody sees a failure.
 */

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
  kafkaErrorName,
  saslAuthenticateApi,
  saslHandshakeApi
} from '../protocol/index.ts'
import { type Logger, silentLogger } from '../telemetry/index.ts'
import type { ConnectionSettings, TlsOptions } from './cluster-options.ts'
import { KAFKA, throwKafkaError } from './kafka-error.ts'
import { RequestPipeline } from './request-pipeline.ts'
import { converse, type FixedSaslOptions, fixedSaslOptions, isSecretFree, refused } from './sasl.ts'
import { connectFailed, Wire, type WireOwner } from './wire.ts'

/** Longest answer accepted by default, in bytes: room for a fetch of 50 MiB, Kafka's default, and a large batch. */
export const RESPONSE_BYTES_MAX_DEFAULT = 134_217_728

const apiVersionsVersion = 3
const softwareName = 'comporta'
const softwareVersion = '0.1.0'
/** Share of the session lifetime after which to authenticate again: 85 % to 95 %, as in Kafka's own client. */
const reauthenticationRatio = 0.85
const reauthenticationJitter = 0.1
/** How long a renewal waits for a moment with nothing in flight, before it makes one. */
const RENEWAL_WAIT_MS = 200
/** How long it then holds new requests back. Heartbeats may be among them, which wait for a third of their session. */
const RENEWAL_HOLD_MS = 1_000

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
  #wire: Wire | undefined
  #versions = new Map<number, VersionRange>()
  #features = new Map<string, number>()
  #correlationId = 0
  /** As whom it has authenticated. */
  #sasl: FixedSaslOptions | undefined
  #reauthentication: Timer | undefined
  #reauthenticateAtMs = 0
  #isReauthenticating = false
  #giveUpRenewal: (() => void) | undefined
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
      write: chunks => this.#wire?.write(chunks),
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
      if (options.sasl !== undefined) await connection.#authenticate(fixedSaslOptions(options.sasl))
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

  /**
   * Opens another socket with the certificates and passwords that hold now, and goes on over that one. It takes the
   * place of the old one while nothing is in flight; if there is no such moment, new requests are held back for a
   * little while. Requests that wait keep their order, and no caller notices.
   *
   * @returns Whether it was done; not if an answer is still due by then (a long poll): try again later.
   * @throws PipelineError as `open` does; the connection stays as it was.
   */
  async renew(): Promise<boolean> {
    // A second one at the same time would take the place of the first one's socket, and so on.
    if (!this.isOpen || this.#giveUpRenewal !== undefined) return false
    const next = await Connection.open({ ...this.#options, onClose: () => undefined })
    const isRenewed = await this.#whenDrained(() => this.#adopt(next))
    // Also when it was adopted: what is left of it has no socket any more.
    next.#wire = isRenewed ? undefined : next.#wire
    next.close()
    return isRenewed
  }

  /** Whether it could be done in time: `change` says whether it has, and is called with nothing in flight. */
  #whenDrained(change: () => boolean): Promise<boolean> {
    return new Promise(resolve => {
      let isHeld = false
      const finish = (isDone: boolean): void => {
        for (const timer of timers) timer.cancel()
        this.#pipeline.whenDrained(undefined)
        this.#giveUpRenewal = undefined
        resolve(isDone)
        if (isHeld) this.#pipeline.release()
      }
      const hold = (): void => {
        isHeld = true
        this.#pipeline.hold()
      }
      const timers = [
        this.#clock.after(RENEWAL_WAIT_MS, hold),
        this.#clock.after(RENEWAL_WAIT_MS + RENEWAL_HOLD_MS, () => finish(false))
      ]
      this.#giveUpRenewal = () => finish(false)
      if (!this.isOpen) return finish(false)
      this.#pipeline.whenDrained(() => {
        // Between two messages of a conversation nothing is in flight either.
        if (!this.#isReauthenticating && change()) finish(true)
      })
    })
  }

  /** Takes over the socket of another connection to the same broker, and all that was agreed on over it. */
  #adopt(next: Connection): boolean {
    const wire = next.#wire
    if (!next.isOpen || wire === undefined || next.#isReauthenticating) return false
    this.#wire?.finish()
    wire.handOver(this.#owner())
    this.#wire = wire
    this.#versions = next.#versions
    this.#features = next.#features
    this.#sasl = next.#sasl
    this.#reauthentication?.cancel()
    next.#reauthentication?.cancel()
    if (next.#reauthentication !== undefined) {
      this.#reauthenticateAfter(Math.max(0, next.#reauthenticateAtMs - this.#clock.monotonicMs()))
    }
    return true
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

  async #connect(): Promise<void> {
    const { host, port, tls } = this.#options
    const responseBytesMax = this.#options.responseBytesMax ?? RESPONSE_BYTES_MAX_DEFAULT
    const wire = new Wire({ host, port, tls: currentTls(tls), responseBytesMax, clock: this.#clock }, this.#owner())
    this.#wire = wire
    await wire.ready
  }

  #owner(): WireOwner {
    return { onPayload: payload => this.#pipeline.receive(payload), onEnd: error => this.#end(error) }
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

  async #authenticate(sasl: FixedSaslOptions): Promise<void> {
    const { host, port } = this.#options
    this.#sasl = sasl
    const version = this.versionOf(saslHandshakeApi, 1)
    const handshake = await this.#urgent(saslHandshakeApi, version, { mechanism: sasl.mechanism })
    if (handshake.errorCode === KAFKA.UNSUPPORTED_SASL_MECHANISM) {
      throw refused(`${this.#peer} does not offer ${sasl.mechanism}, only ${handshake.mechanisms.join(', ')}`)
    }
    // Not sooner than a second after the last time, for example. Source: KIP-368.
    if (handshake.errorCode !== KAFKA.NONE) {
      throw refused(`${this.#peer} answered ${kafkaErrorName(handshake.errorCode)} to SaslHandshake`)
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
    if (lifetimeMs > 0n) this.#scheduleReauthentication(Number(lifetimeMs))
  }

  #scheduleReauthentication(lifetimeMs: number): void {
    const delayMs = lifetimeMs * (reauthenticationRatio + reauthenticationJitter * this.#random.next())
    this.#reauthenticateAfter(delayMs)
  }

  #reauthenticateAfter(delayMs: number): void {
    this.#reauthentication?.cancel()
    this.#reauthenticateAtMs = this.#clock.monotonicMs() + delayMs
    this.#reauthentication = this.#clock.after(Math.min(delayMs, 0x7fffffff), () => void this.#reauthenticate())
    this.#reauthentication.unref()
  }

  /** Requests in flight are answered before the conversation begins, because answers keep their order. */
  async #reauthenticate(): Promise<void> {
    const sasl = this.#saslAgain()
    if (sasl === undefined) return
    this.#isReauthenticating = true
    this.#pipeline.hold()
    try {
      await this.#authenticate(sasl)
    } catch (error) {
      this.#logger.warn({ peer: this.#peer, reason: messageOf(error) }, 'authenticating again failed')
      this.#end(PipelineError.is(error) ? error : refused('authenticating again failed', error))
    } finally {
      this.#isReauthenticating = false
      this.#pipeline.release()
    }
  }

  /** The newest password. Brokers refuse another user on the same connection: the old one stays until it is renewed. */
  #saslAgain(): FixedSaslOptions | undefined {
    const before = this.#sasl
    if (before === undefined || this.#options.sasl === undefined) return before
    const now = fixedSaslOptions(this.#options.sasl)
    const isSameUser = !('username' in now && 'username' in before) || now.username === before.username
    return isSameUser ? now : before
  }

  #end(error: PipelineError): void {
    if (this.#closeError !== undefined) return
    this.#closeError = error
    this.#reauthentication?.cancel()
    this.#wire?.destroy()
    this.#pipeline.fail(error)
    this.#giveUpRenewal?.()
    this.#options.onClose?.(error)
  }
}

/** `undefined` for plain text. */
function currentTls(tls: ConnectionSettings['tls']): TlsOptions | undefined {
  if (tls === undefined || tls === false) return undefined
  if (tls === true) return {}
  return 'current' in tls ? tls.current() : tls
}

/** While connecting, whatever is not more specific counts as a failed connection. */
function asConnectError(peer: string, error: unknown): PipelineError {
  const isSpecific =
    PipelineError.is(error) && error.code !== 'ERR_CLIENT_DISCONNECTED' && error.code !== 'ERR_CLIENT_REQUEST_TIMEOUT'
  return isSpecific ? error : connectFailed(peer, messageOf(error), error)
}
