/** Plans to skip records: shows what they are, and moves no other. */

import { partitionKeyOf, type TopicPartition } from '../../client/index.ts'
import type { Change } from '../change/change.ts'
import { printableBytes } from '../records/printable.ts'
import { blockersOf, endsOf, type GroupLook, lookAtGroups, type OffsetsOpen } from './group-look.ts'
import type { OffsetMove } from './offset-move.ts'
import { offsetsChange } from './offsets-change.ts'
import { needThere, uniquePartitions } from './plan-reset.ts'
import { readHeads, type RecordHead } from './record-heads.ts'
import { resolveSkip } from './skip-rules.ts'

/** Which records a group is to skip. */
export interface SkipRequest {
  readonly groupId: string
  readonly records: readonly (TopicPartition & { readonly offset: bigint })[]
  /**
   * Whether dispatchers of comporta read with this group: they can skip a record that others lie before. Where its
   * commits have such a text already, that is known.
   */
  readonly isDispatcher?: boolean
  /** Whether keys and the heads of values are left out of the plan. Default `false`. */
  readonly isContentHidden?: boolean
}

/** Records that are read and shown, one after the other. */
export const SKIPPED_MAX = 100
const HEAD_CHARACTERS = 80
const OWN_TEXT = 'comporta:'

/**
 * Plans to skip records. A record that is not there is a blocker: whoever mistypes an offset is to know.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND`, `ERR_OPS_REFUSED`.
 */
export async function planSkip(open: OffsetsOpen, request: SkipRequest): Promise<Change> {
  const { groupId } = request
  const [group] = await lookAtGroups(open, [groupId])
  const records = uniqueRecords(request.records)
  const places = uniquePartitions(records)
  await needThere(open, places)
  const ends = await endsOf(open, places)
  const { heads, blockers } = await readNamed(open, records)
  const firsts = await readHeads(
    open.cluster,
    places.flatMap(place => {
      const offset = group?.offsets.get(partitionKeyOf(place))?.offset
      return offset === undefined ? [] : [{ ...place, offset }]
    }),
    open.signal === undefined ? {} : { signal: open.signal }
  )
  const moves: OffsetMove[] = []
  for (const place of places) {
    const key = partitionKeyOf(place)
    const committed = group?.offsets.get(key)
    const named = records.filter(record => partitionKeyOf(record) === key)
    const isDispatcher = request.isDispatcher === true || committed?.metadata.startsWith(OWN_TEXT) === true
    const name = `${place.topic}-${place.partition}`
    const offsets = named.map(({ offset }) => offset)
    const firstUnread = firsts.get(key)?.offset
    const known = firstUnread === undefined ? {} : { firstUnread }
    const outcome = resolveSkip({ name, committed, offsets, isDispatcher, ...known })
    if (outcome.kind === 'impossible') blockers.push(outcome.reason)
    else {
      const note = request.isContentHidden === true ? undefined : named.map(each => headText(heads, each)).join('; ')
      moves.push({
        ...place,
        groupId,
        before: committed,
        after: outcome.after,
        ...(note === undefined ? {} : { note })
      })
    }
  }
  const title = `Skip ${records.length} record${records.length === 1 ? '' : 's'}`
  return await offsetsChange({
    open,
    groups: group === undefined ? [] : [group],
    moves,
    ends,
    title,
    blockers,
    warnings: ['a skipped record is not delivered and not dead-lettered: keep it with comporta records if it matters'],
    blockersOfGroup: skipBlockersOf
  })
}

/** At work, a dispatcher deals with a bad record by itself: that is worth knowing before it is stopped. */
function skipBlockersOf(group: GroupLook): readonly string[] {
  const blockers = blockersOf(group)
  if (group.members.length === 0 || blockers.length === 0) return blockers
  return [
    ...blockers,
    'a dispatcher at work takes a record that keeps failing to the dead-letter topic by itself (dispatcher.retry), ' +
      'and a skip would be overwritten by its next commit: stop it, skip, start it again'
  ]
}

type NamedRecord = SkipRequest['records'][number]

function uniqueRecords(records: readonly NamedRecord[]): NamedRecord[] {
  const found = new Map(records.map(record => [nameOf(record), record]))
  return [...found.values()].toSorted((left, right) => (left.offset < right.offset ? -1 : 1))
}

function nameOf({ topic, partition, offset }: NamedRecord): string {
  return `${topic}-${partition}@${offset}`
}

/** Reads the records, several of one partition one after the other. */
async function readNamed(
  open: OffsetsOpen,
  records: readonly NamedRecord[]
): Promise<{ readonly heads: ReadonlyMap<string, RecordHead>; readonly blockers: string[] }> {
  const heads = new Map<string, RecordHead>()
  if (records.length > SKIPPED_MAX) {
    return { heads, blockers: [`${records.length} records are too many to skip one by one: at most ${SKIPPED_MAX}`] }
  }
  const blockers: string[] = []
  let left = [...records]
  while (left.length > 0) {
    const round = new Map(left.toReversed().map(record => [partitionKeyOf(record), record]))
    const found = await readHeads(
      open.cluster,
      [...round.values()],
      open.signal === undefined ? {} : { signal: open.signal }
    )
    for (const [key, record] of round) {
      const head = found.get(key)
      if (head?.offset === record.offset) heads.set(nameOf(record), head)
      else
        blockers.push(
          `there is no record ${nameOf(record)}${head === undefined ? '' : `: the next one is ${head.offset}`}`
        )
    }
    const read = new Set(round.values())
    left = left.filter(record => !read.has(record))
  }
  return { heads, blockers }
}

function headText(heads: ReadonlyMap<string, RecordHead>, record: NamedRecord): string {
  const head = heads.get(nameOf(record))
  if (head === undefined) return ''
  const text = (bytes: Buffer | null): string => (bytes === null ? 'null' : printableBytes(bytes, HEAD_CHARACTERS))
  return `${record.offset}: key ${text(head.key)}, value ${text(head.value)}`
}
