/** Races between appends to the log and what comes to the same group meanwhile, and crashes between the two. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OffsetToCommit } from '../../../src/broker/groups/index.ts'
import { ClassicClient, CoordinatorWorld } from './coordinator-support.ts'
import { ConsumerHarness, namesOf } from './consumer-support.ts'
import { GroupHarness } from './support.ts'

const RETENTION_MS = 7 * 86_400_000

function offsetAt(world: CoordinatorWorld, offset: bigint): OffsetToCommit {
  const commitTimestampMs = world.clock.now()
  return {
    topic: 't',
    partition: 0,
    committed: { offset, leaderEpoch: -1, metadata: '', commitTimestampMs, expireTimestampMs: undefined }
  }
}

const NOBODY = { memberId: '', groupInstanceId: null, generation: -1 }

/*
 * Symptom: SyncGroup of a whole group waits until the clients give up. Cause: the leader's assignment was taken for
 * one that is being written already, and that one was of the generation before. Reach: a slow disk and a rebalance.
 */
test('an assignment is written although that of the generation before is still being written', () => {
  const h = new GroupHarness()
  const first = h.join()
  h.pass(10_000)
  const { memberId } = h.joined(first)
  h.sync(memberId, { [memberId]: 'old' })
  const second = h.join()
  const again = h.join({ memberId })
  assert.equal(h.joined(again).generation, 2)
  const other = h.sync(h.joined(second).memberId)
  const leader = h.sync(memberId, { [memberId]: 'new' })
  h.written()
  assert.ok(h.isParked(leader) && h.isParked(other), 'the old one decides nothing')
  h.written()
  assert.equal(h.synced(leader).assignment.toString(), 'new')
})

/*
 * Symptom: a new member is thrown out of a rebalance that takes longer than its session. Cause: the join that its
 * client repeats after a lost connection put its session in the place of the five minutes that a new member has.
 */
test('a new member that asks to join again while it waits keeps its time', () => {
  const h = new GroupHarness()
  const [old = ''] = h.stable(1)
  const { memberId } = { memberId: `member-${h.join()}` }
  const again = h.join({ memberId })
  h.heartbeat(old)
  for (let passed = 0; passed < 30_000; passed += 5000) {
    h.pass(5000)
    assert.equal(h.heartbeat(old), 'REBALANCE_IN_PROGRESS')
  }
  assert.ok(h.isParked(again), 'the rebalance timeout is 60 s, the session 10 s')
})

/* Kafka: a pending member cannot be a static one. With both, two members would share an instance id. */
test('an id that was handed out to a dynamic member does not take the instance id of a static one', () => {
  const h = new GroupHarness()
  const holder = h.join({ groupInstanceId: 'i' })
  h.pass(10_000)
  const { memberId } = h.joined(holder)
  const pending = h.joined(h.join({ isKnownMemberIdRequired: true })).memberId
  assert.equal(h.joined(h.join({ memberId: pending, groupInstanceId: 'i' })).error, 'FENCED_INSTANCE_ID')
  const identity = { memberId, groupInstanceId: 'i', generation: 1 }
  assert.equal(h.group.heartbeat(identity, h.nowMs), 'NONE')
})

/*
 * Symptom: a commit that was acknowledged is gone. Cause: retention removed the expired offset that it replaced, with
 * a tombstone behind it in the log. Reach: the first commit after the retention, while a check runs.
 */
test('a commit that is being written is not removed with the expired offset that it replaces', async () => {
  const world = new CoordinatorWorld()
  await world.groups.load()
  assert.equal(await world.groups.commitOffsets('g', NOBODY, [offsetAt(world, 1n)]), 'NONE')
  const open = world.log.hold()
  // The check is due with the last of these milliseconds, and nothing else may see the commit before it.
  await world.clock.advance(RETENTION_MS - 1)
  const committing = world.groups.commitOffsets('g', NOBODY, [offsetAt(world, 2n)])
  await world.clock.advance(1)
  const expiring = world.groups.expireOffsets()
  open()
  assert.equal(await committing, 'NONE')
  await expiring
  assert.equal(world.groups.find('g')?.offsets.get('t', 0)?.offset, 2n)
  await world.restart()
  assert.equal(world.groups.find('g')?.offsets.get('t', 0)?.offset, 2n)
})

/*
 * Symptom: two members read one partition. Cause: the classic leader's assignment was being written when the first
 * member of the consumer protocol came; it was handed out, and the upgraded group went on from the one before.
 */
test('a group is upgraded from the assignment that is being written', async () => {
  const world = new CoordinatorWorld()
  const client = new ClassicClient(world)
  assert.equal(await client.join(), 'NONE')
  const open = world.log.hold()
  const syncing = client.sync()
  const joining = world.heartbeat('m')
  await world.pass(0)
  open()
  assert.equal(await syncing, 'NONE')
  const joined = await joining
  assert.deepEqual(client.owned, [0, 1, 2, 3])
  assert.deepEqual([joined.error, world.names(joined)], ['NONE', []], 'the classic member has them all')
})

