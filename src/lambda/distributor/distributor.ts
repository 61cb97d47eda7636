/**
 * The distributor: a Lambda function that takes a batch of records, groups them
 * by the services that their code is routed to, posts each group, and answers
 * which records must come again, go to the dead letters, or were skipped.
 *
 * It takes Comporta's payload and AWS's Kafka event, and answers each in its own
 * form. Groups go to their services at the same time; within one partition and
 * service everything is in order (see `delivery.ts`). It keeps no state but the
 * ledger of a warm worker (see `ledger.ts`).
 *
 * At least once: a service may get a record again after a timeout, a crash or a
 * cold start. Every request carries an `idempotency-key`, every record its own.
 */

import { Delivery, type DeliveryRuntime, recordId } from './delivery.ts'
import { type DistributorEvent, type EventPartition, readEvent } from '../event/read-event.ts'
import { createHttpClient, type HttpClient } from './http-client.ts'
import { Ledger } from './ledger.ts'
import { type DistributorOptions, type DistributorSettings, distributorSettings, isRecord } from './options.ts'
import type { Service } from './options.ts'
import { type DistributorResponse, PartitionVerdicts, type Verdict } from './verdict.ts'

/** Most requests under way at the same time in one invocation. */
const DELIVERIES_AT_ONCE = 64

/** The part of Lambda's context object that the distributor needs. */
export interface DistributorContext {
  getRemainingTimeInMillis(): number
}

/** The function, as Lambda calls it. */
export type Distributor = (event: unknown, context: DistributorContext) => Promise<DistributorResponse>

/**
 * Makes a distributor.
 *
 * The function rejects with PipelineError `ERR_LAMBDA_EVENT_UNRECOGNISED` for an event of neither form.
 *
 * @throws PipelineError `ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID` with every problem.
 */
export function createDistributor(options: DistributorOptions): Distributor {
  const settings = distributorSettings(options)
  const http = options.http ?? createHttpClient({ clock: settings.clock })
  const ledger = new Ledger({ entriesMax: settings.ledgerMax, ttlMs: settings.ledgerTtlMs, clock: settings.clock })
  return async (event, context) => distribute(readEvent(event), { settings, http, ledger, context })
}

interface Dependencies {
  readonly settings: DistributorSettings
  readonly http: HttpClient
  readonly ledger: Ledger
  readonly context: DistributorContext
}

async function distribute(event: DistributorEvent, dependencies: Dependencies): Promise<DistributorResponse> {
  const { settings, http, ledger, context } = dependencies
  const runtime: DeliveryRuntime = {
    settings,
    http,
    timeLeftMs: () => context.getRemainingTimeInMillis() - settings.reserveMs
  }
  const plans = event.partitions.map(partition => plan(partition, runtime, ledger))
  await runAll(plans.flatMap(each => each.deliveries))
  for (const each of plans) conclude(each, event.format, ledger)
  if (event.format === 'esm') return { batchItemFailures: plans.flatMap(each => each.verdicts.resumePoint()) }
  const failures = plans.flatMap(each => each.verdicts.failures())
  return failures.length === 0 ? {} : { failures }
}

interface Plan {
  readonly partition: EventPartition
  readonly verdicts: PartitionVerdicts
  readonly deliveries: readonly Delivery[]
}

/** Decides where each record goes. */
function plan(partition: EventPartition, runtime: DeliveryRuntime, ledger: Ledger): Plan {
  const { settings } = runtime
  const verdicts = new PartitionVerdicts(partition)
  const deliveries = new Map<Service, Delivery>()
  for (let index = 0; index < partition.offsets.length; index += 1) {
    const target = routeOf(partition, index, settings)
    if ('action' in target) {
      verdicts.add(index, target)
      continue
    }
    for (const service of target) {
      // While all is well the ledger is empty and costs nothing.
      const word =
        ledger.count === 0 ? undefined : ledger.get(recordId(partition, offsetAt(partition, index)), service.name)
      if (word === undefined) deliveryTo(service).indexes.push(index)
      else if (word !== 'ok') verdicts.add(index, word)
    }
  }
  return { partition, verdicts, deliveries: [...deliveries.values()] }

  function deliveryTo(service: Service): Delivery {
    const known = deliveries.get(service)
    if (known !== undefined) return known
    const created = new Delivery(service, partition, runtime)
    deliveries.set(service, created)
    return created
  }
}

function routeOf(
  partition: EventPartition,
  index: number,
  settings: DistributorSettings
): readonly Service[] | Verdict {
  const problem = partition.problems.get(index)
  if (problem !== undefined) return unrouted(settings, problem)
  const code = fieldOf(partition.messages[index], settings.fieldPath)
  const isCode = typeof code === 'string' || typeof code === 'number'
  const route = isCode ? settings.routes.get(String(code)) : undefined
  if (route !== undefined) return route
  if (typeof settings.otherwise !== 'string') return settings.otherwise
  const field = settings.fieldPath.join('.')
  return unrouted(settings, isCode ? `no route for this ${field}` : `the event has no ${field} to route it by`)
}

/** A record that no service can be given: unlike an unknown code it never goes to the default services. */
function unrouted(settings: DistributorSettings, reason: string): Verdict {
  return { action: settings.otherwise === 'skip' ? 'skip' : 'deadLetter', reason }
}

function fieldOf(message: unknown, path: readonly string[]): unknown {
  let at = message
  for (const name of path) {
    // Own members only: "constructor" and the like are not codes.
    if (!isRecord(at) || !Object.hasOwn(at, name)) return undefined
    at = at[name]
  }
  return at
}

async function runAll(deliveries: readonly Delivery[]): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    for (let each = deliveries[next++]; each !== undefined; each = deliveries[next++]) await each.run()
  }
  await Promise.all(Array.from({ length: Math.min(DELIVERIES_AT_ONCE, deliveries.length) }, work))
}

/** Joins what the services said, and remembers what must not be said again. */
function conclude({ partition, verdicts, deliveries }: Plan, format: DistributorEvent['format'], ledger: Ledger): void {
  for (const delivery of deliveries) for (const [index, verdict] of delivery.verdicts) verdicts.add(index, verdict)
  const resumeIndex = format === 'esm' ? verdicts.resumeIndex() : undefined
  if (verdicts.count === 0 && ledger.count === 0) return
  const isComingAgain = (index: number): boolean => verdicts.isComingAgain(index, resumeIndex)
  for (const [index, offset] of partition.offsets.entries()) {
    if (!isComingAgain(index)) ledger.delete(recordId(partition, offset))
  }
  for (const delivery of deliveries) {
    for (const index of delivery.indexes) {
      const word = isComingAgain(index) ? delivery.finalWord(index) : undefined
      if (word !== undefined) ledger.set(recordId(partition, offsetAt(partition, index)), delivery.service.name, word)
    }
  }
}

function offsetAt(partition: EventPartition, index: number): number {
  return partition.offsets[index] ?? 0
}
