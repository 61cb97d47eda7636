/**
 * Starts roles as child processes, gathers what they report, and stops them.
 *
 * Every child logs to a file of its own in the run's folder; when one fails, the
 * error carries the end of that file, because that is what a person needs first.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { PipelineError, systemClock, within } from '../../core/index.ts'
import { EXIT } from '../exit-codes.ts'
import type { FromRole, RoleStatus, ToRole } from './messages.ts'

/** What to start. */
export interface RoleSpec {
  /** Name of the role's starter. */
  readonly role: string
  /** Name of this instance: of its log file and in messages. */
  readonly name: string
  readonly options: unknown
  /** Module that its process loads before everything else, as a URL. */
  readonly preload?: string
  /** Variables of its environment, besides those of this process. */
  readonly environment?: Readonly<Record<string, string>>
}

/** A child process and what it last said. */
export interface RoleProcess {
  readonly name: string
  readonly role: string
  readonly pid: number
  readonly info: Readonly<Record<string, string>>
  /** The numbers it last reported. */
  readonly status: RoleStatus
  /** Whether its process is there: what a dead one reported last counts as done, not as going on. */
  readonly isRunning: boolean
  /** Resolves when the role says it has nothing left to do; rejects when its process ends before. */
  readonly finished: Promise<void>
  /** Asks it to write out what is buffered. */
  flush(): Promise<void>
  /**
   * Hands over options that may have changed.
   *
   * @returns Settings that differ now.
   * @throws PipelineError `ERR_CLI_ROLE_FAILED` with the reason why it did not take them.
   */
  configure(options: unknown): Promise<readonly string[]>
  /**
   * Stops it after it has finished what is in flight.
   *
   * @returns Whether it has finished everything. One that is gone already has nothing left to finish.
   */
  drain(deadlineMs: number): Promise<boolean>
  /** Kills it with SIGKILL, as a crash would. */
  kill(): Promise<void>
}

/** How a supervisor works. */
export interface SupervisorOptions {
  /** Folder for the log files. Default: the roles log to this process's own standard error. */
  readonly logDir?: string
  readonly logLevel: string
  /** Called when a role's process ends without having been asked to. */
  readonly onCrash: (name: string, error: PipelineError) => void
}

const readyWithinMs = 60_000

