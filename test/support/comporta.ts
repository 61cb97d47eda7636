/** Runs the command line as a user would: a process of its own, in a folder of its own. */

import { type ChildProcess, fork, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const command = fileURLToPath(new URL('../../bin/comporta.js', import.meta.url))

/** How a run ended. */
export interface CommandResult {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Where and with what a command runs. */
export interface CommandOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** Text for its standard input. */
  readonly input?: string
}

/** An empty folder that is removed when the test ends. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'comporta-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Runs a command to its end. */
export async function runComporta(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const child = spawnComporta(args, options)
  child.stdin?.end(options.input ?? '')
  const [stdout, stderr, exitCode] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise<number | null>(resolve => child.once('close', resolve))
  ])
  return { exitCode, stdout, stderr }
}

/**
 * `runComporta` for command lines that need no process of their own: one process of the test file runs them one after
 * the other, a third of a second of CPU less for each. That a command ends by itself only `runComporta` shows.
 */
export function hostedComporta(): (args: readonly string[], options?: HostedOptions) => Promise<CommandResult> {
  let host: CommandHost | undefined
  after(() => host?.end())
  return async (args, options = {}) => await (host ??= new CommandHost()).run(args, options)
}

type HostedOptions = Pick<CommandOptions, 'cwd' | 'env'>

class CommandHost {
  readonly #process: ChildProcess
  /** Rejects once the process is gone. */
  readonly #ended: Promise<never>
  #last: Promise<unknown> = Promise.resolve()

  constructor() {
    this.#process = fork(fileURLToPath(new URL('./comporta-host.ts', import.meta.url)), [], {
      env: bareEnvironment(),
      // Log lines go past what is caught: shown only where the host itself fails.
      stdio: ['ignore', 'ignore', 'pipe', 'ipc']
    })
    const said = textOf(this.#process.stderr)
    this.#ended = new Promise<never>((_, reject) =>
      this.#process.once('exit', code => {
        void said.then(text => reject(new Error(`the host of command lines has ended with ${code}: ${text}`)))
      })
    )
    this.#ended.catch(() => undefined)
  }

  async run(args: readonly string[], { cwd = tmpdir(), env = {} }: HostedOptions): Promise<CommandResult> {
    const result = this.#last.then(async () => {
      const answered = new Promise<CommandResult>(resolve => this.#process.once('message', resolve as () => void))
      this.#process.send({ args, cwd, env })
      return await Promise.race([answered, this.#ended])
    })
    this.#last = result.catch(() => undefined)
    return await result
  }

  end(): void {
    this.#process.kill('SIGKILL')
  }
}

/** A command that goes on running. */
export interface RunningCommand {
  /** All it has printed to standard output and standard error so far. */
  output(): string
  /** Resolves once its output matches; the test's own time limit ends a wait in vain. */
  said(pattern: RegExp): Promise<void>
  /** Sends a signal. */
  signal(signal: NodeJS.Signals): void
  /** Sends a signal and resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Starts a command and resolves once its output matches; the test's end kills it. */
export async function startComporta(
  t: TestContext,
  args: readonly string[],
  options: CommandOptions & { readonly until: RegExp }
): Promise<RunningCommand> {
  const child = spawnComporta(args, options)
  const closed = new Promise<number | null>(resolve => child.once('close', resolve))
  t.after(() => {
    child.kill('SIGKILL')
    return closed
  })
  let output = ''
  const matched = Promise.withResolvers<void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (options.until.test(output)) matched.resolve()
    })
  }
  void closed.then(code => matched.reject(new Error(`comporta ${args.join(' ')} ended with ${code}:\n${output}`)))
  await matched.promise
  return {
    output: () => output,
    said: pattern => {
      const found = Promise.withResolvers<void>()
      const look = (): void => {
        if (pattern.test(output)) found.resolve()
      }
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', look)
      look()
      return found.promise
    },
    signal: signal => void child.kill(signal),
    stop: async (signal = 'SIGINT') => {
      child.kill(signal)
      return await closed
    }
  }
}

function spawnComporta(args: readonly string[], options: CommandOptions): ChildProcess {
  return spawn(process.execPath, [command, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: { ...bareEnvironment(), ...options.env },
    stdio: 'pipe'
  })
}

/** What a command needs of this process's environment; nothing of it must decide what a test shows. */
function bareEnvironment(): Record<string, string> {
  const { PATH = '', HOME = '', NODE_COMPILE_CACHE } = process.env
  return { PATH, HOME, ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }) }
}

async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = ''
  for await (const chunk of stream ?? []) text += String(chunk)
  return text
}
