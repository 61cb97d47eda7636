/**
 * The HTTP side of the runtime: Lambda's Invoke API and a little of its
 * function listing, in the same paths, headers and bodies, so that AWS SDKs and
 * the AWS CLI work against it with only their endpoint changed.
 *
 * - `POST /2015-03-31/functions/{name}/invocations`
 * - `GET /2015-03-31/functions`, `GET /2015-03-31/functions/{name}`, `…/{name}/configuration`
 * - `GET /comporta/status`, `PUT /comporta/functions/{name}/faults`: ours.
 *
 * Signatures are not checked: whoever can reach the port can run the functions,
 * which is why it listens on the loopback address unless told otherwise. Pages
 * in a browser can reach loopback too, so a request with `Origin` or
 * `Sec-Fetch-Site` is refused.
 */

import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { messageOf, PipelineError } from '../../core/index.ts'
import * as errors from './api-errors.ts'
import { type FunctionReference, parseFunctionReference } from './function-name.ts'
import type { Faults, FunctionPool, FunctionStatus, InvocationRequest, PoolOutcome } from './function-pool.ts'
import { LogTail } from './log-tail.ts'
import { functionArn, LATEST, type RuntimeSettings } from './options.ts'
import { type BodyBudget, readBody } from './request-body.ts'

const FUNCTIONS_PATH = '/2015-03-31/functions'

/** What the API needs of the runtime. */
export interface ApiBackend {
  readonly settings: RuntimeSettings
  readonly pools: ReadonlyMap<string, FunctionPool>
  readonly budget: BodyBudget
  isDraining(): boolean
  status(): readonly FunctionStatus[]
  setFaults(name: string, faults: Partial<Faults>): Faults
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly requestId: string
  readonly query: URLSearchParams
}

/** Answers one HTTP request. Never rejects. */
export async function handleRequest(
  backend: ApiBackend,
  request: IncomingMessage,
  response: ServerResponse
): Promise<void> {
  const url = request.url ?? '/'
  const mark = url.indexOf('?')
  const path = mark === -1 ? url : url.slice(0, mark)
  const query = new URLSearchParams(mark === -1 ? '' : url.slice(mark + 1))
  const exchange: Exchange = { request, response, requestId: randomUUID(), query }
  try {
    if (request.headers.origin !== undefined || request.headers['sec-fetch-site'] !== undefined) {
      answerError(exchange, errors.browserRefused())
    } else if (backend.isDraining()) {
      answerError(exchange, errors.serviceFailure('the runtime is stopping'))
    } else {
      await route(backend, exchange, path)
    }
  } catch (error) {
    backend.settings.logger.error({ error: messageOf(error), requestId: exchange.requestId }, 'request failed')
    answerError(exchange, errors.serviceFailure('the runtime failed; its log says why'))
  }
}

async function route(backend: ApiBackend, exchange: Exchange, path: string): Promise<void> {
  const method = exchange.request.method ?? 'GET'
  if (path.startsWith(`${FUNCTIONS_PATH}/`) && path.length > FUNCTIONS_PATH.length + 1) {
    const [segment = '', operation, ...rest] = path.slice(FUNCTIONS_PATH.length + 1).split('/')
    if (rest.length === 0) return routeFunction(backend, exchange, { method, segment, operation })
  } else if (method === 'GET' && (path === FUNCTIONS_PATH || path === `${FUNCTIONS_PATH}/`)) {
    const all = [...backend.pools.values()].map(pool => configuration(pool))
    return answerJson(exchange, 200, { Functions: all })
  } else if (method === 'GET' && path === '/comporta/status') {
    return answerJson(exchange, 200, { functions: backend.status() })
  } else if (method === 'PUT' && path.startsWith('/comporta/functions/')) {
    const [name = '', operation, ...rest] = path.slice('/comporta/functions/'.length).split('/')
    if (operation === 'faults' && rest.length === 0) return changeFaults(backend, exchange, name)
  }
  exchange.request.resume()
  answerError(exchange, errors.unknownOperation())
}

interface FunctionPath {
  readonly method: string
  readonly segment: string
  readonly operation: string | undefined
}

