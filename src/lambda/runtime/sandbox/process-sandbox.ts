/**
 * A process of its own: whatever the function allocates, aborts or corrupts
 * ends this one environment. Memory is what Lambda counts, the resident set,
 * looked at every `WATCH_MS` where the system tells it (Linux); V8's heap has
 * the same limit. It has a process group of its own, so that Ctrl-C in a
 * terminal drains the runtime first, and so that what it has started ends with it.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

import { type Clock, systemClock, type Timer } from '../../../core/index.ts'
import type { RuntimeMessage } from '../../worker/messages.ts'
import { orphans } from './orphans.ts'
import { type Sandbox, type SandboxOptions, workerUrl } from './sandbox.ts'

/** How often the memory is looked at. Real time: memory does not wait for a virtual clock. */
const WATCH_MS = 100
const PAGE_BYTES = 4_096
const MIB = 1_048_576
/** Node itself, with nothing loaded: what a function of Lambda's smallest size would not have to itself. */
const BASE_MB = 64
/** How long its last output is waited for: a process that has left the group may hold the line for good. */
const LAST_OUTPUT_MS = 500
/** Of what Node prints when V8 gives up. */
const STDERR_KEPT = 8_192

const hasGroups = process.platform !== 'win32'

/** Names that Go gives to the signals that end a process. */
const SIGNAL_NAMES: Readonly<Record<string, string>> = {
  SIGABRT: 'aborted',
  SIGBUS: 'bus error',
  SIGFPE: 'floating point exception',
  SIGILL: 'illegal instruction',
  SIGKILL: 'killed',
  SIGSEGV: 'segmentation fault',
  SIGTERM: 'terminated',
  SIGTRAP: 'trace/breakpoint trap'
}

/** A child process. */
export class ProcessSandbox implements Sandbox {
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  readonly #limitBytes: number
  readonly #clock: Clock
  readonly #watch: Timer
  #peakBytes = 0
  #isOverLimit = false
  #stderr = ''

  constructor({ setup, listener }: SandboxOptions, clock: Clock = systemClock) {
    this.#clock = clock
    this.#limitBytes = (setup.memoryMb + BASE_MB) * MIB
    const flags = [`--max-old-space-size=${setup.memoryMb}`, '--disable-warning=ExperimentalWarning']
    this.#child = spawn(process.execPath, [...flags, fileURLToPath(workerUrl())], {
      cwd: setup.taskRoot,
      // All of it: nothing of this process is the function's.
      env: setup.environment,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'advanced',
      detached: true
    })
    if (this.#child.pid !== undefined && hasGroups) orphans.add(this.#child.pid)
    this.#child.once('exit', () => this.#sweep())
    this.#exited = new Promise(resolve => {
      this.#child.once('close', (code, signal) => {
        this.#watch.cancel()
        const isOutOfMemory = this.#isOverLimit || this.#stderr.includes('JavaScript heap out of memory')
        listener.onExit({ code, signal: signal === null ? undefined : signalName(signal), isOutOfMemory })
        resolve()
      })
    })
    this.#child.on('error', error => {
      listener.onError(error)
      // One that could not be started never closes.
      if (this.#child.pid === undefined) this.#child.emit('close', 1, null)
    })
    this.#child.on('message', value => listener.onMessage(value))
    this.#child.stdout?.resume()
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT)
    })
    this.#watch = clock.every(WATCH_MS, () => void this.#look()).unref()
    // One for which the system has no descriptors left has no channel either.
    if (this.#child.connected) this.#child.send(setup)
  }

  post(message: RuntimeMessage): void {
    // An ArrayBuffer changes owner between threads only; here it is copied into the channel.
    if (this.#child.connected) this.#child.send(message)
  }

  memoryPeakBytes(): number {
    return this.#peakBytes
  }

  async terminate(): Promise<void> {
    this.#watch.cancel()
    this.#kill()
    await this.#exited
  }

  /** Ends it and all that it has started, but for what has left its group. */
  #kill(): void {
    const { pid, exitCode, signalCode } = this.#child
    // A number that was given back may be somebody else's by now.
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    if (!hasGroups || !killGroup(pid)) this.#child.kill('SIGKILL')
  }

  /** It has ended: so do the others of its group, and the output that they may still hold is not waited for. */
  #sweep(): void {
    const { pid } = this.#child
    if (pid !== undefined && hasGroups) {
      killGroup(pid)
      orphans.remove(pid)
    }
    const timer = this.#clock.after(LAST_OUTPUT_MS, () => {
      this.#child.stdout?.destroy()
      this.#child.stderr?.destroy()
    })
    this.#child.once('close', () => timer.cancel())
  }

  async #look(): Promise<void> {
    try {
      const [, pages = '0'] = (await readFile(`/proc/${this.#child.pid}/statm`, 'utf8')).split(' ')
      const bytes = Number(pages) * PAGE_BYTES
      this.#peakBytes = Math.max(this.#peakBytes, bytes)
      if (bytes <= this.#limitBytes) return
      this.#isOverLimit = true
      this.#kill()
    } catch {
      // It has ended, or this is no Linux: V8's own limit is left.
      this.#watch.cancel()
    }
  }
}

/** Whether there was such a group. Its number is nobody else's as long as one of it runs. */
function killGroup(pid: number): boolean {
  try {
    process.kill(-pid, 'SIGKILL')
    return true
  } catch {
    return false
  }
}

function signalName(signal: string): string {
  const number = (constants.signals as Readonly<Record<string, number>>)[signal]
  return SIGNAL_NAMES[signal] ?? `signal ${number ?? signal}`
}
