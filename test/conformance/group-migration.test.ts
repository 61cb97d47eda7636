/** Running groups change their protocol: classic to consumer and back, with members of both in between. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  consumerProtocolAssignmentCodec,
  consumerProtocolSubscriptionCodec,
  decodeConsumerProtocol,
  encodeVersioned,
  heartbeatApi,
  joinGroupApi,
  type JoinGroupResponse,
  leaveGroupApi,
  listGroupsApi,
  offsetCommitApi,
  syncGroupApi
} from '../../src/protocol/index.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { describe, groupForTest, GroupMember, until } from './consumer-group-support.ts'
import { createTopic, errorOf, type Peer, type Topic } from './support.ts'

const sessionTimeoutMs = 30_000

/** A member of the classic protocol that rebalances cooperatively, as Java's consumer does with its own assignor. */
class ClassicMember {
  readonly connection: RawConnection
  readonly groupId: string
  readonly topic: Topic
  readonly groupInstanceId: string | null
  memberId = ''
  generation = -1
  owned: number[] = []

  static async open(
    t: TestContext,
    peer: Peer,
    options: { groupId: string; topic: Topic; groupInstanceId?: string }
  ): Promise<ClassicMember> {
    return new ClassicMember(await RawConnection.open(t, peer.cluster), options)
  }

  private constructor(connection: RawConnection, options: { groupId: string; topic: Topic; groupInstanceId?: string }) {
    this.connection = connection
    this.groupId = options.groupId
    this.topic = options.topic
    this.groupInstanceId = options.groupInstanceId ?? null
  }

