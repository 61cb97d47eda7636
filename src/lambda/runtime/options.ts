/**
 * Options of the embedded Lambda runtime: what may be set. `options-check.ts`
 * names every problem at once, `settings.ts` fills in the defaults.
 */

import type { Clock, Random } from '../../core/index.ts'
import type { Logger, Meter } from '../../telemetry/index.ts'
import { DISTRIBUTOR_VARIABLE, type DistributorRouting } from '../distributor/options.ts'
import type { LogFormat } from './report.ts'
import type { Isolation } from './sandbox/sandbox.ts'

/** Time of an invocation without a setting, as in Lambda. */
export const TIMEOUT_MS = 3_000

/** What a version of a function may have of its own; the rest is the function's. */
export interface VersionOptions {
  /**
   * What runs: `file.export` as in AWS (`dist/orders.handler`), a file whose export is called `handler`
   * (`functions/orders.ts`), or `builtin:distributor`. Files end in `.js`, `.mjs`, `.cjs`, `.ts`, `.mts` or `.cts`
   * (TypeScript as far as Node strips types, so not below `node_modules`), relative to `taskRoot`.
   */
  readonly handler?: string
  /** Longest run of one invocation, in milliseconds. Integer, 1 to 900_000. Default 3_000. Source: Lambda `Timeout`. */
  readonly timeoutMs?: number
  /**
   * Memory of one execution environment, in MiB: of the JavaScript heap in a thread, of all in a process. Integer, 16
   * to 10_240. Default 128. Source: Lambda `MemorySize`.
   */
  readonly memoryMb?: number
  /** Environment variables of the function. It sees these and Lambda's own, none of this process. */
  readonly environment?: Readonly<Record<string, string>>
  /** Folders like `/opt` in Lambda: CommonJS finds packages in their `nodejs/node_modules`. At most 5. Default none. */
  readonly layers?: readonly string[]
  /**
   * Environments that are started with the runtime and kept. Integer, 0 to 1_000. Default 0. Source: Lambda
   * `ProvisionedConcurrency`.
   */
  readonly provisioned?: number
}

/** Where an alias leads. */
export interface AliasOptions {
  /** The version. */
  readonly version: string
  /** Shares of the invocations that go to other versions, 0 to 1 each. Source: Lambda `AdditionalVersionWeights`. */
  readonly weights?: Readonly<Record<string, number>>
}

/** What becomes of invocations of type `Event`. Source: Lambda `EventInvokeConfig`, `DeadLetterConfig`. */
export interface EventOptions {
  /** Attempts after the first that failed. Integer, 0 to 2. Default 2. */
  readonly retriesMax?: number
  /** Oldest event that is still tried, in milliseconds. Integer, 60_000 to 21_600_000 (6 h). Default 21_600_000. */
  readonly ageMaxMs?: number
  /** Waits before the first and the second retry, in milliseconds. Default 60_000 and 120_000, as in Lambda. */
  readonly retryWaitsMs?: readonly number[]
  /** ARN that hears of what succeeded: a function of this runtime, an SQS queue, an SNS topic, an event bus. */
  readonly onSuccess?: string
  /** ARN that hears of what failed for good: the same, or an S3 bucket. */
  readonly onFailure?: string
  /** ARN of an SQS queue or SNS topic that gets the events themselves that failed for good. */
  readonly deadLetterTarget?: string
}

/** One function of the runtime. */
export interface FunctionOptions extends VersionOptions {
  readonly handler: string
  /**
   * Most invocations at the same time; one more is refused with 429, and 0 refuses all. Integer, 0 to 1_000. Default
   * 10. Source: Lambda `ReservedConcurrentExecutions`.
   */
  readonly concurrency?: number
  /** Options of `builtin:distributor`; the function gets them as JSON in `COMPORTA_DISTRIBUTOR`. */
  readonly distributor?: DistributorRouting
  /** `thread`, or `process`: slower to start, but nothing it does can harm this process. Default `thread`. */
  readonly isolation?: Isolation
  /** `text`, or `json` as with Lambda's `LogFormat: JSON`. Default `text`. */
  readonly logFormat?: LogFormat
  /**
   * Lowest level that `console` writes. Default `TRACE` for text, `INFO` for json. Source: Lambda
   * `ApplicationLogLevel`.
   */
  readonly logLevel?: 'TRACE' | 'DEBUG' | 'INFO' | 'WARN' | 'ERROR' | 'FATAL'
  /** Numbered versions (`"1"`, `"2"`); without any, `$LATEST` is all there is. */
  readonly versions?: Readonly<Record<string, VersionOptions>>
  /** Aliases: a version, or a version and shares that go to others. */
  readonly aliases?: Readonly<Record<string, string | AliasOptions>>
  /** Retries and destinations of invocations of type `Event`. */
  readonly events?: EventOptions
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
  /** Most invocations of all functions at the same time. Integer, 1 to 100_000. Default 1_000. */
  readonly accountConcurrency?: number
  /** Whether changed files of a function give it new environments. Default false. */
  readonly watch?: boolean
  /** An environment unused this long is stopped, in milliseconds. Integer, at least 1. Default 300_000. */
  readonly idleTimeoutMs?: number
  /**
   * Longest time for a handler's module to load, in milliseconds. Integer, at least 1. Default 10_000. One that takes
   * longer, or fails, is loaded once more for the invocation, within its timeout.
   */
  readonly initTimeoutMs?: number
  /**
   * How long a synchronous invocation waits in line for a free environment before it is throttled, in milliseconds.
   * Integer, at least 0. Default 0, as in Lambda. A little more spares callers with short functions their backoff.
   */
  readonly throttleWaitMs?: number
  /** Most invocations of type `Event` that wait for a free environment or a retry, per function. Default 1_000. */
  readonly eventQueueMax?: number
  /** Most request bytes held at once by all connections; past it requests get 429. Default 256 MiB. */
  readonly requestBytesMax?: number
  /** Address of the AWS services of destinations. Default: `AWS_ENDPOINT_URL`, else AWS. */
  readonly destinationEndpoint?: string
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
  readonly meter?: Meter
}

/** The configured variables of a function. */
export function functionEnvironment(options: FunctionOptions): Record<string, string> {
  if (options.distributor === undefined) return { ...options.environment }
  return { ...options.environment, [DISTRIBUTOR_VARIABLE]: JSON.stringify(options.distributor) }
}
