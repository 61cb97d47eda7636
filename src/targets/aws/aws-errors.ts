/**
 * What errors of AWS mean for records.
 *
 * One table for all services, by the name of the error. Names differ in their
 * dress from service to service (`Throttling`, `ThrottlingException`,
 * `AWS.SimpleQueueService.NonExistentQueue`), so they are compared without
 * prefix, `Exception` and case. What the table does not know is told by its
 * status.
 *
 * The line that matters runs between what a record can cause and what it
 * cannot. A missing queue, a revoked right or an expired credential waits: taken
 * for a refusal it would send a whole topic to the dead letters. Errors that can
 * be either (`ValidationException`) wait as well, but as suspects, so that a
 * record that fails alone while others pass is found.
 *
 * Source: "Common Errors" and "Errors" of each operation in the API references
 * of SQS, SNS, EventBridge, Kinesis, Step Functions, DynamoDB, S3 and Lambda;
 * the SDK's own lists of throttling, transient and clock skew errors.
 */

import { messageOf } from '../../core/index.ts'
import { networkOutcome, retryAfterMs } from '../failures.ts'
import type { SinkFailure, SinkOutcome } from '../sinks/record-sink.ts'

/**
 * What kind of error it is: `throttled` (too much at once), `outage` (the service is in trouble), `refused` (rights,
 * credentials, a resource that is not there: only a change of set-up helps), `content` (these records are refused),
 * `unclear` (set-up or content), `network` (no answer at all).
 */
export type AwsErrorKind = 'throttled' | 'outage' | 'refused' | 'content' | 'unclear' | 'network'

const THROTTLED = [
  'BandwidthLimitExceeded',
  'EC2Throttled',
  'ExecutionLimitExceeded',
  'KMSThrottling',
  'KmsThrottled',
  'LimitExceeded',
  'OverLimit',
  'PriorRequestNotComplete',
  'ProvisionedThroughputExceeded',
  'ReplicatedWriteConflict',
  'RequestLimitExceeded',
  'RequestThrottled',
  'SlowDown',
  'Throttled',
  'Throttling',
  'TooManyRequests',
  'TransactionInProgress'
] as const

const OUTAGE = [
  'Internal',
  'InternalError',
  'InternalFailure',
  'InternalServer',
  'InternalServerError',
  'Service',
  'ServiceUnavailable',
  'RequestTimeout',
  'Unavailable'
] as const

const REFUSED = [
  'AccessDenied',
  'AuthFailure',
  'AuthorizationError',
  'CredentialsProviderError',
  'DryRunOperation',
  'EndpointDisabled',
  'ExpiredToken',
  'IncompleteSignature',
  'InvalidAccessKeyId',
  'InvalidAccountId',
  'InvalidAddress',
  'InvalidClientTokenId',
  'InvalidSecurity',
  'InvalidSignature',
  'InvalidToken',
  'KMSAccessDenied',
  'KMSDisabled',
  'KmsInvalidKeyUsage',
  'KMSInvalidState',
  'KMSNotFound',
  'KMSOptInRequired',
  'MalformedQueryString',
  'MissingAction',
  'MissingAuthenticationToken',
  'NoSuchBucket',
  'NonExistentQueue',
  'NotAuthorized',
  'NotAuthorizedForDetailType',
  'NotAuthorizedForSource',
  'NotFound',
  'OperationDisabled',
  'OptInRequired',
  'PermanentRedirect',
  'PlatformApplicationDisabled',
  'QueueDeletedRecently',
  'QueueDoesNotExist',
  'RequestExpired',
  'RequestInTheFuture',
  'RequestTimeTooSkewed',
  'ResourceNotFound',
  'SignatureDoesNotMatch',
  'StateMachineDeleting',
  'StateMachineDoesNotExist',
  'TopicNotFound',
  'UnknownOperation',
  'UnrecognizedClient',
  'UnsupportedOperation'
] as const

const CONTENT = [
  'BatchRequestTooLong',
  'EntityTooLarge',
  'InvalidExecutionInput',
  'InvalidMessageContents',
  'InvalidRequestContent',
  'ItemCollectionSizeLimitExceeded',
  'MalformedDetail',
  'RequestEntityTooLarge',
  'RequestTooLarge',
  'SerializedRequestEntityTooLarge',
  'UnsupportedMediaType'
] as const

const UNCLEAR = [
  'InvalidArgument',
  'InvalidParameter',
  'InvalidParameterCombination',
  'InvalidParameterValue',
  'MissingParameter',
  'Validation',
  'ValidationError'
] as const

const KINDS: ReadonlyMap<string, AwsErrorKind> = new Map([
  ...THROTTLED.map(name => [bare(name), 'throttled'] as const),
  ...OUTAGE.map(name => [bare(name), 'outage'] as const),
  ...REFUSED.map(name => [bare(name), 'refused'] as const),
  ...CONTENT.map(name => [bare(name), 'content'] as const),
  ...UNCLEAR.map(name => [bare(name), 'unclear'] as const)
])

/** An unclear error whose message speaks of size or characters is about the content. */
const CONTENT_WORDS = /too (?:long|large|big)|size|length|bytes|exceed|invalid (?:binary )?character|message contents/i

