/**
 * `kafkaBatch`: makes a Lambda function from a handler of Kafka records.
 *
 * The function takes AWS's event source mapping for MSK and for self-managed Kafka, and Comporta's payload, and
 * answers each in its own form. It never says that a record is done which is not: what was not reached, what must wait
 * behind another record, and what was under way when time was up comes again.
 *
 * It is a plain function of an event and a context, so whatever wraps handlers (middy, Powertools, X-Ray) wraps it.
 */

import { PipelineError, sleep, within } from '../../core/index.ts'
import type { ComportaResponse, KafkaBatchResponse } from '../event/event-types.ts'
import { readEvent } from '../event/read-event.ts'
import { BatchRun, type FailedRecord, type HandlerCall, type KafkaBatchRun } from './batch-run.ts'
import type { KafkaRecord } from './kafka-record.ts'
import { type KafkaBatchOptions, type KafkaBatchSettings, kafkaBatchSettings } from './options.ts'
import type { PartitionProgress } from './partition-progress.ts'

/** What is needed of Lambda's context object; the handler gets the whole of it. */
export interface KafkaBatchContext {
  getRemainingTimeInMillis(): number
}

/** Handles one record. A promise is waited for; what it gives is not looked at. */
export type RecordHandler<Data, Context> = (record: KafkaRecord<Data>, context: Context, run: KafkaBatchRun) => unknown

/** Handles some records of one partition, in order. It may return those that failed; the others are done. */
export type RecordsHandler<Data, Context> = (
  records: readonly KafkaRecord<Data>[],
  context: Context,
  run: KafkaBatchRun
) => BatchAnswer<Data> | Promise<BatchAnswer<Data>>

/** What a handler of lists returns: nothing when all is done. */
export type BatchAnswer<Data> = readonly FailedRecord<Data>[] | undefined | void

/** The answer to an event: AWS's to AWS's, Comporta's to Comporta's, and either to one whose type does not say. */
export type AnswerTo<Event> = Event extends { readonly records: unknown }
  ? KafkaBatchResponse
  : Event extends { readonly messages: unknown }
    ? ComportaResponse
    : KafkaBatchResponse | ComportaResponse

/**
 * The function, as Lambda calls it. `MSKEvent` and `SelfManagedKafkaEvent` of `@types/aws-lambda`, `KafkaEvent` and
 * `ComportaEvent` say which answer it gives; what is no such event is refused.
 */
export type KafkaBatchFunction<Context> = <Event>(event: Event, context: Context) => Promise<AnswerTo<Event>>

/** An invocation without a deadline is taken for the longest that Lambda has. */
const INVOCATION_MS_MAX = 900_000
/** The answer has to leave even if a store hangs. */
const ANSWER_MS = 50
/** Longest wait, in milliseconds, for a record that another invocation has. */
const REST_MS_MAX = 2_000

/**
 * Makes a function from a handler of single records, or of lists with `batch: true`.
 *
 * The function rejects with PipelineError `ERR_LAMBDA_EVENT_UNRECOGNISED` for an event of neither form, before anything
 * is handled, and with `ERR_LAMBDA_KAFKA_BATCH_INCOMPLETE` if `partialResponses` is false and a record is not done.
 *
 * @throws PipelineError `ERR_LAMBDA_KAFKA_BATCH_OPTIONS_INVALID` with every problem.
 */
