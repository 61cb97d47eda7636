/**
 * A change of committed offsets: plan, snapshot and application of any set of
 * moves. Every operation on offsets, and every undo of one, ends here.
 *
 * It is applied group by group, in commits that one record of Kafka's own topic
 * can hold. Each group is read once more right before: what has moved since the
 * plan is left alone and told, so that the snapshot stays right.
 */

import { partitionKeyOf, type TopicPartition } from '../../client/index.ts'
import { kafkaErrorName } from '../../protocol/index.ts'
import type { ApplyContext, Change, ChangeEffect, ChangeResult } from '../change/change.ts'
import {
  blockersOf,
  type EndsByPartition,
  type GroupLook,
  isGroupThere,
  type OffsetsOpen,
  topicIdsOf
} from './group-look.ts'
import {
  finishedCountOf,
  isSameOffset,
  type LogEnds,
  type OffsetMove,
  type ReadDifference,
  readDifference,
  snapshotOf,
  type StoredOffset
} from './offset-move.ts'
import { timeSpans } from './time-spans.ts'

/** What a change of offsets is made of. */
export interface OffsetsChangeParts {
  readonly open: OffsetsOpen
  /** The groups that are changed, as they were found. */
  readonly groups: readonly GroupLook[]
  /** Moves that move nothing are left out of the plan. */
  readonly moves: readonly OffsetMove[]
  readonly ends: EndsByPartition
  /** What is done, as the beginning of a sentence: `Reset to the earliest offset`. */
  readonly title: string
  readonly warnings?: readonly string[]
  readonly blockers?: readonly string[]
  readonly conflicts?: readonly string[]
  /** Groups that go with all they have. */
  readonly deletedGroups?: readonly string[]
  /** Groups that go once they have no offsets left: those that a change that is taken back had made. */
  readonly emptiedGroups?: readonly string[]
  /** Default: nobody may be in a group whose offsets change. */
  readonly blockersOfGroup?: (group: GroupLook) => readonly string[]
}

/** Offsets of one commit: its record has to fit into a batch of `__consumer_offsets`, 1 MB by default. */
const COMMIT_PARTITIONS_MAX = 1_000
/** Characters of metadata of one commit. */
const COMMIT_TEXT_MAX = 262_144
/** Failures that are told one by one. */
const FAILURES_NAMED = 20

interface GroupPart {
  readonly group: GroupLook
  readonly moves: readonly OffsetMove[]
}

/** Plans the change. Looks at times of records, besides what it is given. */
export async function offsetsChange(parts: OffsetsChangeParts): Promise<Change> {
  const { open, groups, ends, deletedGroups = [], emptiedGroups = [], blockersOfGroup = blockersOf } = parts
  const moves = parts.moves.filter(({ before, after }) => !isSameOffset(before, after))
  const byGroup = Map.groupBy(moves, ({ groupId }) => groupId)
  const work = groups
    .map((group): GroupPart => ({ group, moves: byGroup.get(group.groupId) ?? [] }))
    .filter(part => part.moves.length > 0 || deletedGroups.includes(part.group.groupId))
  const differences = moves.map(move => differenceOf(move, ends))
  const spans = await timeSpans(open, moves, ends)
  const effects = [
    ...moves.map((move, index) =>
      effectOf(move, { isNamed: groups.length > 1, difference: differences[index], span: spans.get(move) })
    ),
    ...work
      .filter(({ group }) => deletedGroups.includes(group.groupId))
      .map(({ group }) => ({ what: `group ${group.groupId}`, before: group.state, after: 'deleted' }))
  ]
  const changed = new Set(work.map(({ group }) => group))
  // What could not be read of a group looks like nothing: then it is not known what would be changed.
  const asked = groups.filter(group => changed.has(group) || group.problems.length > 0)
  const blockers = [...(parts.blockers ?? []), ...new Set(asked.flatMap(blockersOfGroup))]
  const snapshot = snapshotOf(
    work.map(({ group, moves: moved }) => ({ groupId: group.groupId, existed: isGroupThere(group), moves: moved })),
    await topicIdsOf(open, moves)
  )
  return {
    plan: {
      kind: 'offsets',
      confirmWord: work.length === 1 ? (work[0]?.group.groupId ?? '') : `${work.length} groups`,
      summary: summaryOf(parts.title, {
        effects,
        work,
        differences,
        seconds: longest(spans.values()),
        isBlocked: blockers.length > 0
      }),
      effects,
      warnings: parts.warnings ?? [],
      blockers,
      ...(parts.conflicts === undefined ? {} : { conflicts: parts.conflicts }),
      undo: { kind: 'possible' }
    },
    snapshot,
    apply: context => new Application(open, { work, deletedGroups, emptiedGroups, context }).run()
  }
}

