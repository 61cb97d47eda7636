/** What errors of AWS mean, and where a client goes: tables from AWS's API references, and the SDK's own lists. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  type AwsErrorKind,
  awsClientOptions,
  awsErrorKind,
  awsOutcome,
  entryFailure
} from '../../../src/targets/aws/aws-client.ts'

/** An error as the SDK throws it. */
function sdkError(name: string, status: number, message = 'no'): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status } })
}

/**
 * Name, status and kind. The names are those under "Errors" of SendMessageBatch, PublishBatch, PutEvents, PutRecords
 * and StartExecution, and under "Common Error Types"; statuses as given there.
 */
const TABLE: readonly (readonly [name: string, status: number, kind: AwsErrorKind])[] = [
  // SQS SendMessageBatch
  ['BatchRequestTooLong', 400, 'content'],
  ['AWS.SimpleQueueService.BatchRequestTooLong', 400, 'content'],
  ['InvalidMessageContents', 400, 'content'],
  ['InvalidAddress', 400, 'refused'],
  ['InvalidSecurity', 400, 'refused'],
  ['KmsAccessDenied', 400, 'refused'],
  ['KmsDisabled', 400, 'refused'],
  ['KmsInvalidKeyUsage', 400, 'refused'],
  ['KmsInvalidState', 400, 'refused'],
  ['KmsNotFound', 400, 'refused'],
  ['KmsOptInRequired', 400, 'refused'],
  ['KmsThrottled', 400, 'throttled'],
  ['QueueDoesNotExist', 400, 'refused'],
  ['AWS.SimpleQueueService.NonExistentQueue', 400, 'refused'],
  ['RequestThrottled', 400, 'throttled'],
  ['UnsupportedOperation', 400, 'refused'],
  ['AWS.SimpleQueueService.UnsupportedOperation', 400, 'refused'],
  ['OverLimit', 400, 'throttled'],
  // SNS PublishBatch
  ['AuthorizationErrorException', 403, 'refused'],
  ['AuthorizationError', 403, 'refused'],
  ['BatchRequestTooLongException', 400, 'content'],
  ['EndpointDisabledException', 400, 'refused'],
  ['InternalErrorException', 500, 'outage'],
  ['InvalidSecurityException', 403, 'refused'],
  ['KMSAccessDeniedException', 400, 'refused'],
  ['KMSDisabledException', 400, 'refused'],
  ['KMSInvalidStateException', 400, 'refused'],
  ['KMSNotFoundException', 400, 'refused'],
  ['KMSOptInRequired', 403, 'refused'],
  ['KMSThrottlingException', 400, 'throttled'],
  ['NotFoundException', 404, 'refused'],
  ['PlatformApplicationDisabledException', 400, 'refused'],
  // EventBridge PutEvents
  ['InternalException', 500, 'outage'],
  // Kinesis PutRecords
  ['AccessDeniedException', 400, 'refused'],
  ['InternalFailureException', 500, 'outage'],
  ['ProvisionedThroughputExceededException', 400, 'throttled'],
  ['ResourceNotFoundException', 400, 'refused'],
  // Step Functions StartExecution
  ['ExecutionLimitExceeded', 400, 'throttled'],
  ['InvalidExecutionInput', 400, 'content'],
  ['StateMachineDoesNotExist', 400, 'refused'],
  ['StateMachineDeleting', 400, 'refused'],
  // Common error types
  ['AccessDenied', 403, 'refused'],
  ['ExpiredTokenException', 403, 'refused'],
  ['ExpiredToken', 400, 'refused'],
  ['IncompleteSignature', 403, 'refused'],
  ['InternalFailure', 500, 'outage'],
  ['InvalidClientTokenId', 403, 'refused'],
  ['MissingAuthenticationToken', 403, 'refused'],
  ['NotAuthorized', 401, 'refused'],
  ['OptInRequired', 403, 'refused'],
  ['RequestExpired', 400, 'refused'],
  ['RequestAbortedException', 400, 'unclear'],
  ['RequestEntityTooLargeException', 413, 'content'],
  ['RequestTimeoutException', 408, 'outage'],
  ['ServiceUnavailable', 503, 'outage'],
  ['ThrottlingException', 400, 'throttled'],
  ['UnrecognizedClientException', 403, 'refused'],
  ['UnknownOperationException', 404, 'refused'],
  ['ValidationError', 400, 'unclear'],
  ['ValidationException', 400, 'unclear'],
  ['InvalidArgumentException', 400, 'unclear'],
  ['InvalidParameterException', 400, 'unclear'],
  ['InvalidParameterValueException', 400, 'unclear'],
  // Not in any list: by status
  ['SomethingNew', 400, 'unclear'],
  ['SomethingNew', 403, 'refused'],
  ['SomethingNew', 404, 'refused'],
  ['SomethingNew', 413, 'content'],
  ['SomethingNew', 429, 'throttled'],
  ['SomethingNew', 502, 'outage']
]

