import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CoordinatorSettings,
  GroupCoordinator,
  type GroupRecord,
  type OffsetsLog,
  type OffsetToCommit
} from '../../../src/broker/groups/index.ts'
import { VirtualClock } from '../../../src/core/index.ts'
import type { KafkaErrorName } from '../../../src/protocol/index.ts'
import { silentLogger } from '../../../src/telemetry/index.ts'
import { TestTopics } from './consumer-support.ts'

const DAY_MS = 86_400_000

/** `__consumer_offsets` in memory; a real one runs in the tests over sockets and in kill.test.ts. */
class MemoryLog implements OffsetsLog {
  readonly partitionCount = 1
  readonly records: GroupRecord[] = []
  error: KafkaErrorName = 'NONE'
  /** Appends wait here while it is set. */
  gate: Promise<void> | undefined

  async append(_partition: number, records: readonly GroupRecord[]): Promise<KafkaErrorName> {
    await this.gate
    if (this.error === 'NONE') this.records.push(...records)
    return this.error
  }

  appendMarker(): Promise<KafkaErrorName> {
    return Promise.resolve('NONE')
  }

  replay(visit: Parameters<OffsetsLog['replay']>[0]): Promise<void> {
    for (const { key, value } of this.records) visit(key, value, { partition: 0, producerId: undefined })
    return Promise.resolve()
  }
}

const SETTINGS: CoordinatorSettings = {
  initialRebalanceDelayMs: 0,
  sessionTimeoutMinMs: 6000,
  sessionTimeoutMaxMs: 1_800_001,
  memberCountMax: 100,
  offsetsRetentionMs: 7 * DAY_MS,
  retentionCheckMs: 600_000,
  migrationPolicy: 'bidirectional',
  consumer: {
    sessionTimeoutMs: 45_000,
    heartbeatIntervalMs: 5000,
    memberCountMax: 100,
    assignors: ['uniform', 'range'],
    assignmentIntervalMs: 0
  }
}

interface World {
  readonly clock: VirtualClock
  readonly log: MemoryLog
  readonly groups: GroupCoordinator
  readonly topics: TestTopics
}

async function worldOf(log = new MemoryLog(), clock = new VirtualClock()): Promise<World> {
  const topics = new TestTopics()
  const groups = new GroupCoordinator({ settings: SETTINGS, log, topics, clock, logger: silentLogger })
  await groups.load()
  return { clock, log, groups, topics }
}

function offsetOf(clock: VirtualClock, offset: bigint, topic = 'orders'): OffsetToCommit {
  const committed = {
    offset,
    leaderEpoch: 3,
    metadata: 'where we are',
    commitTimestampMs: clock.now(),
    expireTimestampMs: undefined
  }
  return { topic, partition: 0, committed }
}

const NOBODY = { memberId: '', groupInstanceId: null, generation: -1 }

const JOIN = {
  memberId: '',
  groupInstanceId: null,
  clientId: 'c',
  clientHost: '/127.0.0.1',
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 30_000,
  protocolType: 'consumer',
  protocols: [
    { name: 'range', metadata: Buffer.from([0, 0, 0, 0, 0, 1, 0, 6, ...Buffer.from('orders'), 0xff, 0xff, 0xff, 0xff]) }
  ],
  isKnownMemberIdRequired: false,
  canSkipAssignment: false
}

/** One member, stable; returns its id. */
async function joinAlone({ clock, groups }: World, groupId: string, sessionTimeoutMs = 10_000): Promise<string> {
  const joining = groups.join(groupId, { ...JOIN, sessionTimeoutMs })
  await clock.advance(0)
  const { memberId, generation } = await joining
  const assignments = [{ memberId, assignment: Buffer.from('all') }]
  const request = { memberId, groupInstanceId: null, generation, protocolType: null, protocolName: null, assignments }
  assert.equal((await groups.sync(groupId, request)).assignment.toString(), 'all')
  return memberId
}

