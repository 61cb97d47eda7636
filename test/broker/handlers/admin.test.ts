/** Administration over a socket, where the conformance tests do not look. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  alterConfigsApi,
  alterPartitionReassignmentsApi,
  alterReplicaLogDirsApi,
  createAclsApi,
  createPartitionsApi,
  createTopicsApi,
  type CreateTopicsRequestInput,
  deleteAclsApi,
  deleteRecordsApi,
  deleteTopicsApi,
  describeAclsApi,
  describeClusterApi,
  describeConfigsApi,
  describeGroupsApi,
  describeLogDirsApi,
  describeTopicPartitionsApi,
  type DescribeTopicPartitionsResponse,
  electLeadersApi,
  incrementalAlterConfigsApi,
  listConfigResourcesApi,
  listGroupsApi,
  listPartitionReassignmentsApi,
  offsetForLeaderEpochApi
} from '../../../src/protocol/index.ts'
import type { Broker } from '../../../src/broker/index.ts'
import type { RawConnection } from '../../support/raw-connection.ts'
import { brokerFor, connectTo } from '../support.ts'

const TOPIC_RESOURCE = 2

async function world(t: TestContext): Promise<{ broker: Broker; connection: RawConnection }> {
  const broker = await brokerFor(t)
  return { broker, connection: await connectTo(t, broker) }
}

type NewTopicInput = NonNullable<CreateTopicsRequestInput['topics']>[number]

async function create(connection: RawConnection, ...topics: NewTopicInput[]): Promise<number[]> {
  const message = { topics: topics.map(topic => ({ replicationFactor: 1, ...topic })), timeoutMs: 1000 }
  const answer = await connection.request(createTopicsApi, { version: 7, message })
  return answer.topics.map(topic => topic.errorCode)
}

async function configOf(connection: RawConnection, topic: string, name: string): Promise<string | null | undefined> {
  const resources = [{ resourceType: TOPIC_RESOURCE, resourceName: topic, configurationKeys: [name] }]
  const answer = await connection.request(describeConfigsApi, { version: 4, message: { resources } })
  return answer.results[0]?.configs[0]?.value
}

test('CreateTopics says for each topic why it cannot be', async t => {
  const { connection } = await world(t)
  const errors = await create(
    connection,
    { name: 'good', numPartitions: 2 },
    { name: 'bad name', numPartitions: 1 },
    { name: 'none', numPartitions: 0 },
    { name: 'three', numPartitions: 1, replicationFactor: 3 },
    { name: 'config', numPartitions: 1, configs: [{ name: 'retention.ms', value: 'soon' }] },
    { name: 'twice', numPartitions: 1 },
    { name: 'twice', numPartitions: 1 },
    {
      name: 'elsewhere',
      numPartitions: -1,
      replicationFactor: -1,
      assignments: [{ partitionIndex: 0, brokerIds: [2] }]
    }
  )
  // INVALID_TOPIC, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR, INVALID_CONFIG, 2 × INVALID_REQUEST,
  // INVALID_REPLICA_ASSIGNMENT
  assert.deepEqual(errors, [0, 17, 37, 38, 40, 42, 42, 39])
})

test('a request for more than 10,000 partitions creates none of its topics', async t => {
  const { connection } = await world(t)
  const errors = await create(connection, { name: 'small', numPartitions: 1 }, { name: 'huge', numPartitions: 10_000 })
  assert.deepEqual(errors, [44, 44])
})

test('a manual assignment to this broker is taken', async t => {
  const { connection } = await world(t)
  const assignments = [0, 1].map(partitionIndex => ({ partitionIndex, brokerIds: [1] }))
  assert.deepEqual(await create(connection, { name: 't', numPartitions: -1, replicationFactor: -1, assignments }), [0])
  const bad = [{ partitionIndex: 1, brokerIds: [1] }]
  const errors = await create(connection, { name: 'u', numPartitions: -1, replicationFactor: -1, assignments: bad })
  assert.deepEqual(errors, [39])
})

test('CreatePartitions answers each topic by itself', async t => {
  const { connection } = await world(t)
  await create(connection, { name: 'a', numPartitions: 2 }, { name: 'b', numPartitions: 2 })
  const topics = [
    { name: 'a', count: 5, assignments: null },
    { name: 'b', count: 2, assignments: null },
    { name: 'missing', count: 2, assignments: null }
  ]
  const answer = await connection.request(createPartitionsApi, { version: 3, message: { topics, timeoutMs: 1000 } })
  assert.deepEqual(
    answer.results.map(result => result.errorCode),
    [0, 37, 3]
  )
})

test('AlterConfigs replaces all overrides, IncrementalAlterConfigs changes single ones and lists', async t => {
  const { connection } = await world(t)
  const configs = [
    { name: 'retention.ms', value: '1000' },
    { name: 'cleanup.policy', value: 'compact' }
  ]
  await create(connection, { name: 't', numPartitions: 1, configs })
  const resource = { resourceType: TOPIC_RESOURCE, resourceName: 't' }
  const incremental = async (
    name: string,
    configOperation: number,
    value: string | null
  ): Promise<number | undefined> => {
    const resources = [{ ...resource, configs: [{ name, configOperation, value }] }]
    const answer = await connection.request(incrementalAlterConfigsApi, { version: 1, message: { resources } })
    return answer.responses[0]?.errorCode
  }
  assert.equal(await incremental('cleanup.policy', 2, 'delete'), 0)
  assert.equal(await configOf(connection, 't', 'cleanup.policy'), 'compact,delete')
  assert.equal(await incremental('cleanup.policy', 3, 'compact'), 0)
  assert.equal(await configOf(connection, 't', 'cleanup.policy'), 'delete')
  assert.equal(await incremental('retention.ms', 2, '1'), 40)
  assert.equal(await incremental('retention.ms', 0, 'soon'), 40)
  assert.equal(await incremental('unheard.of', 0, '1'), 40)
  assert.equal(await incremental('retention.ms', 1, null), 0)
  assert.equal(await configOf(connection, 't', 'retention.ms'), '604800000')

  const resources = [{ ...resource, configs: [{ name: 'segment.bytes', value: '2000000' }] }]
  const altered = await connection.request(alterConfigsApi, { version: 2, message: { resources } })
  assert.equal(altered.responses[0]?.errorCode, 0)
  assert.equal(await configOf(connection, 't', 'segment.bytes'), '2000000')
  assert.equal(await configOf(connection, 't', 'cleanup.policy'), 'delete')
})

test('settings of the broker cannot be changed while it runs, and the answer says so', async t => {
  const { connection } = await world(t)
  const resources = [{ resourceType: 4, resourceName: '1', configs: [{ name: 'num.partitions', value: '2' }] }]
  const altered = await connection.request(alterConfigsApi, { version: 2, message: { resources } })
  assert.equal(altered.responses[0]?.errorCode, 42)
})

test('records of a topic that is only compacted cannot be deleted', async t => {
  const { connection } = await world(t)
  await create(connection, { name: 't', numPartitions: 1, configs: [{ name: 'cleanup.policy', value: 'compact' }] })
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, offset: -1n }] }]
  const answer = await connection.request(deleteRecordsApi, { version: 2, message: { topics, timeoutMs: 1000 } })
  assert.equal(answer.topics[0]?.partitions[0]?.errorCode, 44)
})

test('topics can be deleted by id, and not at all where that is switched off', async t => {
  const { connection } = await world(t)
  await create(connection, { name: 't', numPartitions: 1 })
  const described = await connection.request(describeTopicPartitionsApi, {
    version: 0,
    message: { topics: [{ name: 't' }], responsePartitionLimit: 1 }
  })
  const topicId = described.topics[0]?.topicId ?? ''
  const message = { topics: [{ name: null, topicId }], timeoutMs: 1000 }
  const deleted = await connection.request(deleteTopicsApi, { version: 6, message })
  assert.deepEqual([deleted.responses[0]?.errorCode, deleted.responses[0]?.name], [0, 't'])
  assert.equal((await connection.request(deleteTopicsApi, { version: 6, message })).responses[0]?.errorCode, 100)

  const off = await brokerFor(t, { config: { 'delete.topic.enable': 'false' } })
  const other = await connectTo(t, off)
  await create(other, { name: 't', numPartitions: 1 })
  const refused = await other.request(deleteTopicsApi, { version: 4, message: { topicNames: ['t'], timeoutMs: 1000 } })
  assert.equal(refused.responses[0]?.errorCode, 73)
})

test('DescribeTopicPartitions pages by name and partition until there is no cursor', async t => {
  const { connection } = await world(t)
  await create(
    connection,
    { name: 'b', numPartitions: 3 },
    { name: 'a', numPartitions: 2 },
    { name: 'c', numPartitions: 1 }
  )
  const pages: string[] = []
  let cursor: DescribeTopicPartitionsResponse['nextCursor'] = null
  do {
    const message = { topics: [], responsePartitionLimit: 2, cursor }
    const answer: DescribeTopicPartitionsResponse = await connection.request(describeTopicPartitionsApi, {
      version: 0,
      message
    })
    const seen = answer.topics.flatMap(topic => topic.partitions.map(each => `${topic.name}${each.partitionIndex}`))
    pages.push(seen.join(' '))
    cursor = answer.nextCursor
  } while (cursor !== null && pages.length < 10)
  assert.deepEqual(pages, ['a0 a1', 'b0 b1', 'b2 c0'])
})

test('without an authorizer every question about ACLs is SECURITY_DISABLED', async t => {
  const { connection } = await world(t)
  // Numbers of Kafka's enumerations: 1 is "any", 2 a topic, 3 a literal name, to read, and to allow.
  const anyAcl = { operation: 1, permissionType: 1, principalFilter: null, hostFilter: null, resourceNameFilter: null }
  const filter = { ...anyAcl, resourceTypeFilter: 1, patternTypeFilter: 1 }
  const acl = { resourceType: 2, resourceName: 't', principal: 'User:a', host: '*', operation: 3, permissionType: 3 }
  const described = await connection.request(describeAclsApi, { version: 3, message: filter })
  assert.equal(described.errorCode, 54)
  const created = await connection.request(createAclsApi, { version: 3, message: { creations: [acl] } })
  assert.equal(created.results[0]?.errorCode, 54)
  const deleted = await connection.request(deleteAclsApi, { version: 3, message: { filters: [filter] } })
  assert.equal(deleted.filterResults[0]?.errorCode, 54)
})

test('what moves replicas succeeds where nothing moves, and refuses the rest', async t => {
  const { broker, connection } = await world(t)
  await create(connection, { name: 't', numPartitions: 1 })
  const elected = await connection.request(electLeadersApi, {
    version: 2,
    message: { topicPartitions: [{ topic: 't', partitions: [0, 1] }], timeoutMs: 1000 }
  })
  const results = elected.replicaElectionResults[0]?.partitionResult.map(result => result.errorCode)
  assert.deepEqual(results, [84, 3])

  const partitions = [[1], [2], null].map(replicas => ({ partitionIndex: 0, replicas }))
  const reassigned = await connection.request(alterPartitionReassignmentsApi, {
    version: 1,
    message: { topics: [{ name: 't', partitions }], timeoutMs: 1000 }
  })
  const codes = reassigned.responses[0]?.partitions.map(partition => partition.errorCode)
  assert.deepEqual(codes, [0, 39, 85])
  const listed = await connection.request(listPartitionReassignmentsApi, { version: 0, message: { timeoutMs: 1000 } })
  assert.deepEqual(listed.topics, [])

  const dirs = [broker.dataDir, '/elsewhere'].map(path => ({ path, topics: [{ name: 't', partitions: [0] }] }))
  const moved = await connection.request(alterReplicaLogDirsApi, { version: 2, message: { dirs } })
  assert.deepEqual(
    moved.results.map(result => result.partitions[0]?.errorCode),
    [0, 57]
  )
  const described = await connection.request(describeLogDirsApi, { version: 4, message: { topics: null } })
  assert.equal(described.results[0]?.logDir, broker.dataDir)
  assert.ok((described.results[0]?.totalBytes ?? 0n) > 0n)
})

test('resources with settings are the broker and its topics', async t => {
  const { connection } = await world(t)
  await create(connection, { name: 't', numPartitions: 1 })
  const all = await connection.request(listConfigResourcesApi, { version: 1, message: {} })
  assert.deepEqual(
    all.configResources.map(({ resourceName, resourceType }) => [resourceName, resourceType]),
    [
      ['1', 4],
      ['t', 2]
    ]
  )
  const metrics = await connection.request(listConfigResourcesApi, { version: 0, message: {} })
  assert.deepEqual(metrics.configResources, [])
})

test('the cluster is one broker that is its own controller, and has no controller endpoints', async t => {
  const { broker, connection } = await world(t)
  const cluster = await connection.request(describeClusterApi, { version: 2, message: {} })
  assert.equal(cluster.clusterId, broker.clusterId)
  assert.equal(cluster.controllerId, 1)
  assert.deepEqual(
    cluster.brokers.map(({ brokerId, port }) => [brokerId, port]),
    [[1, broker.port]]
  )
  const controllers = await connection.request(describeClusterApi, { version: 2, message: { endpointType: 2 } })
  assert.equal(controllers.errorCode, 114)
})

test('groups are filtered by state and type without regard to case, and a missing one is dead', async t => {
  const { connection } = await world(t)
  assert.deepEqual(
    (await connection.request(listGroupsApi, { version: 5, message: { typesFilter: ['Consumer'] } })).groups,
    []
  )
  const old = await connection.request(describeGroupsApi, { version: 5, message: { groups: ['nobody'] } })
  assert.deepEqual([old.groups[0]?.errorCode, old.groups[0]?.groupState], [0, 'Dead'])
  const current = await connection.request(describeGroupsApi, { version: 6, message: { groups: ['nobody'] } })
  assert.deepEqual([current.groups[0]?.errorCode, current.groups[0]?.groupState], [69, 'Dead'])
})

test('an epoch that the leader has not seen is answered with -1', async t => {
  const { connection } = await world(t)
  await create(connection, { name: 't', numPartitions: 1 })
  const partitions = [{ partition: 0, currentLeaderEpoch: -1, leaderEpoch: 99 }]
  const message = { replicaId: -1, topics: [{ topic: 't', partitions }] }
  const answer = await connection.request(offsetForLeaderEpochApi, { version: 4, message })
  const [end] = answer.topics[0]?.partitions ?? []
  assert.deepEqual([end?.errorCode, end?.leaderEpoch, end?.endOffset], [0, -1, -1n])
})
