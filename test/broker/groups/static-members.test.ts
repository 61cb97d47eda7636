import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GroupHarness } from './support.ts'

/** Two static members, stable; returns their member ids, leader first. */
function stableStatic(h: GroupHarness): [string, string] {
  const tokens = [h.join({ groupInstanceId: 'i-1' }), h.join({ groupInstanceId: 'i-2' })]
  h.pass(10_000)
  const [a = '', b = ''] = tokens.map(token => h.joined(token).memberId)
  h.sync(b, {}, { groupInstanceId: 'i-2' })
  h.sync(a, { [a]: 'p0', [b]: 'p1' }, { groupInstanceId: 'i-1' })
  h.written()
  return [a, b]
}

test('a static member that returns replaces itself without a rebalance and keeps its assignment', () => {
  const h = new GroupHarness()
  const [, old] = stableStatic(h)
  const token = h.join({ groupInstanceId: 'i-2', canSkipAssignment: true })
  assert.ok(h.isParked(token), 'the new id is told when it is written')
  h.written()
  const reply = h.joined(token)
  assert.equal(reply.error, 'NONE')
  assert.notEqual(reply.memberId, old)
  assert.equal(reply.generation, 1)
  assert.equal(h.group.state, 'Stable')
  const sync = h.sync(reply.memberId, {}, { groupInstanceId: 'i-2' })
  assert.equal(h.synced(sync).assignment.toString(), 'p1')
})

test('the old owner of an instance id is fenced', () => {
  const h = new GroupHarness()
  const [, old] = stableStatic(h)
  h.join({ groupInstanceId: 'i-2' })
  h.written()
  const beat = h.group.heartbeat({ memberId: old, groupInstanceId: 'i-2', generation: 1 }, h.nowMs)
  assert.equal(beat, 'FENCED_INSTANCE_ID')
  const sync = h.sync(old, {}, { groupInstanceId: 'i-2' })
  assert.equal(h.synced(sync).error, 'FENCED_INSTANCE_ID')
})

test('a returning static leader of version 9 is told to skip the assignment and sees the members', () => {
  const h = new GroupHarness()
  stableStatic(h)
  const token = h.join({ groupInstanceId: 'i-1', canSkipAssignment: true })
  h.written()
  const reply = h.joined(token)
  assert.equal(reply.isAssignmentSkipped, true)
  assert.equal(reply.leader, reply.memberId)
  assert.equal(reply.members.length, 2)
})

test('a returning static leader of an older version sees the old leader id, so that it does not assign', () => {
  const h = new GroupHarness()
  const [oldLeader] = stableStatic(h)
  const token = h.join({ groupInstanceId: 'i-1', canSkipAssignment: false })
  h.written()
  const reply = h.joined(token)
  assert.equal(reply.leader, oldLeader)
  assert.deepEqual(reply.members, [])
  assert.equal(reply.isAssignmentSkipped, false)
})

test('a returning static member whose preference changes the vote starts a rebalance', () => {
  const h = new GroupHarness()
  const offer = (...names: string[]): { name: string; metadata: Buffer }[] =>
    names.map(name => ({ name, metadata: Buffer.from('topics') }))
  const tokens = [
    h.join({ groupInstanceId: 'i-1', protocols: offer('range', 'sticky') }),
    h.join({ groupInstanceId: 'i-2', protocols: offer('sticky', 'range') }),
    h.join({ groupInstanceId: 'i-3', protocols: offer('range', 'sticky') })
  ]
  h.pass(6000)
  assert.equal(h.group.protocolName, 'range')
  h.syncAll(tokens.map(token => h.joined(token).memberId))
  h.join({ groupInstanceId: 'i-3', protocols: offer('sticky', 'range') })
  assert.equal(h.group.state, 'PreparingRebalance')
})

test('a static member that is late for a rebalance stays until its session ends', () => {
  const h = new GroupHarness()
  const timeouts = { sessionTimeoutMs: 100_000, rebalanceTimeoutMs: 20_000 }
  const tokens = [h.join({ groupInstanceId: 'i-1', ...timeouts }), h.join(timeouts)]
  h.pass(6000)
  const [staticId = '', dynamicId = ''] = tokens.map(token => h.joined(token).memberId)
  h.syncAll([staticId, dynamicId])
  const changed = [{ name: 'range', metadata: Buffer.from('changed') }]
  const token = h.join({ memberId: dynamicId, protocols: changed, ...timeouts })
  h.pass(20_000)
  assert.equal(h.joined(token).members.length, 2, 'the static member is still counted')
})

test('the admin client removes a static member by its instance id alone', () => {
  const h = new GroupHarness()
  stableStatic(h)
  const leaving = [
    { memberId: '', groupInstanceId: 'i-2' },
    { memberId: '', groupInstanceId: 'i-9' },
    { memberId: 'somebody-else', groupInstanceId: 'i-1' }
  ]
  const effects = h.group.leave(leaving, h.nowMs)
  assert.deepEqual(effects.errors, ['NONE', 'UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID'])
  assert.equal(h.group.state, 'PreparingRebalance')
})