test('offsets and groups are there again after a restart, byte for byte', async () => {
  const before = await worldOf()
  const memberId = await joinAlone(before, 'g')
  const identity = { memberId, groupInstanceId: null, generation: 1 }
  assert.equal(await before.groups.commitOffsets('g', identity, [offsetOf(before.clock, 42n)]), 'NONE')
  before.groups.close()

  const after = await worldOf(before.log, before.clock)
  const view = after.groups.find('g')
  assert.deepEqual(view?.offsets.get('orders', 0), offsetOf(before.clock, 42n).committed)
  assert.equal(view?.group.state, 'Stable')
  assert.equal(await after.groups.heartbeat('g', identity), 'NONE')
})

test('a commit is answered and visible only after its append', async () => {
  const { clock, log, groups } = await worldOf()
  let open = (): void => undefined
  log.gate = new Promise(resolve => (open = resolve))
  const committing = groups.commitOffsets('g', NOBODY, [offsetOf(clock, 1n)])
  assert.equal(groups.find('g')?.offsets.get('orders', 0), undefined)
  open()
  assert.equal(await committing, 'NONE')
  assert.equal(groups.find('g')?.offsets.get('orders', 0)?.offset, 1n)
})

test('a commit that cannot be written is refused and changes nothing', async () => {
  const { clock, log, groups } = await worldOf()
  log.error = 'NOT_COORDINATOR'
  assert.equal(await groups.commitOffsets('g', NOBODY, [offsetOf(clock, 1n)]), 'NOT_COORDINATOR')
  assert.equal(groups.find('g')?.offsets.get('orders', 0), undefined)
})

test('a commit with a generation for a group that is not known is of an illegal generation', async () => {
  const { clock, groups } = await worldOf()
  const identity = { memberId: 'm', groupInstanceId: null, generation: 1 }
  assert.equal(await groups.commitOffsets('g', identity, [offsetOf(clock, 1n)]), 'ILLEGAL_GENERATION')
  assert.equal(await groups.commitOffsets('', identity, [offsetOf(clock, 1n)]), 'INVALID_GROUP_ID')
})

test('a group whose id no record can hold is refused and leaves nothing behind', async () => {
  // Flexible requests have longer strings than records. Symptom: the connection closed, and the group stayed for ever.
  const { groups, clock } = await worldOf()
  const groupId = 'g'.repeat(32_768)

  assert.equal(await groups.commitOffsets(groupId, NOBODY, [offsetOf(clock, 1n)]), 'INVALID_GROUP_ID')
  assert.equal(groups.list().length, 0)
  assert.equal(await groups.commitOffsets('g'.repeat(32_767), NOBODY, [offsetOf(clock, 1n)]), 'NONE')
})

test('offsets live while the group has members and for the retention after; then the group goes too', async () => {
  const world = await worldOf()
  const { clock, groups } = world
  const memberId = await joinAlone(world, 'g', 1_800_001)
  const identity = { memberId, groupInstanceId: null, generation: 1 }
  await groups.commitOffsets('g', identity, [offsetOf(clock, 1n)])
  for (let halfHour = 0; halfHour < 8 * 48; halfHour++) {
    await clock.advance(DAY_MS / 48)
    assert.equal(await groups.heartbeat('g', identity), 'NONE')
  }
  assert.ok(groups.find('g')?.offsets.get('orders', 0), 'eight days, and the group is still in use')
  assert.deepEqual(await groups.leave('g', [{ memberId, groupInstanceId: null }]), ['NONE'])
  await clock.advance(7 * DAY_MS - 1)
  await groups.expireOffsets()
  assert.ok(groups.find('g')?.offsets.get('orders', 0))
  await clock.advance(1)
  await groups.expireOffsets()
  assert.equal(groups.find('g'), undefined)

  groups.close()
  const after = await worldOf(world.log, clock)
  assert.equal(after.groups.find('g'), undefined, 'the tombstones are in the log')
})

test('offsets of a client without a group protocol expire after their own commit', async () => {
  const { clock, groups } = await worldOf()
  await groups.commitOffsets('g', NOBODY, [offsetOf(clock, 1n)])
  await clock.advance(3 * DAY_MS)
  await groups.commitOffsets('g', NOBODY, [{ ...offsetOf(clock, 5n), topic: 'newer' }])
  await clock.advance(4 * DAY_MS)
  await groups.expireOffsets()
  const offsets = groups.find('g')?.offsets
  assert.equal(offsets?.get('orders', 0), undefined)
  assert.equal(offsets?.get('newer', 0)?.offset, 5n)
})

