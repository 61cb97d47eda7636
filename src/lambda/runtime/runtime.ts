/**
 * The embedded Lambda runtime: Lambda's Invoke API over worker threads.
 *
 * A request's body is read into one buffer, handed to a worker of the function,
 * parsed there, and the result comes back as bytes: the main thread only moves
 * them. See `managed-function.ts` for who gets an environment and
 * `execution-environment.ts` for what a worker may do to us (nothing).
 */

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { messageOf, PipelineError, within } from '../../core/index.ts'
import { locateHandler } from '../worker/handler-loader.ts'
import type { ApiBackend, ServedFunction } from './api-backend.ts'
import { CodeWatcher } from './code-watcher.ts'
import { AccountConcurrency } from './concurrency.ts'
import { AwsDestinations } from './events/aws-destinations.ts'
import { EventQueue } from './events/event-queue.ts'
import { checkedFaults, type FaultsInput, type FaultsStatus } from './faults.ts'
import { handleRequest } from './http-api.ts'
import { type FunctionStatus, ManagedFunction } from './managed-function.ts'
import type { LambdaRuntimeOptions } from './options.ts'
import { BodyBudget } from './request-body.ts'
import { observeFunctions, type RuntimeMetrics, runtimeMetrics } from './runtime-metrics.ts'
import { type FunctionSettings, type RuntimeSettings, runtimeSettings } from './settings.ts'

/** Longest time a client may take to send one request. */
const REQUEST_TIMEOUT_MS = 30_000
/** How long an unused connection is kept: longer than the clients' own limits, so that they close first. */
const KEEP_ALIVE_MS = 65_000
/** Most connections. */
const CONNECTIONS_MAX = 2_048

/** How long a stop waits for threads to end. */
const ENVIRONMENTS_END_MS = 5_000

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
  setFaults(functionName: string, faults: FaultsInput): FaultsStatus
  /**
   * Ends all faults of a function.
   *
   * @throws PipelineError `ERR_LAMBDA_FUNCTION_UNKNOWN`.
   */
  clearFaults(functionName: string): FaultsStatus
  /**
   * Gives a function new environments, as a change of its code does: idle ones end now, busy ones when they are free.
   *
   * @throws PipelineError `ERR_LAMBDA_FUNCTION_UNKNOWN`.
   */
  renew(functionName: string): void
  /**
   * Refuses new requests and waits for what runs, for events that can run now and for destinations, at most
   * `deadlineMs` (default 10_000), then closes. Events that wait for a retry are lost, counted and logged.
   */
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
  const backend = new Backend(settings, metrics)
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: 10_000 }, (request, response) => {
    void handleRequest(backend, request, response)
  })
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.maxConnections = CONNECTIONS_MAX
  try {
    await listen(server, settings)
  } catch (error) {
    await backend.close()
    const place = `${settings.host}:${settings.port}`
    const message = `cannot listen on ${place}: ${messageOf(error)}; choose another port (--port, lambda.port; 0: any)`
    throw new PipelineError('ERR_LAMBDA_LISTEN_FAILED', message, { cause: error })
  }
  return new Runtime({ backend, server, endObserving: observeFunctions(settings.meter, () => backend.status()) })
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
  readonly functions = new Map<string, ServedFunction>()
  readonly budget: BodyBudget
  readonly #watcher: CodeWatcher | undefined
  readonly #aws: AwsDestinations
  isStopping = false

  constructor(settings: RuntimeSettings, metrics: RuntimeMetrics) {
    this.settings = settings
    this.budget = new BodyBudget(settings.requestBytesMax)
    this.#aws = new AwsDestinations({ region: settings.region, endpoint: settings.destinationEndpoint })
    const { clock, logger } = settings
    const onChange = (name: string): void => this.#onCodeChange(name)
    this.#watcher = settings.watch ? new CodeWatcher({ clock, logger, onChange }) : undefined
    const account = new AccountConcurrency(settings.accountConcurrency)
    for (const each of settings.functions) {
      const onFile = (name: string, file: string): void => this.#watcher?.add(name, file)
      const func = new ManagedFunction(each, { runtime: settings, metrics, account, onFile })
      const events = new EventQueue({
        func,
        runtime: settings,
        metrics,
        aws: this.#aws,
        toFunction: ({ name, qualifier }, event) => {
          const served = this.functions.get(name)
          return served?.func.find(qualifier) !== undefined && served.events.tryPut(event)
        }
      })
      this.functions.set(each.name, { func, events })
      this.#watchHandlers(each)
    }
  }

  isDraining(): boolean {
    return this.isStopping
  }

  status(): readonly FunctionStatus[] {
    return [...this.functions.values()].map(({ func }) => func.status())
  }

  named(name: string): ManagedFunction {
    const served = this.functions.get(name)
    if (served !== undefined) return served.func
    const names = [...this.functions.keys()].join(', ')
    throw new PipelineError('ERR_LAMBDA_FUNCTION_UNKNOWN', `there is no function "${name}"; there are: ${names}`)
  }

  setFaults(name: string, faults: unknown): FaultsStatus {
    return this.named(name).setFaults(checkedFaults(faults))
  }

  async quiet(): Promise<void> {
    const all = [...this.functions.values()]
    // Events first: what they start is then waited for; and again, for a destination may be a function.
    for (let round = 0; round < 2; round += 1) {
      await Promise.all(all.map(({ events }) => events.quiet()))
      await Promise.all(all.map(({ func }) => func.quiet()))
    }
  }

  async close(): Promise<void> {
    this.#watcher?.close()
    for (const { events } of this.functions.values()) events.close()
    await Promise.all([...this.functions.values()].map(({ func }) => func.close()))
    this.#aws.close()
  }

  /** The handler's own file is known before it is loaded; the others are told as they are. */
  #watchHandlers({ name, latest, versions }: FunctionSettings): void {
    for (const { handler } of [latest, ...versions.values()]) {
      if (handler.startsWith('builtin:')) continue
      const located = locateHandler(handler, this.settings.taskRoot)
      if (located !== undefined) this.#watcher?.add(name, located.file)
    }
  }

  #onCodeChange(name: string): void {
    if (this.isStopping) return
    this.settings.logger.info({ function: name }, 'its code changed: new environments')
    this.functions.get(name)?.func.renew()
  }
}