  get #identity(): { groupId: string; memberId: string; generationId: number; groupInstanceId: string | null } {
    const { groupId, memberId, groupInstanceId } = this
    return { groupId, memberId, generationId: this.generation, groupInstanceId }
  }

  /** One JoinGroup. */
  joinOnce(): Promise<JoinGroupResponse> {
    const ownedPartitions = [{ topic: this.topic.name, partitions: this.owned }]
    const metadata = encodeVersioned(consumerProtocolSubscriptionCodec, 2, {
      topics: [this.topic.name],
      ownedPartitions: this.owned.length === 0 ? [] : ownedPartitions,
      generationId: this.generation
    })
    const { groupId, memberId, groupInstanceId } = this
    return this.connection.request(joinGroupApi, {
      version: 9,
      message: {
        groupId,
        memberId,
        groupInstanceId,
        protocolType: 'consumer',
        sessionTimeoutMs,
        rebalanceTimeoutMs: 30_000,
        protocols: [{ name: 'cooperative-sticky', metadata }]
      }
    })
  }

  /** Joins, with the id that it is given if it needs one. */
  async join(): Promise<JoinGroupResponse> {
    let joined = await this.joinOnce()
    if (errorOf(joined) === 'MEMBER_ID_REQUIRED') {
      this.memberId = joined.memberId
      joined = await this.joinOnce()
    }
    assert.equal(errorOf(joined), 'NONE')
    this.memberId = joined.memberId
    this.generation = joined.generationId
    return joined
  }

  /** Asks for the assignment; a leader assigns by hand. */
  async sync(assignments: Record<string, number[]> = {}): Promise<string> {
    const synced = await this.connection.request(syncGroupApi, {
      version: 5,
      message: {
        ...this.#identity,
        protocolType: 'consumer',
        protocolName: 'cooperative-sticky',
        assignments: Object.entries(assignments).map(([memberId, partitions]) => ({
          memberId,
          assignment: encodeVersioned(consumerProtocolAssignmentCodec, 2, {
            assignedPartitions: [{ topic: this.topic.name, partitions }]
          })
        }))
      }
    })
    if (errorOf(synced) === 'NONE') {
      const { assignedPartitions } = decodeConsumerProtocol(consumerProtocolAssignmentCodec, synced.assignment)
      this.owned = assignedPartitions.flatMap(({ partitions }) => partitions).toSorted((a, b) => a - b)
    }
    return errorOf(synced)
  }

  async heartbeat(): Promise<string> {
    return errorOf(await this.connection.request(heartbeatApi, { version: 4, message: this.#identity }))
  }

  /** Does what a client does: joins again whenever a heartbeat tells it to. Answers what the heartbeat said. */
  async beat(): Promise<string> {
    const told = await this.heartbeat()
    if (told === 'REBALANCE_IN_PROGRESS') {
      await this.join()
      await this.sync()
    }
    return told
  }

  async leave(): Promise<string> {
    const { groupId, memberId, groupInstanceId } = this
    const message = { groupId, members: [{ memberId, groupInstanceId }] }
    return errorOf((await this.connection.request(leaveGroupApi, { version: 5, message })).members[0])
  }

  async commitOffset(generation: number): Promise<string> {
    const { groupId, memberId, groupInstanceId, topic } = this
    const partitions = [{ partitionIndex: 0, committedOffset: 1n, committedMetadata: '' }]
    const identity = { groupId, memberId, groupInstanceId, generationIdOrMemberEpoch: generation }
    const message = { ...identity, topics: [{ name: topic.name, partitions }] }
    const response = await this.connection.request(offsetCommitApi, { version: 8, message })
    return errorOf(response.topics[0]?.partitions[0])
  }
}

async function typeOf({ connection }: Peer, groupId: string): Promise<string | undefined> {
  const { groups } = await connection.request(listGroupsApi, { version: 5, message: {} })
  return groups.find(group => group.groupId === groupId)?.groupType.toLowerCase()
}

/** A classic group with one stable member that has everything, and a member of the consumer protocol that joins it. */
async function upgradedGroup(t: TestContext): Promise<{
  peer: Peer
  groupId: string
  topic: Topic
  classic: ClassicMember
  consumer: GroupMember
}> {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer, { partitions: 4 })
  const classic = await ClassicMember.open(t, peer, { groupId, topic })
  await classic.join()
  assert.equal(await classic.sync({ [classic.memberId]: [0, 1, 2, 3] }), 'NONE')
  const consumer = new GroupMember(peer.connection, { groupId })
  await consumer.join({ subscribedTopicNames: [topic.name] })
  return { peer, groupId, topic, classic, consumer }
}

async function settleBoth(classic: ClassicMember, consumer: GroupMember, topic: Topic): Promise<void> {
  await until('an even share', async () => {
    await consumer.beat()
    const told = await classic.beat()
    const both = [...classic.owned, ...consumer.of(topic)].toSorted((a, b) => a - b)
    assert.equal(new Set(both).size, both.length, 'a partition has two owners')
    return both.length === 4 && consumer.of(topic).length === 2 && told === 'NONE' ? true : undefined
  })
}

test('a consumer-protocol member upgrades a classic group; both protocols share one assignment', async t => {
  const { peer, groupId, topic, classic, consumer } = await upgradedGroup(t)

  assert.equal(await typeOf(peer, groupId), 'consumer')
  assert.deepEqual(consumer.of(topic), [], 'the classic member still has everything')
  await settleBoth(classic, consumer, topic)

  const group = await describe(peer, groupId)
  assert.equal(group.groupState, 'Stable')
  const row = group.members.find(({ memberId }) => memberId === classic.memberId)
  assert.equal(row?.memberType, 0)
  assert.equal(group.members.find(({ memberId }) => memberId === consumer.memberId)?.memberType, 1)
  assert.equal(row.memberEpoch, classic.generation)
  assert.deepEqual(row.assignment.topicPartitions[0]?.partitions.toSorted(), classic.owned)
})

test('a classic member of a consumer group is fenced by its generation as ever', async t => {
  const { topic, classic, consumer } = await upgradedGroup(t)
  await settleBoth(classic, consumer, topic)
  const { generation, memberId } = classic

  assert.equal(await classic.commitOffset(generation), 'NONE')
  assert.equal(await classic.commitOffset(generation - 1), 'NONE', 'it has had the partition since then')
  assert.equal(await classic.commitOffset(0), 'ILLEGAL_GENERATION')
  assert.equal(await classic.commitOffset(generation + 1), 'ILLEGAL_GENERATION')
  classic.generation = generation - 1
  assert.equal(await classic.heartbeat(), 'ILLEGAL_GENERATION')
  assert.equal(await classic.sync(), 'ILLEGAL_GENERATION')
  classic.generation = generation
  classic.memberId = 'stranger'
  assert.equal(await classic.heartbeat(), 'UNKNOWN_MEMBER_ID')
  assert.equal(await classic.sync(), 'UNKNOWN_MEMBER_ID')
  assert.equal(await classic.leave(), 'UNKNOWN_MEMBER_ID')
  classic.memberId = consumer.memberId
  assert.equal(await classic.heartbeat(), 'UNKNOWN_MEMBER_ID')
  classic.memberId = memberId
  assert.equal(await classic.heartbeat(), 'NONE')
})

test('a classic member that joins a consumer group is given an id, a generation and its share', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer, { partitions: 4 })
  const consumer = new GroupMember(peer.connection, { groupId })
  await consumer.join({ subscribedTopicNames: [topic.name] })
  const classic = await ClassicMember.open(t, peer, { groupId, topic })

  const asked = await classic.joinOnce()
  assert.equal(errorOf(asked), 'MEMBER_ID_REQUIRED')
  const joined = await classic.join()
  assert.deepEqual([joined.protocolType, joined.protocolName], ['consumer', 'cooperative-sticky'])
  assert.deepEqual([joined.leader, joined.members, joined.skipAssignment], ['', [], false])
  assert.equal(await classic.sync(), 'NONE')
  await settleBoth(classic, consumer, topic)
})

