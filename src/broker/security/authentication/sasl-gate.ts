/**
 * The gate of a SASL listener: one for each connection, in front of the
 * dispatcher. Until the client has proved who it is, only ApiVersions (once) and
 * the SASL requests pass; afterwards everything does, until the session ends.
 *
 *   initial ─ApiVersions→ versionsAsked ─SaslHandshake→ authenticating ─last token→ authenticated
 *      └──────────────SaslHandshake──────────────────────↗      └─ wrong → failed (connection ends)
 *   authenticated ─SaslHandshake (re-authentication)→ authenticating
 *
 * Tokens come inside SaslAuthenticate, or, after SaslHandshake version 0, as bare
 * frames. A refusal is answered late (`connection.failed.authentication.delay.ms`)
 * and ends the connection, so that guessing is slow.
 *
 * Invariants: what runs before the proof is decided when its turn comes, not when
 * its bytes come, so a client cannot slip a request behind its last token. A
 * re-authentication changes neither mechanism nor principal.
 * Source: KIP-12, KIP-43, KIP-152, KIP-368, Kafka `SaslServerAuthenticator`.
 */

import { type Clock, PipelineError, sleep, type Timer } from '../../../core/index.ts'
import {
  apiVersionsApi,
  ByteReader,
  decodeRequestHeader,
  encodeResponse,
  type KafkaErrorName,
  KAFKA_ERRORS,
  type RequestHeader,
  saslAuthenticateApi,
  saslHandshakeApi
} from '../../../protocol/index.ts'
import type { Logger } from '../../../telemetry/index.ts'
import type { Connection, Dispatcher, RequestTask } from '../../server/connection.ts'
import { REQUEST_BYTES_MIN } from '../../server/frame-reader.ts'
import type { SaslMechanism } from './listener-options.ts'
import type { SaslConversation, SaslMechanismServer, SaslStep } from './sasl-mechanism.ts'

/** How long a client may take to prove who it is, in milliseconds. */
export const AUTHENTICATION_DEADLINE_MS = 30_000
/** Shortest time between two re-authentications, in milliseconds. Source: Kafka `KafkaChannel`. */
const REAUTHENTICATION_PERIOD_MS = 1000
/** Longest session: a token may last for ever, what the client is told is an int64. */
const SESSION_MS_MAX = Number.MAX_SAFE_INTEGER
/** How long the answer of a refusal may take on the wire, in milliseconds. */
const END_DEADLINE_MS = 1000
/** Where the error code of ApiVersions stands: after the length and the correlation id. */
const API_VERSIONS_ERROR_POSITION = 8

/** What the gates of a listener share. */
export interface SaslGateOptions {
  readonly mechanisms: ReadonlyMap<SaslMechanism, SaslMechanismServer>
  /** After how long a client must authenticate again, in milliseconds; 0 = never. */
  readonly maxReauthMs: number
  /** How long a refusal is held back, in milliseconds. */
  readonly failureDelayMs: () => number
  /** Largest request until then, in bytes. */
  readonly tokenBytesMax: () => number
  /** Largest request afterwards, in bytes. */
  readonly requestBytesMax: () => number
  readonly inner: Dispatcher
  /** What the broker's handlers would do with a request that the gate has to answer. */
  readonly early: {
    /** Whether the broker answers the API in the version of a request. */
    readonly isSupported: (frame: Buffer) => boolean
    /** A response with an error, for a request that is not to come now; `undefined` if there is none. */
    readonly fail: (frame: Buffer, errorCode: number) => Buffer[] | undefined
    /** The task, with the fault that a test asked for. */
    readonly withFaults: (frame: Buffer, task: RequestTask) => RequestTask
  }
  readonly clock: Clock
  readonly logger: Logger
  /** Called for each proof and each refusal, for metrics. */
  readonly onOutcome: (outcome: 'authenticated' | 'refused', mechanism: string) => void
}

interface Identity {
  readonly mechanism: SaslMechanism
  readonly principal: string
}

