/**
 * The HTTP endpoint of a role: its metrics, what it says of itself, its health, and orders to it.
 *
 * | path | answer |
 * | --- | --- |
 * | `GET /metrics` | Prometheus' text format |
 * | `GET /describe` | JSON, of a form that depends on the role |
 * | `GET /health/live` | 200 and `{ isLive, startedAtMs }` as long as the event loop turns: silence says the rest |
 * | `GET /health/ready` | 200 or 503 and `{ isReady, reason }`: whether the role gets on, not whether it is there |
 * | `POST /control/pause`, `/control/resume` | see `role-endpoint-control.ts` |
 *
 * On loopback by default, where names other than those of this machine are refused (DNS rebinding). Limits: 64
 * connections, 5 s for a request, 8 KiB of headers, 4 KiB of a body.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import type { TelemetryConfig } from '../../config/index.ts'
import { messageOf, PipelineError, systemClock, type Timer } from '../../core/index.ts'
import {
  type Logger,
  type Meter,
  type Metrics,
  noopMeter,
  PROMETHEUS_CONTENT_TYPE,
  silentLogger
} from '../../telemetry/index.ts'
import { startRoleMetrics } from '../telemetry/role-metrics.ts'
import { checkToken, type ControlAnswer, type ControlHandlers, takeOrder } from './role-endpoint-control.ts'
import { isLoopback, isOwnName } from './role-endpoint-hosts.ts'

/** What every role may be told about its endpoint. It can cross a process boundary. */
export interface RoleEndpointOptions {
  /** Port to listen on, 0 for any. Default: no endpoint. */
  readonly metricsPort?: number | undefined
  /** Address to listen on. Default 127.0.0.1. */
  readonly metricsHost?: string | undefined
  /**
   * Bearer token of `/control`, at least 16 characters. Default: the variable COMPORTA_CONTROL_TOKEN; without one
   * orders are refused.
   */
  readonly controlToken?: string | undefined
  /** Section `telemetry` of the pipeline file. Default: nothing is traced or exported. */
  readonly telemetry?: TelemetryConfig | undefined
}

/** Whether a role takes part in the work, and why or why not. */
export interface Readiness {
  readonly isReady: boolean
  /** One sentence for people. */
  readonly reason: string
  /** Whether it is not ready for its target's sake alone, whose breaker is open: `?tolerate=breaker` is 200 then. */
  readonly isBreakerOpen?: boolean
}

/** Answers whether a role is ready. */
export type ReadReadiness = () => Readiness | Promise<Readiness>

/** The endpoint of one process, or what stands for it where there is none. */
export interface RoleEndpoint {
  readonly meter: Meter
  /** Whether anybody can ask. */
  readonly isServed: boolean
  /** Addresses, for people and programs; empty when not served. */
  readonly info: Readonly<Record<string, string>>
  /** Serves what a function returns as JSON at `GET /describe`. */
  describeBy(read: () => unknown): void
  /**
   * Serves a verdict at `GET /health/ready`; until then the role is starting, which is not ready.
   *
   * @param everyMs - Time between two calls that nobody has asked for: progress is seen by looking again. Default none.
   */
  readyBy(read: ReadReadiness, everyMs?: number): void
  /** Takes orders at `POST /control/…`. */
  controlBy(handlers: ControlHandlers): void
  /** Idempotent. */
  close(): Promise<void>
}

const CONNECTIONS_MAX = 64
const REQUEST_MS = 5000
const HEADER_BYTES = 8192
const LOOPBACK = '127.0.0.1'
/** When this process started, in milliseconds since 1970: one that was started again shows by it. */
const startedAtMs = Math.round(performance.timeOrigin)

/** Whose endpoint it is. */
export interface EndpointOwner {
  /** Part of this process in the pipeline. */
  readonly role: string
  readonly logger: Logger
}

/**
 * Serves if a port is given. Metrics are kept if they can be read there or are exported.
 *
 * @throws PipelineError `ERR_CLI_PORT` if the port cannot be listened on, `ERR_CLI_CONTROL_TOKEN` for a token that can
 *   be guessed.
 */
export async function startRoleEndpoint(
  options: RoleEndpointOptions,
  owner: EndpointOwner = { role: 'process', logger: silentLogger }
): Promise<RoleEndpoint> {
  const isServed = options.metricsPort !== undefined
  const token = options.controlToken ?? process.env['COMPORTA_CONTROL_TOKEN']
  if (isServed && token !== undefined) checkToken(token)
  const metrics = startRoleMetrics(options.telemetry, { ...owner, isServed })
  if (metrics === undefined) return noEndpoint
  return isServed
    ? await serve({ ...options, controlToken: token }, metrics)
    : { ...noEndpoint, meter: metrics.meter, close: () => metrics.close() }
}

