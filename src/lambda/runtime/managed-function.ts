/**
 * One function: its versions and aliases, who may run now, and what is injected.
 *
 * A synchronous invocation takes an environment of its version while fewer than
 * `concurrency` of the function and `accountConcurrency` of all functions are
 * busy; else it is throttled: at once as in Lambda, or after waiting
 * `throttleWaitMs` in line. Invocations of type `Event` wait in a queue of their
 * own (`events/event-queue.ts`) and start in the same way.
 */

import type { Timer } from '../../core/index.ts'
import type { ThrottleReason } from './api-errors.ts'
import { type AccountConcurrency, ownLimitReason } from './concurrency.ts'
import { EnvironmentPool } from './environment-pool.ts'
import type { ExecutionEnvironment, InvocationMeasures, InvocationOutcome } from './execution-environment.ts'
import { FaultState, type FaultsInput, type FaultsStatus, type Injection } from './faults.ts'
import { LATEST } from './function-name.ts'
import type { LogMessage } from '../worker/messages.ts'
import { PlatformLog } from './report.ts'
import type { RuntimeMetrics } from './runtime-metrics.ts'
import type { AliasSettings, FunctionSettings, RuntimeSettings, VersionSettings } from './settings.ts'

/** Most characters of a function's output in one log line. */
const LOG_LINE_MAX = 8_192
/** Beyond the timeout of any function, so that it runs into it. */
const FOR_GOOD_MS = 1_000_000

/** One request for a function. */
export interface InvocationRequest {
  readonly requestId: string
  readonly payload: ArrayBuffer
  readonly clientContext: string | undefined
  readonly invokedFunctionArn: string
  /** A version or alias of the function; `undefined` for `$LATEST`. */
  readonly qualifier: string | undefined
  /** Called with what the function writes, and with Lambda's own lines. */
  readonly onLog?: (text: string) => void
  /** Takes the pieces of a streamed answer, and says when each has left. */
  readonly onChunk?: (payload: Uint8Array, onLeft: () => void) => void
  /** Called once it runs, with the version. */
  readonly onStart?: (version: string) => void
}

/** What the caller of a function gets. */
export type InvokeResult =
  | (InvocationOutcome & InvocationMeasures & { readonly version: string })
  | { readonly kind: 'throttled'; readonly reason: ThrottleReason }

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
  /** Events in line for an environment or a retry. */
  readonly eventsWaiting: number
  readonly invocations: number
  readonly errors: number
  readonly timeouts: number
  readonly throttles: number
  readonly coldStarts: number
  readonly faults: FaultsStatus
}

/** What functions share. */
export interface FunctionDependencies {
  readonly runtime: RuntimeSettings
  readonly metrics: RuntimeMetrics
  readonly account: AccountConcurrency
  /** Hears of the files that a function consists of. */
  readonly onFile: (functionName: string, file: string) => void
}

interface Waiter {
  readonly pool: EnvironmentPool
  readonly resolve: (answer: Taken | ThrottleReason) => void
  readonly reason: ThrottleReason
  readonly timer: Timer
}

/** A function that can be invoked. */
export class ManagedFunction {
  readonly settings: FunctionSettings
  readonly #dependencies: FunctionDependencies
  readonly #pools = new Map<string, EnvironmentPool>()
  readonly #faults = new FaultState()
  readonly #waiting = new Set<Waiter>()
  readonly #counts = { invocations: 0, errors: 0, timeouts: 0, throttles: 0 }
  #concurrency: number
  #busyCount = 0
  #isClosed = false
  #whenQuiet: (() => void)[] = []
  readonly #pump = (): void => this.#serveWaiting()
  /** Called when an environment may be free. */
  onFree: () => void = () => undefined
  /** How many events wait. */
  eventsWaiting: () => number = () => 0

  constructor(settings: FunctionSettings, dependencies: FunctionDependencies) {
    this.settings = settings
    this.#dependencies = dependencies
    this.#concurrency = settings.concurrency
    for (const version of [settings.latest, ...settings.versions.values()]) {
      const hooks = {
        initLatencyMs: () => this.#faults.at(dependencies.runtime.clock.now()).initLatencyMs,
        onFile: (file: string) => dependencies.onFile(settings.name, file)
      }
      this.#pools.set(version.version, new EnvironmentPool(version, dependencies.runtime, hooks))
    }
  }

  /** Reserved concurrency. Lowering it lets running invocations finish. */
  get concurrency(): number {
    return this.#concurrency
  }

  set concurrency(value: number) {
    this.#concurrency = value
    this.#pump()
    this.onFree()
  }

  /** Invocations that run. */
  get busyCount(): number {
    return this.#busyCount
  }

  /** Settings of a version, or of the version an alias leads to for the most part; `undefined` if there is none. */
  find(qualifier: string | undefined): VersionSettings | undefined {
    const alias = this.#alias(qualifier)
    return this.#pools.get(alias?.version ?? qualifier ?? LATEST)?.version
  }

