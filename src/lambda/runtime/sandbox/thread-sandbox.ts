/**
 * A worker thread. Not a security boundary: the function runs with this
 * process's rights. The memory limit is V8's heap limit, so Buffers are not
 * counted, and one single huge allocation makes V8 abort the whole process.
 */

import { Worker } from 'node:worker_threads'

import type { RuntimeMessage } from '../../worker/messages.ts'
import { type Sandbox, type SandboxOptions, workerUrl } from './sandbox.ts'

/**
 * Most MiB of the young generation. Node stops a worker near its limit with 16 MiB to spare; with V8's default young
 * generation one collection can promote more than that, and V8 then aborts the process (measured: 5 of 24 runs of
 * eight ways to leak memory, none with this limit).
 */
const YOUNG_GENERATION_MB = 32

/** A thread of this process. */
export class ThreadSandbox implements Sandbox {
  readonly #worker: Worker
  readonly #exited: Promise<void>

  constructor({ setup, listener }: SandboxOptions) {
    this.#worker = new Worker(workerUrl(), {
      name: setup.functionName,
      workerData: setup,
      env: setup.environment,
      // Flags of this process (a test runner, a profiler) are not for functions.
      execArgv: ['--disable-warning=ExperimentalWarning'],
      resourceLimits: { maxOldGenerationSizeMb: setup.memoryMb, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      stdout: true,
      stderr: true
    })
    let isOutOfMemory = false
    this.#worker.on('message', (value: unknown) => listener.onMessage(value))
    this.#worker.on('messageerror', error => listener.onError(error))
    this.#worker.on('error', (error: unknown) => {
      // 'exit' follows; an error listener also keeps the error, which may be any value, from the process.
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      isOutOfMemory = code === 'ERR_WORKER_OUT_OF_MEMORY'
      listener.onError(error)
    })
    this.#exited = new Promise(resolve => {
      this.#worker.once('exit', code => {
        listener.onExit({ code, signal: undefined, isOutOfMemory })
        resolve()
      })
    })
    // What bypassed the captured streams (a native module, a fatal error) is read so that it cannot pile up.
    this.#worker.stdout.resume()
    this.#worker.stderr.resume()
  }

  post(message: RuntimeMessage, transfer: readonly ArrayBuffer[]): void {
    this.#worker.postMessage(message, transfer)
  }

  memoryPeakBytes(): number {
    return 0
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate()
    await this.#exited
  }
}
