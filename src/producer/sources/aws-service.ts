/** What sources in AWS have in common: how a client is made, and what an error of a service means. */

import { briefMessageOf, PipelineError } from '../../core/index.ts'

/** Where a service of AWS is. */
export interface AwsServiceOptions {
  /** AWS region. Default: AWS's own chain; `us-east-1` with an endpoint of this machine. */
  readonly region?: string | undefined
  /** Address of the service. Default: AWS's, by region. */
  readonly endpoint?: string | undefined
}

/** The settings of an SDK client. Credentials come from AWS's default chain. */
export interface AwsClientConfig {
  readonly region?: string
  readonly endpoint?: string
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** Requests are repeated here, not by the SDK: it would hide throttling, and wait without end at a stop. */
  readonly maxAttempts: 1
}

/** Settings of a client. */
export function awsClientConfig({ region, endpoint }: AwsServiceOptions): AwsClientConfig {
  const isLocal = endpoint !== undefined && /^(127\.|localhost$|\[::1\]$)/.test(new URL(endpoint).hostname)
  const place = region ?? (isLocal ? 'us-east-1' : undefined)
  return {
    maxAttempts: 1,
    ...(place === undefined ? {} : { region: place }),
    ...(endpoint === undefined ? {} : { endpoint }),
    // An emulator on this machine checks no signature, and a laptop has no AWS credentials to look for.
    ...(isLocal ? { credentials: { accessKeyId: 'local', secretAccessKey: 'local' } } : {})
  }
}

/** Refusals that no waiting helps against. */
const REFUSALS: ReadonlySet<string> = new Set([
  'AccessDenied',
  'AccessDeniedException',
  'AuthFailure',
  'InvalidAddress',
  'InvalidClientTokenId',
  'InvalidParameterValue',
  'InvalidSecurity',
  'InvalidSignatureException',
  'KMSAccessDeniedException',
  'KMSDisabledException',
  'KMSNotFoundException',
  'KmsAccessDenied',
  'KmsDisabled',
  'KmsNotFound',
  'MissingAuthenticationToken',
  'OptInRequired',
  'QueueDoesNotExist',
  'AWS.SimpleQueueService.NonExistentQueue',
  'ResourceNotFoundException',
  'SignatureDoesNotMatch',
  'UnrecognizedClientException',
  'UnsupportedOperation',
  'ValidationException'
])

/** Errors of the machine's own set-up: final at the start, and a passing trouble once it has worked. */
const SETUP: ReadonlySet<string> = new Set([
  'CredentialsProviderError',
  'ExpiredToken',
  'ExpiredTokenException',
  'Error'
])

/** The name of an error of AWS, which is what tells them apart. */
export function awsErrorName(error: unknown): string {
  return error instanceof Error ? error.name : ''
}

/**
 * Whether a request that failed is worth repeating: throttling, a service or network in trouble.
 *
 * @param hasWorked - Whether a request of the same client was answered before.
 */
export function isAwsTrouble(error: unknown, hasWorked: boolean): boolean {
  const name = awsErrorName(error)
  if (REFUSALS.has(name)) return false
  if (!SETUP.has(name)) return true
  // A plain Error without a code is the SDK's own: no region, for example.
  return hasWorked || (name === 'Error' && error instanceof Error && 'code' in error)
}

/** The end of a source by a refusal. */
export function awsRefused(source: string, what: string, cause: unknown): PipelineError {
  const message = `${source}: ${what} was refused: ${awsErrorName(cause)}: ${briefMessageOf(cause)}`
  return new PipelineError('ERR_PRODUCER_SOURCE_FAILED', message, { cause })
}
