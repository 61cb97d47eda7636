/** The HTTP server: JSON in and out, errors as answers, pages for everything else. */

import { createServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'

import cookie from '@fastify/cookie'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'

import type { ConsoleConfig } from '../../config/index.ts'
import { PipelineError } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { isHttps, securityHeaders } from './headers.ts'
import { jsonText } from './json.ts'
import { formOf, type PageFiles } from './pages.ts'
import { problemOf } from './problems.ts'
import type { ConsoleSecrets } from './settings.ts'

/** What a server is made from. */
export interface AppOptions {
  readonly settings: ConsoleConfig
  readonly secrets: ConsoleSecrets
  readonly pages: () => Promise<PageFiles>
  readonly logger: Logger
}

const BODY_BYTES_MAX = 1_048_576
const HEADER_BYTES_MAX = 32_768
const REQUEST_TIMEOUT_MS = 60_000
const HEADERS_TIMEOUT_MS = 10_000
const CONNECTIONS_MAX = 2000
const IMMUTABLE = 'public, max-age=31536000, immutable'

/** A server that does not listen yet. */
export async function createApp({ settings, secrets, pages, logger }: AppOptions): Promise<FastifyInstance> {
  const limits = {
    maxHeaderSize: HEADER_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: HEADERS_TIMEOUT_MS,
    keepAliveTimeout: 30_000
  }
  const { tls } = secrets
  const headers = securityHeaders(isHttps(settings))
  const app = fastify({
    serverFactory: handler => {
      const server =
        tls === undefined
          ? createServer(limits, handler)
          : createHttpsServer({ ...limits, ...tls, minVersion: 'TLSv1.2' }, handler)
      server.maxConnections = CONNECTIONS_MAX
      return server
    },
    bodyLimit: BODY_BYTES_MAX,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    trustProxy: settings.trustProxy === undefined ? false : [...settings.trustProxy],
    routerOptions: { maxParamLength: 2048 },
    // An address that cannot be decoded has no route, and passes no hook.
    frameworkErrors: (error, _request, reply) => void sendProblem(error, reply.headers(headers), logger)
  })
  // Only JSON: a form of another page can send text without asking first.
  app.removeContentTypeParser('text/plain')
  app.setReplySerializer(jsonText)
  app.setErrorHandler((error, _request, reply) => sendProblem(error, reply, logger))
  app.setNotFoundHandler(async (request, reply) => await sendPage(request, reply, pages))
  await app.register(cookie)
  return app
}

/** Answers with what is wrong. */
export function sendProblem(error: unknown, reply: FastifyReply, logger: Logger): FastifyReply {
  const { status, answer, retryAfterSeconds } = problemOf(error, logger)
  if (retryAfterSeconds !== undefined) void reply.header('retry-after', retryAfterSeconds)
  // What was set for a file does not hold for an error.
  return reply.code(status).removeHeader('content-encoding').type('application/json; charset=utf-8').send(answer)
}

/** A file of the pages; for an address of a page the one that has them all. */
async function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  pages: () => Promise<PageFiles>
): Promise<FastifyReply> {
  const path = request.url.split('?')[0]?.slice(1) ?? ''
  if (request.method !== 'GET' && request.method !== 'HEAD') throw notFound(request)
  if (path === 'api' || path.startsWith('api/')) throw notFound(request)
  const files = await pages()
  // Names of groups and topics, which may have dots, are in addresses of pages: only what looks like a file is one.
  const file = files.get(path) ?? (/^assets\/|^[^/]+\.[a-z]+$/.test(path) ? undefined : files.get('index.html'))
  if (file === undefined) throw notFound(request)
  const { body, encoding } = formOf(file, request.headers['accept-encoding'])
  if (file.isHashed) void reply.header('cache-control', IMMUTABLE)
  if (file.gzip !== undefined) void reply.header('vary', 'accept-encoding')
  if (encoding !== undefined) void reply.header('content-encoding', encoding)
  return reply.code(200).type(file.type).send(body)
}

function notFound({ method, url }: FastifyRequest): PipelineError {
  return new PipelineError('ERR_CONSOLE_NOT_FOUND', `there is no ${method} ${url.split('?')[0]?.slice(0, 200)}`)
}
