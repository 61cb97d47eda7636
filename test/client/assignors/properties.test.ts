/**
 * What must hold for every group, tried on random ones through joins, departures, changes of subscriptions and topics.
 *
 *     TEST_SEED=123 node --test test/client/assignors/properties.test.ts
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assign, type AssignorMember } from '../../../src/client/assignors.ts'
import { type Random, randomInt, SeededRandom } from '../../../src/core/index.ts'
import {
  checkComplete,
  checkExclusive,
  type Group,
  held,
  key,
  loads,
  member,
  movedCount,
  newGroup,
  parsePartition,
  plain,
  type Plain,
  rebalance,
  seedOf,
  settle,
  shuffled,
  someOf,
  wantedPartitions
} from './support.ts'

const groupCount = 150
const changesMax = 6
const allTopics = ['a', 'b', 'c', 'd']
const assignors = ['cooperative-sticky', 'range', 'roundrobin']

test('with equal subscriptions, loads differ by one at most after two rounds, with as few moves as possible', t => {
  for (const { random, seed } of randoms(seedOf(t))) {
    const group = randomGroup(random, true)
    settle(group)
    for (let change = 0; change < changesMax; change++) {
      changeGroup(random, group, true)
      const before = held(group)
      const movesMin = fewestMoves(group)
      assert.ok(settle(group) <= 2, `TEST_SEED=${seed}`)
      checkComplete(group, held(group))
      const [least = 0] = loads(held(group))
      assert.ok((loads(held(group)).at(-1) ?? 0) - least <= 1, `TEST_SEED=${seed}`)
      assert.equal(movedCount(before, held(group), group.members), movesMin, `TEST_SEED=${seed}`)
    }
  }
})

test('with different subscriptions, groups end complete and so that no chain of moves would balance them better', t => {
  for (const { random, seed } of randoms(seedOf(t))) {
    const group = randomGroup(random, false)
    settle(group)
    for (let change = 0; change < changesMax; change++) {
      changeGroup(random, group, false)
      assert.ok(settle(group) <= 2, `TEST_SEED=${seed}`)
      checkComplete(group, held(group))
      assert.deepEqual(improvable(group), [], `TEST_SEED=${seed}`)
    }
  }
})

test('a group that changes between the rounds of a rebalance never has two holders, and settles once left alone', t => {
  for (const { random } of randoms(seedOf(t))) {
    const group = randomGroup(random, randomInt(random, 2) === 0)
    for (let change = 0; change < changesMax; change++) {
      rebalance(group)
      changeGroup(random, group, false)
    }
    assert.ok(settle(group) <= 2, 'more than two rounds')
    checkComplete(group, held(group))
  }
})

test('a settled group that rebalances for no reason keeps everything', t => {
  for (const { random, seed } of randoms(seedOf(t))) {
    const group = randomGroup(random, false)
    settle(group)
    const before = held(group)
    assert.equal(settle(group), 1, `TEST_SEED=${seed}`)
    assert.deepEqual(held(group), before, `TEST_SEED=${seed}`)
  }
})

test('the order in which members and topics are named makes no difference', t => {
  for (const { random, seed } of randoms(seedOf(t))) {
    const group = randomGroup(random, false)
    rebalance(group)
    changeGroup(random, group, false)
    const members = shuffled(random, group.members).map(it => ({ ...it, topics: shuffled(random, it.topics) }))
    const counts = new Map(shuffled(random, [...group.counts]))
    for (const assignor of assignors) {
      const expected = plain(assign(assignor, group.members, group.counts))
      assert.deepEqual(plain(assign(assignor, members, counts)), expected, `${assignor} TEST_SEED=${seed}`)
    }
  }
})

test('the order in which members name what they hold makes no difference', t => {
  for (const { random, seed } of randoms(seedOf(t))) {
    const group = randomGroup(random, false)
    settle(group)
    changeGroup(random, group, false)
    const members = group.members.map(it => ({ ...it, owned: shuffled(random, it.owned) }))
    const expected = plain(assign('cooperative-sticky', group.members, group.counts))
    assert.deepEqual(plain(assign('cooperative-sticky', members, group.counts)), expected, `TEST_SEED=${seed}`)
  }
})

test('eager assignors give every partition to one member, and to nobody while another one holds it', t => {
  for (const { random } of randoms(seedOf(t))) {
    const group = randomGroup(random, false)
    for (const assignor of ['range', 'roundrobin']) {
      const assignment = assign(assignor, group.members, group.counts)
      checkComplete(group, plain(assignment))
    }
    settle(group)
    changeGroup(random, group, false)
    for (const assignor of ['range', 'roundrobin']) {
      checkExclusive(group, assign(assignor, group.members, group.counts))
    }
  }
})

test('whatever members claim, a partition goes to nobody but its newest claimant, and the group settles', t => {
  for (const { random, seed } of randoms(seedOf(t))) {
    const group = randomGroup(random, false)
    group.members = group.members.map(it => ({ ...it, ...randomClaims(random, group) }))
    for (const assignor of assignors) {
      const assignment = plain(assign(assignor, group.members, group.counts))
      const all = Object.values(assignment).flat()
      assert.equal(new Set(all).size, all.length, `${assignor} TEST_SEED=${seed}`)
      for (const [memberId, partitions] of Object.entries(assignment)) {
        for (const partition of partitions) {
          const claimants = newestClaimants(group, partition)
          assert.ok(
            claimants.every(id => id === memberId),
            `${assignor} ${partition} TEST_SEED=${seed}`
          )
        }
      }
    }
    giveBackAllButAssigned(group)
    assert.ok(settle(group) <= 2, 'more than two rounds')
    checkComplete(group, held(group))
  }
})

function* randoms(seed: number): Generator<{ random: Random; seed: number }> {
  const first = new SeededRandom(seed)
  for (let index = 0; index < groupCount; index++) {
    const random = index === 0 ? new SeededRandom(seed) : new SeededRandom(randomInt(first, 1_000_000_000))
    yield { random, seed }
  }
}

function randomGroup(random: Random, isEqual: boolean): Group {
  const counts = new Map(someOf(random, allTopics).map(topic => [topic, 1 + randomInt(random, 8)]))
  const topics = isEqual ? [...counts.keys()] : undefined
  const members = Array.from({ length: 1 + randomInt(random, 6) }, (_, index) => randomMember(random, index, topics))
  return newGroup(members, counts)
}

function randomMember(random: Random, index: number, topics = someOf(random, allTopics)): AssignorMember {
  const id = `${randomInt(random, 1_000)}-${index}`
  return member(`m${id}`, { topics, groupInstanceId: randomInt(random, 4) === 0 ? `i${id}` : null })
}

/** One to three changes at once. */
function changeGroup(random: Random, group: Group, isEqual: boolean): void {
  const changes = [join, leave, restart, grow, ...(isEqual ? [] : [resubscribe, createTopic, deleteTopic])]
  for (const change of someOf(random, changes).slice(0, 3)) change(random, group, isEqual)
}

