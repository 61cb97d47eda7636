/** Classic groups as seen on the wire: joining, fencing, static members, offsets. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  deleteGroupsApi,
  describeGroupsApi,
  findCoordinatorApi,
  heartbeatApi,
  joinGroupApi,
  type JoinGroupResponse,
  leaveGroupApi,
  offsetCommitApi,
  offsetFetchApi,
  syncGroupApi
} from '../../src/protocol/index.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { connectForTest, createTopic, errorOf, type Peer } from './support.ts'

const sessionTimeoutMs = 30_000
// A consumer's subscription in version 0: no topics, no user data. The coordinator of Kafka reads it.
const protocols = [{ name: 'range', metadata: Buffer.from('000000000000ffffffff', 'hex') }]

interface Member {
  readonly groupId: string
  readonly memberId: string
  readonly generation: number
  readonly groupInstanceId?: string
}

interface Joining {
  readonly groupId: string
  readonly memberId?: string
  readonly groupInstanceId?: string
  readonly sessionTimeoutMs?: number
  readonly protocolType?: string
}

/** A cluster whose coordinator for a new group is ready. */
async function groupForTest(t: TestContext): Promise<{ peer: Peer; groupId: string }> {
  const peer = await connectForTest(t)
  const groupId = peer.cluster.uniqueName('group')
  const deadline = performance.now() + 15_000
  while (performance.now() < deadline) {
    const found = await peer.connection.request(findCoordinatorApi, {
      version: 4,
      message: { keyType: 0, coordinatorKeys: [groupId] }
    })
    // A new cluster makes its offsets topic when it is first asked, and loads it after that.
    const described = await peer.connection.request(describeGroupsApi, { version: 5, message: { groups: [groupId] } })
    if (errorOf(found.coordinators[0]) === 'NONE' && errorOf(described.groups[0]) === 'NONE') return { peer, groupId }
  }
  return assert.fail('no coordinator')
}

function join({ connection }: Peer, joining: Joining): Promise<JoinGroupResponse> {
  return connection.request(joinGroupApi, {
    version: 9,
    message: { protocolType: 'consumer', sessionTimeoutMs, rebalanceTimeoutMs: 30_000, protocols, ...joining }
  })
}

/** Joins as the only member, and gets through to a stable group. */
async function joinAlone(peer: Peer, joining: Joining): Promise<Member> {
  const first = await join(peer, joining)
  const isAsked = errorOf(first) === 'MEMBER_ID_REQUIRED'
  const joined = isAsked ? await join(peer, { ...joining, memberId: first.memberId }) : first
  assert.equal(errorOf(joined), 'NONE')
  assert.equal(joined.leader, joined.memberId)
  const member = { ...joining, memberId: joined.memberId, generation: joined.generationId }
  const synced = await peer.connection.request(syncGroupApi, {
    version: 5,
    message: {
      ...identityOf(member),
      protocolType: 'consumer',
      protocolName: 'range',
      assignments: [{ memberId: member.memberId, assignment: Buffer.from('assigned') }]
    }
  })
  assert.equal(errorOf(synced), 'NONE')
  assert.equal(synced.assignment.toString(), 'assigned')
  return member
}

interface Identity {
  readonly groupId: string
  readonly memberId: string
  readonly generationId: number
  readonly groupInstanceId: string | null
}

function identityOf({ groupId, memberId, generation, groupInstanceId }: Member): Identity {
  return { groupId, memberId, generationId: generation, groupInstanceId: groupInstanceId ?? null }
}

async function heartbeat({ connection }: Peer, member: Member): Promise<string> {
  return errorOf(await connection.request(heartbeatApi, { version: 4, message: identityOf(member) }))
}

interface Commit {
  readonly topic: string
  readonly offset: bigint
  readonly metadata?: string
}

async function commitOffset({ connection }: Peer, member: Member, commit: Commit): Promise<string> {
  const { generationId, ...identity } = identityOf(member)
  const partition = {
    partitionIndex: 0,
    committedOffset: commit.offset,
    committedMetadata: commit.metadata ?? '',
    committedLeaderEpoch: 0
  }
  const topics = [{ name: commit.topic, partitions: [partition] }]
  const message = { ...identity, generationIdOrMemberEpoch: generationId, topics }
  const response = await connection.request(offsetCommitApi, { version: 8, message })
  return errorOf(response.topics[0]?.partitions[0])
}

test('a member without an id is given one and joins with it; then heartbeats and leaves', async t => {
  const { peer, groupId } = await groupForTest(t)

  const asked = await join(peer, { groupId })
  assert.equal(errorOf(asked), 'MEMBER_ID_REQUIRED')
  assert.notEqual(asked.memberId, '')
  const member = await joinAlone(peer, { groupId, memberId: asked.memberId })
  assert.equal(member.memberId, asked.memberId)
  assert.equal(member.generation, 1)
  assert.equal(await heartbeat(peer, member), 'NONE')

  const left = await peer.connection.request(leaveGroupApi, {
    version: 4,
    message: { groupId, members: [{ memberId: member.memberId }] }
  })
  assert.equal(errorOf(left.members[0]), 'NONE')
  assert.equal(await heartbeat(peer, member), 'UNKNOWN_MEMBER_ID')
})

test('a stable group is described with its member, its protocol and its assignment', async t => {
  const { peer, groupId } = await groupForTest(t)
  const member = await joinAlone(peer, { groupId })

  const { groups } = await peer.connection.request(describeGroupsApi, { version: 5, message: { groups: [groupId] } })

  const group = groups[0]
  assert.deepEqual(
    [group?.groupState, group?.protocolType, group?.protocolData, group?.members.length],
    ['Stable', 'consumer', 'range', 1]
  )
  assert.equal(group?.members[0]?.memberId, member.memberId)
  assert.equal(group?.members[0]?.clientId, 'conformance')
  assert.equal(group?.members[0]?.memberAssignment.toString(), 'assigned')
})

