/**
 * The execution environments of one version of a function: which are idle, which
 * are busy, when they retire, and how many are kept ready.
 *
 * The last used is used first, so that the others can retire. New code makes all
 * of them stale: idle ones end at once, busy ones when they are free.
 *
 * A thread in a synchronous system call cannot be ended before the call returns.
 * With `STUCK_MAX` of those nothing more is started, or they would pile up.
 */

import { randomUUID } from 'node:crypto'

import { messageOf, type Timer } from '../../core/index.ts'
import type { InitializationType } from './environment-variables.ts'
import { ExecutionEnvironment } from './execution-environment.ts'
import type { RuntimeSettings, VersionSettings } from './settings.ts'

/** How long an environment may take to end. */
const STUCK_AFTER_MS = 1_000
/** Most environments that were ended and have not. */
const STUCK_MAX = 8

/** What a pool tells its function. */
export interface PoolHooks {
  /** Injected waiting time before a handler is loaded, in milliseconds. */
  initLatencyMs(): number
  onFile(file: string): void
}

/** Environments of one version. */
export class EnvironmentPool {
  readonly version: VersionSettings
  readonly #runtime: RuntimeSettings
  readonly #hooks: PoolHooks
  readonly #idle: ExecutionEnvironment[] = []
  readonly #busy = new Set<ExecutionEnvironment>()
  readonly #sweep: Timer
  #isClosed = false
  #stuckCount = 0
  /** Environments that were started. */
  coldStarts = 0

  constructor(version: VersionSettings, runtime: RuntimeSettings, hooks: PoolHooks) {
    this.version = version
    this.#runtime = runtime
    this.#hooks = hooks
    const periodMs = Math.max(1, Math.ceil(runtime.idleTimeoutMs / 4))
    this.#sweep = runtime.clock.every(periodMs, () => this.#retireIdle()).unref()
    this.#keepProvisioned()
  }

  get idleCount(): number {
    return this.#idle.length
  }

  get busyCount(): number {
    return this.#busy.size
  }

  /** Takes an environment that is ready, or a new one; `undefined` if the machine gives none. */
  take(): ExecutionEnvironment | undefined {
    if (this.#isClosed) return undefined
    const environment = this.#takeIdle() ?? this.#create('on-demand')
    if (environment !== undefined) this.#busy.add(environment)
    return environment
  }

  /** Takes an environment back. */
  put(environment: ExecutionEnvironment): void {
    this.#busy.delete(environment)
    environment.idleSinceMs = this.#runtime.clock.monotonicMs()
    if (environment.isClosed) this.#awaitEnd(environment)
    else if (this.#isClosed || environment.isStale) void environment.close()
    else this.#idle.push(environment)
    this.#keepProvisioned()
  }

  /**
   * Has all environments replaced. One is started at once where there were any, so that code that cannot be loaded is
   * reported when it is written, not when it is needed.
   */
  renew(): void {
    const hadAny = this.#idle.length + this.#busy.size > 0
    for (const each of this.#busy) each.isStale = true
    for (const each of this.#idle.splice(0)) void each.close()
    this.#keepProvisioned()
    if (hadAny && this.#idle.length === 0) this.#startAhead('on-demand')
  }

  /** Ends all environments. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#sweep.cancel()
    await Promise.all([...this.#idle.splice(0), ...this.#busy].map(each => each.close()))
  }

  #takeIdle(): ExecutionEnvironment | undefined {
    for (let warm = this.#idle.pop(); warm !== undefined; warm = this.#idle.pop()) {
      // One that ended while idle (an error in a timer it left running) is just dropped.
      if (!warm.isClosed) return warm
    }
    return undefined
  }

  #awaitEnd(environment: ExecutionEnvironment): void {
    let isStuck = false
    const timer = this.#runtime.clock.after(STUCK_AFTER_MS, () => {
      isStuck = true
      this.#stuckCount += 1
    })
    timer.unref()
    const ended = (): void => {
      timer.cancel()
      if (isStuck) this.#stuckCount -= 1
    }
    environment.close().then(ended, ended)
  }

  #create(initializationType: InitializationType): ExecutionEnvironment | undefined {
    const fields = { function: this.version.name, version: this.version.version }
    if (this.#stuckCount >= STUCK_MAX) {
      const text = 'environments that were ended still run (synchronous calls?): no more are started for the moment'
      this.#runtime.logger.error({ ...fields, environments: this.#stuckCount }, text)
      return undefined
    }
    this.coldStarts += 1
    try {
      return new ExecutionEnvironment({
        version: this.version,
        settings: this.#runtime,
        id: randomUUID().replaceAll('-', ''),
        initializationType,
        initLatencyMs: this.#hooks.initLatencyMs(),
        onFile: file => this.#hooks.onFile(file),
        onBroken: reason => this.#runtime.logger.error({ ...fields, reason }, 'the function cannot be loaded')
      })
    } catch (error) {
      // The machine has no thread to spare: as good as busy.
      this.#runtime.logger.error({ ...fields, error: messageOf(error) }, 'an environment could not be started')
      return undefined
    }
  }

  #startAhead(initializationType: InitializationType): boolean {
    const environment = this.#create(initializationType)
    if (environment === undefined) return false
    environment.idleSinceMs = this.#runtime.clock.monotonicMs()
    this.#idle.unshift(environment)
    return true
  }

  #keepProvisioned(): void {
    if (this.#isClosed) return
    let missing = this.version.provisioned - this.#idle.length - this.#busy.size
    while (missing > 0 && this.#startAhead('provisioned-concurrency')) missing -= 1
  }

  #retireIdle(): void {
    const oldestMs = this.#runtime.clock.monotonicMs() - this.#runtime.idleTimeoutMs
    const ended = this.#idle.filter(each => each.isClosed)
    for (const each of ended) this.#idle.splice(this.#idle.indexOf(each), 1)
    // Taken from the front: the last used are at the end.
    while (this.#idle.length + this.#busy.size > this.version.provisioned) {
      const [oldest] = this.#idle
      if (oldest === undefined || oldest.idleSinceMs > oldestMs) break
      void this.#idle.shift()?.close()
    }
    this.#keepProvisioned()
  }
}
