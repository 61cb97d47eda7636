/** A broker of our own and Kafka's Java programs on it, for the tests of this folder. */

import type { ChildProcess } from 'node:child_process'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Broker, type BrokerOptions, startBroker } from '../../src/broker/index.ts'
import type { RunOptions } from '../support/child-process.ts'
import { KAFKA_TOOLS, runKafkaTool, startKafkaTool } from '../support/kafka-jvm.ts'

/** One of Kafka's programs, by the name of its script. */
export type ToolName = keyof typeof KAFKA_TOOLS

/** How a tool is run. */
export interface ToolOptions extends RunOptions {
  /** The tool takes a subcommand, and the server only after it. Default false. */
  readonly isCommandFirst?: boolean
  /** The listener that it talks to. Default: the broker's first one. */
  readonly server?: string
}

/** A tool that goes on running. */
export interface RunningTool {
  /** The lines of its standard output so far. */
  readonly lines: readonly string[]
  /** Resolves when the condition holds. @throws Error with the output if the tool ends, or 30 s pass, before. */
  until(condition: (lines: readonly string[]) => boolean): Promise<void>
  /** Ends it, by SIGKILL unless told otherwise, and waits for its end. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** A broker, and tools that are told its address. */
export interface BrokerWithTools {
  readonly broker: Broker
  /**
   * Runs a tool to its end. Its arguments are split at blanks.
   *
   * @returns Its standard output.
   * @throws Error with both outputs if it fails.
   */
  readonly tool: (name: ToolName, args: string, options?: ToolOptions) => Promise<string>
  /** Starts a tool that ends with the test at the latest. */
  readonly start: (name: ToolName, args: string) => Promise<RunningTool>
}

/** Whether to run the variants that a short run, as in CI, leaves out: `JVM_TESTS=long`. */
export const isLongRun = process.env['JVM_TESTS'] === 'long'
/** For `skip`: the reason why a test of long JVM start-ups is left out of a short run; another covers its area. */
export const inShortRun = isLongRun ? false : 'long: npm run test:jvm:long'

const UNTIL_TIMEOUT_MS = 30_000
const EVENTUALLY_TIMEOUT_MS = 60_000
const POLL_INTERVAL_MS = 200

/** Starts an embedded broker for one test. */
export async function brokerWithTools(t: TestContext, options: BrokerOptions = {}): Promise<BrokerWithTools> {
  const config = { 'group.initial.rebalance.delay.ms': '0', ...options.config }
  const broker = await startBroker({ ...options, config })
  t.after(() => broker.close())
  const server = ['--bootstrap-server', broker.bootstrapServers]
  return {
    broker,
    tool: async (name, args, options = {}) => {
      const given = args.split(' ').filter(arg => arg !== '')
      const listener = options.server === undefined ? server : ['--bootstrap-server', options.server]
      const all = options.isCommandFirst === true ? [...given, ...listener] : [...listener, ...given]
      return (await runKafkaTool(KAFKA_TOOLS[name], all, options)).stdout
    },
    start: async (name, args) => watch(t, await startKafkaTool(KAFKA_TOOLS[name], [...server, ...args.split(' ')]))
  }
}

/** Follows a child by its lines; the end of the test ends it. */
export function watch(t: TestContext, child: ChildProcess): RunningTool {
  const lines: string[] = []
  let errors = ''
  let rest = ''
  const waiting = new Set<() => void>()
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    for (const check of waiting) check()
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const stop = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    child.kill(signal)
    await closed
  }
  t.after(() => stop())
  return { lines, until, stop }

  async function until(condition: (lines: readonly string[]) => boolean): Promise<void> {
    if (condition(lines)) return
    const met = Promise.withResolvers<void>()
    const fail = (how: string): void => {
      met.reject(new Error(`the program ${how} before what was waited for. It wrote:\n${lines.join('\n')}\n${errors}`))
    }
    const check = (): void => {
      if (condition(lines)) met.resolve()
    }
    const timer = setTimeout(() => fail(`ran for ${UNTIL_TIMEOUT_MS} ms`), UNTIL_TIMEOUT_MS)
    waiting.add(check)
    void closed.then(() => fail('ended'))
    try {
      await met.promise
    } finally {
      clearTimeout(timer)
      waiting.delete(check)
    }
  }
}

/** Asks again and again, until the answer is yes. @throws Error that names what did not come true in 60 s. */
export async function eventually(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + EVENTUALLY_TIMEOUT_MS
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`this did not come true in time: ${what}`)
    await delay(POLL_INTERVAL_MS)
  }
}

/** The lines of a text that hold something. */
export function linesOf(text: string): string[] {
  return text.split('\n').filter(line => line !== '')
}

/** How many partitions a verifiable consumer owns, from the assignments and revocations it has printed. */
export function ownedCount(lines: readonly string[]): number {
  const owned = new Set<number>()
  for (const line of lines) {
    const isAssigned = line.includes('"partitions_assigned"')
    if (!isAssigned && !line.includes('"partitions_revoked"')) continue
    const event = JSON.parse(line) as { partitions: { partition: number }[] }
    for (const { partition } of event.partitions) {
      if (isAssigned) owned.add(partition)
      else owned.delete(partition)
    }
  }
  return owned.size
}