test('when the last consumer-protocol member leaves, the group is a classic one again, and goes on', async t => {
  const { peer, groupId, topic, classic, consumer } = await upgradedGroup(t)
  await settleBoth(classic, consumer, topic)

  assert.equal(errorOf(await consumer.leave()), 'NONE')
  assert.equal(await typeOf(peer, groupId), 'classic')
  assert.equal(errorOf(await describe(peer, groupId)), 'GROUP_ID_NOT_FOUND')
  assert.equal(await classic.heartbeat(), 'REBALANCE_IN_PROGRESS')
  const joined = await classic.join()
  assert.equal(joined.leader, classic.memberId)
  assert.equal(await classic.sync({ [classic.memberId]: [0, 1, 2, 3] }), 'NONE')

  assert.deepEqual(classic.owned, [0, 1, 2, 3])
  assert.equal(await classic.heartbeat(), 'NONE')
})

test('when the classic member leaves, the consumer-protocol member gets everything', async t => {
  const { peer, groupId, topic, classic, consumer } = await upgradedGroup(t)
  await settleBoth(classic, consumer, topic)

  assert.equal(await classic.leave(), 'NONE')
  await until('everything', async () => {
    await consumer.beat()
    return consumer.of(topic).length === 4 ? true : undefined
  })
  assert.equal(await typeOf(peer, groupId), 'consumer')
})

test('empty groups change their type with whoever joins first', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer, { partitions: 4 })
  const classic = await ClassicMember.open(t, peer, { groupId, topic })
  await classic.join()
  assert.equal(await classic.sync({ [classic.memberId]: [0, 1, 2, 3] }), 'NONE')
  assert.equal(await classic.leave(), 'NONE')

  const consumer = new GroupMember(peer.connection, { groupId })
  await consumer.join({ subscribedTopicNames: [topic.name] })
  assert.equal(await typeOf(peer, groupId), 'consumer')
  assert.equal((await describe(peer, groupId)).members.length, 1)
  await consumer.leave()

  const again = await ClassicMember.open(t, peer, { groupId, topic })
  await again.join()
  assert.equal(await typeOf(peer, groupId), 'classic')
})

test('a group of another protocol type is not upgraded, and a consumer group takes no member of one', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer)
  const join = (group: string, memberId: string): Promise<JoinGroupResponse> =>
    peer.connection.request(joinGroupApi, {
      version: 3,
      message: {
        groupId: group,
        memberId,
        sessionTimeoutMs,
        rebalanceTimeoutMs: 30_000,
        protocolType: 'connect',
        protocols: [{ name: 'default', metadata: Buffer.from('opaque') }]
      }
    })
  assert.equal(errorOf(await join(groupId, '')), 'NONE')
  const consumer = new GroupMember(peer.connection, { groupId })
  const joining = { memberEpoch: 0, rebalanceTimeoutMs: 1000, topicPartitions: [], subscribedTopicNames: [topic.name] }
  assert.equal(errorOf(await consumer.send(joining)), 'GROUP_ID_NOT_FOUND')

  const other = peer.cluster.uniqueName('group')
  const member = new GroupMember(peer.connection, { groupId: other })
  assert.equal(errorOf(await member.send(joining)), 'NONE')
  assert.equal(errorOf(await join(other, '')), 'INCONSISTENT_GROUP_PROTOCOL')
})

test('a static classic member comes back with the consumer protocol and takes its own place', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer, { partitions: 4 })
  const classic = await ClassicMember.open(t, peer, { groupId, topic, groupInstanceId: 'i' })
  await classic.join()
  assert.equal(await classic.sync({ [classic.memberId]: [0, 1, 2, 3] }), 'NONE')

  const consumer = new GroupMember(peer.connection, { groupId, instanceId: 'i' })
  await consumer.join({ subscribedTopicNames: [topic.name] })

  assert.deepEqual(consumer.of(topic), [0, 1, 2, 3])
  assert.equal(await classic.heartbeat(), 'FENCED_INSTANCE_ID')
  assert.equal((await describe(peer, groupId)).members.length, 1)
})