  /** Runs one invocation, or says why it does not. Never rejects. The qualifier must be one that `find` knows. */
  async invoke(request: InvocationRequest): Promise<InvokeResult> {
    const injection = this.#draw()
    const pool = this.#route(request.qualifier)
    let taken = injection.kind === 'throttle' ? INJECTED : this.#acquire(pool)
    // An injected throttle and a function that may never run wait in no line.
    const canWait = injection.kind !== 'throttle' && this.#concurrency > 0
    if (typeof taken === 'string' && canWait) taken = await this.#wait(pool, taken)
    if (typeof taken !== 'string') return this.#run(taken, request, injection)
    this.countThrottle()
    return { kind: 'throttled', reason: taken }
  }

  /** Runs one invocation if there is a free environment now, or gives the reason why not. */
  start(request: InvocationRequest): Promise<InvokeResult> | ThrottleReason {
    const injection = this.#draw()
    if (injection.kind === 'throttle') return INJECTED
    const taken = this.#acquire(this.#route(request.qualifier))
    return typeof taken === 'string' ? taken : this.#run(taken, request, injection)
  }

  /** Counts an invocation that was refused. */
  countThrottle(): void {
    this.#counts.throttles += 1
    this.#dependencies.metrics.throttled(this.settings.name)
  }

