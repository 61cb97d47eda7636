/**
 * What a store of claims must be able to do: keep a few items, and change one only if nobody else has.
 *
 * There are two kinds of items. A *document* is a text under a key with the version of its last change: the state of a
 * block of offsets, or what became of a claim on business ids. A *pointer* says which claim a business id belongs to.
 * All rules are in the callers; a store compares and writes, and answers what it has when the comparison fails.
 *
 * A store rejects with PipelineError `ERR_LAMBDA_IDEMPOTENCY_STORE` when it does not answer in time, is throttled, or
 * is not there. A write that failed so may have been done all the same: versions and owners tell, they are never used
 * twice.
 */

import { PipelineError } from '../../core/index.ts'

/** A text and the version of its last change. */
export interface Document {
  readonly version: string
  readonly text: string
}

/** A change of a document. */
export interface Swap {
  readonly key: string
  /** The version that is to be replaced; `undefined` if there must be no document yet. */
  readonly expected: string | undefined
  readonly version: string
  readonly text: string
  /** When the store may forget it, in epoch milliseconds. */
  readonly expiresMs: number
}

/** What became of a change: done, or another was first and this is what is there now. */
export type SwapResult = { readonly kind: 'ok' } | { readonly kind: 'conflict'; readonly current: Document | undefined }

/** Says which claim a business id belongs to. */
export interface Pointer {
  /** The claim. */
  readonly owner: string
  /** Position of the id in the claim. */
  readonly index: number
  /** When the lease was taken and when it ends, by the claimer's clock, in epoch milliseconds. */
  readonly atMs: number
  readonly untilMs: number
  /** From then on it counts as absent, in epoch milliseconds. */
  readonly expiresMs: number
  /** Targets that had the id before it was taken over: they outlive a claimer that dies. Missing for almost all. */
  readonly targets?: readonly string[]
}

/** A pointer to be written: where there is none, or an expired one, or that of `replaces`. */
export interface PointerWrite {
  readonly key: string
  readonly pointer: Pointer
  readonly replaces: string | undefined
}

/** What a store may take of time. */
export interface StoreLimits {
  /** When now is for what expires, in epoch milliseconds. */
  readonly nowMs: number
  /** Longest wait for one request, in milliseconds. */
  readonly timeoutMs: number
}

/** Keeps claims. */
export interface ClaimStore {
  read(key: string, limits: StoreLimits): Promise<Document | undefined>
  swap(swap: Swap, limits: StoreLimits): Promise<SwapResult>
  /** Writes pointers. Answers one entry per pointer: `undefined` if it was written, otherwise what is there. */
  point(writes: readonly PointerWrite[], limits: StoreLimits): Promise<(Pointer | undefined)[]>
  close(): Promise<void>
}

/** Why a store did not do what it was asked for. */
export type StoreTrouble =
  'throttled' | 'unavailable' | 'missing' | 'denied' | 'wrongSchema' | 'contended' | 'unreadable'

/** The error of a store. Retriable at once where waiting a moment may help. */
export function storeError(trouble: StoreTrouble, message: string, cause?: unknown): PipelineError {
  const isPassing = trouble === 'throttled' || trouble === 'unavailable'
  return new PipelineError('ERR_LAMBDA_IDEMPOTENCY_STORE', `idempotency store: ${message}`, {
    retriable: isPassing,
    cause,
    fields: { trouble }
  })
}
