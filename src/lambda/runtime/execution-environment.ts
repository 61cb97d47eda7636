/**
 * One execution environment: a sandbox that runs one version of a function, one
 * invocation at a time, and is used again while it is sound.
 *
 * The runtime keeps time. Loading the handler has its own limit; the function's
 * timeout starts once it is loaded. A load that fails or takes too long is tried
 * once more for the invocation that waits, in a fresh sandbox and within the
 * function's timeout, as in Lambda; the second failure is the answer. A late
 * worker is terminated, whatever it is doing. Whatever ends a worker (timeout,
 * memory, `process.exit`, a crash) becomes the answer of the running invocation
 * and closes this environment; nothing of it reaches the process.
 */

import { type Clock, invariant, messageOf, type Timer } from '../../core/index.ts'
import { type InvokeMessage, type LogMessage, readWorkerMessage, type WorkerMessage } from '../worker/messages.ts'
import { RESPONSE_BYTES_MAX } from './api-errors.ts'
import { environmentVariables, type InitializationType } from './environment-variables.ts'
import { PlatformLog } from './report.ts'
import { ProcessSandbox } from './sandbox/process-sandbox.ts'
import type { Sandbox, SandboxExit } from './sandbox/sandbox.ts'
import { ThreadSandbox } from './sandbox/thread-sandbox.ts'
import type { RuntimeSettings, VersionSettings } from './settings.ts'

/** What an environment is given to run. */
export interface Invocation extends Omit<InvokeMessage, 'deadlineMs' | 'kind'> {
  /** Called with what the function writes, as it does. */
  readonly onLog: (message: Omit<LogMessage, 'kind'>) => void
  /** Takes the pieces of a streamed answer, and says when each has left; without it they are put together. */
  readonly onChunk?: ((payload: Uint8Array, onLeft: () => void) => void) | undefined
}

/** What became of an invocation. */
export type InvocationOutcome =
  | { readonly kind: 'result'; readonly payload: Uint8Array }
  | { readonly kind: 'functionError'; readonly errorType: string; readonly payload: Uint8Array }
  | { readonly kind: 'invalidEvent'; readonly detail: string }

/** How an invocation went. */
export interface InvocationMeasures {
  /** Time of the handler; with it that of a load that was tried again. */
  readonly durationMs: number
  /** Time of the load, for the first invocation of an environment that was not started ahead. */
  readonly initMs: number | undefined
  readonly maxMemoryMb: number
}

/** How an environment is started. */
export interface EnvironmentOptions {
  readonly version: VersionSettings
  readonly settings: RuntimeSettings
  readonly id: string
  readonly initializationType: InitializationType
  readonly initLatencyMs: number
  /** Hears of the files that the function consists of. */
  readonly onFile: (file: string) => void
  /** Hears that it could not be loaded while nobody waited for it, and is closed. */
  readonly onBroken: (reason: string) => void
}

type State = 'starting' | 'idle' | 'busy' | 'closed'

interface Running {
  readonly invocation: Invocation
  readonly resolve: (outcome: InvocationOutcome & InvocationMeasures) => void
  readonly chunks: Uint8Array[]
  chunkBytes: number
  /** When its timeout began to run. */
  startMs: number | undefined
  timer: Timer | undefined
}

/** Longest load of an environment that nobody waits for. Source: Lambda, provisioned concurrency. */
const PROVISIONED_INIT_MS = 900_000
const MIB = 1_048_576

/** A sandbox of one version of a function. */
export class ExecutionEnvironment {
  readonly #options: EnvironmentOptions
  readonly #clock: Clock
  readonly #platform: PlatformLog
  #sandbox: Sandbox
  #state: State = 'starting'
  #phase: 'init' | 'invoke' = 'init'
  #initStartMs = 0
  #initMs: number | undefined
  #initTimer: Timer | undefined
  #memoryBytes = 0
  #running: Running | undefined
  /** Since when it is idle, in monotonic milliseconds. */
  idleSinceMs = 0
  /** Whether its code is not the newest: it ends when it is free. */
  isStale = false

  constructor(options: EnvironmentOptions) {
    this.#options = options
    this.#clock = options.settings.clock
    this.#platform = new PlatformLog(options.version.logFormat, () => this.#clock.now())
    this.#sandbox = this.#launch()
  }

