/**
 * The distributor: a Lambda function that takes a batch of records, groups them
 * by the targets that they are routed to, delivers each group, and answers
 * which records must come again, go to the dead letters, or were skipped.
 *
 * It takes Comporta's payload and AWS's Kafka event, and answers each in its own
 * form. An invocation reads its event, claims it (with a guard), enriches the records
 * (with an enricher), routes them, delivers them and says what became of them.
 * Groups go to their targets at the same time; within one partition and target
 * everything is in order (see `delivery.ts`). It keeps no state but what is in `memory.ts`.
 *
 * At least once: a target may get a record again after a timeout, a crash or a
 * cold start. Every request and every record carries a name that stays the same.
 */

import { messageOf, within } from '../../core/index.ts'
import type { EnrichedPartition, Enricher } from '../enrichment/enricher.ts'
import { type DistributorEvent, type EventPartition, readEvent, textOf } from '../event/read-event.ts'
import type { GuardedBatch, GuardedResult } from '../idempotency/batch-guard.ts'
import { LoudLog } from '../../targets/sinks/index.ts'
import { createObserver } from '../observability/create-observer.ts'
import { claimBatch, finishBatch, restBehindHeld, timeToAnswer } from './claim.ts'
import type { DistributorContext } from './context.ts'
import type { InvocationTrace } from './invocation-trace.ts'
import { type OpenTraces, openTraces } from './open-traces.ts'
import type { Delivery } from './delivery.ts'
import { Ledger } from './ledger.ts'
import { guardedResults, GuardMemory, LedgerMemory, remember } from './memory.ts'
import type { DistributorObserver } from './observer.ts'
import { type DistributorOptions, type DistributorSettings, distributorSettings } from './options.ts'
import { closeParts, openParts, type Parts } from './parts.ts'
import { Plan, type PlanRuntime } from './plan.ts'
import { observedBatch, observeResult, safeObserver, type SettledPartition } from './safe-observer.ts'
import { type DistributorResponse, PartitionVerdicts, type Verdict } from './verdict.ts'

export type { DistributorContext } from './context.ts'

/** Most requests under way at the same time in one invocation. */
const DELIVERIES_AT_ONCE = 64
/** Share of the time left that enrichment may take: what is enriched must be delivered as well. */
const ENRICHMENT_SHARE = 0.5

/** The function, as Lambda calls it. */
export interface Distributor {
  (event: unknown, context: DistributorContext): Promise<DistributorResponse>
  /** Closes connections to targets and stores; for programs and tests, because Lambda never tells a function. */
  close(): Promise<void>
}

/**
 * Makes a distributor.
 *
 * The function rejects with PipelineError `ERR_LAMBDA_EVENT_UNRECOGNISED` for an event of neither form.
 *
 * @throws PipelineError `ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID` with every problem.
 */
export function createDistributor(options: DistributorOptions): Distributor {
  const settings = distributorSettings(options)
  const observing = observingOf(options)
  const loud = new LoudLog(settings.logger, settings.clock)
  const observer = safeObserver(observing.observer, error => loud.error({}, messageOf(error)))
  const parts = openParts(options, settings, observer).then(async opened => {
    await observing.ready
    return opened
  })
  // Whoever invokes hears of it; until then nobody has to.
  parts.catch(() => undefined)
  const state: State = {
    options,
    settings,
    parts,
    observer,
    traces: openTraces(options, { loud, clock: settings.clock }),
    ledger: new Ledger({ entriesMax: settings.ledgerMax, ttlMs: settings.ledgerTtlMs, clock: settings.clock })
  }
  const distributor = (event: unknown, context: DistributorContext): Promise<DistributorResponse> =>
    invoke(state, event, context)
  const close = async (): Promise<void> => {
    await closeParts(parts, options)
    const traces = await state.traces
    traces?.close()
  }
  return Object.assign(distributor, { close })
}

/** Who watches, and when that is there. */
function observingOf({ observer, observability, environment }: DistributorOptions): {
  readonly observer: DistributorObserver | undefined
  readonly ready: Promise<void> | undefined
} {
  const isNone = observer !== undefined || observability === undefined
  return isNone ? { observer, ready: undefined } : createObserver(observability, environment)
}

interface State {
  readonly options: DistributorOptions
  readonly settings: DistributorSettings
  readonly parts: Promise<Parts>
  readonly observer: DistributorObserver
  /** Absent where nobody traces. */
  readonly traces: Promise<OpenTraces> | undefined
  readonly ledger: Ledger
}

async function invoke(state: State, given: unknown, context: DistributorContext): Promise<DistributorResponse> {
  const { observer, settings } = state
  const traces = await state.traces
  let trace: InvocationTrace | undefined
  try {
    const event = readEvent(given)
    const startMs = settings.clock.monotonicMs()
    trace = traces?.start(event, context)
    observer.invocationStarted?.(observedBatch(event, trace?.place), context)
    const settled = await distribute(state, event, { context, trace })
    if (trace !== undefined || observer.invocationEnded !== undefined || observer.recordsFailed !== undefined) {
      const result = observeResult(observer, settled, settings.clock.monotonicMs() - startMs)
      trace?.end(result)
      const told = observer.invocationEnded?.(result, context)
      // What was delivered must be answered, whatever becomes of a metric.
      if (told !== undefined) await within(settings.clock, timeToAnswer(context), told)
    }
    return answer(event, settled)
  } catch (error) {
    trace?.fail(error)
    await observer.invocationFailed?.(error, context)
    throw error
  } finally {
    await traces?.flush(timeToAnswer(context))
  }
}

