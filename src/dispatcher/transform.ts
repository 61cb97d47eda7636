/**
 * Transform: a user's function that sees each record before it is sent.
 *
 * It may change key, value and headers, or drop the record. What it makes is
 * only sent: dead letters and retries keep the record as it was, so that a
 * corrected function can be applied again.
 *
 * A function that throws has a bad record before it, which is put aside with the
 * error's name; with `retriable: true` on the error something behind the
 * function is not available, and the record waits for as long as it takes. The
 * same goes for what it returns and nobody can write (a circular object).
 */

import type { AppendHeader } from '../client/index.ts'
import { backoffMs, type Clock, messageOf, type Random, sleep } from '../core/index.ts'
import { isRetriableError, loadFunction } from '../targets/index.ts'
import type { Logger } from '../telemetry/index.ts'
import type { BatchContext, BatchTransform, TransformedBatch } from './lane-surroundings.ts'
import { RecordTable } from './record-table.ts'
import type { DeadRow } from './settlement.ts'

/** A record as a transform gets it. Its buffers are views: copy what is to be kept. */
export interface TransformInput {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  /** Milliseconds since 1970. */
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly AppendHeader[]
  /** The value parsed; `null` for a tombstone. @throws SyntaxError if it is not JSON. */
  json(): unknown
}

/** What a transform makes of a record; what is not named stays. */
export interface TransformOutput {
  /** Bytes or text; `null` = no key. */
  readonly key?: Uint8Array | string | null
  /** Bytes as they are; `null` = a tombstone; anything else is written as JSON. */
  readonly value?: unknown
  readonly headers?: readonly AppendHeader[]
}

/** A user's function. Nothing (`undefined`) = the record stays as it is; `null` = it is not sent. */
export type Transform = (
  record: TransformInput
) => TransformOutput | null | undefined | Promise<TransformOutput | null | undefined>

/** What a transform is run with. */
export interface ModuleTransformOptions {
  readonly transform: Transform
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Longest time for one record, in milliseconds; after that it is put aside. Default 30_000. */
  readonly timeoutMs?: number
  /** Most records of a batch that are worked on at once. Default 16. */
  readonly concurrency?: number
}

/** What became of one record. */
type Verdict = { readonly kind: 'made'; readonly output: TransformOutput | null | undefined } | DeadVerdict

interface DeadVerdict {
  readonly kind: 'dead'
  readonly errorClass: string
  readonly reason: string
  readonly attempts: number
}

/** One record under way. */
interface Job {
  readonly table: RecordTable
  readonly input: TransformInput
  readonly signal: AbortSignal
}

const BACKOFF = { initialMs: 100, maxMs: 10_000 }
const WARN_AFTER = 5

/** Applies a function to each record of a batch. */
export class ModuleTransform implements BatchTransform {
  readonly #options: ModuleTransformOptions
  #waitingCount = 0

  constructor(options: ModuleTransformOptions) {
    this.#options = options
  }

  /** `transform` while records wait because something behind the function is not available. */
  get blockedBy(): string | undefined {
    return this.#waitingCount > 0 ? 'transform' : undefined
  }

  async transform(
    batch: BatchContext,
    rows: readonly number[],
    signal: AbortSignal
  ): Promise<TransformedBatch | undefined> {
    const verdicts = new Map<number, Verdict>()
    const waiting = rows[Symbol.iterator]()
    const work = async (): Promise<void> => {
      for (const row of waiting) {
        if (signal.aborted) return
        const verdict = this.#apply({ table: batch.table, input: inputOf(batch, row), signal })
        // A function that is not async costs no turn of the event loop.
        verdicts.set(row, verdict instanceof Promise ? await verdict : verdict)
      }
    }
    const workers = Math.min(rows.length, this.#options.concurrency ?? 16)
    await Promise.all(Array.from({ length: workers }, work))
    return signal.aborted ? undefined : assemble(batch.table, verdicts)
  }

  #apply(job: Job): Verdict | Promise<Verdict> {
    try {
      const output = this.#options.transform(job.input)
      // Promises of other makes count as well: taken for an output, they would leave the record as it was.
      return isPromise(output) ? this.#settle(job, Promise.resolve(output)) : { kind: 'made', output }
    } catch (error) {
      return isRetriableError(error) ? this.#settle(job, Promise.reject(error)) : deadVerdict(error, 1)
    }
  }

