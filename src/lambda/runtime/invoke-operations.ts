/**
 * Invoke and InvokeWithResponseStream.
 *
 * - `POST /2015-03-31/functions/{name}/invocations`
 * - `POST /2021-11-15/functions/{name}/response-streaming-invocations`
 */

import { messageOf } from '../../core/index.ts'
import type { ApiBackend, ServedFunction } from './api-backend.ts'
import * as errors from './api-errors.ts'
import { answer, answerError, type Exchange, header } from './api-exchange.ts'
import { invokeComplete, payloadChunk } from './event-stream.ts'
import { LogTail } from './log-tail.ts'
import type { InvocationRequest, InvokeResult } from './managed-function.ts'
import { type BodyOutcome, readBody } from './request-body.ts'

/** Whom a request means. */
export interface InvokeTarget extends ServedFunction {
  readonly qualifier: string | undefined
  /** As the caller named it: with the qualifier, if there was one. */
  readonly arn: string
}

/** Answers Invoke. */
export async function invoke(backend: ApiBackend, exchange: Exchange, target: InvokeTarget): Promise<void> {
  const type = header(exchange, 'x-amz-invocation-type') ?? 'RequestResponse'
  if (!['RequestResponse', 'Event', 'DryRun'].includes(type)) {
    const text = `InvocationType ${type} is none of RequestResponse, Event, DryRun`
    return answerError(exchange, errors.invalidParameter(text))
  }
  await withRequest(backend, { exchange, target, isEvent: type === 'Event' }, async request => {
    if (type === 'DryRun') answer(exchange, { status: 204 })
    else if (type === 'Event') acceptEvent(exchange, target, request)
    else await invokeNow(exchange, target, request)
  })
}

/** Answers InvokeWithResponseStream. */
export async function invokeStreaming(backend: ApiBackend, exchange: Exchange, target: InvokeTarget): Promise<void> {
  const type = header(exchange, 'x-amz-invocation-type') ?? 'RequestResponse'
  if (type !== 'RequestResponse' && type !== 'DryRun') {
    return answerError(exchange, errors.invalidParameter(`InvocationType ${type} is none of RequestResponse, DryRun`))
  }
  await withRequest(backend, { exchange, target, isEvent: false }, async request => {
    if (type === 'DryRun') answer(exchange, { status: 204 })
    else await stream(exchange, target, request)
  })
}

interface Reading {
  readonly exchange: Exchange
  readonly target: InvokeTarget
  readonly isEvent: boolean
}

/** Reads the request and has it run; its bytes count against the budget until then. */
async function withRequest(
  backend: ApiBackend,
  { exchange, target, isEvent }: Reading,
  run: (request: InvocationRequest) => Promise<void>
): Promise<void> {
  const clientContext = decodeClientContext(header(exchange, 'x-amz-client-context'))
  if (clientContext === false) return answerError(exchange, errors.invalidClientContext())
  const bytesMax = isEvent ? errors.EVENT_BYTES_MAX : errors.REQUEST_BYTES_MAX
  const body = await readBody(exchange.request, { bytesMax, budget: backend.budget })
  if (body.kind !== 'body') return refuse(exchange, body, bytesMax)
  // The buffer is given away to the worker and is empty afterwards.
  const heldBytes = body.payload.byteLength
  try {
    const { requestId } = exchange
    const { qualifier, arn: invokedFunctionArn } = target
    await run({ requestId, payload: body.payload, clientContext, invokedFunctionArn, qualifier })
  } finally {
    backend.budget.release(heldBytes)
  }
}

function refuse(exchange: Exchange, body: Exclude<BodyOutcome, { kind: 'body' }>, bytesMax: number): void {
  if (body.kind === 'tooLarge') answerError(exchange, errors.requestTooLarge(bytesMax))
  if (body.kind === 'noRoom') answerError(exchange, errors.tooManyRequests('CallerRateLimitExceeded'))
}