async function serve(options: RoleEndpointOptions, metrics: Metrics): Promise<RoleEndpoint> {
  const host = options.metricsHost ?? LOOPBACK
  const { controlToken: token } = options
  const parts: EndpointParts = { host, token, prometheusText: () => metrics.prometheusText() }
  const server = createServer(
    { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, maxHeaderSize: HEADER_BYTES },
    (request, response) => {
      answer(parts, request, response).catch((error: unknown) =>
        sendJson(response, { status: 500, body: { message: messageOf(error) } })
      )
    }
  )
  server.maxConnections = CONNECTIONS_MAX
  const url = await listen(server, host, options.metricsPort ?? 0).catch(async (error: unknown) => {
    await metrics.close()
    throw error
  })
  let looks: Timer | undefined
  return {
    meter: metrics.meter,
    isServed: true,
    info: { metrics: `${url}/metrics` },
    describeBy: read => void (parts.describe = read),
    readyBy: (read, everyMs) => {
      parts.ready = read
      looks?.cancel()
      looks = everyMs === undefined ? undefined : systemClock.every(everyMs, () => void readinessOf(parts)).unref()
    },
    controlBy: handlers => void (parts.control = handlers),
    close: async () => {
      looks?.cancel()
      server.close()
      server.closeAllConnections()
      await metrics.close()
    }
  }
}

const noEndpoint: RoleEndpoint = {
  meter: noopMeter,
  isServed: false,
  info: {},
  describeBy: () => undefined,
  readyBy: () => undefined,
  controlBy: () => undefined,
  close: () => Promise.resolve()
}

interface EndpointParts {
  readonly host: string
  readonly token: string | undefined
  readonly prometheusText: () => Promise<string>
  describe?: () => unknown
  ready?: ReadReadiness
  control?: ControlHandlers
}

async function listen(server: Server, host: string, port: number): Promise<string> {
  const shown = host.includes(':') ? `[${host}]` : host
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => {
      const message = `cannot serve metrics on ${shown}:${port}: ${error.message}`
      reject(new PipelineError('ERR_CLI_PORT', message, { cause: error }))
    })
    server.listen(port, host, resolve)
  })
  // Listening on TCP: the address is never a path.
  return `http://${shown}:${(server.address() as AddressInfo).port}`
}

async function answer(parts: EndpointParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, query } = splitTarget(request.url ?? '/')
  if (pathname.startsWith('/control/')) {
    sendJson(response, await takeOrder(request, { ...parts, order: pathname.slice('/control/'.length) }))
    return
  }
  // A body is of no interest, but unread it would hold the connection.
  request.resume()
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    sendJson(response, { status: 405, body: { message: 'GET only' }, headers: { allow: 'GET, HEAD' } })
    return
  }
  if (isLoopback(parts.host) && !isOwnName(request.headers.host, parts.host)) {
    sendJson(response, { status: 421, body: { message: 'this endpoint answers to names of this machine only' } })
    return
  }
  await answerGet(parts, { pathname, query }, response)
}

async function answerGet(parts: EndpointParts, { pathname, query }: Target, response: ServerResponse): Promise<void> {
  switch (pathname) {
    case '/metrics':
      send(response, 200, { type: PROMETHEUS_CONTENT_TYPE, body: await parts.prometheusText() })
      return
    case '/describe':
      if (parts.describe === undefined) break
      sendJson(response, { status: 200, body: parts.describe() })
      return
    case '/health/live':
      sendJson(response, { status: 200, body: { isLive: true, startedAtMs } })
      return
    case '/health/ready': {
      const { isReady, isBreakerOpen = false, reason } = await readinessOf(parts)
      const isTolerated = isReady || (isBreakerOpen && query.get('tolerate') === 'breaker')
      sendJson(response, { status: isTolerated ? 200 : 503, body: { isReady: isTolerated, reason } })
      return
    }
  }
  const describe = parts.describe === undefined ? '' : ', /describe'
  send(response, 404, { type: 'text/plain', body: `GET /metrics${describe}, /health/live or /health/ready\n` })
}

async function readinessOf({ ready }: EndpointParts): Promise<Readiness> {
  if (ready === undefined) return { isReady: false, reason: 'starting' }
  try {
    return await ready()
  } catch (error) {
    return { isReady: false, reason: messageOf(error) }
  }
}

interface Target {
  readonly pathname: string
  readonly query: URLSearchParams
}

/** What comes over the network is not always a URL. */
function splitTarget(target: string): Target {
  const at = target.indexOf('?')
  const query = new URLSearchParams(at < 0 ? '' : target.slice(at + 1))
  return { pathname: at < 0 ? target : target.slice(0, at), query }
}

function sendJson(response: ServerResponse, { status, body, headers = {} }: ControlAnswer): void {
  send(response, status, {
    type: 'application/json',
    body: `${JSON.stringify(body)}
`,
    headers
  })
}

interface Content {
  readonly type: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

function send(response: ServerResponse, status: number, { type, body, headers }: Content): void {
  if (response.headersSent || response.destroyed) return
  response
    .writeHead(status, {
      'content-type': type,
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...headers
    })
    .end(response.req.method === 'HEAD' ? undefined : body)
}
