/**
 * The lag endpoint: HTTP on loopback, GET and HEAD only, answered from the newest look.
 *
 * Requests never cause a look: whoever asks often costs Kafka nothing. Limits:
 * 64 connections, 5 s for a request, 8 KiB of headers, no bodies.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { type Clock, messageOf, PipelineError } from '../../core/index.ts'
import type { LagReport } from '../lag/lag-types.ts'
import { kedaPartitions } from './group-view.ts'
import { kedaReplicas } from './keda.ts'
import { answerOf, type EndpointState } from './lag-endpoint.ts'

/** How it is set up. */
export interface LagServerOptions {
  readonly clock: Clock
  /** Default 127.0.0.1. */
  readonly host?: string
  /** 0 = any that is free. */
  readonly port: number
  /** Name of the cluster in paths and labels. */
  readonly cluster: string
  /** Age from which on a look counts for nothing, in milliseconds. Default 60_000. */
  readonly ageMsMax?: number
  /** Most lines of `/metrics`. Default 100_000. */
  readonly seriesMax?: number
}

/** A running endpoint. */
export interface LagServer {
  /** `http://127.0.0.1:9470`. */
  readonly url: string
  /** Takes the newest look in. */
  update(report: LagReport): void
  close(): Promise<void>
}

const CONNECTIONS_MAX = 64
const REQUEST_MS = 5_000
const HEADER_BYTES = 8_192

/**
 * Starts it.
 *
 * @throws PipelineError `ERR_OPS_LISTEN` if the port cannot be had.
 */
export async function startLagServer(options: LagServerOptions): Promise<LagServer> {
  const { clock, host = '127.0.0.1', port, cluster, ageMsMax = 60_000, seriesMax = 100_000 } = options
  let report: LagReport | undefined
  let takenMs = 0
  let previous = new Map<string, ReadonlyMap<string, bigint>>()
  const state = (): EndpointState => ({
    report,
    ageMs: clock.monotonicMs() - takenMs,
    ageMsMax,
    cluster,
    previous,
    seriesMax
  })
  const limits = { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, maxHeaderSize: HEADER_BYTES }
  const server = createServer(limits, (request, response) => respond(request, response, state()))
  server.maxConnections = CONNECTIONS_MAX
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => {
      const message = `${host}:${port} cannot be listened on: ${messageOf(error)}`
      reject(new PipelineError('ERR_OPS_LISTEN', message, { cause: error }))
    })
    server.listen(port, host, resolve)
  })
  // An address was given: the server listens on a port.
  const bound = (server.address() as AddressInfo).port
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    update(next) {
      if (report !== undefined) previous = offsetsOf(report)
      report = next
      takenMs = clock.monotonicMs()
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

/** What KEDA would remember of a look. */
function offsetsOf({ groups }: LagReport): Map<string, ReadonlyMap<string, bigint>> {
  const options = { excludePersistentLag: true }
  return new Map(
    groups.map(({ groupId, partitions }) => [
      groupId,
      kedaReplicas({ partitions: kedaPartitions(partitions), options }).offsets
    ])
  )
}

function respond(request: IncomingMessage, response: ServerResponse, state: EndpointState): void {
  // A body is of no interest, but unread it would hold the connection.
  request.resume()
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end()
    return
  }
  const { status, contentType, body } = answerOf(request.url ?? '/', state)
  const headers = {
    'content-type': contentType,
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(body)
  }
  response.writeHead(status, headers).end(request.method === 'HEAD' ? undefined : body)
}