function differenceOf(move: OffsetMove, ends: EndsByPartition): ReadDifference | undefined {
  const found = ends.get(partitionKeyOf(move))
  return found === undefined ? undefined : readDifference(move, found)
}

function effectOf(
  move: OffsetMove,
  found: {
    readonly isNamed: boolean
    readonly difference: ReadDifference | undefined
    readonly span: number | undefined
  }
): ChangeEffect {
  const { groupId, topic, partition, before, after } = move
  const { isNamed, difference, span } = found
  const notes = [move.note, ...finishedNotes(move, difference)].filter(text => text !== undefined)
  return {
    what: `${isNamed ? `${groupId} ` : ''}${topic}-${partition}`,
    before: before === undefined ? '–' : `${before.offset}`,
    after: after === undefined ? '–' : `${after.offset}`,
    ...(difference === undefined ? {} : { records: difference.again - difference.never }),
    ...(span === undefined ? {} : { seconds: span }),
    ...(notes.length === 0 ? {} : { note: notes.join('; ') })
  }
}

function finishedNotes({ before, after }: OffsetMove, difference: ReadDifference | undefined): string[] {
  const notes: string[] = []
  if (before === undefined) notes.push('no commit before')
  if (difference !== undefined && difference.again > 0n && difference.never > 0n) {
    notes.push(`${difference.again} again and ${difference.never} never`)
  }
  const finished = after === undefined ? 0 : finishedCountOf(after)
  if (finished > 0) notes.push(`${finished} later record${finished === 1 ? ' is' : 's are'} kept as finished`)
  return notes
}

function longest(spans: Iterable<number>): number | undefined {
  let found: number | undefined
  for (const span of spans) if (found === undefined || span > found) found = span
  return found
}

interface Totals {
  readonly effects: readonly ChangeEffect[]
  readonly work: readonly GroupPart[]
  readonly differences: readonly (ReadDifference | undefined)[]
  readonly seconds: number | undefined
  readonly isBlocked: boolean
}

function summaryOf(title: string, { effects, work, differences, seconds, isBlocked }: Totals): string {
  if (effects.length === 0) return `${title}: ${isBlocked ? 'it cannot be done' : 'nothing changes'}.`
  const known = differences.filter(difference => difference !== undefined)
  const again = known.reduce((sum, each) => sum + each.again, 0n)
  const never = known.reduce((sum, each) => sum + each.never, 0n)
  const who = work.length === 1 ? `group ${work[0]?.group.groupId}` : `${work.length} groups`
  const moveCount = differences.length
  const parts = [
    again > 0n || never === 0n ? `${recordsText(again)} read again` : '',
    never > 0n ? `${recordsText(never)} never read` : ''
  ].filter(text => text !== '')
  const long = seconds === undefined || seconds < 1 ? '' : `, up to ${spanText(seconds)} of appends in a partition`
  const read = known.length === 0 ? '' : `: ${parts.join(', ')}${long}`
  return `${title}: ${moveCount} offset${moveCount === 1 ? '' : 's'} of ${who}${read}.`
}

function recordsText(count: bigint): string {
  return count === 1n ? '1 record is' : `${count.toLocaleString('en-US')} records are`
}