/** Starts and stops the processes of one run. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #running = new Set<Child>()

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  /**
   * Starts a role and waits until it is ready.
   *
   * @throws PipelineError `ERR_CLI_ROLE_FAILED` if it does not get there.
   */
  async start(spec: RoleSpec): Promise<RoleProcess> {
    const child = new Child(spec, this.#options)
    this.#running.add(child)
    void child.exited.then(() => this.#running.delete(child))
    const isReady = await within(
      systemClock,
      readyWithinMs,
      child.ready.then(() => true)
    )
    if (isReady === true) return child
    await child.kill()
    throw child.failure(`was not ready within ${readyWithinMs / 1000} s`)
  }

  /** Kills whatever still runs. */
  async close(): Promise<void> {
    await Promise.all([...this.#running].map(child => child.kill()))
  }
}

class Child implements RoleProcess {
  readonly name: string
  readonly role: string
  readonly ready: Promise<void>
  readonly finished: Promise<void>
  readonly exited: Promise<void>
  info: Readonly<Record<string, string>> = {}
  status: RoleStatus = {}
  isRunning = true
  readonly #process: ChildProcess
  readonly #logPath: string | undefined
  #isStopping = false
  #isComplete = true
  #said: string | undefined
  #onFlushed: (() => void)[] = []
  #onConfigured: ((message: Extract<FromRole, { kind: 'configured' }>) => void)[] = []

  constructor(spec: RoleSpec, options: SupervisorOptions) {
    this.name = spec.name
    this.role = spec.role
    this.#logPath = options.logDir === undefined ? undefined : join(options.logDir, `${spec.name}.log`)
    this.#process = forkRole(spec, this.#logPath)
    const ready = Promise.withResolvers<void>()
    const finished = Promise.withResolvers<void>()
    const exited = Promise.withResolvers<void>()
    for (const promise of [ready.promise, finished.promise]) promise.catch(() => undefined)
    this.ready = ready.promise
    this.finished = finished.promise
    this.exited = exited.promise
    this.#process.on('message', (message: FromRole) => {
      this.#onMessage(message)
      if (message.kind === 'ready') ready.resolve()
      if (message.kind === 'finished') finished.resolve()
    })
    this.#process.once('exit', (code, signal) => {
      this.isRunning = false
      if (this.#isStopping) this.#isComplete = code === EXIT.ok
      const error =
        signal === null
          ? this.failure(`ended with exit code ${code}`, code ?? undefined)
          : this.failure(`was ended by ${signal}`)
      ready.reject(error)
      finished.reject(error)
      for (const resolve of this.#onFlushed.splice(0)) resolve()
      exited.resolve()
      if (!this.#isStopping) options.onCrash(this.name, error)
    })
    this.#process.once('error', error => ready.reject(error))
    this.#send({ kind: 'start', role: spec.role, options: spec.options, logLevel: options.logLevel })
  }

  get pid(): number {
    return this.#process.pid ?? -1
  }

  /** @param exitCode - Of the process, if it has ended: what this command ends with if only a person can help. */
  failure(what: string, exitCode?: number): PipelineError {
    const path = this.#logPath
    const reason = this.#said ?? (path === undefined ? 'see its log lines above' : lastLines(path))
    const message = `${this.name} ${what}: ${reason}${path === undefined ? '' : `\n  its log: ${path}`}`
    return new PipelineError('ERR_CLI_ROLE_FAILED', message, {
      fields: { role: this.role, name: this.name, ...(exitCode === undefined ? {} : { exitCode }) }
    })
  }

  async flush(): Promise<void> {
    const flushed = new Promise<void>(resolve => this.#onFlushed.push(resolve))
    this.#send({ kind: 'flush' })
    await within(systemClock, 10_000, Promise.race([flushed, this.exited]))
  }

  async configure(options: unknown): Promise<readonly string[]> {
    type Answer = Extract<FromRole, { kind: 'configured' }>
    const answered = new Promise<Answer>(resolve => this.#onConfigured.push(resolve))
    this.#send({ kind: 'configure', options })
    const answer = await within(systemClock, 10_000, Promise.race([answered, this.exited]))
    if (answer === undefined) throw this.failure('did not answer')
    if (answer.problem === undefined) return answer.settings
    throw new PipelineError('ERR_CLI_ROLE_FAILED', `${this.name}: ${answer.problem}`)
  }

  async drain(deadlineMs: number): Promise<boolean> {
    this.#isStopping = true
    this.#send({ kind: 'drain', deadlineMs })
    const isGone = await within(
      systemClock,
      deadlineMs + 10_000,
      this.exited.then(() => true)
    )
    if (isGone !== true) await this.kill()
    return this.#isComplete
  }

  async kill(): Promise<void> {
    this.#isStopping = true
    this.#process.kill('SIGKILL')
    await this.exited
  }

  #onMessage(message: FromRole): void {
    if (message.kind === 'status') this.status = message.status
    if (message.kind === 'ready') this.info = message.info
    if (message.kind === 'failed') this.#said = message.message
    if (message.kind === 'configured') this.#onConfigured.shift()?.(message)
    if (message.kind === 'flushed') for (const resolve of this.#onFlushed.splice(0)) resolve()
  }

  #send(message: ToRole): void {
    // A child that has just died cannot be told anything: its exit is handled where it is awaited.
    if (this.#process.connected) this.#process.send(message, () => undefined)
  }
}

function forkRole({ preload, environment }: RoleSpec, logPath: string | undefined): ChildProcess {
  const log = logPath === undefined ? 2 : openSync(logPath, 'a')
  try {
    return fork(command, ['internal-role'], {
      stdio: ['ignore', log, log, 'ipc'],
      ...(environment === undefined ? {} : { env: { ...process.env, ...environment } }),
      ...(preload === undefined ? {} : { execArgv: [...process.execArgv, '--import', preload] })
    })
  } finally {
    if (logPath !== undefined) closeSync(log)
  }
}

/** The command itself: three folders up, from the sources as from the built package. */
const command = fileURLToPath(new URL('../../../bin/comporta.js', import.meta.url))

function lastLines(path: string): string {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  return lines.slice(-5).join('\n  ')
}
