/**
 * What a handler is: one API, the versions it answers, and a function from
 * request to response. Handlers know messages and the broker's state; bytes,
 * order and sockets are the server's.
 *
 * A handler answers protocol errors as values. What it throws closes the
 * connection: malformed bytes, or a bug.
 */

import { invariant, messageOf, PipelineError } from '../../core/index.ts'
import {
  type Api,
  type ByteReader,
  encodeResponse,
  KAFKA_ERRORS,
  type KafkaErrorName,
  type RequestHeader
} from '../../protocol/index.ts'
import { CLUSTER, type OperationName } from '../security/acls/index.ts'
import { authorizationError, type Need } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'

/** Facts about the caller. */
export interface Caller {
  /** Version of the request. */
  readonly apiVersion: number
  /** Empty if the client gave none. */
  readonly clientId: string
  /** Address of the client. */
  readonly host: string
  /** For whom the client speaks, as Kafka writes it: `User:ANONYMOUS` unless it authenticated. */
  readonly principal: string
  /** Name of the listener that the request came in on. */
  readonly listener: string
  /** Aborts when the connection is gone: nobody waits for the answer any more. */
  readonly signal: AbortSignal
  /** Size of the request with its header, in bytes. */
  readonly requestBytes: number
  /** Where it came from; muted while the client is throttled. */
  readonly connection: { mute(durationMs: number): void }
  /** Calls back when the answer is sent, and nothing uses its bytes any more; never if the client is gone before. */
  onSent(callback: () => void): void
}

/** Why something the request names cannot be done. */
export interface Refusal {
  readonly error: KafkaErrorName
  readonly message: string | null
}

/** One API as the dispatcher sees it. */
export interface Handler {
  readonly key: number
  readonly name: string
  /** Oldest version in the answer to ApiVersions. */
  readonly advertisedMin: number
  readonly versionMin: number
  readonly versionMax: number
  /** Whether requests of one connection may overlap; see `connection.ts`. */
  readonly isOverlappable: boolean
  /**
   * Runs one request: what the request changes is ordered before this returns,
   * the response follows. `undefined` is no response at all.
   */
  run(
    broker: BrokerState,
    body: ByteReader,
    call: { header: RequestHeader; caller: Caller }
  ): Promise<Buffer[] | undefined>
  /** The response that says `errorCode` wherever it can, for fault hooks; `undefined` if the API has no place. */
  fail(body: ByteReader, header: RequestHeader, errorCode: number): Buffer[] | undefined
}

/** How a handler is defined. */
export interface HandlerDefinition<Q, QI, S, SI> {
  readonly api: Api<Q, QI, S, SI>
  /** Where advertised and answered versions differ; default the oldest of the codec. */
  readonly advertisedMin?: number
  readonly isOverlappable?: boolean
  /** What the caller must be allowed to do to the cluster; else everything fails with CLUSTER_AUTHORIZATION_FAILED. */
  readonly clusterOperation?: OperationName
  /** What the caller must be allowed to do for the request as a whole; else everything fails with the first's error. */
  needs?(request: Q): readonly Need[]
  /** Answers one request. */
  handle(broker: BrokerState, request: Q, caller: Caller): SI | undefined | Promise<SI | undefined>
  /** A response in which everything the request names has failed with the code. */
  fail?(request: Q, errorCode: number, apiVersion: number): SI
}

/** Makes a handler of its definition. */
export function defineHandler<Q, QI, S, SI>(definition: HandlerDefinition<Q, QI, S, SI>): Handler {
  const { api } = definition
  return {
    key: api.key,
    name: api.name,
    advertisedMin: definition.advertisedMin ?? api.minVersion,
    versionMin: api.minVersion,
    versionMax: api.maxVersion,
    isOverlappable: definition.isOverlappable ?? false,
    run: async (broker, body, { header, caller }) => {
      if (broker.quotas.isActive) return runThrottled(definition, { broker, body, header, caller })
      const request = api.request.read(body, header.apiVersion)
      const refusal = refusalOf(definition, request, { broker, caller })
      const response =
        refusal === undefined
          ? await definition.handle(broker, request, caller)
          : failWith(definition, { request, refusal, apiVersion: header.apiVersion })
      return response === undefined ? undefined : encode(api, header, response)
    },
    fail: (body, header, errorCode) => {
      if (definition.fail === undefined) return undefined
      const response = definition.fail(api.request.read(body, header.apiVersion), errorCode, header.apiVersion)
      return encodeResponse(api, header.apiVersion, header.correlationId, response)
    }
  }
}

