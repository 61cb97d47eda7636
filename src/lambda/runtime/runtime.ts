/**
 * The embedded Lambda runtime: Lambda's Invoke API over worker threads.
 *
 * A request's body is read into one buffer, handed to a worker of the function,
 * parsed there, and the result comes back as bytes: the main thread only moves
 * them. See `function-pool.ts` for who gets a worker and
 * `execution-environment.ts` for what a worker may do to us (nothing).
 */

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { messageOf, PipelineError, within } from '../../core/index.ts'
import { type Faults, FunctionPool, type FunctionStatus } from './function-pool.ts'
import { type ApiBackend, handleRequest } from './http-api.ts'
import { type LambdaRuntimeOptions, type RuntimeSettings, runtimeSettings } from './options.ts'
import { BodyBudget } from './request-body.ts'
import { runtimeMetrics } from './runtime-metrics.ts'

/** Longest time a client may take to send one request. */
const REQUEST_TIMEOUT_MS = 30_000
/** How long an unused connection is kept: longer than the clients' own limits, so that they close first. */
const KEEP_ALIVE_MS = 65_000
/** Most connections. */
const CONNECTIONS_MAX = 2_048

/** A running runtime. */
export interface LambdaRuntime {
  /** Base address for clients, for example `http://127.0.0.1:9001`. */
  readonly endpoint: string
  readonly host: string
  readonly port: number
  /** Counts and state of every function. */
  status(): readonly FunctionStatus[]
  /**
   * Injects slowness or failures into a function from its next invocation on; members left out stay as they are.
   *
   * @throws PipelineError `ERR_LAMBDA_FUNCTION_UNKNOWN`, `ERR_LAMBDA_FAULTS_INVALID`.
   */
  setFaults(functionName: string, faults: Partial<Faults>): Faults
  /** Refuses new requests and waits for the running ones, at most `deadlineMs` (default 10_000), then closes. */
  drain(deadlineMs?: number): Promise<void>
  /** Ends everything at once; running invocations are answered as failed. Idempotent. */
  close(): Promise<void>
}

/**
 * Starts the runtime.
 *
 * @throws PipelineError `ERR_LAMBDA_OPTIONS_INVALID` with every problem, `ERR_LAMBDA_LISTEN_FAILED`.
 */
export async function startLambdaRuntime(options: LambdaRuntimeOptions): Promise<LambdaRuntime> {
  const settings = runtimeSettings(options)
  const metrics = runtimeMetrics(settings.meter)
  const pools = new Map(settings.functions.map(each => [each.name, new FunctionPool(each, settings, metrics)]))
  const backend = new Backend(settings, pools)
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: 10_000 }, (request, response) => {
    void handleRequest(backend, request, response)
  })
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.maxConnections = CONNECTIONS_MAX
  try {
    await listen(server, settings)
  } catch (error) {
    await backend.closePools()
    const message = `cannot listen on ${settings.host}:${settings.port}: ${messageOf(error)}`
    throw new PipelineError('ERR_LAMBDA_LISTEN_FAILED', message, { cause: error })
  }
  return new Runtime(backend, server)
}

function listen(server: Server, { host, port }: RuntimeSettings): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

class Backend implements ApiBackend {
  readonly settings: RuntimeSettings
  readonly pools: ReadonlyMap<string, FunctionPool>
  readonly budget: BodyBudget
  isStopping = false

  constructor(settings: RuntimeSettings, pools: ReadonlyMap<string, FunctionPool>) {
    this.settings = settings
    this.pools = pools
    this.budget = new BodyBudget(settings.requestBytesMax)
  }

  isDraining(): boolean {
    return this.isStopping
  }

  status(): readonly FunctionStatus[] {
    return [...this.pools.values()].map(pool => pool.status())
  }

  setFaults(name: string, faults: Partial<Faults>): Faults {
    const pool = this.pools.get(name)
    if (pool === undefined) {
      const names = [...this.pools.keys()].join(', ')
      throw new PipelineError('ERR_LAMBDA_FUNCTION_UNKNOWN', `there is no function "${name}"; there are: ${names}`)
    }
    return pool.setFaults(checkedFaults(faults))
  }

  async closePools(): Promise<void> {
    await Promise.all([...this.pools.values()].map(pool => pool.close()))
  }
}

function checkedFaults(faults: unknown): Partial<Faults> {
  const members: [string, unknown][] = typeof faults === 'object' && faults !== null ? Object.entries(faults) : []
  const limits = new Map([
    ['extraLatencyMs', 900_000],
    ['failureRatio', 1]
  ])
  for (const [name, value] of members) {
    const max = limits.get(name)
    if (max !== undefined && typeof value === 'number' && value >= 0 && value <= max) continue
    const message = `${name}: ${String(value)} is not a fault; give extraLatencyMs 0..900000, failureRatio 0..1`
    throw new PipelineError('ERR_LAMBDA_FAULTS_INVALID', message)
  }
  if (members.length === 0) throw new PipelineError('ERR_LAMBDA_FAULTS_INVALID', 'no fault is named')
  return Object.fromEntries(members)
}

class Runtime implements LambdaRuntime {
  readonly host: string
  readonly port: number
  readonly endpoint: string
  readonly #backend: Backend
  readonly #server: Server
  #closing: Promise<void> | undefined

  constructor(backend: Backend, server: Server) {
    this.#backend = backend
    this.#server = server
    // Boundary: a TCP server that listens has an address with a port.
    const { address, port, family } = server.address() as AddressInfo
    this.host = address
    this.port = port
    this.endpoint = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
  }

  status(): readonly FunctionStatus[] {
    return this.#backend.status()
  }

  setFaults(functionName: string, faults: Partial<Faults>): Faults {
    return this.#backend.setFaults(functionName, faults)
  }

  async drain(deadlineMs = 10_000): Promise<void> {
    this.#backend.isStopping = true
    const quiet = Promise.all([...this.#backend.pools.values()].map(pool => pool.quiet()))
    await within(this.#backend.settings.clock, deadlineMs, quiet)
    await this.close()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#backend.isStopping = true
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    await this.#backend.closePools()
    // The last answers are on their way; only connections without a request are cut now.
    this.#server.closeIdleConnections()
    await within(this.#backend.settings.clock, 1_000, closed)
    this.#server.closeAllConnections()
    await closed
  }
}
