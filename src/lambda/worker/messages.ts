/**
 * What the runtime and the worker of one execution environment say to each
 * other. Events and results travel as bytes whose buffer changes owner (between
 * threads) or is copied once (between processes), so that neither is parsed on
 * the main thread.
 */

/** Given to a worker at its start: as `workerData` to a thread, as the first message to a process. */
export interface WorkerSetup {
  readonly handler: string
  readonly taskRoot: string
  readonly functionName: string
  readonly memoryMb: number
  readonly environment: Readonly<Record<string, string>>
  /** Injected waiting time before the handler is loaded, in milliseconds. */
  readonly initLatencyMs: number
  /** Whether the files that are loaded are reported, for hot reload. */
  readonly isWatched: boolean
}

/** One invocation. */
export interface InvokeMessage {
  readonly kind: 'invoke'
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
  /** What is done in the handler's place: a failure, or the end of the whole environment. */
  readonly injection: 'none' | 'failure' | 'crash'
}

/** Bytes of a streamed answer that have left: the function may write as many more. */
export interface CreditMessage {
  readonly kind: 'credit'
  readonly bytes: number
}

/** What a worker is told. */
export type RuntimeMessage = InvokeMessage | CreditMessage

/** What a worker says. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  /** A file of the function that was, or should have been, loaded. */
  | { readonly kind: 'loaded'; readonly file: string }
  | LogMessage
  /** A piece of a streamed answer. */
  | { readonly kind: 'chunk'; readonly requestId: string; readonly payload: Uint8Array }
  | {
      readonly kind: 'result'
      readonly requestId: string
      readonly payload: Uint8Array
      /** Heap and buffers of the environment, in bytes. */
      readonly memoryBytes: number
    }
  | FunctionErrorMessage
  /** The event was not JSON: the handler was not called. */
  | { readonly kind: 'invalidEvent'; readonly requestId: string; readonly detail: string }

/** Text the function wrote. */
export interface LogMessage {
  readonly kind: 'log'
  readonly text: string
  /** Level of a line that was written through `console`. */
  readonly level?: string
  /** Characters of Lambda's own at the start of the text: time, request id, level. */
  readonly prefixLength?: number
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
  /** Heap and buffers of the environment, in bytes. */
  readonly memoryBytes: number
}

const CHECKS: Readonly<Record<string, (message: Partial<Record<string, unknown>>) => boolean>> = {
  ready: () => true,
  loaded: ({ file }) => typeof file === 'string',
  log: ({ text, level, prefixLength }) =>
    typeof text === 'string' &&
    (level === undefined || typeof level === 'string') &&
    (prefixLength === undefined || Number.isSafeInteger(prefixLength)),
  chunk: ({ requestId, payload }) => typeof requestId === 'string' && payload instanceof Uint8Array,
  result: ({ requestId, payload, memoryBytes }) =>
    typeof requestId === 'string' && payload instanceof Uint8Array && Number.isFinite(memoryBytes),
  functionError: ({ errorType, payload, memoryBytes }) =>
    typeof errorType === 'string' && payload instanceof Uint8Array && Number.isFinite(memoryBytes),
  invalidEvent: ({ requestId, detail }) => typeof requestId === 'string' && typeof detail === 'string'
}

/**
 * Checks a message from a worker: `undefined` if it is none of ours. The function shares the worker's port and may
 * have written anything to it.
 */
export function readWorkerMessage(value: unknown): WorkerMessage | undefined {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return undefined
  const kind: unknown = value.kind
  const check = typeof kind === 'string' && Object.hasOwn(CHECKS, kind) ? CHECKS[kind] : undefined
  // Boundary: every member that is read was checked above.
  return check?.(value as Partial<Record<string, unknown>>) === true ? (value as WorkerMessage) : undefined
}
