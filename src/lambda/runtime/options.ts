/**
 * Options of the embedded Lambda runtime: what may be set, the defaults, and
 * the check that names every problem at once.
 */

import { type Clock, PipelineError, type Random, systemClock, systemRandom } from '../../core/index.ts'
import { type Logger, type Meter, noopMeter, silentLogger } from '../../telemetry/index.ts'
import {
  DISTRIBUTOR_VARIABLE,
  distributorOptionProblems,
  type DistributorRouting,
  requestTimeNeededMs
} from '../distributor/options.ts'

/** One function of the runtime. */
export interface FunctionOptions {
  /**
   * What runs: `file.export` as in AWS (`dist/orders.handler`), a file whose export is called `handler`
   * (`functions/orders.ts`), or `builtin:distributor`. Files end in `.js`, `.mjs`, `.cjs`, `.ts`, `.mts` or `.cts`
   * (TypeScript as far as Node strips types, so not below `node_modules`), relative to `taskRoot`.
   */
  readonly handler: string
  /** Longest run of one invocation, in milliseconds. Integer, 1 to 900_000. Default 3_000. Source: Lambda `Timeout`. */
  readonly timeoutMs?: number
  /**
   * JavaScript heap of one execution environment, in MiB. Integer, 16 to 10_240. Default 128. Source: Lambda
   * `MemorySize`. Buffers lie outside the heap and are not limited.
   */
  readonly memoryMb?: number
  /**
   * Most invocations at the same time; one more is refused with 429. Integer, 1 to 1_000. Default 10.
   * Source: Lambda `ReservedConcurrentExecutions`.
   */
  readonly concurrency?: number
  /** Environment variables of the function. It sees these and Lambda's own, none of this process. */
  readonly environment?: Readonly<Record<string, string>>
  /** Options of `builtin:distributor`; the function gets them as JSON in `COMPORTA_DISTRIBUTOR`. */
  readonly distributor?: DistributorRouting
}

/** The whole runtime. */
export interface LambdaRuntimeOptions {
  /** Functions by name: letters, digits, `-` and `_`, at most 64. At least one. */
  readonly functions: Readonly<Record<string, FunctionOptions>>
  /** Address to listen on. Default `127.0.0.1`: whoever reaches it may run the functions, nothing is authenticated. */
  readonly host?: string
  /** Port to listen on. Default 0: any free one. */
  readonly port?: number
  /** Folder that handler files are relative to. Default: the working directory. */
  readonly taskRoot?: string
  /** Region in ARNs and in `AWS_REGION`. Default `us-east-1`. */
  readonly region?: string
  /** Account in ARNs, 12 digits. Default `000000000000`. */
  readonly accountId?: string
  /** An environment unused this long is stopped, in milliseconds. Integer, at least 1. Default 300_000. */
  readonly idleTimeoutMs?: number
  /** Longest start of an environment until its handler is loaded, in milliseconds. Default 10_000, as in Lambda. */
  readonly initTimeoutMs?: number
  /**
   * How long a synchronous invocation waits in line for a free environment before it is throttled, in milliseconds.
   * Integer, at least 0. Default 0, as in Lambda. A little more spares callers with short functions their backoff.
   */
  readonly throttleWaitMs?: number
  /** Most invocations of type `Event` that wait for a free environment, per function. Default 1_000. */
  readonly eventQueueMax?: number
  /** Most request bytes held at once by all connections; past it requests get 429. Default 256 MiB. */
  readonly requestBytesMax?: number
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
  readonly meter?: Meter
}

/** One function with every default filled in. */
export interface FunctionSettings {
  readonly name: string
  readonly arn: string
  readonly handler: string
  readonly timeoutMs: number
  readonly memoryMb: number
  readonly concurrency: number
  readonly environment: Readonly<Record<string, string>>
}

/** The runtime's options with every default filled in. */
export interface RuntimeSettings {
  readonly functions: readonly FunctionSettings[]
  readonly host: string
  readonly port: number
  readonly taskRoot: string
  readonly region: string
  readonly accountId: string
  readonly idleTimeoutMs: number
  readonly initTimeoutMs: number
  readonly throttleWaitMs: number
  readonly eventQueueMax: number
  readonly requestBytesMax: number
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly meter: Meter
}

/** The version of every function: there are no others. */
export const LATEST = '$LATEST'

const TIMEOUT_MS = 3_000
const NAME = /^[a-zA-Z0-9_-]{1,64}$/

/** The ARN of a function. */
export function functionArn(region: string, accountId: string, name: string): string {
  return `arn:aws:lambda:${region}:${accountId}:function:${name}`
}