  /** Whether it can never run anything again. */
  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Runs one invocation; the environment must not be busy. Never rejects. */
  run(invocation: Invocation): Promise<InvocationOutcome & InvocationMeasures> {
    invariant(this.#running === undefined, 'an environment runs one invocation at a time')
    return new Promise(resolve => {
      this.#running = { invocation, resolve, chunks: [], chunkBytes: 0, startMs: undefined, timer: undefined }
      // It can end between being given out and being used.
      if (this.#state === 'closed') this.#settle(ended(invocation.requestId, KILLED))
      else if (this.#state !== 'starting') this.#start()
    })
  }

  /** Ends the worker; a running invocation is answered as if the runtime had been killed. Idempotent. */
  async close(): Promise<void> {
    this.#end(KILLED)
    await this.#sandbox.terminate()
  }

  #launch(): Sandbox {
    const { version, settings, id, initializationType, initLatencyMs } = this.#options
    const { handler, name: functionName, memoryMb } = version
    const { taskRoot, watch: isWatched } = settings
    const environment = environmentVariables(version, settings, { id, initializationType })
    const setup = { handler, taskRoot, functionName, memoryMb, environment, initLatencyMs, isWatched }
    this.#initStartMs = this.#clock.monotonicMs()
    if (this.#phase === 'init') {
      const limitMs = initializationType === 'on-demand' ? settings.initTimeoutMs : PROVISIONED_INIT_MS
      this.#initTimer = this.#clock.after(limitMs, () => this.#initFailed('timeout', timedOut(limitMs)))
    }
    // What an abandoned sandbox still says is not of this one.
    const isCurrent = (): boolean => this.#sandbox === sandbox
    const listener = {
      onMessage: (value: unknown) => {
        const message = isCurrent() ? readWorkerMessage(value) : undefined
        if (message !== undefined) this.#onMessage(message)
      },
      onError: (error: unknown) => {
        settings.logger.warn({ function: functionName, error: messageOf(error) }, 'environment failed')
      },
      onExit: (how: SandboxExit) => {
        if (isCurrent()) this.#onExit(how)
      }
    }
    const Kind = version.isolation === 'process' ? ProcessSandbox : ThreadSandbox
    const sandbox: Sandbox = new Kind({ setup, listener })
    return sandbox
  }

  #onMessage(message: WorkerMessage): void {
    const running = this.#running
    switch (message.kind) {
      case 'ready':
        return this.#onReady()
      case 'loaded':
        return this.#options.onFile(message.file)
      case 'log':
        return running?.invocation.onLog(message)
      case 'functionError':
        if (this.#state === 'starting') {
          const what = Buffer.from(message.payload).toString('utf8')
          return this.#initFailed('error', { errorType: message.errorType, what }, message)
        }
        this.#memoryBytes = Math.max(this.#memoryBytes, message.memoryBytes)
        // The worker is about to exit: nothing more may be sent to it.
        if (message.isFatal) this.#abandon()
        if (message.requestId === undefined || message.requestId === running?.invocation.requestId) {
          this.#settle(message.payload.byteLength <= RESPONSE_BYTES_MAX ? message : TOO_LARGE)
        }
        return
      case 'chunk':
        if (running !== undefined && message.requestId === running.invocation.requestId) {
          this.#onChunk(running, message.payload)
        }
        return
      case 'result':
        this.#memoryBytes = Math.max(this.#memoryBytes, message.memoryBytes)
        // An answer that came after the timeout, or a second one, belongs to nobody.
        if (message.requestId === running?.invocation.requestId) this.#onResult(running, message.payload)
        return
      case 'invalidEvent':
        if (message.requestId === running?.invocation.requestId) this.#settle(message)
    }
  }

  #onReady(): void {
    if (this.#state !== 'starting') return
    this.#initTimer?.cancel()
    // A second load is part of the invocation and not reported beside it.
    if (this.#phase === 'init') this.#initMs = this.#clock.monotonicMs() - this.#initStartMs
    this.#state = 'idle'
    if (this.#running !== undefined) this.#start()
  }

  #initFailed(status: 'error' | 'timeout', ending: Ending, answer?: InvocationOutcome): void {
    if (this.#state !== 'starting') return
    this.#initTimer?.cancel()
    const initMs = this.#clock.monotonicMs() - this.#initStartMs
    const running = this.#running
    const text = this.#platform.initReport({ initMs, phase: this.#phase, status, errorType: ending.errorType })
    running?.invocation.onLog({ text })
    if (running === undefined) {
      this.#options.onBroken(ending.what)
      this.#abandon()
    } else if (this.#phase === 'init') {
      this.#phase = 'invoke'
      this.#limit(running)
      void this.#sandbox.terminate()
      this.#sandbox = this.#launch()
    } else {
      this.#abandon()
      this.#settle(answer ?? ended(running.invocation.requestId, ending))
    }
  }

  #start(): void {
    const running = this.#running
    if (running === undefined) return
    this.#state = 'busy'
    if (running.timer === undefined) this.#limit(running)
    const { onLog: _onLog, onChunk: _onChunk, ...rest } = running.invocation
    const elapsedMs = this.#clock.monotonicMs() - (running.startMs ?? 0)
    const deadlineMs = this.#clock.now() + Math.ceil(this.#options.version.timeoutMs - elapsedMs)
    this.#sandbox.post({ kind: 'invoke', ...rest, deadlineMs }, [running.invocation.payload])
  }

  #limit(running: Running): void {
    const { timeoutMs } = this.#options.version
    running.startMs = this.#clock.monotonicMs()
    running.timer = this.#clock.after(timeoutMs, () => {
      const { requestId, onLog } = running.invocation
      const ending = timedOut(timeoutMs)
      onLog({ text: this.#platform.timedOut(requestId, seconds(timeoutMs)) })
      if (this.#state === 'starting') this.#initFailed('timeout', ending)
      else this.#end(ending)
    })
  }

  #onChunk(running: Running, payload: Uint8Array): void {
    const bytes = payload.byteLength
    const credit = (): void => this.#sandbox.post({ kind: 'credit', bytes }, [])
    if (running.invocation.onChunk !== undefined) return running.invocation.onChunk(payload, credit)
    running.chunkBytes += bytes
    // What is too large is counted and not kept.
    if (running.chunkBytes <= RESPONSE_BYTES_MAX) running.chunks.push(payload)
    credit()
  }

  #onResult(running: Running, payload: Uint8Array): void {
    const isStreamed = running.chunkBytes > 0
    if (isStreamed && running.chunkBytes > RESPONSE_BYTES_MAX) this.#settle(TOO_LARGE)
    else this.#settle(isStreamed ? { kind: 'result', payload: Buffer.concat(running.chunks) } : sizeChecked(payload))
  }

