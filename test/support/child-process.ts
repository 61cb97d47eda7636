/**
 * Other programs in tests: run to the end, or bound to the life of the test.
 *
 * No child outlives the process that started it, however that ends.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'

const setpriv = '/usr/bin/setpriv'
const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What a program left behind. */
export interface RunResult {
  /** -1 if a signal ended it. */
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Input and limits of one run of a program. */
export interface RunOptions {
  /** What the program reads on standard input. Default: nothing. */
  readonly stdin?: string | Buffer
  /** How long it may run, in milliseconds. Default 60_000. */
  readonly timeoutMs?: number
  /** Accept an exit code other than 0 instead of throwing. Default false. */
  readonly isFailureAccepted?: boolean
  /** Environment on top of this process's own. */
  readonly environment?: Readonly<Record<string, string>>
  /** Folder to run in. Default: this process's. */
  readonly cwd?: string
}

/**
 * Runs a program to its end.
 *
 * @throws Error with both outputs if it fails or outlives `timeoutMs`.
 */
export function runProcess(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const timeoutMs = options.timeoutMs ?? 60_000
  return new Promise((resolve, reject) => {
    const child = spawnBound(command, args, options)
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
    // A tool may end before it has read everything; its exit code says what happened.
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.stdin ?? '')
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      child.kill('SIGKILL')
    }, timeoutMs)
    child.on('error', error => {
      clearTimeout(timer)
      reject(new Error(`cannot run ${command}: ${error.message}`, { cause: error }))
    })
    child.on('close', exitCode => {
      clearTimeout(timer)
      const result = {
        exitCode: exitCode ?? -1,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString()
      }
      if (!isLate && (exitCode === 0 || options.isFailureAccepted === true)) {
        resolve(result)
        return
      }
      const how = isLate ? `did not end within ${timeoutMs} ms` : `ended with exit code ${exitCode}`
      // A class path is longer than all the rest, and says nothing.
      const what = args.map(arg => (arg.length > 300 ? `${arg.slice(0, 20)}…` : arg)).join(' ')
      reject(new Error(`${command} ${what} ${how}\nstdout: ${result.stdout}\nstderr: ${result.stderr}`))
    })
  })
}

const children = new Set<ChildProcess>()

/** Starts a child that does not outlive this process. */
export function spawnBound(
  command: string,
  args: readonly string[],
  options: Pick<RunOptions, 'environment' | 'cwd'> = {}
): ChildProcess {
  // The kernel ends the child even if this process is killed with SIGKILL, where util-linux is installed.
  const isBoundByKernel = process.platform === 'linux' && existsSync(setpriv)
  const spawnOptions = { cwd: options.cwd, env: { ...process.env, ...options.environment } }
  const child = isBoundByKernel
    ? spawn(setpriv, ['--pdeathsig', 'KILL', '--', command, ...args], spawnOptions)
    : spawn(command, args, spawnOptions)
  if (children.size === 0) {
    process.on('exit', killChildren)
    for (const signal of endSignals) process.on(signal, endBySignal)
  }
  children.add(child)
  child.once('close', () => {
    children.delete(child)
    if (children.size > 0) return
    process.off('exit', killChildren)
    for (const signal of endSignals) process.off(signal, endBySignal)
  })
  return child
}

function killChildren(): void {
  for (const child of children) child.kill('SIGKILL')
}

function endBySignal(signal: NodeJS.Signals): void {
  killChildren()
  for (const each of endSignals) process.off(each, endBySignal)
  // Raised again without our handler, so that the parent sees the true reason.
  process.kill(process.pid, signal)
}
