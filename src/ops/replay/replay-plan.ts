/**
 * What a replay says before it begins, and how its group is taken away again.
 *
 * The replay itself is the dispatcher's; here is what it has in common with all
 * changes. What was delivered cannot be called back: the undo is about the
 * group alone, which otherwise stays in lists, and in lag, for ever.
 */

import type { Admin, TopicPartition } from '../../client/index.ts'
import { kafkaErrorName } from '../../protocol/index.ts'
import type { ApplyContext, Change, ChangeEffect, ChangePlan, ChangeResult, Json } from '../change/change.ts'
import { damaged, memberOf } from '../topics/snapshot.ts'

/** What a replay will do, as `planReplay` of `comporta/dispatcher` gives it. */
export interface ReplayFacts {
  readonly groupId: string
  readonly isResumed: boolean
  readonly offsetCount: bigint
  readonly partitions: readonly (TopicPartition & {
    readonly from: bigint
    readonly to: bigint
    readonly position: bigint
  })[]
}

/** What the group had committed before; -1n = nothing. */
export type OffsetsBefore = readonly (TopicPartition & { readonly offset: bigint })[]

/** A replay as a change: `apply` is the caller's, who has a dispatcher. */
export function replayChange(
  facts: ReplayFacts,
  before: OffsetsBefore,
  apply: (context: ApplyContext) => Promise<ChangeResult>
): Change {
  const held = before.filter(({ offset }) => offset >= 0n)
  const offsets = new Map(held.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]))
  const effects = facts.partitions.map(({ topic, partition, position, to }): ChangeEffect => {
    const what = `${topic}-${partition}`
    const records = position < to ? to - position : 0n
    return { what, before: offsets.get(what)?.toString() ?? '', after: `${position} to ${to}`, records }
  })
  const plan: ChangePlan = {
    kind: 'replay',
    confirmWord: facts.groupId,
    summary: `Up to ${facts.offsetCount} records are delivered again as group ${facts.groupId}.`,
    effects,
    warnings: ['what is delivered again cannot be called back: the undo takes the group of the replay away'],
    blockers: [],
    undo: { kind: 'possible' }
  }
  const saved = held.map(({ topic, partition, offset }) => ({ topic, partition, offset: offset.toString() }))
  return { plan, snapshot: { groupId: facts.groupId, before: saved }, apply }
}

/**
 * Takes the group of a replay away, or gives it back the offsets that it had before.
 *
 * @throws PipelineError `ERR_OPS_UNDO_DAMAGED`.
 */
export async function undoReplay(snapshot: Json, { admin }: { readonly admin: Admin }): Promise<Change> {
  const groupId = memberOf(snapshot, 'groupId')
  const saved = memberOf(snapshot, 'before')
  if (typeof groupId !== 'string' || groupId === '' || !Array.isArray(saved)) throw damaged('it names no group')
  const before = saved.map(readOffset)
  const [group] = await admin.describeGroups([groupId])
  const now = await admin.fetchGroupOffsets(groupId)
  const old = new Map(before.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]))
  const effects = now.flatMap(({ topic, partition, offset }): ChangeEffect[] => {
    const what = `${topic}-${partition}`
    const after = old.get(what)
    if (before.length > 0 && (after === undefined || after === offset)) return []
    return [{ what, before: String(offset), after: after === undefined ? 'none' : String(after) }]
  })
  const members = group?.members.length ?? 0
  const isDeleted = before.length === 0
  const what = isDeleted ? `Group ${groupId} is deleted.` : `Group ${groupId} gets the offsets back that it had.`
  return {
    plan: {
      kind: 'replay-undo',
      confirmWord: groupId,
      summary: `${what} What the replay has delivered stays delivered.`,
      effects,
      warnings: [],
      blockers: members > 0 ? [`group ${groupId} has ${members} members at work: stop the replay`] : [],
      undo: { kind: 'impossible', reason: 'a replay is begun anew with --restart' }
    },
    snapshot: undefined,
    apply: async () => {
      const results = isDeleted
        ? (await admin.deleteGroups([groupId])).map(({ errorCode }) => errorCode)
        : (await admin.alterGroupOffsets(groupId, before)).map(({ errorCode }) => errorCode)
      const failures = results.filter(code => code !== 0).map(code => `${groupId}: ${kafkaErrorName(code)}`)
      return {
        isComplete: failures.length === 0,
        summary: failures.length === 0 ? what : 'Nothing was changed.',
        failures
      }
    }
  }
}

function readOffset(value: Json): TopicPartition & { readonly offset: bigint } {
  const [topic, partition, offset] = ['topic', 'partition', 'offset'].map(name => memberOf(value, name))
  const isSound = typeof topic === 'string' && typeof partition === 'number' && typeof offset === 'string'
  if (!isSound || !/^\d{1,19}$/.test(offset)) throw damaged('an offset of it is not one')
  return { topic, partition, offset: BigInt(offset) }
}