test('an offset with a retention of its own expires by that', async () => {
  const { clock, groups } = await worldOf()
  const own = offsetOf(clock, 1n)
  const committed = { ...own.committed, expireTimestampMs: clock.now() + 1000 }
  await groups.commitOffsets('g', NOBODY, [{ ...own, committed }])
  await clock.advance(1000)
  await groups.expireOffsets()
  assert.equal(groups.find('g'), undefined)
})

test('deleting a group needs it empty, removes its offsets and leaves tombstones', async () => {
  const world = await worldOf()
  const { clock, groups, log } = world
  const memberId = await joinAlone(world, 'g')
  await groups.commitOffsets('g', { memberId, groupInstanceId: null, generation: 1 }, [offsetOf(clock, 1n)])
  assert.equal(await groups.deleteGroup('g'), 'NON_EMPTY_GROUP')
  await groups.leave('g', [{ memberId, groupInstanceId: null }])
  assert.equal(await groups.deleteGroup('g'), 'NONE')
  assert.equal(await groups.deleteGroup('g'), 'GROUP_ID_NOT_FOUND')
  assert.deepEqual(
    log.records.slice(-2).map(record => record.value),
    [null, null]
  )
})

test('a commit under way when its group is deleted does not come back after a restart', async () => {
  const world = await worldOf()
  const { clock, groups, log } = world
  await groups.commitOffsets('g', NOBODY, [offsetOf(clock, 1n)])
  const late = groups.commitOffsets('g', NOBODY, [offsetOf(clock, 9n, 'late')])
  assert.equal(await groups.deleteGroup('g'), 'NONE')
  await late
  const after = await worldOf(log, clock)
  assert.equal(after.groups.find('g'), undefined)
})

test('single offsets can be deleted unless a member subscribes to their topic', async () => {
  const world = await worldOf()
  const { clock, groups } = world
  const memberId = await joinAlone(world, 'g')
  const identity = { memberId, groupInstanceId: null, generation: 1 }
  await groups.commitOffsets('g', identity, [offsetOf(clock, 1n), offsetOf(clock, 2n, 'old')])
  const result = await groups.deleteOffsets('g', [
    { topic: 'orders', partition: 0 },
    { topic: 'old', partition: 0 }
  ])
  assert.deepEqual(result, { error: 'NONE', errors: ['GROUP_SUBSCRIBED_TO_TOPIC', 'NONE'] })
  assert.ok(groups.find('g')?.offsets.get('orders', 0))
  assert.equal(groups.find('g')?.offsets.get('old', 0), undefined)
  assert.equal((await groups.deleteOffsets('none', [])).error, 'GROUP_ID_NOT_FOUND')
})

test('offsets of a deleted topic are forgotten in every group', async () => {
  const { clock, groups } = await worldOf()
  await groups.commitOffsets('a', NOBODY, [offsetOf(clock, 1n), offsetOf(clock, 1n, 'stays')])
  await groups.commitOffsets('b', NOBODY, [offsetOf(clock, 1n)])
  await groups.forgetTopic('orders')
  assert.equal(groups.find('a')?.offsets.get('orders', 0), undefined)
  assert.ok(groups.find('a')?.offsets.get('stays', 0))
  assert.equal(groups.find('b')?.offsets.get('orders', 0), undefined)
})

/**
 * Symptom: a topic that was deleted and made again was read from an offset of the old one: records were skipped.
 * Cause: a commit that was being written while its topic was deleted came after the removal of the offsets.
 * Reach: groups that commit while their topic is deleted.
 */
test('a commit under way when its topic is deleted is forgotten with the others', async () => {
  const { clock, groups } = await worldOf()
  const late = groups.commitOffsets('g', NOBODY, [offsetOf(clock, 7n)])
  await groups.forgetTopic('orders')
  assert.equal(await late, 'NONE')
  assert.equal(groups.find('g')?.offsets.get('orders', 0), undefined)
})

