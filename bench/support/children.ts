/** Programs of the benchmarks as processes: each says one line of JSON when it is ready, or done. */

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** A running program. */
export interface Child<T> {
  readonly pid: number
  /** The first line that it prints. */
  readonly line: Promise<T>
  /** The line that it printed last, if any. */
  last(): T | undefined
  readonly ended: Promise<void>
  kill(signal: NodeJS.Signals): void
  /** Closes its standard input, which every program takes as the wish to end. */
  stop(): void
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a program. */
export function startChild<T>(command: string, args: readonly string[]): Child<T> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  let last: T | undefined
  const line = new Promise<T>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', text => {
      last = JSON.parse(text) as T // What it prints is its own; the caller knows the form.
      resolve(last)
    })
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`${args.join(' ')} ended with ${code} before it said anything`)))
  })
  line.catch(() => undefined)
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
  child.stdin.on('error', () => undefined)
  running.add(child)
  child.once('exit', () => running.delete(child))
  return {
    pid: child.pid ?? 0,
    line,
    last: () => last,
    ended,
    kill: signal => child.kill(signal),
    stop: () => child.stdin.end()
  }
}

/** Starts a TypeScript program with the Node of this process. */
export function startNode<T>(file: string, args: readonly string[] = [], flags: readonly string[] = []): Child<T> {
  // kafkajs sets timers that have run out already, and Node says so each time.
  return startChild<T>(process.execPath, ['--disable-warning=TimeoutNegativeWarning', ...flags, file, ...args])
}
