/**
 * A TCP server that speaks as much Kafka as a test tells it to, to show what a
 * real broker does only on its worst days: late, wrong, endless or no answers.
 */

import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import {
  ALL_APIS,
  apiByKey,
  type Api,
  apiVersionsApi,
  ByteReader,
  decodeRequestHeader,
  encodeResponse
} from '../../src/protocol/index.ts'

/** A request as the server sees it. */
export interface SeenRequest {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  /** Body, decoded when there is a codec for the version. */
  readonly message: unknown
  /** Which request of its connection this is, from 1. */
  readonly index: number
  readonly socket: Socket
  /** Sends an answer in the version of the request. */
  readonly answer: <SI>(api: Api<unknown, never, unknown, SI>, message: SI) => void
  /** Sends bytes as they are. */
  readonly write: (bytes: Buffer) => void
}

/** What to do with a request; `false` = the default: ApiVersions is answered, everything else is not. */
export type RequestHandler = (request: SeenRequest) => boolean | void | Promise<boolean | void>

/** A running server. */
export interface FakeBroker {
  readonly host: string
  readonly port: number
  readonly bootstrapServers: string[]
  /** Every request so far. */
  readonly requests: SeenRequest[]
  /** Connections accepted so far. */
  connectionCount(): number
  /** Ends all connections. */
  disconnectAll(): void
}

/** Starts a server for the length of one test. */
export async function startFakeBroker(t: TestContext, handle: RequestHandler, tls?: TlsOptions): Promise<FakeBroker> {
  const sockets = new Set<Socket>()
  const requests: SeenRequest[] = []
  let connectionCount = 0
  const onSocket = (socket: Socket): void => {
    sockets.add(socket)
    connectionCount += 1
    socket.on('error', () => undefined)
    serve(socket, requests, handle)
  }
  const server: Server = tls === undefined ? createServer(onSocket) : createTlsServer(tls, onSocket)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    host: '127.0.0.1',
    port,
    bootstrapServers: [`127.0.0.1:${port}`],
    requests,
    connectionCount: () => connectionCount,
    disconnectAll: () => {
      for (const socket of sockets) socket.destroy()
    }
  }
}

function serve(socket: Socket, requests: SeenRequest[], handle: RequestHandler): void {
  let pending = Buffer.alloc(0)
  let index = 0
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE(0)) {
      const end = 4 + pending.readInt32BE(0)
      index += 1
      const request = seen(socket, pending.subarray(4, end), index)
      pending = pending.subarray(end)
      requests.push(request)
      void respond(request, handle)
    }
  })
}

async function respond(request: SeenRequest, handle: RequestHandler): Promise<void> {
  const isHandled = (await handle(request)) !== false
  if (!isHandled && request.apiKey === apiVersionsApi.key) request.answer(apiVersionsApi, { apiKeys: ALL_VERSIONS })
}

/** All APIs that there are codecs for. */
export const ALL_VERSIONS = ALL_APIS.map(({ key, minVersion, maxVersion }) => ({ apiKey: key, minVersion, maxVersion }))

function seen(socket: Socket, bytes: Buffer, index: number): SeenRequest {
  const reader = new ByteReader(bytes)
  const header = decodeRequestHeader(reader)
  const codec = apiByKey(header.apiKey)?.request
  const isKnown = codec !== undefined && header.apiVersion <= codec.maxVersion
  return {
    ...header,
    message: isKnown ? codec.read(reader, header.apiVersion) : undefined,
    index,
    socket,
    answer: (api, message) => {
      for (const chunk of encodeResponse(api, header.apiVersion, header.correlationId, message)) socket.write(chunk)
    },
    write: chunk => void socket.write(chunk)
  }
}