async function routeFunction(backend: ApiBackend, exchange: Exchange, path: FunctionPath): Promise<void> {
  const { method, segment, operation } = path
  const isInvoke = method === 'POST' && operation === 'invocations'
  const isGet = method === 'GET' && (operation === undefined || operation === '' || operation === 'configuration')
  if (!isInvoke && !isGet) {
    exchange.request.resume()
    return answerError(exchange, errors.unknownOperation())
  }
  const reference = decodeReference(segment)
  const pool = reference === undefined ? undefined : findPool(backend, reference, exchange.query)
  if (pool === undefined) {
    exchange.request.resume()
    return answerError(exchange, reference === undefined ? errors.invalidFunctionName() : missing(backend, reference))
  }
  if (isInvoke) return invoke(backend, exchange, pool)
  const found = configuration(pool)
  answerJson(exchange, 200, operation === 'configuration' ? found : { Configuration: found })
}

function decodeReference(segment: string): FunctionReference | undefined {
  try {
    return parseFunctionReference(decodeURIComponent(segment))
  } catch {
    return undefined // a stray % is not a name either
  }
}

function findPool(backend: ApiBackend, reference: FunctionReference, query: URLSearchParams): FunctionPool | undefined {
  const qualifier = reference.qualifier ?? query.get('Qualifier') ?? LATEST
  return qualifier === LATEST ? backend.pools.get(reference.name) : undefined
}

function missing(backend: ApiBackend, reference: FunctionReference): errors.ApiError {
  const { region, accountId } = backend.settings
  const suffix = reference.qualifier === undefined ? '' : `:${reference.qualifier}`
  return errors.resourceNotFound(functionArn(region, accountId, reference.name) + suffix)
}

async function invoke(backend: ApiBackend, exchange: Exchange, pool: FunctionPool): Promise<void> {
  const type = header(exchange, 'x-amz-invocation-type') ?? 'RequestResponse'
  const clientContext = decodeClientContext(header(exchange, 'x-amz-client-context'))
  const refusal = parameterProblem(type, clientContext)
  if (refusal !== undefined) {
    exchange.request.resume()
    return answerError(exchange, refusal)
  }
  const bytesMax = type === 'Event' ? errors.EVENT_BYTES_MAX : errors.REQUEST_BYTES_MAX
  const body = await readBody(exchange.request, { bytesMax, budget: backend.budget })
  if (body.kind === 'aborted') return
  if (body.kind === 'tooLarge') return answerError(exchange, errors.requestTooLarge(bytesMax))
  if (body.kind === 'noRoom') return answerError(exchange, errors.tooManyRequests('CallerRateLimitExceeded'))
  // The buffer is given away to the worker and is empty afterwards.
  const heldBytes = body.payload.byteLength
  try {
    const { requestId } = exchange
    const context = typeof clientContext === 'string' ? clientContext : undefined
    const invokedFunctionArn = pool.settings.arn
    const request: InvocationRequest = { requestId, payload: body.payload, clientContext: context, invokedFunctionArn }
    if (type === 'DryRun') answer(exchange, { status: 204 })
    else if (type === 'Event') acceptEvent(exchange, pool, request)
    else await invokeNow(exchange, pool, request)
  } finally {
    backend.budget.release(heldBytes)
  }
}

