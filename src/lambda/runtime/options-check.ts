/** What is wrong with the options of the embedded Lambda runtime: every problem at once, each with its place. */

import {
  DISTRIBUTOR_FILE_VARIABLE,
  DISTRIBUTOR_VARIABLE,
  distributorOptionProblems,
  requestTimeNeededMs
} from '../distributor/options.ts'
import { destinationProblem } from './events/destination-arn.ts'
import {
  type AliasOptions,
  type EventOptions,
  functionEnvironment,
  type FunctionOptions,
  type LambdaRuntimeOptions,
  TIMEOUT_MS,
  type VersionOptions
} from './options.ts'

const NAME = /^[a-zA-Z0-9_-]{1,64}$/
const ALIAS = /^(?!\d+$)[a-zA-Z0-9_-]{1,128}$/
const VERSION = /^[1-9]\d{0,9}$/
const LAYERS_MAX = 5

/** Every problem of the options; none when they can work. */
export function optionProblems(options: LambdaRuntimeOptions): string[] {
  const problems: string[] = []
  const names = Object.keys(options.functions)
  if (names.length === 0) problems.push('functions: at least one is needed')
  if (options.accountId !== undefined && !/^\d{12}$/.test(options.accountId)) {
    problems.push(`accountId: "${options.accountId}" is not 12 digits`)
  }
  const safe = Number.MAX_SAFE_INTEGER
  checkInteger(problems, { path: 'port', value: options.port, min: 0, max: 65_535 })
  checkInteger(problems, { path: 'accountConcurrency', value: options.accountConcurrency, min: 1, max: 100_000 })
  checkInteger(problems, { path: 'idleTimeoutMs', value: options.idleTimeoutMs, min: 1, max: 86_400_000 })
  checkInteger(problems, { path: 'initTimeoutMs', value: options.initTimeoutMs, min: 1, max: 900_000 })
  checkInteger(problems, { path: 'throttleWaitMs', value: options.throttleWaitMs, min: 0, max: 900_000 })
  checkInteger(problems, { path: 'eventQueueMax', value: options.eventQueueMax, min: 1, max: 1_000_000 })
  checkInteger(problems, { path: 'requestBytesMax', value: options.requestBytesMax, min: 8_388_608, max: safe })
  for (const [name, each] of Object.entries(options.functions)) checkFunction(problems, name, each)
  return problems
}

function checkFunction(problems: string[], name: string, options: FunctionOptions): void {
  const path = `functions.${name}`
  if (!NAME.test(name)) problems.push(`${path}: not a function name (letters, digits, - and _, at most 64)`)
  checkVersion(problems, path, options)
  checkInteger(problems, { path: `${path}.concurrency`, value: options.concurrency, min: 0, max: 1_000 })
  for (const [number, each] of Object.entries(options.versions ?? {})) {
    if (!VERSION.test(number)) problems.push(`${path}.versions.${number}: not a version: a number from 1`)
    checkVersion(problems, `${path}.versions.${number}`, each)
  }
  checkAliases(problems, path, options)
  if (options.events !== undefined) problems.push(...eventProblems(options.events, `${path}.events.`))
  if (options.handler === 'builtin:distributor') checkDistributor(problems, path, options)
  else if (options.distributor !== undefined) {
    problems.push(`${path}.distributor: belongs to handler builtin:distributor, not to "${options.handler}"`)
  }
}

function checkVersion(problems: string[], path: string, options: VersionOptions): void {
  const { handler } = options
  if (handler === '') problems.push(`${path}.handler: is empty`)
  if (handler?.startsWith('builtin:') === true && handler !== 'builtin:distributor') {
    problems.push(`${path}.handler: "${handler}" is unknown; there is builtin:distributor`)
  }
  checkInteger(problems, { path: `${path}.timeoutMs`, value: options.timeoutMs, min: 1, max: 900_000 })
  checkInteger(problems, { path: `${path}.memoryMb`, value: options.memoryMb, min: 16, max: 10_240 })
  checkInteger(problems, { path: `${path}.provisioned`, value: options.provisioned, min: 0, max: 1_000 })
  if ((options.layers?.length ?? 0) > LAYERS_MAX) problems.push(`${path}.layers: at most ${LAYERS_MAX} are possible`)
}

function checkAliases(problems: string[], path: string, { versions = {}, aliases = {} }: FunctionOptions): void {
  const known = ['$LATEST', ...Object.keys(versions)]
  for (const [alias, to] of Object.entries(aliases)) {
    const at = `${path}.aliases.${alias}`
    if (!ALIAS.test(alias)) problems.push(`${at}: not an alias (letters, digits, - and _, not a number alone)`)
    const { version, weights = {} }: AliasOptions = typeof to === 'string' ? { version: to } : to
    for (const each of [version, ...Object.keys(weights)]) {
      if (!known.includes(each)) problems.push(`${at}: there is no version "${each}"; there are ${known.join(', ')}`)
    }
    const shares = Object.values(weights)
    const isShare = shares.every(each => each >= 0 && each <= 1)
    if (!isShare || shares.reduce((sum, each) => sum + each, 0) > 1) {
      problems.push(`${at}.weights: shares are numbers from 0 to 1, together at most 1`)
    }
  }
}

/** What is wrong with how events are retried and where they end. */
export function eventProblems(options: EventOptions, path: string): string[] {
  const problems: string[] = []
  checkInteger(problems, { path: `${path}retriesMax`, value: options.retriesMax, min: 0, max: 2 })
  checkInteger(problems, { path: `${path}ageMaxMs`, value: options.ageMaxMs, min: 60_000, max: 21_600_000 })
  const waits = options.retryWaitsMs ?? []
  if (options.retryWaitsMs?.length === 0) problems.push(`${path}retryWaitsMs: is empty`)
  for (const [index, value] of waits.entries()) {
    checkInteger(problems, { path: `${path}retryWaitsMs.${index}`, value, min: 0, max: 21_600_000 })
  }
  const targets = { onSuccess: options.onSuccess, onFailure: options.onFailure }
  for (const [name, arn] of Object.entries({ ...targets, deadLetterTarget: options.deadLetterTarget })) {
    const problem = arn === undefined ? undefined : destinationProblem(arn, name)
    if (problem !== undefined) problems.push(`${path}${name}: ${problem}`)
  }
  return problems
}

function checkDistributor(problems: string[], path: string, options: FunctionOptions): void {
  const environment = functionEnvironment(options)
  const text = environment[DISTRIBUTOR_VARIABLE]
  if (text === undefined) {
    // A file is read, and checked, when the function starts.
    if (environment[DISTRIBUTOR_FILE_VARIABLE] !== undefined) return
    problems.push(`${path}.distributor: is missing (or JSON in the environment variable ${DISTRIBUTOR_VARIABLE})`)
    return
  }
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    problems.push(`${path}.environment.${DISTRIBUTOR_VARIABLE}: is not JSON`)
    return
  }
  for (const each of distributorOptionProblems(given, environment)) problems.push(`${path}.distributor.${each}`)
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS
  const neededMs = requestTimeNeededMs(given)
  if (timeoutMs < neededMs) {
    problems.push(
      `${path}.timeoutMs: ${timeoutMs} leaves no time for a request; at least ${neededMs} with this reserveMs`
    )
  }
}

interface IntegerRule {
  readonly path: string
  readonly value: number | undefined
  readonly min: number
  readonly max: number
}

function checkInteger(problems: string[], { path, value, min, max }: IntegerRule): void {
  if (value === undefined || (Number.isInteger(value) && value >= min && value <= max)) return
  problems.push(`${path}: ${String(value)} is not an integer from ${min} to ${max}`)
}
