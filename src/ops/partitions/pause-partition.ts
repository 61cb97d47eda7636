/**
 * Pauses one partition of a group at its dispatchers, and lets it go on.
 *
 * Every dispatcher of the group is told, not only the one that has the
 * partition now: it rests wherever it goes. What a dispatcher was told lives as
 * long as its process. Dispatchers are reached by whoever knows them (the
 * console); the rules of plan, snapshot and undo are here.
 */

import type { TopicPartition } from '../../client/index.ts'
import { messageOf } from '../../core/index.ts'
import type { ApplyContext, Change, ChangeResult, Json } from '../change/change.ts'
import { damaged, memberOf } from '../topics/snapshot.ts'
import { counted } from '../words/counted.ts'

/** A dispatcher, as far as a pause is about it. */
export interface PauseView {
  readonly name: string
  /** Whether it was told to pause the partition; `undefined` = it does not say. */
  readonly isPaused: boolean | undefined
}

/** The way to the dispatchers of a group. */
export interface PauseControl {
  /** All that read with the group. */
  dispatchers(groupId: string, place: TopicPartition): readonly PauseView[] | Promise<readonly PauseView[]>
  /** Tells one of them. Rejects if it is away or refuses. */
  order(name: string, order: 'pause' | 'resume', place: TopicPartition): Promise<void>
}

/** What is to be. */
export interface PauseRequest extends TopicPartition {
  readonly groupId: string
  readonly isPaused: boolean
}

/** Names of the kind: what an undo finds its handler by. */
export const PAUSE_KIND = 'partition-pause'

/** Plans a pause, or its end. */
export async function planPause(control: PauseControl, request: PauseRequest): Promise<Change> {
  const { groupId, topic, partition, isPaused } = request
  const found = await control.dispatchers(groupId, { topic, partition })
  const wanted = found.map(view => ({ ...view, after: isPaused }))
  return pauseChange(control, request, {
    orders: wanted.filter(view => view.isPaused !== view.after),
    blockers: found.length === 0 ? [nobodyText(groupId)] : [],
    warnings: isPaused
      ? ['its lag grows until it goes on; a dispatcher that is started anew does not know of the pause']
      : []
  })
}

function nobodyText(groupId: string): string {
  return `no dispatcher of group ${groupId} is known here: only processes that this console watches can be told`
}

interface PauseOrder extends PauseView {
  readonly after: boolean
}

interface PauseParts {
  readonly orders: readonly PauseOrder[]
  readonly blockers: readonly string[]
  readonly warnings: readonly string[]
}

function pauseChange(control: PauseControl, request: PauseRequest, parts: PauseParts): Change {
  const { groupId, topic, partition, isPaused } = request
  const { orders, blockers, warnings } = parts
  const place = `${topic}-${partition}`
  const what = isPaused ? `is paused at ${counted(orders.length, 'dispatcher')}` : 'goes on'
  const snapshot = {
    groupId,
    topic,
    partition,
    isPaused,
    before: orders.map(each => ({ name: each.name, isPaused: each.isPaused ?? !isPaused }))
  }
  return {
    plan: {
      kind: PAUSE_KIND,
      confirmWord: place,
      summary: orders.length === 0 ? `${place}: nothing changes.` : `${place} of group ${groupId} ${what}.`,
      effects: orders.map(({ name, isPaused: before, after }) => ({
        what: name,
        before: stateText(before),
        after: stateText(after)
      })),
      warnings,
      blockers,
      undo: { kind: 'possible' }
    },
    snapshot,
    apply: context => tellAll(control, { request, orders, context })
  }
}

function stateText(isPaused: boolean | undefined): string {
  return isPaused === undefined ? 'not known' : isPaused ? 'paused' : 'running'
}

interface Telling {
  readonly request: PauseRequest
  readonly orders: readonly PauseOrder[]
  readonly context: ApplyContext
}

async function tellAll(control: PauseControl, { request, orders, context }: Telling): Promise<ChangeResult> {
  const { topic, partition } = request
  const failures: string[] = []
  let done = 0
  for (const { name, after } of orders) {
    if (context.signal?.aborted === true) break
    try {
      await control.order(name, after ? 'pause' : 'resume', { topic, partition })
      done += 1
      context.onProgress?.(`${name}: ${stateText(after)}`)
    } catch (error) {
      failures.push(`${name}: ${messageOf(error)}`)
    }
  }
  const summary = `${done} of ${counted(orders.length, 'dispatcher')} were told.`
  return { isComplete: done === orders.length, summary, failures }
}

/**
 * Takes a pause, or its end, back: each dispatcher that was told is as it was before. One that is gone, or was started
 * anew, needs nothing.
 *
 * @throws PipelineError `ERR_OPS_UNDO_DAMAGED`.
 */
export async function undoPause(snapshot: Json, open: { readonly pauses?: PauseControl }): Promise<Change> {
  const { before, ...request } = readSnapshot(snapshot)
  const { pauses } = open
  if (pauses === undefined) {
    const nobody: PauseControl = { dispatchers: () => [], order: () => Promise.resolve() }
    const reason = 'dispatchers are told by the console only, which knows where they are: take it back there'
    return pauseChange(nobody, request, { orders: [], blockers: [reason], warnings: [] })
  }
  const found = new Map((await pauses.dispatchers(request.groupId, request)).map(view => [view.name, view]))
  const gone = before.filter(({ name }) => !found.has(name)).map(({ name }) => `${name} is gone, and its pause with it`)
  const orders = before.flatMap(({ name, isPaused }): PauseOrder[] => {
    const view = found.get(name)
    return view === undefined || view.isPaused === isPaused ? [] : [{ ...view, after: isPaused }]
  })
  return pauseChange(pauses, { ...request, isPaused: !request.isPaused }, { orders, blockers: [], warnings: gone })
}

type SavedPause = PauseRequest & { readonly before: readonly { readonly name: string; readonly isPaused: boolean }[] }

function readSnapshot(snapshot: Json): SavedPause {
  const [groupId, topic, partition] = [
    memberOf(snapshot, 'groupId'),
    memberOf(snapshot, 'topic'),
    memberOf(snapshot, 'partition')
  ]
  const [isPaused, before] = [memberOf(snapshot, 'isPaused'), memberOf(snapshot, 'before')]
  if (typeof groupId !== 'string' || typeof topic !== 'string' || typeof partition !== 'number')
    throw damaged('it names no partition')
  if (typeof isPaused !== 'boolean' || !Array.isArray(before)) throw damaged('it does not say what was')
  return { groupId, topic, partition, isPaused, before: before.map(readView) }
}

function readView(value: Json): { readonly name: string; readonly isPaused: boolean } {
  const [name, isPaused] = [memberOf(value, 'name'), memberOf(value, 'isPaused')]
  if (typeof name !== 'string' || typeof isPaused !== 'boolean') throw damaged('a dispatcher of it is not one')
  return { name, isPaused }
}