function parameterProblem(type: string, clientContext: string | false | undefined): errors.ApiError | undefined {
  if (!['RequestResponse', 'Event', 'DryRun'].includes(type)) {
    return errors.invalidParameter(`InvocationType ${type} is none of RequestResponse, Event, DryRun`)
  }
  return clientContext === false ? errors.invalidClientContext() : undefined
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

function acceptEvent(exchange: Exchange, pool: FunctionPool, request: InvocationRequest): void {
  // Nobody will hear of it later, so this kind is checked here, before it is accepted.
  const problem = jsonProblem(request.payload)
  if (problem !== undefined) return answerError(exchange, errors.invalidRequestContent(problem))
  if (!pool.enqueue(request)) {
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

async function invokeNow(exchange: Exchange, pool: FunctionPool, request: InvocationRequest): Promise<void> {
  if (header(exchange, 'x-amz-log-type') !== 'Tail') {
    return answerOutcome(exchange, await pool.invoke(request), undefined)
  }
  const { requestId } = request
  const tail = new LogTail()
  tail.append(`START RequestId: ${requestId} Version: ${LATEST}\n`)
  const outcome = await pool.invoke({ ...request, onLog: text => tail.append(text) })
  if (outcome.kind !== 'throttled') {
    const duration = outcome.durationMs.toFixed(2)
    const billed = Math.ceil(outcome.durationMs)
    tail.append(`END RequestId: ${requestId}\nREPORT RequestId: ${requestId}\tDuration: ${duration} ms\t`)
    tail.append(`Billed Duration: ${billed} ms\tMemory Size: ${pool.settings.memoryMb} MB\t\n`)
  }
  answerOutcome(exchange, outcome, tail)
}

function answerOutcome(exchange: Exchange, outcome: PoolOutcome, tail: LogTail | undefined): void {
  switch (outcome.kind) {
    case 'throttled':
      return answerError(exchange, errors.tooManyRequests('ReservedFunctionConcurrentInvocationLimitExceeded'))
    case 'invalidEvent':
      return answerError(exchange, errors.invalidRequestContent(outcome.detail))
    case 'functionError':
    case 'result': {
      const headers: Record<string, string> = { 'X-Amz-Executed-Version': LATEST }
      if (outcome.kind === 'functionError') headers['X-Amz-Function-Error'] = 'Unhandled'
      if (tail !== undefined) headers['X-Amz-Log-Result'] = tail.toBase64()
      answer(exchange, { status: 200, headers, body: outcome.payload })
    }
  }
}

async function changeFaults(backend: ApiBackend, exchange: Exchange, name: string): Promise<void> {
  const body = await readBody(exchange.request, { bytesMax: 4_096, budget: backend.budget })
  if (body.kind !== 'body') return answerError(exchange, errors.requestTooLarge(4_096))
  backend.budget.release(body.payload.byteLength)
  try {
    const given: unknown = JSON.parse(Buffer.from(body.payload).toString('utf8'))
    // Boundary: setFaults checks every member.
    answerJson(exchange, 200, backend.setFaults(name, given as Partial<Faults>))
  } catch (error) {
    if (PipelineError.is(error, 'ERR_LAMBDA_FUNCTION_UNKNOWN')) {
      return answerError(exchange, errors.resourceNotFound(name))
    }
    answerError(exchange, errors.invalidParameter(messageOf(error)))
  }
}

function configuration(pool: FunctionPool): Record<string, unknown> {
  const { name, arn, handler, memoryMb, timeoutMs } = pool.settings
  return {
    FunctionName: name,
    FunctionArn: arn,
    Runtime: `nodejs${process.versions.node.split('.')[0]}.x`,
    Handler: handler,
    Timeout: Math.ceil(timeoutMs / 1000),
    MemorySize: memoryMb,
    Version: LATEST,
    PackageType: 'Zip',
    State: 'Active',
    LastUpdateStatus: 'Successful'
  }
}

function header(exchange: Exchange, name: string): string | undefined {
  const value = exchange.request.headers[name]
  return typeof value === 'string' ? value : undefined
}

function answerError(exchange: Exchange, error: errors.ApiError): void {
  const headers = { ...error.headers, 'x-amzn-ErrorType': error.type }
  answer(exchange, { status: error.status, headers, body: Buffer.from(JSON.stringify(error.body)) })
}

function answerJson(exchange: Exchange, status: number, body: unknown): void {
  answer(exchange, { status, body: Buffer.from(JSON.stringify(body)) })
}

interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

function answer({ request, response, requestId }: Exchange, { status, headers, body }: Answer): void {
  if (response.headersSent || response.destroyed) return
  // What was not read to its end would be taken for the next request.
  const connection = request.complete ? undefined : { Connection: 'close' }
  response.writeHead(status, {
    ...headers,
    ...connection,
    'x-amzn-RequestId': requestId,
    'Content-Type': 'application/json',
    'Content-Length': body?.byteLength ?? 0
  })
  response.end(body)
}
