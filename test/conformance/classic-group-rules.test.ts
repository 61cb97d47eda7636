/** Rules of classic groups that clients rest on: votes, leaders, generations, static leaders, removal in batches. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  describeGroupsApi,
  heartbeatApi,
  joinGroupApi,
  type JoinGroupResponse,
  leaveGroupApi,
  offsetCommitApi,
  syncGroupApi,
  type SyncGroupResponse
} from '../../src/protocol/index.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { groupForTest } from './consumer-group-support.ts'
import { createTopic, errorOf, type Peer } from './support.ts'

/** A consumer's subscription in version 0 to no topics, with some user data to tell one from another. */
function subscription(userData: number): Buffer {
  return Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, userData])
}

type Protocols = readonly (readonly [name: string, userData: number])[]

/** A member that sends what the test says. */
class Member {
  readonly connection: RawConnection
  readonly groupId: string
  readonly groupInstanceId: string | null
  memberId = ''
  generation = -1
  protocols: Protocols = [['range', 0]]

  static async open(
    t: TestContext,
    peer: Peer,
    options: { groupId: string; groupInstanceId?: string; protocols?: Protocols }
  ): Promise<Member> {
    return new Member(await RawConnection.open(t, peer.cluster), options)
  }

  private constructor(
    connection: RawConnection,
    options: { groupId: string; groupInstanceId?: string; protocols?: Protocols }
  ) {
    this.connection = connection
    this.groupId = options.groupId
    this.groupInstanceId = options.groupInstanceId ?? null
    this.protocols = options.protocols ?? this.protocols
  }

  /** Joins in a version that asks for no member id first, unless a version is given. */
  async join(version = 3): Promise<JoinGroupResponse> {
    const { groupId, memberId, groupInstanceId } = this
    const joined = await this.connection.request(joinGroupApi, {
      version,
      message: {
        groupId,
        memberId,
        groupInstanceId,
        protocolType: 'consumer',
        sessionTimeoutMs: 30_000,
        rebalanceTimeoutMs: 20_000,
        protocols: this.protocols.map(([name, userData]) => ({ name, metadata: subscription(userData) }))
      }
    })
    if (errorOf(joined) === 'NONE') {
      this.memberId = joined.memberId
      this.generation = joined.generationId
    }
    return joined
  }

  /** Asks for the assignment; with ids it assigns a text to each of them. */
  sync(memberIds: readonly string[] = []): Promise<SyncGroupResponse> {
    const { groupId, memberId, groupInstanceId } = this
    const assignments = memberIds.map(id => ({ memberId: id, assignment: Buffer.from(`for ${id}`) }))
    const message = { groupId, memberId, groupInstanceId, generationId: this.generation, assignments }
    return this.connection.request(syncGroupApi, { version: 3, message })
  }

  async heartbeat(): Promise<string> {
    const { groupId, memberId, groupInstanceId } = this
    const message = { groupId, memberId, groupInstanceId, generationId: this.generation }
    return errorOf(await this.connection.request(heartbeatApi, { version: 4, message }))
  }

  /** Waits until a heartbeat says so. */
  async until(told: string): Promise<void> {
    const deadline = performance.now() + 10_000
    while ((await this.heartbeat()) !== told) assert.ok(performance.now() < deadline, `no ${told}`)
  }
}

/** Two members in one stable generation; the first one leads. */
async function stablePair(
  t: TestContext,
  protocols: [Protocols, Protocols] = [[['range', 0]], [['range', 0]]]
): Promise<{ peer: Peer; groupId: string; leader: Member; follower: Member; joined: JoinGroupResponse }> {
  const { peer, groupId } = await groupForTest(t)
  const leader = await Member.open(t, peer, { groupId, protocols: protocols[0] })
  const follower = await Member.open(t, peer, { groupId, protocols: protocols[1] })
  await leader.join()
  await leader.sync([leader.memberId])
  const joining = follower.join()
  await leader.until('REBALANCE_IN_PROGRESS')
  const joined = await leader.join()
  await joining
  const parts = [leader.memberId, follower.memberId]
  const synced = await Promise.all([follower.sync(), leader.sync(parts)])
  assert.deepEqual(
    synced.map(each => each.assignment.toString()),
    [`for ${follower.memberId}`, `for ${leader.memberId}`]
  )
  return { peer, groupId, leader, follower, joined }
}

test('the strategy that most members put first wins, of those that all of them know', async t => {
  const { joined } = await stablePair(t, [
    [
      ['only-mine', 1],
      ['sticky', 2],
      ['range', 3]
    ],
    [
      ['range', 4],
      ['sticky', 5]
    ]
  ])

  assert.equal(joined.protocolName, 'sticky')
  assert.deepEqual(new Set(joined.members.map(({ metadata }) => metadata.at(-1))), new Set([2, 5]))
})

test('a follower that joins again with the same metadata is told the generation it is in', async t => {
  const { follower, leader } = await stablePair(t)
  const again = await follower.join()

  assert.deepEqual([again.generationId, again.leader, again.members], [2, leader.memberId, []])
  assert.equal(await leader.heartbeat(), 'NONE')
})

