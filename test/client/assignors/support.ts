/** Groups to assign partitions to, and a coordinator in memory that rebalances them until they settle. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { assign, type AssignorMember, type GroupAssignment } from '../../../src/client/assignors.ts'
import type { TopicPartition } from '../../../src/client/group-types.ts'
import { type Random, randomInt, systemRandom } from '../../../src/core/index.ts'

/** Partitions by member id, each as `topic/number`, sorted. */
export type Plain = Record<string, readonly string[]>

/** A member as the captured rows write it. */
export interface PlainMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly topics: readonly string[]
  readonly owned: readonly string[]
  readonly generation: number
}

/** A row of the fixture that names a group. */
export interface GroupRow {
  readonly kind: string
  readonly assignor: string
  readonly counts: Readonly<Record<string, number>>
  readonly members: readonly PlainMember[]
  readonly result: Plain
  readonly rounds: readonly Plain[]
  readonly isEqual: boolean
}

/** A row of the fixture with bytes that members exchange. */
export interface BytesRow {
  readonly kind: string
  readonly assignor: 'cooperative-sticky' | 'range'
  readonly version: number
  readonly topics: readonly string[]
  readonly owned: readonly string[]
  readonly partitions: readonly string[]
  readonly generation: number
  readonly rackId: string | null
  readonly bytes: string
}

/** Rows of one kind that Kafka's assignors gave (test/fixtures/client). */
export function captured<T extends GroupRow | BytesRow>(kind: T['kind']): T[] {
  const file = join(import.meta.dirname, '..', '..', 'fixtures', 'client', 'assignors.ndjson.gz')
  const lines = gunzipSync(readFileSync(file)).toString('utf8').trimEnd().split('\n')
  // The fixture is ours: Capture.java writes these fields for this kind.
  const rows = lines.map(line => JSON.parse(line) as T).filter(row => row.kind === kind)
  assert.ok(rows.length > 0, `no rows of kind ${kind}`)
  return rows
}

/** A member with defaults: dynamic, wants topic `t`, holds nothing. */
export function member(memberId: string, changes: Partial<PlainMember> = {}): AssignorMember {
  const all: PlainMember = { memberId, groupInstanceId: null, topics: ['t'], owned: [], generation: -1, ...changes }
  return { ...all, owned: all.owned.map(parsePartition) }
}

/** Partition counts from an object. */
export function counts(topics: Readonly<Record<string, number>>): Map<string, number> {
  return new Map(Object.entries(topics))
}

