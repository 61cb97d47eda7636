/** Consumer groups of KIP-848 as seen on the wire. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  apiVersionsApi,
  consumerGroupHeartbeatApi,
  createPartitionsApi,
  deleteGroupsApi,
  describeGroupsApi,
  kafkaErrorName,
  leaveGroupApi,
  listGroupsApi,
  offsetCommitApi,
  offsetDeleteApi,
  offsetFetchApi
} from '../../src/protocol/index.ts'
import { RawConnection } from '../support/raw-connection.ts'
import {
  createNamedTopic,
  describe,
  groupForTest,
  GroupMember,
  rebalanceTimeoutMs,
  settle,
  until
} from './consumer-group-support.ts'
import { createTopic, errorOf } from './support.ts'

test('the feature group.version is finalized at 1, and versions 0 and 1 of both requests are served', async t => {
  const { peer } = await groupForTest(t)
  const message = { clientSoftwareName: 'conformance', clientSoftwareVersion: '1' }
  const versions = await peer.connection.request(apiVersionsApi, { version: 4, message })

  const feature = versions.finalizedFeatures.find(({ name }) => name === 'group.version')
  assert.deepEqual([feature?.minVersionLevel, feature?.maxVersionLevel], [1, 1])
  assert.ok(versions.finalizedFeaturesEpoch >= 0n)
  for (const key of [68, 69]) {
    const range = versions.apiKeys.find(({ apiKey }) => apiKey === key)
    assert.deepEqual([range?.minVersion, range?.maxVersion], [0, 1])
  }
})

test('one member gets everything, and the group is described with its epochs', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer, { partitions: 3 })
  const member = new GroupMember(peer.connection, { groupId })

  const joined = await member.join({ subscribedTopicNames: [topic.name], rackId: 'r' })
  await settle([member], 3)

  assert.equal(joined.memberId, member.memberId)
  assert.equal(joined.heartbeatIntervalMs, 5000)
  assert.equal(joined.memberEpoch, 2)
  assert.deepEqual(member.of(topic), [0, 1, 2])
  const group = await describe(peer, groupId)
  assert.deepEqual(
    [group.groupState, group.assignorName, group.assignmentEpoch === group.groupEpoch],
    ['Stable', 'uniform', true]
  )
  const [described] = group.members
  assert.equal(described?.memberId, member.memberId)
  assert.deepEqual(
    [described.memberEpoch, described.instanceId, described.rackId, described.clientId, described.memberType],
    [group.groupEpoch, null, 'r', 'conformance', 1]
  )
  assert.deepEqual(described.subscribedTopicNames, [topic.name])
  const partitions = [{ topicId: topic.id, topicName: topic.name, partitions: [0, 1, 2] }]
  assert.deepEqual(described.assignment.topicPartitions, partitions)
  assert.deepEqual(described.targetAssignment.topicPartitions, partitions)
})

test('a second member gets its share only after the first has given it back', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer, { partitions: 4 })
  const subscribedTopicNames = [topic.name]
  const first = new GroupMember(peer.connection, { groupId })
  const second = new GroupMember(peer.connection, { groupId })
  await first.join({ subscribedTopicNames })
  await settle([first], 4)

  await second.join({ subscribedTopicNames })
  const had = first.owned
  // The first one is told to give back, and says again and again that it has not.
  await until('a revocation', async () => {
    await first.beat({ topicPartitions: [...had].map(([topicId, partitions]) => ({ topicId, partitions })) })
    return first.of(topic).length === 2 ? true : undefined
  })
  await second.beat()
  assert.deepEqual(second.of(topic), [])
  const stillThere = await first.send({ memberEpoch: first.epoch })
  assert.equal(errorOf(stillThere), 'NONE')
  await second.beat()
  assert.deepEqual(second.of(topic), [], 'no list at all gives nothing back')
  const split = [...had].flatMap(([topicId, partitions]) => partitions.map(index => ({ topicId, partitions: [index] })))
  await first.beat({ topicPartitions: split })
  await second.beat()
  assert.deepEqual(second.of(topic), [], 'a topic may be named several times')

  await settle([first, second], 4)
  assert.deepEqual([first.of(topic).length, second.of(topic).length], [2, 2])
  assert.deepEqual(new Set([...first.of(topic), ...second.of(topic)]), new Set([0, 1, 2, 3]))
})

test('who leaves frees its partitions at once; the last one leaves an empty group', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer, { partitions: 2 })
  const subscribedTopicNames = [topic.name]
  const first = new GroupMember(peer.connection, { groupId })
  const second = new GroupMember(peer.connection, { groupId })
  await first.join({ subscribedTopicNames })
  await second.join({ subscribedTopicNames })
  await settle([first, second], 2)
  const { groupEpoch } = await describe(peer, groupId)

  const left = await second.leave()
  assert.deepEqual([errorOf(left), left.memberEpoch, left.assignment], ['NONE', -1, null])
  await settle([first], 2)
  assert.equal(errorOf(await second.send({ memberEpoch: second.epoch })), 'UNKNOWN_MEMBER_ID')
  assert.ok((await describe(peer, groupId)).groupEpoch > groupEpoch)

  assert.equal(errorOf(await first.leave()), 'NONE')
  const empty = await describe(peer, groupId)
  assert.deepEqual([empty.groupState, empty.members.length], ['Empty', 0])
})

test('requests that say too little or the wrong thing are refused, each in its way', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer)
  const member = new GroupMember(peer.connection, { groupId })
  const names = { subscribedTopicNames: [topic.name] }
  const full = { memberEpoch: 0, rebalanceTimeoutMs, topicPartitions: [], ...names }
  const answer = async (fields: Parameters<GroupMember['send']>[0], id = member.memberId): Promise<unknown[]> => {
    const response = await new GroupMember(peer.connection, { groupId, memberId: id }).send(fields)
    return [errorOf(response), response.errorMessage]
  }

  assert.deepEqual(await answer(full, ''), ['INVALID_REQUEST', "MemberId can't be empty."])
  assert.deepEqual(await answer({ ...full, instanceId: '' }), ['INVALID_REQUEST', "InstanceId can't be empty."])
  assert.deepEqual(await answer({ ...full, rackId: '' }), ['INVALID_REQUEST', "RackId can't be empty."])
  assert.deepEqual(await answer({ memberEpoch: -2 }), ['INVALID_REQUEST', "InstanceId can't be null."])
  assert.deepEqual(await answer({ memberEpoch: -3 }), ['INVALID_REQUEST', 'MemberEpoch is invalid.'])
  assert.deepEqual(await answer({ ...full, rebalanceTimeoutMs: -1 }), [
    'INVALID_REQUEST',
    'RebalanceTimeoutMs must be provided in first request.'
  ])
  assert.deepEqual(await answer({ ...full, topicPartitions: null }), [
    'INVALID_REQUEST',
    'TopicPartitions must be empty when (re-)joining.'
  ])
  assert.deepEqual(await answer({ ...full, subscribedTopicNames: null }), [
    'INVALID_REQUEST',
    'Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.'
  ])
  const [assignor] = await answer({ ...full, serverAssignor: 'none-such' })
  assert.equal(assignor, 'UNSUPPORTED_ASSIGNOR')
  const [regex] = await answer({ ...full, subscribedTopicRegex: '[' })
  assert.equal(regex, 'INVALID_REGULAR_EXPRESSION')
  const nowhere = await new GroupMember(peer.connection, { groupId: '' }).send(full)
  assert.deepEqual([errorOf(nowhere), nowhere.errorMessage], ['INVALID_REQUEST', "GroupId can't be empty."])
})

test('groups and members that are not there, and epochs that are not right', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer, { partitions: 2 })
  const member = new GroupMember(peer.connection, { groupId })
  const stranger = new GroupMember(peer.connection, { groupId })

  assert.equal(errorOf(await stranger.send({ memberEpoch: 1 })), 'GROUP_ID_NOT_FOUND')
  assert.equal(errorOf(await stranger.leave()), 'GROUP_ID_NOT_FOUND')
  await member.join({ subscribedTopicNames: [topic.name] })
  await settle([member], 2)

  assert.equal(errorOf(await stranger.send({ memberEpoch: 1 })), 'UNKNOWN_MEMBER_ID')
  assert.equal(errorOf(await stranger.leave()), 'UNKNOWN_MEMBER_ID')
  const unknownInstance = new GroupMember(peer.connection, { groupId, instanceId: 'nobody' })
  assert.equal(errorOf(await unknownInstance.send({ memberEpoch: 1 })), 'UNKNOWN_MEMBER_ID')
  assert.equal(errorOf(await member.send({ memberEpoch: member.epoch + 1 })), 'FENCED_MEMBER_EPOCH')
  assert.equal(errorOf(await member.send({ memberEpoch: member.epoch - 1 })), 'FENCED_MEMBER_EPOCH')
})

test('a static member leaves for a moment and another id takes its partitions over; a third is refused', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer, { partitions: 4 })
  const subscribedTopicNames = [topic.name]
  const before = new GroupMember(peer.connection, { groupId, instanceId: 'i' })
  const other = new GroupMember(peer.connection, { groupId })
  await before.join({ subscribedTopicNames })
  await other.join({ subscribedTopicNames })
  await settle([before, other], 4)
  const { groupEpoch } = await describe(peer, groupId)

  const after = new GroupMember(peer.connection, { groupId, instanceId: 'i' })
  const early = await after.send({ memberEpoch: 0, rebalanceTimeoutMs, topicPartitions: [], subscribedTopicNames })
  assert.equal(errorOf(early), 'UNRELEASED_INSTANCE_ID')
  const left = await before.leave(-2)
  assert.deepEqual([errorOf(left), left.memberEpoch], ['NONE', -2])
  await after.join({ subscribedTopicNames })

  assert.deepEqual(after.of(topic), before.of(topic))
  assert.equal((await describe(peer, groupId)).groupEpoch, groupEpoch, 'nothing has changed for the others')
  assert.equal(errorOf(await before.send({ memberEpoch: before.epoch })), 'FENCED_INSTANCE_ID')
  assert.equal(errorOf(await before.leave()), 'FENCED_INSTANCE_ID')
  const described = await describe(peer, groupId)
  assert.equal(described.members.find(({ instanceId }) => instanceId === 'i')?.memberId, after.memberId)
})

test('a pattern subscribes to the topics whose whole name it matches', async t => {
  const { peer, groupId } = await groupForTest(t)
  const stem = peer.cluster.uniqueName('regex')
  const one = await createNamedTopic(peer, `${stem}-a`, 2)
  const two = await createNamedTopic(peer, `${stem}-b`, 1)
  await createNamedTopic(peer, `${stem}-b2`, 1)
  const member = new GroupMember(peer.connection, { groupId })

  await member.join({ subscribedTopicRegex: `${stem}-(?P<last>[ab])` })
  await settle([member], 3)

  assert.deepEqual([member.of(one), member.of(two)], [[0, 1], [0]])
  const described = await describe(peer, groupId)
  assert.equal(described.members[0]?.subscribedTopicRegex, `${stem}-(?P<last>[ab])`)
  assert.deepEqual(described.members[0].subscribedTopicNames, [])
})

test('partitions that are added are assigned; a topic that appears is too', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer, { partitions: 1 })
  const later = peer.cluster.uniqueName('later')
  const member = new GroupMember(peer.connection, { groupId })
  await member.join({ subscribedTopicNames: [topic.name, later] })
  await settle([member], 1)

  const grown = await peer.connection.request(createPartitionsApi, {
    version: 3,
    message: { topics: [{ name: topic.name, count: 3, assignments: null }], timeoutMs: 10_000 }
  })
  assert.equal(errorOf(grown.results[0]), 'NONE')
  await settle([member], 3)
  await createNamedTopic(peer, later, 2)
  await settle([member], 5)
})

test('a member may join without topics, and subscribe later', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer, { partitions: 2 })
  const member = new GroupMember(peer.connection, { groupId })
  const joined = await member.join({ subscribedTopicNames: [] })

  assert.deepEqual([joined.memberEpoch, joined.assignment?.topicPartitions], [1, []])
  await member.beat({ subscribedTopicNames: [topic.name] })
  await settle([member], 2)
  await member.beat({ subscribedTopicNames: [] })
  await settle([member], 0)
})

test('range gives each member one contiguous range of every topic', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topics = [await createTopic(peer, { partitions: 5 }), await createTopic(peer, { partitions: 3 })]
  const fields = { subscribedTopicNames: topics.map(({ name }) => name), serverAssignor: 'range' }
  const first = new GroupMember(peer.connection, { groupId, memberId: 'member-1' })
  const second = new GroupMember(peer.connection, { groupId, memberId: 'member-2' })
  await first.join(fields)
  await second.join(fields)
  await settle([first, second], 8)

  assert.equal((await describe(peer, groupId)).assignorName, 'range')
  assert.deepEqual(
    topics.map(topic => first.of(topic)),
    [
      [0, 1, 2],
      [0, 1]
    ]
  )
  assert.deepEqual(
    topics.map(topic => second.of(topic)),
    [[3, 4], [2]]
  )
})

test('offsets are committed and fetched by member epoch', async t => {
  const { peer, groupId } = await groupForTest(t)
  const { connection } = peer
  const topic = await createTopic(peer, { partitions: 1 })
  const member = new GroupMember(connection, { groupId })
  await member.join({ subscribedTopicNames: [topic.name] })
  await settle([member], 1)
  const commit = async (memberId: string, epoch: number, version = 9): Promise<string> => {
    const partitions = [{ partitionIndex: 0, committedOffset: 5n, committedLeaderEpoch: 0, committedMetadata: '' }]
    const message = { groupId, memberId, generationIdOrMemberEpoch: epoch, topics: [{ name: topic.name, partitions }] }
    const response = await connection.request(offsetCommitApi, { version, message })
    return errorOf(response.topics[0]?.partitions[0])
  }
  const fetch = async (memberId: string | null, memberEpoch: number): Promise<unknown> => {
    const asked = { groupId, memberId, memberEpoch, topics: [{ name: topic.name, partitionIndexes: [0] }] }
    const { groups } = await connection.request(offsetFetchApi, { version: 9, message: { groups: [asked] } })
    return errorOf(groups[0]) === 'NONE' ? groups[0]?.topics[0]?.partitions[0]?.committedOffset : errorOf(groups[0])
  }

  assert.equal(await commit(member.memberId, member.epoch), 'NONE')
  assert.equal(await commit('stranger', member.epoch), 'UNKNOWN_MEMBER_ID')
  assert.equal(await commit('', -1), 'UNKNOWN_MEMBER_ID')
  assert.equal(await commit(member.memberId, member.epoch + 1), 'STALE_MEMBER_EPOCH')
  assert.equal(await commit(member.memberId, 0), 'STALE_MEMBER_EPOCH')
  assert.equal(await commit(member.memberId, member.epoch, 8), 'UNSUPPORTED_VERSION')
  assert.equal(await fetch(member.memberId, member.epoch), 5n)
  assert.equal(await fetch(null, -1), 5n)
  assert.equal(await fetch('stranger', 1), 'UNKNOWN_MEMBER_ID')
  assert.equal(await fetch(member.memberId, member.epoch + 1), 'STALE_MEMBER_EPOCH')
  const nowhere = peer.cluster.uniqueName('group')
  const partitions = [{ partitionIndex: 0, committedOffset: 5n }]
  const message = {
    groupId: nowhere,
    memberId: 'm',
    generationIdOrMemberEpoch: 1,
    topics: [{ name: topic.name, partitions }]
  }
  const lost = await connection.request(offsetCommitApi, { version: 9, message })
  assert.equal(errorOf(lost.topics[0]?.partitions[0]), 'GROUP_ID_NOT_FOUND')
})

test('groups are listed by type and state; descriptions of the other type do not know them', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer)
  const member = new GroupMember(peer.connection, { groupId })
  await member.join({ subscribedTopicNames: [topic.name] })
  await settle([member], 1)
  const list = async (message: { typesFilter?: string[]; statesFilter?: string[] }): Promise<unknown> => {
    const { groups } = await peer.connection.request(listGroupsApi, { version: 5, message })
    const found = groups.find(group => group.groupId === groupId)
    return found && [found.protocolType, found.groupState, found.groupType]
  }

  assert.deepEqual(await list({}), ['consumer', 'Stable', 'consumer'])
  assert.deepEqual(await list({ typesFilter: ['Consumer'], statesFilter: ['stable'] }), [
    'consumer',
    'Stable',
    'consumer'
  ])
  assert.equal(await list({ typesFilter: ['classic'] }), undefined)
  assert.equal(await list({ statesFilter: ['Empty'] }), undefined)
  const { groups } = await peer.connection.request(describeGroupsApi, { version: 6, message: { groups: [groupId] } })
  assert.deepEqual(
    [groups[0]?.errorMessage, groups[0]?.groupState, errorOf(groups[0])],
    [`Group ${groupId} is not a classic group.`, 'Dead', 'GROUP_ID_NOT_FOUND']
  )
})

test('a group with members is not deleted, nor are offsets of topics it subscribes to; an empty one is', async t => {
  const { peer, groupId } = await groupForTest(t)
  const { connection } = peer
  const topic = await createTopic(peer)
  const member = new GroupMember(connection, { groupId })
  await member.join({ subscribedTopicNames: [topic.name] })
  await settle([member], 1)
  const partitions = [{ partitionIndex: 0, committedOffset: 5n }]
  const identity = { groupId, memberId: member.memberId, generationIdOrMemberEpoch: member.epoch }
  await connection.request(offsetCommitApi, {
    version: 9,
    message: { ...identity, topics: [{ name: topic.name, partitions }] }
  })
  const deleteGroup = async (): Promise<string> => {
    const { results } = await connection.request(deleteGroupsApi, { version: 2, message: { groupsNames: [groupId] } })
    return errorOf(results[0])
  }
  const deleteOffset = async (): Promise<string[]> => {
    const topics = [{ name: topic.name, partitions: [{ partitionIndex: 0 }] }]
    const answer = await connection.request(offsetDeleteApi, { version: 0, message: { groupId, topics } })
    return [errorOf(answer), errorOf(answer.topics[0]?.partitions[0])]
  }

  assert.equal(await deleteGroup(), 'NON_EMPTY_GROUP')
  assert.deepEqual(await deleteOffset(), ['NONE', 'GROUP_SUBSCRIBED_TO_TOPIC'])
  await member.leave()
  assert.deepEqual(await deleteOffset(), ['NONE', 'NONE'])
  assert.equal(await deleteGroup(), 'NONE')
  assert.equal(errorOf(await describe(peer, groupId)), 'GROUP_ID_NOT_FOUND')
})

test('administrators remove members with LeaveGroup, by member id or by instance id', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer)
  const subscribedTopicNames = [topic.name]
  const dynamic = new GroupMember(peer.connection, { groupId })
  const fixed = new GroupMember(peer.connection, { groupId, instanceId: 'i' })
  await dynamic.join({ subscribedTopicNames })
  await fixed.join({ subscribedTopicNames })
  const leave = async (memberId: string, groupInstanceId: string | null): Promise<string> => {
    const message = { groupId, members: [{ memberId, groupInstanceId }] }
    const { members } = await peer.connection.request(leaveGroupApi, { version: 5, message })
    return errorOf(members[0])
  }

  assert.equal(await leave('', 'nobody'), 'UNKNOWN_MEMBER_ID')
  assert.equal(await leave('nobody', null), 'UNKNOWN_MEMBER_ID')
  assert.equal(await leave('nobody', 'i'), 'FENCED_INSTANCE_ID')
  assert.equal(await leave(dynamic.memberId, null), 'NONE')
  assert.equal(await leave('', 'i'), 'NONE')
  assert.equal((await describe(peer, groupId)).groupState, 'Empty')
})

test('version 0 lets the coordinator choose the id of a member', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer)
  const message = {
    groupId,
    memberId: '',
    memberEpoch: 0,
    rebalanceTimeoutMs,
    subscribedTopicNames: [topic.name],
    topicPartitions: []
  }
  const joined = await peer.connection.request(consumerGroupHeartbeatApi, { version: 0, message })

  assert.equal(kafkaErrorName(joined.errorCode), 'NONE')
  assert.match(joined.memberId ?? '', /^[\w-]{22}$/)
})

test('a member that joins again with epoch 0 is shown everything it has', async t => {
  const { peer, groupId } = await groupForTest(t)
  const topic = await createTopic(peer, { partitions: 2 })
  const member = new GroupMember(await RawConnection.open(t, peer.cluster), { groupId })
  await member.join({ subscribedTopicNames: [topic.name] })
  await settle([member], 2)
  const { epoch } = member

  member.owned = new Map()
  await member.join({ subscribedTopicNames: [topic.name] })

  assert.deepEqual([member.epoch, member.of(topic)], [epoch, [0, 1]])
})