function spanText(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86_400).toFixed(1)} d`
}

interface ApplicationParts {
  readonly work: readonly GroupPart[]
  readonly deletedGroups: readonly string[]
  readonly emptiedGroups: readonly string[]
  readonly context: ApplyContext
}

/** One application of a plan. */
class Application {
  readonly #open: OffsetsOpen
  readonly #parts: ApplicationParts
  readonly #failures: string[] = []
  #failureCount = 0
  #doneCount = 0

  constructor(open: OffsetsOpen, parts: ApplicationParts) {
    this.#open = open
    this.#parts = parts
  }

  async run(): Promise<ChangeResult> {
    const { work, context } = this.#parts
    const moveCount = work.reduce((sum, { moves }) => sum + moves.length, 0)
    let isWhole = true
    for (const part of work) {
      if (this.#isStopped) isWhole = false
      else await this.#applyGroup(part)
      context.onProgress?.(`${this.#doneCount} of ${moveCount} offsets`)
    }
    if (this.#doneCount < moveCount && this.#failureCount === 0) isWhole = false
    const named = this.#failures
    const more = this.#failureCount - named.length
    const stopped = isWhole ? '' : '; stopped before the rest'
    return {
      isComplete: isWhole && this.#failureCount === 0,
      summary: `${this.#doneCount} of ${moveCount} offsets were changed${stopped}.`,
      failures: more > 0 ? [...named, `… and ${more} more`] : named,
      details: { changed: this.#doneCount, planned: moveCount, failed: this.#failureCount }
    }
  }

  get #isStopped(): boolean {
    return this.#parts.context.signal?.aborted === true
  }

  #fail(text: string): void {
    this.#failureCount += 1
    if (this.#failures.length < FAILURES_NAMED) this.#failures.push(text)
  }

  async #applyGroup({ group, moves }: GroupPart): Promise<void> {
    const { groupId } = group
    const isDeleted = this.#parts.deletedGroups.includes(groupId)
    const unmoved = await this.#unmoved(groupId, moves, { isAll: isDeleted })
    if (unmoved === undefined) return
    if (isDeleted) {
      if (unmoved.length < moves.length) return
      await this.#deleteGroup(groupId, unmoved.length)
      return
    }
    for (const chunk of chunksOf(unmoved.filter(isSetting))) {
      if (this.#isStopped) return
      await this.#set(groupId, chunk)
    }
    for (const chunk of chunksOf(unmoved.filter(({ after }) => after === undefined))) {
      if (this.#isStopped) return
      await this.#remove(groupId, chunk)
    }
    if (this.#parts.emptiedGroups.includes(groupId)) await this.#deleteIfEmpty(groupId)
  }

  /**
   * Moves whose offsets are still those of the plan; `undefined` where `isAll` of what the group has is to be moved,
   * and it has more than the plan knew.
   */
  async #unmoved(
    groupId: string,
    moves: readonly OffsetMove[],
    { isAll }: { readonly isAll: boolean }
  ): Promise<readonly OffsetMove[] | undefined> {
    const present = new Map<string, StoredOffset>()
    const unknown = new Map<string, number>()
    // Stable: a transaction that is about to commit an offset would write over ours.
    for (const found of await this.#open.admin.fetchGroupOffsets(groupId, undefined, { isStable: true })) {
      if (found.errorCode !== 0) unknown.set(partitionKeyOf(found), found.errorCode)
      else if (found.offset >= 0n) present.set(partitionKeyOf(found), found)
    }
    const planned = new Set(moves.map(partitionKeyOf))
    const moreCount = [...present.keys(), ...unknown.keys()].filter(key => !planned.has(key)).length
    if (isAll && moreCount > 0) {
      const more = `${moreCount} more offset${moreCount === 1 ? '' : 's'}`
      this.#fail(`group ${groupId} has committed ${more} since the plan: left as it is`)
      return undefined
    }
    return moves.filter(move => {
      const key = partitionKeyOf(move)
      const code = unknown.get(key)
      const found = present.get(key)
      if (code !== undefined) this.#fail(`${nameOf(move)} cannot be read: ${kafkaErrorName(code)}; left as it is`)
      else if (isSameOffset(found, move.before)) return true
      else this.#fail(`${nameOf(move)} has moved since the plan, to ${found?.offset ?? 'none'}: left as it is`)
      return false
    })
  }

  async #set(groupId: string, moves: readonly SettingMove[]): Promise<void> {
    const offsets = moves.map(({ topic, partition, after }) => ({ topic, partition, ...after }))
    const answers = await this.#open.admin.alterGroupOffsets(groupId, offsets)
    this.#take(groupId, moves, answers)
  }

  async #remove(groupId: string, moves: readonly OffsetMove[]): Promise<void> {
    const answers = await this.#open.admin.deleteGroupOffsets(groupId, moves)
    this.#take(groupId, moves, answers)
  }

  #take(
    groupId: string,
    moves: readonly OffsetMove[],
    answers: readonly (TopicPartition & { readonly errorCode: number })[]
  ): void {
    const codes = new Map(answers.map(answer => [partitionKeyOf(answer), answer.errorCode]))
    for (const move of moves) {
      const code = codes.get(partitionKeyOf(move))
      if (code === undefined) this.#fail(`${nameOf(move)} of ${groupId}: no answer`)
      else if (code === 0) this.#doneCount += 1
      else this.#fail(`${nameOf(move)} of ${groupId}: ${reasonOf(code)}`)
    }
  }

  async #deleteGroup(groupId: string, offsetCount: number): Promise<void> {
    const [result] = await this.#open.admin.deleteGroups([groupId])
    // A coordinator that ended before it answered is asked again, and finds no group any more.
    const isGone = result?.errorCode === 0 || result?.errorName === 'GROUP_ID_NOT_FOUND'
    if (isGone) this.#doneCount += offsetCount
    else
      this.#fail(`group ${groupId} is not deleted: ${result === undefined ? 'no answer' : reasonOf(result.errorCode)}`)
  }

  /** Kafka forgets an empty group by itself in time: that it is left for now is no failure. */
  async #deleteIfEmpty(groupId: string): Promise<void> {
    const left = await this.#open.admin.fetchGroupOffsets(groupId)
    if (left.every(({ offset, errorCode }) => offset < 0n && errorCode === 0))
      await this.#open.admin.deleteGroups([groupId])
  }
}