test('a silent member is removed by the timer of its group, and no timer is left behind', async () => {
  const world = await worldOf()
  const { clock, groups } = world
  const memberId = await joinAlone(world, 'g')
  await clock.advance(9999)
  assert.equal(await groups.heartbeat('g', { memberId, groupInstanceId: null, generation: 1 }), 'NONE')
  await clock.advance(9999)
  assert.equal(groups.find('g')?.group.state, 'Stable')
  await clock.advance(1)
  assert.equal(groups.find('g')?.group.state, 'Empty')
  await clock.advance(60_000)
  groups.close()
  assert.equal(clock.pendingCount, 0)
})

test('a hundred members join at once, get one generation each once, and one leader', async () => {
  const { clock, groups } = await worldOf()
  const joins = Array.from({ length: 100 }, () => groups.join('g', JOIN))
  await clock.advance(0)
  const replies = await Promise.all(joins)
  assert.deepEqual(new Set(replies.map(reply => reply.generation)), new Set([1]))
  assert.equal(new Set(replies.map(reply => reply.memberId)).size, 100)
  assert.equal(replies.filter(reply => reply.members.length === 100).length, 1)
  const refused = await groups.join('g', JOIN)
  assert.equal(refused.error, 'GROUP_MAX_SIZE_REACHED')
})

test('closing lets parked members go, and later ones are told to look elsewhere', async () => {
  const { groups } = await worldOf()
  const parked = groups.join('g', JOIN) // the rebalance waits for a timer that never comes
  groups.close()
  assert.equal((await parked).error, 'COORDINATOR_NOT_AVAILABLE')
  assert.equal((await groups.join('g', JOIN)).error, 'COORDINATOR_NOT_AVAILABLE')
})

test('a member that no record can hold is refused before it stops the whole group', async () => {
  // Symptom: the leader's SyncGroup closed its connection, everybody else's hung for ever, and no session expired.
  // Cause: the generation could not be written.
  const { groups } = await worldOf()
  const long = 'x'.repeat(32_768)
  const protocols = [{ name: long, metadata: Buffer.from('') }]

  const replies = await Promise.all([
    groups.join('g', { ...JOIN, groupInstanceId: 'x'.repeat(32_731) }),
    groups.join('g', { ...JOIN, protocolType: long }),
    groups.join('g', { ...JOIN, protocols })
  ])

  assert.deepEqual(
    replies.map(({ error }) => error),
    ['INVALID_REQUEST', 'INVALID_REQUEST', 'INVALID_REQUEST']
  )
  assert.deepEqual(groups.list(), [])
})

test('a client that tries many group ids in vain leaves no groups behind', async () => {
  const { groups } = await worldOf()
  for (let index = 0; index < 100; index++) await groups.join(`g-${index}`, { ...JOIN, sessionTimeoutMs: 1 })
  assert.deepEqual(groups.list(), [])
})

// Symptom: members of a consumer group read the same partitions. Cause: heartbeats that came while none was under way
// all found the group's turn free, and were decided on the same state. Reach: any group whose members join together.
test('members that join a consumer group at the same moment are decided on one after the other', async () => {
  const { groups, topics } = await worldOf()
  topics.set('orders', 6)
  const heartbeat = {
    memberEpoch: 0,
    instanceId: null,
    rackId: null,
    rebalanceTimeoutMs: 30_000,
    topicNames: ['orders'],
    topicRegex: null,
    assignor: null,
    owned: new Map(),
    clientId: 'c',
    clientHost: '/127.0.0.1',
    isVisible: () => true
  }
  const join = (memberId: string): ReturnType<GroupCoordinator['consumerHeartbeat']> =>
    groups.consumerHeartbeat('g', { ...heartbeat, memberId })

  const first = await Promise.all(['a', 'b', 'c'].map(join))
  await groups.consumerHeartbeat('g', { ...heartbeat, memberId: 'a', memberEpoch: -1, topicNames: null, owned: null })
  const second = await Promise.all(['d', 'e', 'f'].map(join))

  for (const replies of [first, second]) {
    const epochs = replies.map(reply => reply.memberEpoch)
    const assigned = replies.flatMap(reply => [...(reply.assignment?.values() ?? [])].flat())
    assert.equal(new Set(epochs).size, 3, `epochs ${epochs.join()}`)
    assert.equal(new Set(assigned).size, assigned.length, `partitions ${assigned.join()}`)
  }
})
