/**
 * One execution environment: a worker thread that runs one function, one
 * invocation at a time, and is used again while it is sound.
 *
 * The main thread keeps time. Loading the handler has its own limit; the
 * function's timeout starts once it is loaded, as in Lambda. A late worker is
 * terminated, whatever it is doing. Whatever ends a worker (timeout, memory,
 * `process.exit`, a crash) becomes the answer of the running invocation and
 * closes this environment; nothing of it reaches the process.
 *
 * Not a security boundary: the function runs with this process's rights. The
 * memory limit is V8's heap limit, so Buffers are not counted.
 */

import { Worker } from 'node:worker_threads'

import { type Clock, invariant, messageOf, type Timer } from '../../core/index.ts'
import { type InvokeMessage, readWorkerMessage, type WorkerMessage, type WorkerSetup } from '../worker/messages.ts'
import { RESPONSE_BYTES_MAX } from './api-errors.ts'
import { environmentVariables } from './environment-variables.ts'
import type { FunctionSettings, RuntimeSettings } from './options.ts'

/**
 * Most MiB of the young generation. Node stops a worker near its limit with 16 MiB to spare; with V8's default young
 * generation one collection can promote more than that, and V8 then aborts the process (measured: 5 of 24 runs of
 * eight ways to leak memory, none with this limit).
 */
const YOUNG_GENERATION_MB = 32

/** What an environment is given to run. */
export interface Invocation extends Omit<InvokeMessage, 'deadlineMs'> {
  /** Called with what the function writes, as it does. */
  onLog(text: string): void
}

/** What became of an invocation. */
export type InvocationOutcome =
  | { readonly kind: 'result'; readonly payload: Uint8Array }
  | { readonly kind: 'functionError'; readonly errorType: string; readonly payload: Uint8Array }
  | { readonly kind: 'invalidEvent'; readonly detail: string }

type State = 'starting' | 'idle' | 'busy' | 'closed'

interface Running {
  readonly invocation: Invocation
  readonly resolve: (outcome: InvocationOutcome) => void
  timer: Timer | undefined
}

/** A worker thread of one function. */
export class ExecutionEnvironment {
  readonly #function: FunctionSettings
  readonly #settings: RuntimeSettings
  readonly #clock: Clock
  readonly #worker: Worker
  readonly #exited: Promise<void>
  #state: State = 'starting'
  #running: Running | undefined
  #isOutOfMemory = false
  /** Since when it is idle, in monotonic milliseconds. */
  idleSinceMs = 0

