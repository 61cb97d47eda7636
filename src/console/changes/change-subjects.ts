/** Which groups and topics a change touches: what an operator needs the right for. */

import type { Change, Json, UndoRecord } from '../../ops/index.ts'
import type { ChangeRequest } from '../api/changes.ts'
import type { ChangeSubject } from '../server/rights.ts'

/** Of a change that is asked for; known before anything is looked at. */
export function subjectsOfRequest(request: ChangeRequest): ChangeSubject {
  switch (request.kind) {
    case 'offsets.copy':
      return { groups: [request.to] }
    case 'replay':
      return { groups: [request.group, replayGroupOf(request)] }
    case 'redrive':
      return { topics: [request.topic, ...(request.to === undefined ? [] : [request.to])] }
    case 'topics.create':
    case 'topics.alter':
    case 'topics.delete':
    case 'partitions.grow':
      return { topics: [request.topic] }
    case 'offsets.reset':
    case 'offsets.place':
    case 'offsets.skip':
    case 'groups.delete':
    case 'groups.removeMembers':
    case 'partition.pause':
    case 'partition.resume':
      return { groups: [request.group] }
  }
}

/** The group that a replay reads with. */
export function replayGroupOf({ group, as }: { readonly group: string; readonly as?: string | undefined }): string {
  return as ?? `${group}-replay`
}

/** Of a plan: what a redrive writes to, and for whom a growth commits offsets, only the plan knows. */
export function subjectsOfPlan(request: ChangeRequest, { plan }: Change): ChangeSubject {
  const asked = subjectsOfRequest(request)
  if (request.kind === 'partitions.grow' && request.isPreCommitted === true) {
    const groups = plan.effects.flatMap(({ what }) => (what.startsWith('group ') ? [what.slice('group '.length)] : []))
    return { ...asked, groups }
  }
  if (request.kind !== 'redrive') return asked
  return { topics: [...(asked.topics ?? []), ...plan.effects.map(({ what }) => what)] }
}

/** Of a change on disk: what its snapshot names, and its word where that names nothing. */
export function subjectsOfRecord({ kind, snapshot, confirmWord }: UndoRecord): ChangeSubject {
  const groups = [
    textOf(snapshot, 'groupId'),
    ...listOf(snapshot, 'groups').map(each => textOf(each, 'groupId'))
  ].filter(name => name !== undefined)
  if (groups.length > 0) return { groups }
  // A migration has made another topic, beside its own.
  const topics = [textOf(snapshot, 'topic'), textOf(snapshot, 'target')].filter(name => name !== undefined)
  if (topics.length > 0) return { topics }
  return kind === 'offsets' || kind === 'replay' ? { groups: [confirmWord] } : { topics: [confirmWord] }
}

function memberOf(value: Json | undefined, name: string): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return Object.entries(value).find(([key]) => key === name)?.[1]
}

function textOf(value: Json | undefined, name: string): string | undefined {
  const found = memberOf(value, name)
  return typeof found === 'string' ? found : undefined
}

function listOf(value: Json | undefined, name: string): readonly Json[] {
  const found = memberOf(value, name)
  return Array.isArray(found) ? found : []
}
