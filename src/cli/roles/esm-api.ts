/**
 * AWS's API for event source mappings on a port of 127.0.0.1, for SDKs and the AWS CLI.
 *
 * Signatures are not checked: whoever reaches the port may start mappings. Requests of pages in a browser are refused.
 */

import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { messageOf, PipelineError } from '../../core/index.ts'
import type { MappingApi, MappingApiAnswer } from '../../lambda/index.ts'

/** A served API. */
export interface ServedApi {
  readonly endpoint: string
  close(): Promise<void>
}

const BODY_BYTES_MAX = 1_048_576

/**
 * Serves the API.
 *
 * @throws PipelineError `ERR_CLI_PORT` if the port cannot be listened on.
 */
export async function serveMappingApi(api: MappingApi, port: number): Promise<ServedApi> {
  const server = createServer((request, response) => {
    answer(api, request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => {
      const message = `cannot serve the API of mappings on 127.0.0.1:${port}: ${error.message}`
      reject(new PipelineError('ERR_CLI_PORT', message, { cause: error }))
    })
    server.listen(port, '127.0.0.1', resolve)
  })
  // Listening on TCP: the address is never a path.
  const address = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    close: async () => {
      server.close()
      server.closeAllConnections()
      await api.close()
    }
  }
}

async function answer(api: MappingApi, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = 'GET', url = '/', headers } = request
  const { pathname: path, searchParams: query } = new URL(url, 'http://127.0.0.1')
  const isBrowser = headers.origin !== undefined || headers['sec-fetch-site'] !== undefined
  const body = isBrowser ? '' : await bodyOf(request)
  const handled = isBrowser || body === undefined ? undefined : await api.handle({ method, path, query, body })
  const {
    status,
    body: json,
    errorType
  }: MappingApiAnswer = handled ?? {
    status: isBrowser ? 403 : 404,
    errorType: isBrowser ? 'AccessDeniedException' : 'UnknownOperationException',
    body: { Message: isBrowser ? 'Requests of browsers are refused.' : 'There are event source mappings only.' }
  }
  response.writeHead(status, {
    'content-type': 'application/json',
    'x-amzn-requestid': randomUUID(),
    ...(errorType === undefined ? {} : { 'x-amzn-errortype': errorType })
  })
  response.end(JSON.stringify(json))
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > BODY_BYTES_MAX) return undefined
      chunks.push(chunk)
    }
  } catch (error) {
    throw new PipelineError('ERR_CLI_INPUT', `a request broke off: ${messageOf(error)}`, { cause: error })
  }
  return Buffer.concat(chunks).toString('utf8')
}
