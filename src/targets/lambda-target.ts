/**
 * Lambda target: one synchronous invocation (`RequestResponse`) per batch, through AWS's own SDK.
 *
 * The SDK's retries are off: the dispatcher retries, with its own backoff and
 * breaker. The error of an invocation is told apart by two tables, one for what
 * the Lambda service answers and one for what the function died of.
 */

import { createRequire } from 'node:module'

import type { InvokeCommandOutput, LambdaClient } from '@aws-sdk/client-lambda'

import { type Clock, messageOf, systemClock } from '../core/index.ts'
import { type Logger, silentLogger, type SpanAttributes } from '../telemetry/index.ts'
import { networkOutcome, retryAfterMs } from './failures.ts'
import { functionErrorOutcome } from './function-error.ts'
import { clientContextOf, sendXrayHeader } from './lambda-trace.ts'
import { LoudLog } from './loud-log.ts'
import { readReplyText } from './reply.ts'
import { type Target, type TargetBatch, type TargetOutcome, TOO_LARGE } from './target.ts'

type AwsSdk = typeof import('@aws-sdk/client-lambda')

const require = createRequire(import.meta.url)

/** AWS's SDK, loaded by the first target that needs it: 8 MB that programs with another target do without. */
function awsSdk(): AwsSdk {
  // What the package is, its types say.
  return require('@aws-sdk/client-lambda') as AwsSdk
}

/** What a Lambda target is made from. */
export interface LambdaTargetOptions {
  /** Name or ARN of the function. */
  readonly functionName: string
  /** Version or alias. Default: none, which is `$LATEST`. */
  readonly qualifier?: string
  /** AWS region. Default: AWS's own chain; `us-east-1` with an endpoint of this machine. */
  readonly region?: string
  /** Address of the Invoke API. Default: AWS. */
  readonly endpoint?: string
  /** Longest wait for one invocation, in milliseconds. Default 60_000. */
  readonly timeoutMs?: number
  /** Most connections. Default 1000: more than the dispatcher's limit on invocations at once. */
  readonly connectionsMax?: number
  /** Whether traces go on in AWS's own header, too; X-Ray then takes our decision what to sample. Default false. */
  readonly isXrayPropagated?: boolean | undefined
  readonly clock?: Clock
  readonly logger?: Logger
}

/**
 * Largest payload, in bytes: AWS takes 6 MB of request, of which signing and headers are not
 * counted, but the service's own envelope is. Source: AWS Lambda quotas, "Invocation payload".
 */
const LAMBDA_BODY_BYTES_MAX = 6_000_000

/** Invokes a Lambda function. */
export class LambdaTarget implements Target {
  readonly name: string
  readonly spanAttributes: SpanAttributes
  readonly bodyBytesMax: number = LAMBDA_BODY_BYTES_MAX
  readonly timeoutMs: number
  readonly #client: LambdaClient
  readonly #sdk = awsSdk()
  readonly #functionName: string
  readonly #qualifier: string | undefined
  readonly #isXrayPropagated: boolean
  readonly #clock: Clock
  readonly #loud: LoudLog

