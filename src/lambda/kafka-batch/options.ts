/** Options of `kafkaBatch`: what may be set, the defaults, and the check that names every problem at once. */

import { type Clock, PipelineError, systemClock } from '../../core/index.ts'
import type { BatchGuard } from '../idempotency/batch-guard.ts'
import type { KafkaRecord } from './kafka-record.ts'
import type { RecordOrder } from './partition-progress.ts'
import type { StandardSchema } from './standard-schema.ts'

/** What becomes of a record that fails without saying what it wants. */
export type FailureAction = 'retry' | 'deadLetter' | 'skip'

/** Where failed records are told. `console` and Powertools' `Logger` are such. */
export interface KafkaBatchLogger {
  warn(message: string, fields: Record<string, string | number>): void
}

/** Everything `kafkaBatch` takes besides the handler. */
export interface KafkaBatchOptions<Data = unknown> {
  /**
   * Checks every value before the handler gets it, and makes the type of `record.data`: a schema of zod, valibot,
   * arktype or any other library that speaks Standard Schema. A tombstone is checked as `null`.
   */
  readonly schema?: StandardSchema<Data>
  /** What becomes of a record whose value is not as the schema says, or not JSON. Default `deadLetter`. */
  readonly onInvalid?: FailureAction
  /**
   * What becomes of a record whose handler throws something else than `RetryRecord`, `DeadLetterRecord` or
   * `SkipRecord`: one of the three, or a function that looks at what was thrown. Default `retry`.
   */
  readonly onError?: FailureAction | ((error: unknown, record: KafkaRecord<Data>) => FailureAction)
  /**
   * Which records are handled one after the other, and wait behind one that must come again: those of a partition,
   * those of a key (a record without a key waits for none; without keys in the event it is by partition), or none.
   * Default `partition`.
   */
  readonly order?: RecordOrder
  /** Most calls of the handler at the same time, over all partitions. Integer, at least 1. Default 10. */
  readonly concurrency?: number
  /** Whether the handler takes a list of records of one partition. Default false. */
  readonly batch?: boolean
  /** Most records in one call of a handler that takes lists. Integer, at least 1. Default: all of the partition. */
  readonly recordsMax?: number
  /**
   * Most further calls of a handler that takes lists, in search of the bad record of a list for which it threw: such a
   * list is halved until the record is alone. Integer, at least 0. Default 40 for a partition.
   */
  readonly bisectCallsMax?: number
  /**
   * Kept free at the end of the invocation, in milliseconds: no record is begun in it, those under way are given up,
   * and the answer leaves. Integer, at least 0. Default 500.
   */
  readonly reserveMs?: number
  /**
   * Whether AWS's mapping has `ReportBatchItemFailures`. It is the mapping that knows, not the event, and without it
   * AWS takes any answer for success: set false there (on-demand pollers cannot have it), and the function fails as a
   * whole when a record is not done. Default true. Comporta's dispatcher always reads the answer.
   */
  readonly partialResponses?: boolean
  /**
   * Takes dead letters where the caller has no words for them, which is AWS's event: a record counts as done once this
   * has put it somewhere, and comes again if this throws. Without it the partition resumes at the record, and the
   * mapping's own attempts and on-failure destination deal with it. Comporta's dispatcher has a dead letter topic, so
   * it is not called there.
   */
  readonly deadLetter?: (record: KafkaRecord, reason: string) => unknown
  /** Keeps records from being handled twice, see `createBatchGuard`. */
  readonly guard?: BatchGuard
  /** Business id of a record, for a guard that tells records apart by it; null for one without. Default: by offset. */
  readonly idempotencyKey?: (record: KafkaRecord) => string | null
  /** Default `console`. At most ten records of an invocation are told. */
  readonly logger?: KafkaBatchLogger
  readonly clock?: Clock
}

/** The options with every default filled in. */
export interface KafkaBatchSettings<Data> extends KafkaBatchOptions<Data> {
  readonly onInvalid: FailureAction
  readonly onError: FailureAction | ((error: unknown, record: KafkaRecord<Data>) => FailureAction)
  readonly order: RecordOrder
  readonly concurrency: number
  readonly batch: boolean
  readonly recordsMax: number
  readonly bisectCallsMax: number
  readonly reserveMs: number
  readonly partialResponses: boolean
  readonly logger: KafkaBatchLogger
  readonly clock: Clock
}

/**
 * Fills in the defaults.
 *
 * @throws PipelineError `ERR_LAMBDA_KAFKA_BATCH_OPTIONS_INVALID` with every problem.
 */
export function kafkaBatchSettings<Data>(handler: unknown, options: KafkaBatchOptions<Data>): KafkaBatchSettings<Data> {
  const problems = optionProblems(options)
  if (typeof handler !== 'function') problems.unshift('handler: is not a function')
  if (problems.length > 0) {
    throw new PipelineError('ERR_LAMBDA_KAFKA_BATCH_OPTIONS_INVALID', `kafkaBatch: ${problems.join('; ')}`, {
      fields: { problems }
    })
  }
  const isBatch = options.batch ?? false
  return {
    ...options,
    onInvalid: options.onInvalid ?? 'deadLetter',
    onError: options.onError ?? 'retry',
    order: options.order ?? 'partition',
    concurrency: options.concurrency ?? 10,
    batch: isBatch,
    recordsMax: isBatch ? (options.recordsMax ?? Number.MAX_SAFE_INTEGER) : 1,
    bisectCallsMax: options.bisectCallsMax ?? 40,
    reserveMs: options.reserveMs ?? 500,
    partialResponses: options.partialResponses ?? true,
    logger: options.logger ?? console,
    clock: options.clock ?? systemClock
  }
}

const ACTIONS: readonly unknown[] = ['retry', 'deadLetter', 'skip']
const ORDERS: readonly unknown[] = ['partition', 'key', 'none']
const COUNTS = { concurrency: 1, recordsMax: 1, bisectCallsMax: 0, reserveMs: 0 } as const

/** Options come from JavaScript, too, so nothing is taken for granted. */
function optionProblems<Data>(options: KafkaBatchOptions<Data>): string[] {
  const problems: string[] = []
  const { schema, onInvalid, onError, order, guard } = options
  if (schema !== undefined && typeof schema['~standard']?.validate !== 'function') {
    problems.push('schema: does not speak Standard Schema (zod 3.24, valibot 1, arktype 2 and later do)')
  }
  if (onInvalid !== undefined && !ACTIONS.includes(onInvalid)) {
    problems.push('onInvalid: is neither retry, deadLetter nor skip')
  }
  if (onError !== undefined && typeof onError !== 'function' && !ACTIONS.includes(onError)) {
    problems.push('onError: is neither retry, deadLetter, skip nor a function')
  }
  if (order !== undefined && !ORDERS.includes(order)) problems.push('order: is neither partition, key nor none')
  for (const [name, min] of Object.entries(COUNTS)) {
    const value: unknown = Reflect.get(options, name)
    if (value !== undefined && !(Number.isSafeInteger(value) && Number(value) >= min)) {
      problems.push(`${name}: is not an integer of at least ${min}`)
    }
  }
  for (const name of ['deadLetter', 'idempotencyKey']) {
    const value: unknown = Reflect.get(options, name)
    if (value !== undefined && typeof value !== 'function') problems.push(`${name}: is not a function`)
  }
  if (options.recordsMax !== undefined && options.batch !== true) {
    problems.push('recordsMax: needs batch: true, a handler of single records gets one')
  }
  if (guard !== undefined && typeof guard.begin !== 'function') problems.push('guard: is none (see createBatchGuard)')
  return problems
}
