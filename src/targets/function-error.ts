/** What it means when a Lambda function fails: by its own exception, or because its environment ended. */

import { INVALID_REPLY, type TargetOutcome } from './target.ts'

/** Error types with which Lambda reports that the function died: the records may be the cause, or the load. */
const DIED: ReadonlySet<string> = new Set([
  'Sandbox.Timedout',
  'Sandbox.Failure',
  'Runtime.ExitError',
  'Runtime.OutOfMemory',
  'Runtime.Timeout',
  'Runtime.TruncatedResponse',
  'Runtime.Unknown'
])

/** Error types of a function that cannot even start: its deployment is wrong, no record is. */
const NOT_STARTED: ReadonlySet<string> = new Set([
  'Runtime.ImportModuleError',
  'Runtime.HandlerNotFound',
  'Runtime.MalformedHandlerName',
  'Runtime.UserCodeSyntaxError',
  'Runtime.InvalidEntrypoint',
  'Runtime.InvalidWorkingDir',
  'Runtime.InvalidTaskConfig',
  'Runtime.NodeJsSignatureError',
  'Extension.LaunchError',
  'Extension.Crash',
  'Extension.InitError'
])

/** How Node says that a module is not there. Lambda passes it on as `Error` where an ES module asks for another one. */
const MODULE_MISSING = /^Cannot find (?:module|package) '/

/** What a function error (`X-Amz-Function-Error`) with this payload means. */
export function functionErrorOutcome(payload: string): TargetOutcome {
  const { errorType, errorMessage } = parseFunctionError(payload)
  const reason = `${errorType}: ${errorMessage}`.slice(0, 1000)
  if (DIED.has(errorType) || /Task timed out after [\d.]+ seconds/.test(errorMessage)) {
    return { kind: 'unavailable', reason, isSuspect: true }
  }
  if (NOT_STARTED.has(errorType)) return { kind: 'unavailable', reason }
  // Most likely the deployment; it may also be a record that takes a way through the code that others do not take.
  if (MODULE_MISSING.test(errorMessage)) return { kind: 'unavailable', reason, isSuspect: true }
  if (errorType === 'Function.ResponseSizeTooLarge') return { kind: 'rejected', reason, errorClass: INVALID_REPLY }
  return { kind: 'rejected', reason, errorClass: errorType }
}

function parseFunctionError(payload: string): { errorType: string; errorMessage: string } {
  try {
    const parsed: unknown = JSON.parse(payload)
    if (typeof parsed === 'object' && parsed !== null) {
      const type: unknown = 'errorType' in parsed ? parsed.errorType : undefined
      const message: unknown = 'errorMessage' in parsed ? parsed.errorMessage : undefined
      return {
        errorType: typeof type === 'string' && type !== '' ? type : 'Unhandled',
        errorMessage: typeof message === 'string' ? message : 'no message'
      }
    }
  } catch {
    // Not JSON: the runtime died before it could write; the text itself is all there is.
  }
  return { errorType: 'Unhandled', errorMessage: payload.slice(0, 1000) || 'no message' }
}
