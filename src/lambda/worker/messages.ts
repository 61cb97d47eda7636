/**
 * What the runtime and the worker of one execution environment say to each
 * other. Events and results travel as bytes whose buffer changes owner, so that
 * neither is copied or parsed on the main thread.
 */

/** Given to a worker at its start. */
export interface WorkerSetup {
  readonly handler: string
  readonly taskRoot: string
  readonly functionName: string
  readonly memoryMb: number
  readonly environment: Readonly<Record<string, string>>
}

/** One invocation. */
export interface InvokeMessage {
  readonly requestId: string
  /** The event as sent; empty counts as `{}`. */
  readonly payload: ArrayBuffer
  /** When the invocation is ended, in epoch milliseconds. */
  readonly deadlineMs: number
  readonly invokedFunctionArn: string
  /** Client context as JSON text. */
  readonly clientContext: string | undefined
  /** Injected waiting time before the handler runs. */
  readonly extraLatencyMs: number
  /** Whether the handler is not run and a failure injected in its place. */
  readonly isFailureInjected: boolean
}

/** What a worker says. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  /** Text the function wrote to standard output or standard error. */
  | { readonly kind: 'log'; readonly text: string }
  | { readonly kind: 'result'; readonly requestId: string; readonly payload: Uint8Array }
  | FunctionErrorMessage
  /** The event was not JSON: the handler was not called. */
  | { readonly kind: 'invalidEvent'; readonly requestId: string; readonly detail: string }

/**
 * Checks a message from a worker: `undefined` if it is none of ours. The function shares the worker's port and may
 * have written anything to it.
 */
export function readWorkerMessage(value: unknown): WorkerMessage | undefined {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return undefined
  const { kind, text, payload, requestId, errorType, detail } = value as Partial<Record<string, unknown>>
  const isWhole =
    kind === 'ready' ||
    (kind === 'log' && typeof text === 'string') ||
    (kind === 'invalidEvent' && typeof requestId === 'string' && typeof detail === 'string') ||
    (kind === 'result' && typeof requestId === 'string' && payload instanceof Uint8Array) ||
    (kind === 'functionError' && typeof errorType === 'string' && payload instanceof Uint8Array)
  // Boundary: every member that is read was checked above.
  return isWhole ? (value as WorkerMessage) : undefined
}

/** The handler, or its loading, failed. */
export interface FunctionErrorMessage {
  readonly kind: 'functionError'
  /** The invocation, or `undefined` when the handler could not be loaded. */
  readonly requestId: string | undefined
  /** Whether the worker ends after this. */
  readonly isFatal: boolean
  readonly errorType: string
  /** `{"errorType","errorMessage","trace"}` as JSON. */
  readonly payload: Uint8Array
}
