/** Consumer groups at the coordinator: writes that fail, restarts, deadlines, conversions. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Partitions } from '../../../src/broker/groups/index.ts'
import { ClassicClient, CoordinatorWorld } from './coordinator-support.ts'

const ALL = ['t-0', 't-1', 't-2', 't-3']

test('a heartbeat that cannot be written changes nothing, and the next one finds everything to do', async () => {
  const world = new CoordinatorWorld()
  world.log.error = 'NOT_COORDINATOR'
  const refused = await world.heartbeat('m')
  assert.deepEqual([refused.error, refused.assignment], ['NOT_COORDINATOR', null])
  assert.equal(world.state, 'none')

  world.log.error = 'NONE'
  assert.deepEqual(world.names(await world.heartbeat('m')), ALL)

  world.topics.set('t', 6)
  world.log.error = 'NOT_COORDINATOR'
  assert.equal((await world.heartbeat('m', { memberEpoch: 2 })).error, 'NOT_COORDINATOR')
  world.log.error = 'NONE'
  const grown = await world.heartbeat('m', { memberEpoch: 2 })
  assert.deepEqual(world.names(grown), [...ALL, 't-4', 't-5'])
})

test('a restart goes on where the group was: epochs, owners, what is pending', async () => {
  const world = new CoordinatorWorld()
  const first = await world.heartbeat('m1')
  await world.heartbeat('m2')
  const owned = first.assignment
  const told = await world.heartbeat('m1', { memberEpoch: 2, owned })
  assert.equal(world.names(told)?.length, 2, 'told to give two back')

  await world.restart()
  assert.equal(world.state, 'consumer Reconciling')
  const waiting = await world.heartbeat('m2', { memberEpoch: 3, owned: new Map() })
  assert.deepEqual([waiting.error, world.names(waiting)], ['NONE', undefined], 'still with the first one')
  const freed = await world.heartbeat('m1', { memberEpoch: 2, owned: told.assignment })
  assert.equal(freed.memberEpoch, 3)
  assert.equal(world.names(await world.heartbeat('m2', { memberEpoch: 3, owned: new Map() }))?.length, 2)
  assert.equal(world.state, 'consumer Stable')
})

test('a silent member is removed after its session, and also after a restart', async () => {
  const world = new CoordinatorWorld()
  await world.groups.load()
  await world.heartbeat('m1')
  const second = await world.heartbeat('m2')
  await world.pass(44_000)
  await world.heartbeat('m2', { memberEpoch: second.memberEpoch })
  await world.pass(1001)
  const left = await world.heartbeat('m2', { memberEpoch: second.memberEpoch, owned: new Map() })
  assert.deepEqual(world.names(left), ALL)

  await world.restart()
  assert.equal(world.state, 'consumer Stable')
  await world.pass(45_001)
  assert.equal(world.state, 'consumer Empty')
})

test('a member that does not give back in its rebalance timeout is removed although it sends heartbeats', async () => {
  const world = new CoordinatorWorld()
  const joined = await world.heartbeat('m1', { rebalanceTimeoutMs: 10_000 })
  await world.heartbeat('m2')
  const beat = (): ReturnType<typeof world.heartbeat> =>
    world.heartbeat('m1', { memberEpoch: 2, owned: joined.assignment })
  assert.equal(world.names(await beat())?.length, 2)

  await world.pass(9000)
  assert.equal((await beat()).error, 'NONE')
  await world.pass(1001)
  assert.equal((await beat()).error, 'UNKNOWN_MEMBER_ID')
})

test('a static member that left for a moment keeps its partitions for the length of its session', async () => {
  const world = new CoordinatorWorld()
  await world.heartbeat('m1', { instanceId: 'i' })
  const other = await world.heartbeat('m2')
  await world.heartbeat('m1', { memberEpoch: -2, instanceId: 'i' })
  await world.pass(30_000)
  const during = await world.heartbeat('m2', { memberEpoch: other.memberEpoch, owned: new Map() })
  assert.equal(world.names(during), undefined, 'nothing is free')
  await world.pass(15_001)
  const after = await world.heartbeat('m2', { memberEpoch: during.memberEpoch, owned: new Map() })
  assert.deepEqual(world.names(after), ALL)
})

test('with an interval between assignments, changes wait for it and are then made together', async () => {
  const base = new CoordinatorWorld().settings
  const world = new CoordinatorWorld({ consumer: { ...base.consumer, assignmentIntervalMs: 1000 } })
  const first = await world.heartbeat('m1')
  assert.deepEqual(world.names(first), ALL)
  const early = await world.heartbeat('m2')
  assert.deepEqual([early.memberEpoch, world.names(early)], [2, []])
  assert.equal(world.state, 'consumer Assigning')

  await world.pass(1000)
  const told = await world.heartbeat('m1', { memberEpoch: 2, owned: first.assignment })
  assert.equal(world.names(told)?.length, 2)
})

test('the group is full for whoever is not in it', async () => {
  const base = new CoordinatorWorld().settings
  const world = new CoordinatorWorld({ consumer: { ...base.consumer, memberCountMax: 1 } })
  assert.equal((await world.heartbeat('m1')).error, 'NONE')
  assert.equal((await world.heartbeat('m2')).error, 'GROUP_MAX_SIZE_REACHED')
  assert.equal((await world.heartbeat('m1')).error, 'NONE')
})

test('a pattern takes in topics as they come, and a deleted topic is taken away', async () => {
  const world = new CoordinatorWorld()
  const joined = await world.heartbeat('m', { topicNames: null, topicRegex: 't|other.*' })
  assert.deepEqual(world.names(joined), ALL)
  world.topics.set('other-1', 1)
  const more = await world.heartbeat('m', { memberEpoch: joined.memberEpoch })
  assert.deepEqual(world.names(more), ['other-1-0', ...ALL])

  await world.restart()
  world.topics.remove('t')
  const owned: Partitions | null = more.assignment
  const told = await world.heartbeat('m', { memberEpoch: more.memberEpoch, owned })
  assert.deepEqual(world.names(told), ['other-1-0'])
})

test('a pattern matches no topic that the member may not know of', async () => {
  const world = new CoordinatorWorld()
  world.topics.set('secret', 2)
  const joined = await world.heartbeat('m', { topicNames: null, topicRegex: '.*', isVisible: topic => topic === 't' })
  assert.deepEqual(world.names(joined), ALL)
})

async function upgraded(): Promise<{ world: CoordinatorWorld; classic: ClassicClient }> {
  const world = new CoordinatorWorld()
  const classic = new ClassicClient(world)
  await classic.start()
  assert.equal((await world.heartbeat('modern')).error, 'NONE')
  return { world, classic }
}

test('an upgraded group is one after a restart, with who has what; so it is from a compacted log', async () => {
  for (const compacted of [undefined, true, false]) {
    const { world, classic } = await upgraded()
    if (compacted !== undefined) world.log.compact(compacted)
    await world.restart()

    assert.equal(world.state, 'consumer Reconciling')
    assert.equal(await classic.heartbeat(), 'REBALANCE_IN_PROGRESS')
    await classic.start()
    assert.equal(classic.owned.length, 2)
    assert.deepEqual(world.names(await world.heartbeat('modern')), [], 'not given back yet')
    assert.equal(await classic.heartbeat(), 'REBALANCE_IN_PROGRESS', 'a second step: to say that it has')
    await classic.start()
    assert.equal(world.names(await world.heartbeat('modern'))?.length, 2)
    assert.equal(await classic.heartbeat(), 'NONE')
    assert.equal(world.state, 'consumer Stable')
  }
})

test('a downgraded group is a classic one after a restart; so it is from a compacted log', async () => {
  for (const compacted of [undefined, true, false]) {
    const { world, classic } = await upgraded()
    await world.heartbeat('modern', { memberEpoch: -1 })
    assert.equal(world.state, 'classic PreparingRebalance')
    if (compacted !== undefined) world.log.compact(compacted)
    await world.restart()

    assert.equal(world.state, 'classic Stable')
    assert.equal(await classic.heartbeat(), 'ILLEGAL_GENERATION', 'it was told to join again, and still is')
    await classic.start()
    assert.deepEqual(classic.owned, [0, 1, 2, 3])
  }
})

test('the last consumer-protocol member may also go by its session: the others are told to rebalance', async () => {
  const { world, classic } = await upgraded()
  for (let second = 0; second < 40; second += 5) {
    await world.pass(5000)
    if ((await classic.heartbeat()) === 'REBALANCE_IN_PROGRESS') await classic.start()
  }
  await world.pass(5000)
  assert.equal(world.state, 'classic PreparingRebalance')
  assert.equal(await classic.join(), 'NONE')
  assert.equal(await classic.sync(), 'NONE')
  assert.deepEqual(classic.owned, [0, 1, 2, 3])
})

test('a classic member that does not follow is removed: not joining again, not syncing, or silent', async () => {
  const deadlines: [string, (world: CoordinatorWorld, classic: ClassicClient) => Promise<void>][] = [
    ['not joining', async (_world, classic) => void (await classic.heartbeat())],
    ['not syncing', async (_world, classic) => void (await classic.join())]
  ]
  for (const [name, begin] of deadlines) {
    const { world, classic } = await upgraded()
    await begin(world, classic)
    for (let second = 0; second < 30; second += 5) {
      await world.heartbeat('modern')
      await world.pass(5000)
      await classic.heartbeat()
    }
    await world.pass(1)
    assert.equal(await classic.heartbeat(), 'UNKNOWN_MEMBER_ID', name)
  }
  const { world, classic } = await upgraded()
  await world.pass(classic.sessionTimeoutMs + 1)
  assert.equal(await classic.heartbeat(), 'UNKNOWN_MEMBER_ID', 'silent')
})

test('an upgrade that cannot be written leaves the classic group as it was', async () => {
  const world = new CoordinatorWorld()
  const classic = new ClassicClient(world)
  await classic.start()
  world.log.error = 'NOT_COORDINATOR'
  assert.equal((await world.heartbeat('modern')).error, 'NOT_COORDINATOR')
  assert.equal(world.state, 'classic Stable')
  assert.equal(await classic.heartbeat(), 'NONE')
})

test('members that wait for a rebalance of the classic group are sent to the new one', async () => {
  const world = new CoordinatorWorld()
  const classic = new ClassicClient(world)
  await classic.start()
  const late = new ClassicClient(world)
  const joining = late.join()
  await world.pass(0)
  assert.equal(world.state, 'classic PreparingRebalance')

  await world.heartbeat('modern')
  assert.equal(await joining, 'REBALANCE_IN_PROGRESS')
  assert.equal(world.state, 'consumer Reconciling')
})

test('the policy of migration is obeyed', async () => {
  const up = new CoordinatorWorld({ migrationPolicy: 'downgrade' })
  await new ClassicClient(up).start()
  assert.equal((await up.heartbeat('modern')).error, 'GROUP_ID_NOT_FOUND')

  const down = new CoordinatorWorld({ migrationPolicy: 'upgrade' })
  const classic = new ClassicClient(down)
  await classic.start()
  await down.heartbeat('modern')
  await down.heartbeat('modern', { memberEpoch: -1 })
  assert.equal(down.state, 'consumer Assigning')
})

test('a consumer group that nobody is in goes with its last offset', async () => {
  const world = new CoordinatorWorld()
  await world.groups.load()
  const joined = await world.heartbeat('m')
  const committed = {
    offset: 1n,
    leaderEpoch: 0,
    metadata: '',
    commitTimestampMs: world.clock.now(),
    expireTimestampMs: undefined
  }
  const identity = { memberId: 'm', groupInstanceId: null, generation: joined.memberEpoch, isMemberEpochKnown: true }
  assert.equal(await world.groups.commitOffsets('g', identity, [{ topic: 't', partition: 0, committed }]), 'NONE')
  await world.heartbeat('m', { memberEpoch: -1 })

  await world.pass(6 * 86_400_000)
  await world.groups.expireOffsets()
  assert.equal(world.state, 'consumer Empty')
  await world.pass(86_400_000)
  await world.groups.expireOffsets()
  assert.equal(world.state, 'none')
  await world.restart()
  assert.equal(world.state, 'none')
})