type State =
  | { readonly kind: 'initial' | 'versionsAsked' | 'failed' }
  | {
      readonly kind: 'authenticating'
      readonly mechanism: SaslMechanism
      readonly conversation: SaslConversation
      /** Whether tokens come inside SaslAuthenticate. */
      readonly isFramed: boolean
      /** Who the client was, if it authenticates again. */
      readonly before: Identity | undefined
    }
  | { readonly kind: 'authenticated'; readonly identity: Identity; readonly expiresAtMs: number | undefined }

type Chunks = readonly Buffer[] | undefined

/** The gate of one connection. */
export class SaslGate implements Dispatcher {
  readonly #options: SaslGateOptions
  #state: State = { kind: 'initial' }
  /** Requests that decide at their turn and have not finished. */
  #waitingCount = 0
  #reauthenticatedAtMs = -Infinity
  #deadline: Timer | undefined

  constructor(options: SaslGateOptions) {
    this.#options = options
  }

  /** Closes the connection if the client takes too long. */
  watch(connection: Connection): void {
    this.#deadline = this.#options.clock
      .after(AUTHENTICATION_DEADLINE_MS, () =>
        connection.close(`not authenticated after ${AUTHENTICATION_DEADLINE_MS} ms`, 'warn')
      )
      .unref()
    connection.signal.addEventListener('abort', () => this.#deadline?.cancel(), { once: true })
  }

  prepare(frame: Buffer, connection: Connection): RequestTask {
    const state = this.#state
    if (state.kind === 'authenticated' && this.#waitingCount === 0 && !isHandshake(frame)) {
      this.#checkSession(state.expiresAtMs)
      return this.#options.inner.prepare(frame, connection)
    }
    this.#waitingCount += 1
    return {
      isOverlappable: false,
      run: async () => {
        try {
          const task = { isOverlappable: false, run: () => this.#run(frame, connection) }
          return await this.#options.early.withFaults(frame, task).run()
        } finally {
          this.#waitingCount -= 1
        }
      }
    }
  }

  #run(frame: Buffer, connection: Connection): Promise<Chunks> {
    const state = this.#state
    switch (state.kind) {
      case 'initial':
      case 'versionsAsked':
        return this.#begin(frame, connection)
      case 'authenticating':
        return this.#continue(frame, connection, state)
      case 'authenticated':
        if (isHandshake(frame) && this.#mayReauthenticate(state.expiresAtMs)) {
          return this.#handshake(frame, connection, state.identity)
        }
        this.#checkSession(state.expiresAtMs)
        return this.#options.inner.prepare(frame, connection).run()
      case 'failed':
        return Promise.resolve(undefined) // the connection is ending
    }
  }

  async #begin(frame: Buffer, connection: Connection): Promise<Chunks> {
    if (isHandshake(frame)) return this.#handshake(frame, connection, undefined)
    if (frame.length < REQUEST_BYTES_MIN || frame.readInt16BE(0) !== apiVersionsApi.key) {
      throw notAuthenticated(frame)
    }
    // Asked twice, it is an error in Kafka, too: the handshake must follow.
    if (this.#state.kind === 'versionsAsked') throw notAuthenticated(frame)
    const chunks = await this.#options.inner.prepare(frame, connection).run()
    const answer = Buffer.concat(chunks?.slice() ?? [])
    const isAnswered = answer.length >= API_VERSIONS_ERROR_POSITION + 2
    // A client that asked in too new a version asks again.
    if (isAnswered && answer.readInt16BE(API_VERSIONS_ERROR_POSITION) === 0) this.#state = { kind: 'versionsAsked' }
    return chunks
  }

  async #handshake(frame: Buffer, connection: Connection, before: Identity | undefined): Promise<Chunks> {
    const { header, body } = this.#open(frame)
    if (before !== undefined) this.#reauthenticatedAtMs = this.#options.clock.monotonicMs()
    const { mechanism: wanted } = saslHandshakeApi.request.read(body, header.apiVersion)
    const mechanisms = [...this.#options.mechanisms.keys()]
    const answer = (error: KafkaErrorName): Buffer[] =>
      encodeResponse(saslHandshakeApi, header.apiVersion, header.correlationId, {
        errorCode: KAFKA_ERRORS[error].code,
        mechanisms
      })
    const mechanism = mechanisms.find(each => each === wanted)
    const start = mechanism === undefined ? undefined : this.#options.mechanisms.get(mechanism)
    if (mechanism === undefined || start === undefined) {
      const response = answer('UNSUPPORTED_SASL_MECHANISM')
      return this.#fail(connection, { response, reason: 'the mechanism is not enabled', mechanism: 'unknown' })
    }
    const isFramed = header.apiVersion >= 1
    this.#state = { kind: 'authenticating', mechanism, conversation: start(), isFramed, before }
    // A bare token may be shorter than any request.
    const bytesMin = isFramed ? REQUEST_BYTES_MIN : 0
    connection.setRequestLimits({ bytesMin, bytesMax: this.#options.tokenBytesMax() })
    return answer('NONE')
  }

  async #continue(
    frame: Buffer,
    connection: Connection,
    state: Extract<State, { kind: 'authenticating' }>
  ): Promise<Chunks> {
    const { mechanism, before, isFramed } = state
    if (before !== undefined && before.mechanism !== mechanism) {
      const reason = `re-authentication with ${mechanism} instead of ${before.mechanism}`
      return this.#fail(connection, { response: undefined, reason, mechanism })
    }
    if (!isFramed) {
      const step = this.#judge(await state.conversation.respond(frame), state)
      if (step.kind === 'failed') return this.#fail(connection, { response: undefined, reason: step.reason, mechanism })
      if (step.kind === 'done') this.#finish(connection, state, step)
      return withLength(step.kind === 'done' ? step.answer : step.challenge)
    }
    if (frame.length < REQUEST_BYTES_MIN || frame.readInt16BE(0) !== saslAuthenticateApi.key) {
      const response = this.#options.early.fail(frame, KAFKA_ERRORS.ILLEGAL_SASL_STATE.code)
      return this.#fail(connection, { response, reason: 'a request in the middle of the authentication', mechanism })
    }
    return this.#authenticate(frame, connection, state)
  }

  async #authenticate(
    frame: Buffer,
    connection: Connection,
    state: Extract<State, { kind: 'authenticating' }>
  ): Promise<Chunks> {
    const { header, body } = this.#open(frame)
    const { authBytes } = saslAuthenticateApi.request.read(body, header.apiVersion)
    const answer = (message: Parameters<typeof saslAuthenticateApi.response.write>[1]): Buffer[] =>
      encodeResponse(saslAuthenticateApi, header.apiVersion, header.correlationId, message)
    const step = this.#judge(await state.conversation.respond(authBytes), state)
    if (step.kind === 'continue') return answer({ authBytes: step.challenge })
    if (step.kind === 'done') {
      const lifetimeMs = this.#finish(connection, state, step)
      return answer({ authBytes: step.answer, sessionLifetimeMs: BigInt(lifetimeMs) })
    }
    const { mechanism, before } = state
    const during = before === undefined ? 'authentication' : 're-authentication'
    const errorMessage =
      step.message ??
      `Authentication failed during ${during} due to invalid credentials with SASL mechanism ${mechanism}`
    const response = answer({ errorCode: KAFKA_ERRORS.SASL_AUTHENTICATION_FAILED.code, errorMessage })
    return this.#fail(connection, { response, reason: step.reason, mechanism })
  }

  #open(frame: Buffer): { header: RequestHeader; body: ByteReader } {
    if (!this.#options.early.isSupported(frame)) {
      const [apiKey, version] = [frame.readInt16BE(0), frame.readInt16BE(2)]
      const what = `API key ${apiKey} version ${version} is not supported`
      throw new PipelineError('ERR_BROKER_UNSUPPORTED_REQUEST', what)
    }
    const body = new ByteReader(frame)
    return { header: decodeRequestHeader(body), body }
  }

