/**
 * The distributor's side of a guard: what it claims, by which ids, and how long it waits for it.
 *
 * A store that hangs must not cost the answer. An invocation that Lambda ends has said nothing: all that it delivered
 * would be delivered again. So a claim is waited for until requests must be over, and a mark until little is left; what
 * comes later goes on by itself, and changes nothing that another has taken meanwhile.
 */

import { sleep, within } from '../../core/index.ts'
import type { DistributorEvent, EventPartition } from '../event/read-event.ts'
import type { BatchGuard, GuardedBatch, GuardedPartition, GuardedResult } from '../idempotency/batch-guard.ts'
import { storeError } from '../idempotency/store.ts'
import type { DistributorContext } from './context.ts'
import type { DistributorSettings } from './options.ts'
import type { Plan } from './plan.ts'
import { fieldOf, type FieldPath } from './routes.ts'

/** Time for the answer itself, in milliseconds: nothing is waited for beyond it. */
const ANSWER_MS = 50
/** Longest rest behind records that another holds, in milliseconds: more than a lease outlives its invocation. */
const REST_MS_MAX = 2_000

/** An invocation as a claim sees it. */
export interface ClaimingInvocation {
  readonly settings: DistributorSettings
  readonly context: DistributorContext
}

/** Milliseconds until the answer must be given. */
export function timeToAnswer(context: DistributorContext): number {
  return Math.max(0, context.getRemainingTimeInMillis() - ANSWER_MS)
}

/** @throws Whatever the store failed with, or that it has not answered in time. */
export async function claimBatch(
  guard: BatchGuard | undefined,
  event: DistributorEvent,
  { settings, context }: ClaimingInvocation
): Promise<GuardedBatch | undefined> {
  if (guard === undefined || event.partitions.length === 0) return undefined
  const { idPath, clock, reserveMs } = settings
  const partitions = event.partitions.map((each): GuardedPartition => {
    const { topic, partition, offsets } = each
    return { topic, partition, offsets, ids: idPath === undefined ? undefined : idsOf(each, idPath) }
  })
  const remainingMs = context.getRemainingTimeInMillis()
  const pending = guard.begin(partitions, clock.now() + remainingMs)
  const claimed = await within(clock, Math.max(0, remainingMs - reserveMs), pending)
  if (claimed !== undefined) return claimed
  // Nobody delivers what is claimed from now on. What cannot be given back ends with its lease.
  pending.then(late => late.finish((at, index) => asBefore(late, at, index))).catch(() => undefined)
  throw storeError('unavailable', 'there was no answer in the time of the invocation')
}

/** @throws Whatever the store failed with, or that it has not answered in time. */
export async function finishBatch(
  claimed: GuardedBatch,
  resultOf: (partition: number, index: number) => GuardedResult,
  { settings, context }: ClaimingInvocation
): Promise<void> {
  const finished = claimed.finish(resultOf).then(() => true)
  if ((await within(settings.clock, timeToAnswer(context), finished)) === true) return
  // Whoever waited has told of it.
  finished.catch(() => undefined)
  throw storeError('unavailable', 'what was done could not be marked in the time of the invocation')
}

/**
 * Waits a moment when all that AWS can resume at is held by another invocation, most likely one that was killed. AWS
 * knows no pause: answered at once, a mapping's attempts would be used up before the lease ends, and the records given
 * up untried.
 */
export async function restBehindHeld(plans: readonly Plan[], { settings, context }: ClaimingInvocation): Promise<void> {
  let heldMs = 0
  for (const { verdicts, memory } of plans) {
    const index = verdicts.resumeIndex()
    if (index !== undefined) heldMs = Math.max(heldMs, memory.heldForMs(index) ?? 0)
  }
  const leftMs = context.getRemainingTimeInMillis() - settings.reserveMs
  const restMs = Math.min(heldMs, leftMs, REST_MS_MAX)
  if (restMs > 0) await sleep(settings.clock, restMs)
}

function asBefore(claimed: GuardedBatch, partition: number, index: number): GuardedResult {
  return { isDone: false, targetsDone: [...claimed.targetsDone(partition, index)] }
}

/**
 * Business ids; a record without one is told apart by its offset. So is one whose id others may have by accident: taken
 * for the same record it would never be delivered. A number beyond 2^53, or with a fraction, may have been rounded when
 * it was read, and an empty text is what producers write who have no id.
 */
function idsOf({ messages }: EventPartition, path: FieldPath): (string | null)[] {
  return messages.map(message => {
    const id = fieldOf(message, path)
    if (typeof id === 'number') return Number.isSafeInteger(id) ? String(id) : null
    return typeof id === 'string' && id !== '' ? id : null
  })
}