test('each error of AWS has its meaning: only what a record can cause is held against a record', () => {
  for (const [name, status, kind] of TABLE) {
    const error = sdkError(name, status)
    assert.equal(awsErrorKind(error), kind, `${name} ${status}`)
    const outcome = awsOutcome(error, 0)
    assert.equal(outcome.kind, kind === 'content' ? 'rejected' : 'unavailable', name)
    assert.equal(outcome.kind === 'unavailable' && outcome.isSuspect === true, kind === 'unclear', name)
    assert.equal(outcome.reason, `${name}: no`)
  }
})

/** Source: `constants.ts` of @smithy/service-error-classification 4. */
const SDK_THROTTLING = [
  'BandwidthLimitExceeded',
  'EC2ThrottledException',
  'LimitExceededException',
  'PriorRequestNotComplete',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'SlowDown',
  'ThrottledException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
  'TransactionInProgressException'
]
const SDK_CLOCK_SKEW = [
  'AuthFailure',
  'InvalidSignatureException',
  'RequestExpired',
  'RequestInTheFuture',
  'RequestTimeTooSkewed',
  'SignatureDoesNotMatch'
]
const SDK_TRANSIENT = ['TimeoutError', 'RequestTimeout', 'RequestTimeoutException']

test('what the SDK itself takes for throttling, a passing error or a wrong clock is never content', () => {
  for (const name of SDK_THROTTLING) assert.equal(awsErrorKind(sdkError(name, 400)), 'throttled', name)
  for (const name of SDK_CLOCK_SKEW) assert.equal(awsErrorKind(sdkError(name, 400)), 'refused', name)
  for (const name of SDK_TRANSIENT) assert.equal(awsOutcome(sdkError(name, 503), 0).kind, 'unavailable', name)
})

test('an unclear error that speaks of size or characters is about the content', () => {
  const cases = [
    // SNS, Kinesis and SQS in their own words.
    ['InvalidParameterException', 'Invalid parameter: Message too long'],
    [
      'ValidationException',
      "1 validation error detected: Value at 'records.1.member.data' failed to satisfy constraint: Member must have " +
        'length less than or equal to 1048576'
    ],
    ['InvalidParameterValue', 'One or more parameters are invalid. Reason: Message must be shorter than 262144 bytes.']
  ] as const
  for (const [name, message] of cases) assert.equal(awsErrorKind(sdkError(name, 400, message)), 'content', name)

  const setup = sdkError('InvalidParameterException', 400, 'The MessageGroupId parameter is required for FIFO topics')
  assert.deepEqual(awsOutcome(setup, 0), {
    kind: 'unavailable',
    reason: 'InvalidParameterException: The MessageGroupId parameter is required for FIFO topics',
    isSuspect: true
  })
})

test('the wait that a service asks for is passed on, in seconds, as a date or in milliseconds', () => {
  const nowMs = Date.UTC(2026, 0, 1)
  const wait = (headers: Record<string, string>): unknown => {
    const error = Object.assign(sdkError('ThrottlingException', 429), { $response: { statusCode: 429, headers } })
    const outcome = awsOutcome(error, nowMs)
    return outcome.kind === 'unavailable' ? outcome.retryAfterMs : 'rejected'
  }
  assert.equal(wait({ 'retry-after': '7' }), 7000)
  assert.equal(wait({ 'Retry-After': 'Thu, 01 Jan 2026 00:00:03 GMT' }), 3000)
  assert.equal(wait({ 'x-amz-retry-after': '1500' }), 1500)
  assert.equal(wait({ 'retry-after': 'soon' }), undefined)
  assert.equal(wait({}), undefined)
})

test('no answer at all is unavailable, and suspect only when the service may have seen the records', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' })
  assert.deepEqual(awsOutcome(refused, 0), { kind: 'unavailable', reason: `Error: ${refused.message}` })
  const reset = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
  assert.deepEqual(awsOutcome(reset, 0), { kind: 'unavailable', reason: 'Error: socket hang up', isSuspect: true })
  const silent = Object.assign(new Error('exceeded the configured 5000 ms requestTimeout'), {
    name: 'TimeoutError',
    code: 'ETIMEDOUT'
  })
  assert.equal(outcomeIsSuspect(silent), true)
  const unreached = Object.assign(new Error('the request socket did not establish a connection with the server'), {
    name: 'TimeoutError'
  })
  assert.equal(outcomeIsSuspect(unreached), false)
  const noCredentials = Object.assign(new Error('Could not load credentials'), { name: 'CredentialsProviderError' })
  assert.equal(awsErrorKind(noCredentials), 'refused')
  assert.equal(awsErrorKind(new Error('Region is missing')), 'refused')
  for (const odd of [undefined, null, 'text', 7, {}, { $metadata: null }]) {
    assert.equal(awsOutcome(odd, 0).kind, 'unavailable')
  }
})