  /** Whoever authenticates again must be the same. */
  #judge(step: SaslStep, { before }: Extract<State, { kind: 'authenticating' }>): SaslStep {
    if (step.kind !== 'done' || before === undefined) return step
    const principal = principalOf(step.user)
    if (principal === before.principal) return step
    const change = `${before.principal.replace(':', '.')}: ${principal.replace(':', '.')}`
    const message = `Cannot change principals during re-authentication from ${change}`
    return { kind: 'failed', reason: 're-authentication as another principal', message }
  }

  /** Lets the client in; gives the length of its session in milliseconds, 0 = without end. */
  #finish(
    connection: Connection,
    { mechanism }: Extract<State, { kind: 'authenticating' }>,
    step: Extract<SaslStep, { kind: 'done' }>
  ): number {
    const { clock, maxReauthMs, requestBytesMax, logger, onOutcome } = this.#options
    const principal = principalOf(step.user)
    const limits = [
      ...(maxReauthMs > 0 ? [maxReauthMs] : []),
      ...(step.expiresAtMs === undefined ? [] : [step.expiresAtMs - clock.now()])
    ]
    const lifetimeMs = limits.length === 0 ? undefined : Math.floor(Math.max(0, Math.min(...limits, SESSION_MS_MAX)))
    const expiresAtMs = lifetimeMs === undefined ? undefined : clock.monotonicMs() + lifetimeMs
    this.#state = { kind: 'authenticated', identity: { mechanism, principal }, expiresAtMs }
    this.#deadline?.cancel()
    connection.principal = principal
    connection.setRequestLimits({ bytesMin: REQUEST_BYTES_MIN, bytesMax: requestBytesMax() })
    onOutcome('authenticated', mechanism)
    logger.debug({ client: connection.host, listener: connection.listener, mechanism, principal }, 'authenticated')
    return lifetimeMs ?? 0
  }

  async #fail(
    connection: Connection,
    failure: { readonly response: Chunks; readonly reason: string; readonly mechanism: string }
  ): Promise<Chunks> {
    const { clock, failureDelayMs, logger, onOutcome } = this.#options
    const { response, reason, mechanism } = failure
    this.#state = { kind: 'failed' }
    onOutcome('refused', mechanism)
    const { host: client, listener } = connection
    logger.warn({ client, listener, mechanism, reason }, 'authentication failed')
    await sleep(clock, failureDelayMs(), connection.signal)
    // Waits for the answer that is returned here.
    void connection.end(END_DEADLINE_MS, 'authentication failed')
    return response
  }

  #mayReauthenticate(expiresAtMs: number | undefined): boolean {
    const sinceMs = this.#options.clock.monotonicMs() - this.#reauthenticatedAtMs
    return expiresAtMs !== undefined && sinceMs >= REAUTHENTICATION_PERIOD_MS
  }

  #checkSession(expiresAtMs: number | undefined): void {
    if (expiresAtMs === undefined || this.#options.clock.monotonicMs() <= expiresAtMs) return
    throw new PipelineError(
      'ERR_BROKER_SESSION_EXPIRED',
      'the session has ended and the client has not authenticated again'
    )
  }
}

function isHandshake(frame: Buffer): boolean {
  return frame.length >= REQUEST_BYTES_MIN && frame.readInt16BE(0) === saslHandshakeApi.key
}

function principalOf(user: string): string {
  return `User:${user}`
}

function withLength(token: Buffer): Buffer[] {
  const length = Buffer.alloc(4)
  length.writeInt32BE(token.length)
  return [length, token]
}

function notAuthenticated(frame: Buffer): PipelineError {
  const apiKey = frame.length >= 2 ? frame.readInt16BE(0) : -1
  return new PipelineError(
    'ERR_BROKER_NOT_AUTHENTICATED',
    `API key ${apiKey} came before the client had authenticated: it must use SASL on this listener`,
    { fields: { apiKey } }
  )
}
