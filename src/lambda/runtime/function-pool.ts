/**
 * All execution environments of one function, and who gets one.
 *
 * A synchronous invocation takes an idle environment (the last used first, so
 * that the others can retire), or a new one below `concurrency`, or is throttled:
 * at once as in Lambda, or after waiting `throttleWaitMs` in line for one that
 * becomes free. Invocations of type `Event` wait in a bounded queue for an
 * environment that is free; they are run once, in order of arrival, and a
 * failure is logged and counted: there is no retry and no on-failure destination.
 */

import { randomUUID } from 'node:crypto'

import { BoundedQueue, messageOf, type Timer } from '../../core/index.ts'
import { ExecutionEnvironment, type InvocationOutcome } from './execution-environment.ts'
import type { FunctionSettings, RuntimeSettings } from './options.ts'
import type { RuntimeMetrics } from './runtime-metrics.ts'

/** Most bytes of waiting events of one function, on top of the limit on their count. */
export const EVENT_QUEUE_BYTES_MAX = 67_108_864
/** Most characters of a function's output in one log line. */
const LOG_LINE_MAX = 8_192

/** Failures and slowness to inject into a function. */
export interface Faults {
  /** Waiting time before the handler runs, in milliseconds. Default 0. */
  readonly extraLatencyMs: number
  /** Share of invocations that fail without running the handler, 0 to 1. Default 0. */
  readonly failureRatio: number
}

/** One request for a function. */
export interface InvocationRequest {
  readonly requestId: string
  readonly payload: ArrayBuffer
  readonly clientContext: string | undefined
  readonly invokedFunctionArn: string
  /** Called with what the function writes. */
  readonly onLog?: (text: string) => void
}

/** What the caller of a function gets. */
export type PoolOutcome = (InvocationOutcome & { readonly durationMs: number }) | { readonly kind: 'throttled' }

/** Counts since the start, and the state now. */
export interface FunctionStatus {
  readonly name: string
  readonly arn: string
  readonly handler: string
  readonly concurrency: number
  readonly busyCount: number
  readonly idleCount: number
  /** Synchronous invocations in line for an environment. */
  readonly waitingCount: number
  readonly eventsWaiting: number
  readonly invocations: number
  readonly errors: number
  readonly timeouts: number
  readonly throttles: number
  readonly coldStarts: number
  readonly faults: Faults
}

interface Waiter {
  readonly resolve: (environment: ExecutionEnvironment | undefined) => void
  readonly timer: Timer
}

/** The environments of one function. */
export class FunctionPool {
  readonly settings: FunctionSettings
  readonly #runtime: RuntimeSettings
  readonly #metrics: RuntimeMetrics
  readonly #idle: ExecutionEnvironment[] = []
  /** Those that were given out, until they are released. */
  readonly #busy = new Set<ExecutionEnvironment>()
  readonly #waiting = new Set<Waiter>()
  readonly #events: BoundedQueue<InvocationRequest>
  readonly #sweep: Timer
  #faults: Faults = { extraLatencyMs: 0, failureRatio: 0 }
  #isClosed = false
  #whenQuiet: (() => void)[] = []
  readonly #counts = { invocations: 0, errors: 0, timeouts: 0, throttles: 0, coldStarts: 0 }

  constructor(settings: FunctionSettings, runtime: RuntimeSettings, metrics: RuntimeMetrics) {
    this.settings = settings
    this.#runtime = runtime
    this.#metrics = metrics
    this.#events = new BoundedQueue({ countMax: runtime.eventQueueMax, weightMax: EVENT_QUEUE_BYTES_MAX })
    const periodMs = Math.max(1, Math.ceil(runtime.idleTimeoutMs / 4))
    this.#sweep = runtime.clock.every(periodMs, () => this.#retireIdle()).unref()
  }

  /** Runs one invocation, or says that all environments are busy. Never rejects. */
  async invoke(request: InvocationRequest): Promise<PoolOutcome> {
    const environment = this.#acquire() ?? (await this.#wait())
    if (environment === undefined) {
      this.#counts.throttles += 1
      this.#metrics.throttled(this.settings.name)
      return { kind: 'throttled' }
    }
    return this.#run(environment, request)
  }

