/** Assignments and bytes that Apache Kafka's own client gave for the same groups. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assign } from '../../../src/client/assignors.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription
} from '../../../src/client/group-protocol.ts'
import {
  type BytesRow,
  captured,
  counts,
  type GroupRow,
  held,
  key,
  loads,
  member,
  movedCount,
  newGroup,
  parsePartition,
  plain,
  settle,
  unevenness
} from './support.ts'

test('range and roundrobin give what the assignors of Kafka give', () => {
  for (const [index, row] of captured<GroupRow>('eager').entries()) {
    const members = row.members.map(it => member(it.memberId, it))
    assert.deepEqual(plain(assign(row.assignor, members, counts(row.counts))), row.result, `row ${index}`)
  }
})

test('of two that claim a partition the newer keeps it, equals both give it back', () => {
  for (const row of captured<GroupRow>('conflict')) {
    const members = row.members.map(it => member(it.memberId, it))
    assert.deepEqual(plain(assign(row.assignor, members, counts(row.counts))), row.result, JSON.stringify(row.members))
  }
})

test('with equal subscriptions, cooperative-sticky ends with the loads and the moves of Kafka, no more rounds', () => {
  for (const row of captured<GroupRow>('sticky').filter(({ isEqual }) => isEqual)) {
    const { group, rounds, before } = rebalanced(row)
    const kafka = lastRound(row)
    assert.deepEqual(loads(held(group)), loads(kafka))
    assert.equal(movedCount(before, held(group), row.members), movedCount(before, kafka, row.members))
    assert.ok(rounds <= Math.max(2, row.rounds.length), `${rounds} rounds`)
  }
})

test('with different subscriptions, cooperative-sticky balances at least as well as Kafka', () => {
  for (const row of captured<GroupRow>('sticky').filter(({ isEqual }) => !isEqual)) {
    const { group } = rebalanced(row)
    assert.ok(unevenness(held(group)) <= unevenness(lastRound(row)), JSON.stringify(row))
  }
})

test('a subscription has the bytes of a Kafka consumer', () => {
  const newest = captured<BytesRow>('subscription').filter(({ version }) => version === 3)
  for (const { assignor, topics, owned, generation, rackId, bytes } of newest) {
    const encoded = encodeSubscription(assignor, { topics, owned: owned.map(parsePartition), generation, rackId })
    assert.equal(encoded.toString('base64'), bytes)
  }
})

test('the subscription of a Kafka consumer is understood in every version', () => {
  for (const { assignor, version, topics, owned, generation, bytes } of captured<BytesRow>('subscription')) {
    const metadata = Buffer.from(bytes, 'base64')
    const read = decodeSubscription({ memberId: 'm', groupInstanceId: null, metadata }, assignor)
    // Before version 2 only the user data of cooperative-sticky tells the generation; before version 1 nothing is held.
    const isTold = version >= 2 || assignor === 'cooperative-sticky'
    assert.deepEqual(read.topics, topics)
    assert.deepEqual(read.owned.map(key), version >= 1 ? owned : [])
    assert.equal(read.generation, isTold ? generation : -1, `version ${version}`)
  }
})

test('an assignment has the bytes of a Kafka leader, and its bytes are understood', () => {
  for (const { partitions, bytes } of captured<BytesRow>('assignment')) {
    assert.equal(encodeAssignment(partitions.map(parsePartition)).toString('base64'), bytes)
    assert.deepEqual(decodeAssignment(Buffer.from(bytes, 'base64')).map(key), partitions)
  }
})

function rebalanced(row: GroupRow): { group: ReturnType<typeof newGroup>; rounds: number; before: GroupRow['result'] } {
  const group = newGroup(
    row.members.map(it => member(it.memberId, it)),
    counts(row.counts)
  )
  group.generation = Math.max(...row.members.map(({ generation }) => generation))
  const before = held(group)
  const rounds = settle(group)
  return { group, rounds, before }
}

function lastRound(row: GroupRow): GroupRow['result'] {
  const last = row.rounds.at(-1)
  assert.ok(last !== undefined)
  return last
}