  #draw(): Injection {
    const { clock, random } = this.#dependencies.runtime
    return this.#faults.draw(clock.now(), random)
  }

  /** Changes what is injected from the next invocation on. */
  setFaults(faults: FaultsInput): FaultsStatus {
    return this.#faults.set(faults, this.#dependencies.runtime.clock.now())
  }

  /** Ends all faults. */
  clearFaults(): FaultsStatus {
    this.#faults.clear()
    return this.#faults.status(this.#dependencies.runtime.clock.now())
  }

  /** Has all environments replaced by new ones. */
  renew(): void {
    for (const pool of this.#pools.values()) pool.renew()
  }

  status(): FunctionStatus {
    const { name, arn, latest } = this.settings
    const pools = [...this.#pools.values()]
    return {
      name,
      arn,
      handler: latest.handler,
      concurrency: this.#concurrency,
      busyCount: this.#busyCount,
      idleCount: pools.reduce((sum, each) => sum + each.idleCount, 0),
      waitingCount: this.#waiting.size,
      eventsWaiting: this.eventsWaiting(),
      ...this.#counts,
      coldStarts: pools.reduce((sum, each) => sum + each.coldStarts, 0),
      faults: this.#faults.status(this.#dependencies.runtime.clock.now())
    }
  }

  /** Resolves once nothing runs or waits in line. */
  async quiet(): Promise<void> {
    while (this.#busyCount + this.#waiting.size > 0) {
      await new Promise<void>(resolve => this.#whenQuiet.push(resolve))
    }
  }

  /** Ends all environments. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const waiter of this.#waiting) this.#serve(waiter, waiter.reason)
    await Promise.all([...this.#pools.values()].map(each => each.close()))
  }

  #alias(qualifier: string | undefined): AliasSettings | undefined {
    return qualifier === undefined ? undefined : this.settings.aliases.get(qualifier)
  }

  #route(qualifier: string | undefined): EnvironmentPool | undefined {
    const alias = this.#alias(qualifier)
    if (alias === undefined) return this.#pools.get(qualifier ?? LATEST)
    const weights = Object.entries(alias.weights)
    // Most aliases lead to one version: nothing is drawn for them.
    let left = weights.length === 0 ? 1 : this.#dependencies.runtime.random.next()
    for (const [version, share] of weights) {
      left -= share
      if (left < 0) return this.#pools.get(version)
    }
    return this.#pools.get(alias.version)
  }

  #acquire(pool: EnvironmentPool | undefined): Taken | ThrottleReason {
    const own = ownLimitReason(this.#busyCount, this.#concurrency)
    if (own !== undefined || pool === undefined || this.#isClosed) return own ?? UNAVAILABLE
    if (!this.#dependencies.account.tryEnter(this.#onAccountFree)) return 'ConcurrentInvocationLimitExceeded'
    const environment = pool.take()
    if (environment === undefined) {
      this.#dependencies.account.leave()
      return UNAVAILABLE
    }
    this.#busyCount += 1
    return { pool, environment }
  }

  readonly #onAccountFree = (): void => {
    this.#pump()
    this.onFree()
  }

  /** Waits in line for an environment. How many wait is bounded by the bytes of their events, see `requestBytesMax`. */
  #wait(pool: EnvironmentPool | undefined, reason: ThrottleReason): Promise<Taken | ThrottleReason> {
    const { throttleWaitMs, clock } = this.#dependencies.runtime
    if (throttleWaitMs === 0 || this.#isClosed || pool === undefined) return Promise.resolve(reason)
    return new Promise(resolve => {
      const timer = clock.after(throttleWaitMs, () => this.#serve(waiter, reason))
      const waiter: Waiter = { pool, resolve, reason, timer }
      this.#waiting.add(waiter)
    })
  }

  #serve(waiter: Waiter, answer: Taken | ThrottleReason): void {
    this.#waiting.delete(waiter)
    waiter.timer.cancel()
    waiter.resolve(answer)
  }

  #serveWaiting(): void {
    for (const waiter of this.#waiting) {
      const taken = this.#acquire(waiter.pool)
      if (typeof taken === 'string') return
      this.#serve(waiter, taken)
    }
  }

  async #run(taken: Taken, request: InvocationRequest, injection: Injection): Promise<InvokeResult> {
    const { runtime } = this.#dependencies
    const { pool, environment } = taken
    const { version, timeoutMs } = pool.version
    const { requestId, payload, clientContext, invokedFunctionArn, onChunk } = request
    this.#counts.invocations += 1
    request.onStart?.(version)
    const platform = new PlatformLog(pool.version.logFormat, () => runtime.clock.now())
    request.onLog?.(platform.start(requestId, version))
    const outcome = await environment.run({
      requestId,
      payload,
      clientContext,
      invokedFunctionArn,
      extraLatencyMs: injection.kind === 'timeout' ? timeoutMs + FOR_GOOD_MS : injection.extraLatencyMs,
      injection: injection.kind === 'failure' || injection.kind === 'crash' ? injection.kind : 'none',
      onLog: message => {
        request.onLog?.(message.text)
        this.#forward(requestId, message)
      },
      onChunk
    })
    if (request.onLog !== undefined) request.onLog(this.#report(platform, request, { ...outcome, pool }))
    this.#count(outcome)
    this.#release(taken)
    return { ...outcome, version }
  }

  #report(
    platform: PlatformLog,
    { requestId }: InvocationRequest,
    outcome: InvocationOutcome & InvocationMeasures & { readonly pool: EnvironmentPool }
  ): string {
    const errorType = outcome.kind === 'functionError' ? outcome.errorType : undefined
    const isTimeout = errorType === 'Sandbox.Timedout'
    // An error that the handler threw is the function's business; the platform reports how the environment ended.
    const isEnded = errorType?.startsWith('Runtime.') === true || errorType?.startsWith('Function.') === true
    const { durationMs, initMs, maxMemoryMb } = outcome
    return platform.end({
      requestId,
      durationMs,
      initMs,
      maxMemoryMb,
      memoryMb: outcome.pool.version.memoryMb,
      status: isTimeout ? 'timeout' : isEnded ? 'error' : 'success',
      errorType
    })
  }

  #release({ pool, environment }: Taken): void {
    this.#busyCount -= 1
    pool.put(environment)
    this.#dependencies.account.leave()
    this.#pump()
    this.onFree()
    if (this.#busyCount === 0) for (const resolve of this.#whenQuiet.splice(0)) resolve()
  }

  #count(outcome: InvocationOutcome & InvocationMeasures): void {
    if (outcome.kind === 'functionError') {
      this.#counts.errors += 1
      if (outcome.errorType === 'Sandbox.Timedout') this.#counts.timeouts += 1
    }
    const { durationMs, initMs } = outcome
    const time = initMs === undefined ? { totalMs: durationMs } : { totalMs: durationMs + initMs, initMs }
    this.#dependencies.metrics.finished(this.settings.name, outcome.kind === 'result' ? 'ok' : outcome.kind, time)
  }

  #forward(requestId: string, { text, prefixLength = 0, level }: Omit<LogMessage, 'kind'>): void {
    const { logger } = this.#dependencies.runtime
    const fields = { function: this.settings.name, requestId }
    const line = text.slice(prefixLength, prefixLength + LOG_LINE_MAX).trimEnd()
    if (line !== '') logger[LOGGED_AS.get(level ?? 'INFO') ?? 'info'](fields, line)
  }
}

/** An environment that was given out, and where it goes back to. */
interface Taken {
  readonly pool: EnvironmentPool
  readonly environment: ExecutionEnvironment
}

/** The reason of an injected throttle. */
const INJECTED: ThrottleReason = 'FunctionInvocationRateLimitExceeded'
/** How a line of `console` enters the log of the runtime. */
const LOGGED_AS: ReadonlyMap<string, 'debug' | 'info' | 'warn' | 'error'> = new Map([
  ['TRACE', 'debug'],
  ['DEBUG', 'debug'],
  ['WARN', 'warn'],
  ['ERROR', 'error'],
  ['FATAL', 'error']
])
/** The machine gives no environment, or the runtime is stopping: as good as busy. */
const UNAVAILABLE: ThrottleReason = 'ReservedFunctionConcurrentInvocationLimitExceeded'