test('unknown members and wrong generations are told apart everywhere', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer)
  const member = await joinAlone(peer, { groupId })
  const stranger = { ...member, memberId: 'stranger' }
  const old = { ...member, generation: member.generation - 1 }
  const commit = { topic: topic.name, offset: 1n }

  assert.equal(await heartbeat(peer, stranger), 'UNKNOWN_MEMBER_ID')
  assert.equal(await heartbeat(peer, old), 'ILLEGAL_GENERATION')
  assert.equal(await commitOffset(peer, stranger, commit), 'UNKNOWN_MEMBER_ID')
  assert.equal(await commitOffset(peer, old, commit), 'ILLEGAL_GENERATION')
  assert.equal(errorOf(await join(peer, { groupId, memberId: 'stranger' })), 'UNKNOWN_MEMBER_ID')
})

test('a protocol type or a session timeout that does not fit is refused', async t => {
  const { peer, groupId } = await groupForTest(t)
  await joinAlone(peer, { groupId })

  assert.equal(errorOf(await join(peer, { groupId, protocolType: 'connect' })), 'INCONSISTENT_GROUP_PROTOCOL')
  const short = await join(peer, { groupId: peer.cluster.uniqueName('group'), sessionTimeoutMs: 5_999 })
  assert.equal(errorOf(short), 'INVALID_SESSION_TIMEOUT')
  assert.equal(errorOf(await join(peer, { groupId: '' })), 'INVALID_GROUP_ID')
})

test('a second member makes the first one rebalance; both come out in one generation with one leader', async t => {
  const { peer, groupId } = await groupForTest(t)
  const other: Peer = { cluster: peer.cluster, connection: await RawConnection.open(t, peer.cluster) }
  const first = await joinAlone(peer, { groupId })
  const { memberId } = await join(other, { groupId })

  const secondJoins = join(other, { groupId, memberId })
  while ((await heartbeat(peer, first)) === 'NONE');
  assert.equal(await heartbeat(peer, first), 'REBALANCE_IN_PROGRESS')
  const firstJoined = await join(peer, { groupId, memberId: first.memberId })
  const secondJoined = await secondJoins

  assert.deepEqual([firstJoined.generationId, secondJoined.generationId], [2, 2])
  assert.deepEqual([firstJoined.leader, secondJoined.leader], [first.memberId, first.memberId])
  // Only the leader, which assigns, is told who the members are.
  assert.deepEqual([firstJoined.members.length, secondJoined.members.length], [2, 0])
})

test('a static member that comes back keeps its generation, and its old self is fenced', async t => {
  const { peer, groupId } = await groupForTest(t)
  const joining = { groupId, groupInstanceId: 'instance-1' }
  const before = await joinAlone(peer, joining)

  const again = await join(peer, joining)

  assert.equal(errorOf(again), 'NONE')
  assert.equal(again.generationId, before.generation)
  assert.notEqual(again.memberId, before.memberId)
  assert.equal(await heartbeat(peer, { ...before, memberId: again.memberId }), 'NONE')
  assert.equal(await heartbeat(peer, before), 'FENCED_INSTANCE_ID')
})

test('a committed offset comes back with its metadata; a partition without one says so by -1', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer, { partitions: 2 })
  const member = await joinAlone(peer, { groupId })

  assert.equal(await commitOffset(peer, member, { topic: topic.name, offset: 42n, metadata: 'where we were' }), 'NONE')
  const asked = [{ name: topic.name, partitionIndexes: [0, 1] }]
  const fetched = await peer.connection.request(offsetFetchApi, {
    version: 8,
    message: { groups: [{ groupId, topics: asked }] }
  })
  const old = await peer.connection.request(offsetFetchApi, { version: 1, message: { groupId, topics: asked } })

  const row = (each: { partitionIndex: number; committedOffset: bigint; metadata: string | null }): unknown[] => [
    each.partitionIndex,
    each.committedOffset,
    each.metadata
  ]
  const expected = [
    [0, 42n, 'where we were'],
    [1, -1n, '']
  ]
  assert.deepEqual(fetched.groups[0]?.topics[0]?.partitions.map(row), expected)
  assert.deepEqual(old.topics[0]?.partitions.map(row), expected)
})

test('without members anyone may commit, as tools do; metadata has its limit', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer)
  const nobody = { groupId, memberId: '', generation: -1 }

  assert.equal(await commitOffset(peer, nobody, { topic: topic.name, offset: 7n }), 'NONE')
  const long = { topic: topic.name, offset: 8n, metadata: 'x'.repeat(4_097) }
  assert.equal(await commitOffset(peer, nobody, long), 'OFFSET_METADATA_TOO_LARGE')
  await joinAlone(peer, { groupId })
  assert.equal(await commitOffset(peer, nobody, { topic: topic.name, offset: 9n }), 'UNKNOWN_MEMBER_ID')
})

test('a group with members cannot be deleted, an empty one can, a missing one is not found', async t => {
  const { peer, groupId } = await groupForTest(t)
  const remove = async (): Promise<string> => {
    const { results } = await peer.connection.request(deleteGroupsApi, {
      version: 2,
      message: { groupsNames: [groupId] }
    })
    return errorOf(results[0])
  }

  const member = await joinAlone(peer, { groupId })
  assert.equal(await remove(), 'NON_EMPTY_GROUP')
  const members = [{ memberId: member.memberId }]
  await peer.connection.request(leaveGroupApi, { version: 4, message: { groupId, members } })
  assert.equal(await remove(), 'NONE')
  assert.equal(await remove(), 'GROUP_ID_NOT_FOUND')
})
