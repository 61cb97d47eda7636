/** The runtime's options with every default filled in. */

import { type Clock, PipelineError, type Random, systemClock, systemRandom } from '../../core/index.ts'
import { type Logger, type Meter, noopMeter, silentLogger } from '../../telemetry/index.ts'
import { functionArn, LATEST } from './function-name.ts'
import { optionProblems } from './options-check.ts'
import {
  type AliasOptions,
  type EventOptions,
  functionEnvironment,
  type FunctionOptions,
  type LambdaRuntimeOptions,
  TIMEOUT_MS,
  type VersionOptions
} from './options.ts'
import type { LogFormat } from './report.ts'
import type { Isolation } from './sandbox/sandbox.ts'

/** One version of a function with every default filled in. */
export interface VersionSettings {
  /** Name of the function. */
  readonly name: string
  /** `$LATEST`, or a number as text. */
  readonly version: string
  readonly handler: string
  readonly timeoutMs: number
  readonly memoryMb: number
  readonly environment: Readonly<Record<string, string>>
  readonly layers: readonly string[]
  readonly provisioned: number
  readonly isolation: Isolation
  readonly logFormat: LogFormat
  readonly logLevel: string
}

/** An alias with every default filled in. */
export type AliasSettings = Required<AliasOptions>

/** What becomes of events, with every default filled in. */
export interface EventSettings {
  readonly retriesMax: number
  readonly ageMaxMs: number
  readonly retryWaitsMs: readonly number[]
  readonly onSuccess: string | undefined
  readonly onFailure: string | undefined
  readonly deadLetterTarget: string | undefined
}

/** One function with every default filled in. */
export interface FunctionSettings {
  readonly name: string
  readonly arn: string
  readonly concurrency: number
  readonly latest: VersionSettings
  readonly versions: ReadonlyMap<string, VersionSettings>
  readonly aliases: ReadonlyMap<string, AliasSettings>
  readonly events: EventSettings
}

/** The runtime's options with every default filled in. */
export interface RuntimeSettings {
  readonly functions: readonly FunctionSettings[]
  readonly host: string
  readonly port: number
  readonly taskRoot: string
  readonly region: string
  readonly accountId: string
  readonly accountConcurrency: number
  readonly watch: boolean
  readonly idleTimeoutMs: number
  readonly initTimeoutMs: number
  readonly throttleWaitMs: number
  readonly eventQueueMax: number
  readonly requestBytesMax: number
  readonly destinationEndpoint: string | undefined
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly meter: Meter
}

/**
 * Fills in the defaults.
 *
 * @throws PipelineError `ERR_LAMBDA_OPTIONS_INVALID` with every problem.
 */
export function runtimeSettings(options: LambdaRuntimeOptions): RuntimeSettings {
  const problems = optionProblems(options)
  if (problems.length > 0) {
    throw new PipelineError('ERR_LAMBDA_OPTIONS_INVALID', `lambda options: ${problems.join('; ')}`, {
      fields: { problems }
    })
  }
  const region = options.region ?? 'us-east-1'
  const accountId = options.accountId ?? '000000000000'
  return {
    functions: Object.entries(options.functions).map(([name, each]) => {
      return functionSettings(name, functionArn(region, accountId, name), each)
    }),
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 0,
    taskRoot: options.taskRoot ?? process.cwd(),
    region,
    accountId,
    accountConcurrency: options.accountConcurrency ?? 1_000,
    watch: options.watch ?? false,
    idleTimeoutMs: options.idleTimeoutMs ?? 300_000,
    initTimeoutMs: options.initTimeoutMs ?? 10_000,
    throttleWaitMs: options.throttleWaitMs ?? 0,
    eventQueueMax: options.eventQueueMax ?? 1_000,
    requestBytesMax: options.requestBytesMax ?? 268_435_456,
    destinationEndpoint: options.destinationEndpoint,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    logger: options.logger ?? silentLogger,
    meter: options.meter ?? noopMeter
  }
}

function functionSettings(name: string, arn: string, options: FunctionOptions): FunctionSettings {
  const logFormat = options.logFormat ?? 'text'
  const version = (number: string, own: VersionOptions): VersionSettings => ({
    name,
    version: number,
    handler: own.handler ?? options.handler,
    timeoutMs: own.timeoutMs ?? options.timeoutMs ?? TIMEOUT_MS,
    memoryMb: own.memoryMb ?? options.memoryMb ?? 128,
    environment: { ...functionEnvironment(options), ...own.environment },
    layers: own.layers ?? options.layers ?? [],
    provisioned: own.provisioned ?? 0,
    isolation: options.isolation ?? 'thread',
    logFormat,
    logLevel: options.logLevel ?? (logFormat === 'json' ? 'INFO' : 'TRACE')
  })
  const versions = Object.entries(options.versions ?? {}).map(
    ([number, own]) => [number, version(number, own)] as const
  )
  const aliases = Object.entries(options.aliases ?? {}).map(([alias, to]) => [alias, aliasSettings(to)] as const)
  return {
    name,
    arn,
    concurrency: options.concurrency ?? 10,
    latest: version(LATEST, { provisioned: options.provisioned ?? 0 }),
    versions: new Map(versions),
    aliases: new Map(aliases),
    events: eventSettings(options.events ?? {})
  }
}

function aliasSettings(to: string | AliasOptions): AliasSettings {
  return typeof to === 'string' ? { version: to, weights: {} } : { version: to.version, weights: to.weights ?? {} }
}

/** Fills in the defaults of how events are retried and where they end. */
export function eventSettings(options: EventOptions): EventSettings {
  return {
    retriesMax: options.retriesMax ?? 2,
    ageMaxMs: options.ageMaxMs ?? 21_600_000,
    retryWaitsMs: options.retryWaitsMs ?? [60_000, 120_000],
    onSuccess: options.onSuccess,
    onFailure: options.onFailure,
    deadLetterTarget: options.deadLetterTarget
  }
}