interface RuntimeParts {
  readonly backend: Backend
  readonly server: Server
  /** Ends that metrics are read of it. */
  readonly endObserving: () => void
}

class Runtime implements LambdaRuntime {
  readonly host: string
  readonly port: number
  readonly endpoint: string
  readonly #backend: Backend
  readonly #server: Server
  readonly #endObserving: () => void
  #closing: Promise<void> | undefined

  constructor({ backend, server, endObserving }: RuntimeParts) {
    this.#backend = backend
    this.#server = server
    this.#endObserving = endObserving
    // Boundary: a TCP server that listens has an address with a port.
    const { address, port, family } = server.address() as AddressInfo
    this.host = address
    this.port = port
    this.endpoint = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
  }

  status(): readonly FunctionStatus[] {
    return this.#backend.status()
  }

  setFaults(functionName: string, faults: FaultsInput): FaultsStatus {
    return this.#backend.setFaults(functionName, faults)
  }

  clearFaults(functionName: string): FaultsStatus {
    return this.#backend.named(functionName).clearFaults()
  }

  renew(functionName: string): void {
    this.#backend.named(functionName).renew()
  }

  async drain(deadlineMs = 10_000): Promise<void> {
    this.#backend.isStopping = true
    await within(this.#backend.settings.clock, deadlineMs, this.#backend.quiet())
    await this.close()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#backend.isStopping = true
    this.#endObserving()
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    // A thread that waits in a system call (execSync) ends when the call does, and that may be never.
    await within(this.#backend.settings.clock, ENVIRONMENTS_END_MS, this.#backend.close())
    // The last answers are on their way; only connections without a request are cut now.
    this.#server.closeIdleConnections()
    await within(this.#backend.settings.clock, 1_000, closed)
    this.#server.closeAllConnections()
    await closed
  }
}