export function kafkaBatch<Data = unknown, Context extends KafkaBatchContext = KafkaBatchContext>(
  handler: RecordHandler<Data, Context>,
  options?: KafkaBatchOptions<Data> & { readonly batch?: false }
): KafkaBatchFunction<Context>
export function kafkaBatch<Data = unknown, Context extends KafkaBatchContext = KafkaBatchContext>(
  handler: RecordsHandler<Data, Context>,
  options: KafkaBatchOptions<Data> & { readonly batch: true }
): KafkaBatchFunction<Context>
export function kafkaBatch<Data, Context extends KafkaBatchContext>(
  handler: RecordHandler<Data, Context> | RecordsHandler<Data, Context>,
  options: KafkaBatchOptions<Data> = {}
): KafkaBatchFunction<Context> {
  const settings = kafkaBatchSettings(handler, options)
  // Checked by the overloads: `batch` says which of the two the handler is.
  const callOf = settings.batch
    ? (context: Context): HandlerCall<Data> =>
        async (records, run) =>
          (handler as RecordsHandler<Data, Context>)(records, context, run)
    : (context: Context): HandlerCall<Data> =>
        async ([record], run) =>
          void (record !== undefined && (await (handler as RecordHandler<Data, Context>)(record, context, run)))
  const batchFunction = (event: unknown, context: Context): Promise<KafkaBatchResponse | ComportaResponse> =>
    invoke(event, { settings, context, call: callOf(context) })
  // The event decides which of the answers it is, as its type says.
  return batchFunction as KafkaBatchFunction<Context>
}

interface Invocation<Data> {
  readonly settings: KafkaBatchSettings<Data>
  readonly context: KafkaBatchContext | undefined
  readonly call: HandlerCall<Data>
}

async function invoke<Data>(
  given: unknown,
  { settings, context, call }: Invocation<Data>
): Promise<KafkaBatchResponse | ComportaResponse> {
  const event = readEvent(given)
  const { clock, reserveMs } = settings
  const remainingMs = (): number => remainingOf(context)
  const startedMs = Math.min(remainingMs(), INVOCATION_MS_MAX)
  const stop = new AbortController()
  const run = { signal: stop.signal, timeLeftMs: () => remainingMs() - reserveMs }
  const batch = new BatchRun<Data>(event, { settings, call, run, deadlineMs: clock.now() + startedMs })
  const isOver = new Promise<void>(resolve => {
    stop.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  const timer = clock.after(Math.max(0, startedMs - reserveMs), () => stop.abort())
  try {
    await Promise.race([batch.handle(), isOver])
  } finally {
    timer.cancel()
  }
  if (stop.signal.aborted) batch.giveUp()
  const answer = answerOf(event.format, batch.progress)
  const answerMs = (): number => Math.min(INVOCATION_MS_MAX, Math.max(0, remainingMs() - ANSWER_MS))
  await within(clock, answerMs(), batch.finish())
  // AWS knows no pause: answered at once, a mapping's attempts would be used up before the other's claim ends.
  const restMs = event.format === 'esm' ? Math.min(batch.heldForMs(), answerMs(), REST_MS_MAX) : 0
  if (restMs > 0) await sleep(clock, restMs)
  if (!settings.partialResponses && event.format === 'esm') refuseRest(batch.progress)
  return answer
}

/** Tests and other callers may give no context: then there is no deadline. */
function remainingOf(context: KafkaBatchContext | undefined): number {
  if (typeof context?.getRemainingTimeInMillis !== 'function') return Number.POSITIVE_INFINITY
  return context.getRemainingTimeInMillis()
}

function answerOf(
  format: 'json' | 'esm',
  progress: readonly PartitionProgress[]
): KafkaBatchResponse | ComportaResponse {
  if (format === 'esm') return { batchItemFailures: progress.flatMap(each => each.resumePoints()) }
  const failures = progress.flatMap(each => each.failures())
  return failures.length === 0 ? {} : { failures }
}

/** Without partial responses only a failure of the whole function makes AWS send anything again. */
function refuseRest(progress: readonly PartitionProgress[]): void {
  const [first] = progress.flatMap(each => each.resumePoints())
  if (first === undefined) return
  const { partition, offset } = first.itemIdentifier
  throw new PipelineError(
    'ERR_LAMBDA_KAFKA_BATCH_INCOMPLETE',
    `not all records are done, the first that is not is offset ${offset} of ${partition}`,
    { fields: { partition, offset } }
  )
}
