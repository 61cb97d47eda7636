/**
 * Errors of the Invoke API itself, as Lambda words them: the ones where the
 * function did not run. Errors of the function are answers with status 200 and
 * `X-Amz-Function-Error`.
 *
 * Source: Lambda API reference, `Invoke`, Errors; messages as the service sends them.
 */

/** Most bytes of a synchronous request. Source: Lambda quotas, 6 MB. */
export const REQUEST_BYTES_MAX = 6_291_456
/** Most bytes of a request of type `Event`. Source: Lambda quotas, 1 MB. */
export const EVENT_BYTES_MAX = 1_048_576
/** Most bytes of a synchronous answer. Source: the message of `Function.ResponseSizeTooLarge`. */
export const RESPONSE_BYTES_MAX = 6_291_556

/** An error answer of the API. */
export interface ApiError {
  readonly status: number
  /** Value of `x-amzn-ErrorType`. */
  readonly type: string
  readonly body: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
}

function userError(status: number, type: string, message: string): ApiError {
  // Both spellings: SDKs look for either, and Lambda itself uses both.
  return { status, type, body: { Type: 'User', Message: message, message } }
}

/** 404: no such function, or no such version of it. */
export function resourceNotFound(arn: string): ApiError {
  return userError(404, 'ResourceNotFoundException', `Function not found: ${arn}`)
}

/** 404: the function has no such alias. */
export function aliasNotFound(arn: string): ApiError {
  return userError(404, 'ResourceNotFoundException', `Cannot find alias arn: ${arn}`)
}

/** 404: nothing was set for events of this function. */
export function eventConfigNotFound(arn: string): ApiError {
  const message = `The function ${arn} doesn't have an EventInvokeConfig`
  return userError(404, 'ResourceNotFoundException', message)
}

/** 400: the name says one version and the parameter another. */
export function qualifierMismatch(): ApiError {
  const message = 'The derived qualifier from the function name does not match the specified qualifier.'
  return userError(400, 'InvalidParameterValueException', message)
}

/** 404: no operation at this path. */
export function unknownOperation(): ApiError {
  return userError(404, 'UnknownOperationException', 'There is no such operation')
}

/** 400: the name of the function is not one. */
export function invalidFunctionName(): ApiError {
  const message =
    "1 validation error detected: Value at 'functionName' failed to satisfy constraint: " +
    'Member must be a function name, name:qualifier or ARN'
  return userError(400, 'ValidationException', message)
}

/** 400: a parameter has a value that the API does not know. */
export function invalidParameter(message: string): ApiError {
  return userError(400, 'InvalidParameterValueException', message)
}

/** 400: the event is not JSON. */
export function invalidRequestContent(detail: string): ApiError {
  return userError(400, 'InvalidRequestContentException', `Could not parse request body into json: ${detail}`)
}

/** 400: the client context is not JSON in Base64. */
export function invalidClientContext(): ApiError {
  const message = 'Client context must be a valid Base64-encoded JSON object.'
  return userError(400, 'InvalidRequestContentException', message)
}

/** 413: the event is too large for this kind of invocation. */
export function requestTooLarge(bytesMax: number): ApiError {
  const message = `Request must be smaller than ${bytesMax} bytes for the InvokeFunction operation`
  return userError(413, 'RequestTooLargeException', message)
}

/** Why a request was throttled. Source: Lambda API reference, `ThrottleReason`. */
export type ThrottleReason =
  | 'ConcurrentInvocationLimitExceeded'
  | 'ReservedFunctionConcurrentInvocationLimitExceeded'
  | 'FunctionInvocationRateLimitExceeded'
  | 'CallerRateLimitExceeded'

/** 429: all environments are busy, or a queue is full. */
export function tooManyRequests(reason: ThrottleReason): ApiError {
  return {
    status: 429,
    type: 'TooManyRequestsException',
    body: {
      Type: 'User',
      Reason: reason,
      Message: 'Rate Exceeded.',
      message: 'Rate Exceeded.',
      retryAfterSeconds: '1'
    },
    // The SDKs read retryAfterSeconds from here; a whole second is the smallest value it can hold.
    headers: { 'Retry-After': '1' }
  }
}

/** 403: the request was sent by a page in a browser. */
export function browserRefused(): ApiError {
  const message = 'Requests from web pages are refused: any page could run functions on this machine'
  return userError(403, 'AccessDeniedException', message)
}

/** 500: the runtime itself failed, or is stopping. */
export function serviceFailure(message: string): ApiError {
  return { status: 500, type: 'ServiceException', body: { Type: 'Service', Message: message, message } }
}
