/** The metrics of a role, served in Prometheus' text format where a port is given. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { messageOf, PipelineError } from '../../core/index.ts'
import { createMetrics, type Meter, noopMeter } from '../../telemetry/index.ts'

/** What every role may be told about its metrics. */
export interface MetricsOptions {
  /** Port on 127.0.0.1 for `GET /metrics`, 0 for any. Default: not served. */
  readonly metricsPort?: number | undefined
}

/** Metrics of one process. */
export interface RoleMetrics {
  readonly meter: Meter
  /** The address, for people and programs; empty when not served. */
  readonly info: Readonly<Record<string, string>>
  /** Serves what a function returns as JSON at `GET /describe`. */
  describeBy(read: () => unknown): void
  close(): Promise<void>
}

/**
 * Collects and serves if a port is given, else does neither.
 *
 * @throws PipelineError `ERR_CLI_PORT` if the port cannot be listened on.
 */
export async function startRoleMetrics(options: MetricsOptions): Promise<RoleMetrics> {
  // Nobody could read them.
  if (options.metricsPort === undefined) {
    return { meter: noopMeter, info: {}, describeBy: () => undefined, close: () => Promise.resolve() }
  }
  let describe: (() => unknown) | undefined
  const metrics = createMetrics()
  const server = createServer((request, response) => {
    if (request.url === '/describe' && describe !== undefined) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(describe())}\n`)
      return
    }
    if (request.url !== '/metrics') {
      response.writeHead(404).end(describe === undefined ? 'GET /metrics\n' : 'GET /metrics or /describe\n')
      return
    }
    metrics.prometheusText().then(
      text => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
      (error: unknown) => response.writeHead(500).end(`${messageOf(error)}\n`)
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => {
      const message = `cannot serve metrics on 127.0.0.1:${options.metricsPort}: ${error.message}`
      reject(new PipelineError('ERR_CLI_PORT', message, { cause: error }))
    })
    server.listen(options.metricsPort, '127.0.0.1', resolve)
  })
  // Listening on TCP: the address is never a path.
  const { port } = server.address() as AddressInfo
  return {
    meter: metrics.meter,
    info: { metrics: `http://127.0.0.1:${port}/metrics` },
    describeBy: read => {
      describe = read
    },
    close: async () => {
      server.close()
      server.closeAllConnections()
      await metrics.close()
    }
  }
}