/** The client context as JSON text, `undefined` without one, `false` if it is not JSON in Base64. */
function decodeClientContext(value: string | undefined): string | false | undefined {
  if (value === undefined) return undefined
  const text = Buffer.from(value, 'base64').toString('utf8')
  try {
    JSON.parse(text)
    return text
  } catch {
    return false
  }
}

function acceptEvent(exchange: Exchange, target: InvokeTarget, request: InvocationRequest): void {
  // Nobody will hear of it later, so this kind is checked here, before it is accepted.
  const problem = jsonProblem(request.payload)
  if (problem !== undefined) return answerError(exchange, errors.invalidRequestContent(problem))
  if (!target.events.tryPut({ ...request, hops: 0 })) {
    return answerError(exchange, errors.tooManyRequests('FunctionInvocationRateLimitExceeded'))
  }
  answer(exchange, { status: 202 })
}

function jsonProblem(payload: ArrayBuffer): string | undefined {
  if (payload.byteLength === 0) return undefined
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload))
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

async function invokeNow(exchange: Exchange, { func }: InvokeTarget, request: InvocationRequest): Promise<void> {
  const tail = tailFor(exchange)
  const outcome = await func.invoke(tail === undefined ? request : { ...request, onLog: text => tail.append(text) })
  if (outcome.kind === 'throttled') return answerError(exchange, errors.tooManyRequests(outcome.reason))
  if (outcome.kind === 'invalidEvent') return answerError(exchange, errors.invalidRequestContent(outcome.detail))
  const headers: Record<string, string> = { 'X-Amz-Executed-Version': outcome.version }
  if (outcome.kind === 'functionError') headers['X-Amz-Function-Error'] = 'Unhandled'
  if (tail !== undefined) headers['X-Amz-Log-Result'] = tail.toBase64()
  answer(exchange, { status: 200, headers, body: outcome.payload })
}

function tailFor(exchange: Exchange): LogTail | undefined {
  return header(exchange, 'x-amz-log-type') === 'Tail' ? new LogTail() : undefined
}

/** The headers leave when the function runs; from then on errors are told in the last message. */
async function stream(exchange: Exchange, { func }: InvokeTarget, request: InvocationRequest): Promise<void> {
  const { response, requestId } = exchange
  const tail = tailFor(exchange)
  const begin = (version: string): void => {
    if (response.headersSent || response.destroyed) return
    response.writeHead(200, {
      'Content-Type': 'application/vnd.amazon.eventstream',
      'X-Amz-Executed-Version': version,
      'x-amzn-RequestId': requestId
    })
  }
  const outcome = await func.invoke({
    ...request,
    onStart: begin,
    onChunk: (payload, onLeft) => write(exchange, payloadChunk(payload), onLeft),
    ...(tail === undefined ? {} : { onLog: (text: string) => tail.append(text) })
  })
  if (outcome.kind === 'throttled') return answerError(exchange, errors.tooManyRequests(outcome.reason))
  if (outcome.kind === 'result' && outcome.payload.byteLength > 0) {
    write(exchange, payloadChunk(outcome.payload), () => undefined)
  }
  const LogResult = tail === undefined ? {} : { LogResult: tail.toBase64() }
  if (!response.destroyed) response.end(invokeComplete({ ...errorOf(outcome), ...LogResult }))
}

/** A client that is gone takes everything: the function is not held up for it. */
function write({ response }: Exchange, bytes: Buffer, onLeft: () => void): void {
  if (response.destroyed) onLeft()
  else response.write(bytes, () => onLeft())
}

function errorOf(outcome: InvokeResult): { ErrorCode?: string; ErrorDetails?: string } {
  if (outcome.kind === 'functionError') {
    return { ErrorCode: 'Unhandled', ErrorDetails: Buffer.from(outcome.payload).toString('utf8') }
  }
  return outcome.kind === 'invalidEvent' ? { ErrorCode: 'InvalidRequestContent', ErrorDetails: outcome.detail } : {}
}