  constructor(func: FunctionSettings, settings: RuntimeSettings, id: string) {
    this.#function = func
    this.#settings = settings
    this.#clock = settings.clock
    const environment = environmentVariables(func, settings, id)
    const { handler, name: functionName, memoryMb } = func
    const workerData: WorkerSetup = { handler, taskRoot: settings.taskRoot, functionName, memoryMb, environment }
    // Beside this file in the sources and in the built package; only the extension differs.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    this.#worker = new Worker(new URL(`../worker/worker-main.${extension}`, import.meta.url), {
      name: functionName,
      workerData,
      env: environment,
      // Flags of this process (a test runner, a profiler) are not for functions.
      execArgv: ['--disable-warning=ExperimentalWarning'],
      resourceLimits: { maxOldGenerationSizeMb: memoryMb, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      stdout: true,
      stderr: true
    })
    this.#exited = new Promise(resolve => this.#worker.once('exit', () => resolve()))
    this.#listen()
  }

  /** Whether it can never run anything again. */
  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Runs one invocation; the environment must not be busy. Never rejects. */
  run(invocation: Invocation): Promise<InvocationOutcome> {
    invariant(this.#running === undefined, 'an environment runs one invocation at a time')
    // It can end between being given out and being used.
    if (this.#state === 'closed') return Promise.resolve(ended(invocation.requestId, KILLED))
    return new Promise(resolve => {
      this.#running = { invocation, resolve, timer: undefined }
      if (this.#state === 'starting') this.#limit(this.#settings.initTimeoutMs)
      else this.#start()
    })
  }

  /** Ends the worker; a running invocation is answered as if the runtime had been killed. Idempotent. */
  async close(): Promise<void> {
    this.#end(KILLED)
    await this.#worker.terminate()
    await this.#exited
  }

  #listen(): void {
    this.#worker.on('message', (value: unknown) => {
      const message = readWorkerMessage(value)
      if (message !== undefined) this.#onMessage(message)
    })
    this.#worker.on('messageerror', () => this.#end(WITHOUT_REASON))
    this.#worker.on('error', (error: unknown) => {
      // 'exit' follows and answers; an error listener also keeps the error, which may be any value, from the process.
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      this.#isOutOfMemory = code === 'ERR_WORKER_OUT_OF_MEMORY'
      this.#settings.logger.warn({ function: this.#function.name, error: messageOf(error) }, 'environment failed')
    })
    this.#worker.on('exit', code => this.#onExit(code))
    // What bypassed the captured streams (a native module, a fatal error) is read so that it cannot pile up.
    this.#worker.stdout.resume()
    this.#worker.stderr.resume()
  }

  #onMessage(message: WorkerMessage): void {
    const running = this.#running
    switch (message.kind) {
      case 'ready':
        if (this.#state !== 'starting') return
        this.#state = 'idle'
        if (running !== undefined) this.#start()
        return
      case 'log':
        running?.invocation.onLog(message.text)
        return
      case 'functionError':
        // The worker is about to exit: nothing more may be sent to it.
        if (message.isFatal) this.#abandon()
        if (message.requestId === undefined || message.requestId === running?.invocation.requestId) {
          this.#settle(message)
        }
        return
      case 'result':
        // An answer that came after the timeout, or a second one, belongs to nobody.
        if (message.requestId === running?.invocation.requestId) this.#settle(sizeChecked(message.payload))
        return
      case 'invalidEvent':
        if (message.requestId === running?.invocation.requestId) this.#settle(message)
    }
  }

  #start(): void {
    const running = this.#running
    if (running === undefined) return
    this.#state = 'busy'
    this.#limit(this.#function.timeoutMs)
    const { payload, requestId, invokedFunctionArn, clientContext, extraLatencyMs, isFailureInjected } =
      running.invocation
    const deadlineMs = this.#clock.now() + this.#function.timeoutMs
    const message: InvokeMessage = {
      payload,
      requestId,
      invokedFunctionArn,
      clientContext,
      extraLatencyMs,
      isFailureInjected,
      deadlineMs
    }
    this.#worker.postMessage(message, [payload])
  }

  #limit(timeoutMs: number): void {
    const running = this.#running
    if (running === undefined) return
    running.timer?.cancel()
    running.timer = this.#clock.after(timeoutMs, () => {
      const seconds = (timeoutMs / 1000).toFixed(2)
      running.invocation.onLog(`${running.invocation.requestId} Task timed out after ${seconds} seconds\n\n`)
      this.#end({ errorType: 'Sandbox.Timedout', what: `Task timed out after ${seconds} seconds` })
    })
  }

  #onExit(code: number): void {
    if (this.#isOutOfMemory) this.#end({ ...KILLED, errorType: 'Runtime.OutOfMemory' })
    else if (code === 0) this.#end(WITHOUT_REASON)
    else this.#end({ errorType: 'Runtime.ExitError', what: `Runtime exited with error: exit status ${code}` })
  }

  #end(how: Ending): void {
    if (this.#state === 'closed') return
    this.#abandon()
    if (this.#running !== undefined) this.#settle(ended(this.#running.invocation.requestId, how))
  }

  #abandon(): void {
    this.#state = 'closed'
    // Rejects only if the thread cannot be stopped, and then there is nothing left to do.
    this.#worker.terminate().catch(() => undefined)
  }

  #settle(outcome: InvocationOutcome): void {
    const running = this.#running
    this.#running = undefined
    if (this.#state === 'busy') this.#state = 'idle'
    if (running === undefined) return
    running.timer?.cancel()
    running.resolve(outcome)
  }
}

/** How an environment ended, in Lambda's words. */
interface Ending {
  readonly errorType: string
  readonly what: string
}

const KILLED: Ending = { errorType: 'Runtime.ExitError', what: 'Runtime exited with error: signal: killed' }
const WITHOUT_REASON: Ending = { errorType: 'Runtime.ExitError', what: 'Runtime exited without providing a reason' }

function ended(requestId: string, { errorType, what }: Ending): InvocationOutcome {
  const errorMessage = `RequestId: ${requestId} Error: ${what}`
  return { kind: 'functionError', errorType, payload: Buffer.from(JSON.stringify({ errorType, errorMessage })) }
}

function sizeChecked(payload: Uint8Array): InvocationOutcome {
  if (payload.byteLength <= RESPONSE_BYTES_MAX) return { kind: 'result', payload }
  const errorType = 'Function.ResponseSizeTooLarge'
  const errorMessage = `Response payload size exceeded maximum allowed payload size (${RESPONSE_BYTES_MAX} bytes).`
  return { kind: 'functionError', errorType, payload: Buffer.from(JSON.stringify({ errorType, errorMessage })) }
}