/**
 * Fills in the defaults.
 *
 * @throws PipelineError `ERR_LAMBDA_OPTIONS_INVALID` with every problem.
 */
export function runtimeSettings(options: LambdaRuntimeOptions): RuntimeSettings {
  const problems = problemsOf(options)
  if (problems.length > 0) {
    throw new PipelineError('ERR_LAMBDA_OPTIONS_INVALID', `lambda options: ${problems.join('; ')}`, {
      fields: { problems }
    })
  }
  const region = options.region ?? 'us-east-1'
  const accountId = options.accountId ?? '000000000000'
  return {
    functions: Object.entries(options.functions).map(([name, each]) => ({
      name,
      arn: functionArn(region, accountId, name),
      handler: each.handler,
      timeoutMs: each.timeoutMs ?? TIMEOUT_MS,
      memoryMb: each.memoryMb ?? 128,
      concurrency: each.concurrency ?? 10,
      environment: environmentOf(each)
    })),
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 0,
    taskRoot: options.taskRoot ?? process.cwd(),
    region,
    accountId,
    idleTimeoutMs: options.idleTimeoutMs ?? 300_000,
    initTimeoutMs: options.initTimeoutMs ?? 10_000,
    throttleWaitMs: options.throttleWaitMs ?? 0,
    eventQueueMax: options.eventQueueMax ?? 1_000,
    requestBytesMax: options.requestBytesMax ?? 268_435_456,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    logger: options.logger ?? silentLogger,
    meter: options.meter ?? noopMeter
  }
}

function environmentOf(options: FunctionOptions): Record<string, string> {
  if (options.distributor === undefined) return { ...options.environment }
  return { ...options.environment, [DISTRIBUTOR_VARIABLE]: JSON.stringify(options.distributor) }
}

function problemsOf(options: LambdaRuntimeOptions): string[] {
  const problems: string[] = []
  const names = Object.keys(options.functions)
  if (names.length === 0) problems.push('functions: at least one is needed')
  if (options.accountId !== undefined && !/^\d{12}$/.test(options.accountId)) {
    problems.push(`accountId: "${options.accountId}" is not 12 digits`)
  }
  checkInteger(problems, { path: 'port', value: options.port, min: 0, max: 65_535 })
  checkInteger(problems, { path: 'idleTimeoutMs', value: options.idleTimeoutMs, min: 1, max: 86_400_000 })
  checkInteger(problems, { path: 'initTimeoutMs', value: options.initTimeoutMs, min: 1, max: 900_000 })
  checkInteger(problems, { path: 'throttleWaitMs', value: options.throttleWaitMs, min: 0, max: 900_000 })
  checkInteger(problems, { path: 'eventQueueMax', value: options.eventQueueMax, min: 1, max: 1_000_000 })
  checkInteger(problems, {
    path: 'requestBytesMax',
    value: options.requestBytesMax,
    min: 8_388_608,
    max: Number.MAX_SAFE_INTEGER
  })
  for (const [name, each] of Object.entries(options.functions)) checkFunction(problems, name, each)
  return problems
}

function checkFunction(problems: string[], name: string, options: FunctionOptions): void {
  const path = `functions.${name}`
  if (!NAME.test(name)) problems.push(`${path}: not a function name (letters, digits, - and _, at most 64)`)
  if (options.handler === '') problems.push(`${path}.handler: is empty`)
  if (options.handler.startsWith('builtin:') && options.handler !== 'builtin:distributor') {
    problems.push(`${path}.handler: "${options.handler}" is unknown; there is builtin:distributor`)
  }
  checkInteger(problems, { path: `${path}.timeoutMs`, value: options.timeoutMs, min: 1, max: 900_000 })
  checkInteger(problems, { path: `${path}.memoryMb`, value: options.memoryMb, min: 16, max: 10_240 })
  checkInteger(problems, { path: `${path}.concurrency`, value: options.concurrency, min: 1, max: 1_000 })
  if (options.handler === 'builtin:distributor') checkDistributor(problems, path, options)
  else if (options.distributor !== undefined) {
    problems.push(`${path}.distributor: belongs to handler builtin:distributor, not to "${options.handler}"`)
  }
}

function checkDistributor(problems: string[], path: string, options: FunctionOptions): void {
  const text = environmentOf(options)[DISTRIBUTOR_VARIABLE]
  if (text === undefined) {
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
  for (const each of distributorOptionProblems(given)) problems.push(`${path}.distributor.${each}`)
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