type SettingMove = OffsetMove & { readonly after: StoredOffset }

function isSetting(move: OffsetMove): move is SettingMove {
  return move.after !== undefined
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`
}

function reasonOf(code: number): string {
  const name = kafkaErrorName(code)
  if (name === 'UNKNOWN_MEMBER_ID' || name === 'NON_EMPTY_GROUP') return `${name}: somebody is in the group again`
  if (name === 'GROUP_SUBSCRIBED_TO_TOPIC') return `${name}: members of the group read this topic`
  if (name === 'GROUP_AUTHORIZATION_FAILED') return `${name}: it needs the rights Read and Delete on the group`
  if (name === 'TOPIC_AUTHORIZATION_FAILED') return `${name}: it needs the right Read on the topic`
  return name
}

/** Moves in parts that one commit holds. */
export function chunksOf<T extends Pick<OffsetMove, 'after'>>(moves: readonly T[]): T[][] {
  const chunks: T[][] = []
  let chunk: T[] = []
  let characters = 0
  for (const move of moves) {
    const length = move.after?.metadata.length ?? 0
    if (chunk.length >= COMMIT_PARTITIONS_MAX || (chunk.length > 0 && characters + length > COMMIT_TEXT_MAX)) {
      chunks.push(chunk)
      chunk = []
      characters = 0
    }
    chunk.push(move)
    characters += length
  }
  return chunk.length === 0 ? chunks : [...chunks, chunk]
}

/** Ends that are not known: of a topic that is gone. */
export const NO_ENDS: LogEnds = { logStartOffset: 0n, highWatermark: 0n }
