/** Keeps the parts of `comporta up` running: one that crashes is started again, after a pause that grows. */

import { backoffMs, messageOf, PipelineError, sleep, systemClock, systemRandom, within } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { type RoleProcess, type RoleSpec, Supervisor } from './supervisor.ts'

const restartBackoff = { initialMs: 500, maxMs: 30_000 }
/** A process that has run this long counts as well again. */
const wellAfterMs = 60_000
const drainMs = 30_000
/** A console has no records: it gets the time to end the step of a change. */
const consoleMs = 8000

/** Keeps parts running: one that crashes is started again, after a pause that grows. */
export class Keeper {
  readonly #supervisor: Supervisor
  readonly #logger: Logger
  readonly #signal: AbortSignal
  readonly #specs = new Map<string, RoleSpec>()
  readonly #parts = new Map<string, RoleProcess>()
  readonly #crashes = new Map<string, { count: number; atMs: number }>()
  readonly #restarting = new Set<string>()
  #onStarted: () => void = () => undefined

  constructor(logger: Logger, logLevel: string, signal: AbortSignal) {
    this.#logger = logger
    this.#signal = signal
    this.#supervisor = new Supervisor({ logLevel, onCrash: (name, error) => void this.#restart(name, error) })
  }

  /** Parts that run, in the order of their start. */
  get parts(): readonly RoleProcess[] {
    return [...this.#parts.values()]
  }

  /** Calls back whenever a part was started again: its addresses are new. */
  onStartedAgain(listener: () => void): void {
    this.#onStarted = listener
  }

  /** Starts a part, from whose crash on it is started again. */
  async start(spec: RoleSpec): Promise<RoleProcess> {
    const part = await this.#supervisor.start(spec)
    if (!this.#specs.has(spec.name)) this.#specs.set(spec.name, spec)
    this.#parts.set(spec.name, part)
    return part
  }

  /**
   * Starts a part that the others do without: if it cannot start it is tried again, later and later.
   *
   * @returns `undefined` if it does not run yet.
   */
  async startAside(spec: RoleSpec): Promise<RoleProcess | undefined> {
    this.#specs.set(spec.name, spec)
    try {
      return await this.start(spec)
    } catch (error) {
      void this.#restart(spec.name, PipelineError.is(error) ? error : crashOf(error))
      return undefined
    }
  }

  /** Hands options over; a part that crashes later is started with them. */
  async configure(name: string, options: unknown): Promise<readonly string[]> {
    const part = this.#parts.get(name)
    const spec = this.#specs.get(name)
    if (spec !== undefined && part?.isRunning !== true) this.#specs.set(name, { ...spec, options })
    if (part?.isRunning !== true || spec === undefined) return []
    const settings = await part.configure(options)
    this.#specs.set(name, { ...spec, options })
    return settings
  }

  /** What a part was started with, or would be. */
  optionsOf(name: string): unknown {
    return this.#specs.get(name)?.options
  }

  /** Has every part look at its certificates and secrets. */
  hangUp(): void {
    for (const part of this.#parts.values()) if (part.isRunning) process.kill(part.pid, 'SIGHUP')
  }

  addresses(): Record<string, Readonly<Record<string, string>>> {
    return Object.fromEntries([...this.#parts].map(([name, part]) => [name, part.info]))
  }

  totals(): Record<string, unknown> {
    return Object.fromEntries([...this.#parts].map(([name, part]) => [name, part.status]))
  }

  async untilStopped(): Promise<void> {
    if (!this.#signal.aborted) {
      await new Promise<void>(resolve => this.#signal.addEventListener('abort', () => resolve(), { once: true }))
    }
  }

  /**
   * Stops from source to sink, the reverse of the start, and says whether every part has finished what it had. The
   * console stops beside them: one that hangs holds nobody up but the broker, and that for `asideMs` at most.
   */
  async close(dispatcherMs: number = drainMs, asideMs: number = consoleMs): Promise<boolean> {
    const unfinished: string[] = []
    const parts = [...this.#parts.values()].toReversed()
    const consoles = parts.filter(({ role }) => role === 'console').map(part => part.drain(asideMs))
    const aside = within(systemClock, asideMs, Promise.all(consoles))
    for (const part of parts.filter(({ role }) => role !== 'console')) {
      // Where a change of the console is at work.
      if (part.role === 'broker') await aside
      if (!(await part.drain(part.role === 'dispatcher' ? dispatcherMs : drainMs))) unfinished.push(part.name)
    }
    await aside
    await this.#supervisor.close()
    if (unfinished.length === 0) return true
    this.#logger.warn({ parts: unfinished }, 'stopped, but not all was finished in time: some of it will be done again')
    return false
  }

  /** Waits, starts, and waits longer if that fails, too. */
  async #restart(name: string, error: PipelineError): Promise<void> {
    // A start that fails is heard of twice: as a crash, and here.
    if (this.#restarting.has(name)) return
    this.#restarting.add(name)
    try {
      let reason: PipelineError | undefined = error
      while (reason !== undefined) reason = await this.#startAgain(name, reason)
    } finally {
      this.#restarting.delete(name)
    }
  }

  /** Why it does not run now; `undefined` = it does, or nobody wants it to any more. */
  async #startAgain(name: string, error: PipelineError): Promise<PipelineError | undefined> {
    if (!this.#specs.has(name) || this.#signal.aborted) return undefined
    const nowMs = systemClock.monotonicMs()
    const before = this.#crashes.get(name)
    const count = before === undefined || nowMs - before.atMs > wellAfterMs ? 1 : before.count + 1
    this.#crashes.set(name, { count, atMs: nowMs })
    const waitMs = backoffMs(restartBackoff, count, systemRandom)
    this.#logger.error(
      { part: name, crashes: count, waitMs, error: error.message },
      'a part has crashed; starting it again'
    )
    if (!(await sleep(systemClock, waitMs, this.#signal))) return undefined
    const spec = this.#specs.get(name)
    if (spec === undefined) return undefined
    try {
      // The broker keeps its port and its data, so the other parts find it again by themselves.
      await this.start(spec)
    } catch (again) {
      return again instanceof PipelineError ? again : crashOf(again)
    }
    this.#onStarted()
    return undefined
  }
}

function crashOf(error: unknown): PipelineError {
  return new PipelineError('ERR_CLI_ROLE_FAILED', messageOf(error), { cause: error })
}
