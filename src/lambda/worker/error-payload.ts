/**
 * Errors as Lambda's Node.js runtime words them: `errorType` is the error's
 * name, `trace` the lines of its stack. Source: AWS Lambda Node.js runtime
 * interface client.
 */

/** Body of an answer with `X-Amz-Function-Error`. */
export interface ErrorPayload {
  readonly errorType: string
  readonly errorMessage: string
  readonly trace: readonly string[]
}

/** An error of the runtime around the handler, told by its name as Lambda does. */
export class RuntimeFailure extends Error {
  constructor(name: string, message: string, stack?: string) {
    super(message)
    this.name = `Runtime.${name}`
    if (stack !== undefined) this.stack = stack
  }
}

/** Describes any thrown value. Never throws, whatever its getters do. */
export function errorPayload(error: unknown): ErrorPayload {
  try {
    if (error instanceof Error || isErrorLike(error)) {
      const stack = typeof error.stack === 'string' ? error.stack : ''
      return { errorType: String(error.name), errorMessage: String(error.message), trace: stack.split('\n') }
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] }
  } catch {
    // A getter or toString of the thrown value threw in turn. The words are Lambda's.
    const errorMessage =
      'callback called with Error argument, but there was a problem while retrieving one or more of its message, ' +
      'name, and stack'
    return { errorType: 'handled', errorMessage, trace: [] }
  }
}

function isErrorLike(value: unknown): value is Error {
  if (typeof value !== 'object' || value === null) return false
  return 'name' in value && 'message' in value && typeof value.name === 'string' && typeof value.message === 'string'
}