test('a leader that joins again, and a follower with other metadata, begin a rebalance', async t => {
  const { follower, leader } = await stablePair(t)
  const leading = leader.join()
  await follower.until('REBALANCE_IN_PROGRESS')
  await follower.join()
  assert.equal((await leading).generationId, 3)
  await Promise.all([follower.sync(), leader.sync([leader.memberId])])

  follower.protocols = [['range', 9]]
  const following = follower.join()
  await leader.until('REBALANCE_IN_PROGRESS')
  const told = await leader.join()
  await following
  assert.equal(told.generationId, 4)
  assert.equal(told.members.find(({ memberId }) => memberId === follower.memberId)?.metadata.at(-1), 9)
})

test('while the assignment is awaited, heartbeats pass and commits do not', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer)
  const member = await Member.open(t, peer, { groupId })
  await member.join()
  const identity = { groupId, memberId: member.memberId, generationIdOrMemberEpoch: member.generation }
  const partitions = [{ partitionIndex: 0, committedOffset: 1n, committedMetadata: '' }]
  const message = { ...identity, topics: [{ name: topic.name, partitions }] }
  const commit = async (): Promise<string> => {
    const response = await peer.connection.request(offsetCommitApi, { version: 8, message })
    return errorOf(response.topics[0]?.partitions[0])
  }

  assert.equal(await member.heartbeat(), 'NONE')
  assert.equal(await commit(), 'REBALANCE_IN_PROGRESS')
  const { groups } = await peer.connection.request(describeGroupsApi, { version: 5, message: { groups: [groupId] } })
  assert.deepEqual(
    [groups[0]?.groupState, groups[0]?.protocolData, groups[0]?.members[0]?.memberMetadata.length],
    ['CompletingRebalance', '', 0]
  )
  await member.sync([member.memberId])
  assert.equal(await commit(), 'NONE')
})

test('a rebalance under way refuses who asks for the assignment of the one before', async t => {
  const { follower, leader } = await stablePair(t)
  const leading = leader.join()
  await follower.until('REBALANCE_IN_PROGRESS')

  assert.equal(errorOf(await follower.sync()), 'REBALANCE_IN_PROGRESS')
  await follower.join()
  await leading
  const waiting = follower.sync()
  const again = leader.join()
  assert.equal(errorOf(await again), 'NONE', 'the leader has joined already: it is told the same again')
  await leader.sync([leader.memberId, follower.memberId])
  assert.equal((await waiting).assignment.toString(), `for ${follower.memberId}`)
})

test('a static leader that comes back keeps the assignment: version 9 says so, before it is no leader', async t => {
  const { peer, groupId } = await groupForTest(t)
  const before = await Member.open(t, peer, { groupId, groupInstanceId: 'i' })
  await before.join(5)
  await before.sync([before.memberId])

  const after = await Member.open(t, peer, { groupId, groupInstanceId: 'i' })
  const told = await after.join(9)
  assert.deepEqual([told.generationId, told.leader, told.skipAssignment], [1, after.memberId, true])
  assert.deepEqual(
    told.members.map(({ memberId, groupInstanceId }) => [memberId, groupInstanceId]),
    [[after.memberId, 'i']]
  )
  assert.equal((await after.sync()).assignment.toString(), `for ${before.memberId}`)

  const old = await Member.open(t, peer, { groupId, groupInstanceId: 'i' })
  const shown = await old.join(8)
  assert.deepEqual([shown.generationId, shown.leader, shown.members], [1, after.memberId, []])
  assert.notEqual(old.memberId, after.memberId)
  assert.equal(errorOf(await after.sync()), 'FENCED_INSTANCE_ID')
})

test('several members leave at once, each with an answer of its own', async t => {
  const { peer, groupId, leader, follower } = await stablePair(t)
  const left = await peer.connection.request(leaveGroupApi, {
    version: 5,
    message: {
      groupId,
      members: [
        { memberId: 'nobody', groupInstanceId: null },
        { memberId: '', groupInstanceId: 'nobody' },
        { memberId: follower.memberId, groupInstanceId: null }
      ]
    }
  })

  assert.deepEqual(left.members.map(errorOf), ['UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 'NONE'])
  assert.equal(await follower.heartbeat(), 'UNKNOWN_MEMBER_ID')
  await leader.until('REBALANCE_IN_PROGRESS')
  const joined = await leader.join()
  assert.deepEqual([joined.generationId, joined.members.length], [3, 1])
})

test('generations follow each other without a pause, as cooperative rebalancing needs them', async t => {
  const { leader, follower } = await stablePair(t)
  for (let generation = 3; generation < 8; generation++) {
    const both = [leader.join(), follower.until('REBALANCE_IN_PROGRESS').then(() => follower.join())]
    const joined = await Promise.all(both)
    assert.deepEqual(
      joined.map(each => each.generationId),
      [generation, generation]
    )
    const parts = [leader.memberId, follower.memberId]
    const synced = await Promise.all([follower.sync(), leader.sync(parts)])
    assert.deepEqual(synced.map(errorOf), ['NONE', 'NONE'])
    assert.ok(synced.every(({ assignment }) => assignment.length > 0))
  }
})
