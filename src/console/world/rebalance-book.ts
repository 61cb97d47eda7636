/**
 * Rebalances, as far as looks can show them: members that joined and left, partitions that moved, and how long the
 * group took to come to rest. Pure: looks in, entries out.
 *
 * A rebalance that begins and ends between two looks is seen by what it left behind: other member ids, or other
 * owners. One that ends with everything as it was is not. What comes within `JOIN_MS` of the last change belongs to it:
 * cooperative assignors take two rounds.
 *
 * Invariants: a group is compared only with a look at its members, never with one that could not see them; the first
 * look at a group is no rebalance if the console has just begun, or had to begin anew.
 *
 * Limits: `ENTRIES_MAX` entries, the oldest go; `NAMES_MAX` names in each.
 */

import type { GroupMemberDescription } from '../../client/index.ts'
import type { ScannedGroup } from '../../ops/index.ts'
import type { RebalanceEntry } from '../api/groups.ts'
import { memberLabel } from './member-label.ts'

/** Entries that are kept, all groups together. */
export const ENTRIES_MAX = 2000
/** Names that an entry holds at most, of those that joined and of those that left. */
export const NAMES_MAX = 50
/** Changes that are as close as this are one rebalance, in milliseconds. */
const JOIN_MS = 5000

/** States in which a group shares out its partitions. Source: Kafka `ClassicGroupState`, `ConsumerGroupState`. */
const UNSETTLED: ReadonlySet<string> = new Set([
  'PreparingRebalance',
  'CompletingRebalance',
  'Assigning',
  'Reconciling'
])

/** One look, as far as rebalances go. */
export interface GroupsSeen {
  readonly groups: readonly ScannedGroup[]
  /** Whether all groups were told: one that is absent is gone. */
  readonly isWhole: boolean
  readonly takenAtMs: number
}

type Members = readonly GroupMemberDescription[]

interface Watched {
  members: Members
  open: Entry | undefined
  lastMs: number | undefined
}

type Entry = { -readonly [Name in keyof RebalanceEntry]: RebalanceEntry[Name] }

/** See the module. */
export class RebalanceBook {
  readonly #groups = new Map<string, Watched>()
  /** Oldest first. */
  #entries: Entry[] = []
  #beforeMs: number | undefined

  /** Takes note of a look. */
  see({ groups, isWhole, takenAtMs }: GroupsSeen): void {
    // A clock that was set back says nothing of what came after what.
    if (this.#beforeMs !== undefined && takenAtMs < this.#beforeMs) this.beginAnew()
    const ids = new Set<string>()
    for (const group of groups) {
      ids.add(group.groupId)
      if (group.members !== undefined) this.#seeGroup(group, group.members, takenAtMs)
    }
    if (isWhole) for (const id of this.#groups.keys()) if (!ids.has(id)) this.#groups.delete(id)
    this.#beforeMs = takenAtMs
    if (this.#entries.length > ENTRIES_MAX) this.#entries = this.#entries.slice(-ENTRIES_MAX)
  }

  /** Forgets what groups were like: the next look compares with nothing. What was seen stays. */
  beginAnew(): void {
    this.#groups.clear()
    this.#beforeMs = undefined
  }

  /** Newest first. */
  entries(groupId?: string): RebalanceEntry[] {
    const found: RebalanceEntry[] = []
    for (let index = this.#entries.length - 1; index >= 0; index -= 1) {
      const entry = this.#entries[index]
      if (entry !== undefined && (groupId === undefined || entry.groupId === groupId)) found.push({ ...entry })
    }
    return found
  }

  /** When members or partitions last changed hands; `undefined` = not since it began. */
  lastMs(groupId: string): number | undefined {
    return this.#groups.get(groupId)?.lastMs
  }

  #seeGroup(group: ScannedGroup, members: Members, nowMs: number): void {
    const known = this.#groups.get(group.groupId)
    const watched: Watched = known ?? { members, open: undefined, lastMs: undefined }
    if (known === undefined) this.#groups.set(group.groupId, watched)
    const settledAtMs = watched.open?.settledAtMs ?? nowMs
    if (nowMs - settledAtMs >= JOIN_MS) watched.open = undefined
    const isNew = known === undefined && this.#beforeMs !== undefined
    const before: Members = isNew ? [] : watched.members
    const isUnsettled = UNSETTLED.has(group.state)
    const change = before === members ? undefined : changeOf(before, members)
    watched.members = members
    if (change !== undefined || isUnsettled) {
      const entry = this.#entryOf(watched, group, nowMs)
      if (change !== undefined) take(entry, change)
      watched.open = entry
      watched.lastMs = nowMs
    }
    const { open } = watched
    if (open === undefined) return
    open.state = group.state
    open.memberCount = members.length
    open.partitionCount = members.reduce((sum, { assignment }) => sum + assignment.length, 0)
    if (isUnsettled) open.settledAtMs = null
    else open.settledAtMs ??= nowMs
  }

  /** The entry that goes on, or a new one. */
  #entryOf({ open }: Watched, { groupId, state }: ScannedGroup, nowMs: number): Entry {
    if (open !== undefined) {
      // It was not over after all.
      open.settledAtMs = null
      return open
    }
    const entry: Entry = {
      atMs: nowMs,
      afterMs: this.#beforeMs ?? nowMs,
      groupId,
      settledAtMs: null,
      joined: [],
      left: [],
      moved: 0,
      memberCount: 0,
      partitionCount: 0,
      state
    }
    this.#entries.push(entry)
    return entry
  }
}

interface Change {
  readonly joined: readonly string[]
  readonly left: readonly string[]
  readonly moved: number
}

function take(entry: Entry, { joined, left, moved }: Change): void {
  entry.joined = [...entry.joined, ...joined].slice(0, NAMES_MAX)
  entry.left = [...entry.left, ...left].slice(0, NAMES_MAX)
  entry.moved += moved
}

/** `undefined` = nothing has changed. */
function changeOf(before: Members, after: Members): Change | undefined {
  if (isSame(before, after)) return undefined
  const idsBefore = new Set(before.map(({ memberId }) => memberId))
  const idsAfter = new Set(after.map(({ memberId }) => memberId))
  const joined = after.filter(({ memberId }) => !idsBefore.has(memberId)).map(memberLabel)
  const left = before.filter(({ memberId }) => !idsAfter.has(memberId)).map(memberLabel)
  const moved = movedOf(before, after)
  return joined.length === 0 && left.length === 0 && moved === 0 ? undefined : { joined, left, moved }
}

/** The usual case, without a set or a map: the same members with the same partitions in the same order. */
function isSame(before: Members, after: Members): boolean {
  if (before.length !== after.length) return false
  return before.every((member, index) => {
    const other = after[index]
    if (other === undefined || member.memberId !== other.memberId) return false
    if (member.assignment.length !== other.assignment.length) return false
    return member.assignment.every(({ topic, partition }, at) => {
      const there = other.assignment[at]
      return there?.partition === partition && there.topic === topic
    })
  })
}

/** Partitions that have another owner than before, or had none, or have none any more. */
function movedOf(before: Members, after: Members): number {
  const owners = new Map<string, string>()
  for (const { memberId, assignment } of before) {
    for (const { topic, partition } of assignment) owners.set(`${topic} ${partition}`, memberId)
  }
  let moved = 0
  for (const { memberId, assignment } of after) {
    for (const { topic, partition } of assignment) {
      const key = `${topic} ${partition}`
      if (owners.get(key) !== memberId) moved += 1
      owners.delete(key)
    }
  }
  return moved + owners.size
}