function outcomeIsSuspect(error: Error): boolean {
  const outcome = awsOutcome(error, 0)
  return outcome.kind === 'unavailable' && outcome.isSuspect === true
}

test('an entry is dead-lettered for what it holds, and tried again for what the service lacks', () => {
  // Code and SenderFault as SQS and SNS give them; Kinesis and EventBridge give no SenderFault.
  assert.deepEqual(entryFailure('InvalidMessageContents', true, "Invalid binary character '#x1'"), {
    action: 'deadLetter',
    reason: "InvalidMessageContents: Invalid binary character '#x1'"
  })
  assert.equal(entryFailure('InvalidParameterValue', true).action, 'deadLetter')
  assert.equal(entryFailure('SomethingNew', true).action, 'deadLetter')
  assert.equal(entryFailure('MalformedDetail', undefined).action, 'deadLetter')
  assert.equal(entryFailure('InvalidArgument', undefined).action, 'deadLetter')
  const again: readonly (readonly [string, boolean | undefined])[] = [
    ['InternalError', false],
    ['SomethingNew', false],
    ['RequestThrottled', true],
    // Rights are the sender's fault in AWS's eyes, and no record's.
    ['KmsAccessDenied', true],
    ['AccessDeniedException', undefined],
    ['NotAuthorizedForSourceException', undefined],
    ['InvalidAccountIdException', undefined],
    ['ProvisionedThroughputExceededException', undefined],
    ['ThrottlingException', undefined],
    ['InternalFailure', undefined]
  ]
  for (const [code, isSenderFault] of again) {
    assert.deepEqual(entryFailure(code, isSenderFault), { action: 'retry', reason: code, isUnavailable: true }, code)
  }
})

test('an endpoint of this machine needs neither region nor credentials', () => {
  const local = { accessKeyId: 'local', secretAccessKey: 'local' }
  for (const endpoint of ['http://127.0.0.1:5000', 'http://localhost:4566', 'http://[::1]:1', 'http://127.9.9.9']) {
    const settings = awsClientOptions({ endpoint })
    assert.deepEqual([settings.region, settings.credentials], ['us-east-1', local], endpoint)
  }
  const elsewhere = awsClientOptions({ endpoint: 'https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com' })
  assert.deepEqual([elsewhere.region, elsewhere.credentials], [undefined, undefined])
  assert.equal(awsClientOptions({ endpoint: 'http://127.0.0.1:1', region: 'sa-east-1' }).region, 'sa-east-1')
})

test('an endpoint in the environment counts as in the SDK, and credentials there are used', () => {
  const local = { accessKeyId: 'local', secretAccessKey: 'local' }
  const environment = { AWS_ENDPOINT_URL: 'http://127.0.0.1:5000' }
  assert.deepEqual(awsClientOptions({ environment }).credentials, local)
  assert.equal(awsClientOptions({ environment }).region, 'us-east-1')
  assert.equal(awsClientOptions({ environment }).endpoint, undefined)
  const own = { ...environment, AWS_ENDPOINT_URL_SQS: 'https://sqs.eu-west-1.amazonaws.com' }
  assert.equal(awsClientOptions({ environment: own, service: 'SQS' }).credentials, undefined)
  assert.deepEqual(awsClientOptions({ environment: own, service: 'SNS' }).credentials, local)
  const keys = { ...environment, AWS_ACCESS_KEY_ID: 'a', AWS_REGION: 'eu-west-1' }
  assert.equal(awsClientOptions({ environment: keys }).credentials, undefined)
  assert.equal(awsClientOptions({ environment: keys }).region, undefined)
  const ignored = { ...environment, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true' }
  assert.equal(awsClientOptions({ environment: ignored }).credentials, undefined)
})

test('the SDK neither retries nor waits for ever', () => {
  const { maxAttempts, requestHandler } = awsClientOptions({ timeoutMs: 1200, connectionsMax: 7 })
  assert.equal(maxAttempts, 1)
  assert.equal(requestHandler.requestTimeout, 1200)
  assert.equal(requestHandler.throwOnRequestTimeout, true)
  assert.equal(requestHandler.connectionTimeout, 1200)
  assert.equal(awsClientOptions({}).requestHandler.requestTimeout, 60_000)
  assert.equal(requestHandler.httpsAgent.maxSockets, 7)
})
