import assert from 'node:assert/strict'
import { test } from 'node:test'

import { blockersOf, type GroupLook } from '../../../src/ops/offsets/group-look.ts'
import { chunksOf } from '../../../src/ops/offsets/offsets-change.ts'

const idle: GroupLook = {
  groupId: 'g',
  state: 'Empty',
  groupType: 'classic',
  protocolType: 'consumer',
  assignor: '',
  coordinatorId: 1,
  members: [],
  offsets: new Map(),
  problems: []
}

function reasonOf(group: Partial<GroupLook>): string {
  return blockersOf({ ...idle, ...group }).join(' ')
}

test('offsets are set of groups that nobody is in, and of none that mean something else by them', () => {
  assert.equal(reasonOf({}), '')
  assert.equal(reasonOf({ state: 'Dead', groupType: undefined, protocolType: '' }), '')
  assert.equal(reasonOf({ groupType: 'consumer' }), '')
  assert.match(
    reasonOf({ state: 'PreparingRebalance' }),
    /at work \(PreparingRebalance\): members that are just joining/
  )
  assert.match(reasonOf({ groupType: 'share' }), /share group.*kafka-share-groups\.sh/)
  assert.match(
    reasonOf({ groupType: 'streams', state: 'Stable' }),
    /streams group.*kafka-streams-application-reset\.sh/
  )
  assert.match(reasonOf({ protocolType: 'connect' }), /one of "connect"/)
  assert.match(reasonOf({ problems: ['no right'] }), /^group g: no right$/)
})

test('whoever is at work is named, at most five, static members by their instance', () => {
  const members = Array.from({ length: 7 }, (_, index) => ({
    memberId: `m${index}`,
    groupInstanceId: index === 0 ? 'orders-0' : null,
    clientId: 'comporta-dispatcher',
    clientHost: '/10.0.0.4',
    assignment: []
  }))
  const text = reasonOf({ state: 'Stable', members })
  assert.match(text, /orders-0 \(client id comporta-dispatcher, 10\.0\.0\.4\), m1 .*, m4 .* and 2 more\./)
  assert.match(text, /remove-member/)
})

test('commits are cut so that each fits into one record of Kafka’s own topic', () => {
  const move = (length: number): { after: { offset: bigint; leaderEpoch: number; metadata: string } } => ({
    after: { offset: 1n, leaderEpoch: -1, metadata: 'x'.repeat(length) }
  })
  const sizes = (moves: ReturnType<typeof move>[]): number[] => chunksOf(moves).map(chunk => chunk.length)
  assert.deepEqual(sizes([]), [])
  assert.deepEqual(sizes(Array.from({ length: 2500 }, () => move(0))), [1000, 1000, 500])
  assert.deepEqual(sizes(Array.from({ length: 100 }, () => move(4096))), [64, 36])
})