/** `topic/number` of a partition. */
export function key({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

/** The partition that `topic/number` names. */
export function parsePartition(text: string): TopicPartition {
  const at = text.lastIndexOf('/')
  return { topic: text.slice(0, at), partition: Number(text.slice(at + 1)) }
}

/** An assignment as the captured rows write it. */
export function plain(assignment: GroupAssignment): Plain {
  const byMember = [...assignment].sort(([left], [right]) => compareText(left, right))
  return Object.fromEntries(byMember.map(([id, partitions]) => [id, sortPartitions(partitions).map(key)]))
}

function sortPartitions(partitions: readonly TopicPartition[]): TopicPartition[] {
  return [...partitions].sort((a, b) => compareText(a.topic, b.topic) || a.partition - b.partition)
}

function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

/** A group between two rebalances. */
export interface Group {
  members: AssignorMember[]
  counts: ReadonlyMap<string, number>
  generation: number
}

/** A new group whose members hold nothing. */
export function newGroup(members: AssignorMember[], topics: ReadonlyMap<string, number>): Group {
  return { members, counts: topics, generation: 0 }
}

/**
 * One round of `cooperative-sticky` as members of Kafka's consumer live it: who was not assigned a partition that it
 * holds gives it back. Checks that no partition has two holders at any moment of the round.
 *
 * @returns Whether the group has settled: nobody had to give anything back, and so nobody joins again.
 */
export function rebalance(group: Group): boolean {
  const assignment = assign('cooperative-sticky', group.members, group.counts)
  checkExclusive(group, assignment)
  group.generation += 1
  let isSettled = true
  group.members = group.members.map(before => {
    const owned = assignment.get(before.memberId)
    assert.ok(owned !== undefined, `${before.memberId} has no entry`)
    const assigned = new Set(owned.map(key))
    if (!before.owned.every(partition => assigned.has(key(partition)))) isSettled = false
    return { ...before, owned, generation: group.generation }
  })
  return isSettled
}

/** Rebalances until the group has settled. @returns How many rounds it took. */
export function settle(group: Group): number {
  const roundsMax = 10
  for (let round = 1; round <= roundsMax; round++) if (rebalance(group)) return round
  assert.fail(`not settled after ${roundsMax} rounds`)
}

/** Nobody is assigned a partition that another one holds or is assigned: holders revoke later than others begin. */
export function checkExclusive(group: Group, assignment: GroupAssignment): void {
  const users = new Map<string, Set<string>>()
  const use = (partition: TopicPartition, memberId: string): void => {
    const ids = users.get(key(partition)) ?? new Set()
    users.set(key(partition), ids.add(memberId))
  }
  for (const { memberId, owned } of group.members) for (const partition of owned) use(partition, memberId)
  for (const [memberId, partitions] of assignment) {
    assert.equal(new Set(partitions.map(key)).size, partitions.length, `${memberId} is assigned a partition twice`)
    for (const partition of partitions) use(partition, memberId)
  }
  const shared = [...users].filter(([, ids]) => ids.size > 1)
  assert.deepEqual(shared, [], 'a partition has two holders')
}

/** All partitions of topics that somebody wants. */
export function wantedPartitions(group: Group): string[] {
  return [...group.counts].flatMap(([topic, count]) =>
    group.members.some(({ topics }) => topics.includes(topic))
      ? Array.from({ length: count }, (_, partition) => key({ topic, partition }))
      : []
  )
}

/** Checks that every partition that somebody wants has one owner, who wants it, and that nothing else is assigned. */
export function checkComplete(group: Group, assignment: Plain): void {
  assert.deepEqual(Object.values(assignment).flat().sort(), wantedPartitions(group).sort())
  for (const { memberId, topics } of group.members) {
    const unwanted = (assignment[memberId] ?? []).filter(text => !topics.includes(parsePartition(text).topic))
    assert.deepEqual(unwanted, [], `${memberId} does not want these`)
  }
}

/** What the members of a group hold now. */
export function held(group: Group): Plain {
  return plain(new Map(group.members.map(({ memberId, owned }) => [memberId, [...owned]])))
}

/** Partitions that changed hands, without those whose holder left, or no longer wants them, or that are new. */
export function movedCount(
  before: Plain,
  after: Plain,
  members: readonly { memberId: string; topics: readonly string[] }[]
): number {
  const newOwner = new Map(Object.entries(after).flatMap(([id, partitions]) => partitions.map(text => [text, id])))
  return Object.entries(before)
    .flatMap(([id, partitions]) => partitions.map(text => ({ id, text })))
    .filter(({ id, text }) => {
      const topics = members.find(({ memberId }) => memberId === id)?.topics ?? []
      return topics.includes(parsePartition(text).topic) && newOwner.has(text) && newOwner.get(text) !== id
    }).length
}

/** Loads of all members, smallest first. */
export function loads(assignment: Plain): number[] {
  return Object.values(assignment)
    .map(partitions => partitions.length)
    .sort((left, right) => left - right)
}

/** Sum of the squares of all loads: the lower, the better balanced. */
export function unevenness(assignment: Plain): number {
  return loads(assignment).reduce((sum, load) => sum + load * load, 0)
}

/** A seed for a random test: printed, and taken back from `TEST_SEED`. */
export function seedOf(t: { diagnostic(message: string): void }): number {
  const seed = Number(process.env['TEST_SEED'] ?? randomInt(systemRandom, 1_000_000_000))
  t.diagnostic(`TEST_SEED=${seed}`)
  return seed
}

/** The items in random order. */
export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  return items
    .map(item => ({ item, rank: random.next() }))
    .sort((left, right) => left.rank - right.rank)
    .map(({ item }) => item)
}

/** One to all of the items, in random order. */
export function someOf<T>(random: Random, items: readonly T[]): T[] {
  return shuffled(random, items).slice(0, 1 + randomInt(random, items.length))
}
