/**
 * One invocation inside a worker: the context object, the three ways in which a
 * handler may answer, and its answer as bytes.
 *
 * - A handler that returns a promise (or anything with `then`) answers with it.
 * - One that declares three parameters answers through the callback, once; the
 *   answer leaves at once (`callbackWaitsForEmptyEventLoop` is kept but has no
 *   effect).
 * - Any other return value is the answer itself, as in Lambda's nodejs24.x.
 */

import { type Clock } from '../../core/index.ts'
import type { HandlerFunction } from './handler-loader.ts'
import type { InvokeMessage, WorkerSetup } from './messages.ts'

/** The context object that handlers get. Source: Lambda developer guide, "Using the Lambda context object". */
export interface InvocationContext {
  readonly awsRequestId: string
  readonly functionName: string
  readonly functionVersion: string
  readonly invokedFunctionArn: string
  /** In MiB, as a text: that is what Lambda gives. */
  readonly memoryLimitInMB: string
  readonly logGroupName: string
  readonly logStreamName: string
  readonly clientContext: unknown
  readonly identity: undefined
  callbackWaitsForEmptyEventLoop: boolean
  /** Milliseconds until the invocation is ended. */
  getRemainingTimeInMillis(): number
}

/** Builds the context of one invocation. */
export function invocationContext(setup: WorkerSetup, message: InvokeMessage, clock: Clock): InvocationContext {
  const environment = setup.environment
  return {
    awsRequestId: message.requestId,
    functionName: setup.functionName,
    functionVersion: environment['AWS_LAMBDA_FUNCTION_VERSION'] ?? '$LATEST',
    invokedFunctionArn: message.invokedFunctionArn,
    memoryLimitInMB: String(setup.memoryMb),
    logGroupName: environment['AWS_LAMBDA_LOG_GROUP_NAME'] ?? '',
    logStreamName: environment['AWS_LAMBDA_LOG_STREAM_NAME'] ?? '',
    clientContext: message.clientContext === undefined ? undefined : JSON.parse(message.clientContext),
    identity: undefined,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => message.deadlineMs - clock.now()
  }
}

/** Calls the handler and waits for its answer, in whichever way it gives one. Rejects with what it threw. */
export function callHandler(handler: HandlerFunction, event: unknown, context: InvocationContext): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const callback = (error?: unknown, result?: unknown): void => {
      if (error === undefined || error === null) resolve(result)
      else reject(error)
    }
    let returned: unknown
    try {
      returned = handler(event, context, callback)
    } catch (error) {
      callback(error)
      return
    }
    // Lambda answers for a rejection without a reason, but takes a callback or a throw without one for success.
    if (isThenable(returned)) returned.then(resolve, (error: unknown) => reject(error ?? 'handled'))
    else if (handler.length < 3) resolve(returned)
  })
}

/** Whether a handler has returned a promise, of whatever kind. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** Reads an event. Throws if the bytes are not UTF-8 or not one JSON value. */
export function parseEvent(payload: ArrayBuffer): unknown {
  return payload.byteLength === 0 ? {} : JSON.parse(decoder.decode(payload))
}

/** A result as JSON bytes in a buffer of their own; nothing becomes `null`. */
export function encodeResult(result: unknown): Uint8Array {
  let text: string | undefined
  try {
    text = JSON.stringify(result)
  } catch {
    // Circular, a BigInt, or a toJSON that throws. Lambda says no more than this.
    throw new Error('Unable to stringify response body')
  }
  return encoder.encode(text ?? 'null')
}
