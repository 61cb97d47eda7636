/**
 * Clients of other languages: built by their own toolchains into `.cache/`, run
 * as programs on the embedded broker.
 *
 * Without the toolchain a suite is skipped, and says so; with `REQUIRE_GO=1` or
 * `REQUIRE_PYTHON=1` its absence is a failure.
 */

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { builtOnce } from '../support/built-once.ts'
import { runProcess } from '../support/child-process.ts'

const cacheDir = join(import.meta.dirname, '../../.cache/languages')
const goDir = join(import.meta.dirname, 'go')
const pythonDir = join(import.meta.dirname, 'python')
/** A first build downloads the modules and compiles them all. */
const buildTimeoutMs = 280_000

/** Why Go's tests cannot run here, or `false`. */
export const goSkip = versionAtLeast(['go', 'version'], /go1\.(\d+)/, 21) ? false : 'there is no Go 1.21 or later'

/** Why Python's tests cannot run here, or `false`. */
export const pythonSkip = versionAtLeast(['python3', '--version'], /Python 3\.(\d+)/, 9)
  ? false
  : 'there is no Python 3.9 or later'

function versionAtLeast([command = '', ...args]: readonly string[], pattern: RegExp, minor: number): boolean {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 && Number(pattern.exec(stdout)?.[1] ?? 0) >= minor
}

/** Builds the Go programs of this folder. @returns The path of the binary. */
export function buildGoClients(): Promise<string> {
  return buildGo('clients', ['build', '.'])
}

/** Builds the tests that franz-go ships with its client. @returns The path of the test binary. */
export function buildFranzTests(): Promise<string> {
  return buildGo('kgo-test', ['test', '-c', 'github.com/twmb/franz-go/pkg/kgo'])
}

/** Builds once for a state of the sources. */
async function buildGo(name: string, [verb = '', ...what]: readonly string[]): Promise<string> {
  const binary = join(cacheDir, `${name}-${await hashOf(goDir)}`)
  if (existsSync(binary)) return binary
  await mkdir(cacheDir, { recursive: true })
  const fresh = `${binary}.${process.pid}`
  const [target = '', ...flags] = what.toReversed()
  await runProcess('go', [verb, ...flags.toReversed(), '-o', fresh, target], { cwd: goDir, timeoutMs: buildTimeoutMs })
  await rename(fresh, binary)
  return binary
}

/** An environment with the pinned Python clients. @returns The path of its interpreter. */
export function pythonWithClients(): Promise<string> {
  return pythonEnvironment('requirements.txt')
}

/** An environment with AWS's services of moto, for tests of what talks to AWS. @returns The path of its interpreter. */
export function pythonWithMoto(): Promise<string> {
  return pythonEnvironment('moto.txt')
}

/** An environment with the AWS CLI and boto3. @returns The path of its interpreter; `aws` lies beside it. */
export function pythonWithAwsCli(): Promise<string> {
  return pythonEnvironment('awscli.txt')
}

async function pythonEnvironment(requirements: string): Promise<string> {
  const folder = join(cacheDir, `python-${await hashOf(pythonDir, name => name === requirements)}`)
  const python = join(folder, 'bin/python')
  await builtOnce(folder, async () => {
    await runProcess('python3', ['-m', 'venv', '--clear', folder], { timeoutMs: buildTimeoutMs })
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    await runProcess(python, [...install, '-r', join(pythonDir, requirements)], { timeoutMs: buildTimeoutMs })
  })
  return python
}

async function hashOf(folder: string, isPart: (name: string) => boolean = () => true): Promise<string> {
  const hash = createHash('sha256')
  for (const name of (await readdir(folder)).filter(isPart).toSorted()) {
    hash.update(name).update(await readFile(join(folder, name)))
  }
  return hash.digest('hex').slice(0, 12)
}
