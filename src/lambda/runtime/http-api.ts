/**
 * The HTTP side of the runtime: Lambda's API in the same paths, headers and
 * bodies, so that AWS SDKs and the AWS CLI work against it with only their
 * endpoint changed.
 *
 * - `invoke-operations.ts`: Invoke, InvokeWithResponseStream.
 * - `function-operations.ts`: functions, versions, aliases, concurrency, events.
 * - `GET /comporta/status`, `GET`, `PUT`, `DELETE /comporta/functions/{name}/faults`: ours.
 *
 * Signatures are not checked: whoever can reach the port can run the functions,
 * which is why it listens on the loopback address unless told otherwise. Pages
 * in a browser can reach loopback too, so a request with `Origin` or
 * `Sec-Fetch-Site` is refused.
 */

import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { messageOf, PipelineError } from '../../core/index.ts'
import type { ApiBackend } from './api-backend.ts'
import * as errors from './api-errors.ts'
import { answerError, answerJson, type Exchange } from './api-exchange.ts'
import { routeFunction, routeList } from './function-operations.ts'
import { readBody } from './request-body.ts'

/** Paths of the API by the version it was added in. */
const FUNCTION_PATH = /^\/(2015-03-31|2019-09-25|2019-09-30|2017-10-31|2021-11-15)\/functions(?:\/(.*))?$/

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
  const [, date, rest] = FUNCTION_PATH.exec(path) ?? []
  if (date !== undefined && rest !== undefined && rest !== '') {
    const [segment = '', ...operation] = rest.split('/')
    return routeFunction(backend, exchange, { date, method, segment, operation: operation.join('/') })
  }
  if (date === '2015-03-31' && method === 'GET') return routeList(backend, exchange)
  if (method === 'GET' && path.startsWith('/2016-08-19/account-settings')) return accountSettings(backend, exchange)
  if (method === 'GET' && path === '/comporta/status') {
    return answerJson(exchange, 200, { functions: backend.status() })
  }
  const faultsOf = /^\/comporta\/functions\/([^/]+)\/faults$/.exec(path)?.[1]
  if (faultsOf !== undefined) return routeFaults(backend, exchange, faultsOf)
  answerError(exchange, errors.unknownOperation())
}

function accountSettings(backend: ApiBackend, exchange: Exchange): void {
  const { accountConcurrency } = backend.settings
  const reserved = [...backend.functions.values()].reduce((sum, { func }) => sum + func.concurrency, 0)
  answerJson(exchange, 200, {
    AccountLimit: {
      ConcurrentExecutions: accountConcurrency,
      UnreservedConcurrentExecutions: Math.max(0, accountConcurrency - reserved)
    },
    AccountUsage: { FunctionCount: backend.functions.size }
  })
}

async function routeFaults(backend: ApiBackend, exchange: Exchange, name: string): Promise<void> {
  const found = backend.functions.get(name)
  if (found === undefined) return answerError(exchange, errors.resourceNotFound(name))
  switch (exchange.request.method ?? '') {
    case 'GET':
      return answerJson(exchange, 200, found.func.status().faults)
    case 'DELETE':
      return answerJson(exchange, 200, found.func.clearFaults())
    case 'PUT':
      return changeFaults(backend, exchange, name)
  }
  answerError(exchange, errors.unknownOperation())
}

async function changeFaults(backend: ApiBackend, exchange: Exchange, name: string): Promise<void> {
  const body = await readBody(exchange.request, { bytesMax: 4_096, budget: backend.budget })
  if (body.kind !== 'body') return answerError(exchange, errors.requestTooLarge(4_096))
  backend.budget.release(body.payload.byteLength)
  try {
    answerJson(exchange, 200, backend.setFaults(name, JSON.parse(Buffer.from(body.payload).toString('utf8'))))
  } catch (error) {
    const what = PipelineError.is(error) ? error.message : `not JSON: ${messageOf(error)}`
    answerError(exchange, errors.invalidParameter(what))
  }
}