/**
 * The same where there are quotas: the answer goes out at once and says how long
 * the client is to wait, and its connection is not read for so long (KIP-219).
 * The time of a request is that of its decoding, of its handler until it first
 * waits, and of its encoding: nothing else of it keeps others waiting.
 */
async function runThrottled<Q, QI, S, SI>(
  definition: HandlerDefinition<Q, QI, S, SI>,
  call: { broker: BrokerState; body: ByteReader; header: RequestHeader; caller: Caller }
): Promise<Buffer[] | undefined> {
  const { broker, body, header, caller } = call
  const { api } = definition
  const { clock, quotas } = broker
  let startedMs = clock.monotonicMs()
  const request = api.request.read(body, header.apiVersion)
  const refusal = refusalOf(definition, request, { broker, caller })
  const answer =
    refusal === undefined
      ? definition.handle(broker, request, caller)
      : failWith(definition, { request, refusal, apiVersion: header.apiVersion })
  let workedMs = clock.monotonicMs() - startedMs
  const response = await answer
  if (response === undefined) return undefined
  startedMs = clock.monotonicMs()
  const chunks = encode(api, header, response)
  workedMs += clock.monotonicMs() - startedMs
  const throttleTimeMs = Math.max(throttleTimeOf(response), quotas.worked(caller, workedMs))
  if (throttleTimeMs <= 0) return chunks
  caller.connection.mute(throttleTimeMs)
  // Every response that can be throttled has this field; the codecs of the others do not look at it.
  return encode(api, header, { ...response, throttleTimeMs })
}

/** The throttle time that a handler answered. */
function throttleTimeOf(response: unknown): number {
  const hasTime = typeof response === 'object' && response !== null && 'throttleTimeMs' in response
  return hasTime && typeof response.throttleTimeMs === 'number' ? response.throttleTimeMs : 0
}

/** Why the caller may not make this request at all; `undefined` if it may. */
function refusalOf<Q, QI, S, SI>(
  definition: HandlerDefinition<Q, QI, S, SI>,
  request: Q,
  { broker, caller }: { broker: BrokerState; caller: Caller }
): KafkaErrorName | undefined {
  const { clusterOperation } = definition
  if (clusterOperation !== undefined && !broker.authorizer.isAllowed(caller, clusterOperation, CLUSTER))
    return 'CLUSTER_AUTHORIZATION_FAILED'
  if (definition.needs === undefined || broker.authorizer.acls === undefined) return undefined
  for (const need of definition.needs(request)) {
    const error = authorizationError(broker, caller, need)
    if (error !== undefined) return error
  }
  return undefined
}

function failWith<Q, QI, S, SI>(
  definition: HandlerDefinition<Q, QI, S, SI>,
  { request, refusal, apiVersion }: { request: Q; refusal: KafkaErrorName; apiVersion: number }
): SI {
  invariant(definition.fail !== undefined, `${definition.api.name} can be refused and says so`)
  return definition.fail(request, errorCode(refusal), apiVersion)
}

/** A response that cannot be encoded is this broker's fault, unlike a request that cannot be decoded. */
function encode<SI>(api: Api<unknown, never, unknown, SI>, header: RequestHeader, response: SI): Buffer[] {
  try {
    return encodeResponse(api, header.apiVersion, header.correlationId, response)
  } catch (cause) {
    const what = `the response of ${api.name} ${header.apiVersion} cannot be encoded: ${messageOf(cause)}`
    throw new PipelineError('ERR_CORE_INVARIANT', what, { cause })
  }
}

/** Kafka's code of an error name. */
export function errorCode(name: KafkaErrorName): number {
  return KAFKA_ERRORS[name].code
}

/** Kafka's sentence about an error, for the message fields of responses; `null` if there is no error. */
export function errorMessage(name: KafkaErrorName): string | null {
  return name === 'NONE' ? null : KAFKA_ERRORS[name].message
}

/** What a client is told that changes more of topics than its quota allows (KIP-599). */
export const THROTTLED: Refusal = {
  error: 'THROTTLING_QUOTA_EXCEEDED',
  message: KAFKA_ERRORS.THROTTLING_QUOTA_EXCEEDED.message
}

/**
 * The error that a client of the version knows: PRODUCER_FENCED came with a later
 * version of each API, before it was INVALID_PRODUCER_EPOCH.
 */
export function knownError(error: KafkaErrorName, { apiVersion }: Caller, fencedVersion: number): KafkaErrorName {
  return error === 'PRODUCER_FENCED' && apiVersion < fencedVersion ? 'INVALID_PRODUCER_EPOCH' : error
}
