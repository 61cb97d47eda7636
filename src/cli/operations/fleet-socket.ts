/** The Unix socket by which `comporta rollout` reaches the processes that `comporta scale` keeps: see `SocketFleet`. */

import { chmodSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { dirname } from 'node:path'

import { messageOf, PipelineError } from '../../core/index.ts'
import type { FleetActuator } from '../../ops/index.ts'

/**
 * Serves a fleet. Whoever may open the file may change the fleet: only the user whose process this is.
 *
 * @returns Ends it, and removes the file.
 * @throws PipelineError `ERR_CLI_PORT` if it cannot be listened on.
 */
export async function serveFleet(fleet: FleetActuator, path: string): Promise<() => Promise<void>> {
  const server = createServer((request, response) => {
    answer(fleet, request)
      .then(value => respond(response, 200, JSON.stringify(value ?? null)))
      .catch((error: unknown) => {
        const status = PipelineError.is(error, 'ERR_OPS_NOT_FOUND') ? 404 : 400
        respond(response, status, messageOf(error))
      })
  })
  await mkdir(dirname(path), { recursive: true })
  // One that was killed leaves its file behind; who lives holds the lock of the fleet, which was taken before.
  await rm(path, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => {
      reject(new PipelineError('ERR_CLI_PORT', `cannot listen on ${path}: ${error.message}`, { cause: error }))
    })
    server.listen(path, resolve)
  })
  if (process.platform !== 'win32') chmodSync(path, 0o600)
  return async () => {
    server.closeAllConnections()
    await new Promise<void>(resolve => server.close(() => resolve()))
    await rm(path, { force: true })
  }
}

async function answer(fleet: FleetActuator, { method, url = '' }: IncomingMessage): Promise<unknown> {
  const { pathname, searchParams } = new URL(url, 'http://fleet')
  switch (`${method} ${pathname}`) {
    case 'GET /size':
      return await fleet.size()
    case 'GET /instances':
      return await fleet.instances()
    case 'POST /restart':
      await fleet.restart(searchParams.get('instance') ?? '')
      return {}
    case 'POST /resize': {
      const count = Number(searchParams.get('count'))
      if (!Number.isInteger(count) || count < 0) throw new PipelineError('ERR_CLI_USAGE', 'no such size')
      await fleet.resize(count)
      return {}
    }
    default:
      throw new PipelineError('ERR_CLI_USAGE', `no such request: ${method} ${pathname}`)
  }
}

function respond(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body)
}