  /** Waits for a promise, and tries again for as long as what is behind the function is not available. */
  async #settle(job: Job, first: Promise<TransformOutput | null | undefined>): Promise<Verdict> {
    let promise = first
    for (let attempts = 1; ; attempts += 1) {
      try {
        return { kind: 'made', output: await this.#inTime(promise) }
      } catch (error) {
        // It may still be at work, and look at the record when the batch is long gone.
        if (error instanceof TransformTimeout) job.table.abandon()
        if (!isRetriableError(error)) return deadVerdict(error, attempts)
        const waitMs = backoffMs(BACKOFF, attempts, this.#options.random)
        const { topic, partition, offset } = job.input
        const fields = { topic, partition, offset: offset.toString(), attempts, waitMs }
        const message = `the transform cannot work now, its partition waits: ${messageOf(error)}`
        if (attempts >= WARN_AFTER) this.#options.logger.warn(fields, message)
        else this.#options.logger.debug(fields, message)
        this.#waitingCount += 1
        const hasWaited = await sleep(this.#options.clock, waitMs, job.signal)
        this.#waitingCount -= 1
        if (!hasWaited) return deadVerdict(error, attempts)
      }
      promise = Promise.resolve().then(() => this.#options.transform(job.input))
    }
  }

  async #inTime<T>(promise: Promise<T>): Promise<T> {
    const { clock, timeoutMs = 30_000 } = this.#options
    let timer: ReturnType<Clock['after']> | undefined
    const late = new Promise<never>((_resolve, reject) => {
      const message = `the transform did not answer within ${timeoutMs} ms`
      timer = clock.after(timeoutMs, () => reject(new TransformTimeout(message)))
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      timer?.cancel()
    }
  }
}

class TransformTimeout extends Error {
  override readonly name = 'TransformTimeout'
}

function isPromise<T>(output: T | Promise<T>): output is Promise<T> {
  return typeof output === 'object' && output !== null && 'then' in output && typeof output.then === 'function'
}

function deadVerdict(error: unknown, attempts: number): DeadVerdict {
  const errorClass = error instanceof Error ? error.name : 'Error'
  return { kind: 'dead', errorClass, reason: `transform: ${messageOf(error)}`, attempts }
}

function inputOf({ topic, partition, table }: BatchContext, row: number): TransformInput {
  const value = table.value(row)
  return {
    topic,
    partition,
    offset: table.offset(row),
    timestampMs: table.timestampMs(row),
    key: table.key(row),
    value,
    headers: table.headers(row),
    json: () => (value === null ? null : (JSON.parse(value.toString('utf8')) as unknown))
  }
}

/** A table with the rows of the batch, in which the transformed ones lie elsewhere. */
function assemble(source: RecordTable, verdicts: ReadonlyMap<number, Verdict>): TransformedBatch {
  const table = new RecordTable(source.count)
  const dropped: number[] = []
  const dead: DeadRow[] = []
  table.reset(source.baseOffset)
  for (let row = 0; row < source.count; row += 1) {
    const verdict = verdicts.get(row)
    table.addRowOf(source, row)
    if (verdict === undefined) continue
    if (verdict.kind === 'dead') dead.push({ ...verdict, row })
    else if (verdict.output === null) dropped.push(row)
    else if (verdict.output !== undefined) {
      try {
        replaceRow(table, row, verdict.output)
      } catch (error) {
        // One record whose output cannot be written (circular, a BigInt) must not end the dispatcher.
        dead.push({ ...deadVerdict(error, 1), row })
      }
    }
  }
  return { table, dropped, dead }
}

function replaceRow(table: RecordTable, row: number, output: TransformOutput): void {
  table.replaceLast({
    key: output.key === undefined ? table.key(row) : bytesOf(output.key),
    value: output.value === undefined ? table.value(row) : valueBytes(output.value),
    headers: output.headers ?? table.headers(row)
  })
}

function bytesOf(value: Uint8Array | string | null): Buffer | null {
  return value === null ? null : Buffer.from(value as string)
}

function valueBytes(value: unknown): Buffer | null {
  if (value === null) return null
  if (value instanceof Uint8Array) return Buffer.from(value)
  return Buffer.from(JSON.stringify(value), 'utf8')
}

/**
 * Imports the `transform` export of a file.
 *
 * @param file - Path of the module, relative ones from `baseDir`.
 * @throws PipelineError `ERR_DISPATCHER_TRANSFORM_INVALID` if it cannot be imported or has no such function.
 */
export async function loadTransform(file: string, baseDir: string): Promise<Transform> {
  const code = 'ERR_DISPATCHER_TRANSFORM_INVALID'
  return await loadFunction({ file, baseDir, name: 'transform', what: 'transform file', code })
}
