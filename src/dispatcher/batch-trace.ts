/**
 * The spans of one batch: `process <topic>` for all of it, and under it `invoke <target>` for each invocation.
 *
 * The batch is a trace of its own that is linked to those of its records, because it may hold records of many. What
 * goes to the target is the context of the invocation. Nothing is made, and no header looked at, without a `Tracing`.
 */

import type { Target, TargetBatch, TargetOutcome } from '../targets/index.ts'
import { knownErrorType, SPAN_ATTRIBUTES, type TraceContext, type TraceSpan, type Tracing } from '../telemetry/index.ts'
import type { RecordTable } from './record-table.ts'
import type { DeadRow, Decision } from './settlement.ts'
import { traceLinksOf } from './trace-links.ts'

/** Whose batch it is. */
export interface TracedBatch {
  readonly topic: string
  readonly partition: number
  readonly table: RecordTable
  readonly around: {
    readonly groupId: string
    readonly target: Pick<Target, 'name' | 'spanAttributes'>
    readonly tracing?: Tracing | undefined
  }
}

/** Where in a trace a log line belongs. */
export type TraceFields = { readonly traceId: string; readonly spanId: string } | Record<string, never>

const UNTRACED: TraceFields = {}
const A = SPAN_ATTRIBUTES

/** The trace of one batch. */
export class BatchTrace {
  readonly #batch: TracedBatch
  readonly #span: TraceSpan
  /** The latest, and whether it is under way. */
  #invocation: TraceSpan | undefined
  #isInvoking = false
  #invocations = 0
  #retriedCount = 0
  #putAsideCount = 0

  private constructor(batch: TracedBatch, span: TraceSpan) {
    this.#batch = batch
    this.#span = span
  }

  /** Begins the trace of a batch; `undefined` where nobody traces, or nothing is in the batch. */
  static begin(batch: TracedBatch): BatchTrace | undefined {
    const { tracing } = batch.around
    if (tracing === undefined || batch.table.count === 0) return undefined
    const { links, leftOut, recordCount } = traceLinksOf(batch.table)
    const { topic, partition, table } = batch
    const span = tracing.start({ name: `process ${topic}`, kind: 'consumer', links, linksLeftOut: leftOut })
    if (span.isRecording) {
      span.set({
        [A.system]: 'kafka',
        [A.operation]: 'process',
        [A.operationType]: 'process',
        [A.topic]: topic,
        [A.partition]: String(partition),
        [A.group]: batch.around.groupId,
        [A.recordCount]: table.count,
        [A.firstOffset]: Number(table.offset(0)),
        [A.lastOffset]: Number(table.offset(table.count - 1)),
        ...(recordCount === 0 ? {} : { [A.traced]: recordCount })
      })
    }
    return new BatchTrace(batch, span)
  }

  /** What the log lines of the batch say of its trace. */
  static fieldsOf(trace: BatchTrace | undefined): TraceFields {
    if (trace === undefined) return UNTRACED
    const { traceId, spanId } = trace.#invocation ?? trace.#span
    return { traceId, spanId }
  }

  /** An invocation begins; its context goes to the target, if there is one. */
  invoke(): TraceContext | undefined {
    const { target } = this.#batch.around
    const span = this.#span.startChild({ name: `invoke ${target.name}`, kind: 'client' })
    this.#invocation = span
    this.#isInvoking = true
    this.#invocations += 1
    return span.context
  }

  /** It was answered, or given up with the lane. */
  answered(request: TargetBatch, outcome: TargetOutcome | undefined): void {
    const span = this.#invocation
    if (span === undefined || !this.#isInvoking) return
    this.#isInvoking = false
    if (span.isRecording) {
      const { target } = this.#batch.around
      span.set({
        ...target.spanAttributes,
        [A.target]: target.name,
        [A.attempt]: request.attempt,
        [A.recordCount]: request.recordCount,
        [A.bodyBytes]: request.body.length,
        [A.idempotencyKey]: request.idempotencyKey,
        [A.outcome]: outcome?.kind ?? 'aborted'
      })
    }
    if (outcome?.kind === 'rejected') span.fail(knownErrorType(outcome.errorClass))
    if (outcome?.kind === 'unavailable') span.fail('unavailable')
    span.end()
  }

  /** It was decided what becomes of the records of an invocation. */
  decided({ retriedCount }: Decision): void {
    this.#retriedCount += retriedCount
    if (retriedCount > 0) this.#span.keep('retried')
  }

  /** Rows leave the batch undelivered: into the dead letter topic, or a retry topic. */
  putAside(rows: readonly DeadRow[]): void {
    const [first] = rows
    if (first === undefined) return
    this.#putAsideCount += rows.length
    this.#span.keep('deadLettered')
    this.#span.fail(knownErrorType(first.errorClass))
  }

  /** Nothing more is done for the batch. */
  end(isDone: boolean): void {
    if (this.#isInvoking) this.#invocation?.end()
    if (this.#span.isRecording) {
      this.#span.set({
        [A.invocations]: this.#invocations,
        ...(this.#retriedCount === 0 ? {} : { [A.retried]: this.#retriedCount }),
        ...(this.#putAsideCount === 0 ? {} : { [A.putAside]: this.#putAsideCount }),
        [A.outcome]: isDone ? 'done' : 'stopped'
      })
    }
    this.#span.end()
  }
}
