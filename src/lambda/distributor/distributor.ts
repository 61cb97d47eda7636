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

import { messageOf } from '../../core/index.ts'
import { createSink, type RecordSink } from '../../targets/sinks/index.ts'
import type { EnrichedPartition } from '../enrichment/enricher.ts'
import { type DistributorEvent, type EventPartition, readEvent, textOf } from '../event/read-event.ts'
import type { GuardedBatch, GuardedPartition } from '../idempotency/batch-guard.ts'
import type { Delivery, Target } from './delivery.ts'
import { Ledger } from './ledger.ts'
import { guardedResult, GuardMemory, LedgerMemory, remember } from './memory.ts'
import type { DistributorObserver } from './observer.ts'
import { type DistributorOptions, type DistributorSettings, distributorSettings } from './options.ts'
import { Plan, type PlanRuntime } from './plan.ts'
import { observedBatch, observeResult, safeObserver, type SettledPartition } from './safe-observer.ts'
import { type DistributorResponse, PartitionVerdicts, type Verdict } from './verdict.ts'

/** Most requests under way at the same time in one invocation. */
const DELIVERIES_AT_ONCE = 64
/** Share of the time left that enrichment may take: what is enriched must be delivered as well. */
const ENRICHMENT_SHARE = 0.5

/** The part of Lambda's context object that the distributor needs. */
export interface DistributorContext {
  getRemainingTimeInMillis(): number
  readonly awsRequestId?: string
  readonly functionName?: string
}

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
  const targets = openTargets(options, settings)
  // Whoever invokes hears of it; until then nobody has to.
  targets.catch(() => undefined)
  const state: State = {
    options,
    settings,
    targets,
    observer: safeObserver(options.observer),
    ledger: new Ledger({ entriesMax: settings.ledgerMax, ttlMs: settings.ledgerTtlMs, clock: settings.clock })
  }
  const distributor = (event: unknown, context: DistributorContext): Promise<DistributorResponse> =>
    invoke(state, event, context)
  return Object.assign(distributor, { close: () => close(state) })
}

interface State {
  readonly options: DistributorOptions
  readonly settings: DistributorSettings
  readonly targets: Promise<readonly Target[]>
  readonly observer: DistributorObserver
  readonly ledger: Ledger
}

async function openTargets(options: DistributorOptions, settings: DistributorSettings): Promise<readonly Target[]> {
  const { clock, random } = settings
  const environment = options.environment ?? {}
  const open = async (name: string): Promise<RecordSink> => {
    const given = options.targets?.[name]
    const own = options.sinks?.[name]
    if (own !== undefined || given === undefined) return own ?? missing(name)
    const sink = typeof given === 'string' ? { type: 'http' as const, url: given } : given
    return createSink(name, sink, { clock, random, environment })
  }
  return Promise.all(
    settings.targets.map(async (target): Promise<Target> => {
      const sink = await open(target.name)
      const { limits } = sink
      return {
        ...target,
        sink,
        recordsMax: Math.min(limits.recordsMax, settings.recordsMax ?? limits.recordsMax),
        bytesMax: Math.min(limits.bytesMax, settings.bytesMax ?? limits.bytesMax),
        recordBytesMax: limits.recordBytesMax ?? Number.POSITIVE_INFINITY
      }
    })
  )
}

function missing(name: string): never {
  throw new Error(`target ${name} is neither in targets nor in sinks`)
}

async function close({ options, targets }: State): Promise<void> {
  const opened = await targets.catch(() => [])
  await Promise.all(opened.filter(({ name }) => options.sinks?.[name] === undefined).map(({ sink }) => sink.close()))
}

async function invoke(state: State, given: unknown, context: DistributorContext): Promise<DistributorResponse> {
  const { observer, settings } = state
  try {
    const event = readEvent(given)
    const startMs = settings.clock.monotonicMs()
    observer.invocationStarted?.(observedBatch(event), context)
    const settled = await distribute(state, event, context)
    if (observer.invocationEnded !== undefined || observer.recordsFailed !== undefined) {
      const result = observeResult(observer, settled, settings.clock.monotonicMs() - startMs)
      await observer.invocationEnded?.(result, context)
    }
    return answer(event, settled)
  } catch (error) {
    await observer.invocationFailed?.(error, context)
    throw error
  }
}

async function distribute(
  state: State,
  event: DistributorEvent,
  context: DistributorContext
): Promise<readonly SettledPartition[]> {
  const { settings, observer, ledger } = state
  const runtime: PlanRuntime = {
    settings,
    observer,
    targets: await state.targets,
    route: state.options.route,
    timeLeftMs: () => context.getRemainingTimeInMillis() - settings.reserveMs
  }
  let claimed: GuardedBatch | undefined
  try {
    claimed = await claim(state, event, context)
  } catch (error) {
    observer.storeFailed?.(error)
    // Nothing may be delivered: another invocation may be at it, or have done it.
    return event.partitions.map(partition => untouched(partition, error))
  }
  const enriched = await enrich(state, event, { claimed, timeLeftMs: runtime.timeLeftMs() })
  const plans = event.partitions.map((partition, number) => {
    const memory = claimed === undefined ? new LedgerMemory(ledger, partition) : new GuardMemory(claimed, number)
    return new Plan({ partition, memory, enriched: enriched?.[number] }, runtime)
  })
  await runAll(plans.flatMap(plan => plan.deliveries))
  for (const plan of plans) {
    for (const { verdicts } of plan.deliveries) {
      for (const [index, verdict] of verdicts) plan.verdicts.add(index, verdict)
    }
    if (claimed === undefined) remember(ledger, plan, event.format === 'esm')
  }
  await finish(state, claimed, plans)
  return plans
}

/** @throws Whatever the store failed with. */
function claim(
  { options, settings }: State,
  event: DistributorEvent,
  context: DistributorContext
): Promise<GuardedBatch> | undefined {
  if (options.guard === undefined || event.partitions.length === 0) return undefined
  const partitions = event.partitions.map(({ topic, partition, offsets }): GuardedPartition => {
    return { topic, partition, offsets, ids: undefined }
  })
  return options.guard.begin(partitions, settings.clock.now() + context.getRemainingTimeInMillis())
}

async function enrich(
  { options }: State,
  event: DistributorEvent,
  { claimed, timeLeftMs }: { readonly claimed: GuardedBatch | undefined; readonly timeLeftMs: number }
): Promise<readonly EnrichedPartition[] | undefined> {
  if (options.enricher === undefined) return undefined
  const partitions = event.partitions.map((partition, number) => ({
    messages: partition.messages,
    textOf: (index: number) => textOf(partition, index),
    isWanted: (index: number) =>
      !partition.problems.has(index) && (claimed === undefined || claimed.state(number, index) === 'claimed')
  }))
  const enriched = await options.enricher.enrich(partitions, Math.max(1, timeLeftMs * ENRICHMENT_SHARE))
  for (const [number, { texts }] of enriched.entries()) {
    const partition = event.partitions[number]
    if (partition === undefined) continue
    for (const [index, text] of texts) partition.texts[index] = text
  }
  return enriched
}

/** Tells the store what was done. What it fails with does not change the answer: the claim ends by itself. */
async function finish({ observer }: State, claimed: GuardedBatch | undefined, plans: readonly Plan[]): Promise<void> {
  if (claimed === undefined) return
  try {
    await claimed.finish((partition, index) => {
      const plan = plans[partition]
      return plan === undefined ? { isDone: false, targetsDone: [] } : guardedResult(plan, index)
    })
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