function join(random: Random, group: Group, isEqual: boolean): void {
  const topics = isEqual ? group.members[0]?.topics : undefined
  const index = 100 + group.generation * 10 + randomInt(random, 10)
  const joined = randomMember(random, index, topics === undefined ? undefined : [...topics])
  group.members = shuffled(random, [...group.members, joined])
}

function leave(random: Random, group: Group): void {
  if (group.members.length > 1) group.members = group.members.toSpliced(randomInt(random, group.members.length), 1)
}

/** A member that lost what it held, and comes back under the same id. */
function restart(random: Random, group: Group): void {
  changeOne(random, group, it => ({ ...it, owned: [], generation: -1 }))
}

/** As the consumer does: what it no longer wants is given back before it joins. */
function resubscribe(random: Random, group: Group): void {
  const topics = someOf(random, allTopics)
  changeOne(random, group, it => ({ ...it, topics, owned: it.owned.filter(({ topic }) => topics.includes(topic)) }))
}

function changeOne(random: Random, group: Group, change: (it: AssignorMember) => AssignorMember): void {
  const index = randomInt(random, group.members.length)
  group.members = group.members.map((it, at) => (at === index ? change(it) : it))
}

function grow(random: Random, group: Group): void {
  group.counts = new Map([...group.counts].map(([topic, count]) => [topic, count + randomInt(random, 3)]))
}

function createTopic(random: Random, group: Group): void {
  const [topic = 'a'] = shuffled(random, allTopics)
  group.counts = new Map([[topic, 1 + randomInt(random, 8)], ...group.counts])
}

function deleteTopic(random: Random, group: Group): void {
  group.counts = new Map(shuffled(random, [...group.counts]).slice(1))
}

function randomClaims(random: Random, group: Group): Pick<AssignorMember, 'owned' | 'generation'> {
  const all = [...group.counts].flatMap(([topic, count]) =>
    Array.from({ length: count + 1 }, (_, partition) => ({ topic, partition }))
  )
  return { owned: someOf(random, all), generation: randomInt(random, 4) - 1 }
}

function newestClaimants(group: Group, partition: string): string[] {
  const claimants = group.members.filter(({ owned }) => owned.map(key).includes(partition))
  const newest = Math.max(...claimants.map(({ generation }) => generation))
  return claimants.filter(({ generation }) => generation === newest).map(({ memberId }) => memberId)
}

/** One round in which members began with claims that contradict each other. */
function giveBackAllButAssigned(group: Group): void {
  const assignment = assign('cooperative-sticky', group.members, group.counts)
  group.members = group.members.map(it => ({ ...it, owned: assignment.get(it.memberId) ?? [], generation: 10 }))
  group.generation = 10
}

/** Least number of partitions that members with equal subscriptions must pass on: those above their share. */
function fewestMoves(group: Group): number {
  const wanted = new Set(wantedPartitions(group))
  const kept = group.members.map(({ owned }) => owned.filter(partition => wanted.has(key(partition))).length)
  const share = Math.floor(wanted.size / group.members.length)
  const extra = wanted.size % group.members.length
  return kept
    .sort((left, right) => right - left)
    .map((load, rank) => Math.max(0, load - share - (rank < extra ? 1 : 0)))
    .reduce((sum, moves) => sum + moves, 0)
}

/** Pairs of members between which a partition could go, directly or through others, and make the loads more even. */
function improvable(group: Group): string[] {
  const ids = group.members.map(({ memberId }) => memberId)
  const assignment: Plain = held(group)
  const topicsOf = (id: string): string[] => (assignment[id] ?? []).map(text => parsePartition(text).topic)
  const reach = new Map(
    ids.map(id => [
      id,
      new Set(group.members.filter(to => to.topics.some(it => topicsOf(id).includes(it))).map(it => it.memberId))
    ])
  )
  // Transitive closure (Warshall).
  for (const via of ids) {
    for (const from of ids) {
      if (reach.get(from)?.has(via) !== true) continue
      for (const to of reach.get(via) ?? []) reach.get(from)?.add(to)
    }
  }
  const load = (id: string): number => assignment[id]?.length ?? 0
  return ids.flatMap(from =>
    [...(reach.get(from) ?? [])].filter(to => load(from) - load(to) >= 2).map(to => `${from} ${to}`)
  )
}
