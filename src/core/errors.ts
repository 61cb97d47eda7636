/**
 * The one error class of the package.
 *
 * An error is told apart by its `code`, never by its text or its class: two
 * copies of the package in one process (a bundle beside a dependency) still
 * recognise each other's errors, because the brand is a registered symbol.
 */

import type { ErrorCode } from './error-codes/index.ts'
import { isRetriableCode } from './retriable-codes.ts'

const brand: unique symbol = Symbol.for('comporta.error') as never

/** What can be said of an error besides its code and message. */
export interface PipelineErrorOptions {
  /** Whether the same call may succeed later. Default: what the code table says. */
  readonly retriable?: boolean
  /** Kafka's numeric error code, where the protocol gave one. */
  readonly kafkaCode?: number
  /** The error underneath. */
  readonly cause?: unknown
  /** Values that a program may want to read: offsets, names, limits. Never secrets or payloads. */
  readonly fields?: Readonly<Record<string, unknown>>
}

/** An error of the pipeline: a stable code, whether to retry, and what to do in its message. */
export class PipelineError extends Error {
  readonly [brand]: true = true
  /** Stable code, one of the closed union `ErrorCode`. */
  readonly code: ErrorCode
  /** Whether the same call may succeed later without a change. */
  readonly retriable: boolean
  /** Kafka's numeric error code, or `undefined`. */
  readonly kafkaCode: number | undefined
  /** Typed details of this occurrence. */
  readonly fields: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: PipelineErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'PipelineError'
    this.code = code
    this.retriable = options.retriable ?? isRetriableCode(code)
    this.kafkaCode = options.kafkaCode
    this.fields = options.fields ?? {}
  }

  /** Whether a value is a `PipelineError`, of any copy of the package, and of the given code if one is given. */
  static is(value: unknown, code?: ErrorCode): value is PipelineError {
    if (typeof value !== 'object' || value === null || !(brand in value)) return false
    return code === undefined || (value as PipelineError).code === code
  }
}

/** Whether an unknown error may be retried. Total: what is not ours is not retriable. */
export function isRetriable(error: unknown): boolean {
  return PipelineError.is(error) && error.retriable
}

/** The text of any thrown value, for logs and answers. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

const BRIEF_CHARACTERS_MAX = 300

/**
 * The first line of the text of a thrown value, at most 300 characters. For errors of services: AWS repeats a request
 * whose signature is wrong below the first line, the token of its session included.
 */
export function briefMessageOf(error: unknown): string {
  return (messageOf(error).trimStart().split('\n', 1)[0] ?? '').trimEnd().slice(0, BRIEF_CHARACTERS_MAX)
}

/**
 * Guards what cannot happen. Always on; the owner closes the component that
 * threw, never the process.
 */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new PipelineError('ERR_CORE_INVARIANT', `invariant violated: ${message}`)
}