  /** Takes an invocation to run later; `false` if the queue is full. */
  enqueue(request: InvocationRequest): boolean {
    if (this.#isClosed || !this.#events.tryPut(request, request.payload.byteLength)) return false
    this.#pump()
    return true
  }

  /** Changes what is injected from the next invocation on. */
  setFaults(faults: Partial<Faults>): Faults {
    this.#faults = { ...this.#faults, ...faults }
    return this.#faults
  }

  status(): FunctionStatus {
    const { name, arn, handler, concurrency } = this.settings
    return {
      name,
      arn,
      handler,
      concurrency,
      busyCount: this.#busy.size,
      idleCount: this.#idle.length,
      waitingCount: this.#waiting.size,
      eventsWaiting: this.#events.count,
      ...this.#counts,
      faults: this.#faults
    }
  }

  /** Resolves once nothing runs or waits. */
  async quiet(): Promise<void> {
    while (this.#busy.size + this.#waiting.size + this.#events.count > 0) {
      await new Promise<void>(resolve => this.#whenQuiet.push(resolve))
    }
  }

  /** Ends all environments. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#sweep.cancel()
    for (;;) if (this.#events.tryTake() === undefined) break
    for (const waiter of this.#waiting) this.#serve(waiter, undefined)
    await Promise.all([...this.#idle.splice(0), ...this.#busy].map(each => each.close()))
  }

  #acquire(): ExecutionEnvironment | undefined {
    const environment = this.#isClosed ? undefined : (this.#takeIdle() ?? this.#create())
    if (environment !== undefined) this.#busy.add(environment)
    return environment
  }

  #takeIdle(): ExecutionEnvironment | undefined {
    for (let warm = this.#idle.pop(); warm !== undefined; warm = this.#idle.pop()) {
      // One that ended while idle (an error in a timer it left running) is just dropped.
      if (!warm.isClosed) return warm
    }
    return undefined
  }

  #create(): ExecutionEnvironment | undefined {
    if (this.#busy.size >= this.settings.concurrency) return undefined
    this.#counts.coldStarts += 1
    try {
      return new ExecutionEnvironment(this.settings, this.#runtime, randomUUID().replaceAll('-', ''))
    } catch (error) {
      // The machine has no thread to spare: as good as busy.
      const fields = { function: this.settings.name, error: messageOf(error) }
      this.#runtime.logger.error(fields, 'an environment could not be started')
      return undefined
    }
  }

  /** Waits in line for an environment. How many wait is bounded by the bytes of their events, see `requestBytesMax`. */
  #wait(): Promise<ExecutionEnvironment | undefined> {
    const { throttleWaitMs, clock } = this.#runtime
    if (throttleWaitMs === 0 || this.#isClosed) return Promise.resolve(undefined)
    return new Promise(resolve => {
      const timer = clock.after(throttleWaitMs, () => this.#serve(waiter, undefined))
      const waiter: Waiter = { resolve, timer }
      this.#waiting.add(waiter)
    })
  }

  #serve(waiter: Waiter, environment: ExecutionEnvironment | undefined): void {
    this.#waiting.delete(waiter)
    waiter.timer.cancel()
    waiter.resolve(environment)
  }

  async #run(environment: ExecutionEnvironment, request: InvocationRequest): Promise<PoolOutcome> {
    this.#counts.invocations += 1
    const { clock, random } = this.#runtime
    const startMs = clock.monotonicMs()
    const { requestId, payload, clientContext, invokedFunctionArn } = request
    const outcome = await environment.run({
      requestId,
      payload,
      clientContext,
      invokedFunctionArn,
      extraLatencyMs: this.#faults.extraLatencyMs,
      isFailureInjected: this.#faults.failureRatio > 0 && random.next() < this.#faults.failureRatio,
      onLog: text => {
        request.onLog?.(text)
        this.#forward(requestId, text)
      }
    })
    const endMs = clock.monotonicMs()
    this.#count(outcome, endMs - startMs)
    this.#release(environment, endMs)
    return { ...outcome, durationMs: endMs - startMs }
  }

  #release(environment: ExecutionEnvironment, nowMs: number): void {
    this.#busy.delete(environment)
    environment.idleSinceMs = nowMs
    if (!environment.isClosed) {
      if (this.#isClosed) void environment.close()
      else this.#idle.push(environment)
    }
    this.#pump()
    if (this.#busy.size === 0) for (const resolve of this.#whenQuiet.splice(0)) resolve()
  }

  #pump(): void {
    for (const waiter of this.#waiting) {
      const environment = this.#acquire()
      if (environment === undefined) return
      this.#serve(waiter, environment)
    }
    while (this.#events.count > 0) {
      const environment = this.#acquire()
      if (environment === undefined) return
      const request = this.#events.tryTake()
      if (request === undefined) return
      void this.#runEvent(environment, request)
    }
  }

  async #runEvent(environment: ExecutionEnvironment, request: InvocationRequest): Promise<void> {
    const outcome = await this.#run(environment, request)
    if (outcome.kind !== 'functionError') return
    const fields = { function: this.settings.name, requestId: request.requestId, errorType: outcome.errorType }
    this.#runtime.logger.warn(fields, 'an event failed and is not retried')
  }

  #count(outcome: InvocationOutcome, durationMs: number): void {
    if (outcome.kind === 'functionError') {
      this.#counts.errors += 1
      if (outcome.errorType === 'Sandbox.Timedout') this.#counts.timeouts += 1
    }
    this.#metrics.finished(this.settings.name, outcome.kind === 'result' ? 'ok' : outcome.kind, durationMs)
  }

  #forward(requestId: string, text: string): void {
    const fields = { function: this.settings.name, requestId }
    this.#runtime.logger.info(fields, text.slice(0, LOG_LINE_MAX).trimEnd())
  }

  #retireIdle(): void {
    const oldestMs = this.#runtime.clock.monotonicMs() - this.#runtime.idleTimeoutMs
    // Taken from the front: the last used are at the end.
    while (this.#idle[0] !== undefined && this.#idle[0].idleSinceMs <= oldestMs) void this.#idle.shift()?.close()
  }
}
