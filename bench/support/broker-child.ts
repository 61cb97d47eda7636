/** A broker in a process of its own, and what the kernel says about a process. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'

import { bundled } from './bundle.ts'

/** Clock ticks of `/proc/PID/stat` in a second: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** A running broker process. */
export interface BrokerChild {
  readonly pid: number
  readonly bootstrapServers: string
  /** Ends it in good order. */
  stop(): Promise<void>
  /** Ends it with SIGKILL. */
  kill(): Promise<void>
}

/** How a broker process is started. */
export interface BrokerChildOptions {
  readonly dataDir?: string
  /** Broker settings as `name=value`. */
  readonly settings?: readonly string[]
  /** Arguments of Node itself, such as `--cpu-prof`. */
  readonly nodeArgs?: readonly string[]
}

/** Starts the embedded broker of this repository and waits until clients can connect. */
export async function startBrokerChild(options: BrokerChildOptions = {}): Promise<BrokerChild> {
  const script = await bundled('bench/broker-process.ts')
  const dataDir = options.dataDir === undefined ? [] : ['--data-dir', options.dataDir]
  const args = [...(options.nodeArgs ?? []), script, ...dataDir, ...(options.settings ?? [])]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve)
    child.once('exit', code => reject(new Error(`the broker ended with ${code} before it was ready`)))
  })
  const { bootstrapServers } = JSON.parse(line) as { bootstrapServers: string } // Written by broker-process.ts.
  return {
    pid: child.pid ?? 0,
    bootstrapServers,
    stop: () => ended(child, () => child.stdin.end()),
    kill: () => ended(child, () => child.kill('SIGKILL'))
  }
}

async function ended(child: ChildProcess, end: () => void): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  end()
  await exit
}

/** The process with this argument. */
export async function pidOf(argument: string): Promise<number> {
  for (const entry of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    // A process may end while we look.
    const commandLine = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')
    if (commandLine.split('\0').includes(argument)) return Number(entry)
  }
  throw new Error(`no process has the argument ${argument}`)
}

/** User and system time of a process so far, in seconds. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold spaces; user and system time are fields 14 and 15.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Resident memory of a process in MiB: now, and at its peak. */
export async function memoryOf(pid: number): Promise<{ readonly rssMb: number; readonly peakMb: number }> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1])
  return { rssMb: kib('VmRSS') / 1024, peakMb: kib('VmHWM') / 1024 }
}