async function distribute(
  state: State,
  event: DistributorEvent,
  { context, trace }: { readonly context: DistributorContext; readonly trace: InvocationTrace | undefined }
): Promise<readonly SettledPartition[]> {
  const { settings, observer, ledger } = state
  const parts = await state.parts
  const runtime: PlanRuntime = {
    settings,
    observer,
    trace,
    targets: parts.targets,
    route: state.options.route,
    timeLeftMs: () => context.getRemainingTimeInMillis() - settings.reserveMs
  }
  let claimed: GuardedBatch | undefined
  try {
    claimed = await claimBatch(parts.guard, event, { settings, context })
  } catch (error) {
    observer.storeFailed?.(error)
    // Nothing may be delivered: another invocation may be at it, or have done it.
    return event.partitions.map(partition => untouched(partition, error))
  }
  const enriched = await enrich(parts.enricher, event, { claimed, timeLeftMs: runtime.timeLeftMs() })
  const plans = event.partitions.map((partition, number) => {
    const memory =
      claimed === undefined
        ? new LedgerMemory(ledger, partition)
        : new GuardMemory(claimed, number, settings.clock.now())
    return new Plan({ partition, memory, enriched: enriched?.[number] }, runtime)
  })
  await runAll(plans.flatMap(plan => plan.deliveries))
  for (const plan of plans) {
    for (const { verdicts } of plan.deliveries) {
      for (const [index, verdict] of verdicts) plan.verdicts.add(index, verdict)
    }
    if (claimed === undefined) remember(ledger, plan, event.format === 'esm')
  }
  if (claimed !== undefined) {
    await finish(state, claimed, { plans, context, isEsm: event.format === 'esm' })
    if (event.format === 'esm') await restBehindHeld(plans, { settings, context })
  }
  return plans
}

async function enrich(
  enricher: Enricher | undefined,
  event: DistributorEvent,
  { claimed, timeLeftMs }: { readonly claimed: GuardedBatch | undefined; readonly timeLeftMs: number }
): Promise<readonly EnrichedPartition[] | undefined> {
  if (enricher === undefined) return undefined
  const partitions = event.partitions.map((partition, number) => ({
    messages: partition.messages,
    textOf: (index: number) => textOf(partition, index),
    isWanted: (index: number) =>
      !partition.problems.has(index) && (claimed === undefined || claimed.state(number, index) === 'claimed')
  }))
  let enriched: readonly EnrichedPartition[]
  try {
    enriched = await enricher.enrich(partitions, Math.max(1, timeLeftMs * ENRICHMENT_SHARE))
  } catch (error) {
    // An enricher never rejects. One that does has enriched nothing; the claimed batch is answered all the same.
    enriched = event.partitions.map(partition => notEnriched(partition, error))
  }
  for (const [number, { texts }] of enriched.entries()) {
    const partition = event.partitions[number]
    if (partition === undefined) continue
    for (const [index, text] of texts) partition.texts[index] = text
  }
  return enriched
}

function notEnriched({ offsets }: EventPartition, error: unknown): EnrichedPartition {
  const failure: Verdict = {
    action: 'retry',
    reason: `the enrichment failed: ${messageOf(error)}`,
    isUnavailable: true
  }
  const failures = new Map(Array.from(offsets.keys(), index => [index, failure]))
  return { texts: new Map(), failures, added: () => undefined }
}

/** Tells the store what was done. What it fails with does not change the answer: the claim ends by itself. */
async function finish(
  { observer, settings }: State,
  claimed: GuardedBatch,
  given: { readonly plans: readonly Plan[]; readonly context: DistributorContext; readonly isEsm: boolean }
): Promise<void> {
  const { plans, context, isEsm } = given
  try {
    const refusedUntilMs = settings.clock.now() + settings.ledgerTtlMs
    const results = plans.map(plan => guardedResults(plan, { isEsm, refusedUntilMs }))
    const resultOf = (partition: number, index: number): GuardedResult =>
      results[partition]?.(index) ?? { isDone: false, targetsDone: [] }
    await finishBatch(claimed, resultOf, { settings, context })
  } catch (error) {
    observer.storeFailed?.(error)
  }
}

function untouched(partition: EventPartition, error: unknown): SettledPartition {
  const verdicts = new PartitionVerdicts(partition)
  const reason = `the idempotency store failed: ${messageOf(error)}`
  const verdict: Verdict = { action: 'retry', reason, isUnavailable: true }
  for (const index of partition.offsets.keys()) verdicts.add(index, verdict)
  return { partition, verdicts, repeatedCount: 0 }
}

async function runAll(deliveries: readonly Delivery[]): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    for (let each = deliveries[next++]; each !== undefined; each = deliveries[next++]) await each.run()
  }
  await Promise.all(Array.from({ length: Math.min(DELIVERIES_AT_ONCE, deliveries.length) }, work))
}

function answer(event: DistributorEvent, plans: readonly SettledPartition[]): DistributorResponse {
  if (event.format === 'esm') return { batchItemFailures: plans.flatMap(each => each.verdicts.resumePoint()) }
  const failures = plans.flatMap(each => each.verdicts.failures())
  return failures.length === 0 ? {} : { failures }
}