/*
 * Symptom: partitions that nobody reads, until the next rebalance. Cause: what the last member of the consumer
 * protocol had is shared out by a rebalance of the classic group, and a restart forgot that it was under way.
 */
test('a downgrade that had to rebalance does so after a restart too', async () => {
  const world = new CoordinatorWorld()
  await world.heartbeat('m')
  const client = new ClassicClient(world)
  await client.start()
  assert.deepEqual(client.owned, [], 'they are with the other member still')
  await world.heartbeat('m', { memberEpoch: -1 })
  assert.equal(world.state, 'classic PreparingRebalance')

  await world.restart()
  assert.equal(world.state, 'classic Stable')
  assert.equal(await client.heartbeat(), 'ILLEGAL_GENERATION')
  await client.start()
  assert.deepEqual(client.owned, [0, 1, 2, 3])
})

test('a group whose deletion cannot be written is there with its offsets', async () => {
  const world = new CoordinatorWorld()
  await world.groups.commitOffsets('g', NOBODY, [offsetAt(world, 1n)])
  world.log.error = 'NOT_COORDINATOR'
  assert.equal(await world.groups.deleteGroup('g'), 'NOT_COORDINATOR')
  assert.equal(world.groups.find('g')?.offsets.get('t', 0)?.offset, 1n)
  world.log.error = 'NONE'
  assert.equal(await world.groups.deleteGroup('g'), 'NONE')
  assert.equal(world.groups.find('g'), undefined)
})

/*
 * Symptom: a consumer of the consumer protocol ends with GROUP_ID_NOT_FOUND, which is fatal to clients. Cause: it came
 * while the first members of the classic protocol waited for each other, before a strategy was elected.
 */
test('a group can be upgraded during its first classic rebalance', async () => {
  const world = new CoordinatorWorld({ initialRebalanceDelayMs: 3000 })
  const client = new ClassicClient(world)
  const waiting = client.join()
  const first = await world.heartbeat('m')
  assert.equal(first.error, 'NONE')
  assert.equal(await waiting, 'REBALANCE_IN_PROGRESS')
  await world.restart()
  assert.equal((await world.heartbeat('m', { memberEpoch: first.memberEpoch })).error, 'NONE')

  const again = new ClassicClient(world)
  assert.equal(await again.join(), 'NONE')
  assert.ok(again.generation > 0)
  // The client forgot its id with the refused request; its first membership ends with its session.
  for (let second = 0; second < 12; second += 4) {
    await world.pass(4000)
    const reply = await world.heartbeat('m', { memberEpoch: 0 })
    assert.equal(reply.error, 'NONE')
    if ((await again.heartbeat()) === 'REBALANCE_IN_PROGRESS') await again.join()
    await again.sync()
  }
  assert.equal(again.owned.length, 2)
})

/*
 * Symptom: new members get nothing for hours. Cause: the clock of the machine was set back while the broker was down,
 * so the next assignment was too early for as long. Reach: machines that start without a clock of their own.
 */
test('a clock that was set back between two runs does not hold the next assignment up', () => {
  const h = new ConsumerHarness({ assignmentIntervalMs: 1000 })
  h.topics.set('t', 2)
  const first = h.join('m1')
  h.nowMs -= 3_600_000
  h.restart()

  h.join('m2')

  const told = h.join('m1', { memberEpoch: first.memberEpoch, owned: first.assignment })
  assert.equal(namesOf(told.assignment ?? new Map(), h.topics).length, 1)
})

/*
 * Symptom: two members read one partition until the first one hears of it. Cause: a downgrade in the middle of a
 * reconciliation wrote down what the members were to have, and an upgrade took that for what they had.
 */
test('a group that goes down and up again while it reconciles knows who still has what', async () => {
  const world = new CoordinatorWorld()
  const modern = await world.heartbeat('m')
  const classic = new ClassicClient(world)
  await classic.start()
  const told = await world.heartbeat('m', { memberEpoch: modern.memberEpoch, owned: modern.assignment })
  await world.heartbeat('m', { memberEpoch: modern.memberEpoch, owned: told.assignment })
  await classic.start()
  assert.equal(classic.owned.length, 2)
  await new ClassicClient(world).start()
  await new ClassicClient(world).start()

  await world.heartbeat('m', { memberEpoch: -1 })
  assert.equal(world.state, 'classic PreparingRebalance')
  await world.heartbeat('m2')

  const group = world.groups.find('g')?.group
  assert.ok(group?.type === 'consumer')
  const known = [...(group.known.member(classic.memberId)?.assigned.values() ?? [])].flatMap(each => [...each.keys()])
  assert.deepEqual(new Set(known), new Set(classic.owned), 'it has not been told to give one back')
})
