/**
 * Errors as Lambda's Node.js runtime words them: `errorType` is the error's
 * name, `trace` the lines of its stack; in the log, all enumerable members and
 * those of the errors nested in them. Source: AWS's Lambda Node.js runtime
 * interface client 3.3 (`Errors.js`), told apart case by case.
 */

import { types } from 'node:util'

/** Body of an answer with `X-Amz-Function-Error`. */
export interface ErrorPayload {
  readonly errorType: string
  readonly errorMessage: string
  readonly trace?: readonly string[]
}

/** An error of the runtime around the handler, told by its name as Lambda does. */
export class RuntimeFailure extends Error {
  constructor(name: string, message: string, stack?: string) {
    super(message)
    this.name = `Runtime.${name}`
    // Not enumerable, as a name on the prototype would be: the log prints enumerable members.
    Object.defineProperty(this, 'name', { enumerable: false })
    if (stack !== undefined) this.stack = stack
  }
}

/** A rejection that nobody handled. The log of Lambda prints what was rejected, and with what, beside the message. */
export class UnhandledRejection extends RuntimeFailure {
  readonly reason: unknown
  readonly promise: unknown

  constructor(reason: unknown, promise: unknown) {
    super('UnhandledPromiseRejection', String(reason))
    this.reason = reason
    this.promise = promise
  }
}

/** Describes any thrown value. Never throws, whatever its getters do. */
export function errorPayload(error: unknown): ErrorPayload {
  try {
    if (types.isNativeError(error) || isErrorLike(error)) {
      return {
        errorType: escaped(error.name),
        errorMessage: escaped(error.message),
        // Boundary: an error whose stack is no text is answered below, as by Lambda.
        trace: escaped(error.stack as string).split('\n')
      }
    }
    // Boundary: null and undefined have no toString and are answered below, as by Lambda.
    return { errorType: typeof error, errorMessage: (error as symbol).toString(), trace: [] }
  } catch {
    // A getter or toString of the thrown value threw in turn. The words are Lambda's.
    const errorMessage =
      'callback called with Error argument, but there was a problem while retrieving one or more of its message, ' +
      'name, and stack'
    return { errorType: 'handled', errorMessage }
  }
}

function escaped(text: string): string {
  return text.replaceAll('\u007f', '%7F')
}

function isErrorLike(value: unknown): value is Error {
  if (typeof value !== 'object' || value === null) return false
  const { name, message, stack } = value as Partial<Record<string, unknown>>
  return [name, message, stack].every(each => typeof each === 'string' && each !== '')
}

/** What a value that was thrown becomes before it is logged: an error stays as it is. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(textOf(error))
}

function textOf(value: unknown): string {
  try {
    return String(value)
  } catch {
    return 'a value that cannot be written as text'
  }
}

/** An error as the text log prints it: all enumerable members, and those of the errors nested in them. */
export function formattedError(error: Error): string {
  try {
    return `\t${JSON.stringify(error, (_key, value: unknown) => withEnumerableProperties(value))}`
  } catch {
    return `\t${JSON.stringify(errorPayload(error))}`
  }
}

function withEnumerableProperties(value: unknown): unknown {
  if (!(value instanceof Error)) return value
  const code: unknown = 'code' in value ? value.code : undefined
  const stack = typeof value.stack === 'string' ? { stack: value.stack.split('\n') } : {}
  return Object.assign({ errorType: value.name, errorMessage: value.message, code }, value, stack)
}
