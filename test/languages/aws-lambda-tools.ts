/**
 * AWS's own parts of Lambda, for tests: the runtime interface client, which calls a Node.js handler in AWS, and the
 * runtime interface emulator, which plays the service to it.
 *
 * The client is AWS's npm package, whose native part is compiled here (cmake, a C++ compiler and Node's headers are
 * needed). The emulator is the binary that AWS ships in its SAM CLI, fetched from PyPI: its repository declares a Go
 * module name that Go's proxy cannot serve.
 */

import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, rename, rm } from 'node:fs/promises'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { builtOnce } from '../support/built-once.ts'
import { runProcess, spawnBound } from '../support/child-process.ts'
import { freePorts } from '../support/ports.ts'
import { pythonSkip } from './toolchains.ts'

const cacheDir = join(import.meta.dirname, '../../.cache/aws-lambda')
const manifest = join(import.meta.dirname, 'aws-lambda/package.json')
const headersDir = '/usr'
const samVersion = '1.170.0'
const buildTimeoutMs = 280_000
const startTimeoutMs = 20_000

/** Why AWS's programs cannot run here, or `false`. */
export const awsLambdaSkip: string | false = whatIsMissing()

function whatIsMissing(): string | false {
  // Compiling AWS's client takes a minute and a half of two cores.
  if (process.env['LANGUAGE_TESTS'] !== 'long') return 'takes long: LANGUAGE_TESTS=long runs it'
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the emulator is taken for Linux on x86-64'
  if (pythonSkip !== false) return pythonSkip
  for (const tool of ['cmake', 'make', 'g++']) {
    if (spawnSync(tool, ['--version']).status !== 0) return `there is no ${tool}`
  }
  return existsSync(join(headersDir, 'include/node/node_api.h')) ? false : 'there are no headers of Node'
}

/** Builds the client once. @returns The path of its program. */
export async function runtimeClient(): Promise<string> {
  const folder = join(cacheDir, 'client')
  const program = join(folder, 'node_modules/aws-lambda-ric/index.mjs')
  await builtOnce(folder, async () => {
    await mkdir(folder, { recursive: true })
    await copyFile(manifest, join(folder, 'package.json'))
    await runProcess('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], {
      cwd: folder,
      timeoutMs: buildTimeoutMs,
      // It runs for a test: the optimising compiler would only cost.
      environment: { npm_config_nodedir: headersDir, MAKEFLAGS: '-j2', CFLAGS: '-O0', CXXFLAGS: '-O0' }
    })
  })
  return program
}

/** Fetches the emulator once. @returns The path of its program. */
export async function runtimeEmulator(): Promise<string> {
  const program = join(cacheDir, `aws-lambda-rie-${samVersion}`)
  if (existsSync(program)) return program
  const fresh = join(cacheDir, `emulator.${process.pid}`)
  await mkdir(fresh, { recursive: true })
  const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--dest', fresh]
  await runProcess('python3', [...pip, `aws-sam-cli==${samVersion}`], { timeoutMs: buildTimeoutMs })
  const wheel = `aws_sam_cli-${samVersion}-py3-none-any.whl`
  await runProcess('python3', ['-m', 'zipfile', '--extract', wheel, '.'], { cwd: fresh })
  const binary = join(fresh, 'samcli/local/rapid/aws-lambda-rie-x86_64')
  await chmod(binary, 0o755)
  await rename(binary, program)
  await rm(fresh, { recursive: true })
  return program
}

/** How a function is run under the emulator. */
export interface EmulatedFunction {
  /** Folder with the code: Lambda's `/var/task`. */
  readonly taskRoot: string
  /** Default `index.handler`. */
  readonly handler?: string
  readonly environment?: Readonly<Record<string, string>>
  /** Whole seconds. Default 10. */
  readonly timeoutS?: number
}

/** A function under AWS's client and emulator. */
export interface Emulator {
  /** Base address of the Invoke API; the function's name there is `function`. */
  readonly endpoint: string
  /** What the emulator and the function wrote. */
  output(): string
}

/** Starts a function; the end of the test ends it. */
export async function startEmulator(t: TestContext, options: EmulatedFunction): Promise<Emulator> {
  const [client, emulator] = await Promise.all([runtimeClient(), runtimeEmulator()])
  const [port, runtimePort] = await freePorts(2)
  const args = ['--runtime-interface-emulator-address', `127.0.0.1:${port}`]
  args.push('--runtime-api-address', `127.0.0.1:${runtimePort}`)
  args.push(process.execPath, client, options.handler ?? 'index.handler')
  const child = spawnBound(emulator, args, {
    cwd: options.taskRoot,
    environment: {
      AWS_LAMBDA_FUNCTION_TIMEOUT: String(options.timeoutS ?? 10),
      LAMBDA_TASK_ROOT: options.taskRoot,
      // In AWS these name the folders with the runtime's own copy of the SDK.
      NODE_PATH: join(import.meta.dirname, '../../node_modules'),
      NODE_COMPILE_CACHE: '',
      ...options.environment
    }
  })
  let output = ''
  const read = (text: string): void => {
    output = (output + text).slice(-262_144)
  }
  child.stdout?.setEncoding('utf8').on('data', read)
  child.stderr?.setEncoding('utf8').on('data', read)
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
  t.after(async () => {
    child.kill('SIGTERM')
    await closed
  })
  const endpoint = `http://127.0.0.1:${port}`
  await untilListening(endpoint, () => output)
  return { endpoint, output: () => output }
}

async function untilListening(endpoint: string, output: () => string): Promise<void> {
  const deadline = Date.now() + startTimeoutMs
  for (;;) {
    try {
      await fetch(endpoint)
      return
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`the emulator did not start:\n${output()}`, { cause: error })
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
}
