/**
 * Invokes the function of a mapping, `RequestResponse`, through AWS's own SDK: the embedded runtime, AWS's runtime
 * interface emulator, or Lambda itself, by the endpoint.
 *
 * The SDK's retries are off: the mapping retries. Whatever is not an answer of the function did not run it.
 */

import { createRequire } from 'node:module'

import type { InvokeCommandOutput, LambdaClient } from '@aws-sdk/client-lambda'

import { type Clock, messageOf } from '../../core/index.ts'
import type { ResponseContext } from './machine.ts'

/** Longest wait that a service may ask for: as long as the longest of our own. */
const RETRY_AFTER_MS_MAX = 60_000

type AwsSdk = typeof import('@aws-sdk/client-lambda')

const require = createRequire(import.meta.url)

/** What an invoker is made from. */
export interface InvokerOptions {
  readonly functionName: string
  /** Address of the Invoke API. Default: AWS. */
  readonly endpoint?: string | undefined
  /** AWS region. Default: AWS's own chain; `us-east-1` with an endpoint of this machine. */
  readonly region?: string | undefined
  /** Longest wait for an answer, in milliseconds. Default 910_000: Lambda's longest timeout, and some more. */
  readonly timeoutMs?: number | undefined
  readonly clock: Clock
}

/** What came of an invocation. */
export type Invoked =
  | { readonly kind: 'answered'; readonly text: string; readonly requestId: string; readonly response: ResponseContext }
  | { readonly kind: 'tooLarge'; readonly reason: string }
  | {
      readonly kind: 'notInvoked'
      readonly reason: string
      readonly isThrottled: boolean
      /** Only a change of configuration, code or rights can help. */
      readonly isSetup: boolean
      readonly retryAfterMs?: number
    }

/** Something that invokes a function. */
export interface Invoker {
  invoke(event: string, signal: AbortSignal): Promise<Invoked>
  close(): void
}

/** Makes an invoker. AWS's SDK is loaded here, not before. */
export function createInvoker(options: InvokerOptions): Invoker {
  // What the package is, its types say.
  const sdk = require('@aws-sdk/client-lambda') as AwsSdk
  const { endpoint, region, timeoutMs = 910_000, functionName, clock } = options
  const isLocal = endpoint !== undefined && isLoopback(endpoint)
  const agent = { maxSockets: 1000, keepAlive: true }
  const client: LambdaClient = new sdk.LambdaClient({
    maxAttempts: 1,
    requestHandler: { connectionTimeout: 10_000, httpAgent: agent, httpsAgent: agent },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? (isLocal ? { region: 'us-east-1' } : {}) : { region }),
    // A runtime on this machine checks no signature, and a laptop has no AWS credentials to look for.
    ...(isLocal ? { credentials: { accessKeyId: 'local', secretAccessKey: 'local' } } : {})
  })
  const send = async (event: string, signal: AbortSignal): Promise<Invoked> => {
    const command = new sdk.InvokeCommand({
      FunctionName: functionName,
      InvocationType: 'RequestResponse',
      Payload: event
    })
    const timeout = new AbortController()
    const abort = (): void => timeout.abort()
    signal.addEventListener('abort', abort, { once: true })
    const timer = clock.after(timeoutMs, abort)
    try {
      return answered(await client.send(command, { abortSignal: timeout.signal }))
    } catch (error) {
      if (timeout.signal.aborted && !signal.aborted) return notInvoked(`no answer within ${timeoutMs} ms`)
      return failureOf(error)
    } finally {
      timer.cancel()
      signal.removeEventListener('abort', abort)
    }
  }
  return { invoke: send, close: () => client.destroy() }
}

function answered(output: InvokeCommandOutput): Invoked {
  return {
    kind: 'answered',
    text: output.Payload === undefined ? '' : Buffer.from(output.Payload).toString('utf8'),
    requestId: output.$metadata.requestId ?? '',
    response: {
      statusCode: output.StatusCode ?? 200,
      executedVersion: output.ExecutedVersion ?? '$LATEST',
      functionError: output.FunctionError ?? null
    }
  }
}

function notInvoked(reason: string): Invoked {
  return { kind: 'notInvoked', reason, isThrottled: false, isSetup: false }
}

/** What an error of the SDK means. */
function failureOf(error: unknown): Invoked {
  const status = numberAt(error, '$metadata', 'httpStatusCode')
  const name = error instanceof Error ? error.name : 'Error'
  const reason = `${name}: ${messageOf(error)}`.slice(0, 500)
  if (status === 413 || name === 'RequestTooLargeException') return { kind: 'tooLarge', reason }
  if (status === undefined) return { ...notInvoked(reason), isSetup: name === 'CredentialsProviderError' } as Invoked
  const seconds = Number(fieldOf(error, 'retryAfterSeconds'))
  return {
    kind: 'notInvoked',
    reason,
    isThrottled: status === 429,
    isSetup: status >= 400 && status < 500 && status !== 429,
    ...(seconds > 0 ? { retryAfterMs: Math.min(seconds * 1000, RETRY_AFTER_MS_MAX) } : {})
  }
}

function numberAt(value: unknown, ...path: readonly string[]): number | undefined {
  const found = path.reduce(fieldOf, value)
  return typeof found === 'number' ? found : undefined
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}

function isLoopback(endpoint: string): boolean {
  const host = URL.parse(endpoint)?.hostname ?? ''
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}