  constructor(options: LambdaTargetOptions) {
    this.name = `lambda:${options.functionName}`
    this.spanAttributes = {
      'faas.invoked_name': options.functionName,
      'faas.invoked_provider': 'aws',
      'faas.invoked_region': options.region
    }
    this.timeoutMs = options.timeoutMs ?? 60_000
    this.#functionName = options.functionName
    this.#qualifier = options.qualifier
    this.#isXrayPropagated = options.isXrayPropagated ?? false
    this.#clock = options.clock ?? systemClock
    this.#loud = new LoudLog(options.logger ?? silentLogger, this.#clock)
    const agent = { maxSockets: options.connectionsMax ?? 1000, keepAlive: true }
    const isLocal = options.endpoint !== undefined && isLoopback(options.endpoint)
    this.#client = new this.#sdk.LambdaClient({
      maxAttempts: 1,
      requestHandler: { connectionTimeout: 10_000, httpAgent: agent, httpsAgent: agent },
      ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
      ...(options.region === undefined ? (isLocal ? { region: 'us-east-1' } : {}) : { region: options.region }),
      // A runtime on this machine checks no signature, and a laptop has no AWS credentials to look for.
      ...(isLocal ? { credentials: { accessKeyId: 'local', secretAccessKey: 'local' } } : {})
    })
  }

  async invoke(batch: TargetBatch, signal: AbortSignal): Promise<TargetOutcome> {
    const command = new this.#sdk.InvokeCommand({
      FunctionName: this.#functionName,
      InvocationType: 'RequestResponse',
      Payload: batch.body,
      ...(this.#qualifier === undefined ? {} : { Qualifier: this.#qualifier }),
      ...(batch.trace === undefined ? {} : { ClientContext: clientContextOf(batch.trace) })
    })
    if (batch.trace !== undefined && this.#isXrayPropagated) sendXrayHeader(command.middlewareStack, batch.trace)
    let output: InvokeCommandOutput
    try {
      output = await this.#client.send(command, { abortSignal: signal })
    } catch (error) {
      const outcome = serviceErrorOutcome(error, this.#clock.now())
      if (isConfigurationError(error)) {
        const text = `Lambda refuses to invoke ${this.#functionName}: ${nameOf(error)}: ${messageOf(error)}`
        this.#loud.error({ target: this.name }, text)
      }
      return outcome
    }
    const text = output.Payload === undefined ? '' : Buffer.from(output.Payload).toString('utf8')
    if (output.FunctionError === undefined) return readReplyText(text, batch)
    const outcome = functionErrorOutcome(text)
    if (outcome.kind === 'unavailable' && outcome.isSuspect !== true) {
      this.#loud.error({ target: this.name }, `the function ${this.#functionName} cannot start: ${outcome.reason}`)
    }
    return outcome
  }

  close(): Promise<void> {
    this.#client.destroy()
    return Promise.resolve()
  }
}

/** Errors of the service that the records cause. */
const REFUSED: ReadonlySet<string> = new Set(['InvalidRequestContentException', 'UnsupportedMediaTypeException'])
const REFUSED_TOO_LARGE: ReadonlySet<string> = new Set([
  'RequestTooLargeException',
  'SerializedRequestEntityTooLargeException'
])

/** What an error thrown by the SDK means. Throttles and outages wait; so does a wrong configuration, logged loudly. */
export function serviceErrorOutcome(error: unknown, nowMs: number): TargetOutcome {
  const statusCode = statusOf(error)
  if (statusCode === undefined) return networkOutcome(error)
  const name = nameOf(error)
  const reason = `${name}: ${messageOf(error)}`.slice(0, 1000)
  if (REFUSED_TOO_LARGE.has(name) || statusCode === 413) return { kind: 'rejected', reason, errorClass: TOO_LARGE }
  if (REFUSED.has(name)) return { kind: 'rejected', reason, errorClass: name }
  const wait = retryAfterMs(retryAfterOf(error), nowMs)
  const throttled = statusCode === 429 ? { isThrottled: true } : {}
  return { kind: 'unavailable', reason, ...throttled, ...(wait === undefined ? {} : { retryAfterMs: wait }) }
}

/** Whether only a change of configuration, code or rights can help. */
function isConfigurationError(error: unknown): boolean {
  const statusCode = statusOf(error)
  if (statusCode === undefined) return nameOf(error) === 'CredentialsProviderError'
  if (statusCode === 429 || statusCode === 413 || statusCode >= 500) return false
  return statusCode >= 400 && !REFUSED.has(nameOf(error))
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'Error'
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined
  const metadata = error.$metadata
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined
}

function retryAfterOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'retryAfterSeconds' in error
    ? error.retryAfterSeconds
    : undefined
}

function isLoopback(endpoint: string): boolean {
  const host = URL.parse(endpoint)?.hostname ?? ''
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}
