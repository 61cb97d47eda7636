/**
 * Module target: a function in this process, imported from a file.
 *
 * It is called with the parsed payload and a context, and returns (or resolves
 * to) a reply as in `reply.ts`. A thrown error is a refusal of the batch, unless
 * it has `retriable: true`: then the function says "not now", and `retryAfterMs`
 * on it is honoured. The function should give up when the context's signal
 * aborts: nothing can stop it from outside.
 */

import { thrownOutcome } from './failures.ts'
import { loadFunction } from './load-function.ts'
import { readReply } from './reply.ts'
import type { Target, TargetBatch, TargetOutcome } from './target.ts'

/** What a handler is told besides the payload. */
export interface ModuleContext {
  readonly topic: string
  readonly partition: number
  readonly recordCount: number
  /** 1 for the first try of these records. */
  readonly attempt: number
  /** The same for the same records on every try. */
  readonly idempotencyKey: string
  /** Aborts when the answer is no longer waited for. */
  readonly signal: AbortSignal
}

/** A function that takes batches. */
export type ModuleHandler = (payload: unknown, context: ModuleContext) => unknown

/** What a module target is made from. */
export interface ModuleTargetOptions {
  /** Name in logs and metrics. */
  readonly name: string
  readonly handler: ModuleHandler
  /** Longest wait for the function, in milliseconds. Default 30_000. */
  readonly timeoutMs?: number
}

/** Calls a function with each batch. */
export class ModuleTarget implements Target {
  readonly name: string
  readonly bodyBytesMax = 104_857_600
  readonly timeoutMs: number
  readonly #handler: ModuleHandler

  constructor(options: ModuleTargetOptions) {
    this.name = options.name
    this.timeoutMs = options.timeoutMs ?? 30_000
    this.#handler = options.handler
  }

  async invoke(batch: TargetBatch, signal: AbortSignal): Promise<TargetOutcome> {
    const { topic, partition, recordCount, attempt, idempotencyKey } = batch
    try {
      const payload: unknown = JSON.parse(batch.body.toString('utf8'))
      const context = { topic, partition, recordCount, attempt, idempotencyKey, signal }
      return readReply(await this.#handler(payload, context), batch)
    } catch (error) {
      return thrownOutcome(error)
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/**
 * Imports the `handler` export of a file.
 *
 * @param file - Path of the module, relative ones from `baseDir`.
 * @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot be imported or has no such function.
 */
export async function loadHandler(file: string, baseDir: string): Promise<ModuleHandler> {
  const code = 'ERR_DISPATCHER_TARGET_INVALID'
  return await loadFunction({ file, baseDir, name: 'handler', what: 'target file', code })
}