/** The name of an error without service prefix, suffix and case. */
function bare(name: string): string {
  const plain = name.replace(/:.*$/s, '').replace(/^.*[.#]/s, '')
  return (plain.length > 9 ? plain.replace(/Exception$/, '') : plain).toLowerCase()
}

/**
 * What kind of error a name is.
 *
 * @param code - Name of the error, with or without prefix and `Exception`.
 * @param message - Its text, which tells content from set-up where the name does not.
 * @param status - HTTP status, for names that are not in the table.
 */
export function awsCodeKind(code: string, message = '', status?: number): AwsErrorKind {
  const known = KINDS.get(bare(code))
  if (known !== undefined) return known === 'unclear' && CONTENT_WORDS.test(message) ? 'content' : known
  if (status === undefined) return 'outage'
  if (status === 429) return 'throttled'
  if (status === 413) return 'content'
  if (status >= 500 || status < 400 || status === 408) return 'outage'
  // 400 is what nearly every error of AWS has; the others speak of rights and addresses.
  return status === 400 || status === 422 ? 'unclear' : 'refused'
}

/** What kind of error something thrown by the SDK is. Total: anything gets an answer. */
export function awsErrorKind(error: unknown): AwsErrorKind {
  const status = statusOf(error)
  const name = awsErrorName(error)
  if (status !== undefined) return awsCodeKind(name, messageOf(error), status)
  if (name === 'CredentialsProviderError' || isMissingRegion(error)) return 'refused'
  return 'network'
}

/** Name of an error, which is what tells AWS's apart. */
export function awsErrorName(error: unknown): string {
  return error instanceof Error ? error.name : 'Error'
}

/** Whether only a change of configuration or rights can help; worth a loud line in the log. */
export function isAwsSetupKind(kind: AwsErrorKind): boolean {
  return kind === 'refused' || kind === 'unclear'
}

/**
 * What an error thrown by the SDK means for the records of its request.
 *
 * @param nowMs - Epoch milliseconds, for a `Retry-After` that is a date.
 */
export function awsOutcome(error: unknown, nowMs: number): Extract<SinkOutcome, { kind: 'rejected' | 'unavailable' }> {
  const reason = `${awsErrorName(error)}: ${messageOf(error)}`.slice(0, 1000)
  const kind = awsErrorKind(error)
  switch (kind) {
    case 'content':
      return { kind: 'rejected', reason }
    case 'network': {
      const outcome = networkOutcome(error)
      const isReached = outcome.kind === 'unavailable' && outcome.isSuspect === true && !isConnectTimeout(error)
      return { kind: 'unavailable', reason, ...(isReached ? { isSuspect: true } : {}) }
    }
    case 'throttled':
    case 'outage':
    case 'refused':
    case 'unclear': {
      const wait = awsRetryAfterMs(error, nowMs)
      // A refusal or a throttle is not the records' doing; a 5xx of a service with others to serve hardly is.
      const suspect = kind === 'unclear' ? { isSuspect: true } : {}
      return { kind: 'unavailable', reason, ...suspect, ...(wait === undefined ? {} : { retryAfterMs: wait }) }
    }
  }
}

/**
 * What an error of one entry of a batch means for its record.
 *
 * @param code - The entry's error code.
 * @param isSenderFault - What the service says of it; `undefined` where it does not say.
 * @param message - The entry's error message.
 */
export function entryFailure(code: string, isSenderFault: boolean | undefined, message = ''): SinkFailure {
  const reason = (message === '' ? code : `${code}: ${message}`).slice(0, 1000)
  const kind = awsCodeKind(code, message, isSenderFault === true ? 400 : 500)
  if (kind === 'content') return { action: 'deadLetter', reason }
  // The others of the request passed, so the request as such is in order: this entry is not.
  if (kind === 'unclear' && isSenderFault !== false) return { action: 'deadLetter', reason }
  return { action: 'retry', reason, isUnavailable: true }
}

/** The wait that a service asks for, in milliseconds. */
function awsRetryAfterMs(error: unknown, nowMs: number): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  if ('retryAfterSeconds' in error) return retryAfterMs(String(error.retryAfterSeconds), nowMs)
  const response: unknown = '$response' in error ? error.$response : undefined
  if (typeof response !== 'object' || response === null || !('headers' in response)) return undefined
  const { headers } = response
  if (typeof headers !== 'object' || headers === null) return undefined
  for (const [name, value] of Object.entries(headers)) {
    if (name.toLowerCase() === 'x-amz-retry-after' && /^\d+$/.test(String(value))) return Number(value)
    if (name.toLowerCase() === 'retry-after') return retryAfterMs(value, nowMs)
  }
  return undefined
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined
  const metadata = error.$metadata
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined
}

/** The SDK's own, before anything is sent; it has neither name nor code. */
function isMissingRegion(error: unknown): boolean {
  return error instanceof Error && error.message === 'Region is missing'
}

/** The SDK's handler ends a connection attempt with an error that has no code. */
function isConnectTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError' && /establish a connection/.test(error.message)
}