  #onExit(how: SandboxExit): void {
    const ending = endingOf(how)
    if (this.#state === 'starting') this.#initFailed('error', ending)
    else this.#end(ending)
  }

  #end(how: Ending): void {
    if (this.#state === 'closed' && this.#running === undefined) return
    this.#abandon()
    if (this.#running !== undefined) this.#settle(ended(this.#running.invocation.requestId, how))
  }

  #abandon(): void {
    this.#state = 'closed'
    this.#initTimer?.cancel()
    // Rejects only if the sandbox cannot be stopped, and then there is nothing left to do.
    this.#sandbox.terminate().catch(() => undefined)
  }

  #settle(outcome: InvocationOutcome): void {
    const running = this.#running
    this.#running = undefined
    if (this.#state === 'busy') this.#state = 'idle'
    if (running === undefined) return
    running.timer?.cancel()
    const nowMs = this.#clock.monotonicMs()
    const initMs = this.#options.initializationType === 'on-demand' ? this.#initMs : undefined
    this.#initMs = undefined
    const bytes = Math.max(this.#memoryBytes, this.#sandbox.memoryPeakBytes())
    const durationMs = nowMs - (running.startMs ?? nowMs)
    running.resolve({ ...outcome, durationMs, initMs, maxMemoryMb: Math.ceil(bytes / MIB) })
  }
}

/** How an environment ended, in Lambda's words. */
interface Ending {
  readonly errorType: string
  readonly what: string
}

const KILLED: Ending = { errorType: 'Runtime.ExitError', what: 'Runtime exited with error: signal: killed' }

function endingOf({ code, signal, isOutOfMemory }: SandboxExit): Ending {
  if (isOutOfMemory) return { ...KILLED, errorType: 'Runtime.OutOfMemory' }
  const errorType = 'Runtime.ExitError'
  if (signal !== undefined) return { errorType, what: `Runtime exited with error: signal: ${signal}` }
  if (code === 0) return { errorType, what: 'Runtime exited without providing a reason' }
  return { errorType, what: `Runtime exited with error: exit status ${code}` }
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(2)
}

function timedOut(ms: number): Ending {
  return { errorType: 'Sandbox.Timedout', what: `Task timed out after ${seconds(ms)} seconds` }
}

function ended(requestId: string, { errorType, what }: Ending): InvocationOutcome {
  const errorMessage = `RequestId: ${requestId} Error: ${what}`
  return { kind: 'functionError', errorType, payload: Buffer.from(JSON.stringify({ errorType, errorMessage })) }
}

const TOO_LARGE: InvocationOutcome = {
  kind: 'functionError',
  errorType: 'Function.ResponseSizeTooLarge',
  payload: Buffer.from(
    JSON.stringify({
      errorType: 'Function.ResponseSizeTooLarge',
      errorMessage: `Response payload size exceeded maximum allowed payload size (${RESPONSE_BYTES_MAX} bytes).`
    })
  )
}

function sizeChecked(payload: Uint8Array): InvocationOutcome {
  return payload.byteLength <= RESPONSE_BYTES_MAX ? { kind: 'result', payload } : TOO_LARGE
}
