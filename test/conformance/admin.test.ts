/** Our administration client, on whatever cluster is under test. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { Admin, Cluster } from '../../src/client/index.ts'
import { clusterForTest, type TestCluster } from '../support/cluster.ts'

async function adminForTest(t: TestContext): Promise<{ admin: Admin; cluster: Cluster; given: TestCluster }> {
  const given = await clusterForTest(t)
  const cluster = await Cluster.connect({ bootstrapServers: given.bootstrapServers.split(',') })
  t.after(() => cluster.close())
  return { admin: new Admin(cluster), cluster, given }
}

test('a topic is created, described, grown and deleted', async t => {
  const { admin, cluster, given } = await adminForTest(t)
  const topic = given.uniqueName()
  const [created] = await admin.createTopics([{ topic, partitionCount: 3 }])
  assert.equal(created?.errorName, 'NONE')
  const [again] = await admin.createTopics([{ topic }])
  assert.equal(again?.errorName, 'TOPIC_ALREADY_EXISTS')
  assert.equal(await cluster.partitionCount(topic), 3)

  const [grown] = await admin.createPartitions([{ topic, partitionCount: 5 }])
  assert.equal(grown?.errorName, 'NONE')
  const [shrunk] = await admin.createPartitions([{ topic, partitionCount: 2 }])
  assert.equal(shrunk?.errorName, 'INVALID_PARTITIONS')

  const [deleted, absent] = await admin.deleteTopics([topic, given.uniqueName('absent')])
  assert.equal(deleted?.errorName, 'NONE')
  assert.equal(absent?.errorName, 'UNKNOWN_TOPIC_OR_PARTITION')
})

test('a topic that is only validated does not exist afterwards', async t => {
  const { admin, given } = await adminForTest(t)
  const topic = given.uniqueName()
  const [validated] = await admin.createTopics([{ topic, partitionCount: 1 }], { isValidateOnly: true })
  assert.equal(validated?.errorName, 'NONE')
  const { topics } = await admin.listTopics()
  assert.equal(
    topics.some(each => each.topic === topic),
    false
  )
})

test('offsets of a group without members are set, read and deleted with it', async t => {
  const { admin, given } = await adminForTest(t)
  const topic = given.uniqueName()
  const groupId = given.uniqueName('group')
  await admin.createTopics([{ topic, partitionCount: 2 }])
  const altered = await admin.alterGroupOffsets(groupId, [{ topic, partition: 1, offset: 7n, metadata: 'moved' }])
  assert.deepEqual(altered, [{ topic, partition: 1, errorCode: 0 }])

  const all = await admin.fetchGroupOffsets(groupId)
  assert.deepEqual(
    all.map(({ partition, offset, metadata }) => ({ partition, offset, metadata })),
    [{ partition: 1, offset: 7n, metadata: 'moved' }]
  )
  const [none] = await admin.fetchGroupOffsets(groupId, [{ topic, partition: 0 }])
  assert.equal(none?.offset, -1n)

  assert.equal(
    (await admin.listGroups()).some(group => group.groupId === groupId),
    true
  )
  const [described, dead] = await admin.describeGroups([groupId, given.uniqueName('absent')])
  assert.equal(described?.state, 'Empty')
  assert.equal(dead?.state, 'Dead')

  const [deleted] = await admin.deleteGroups([groupId])
  assert.equal(deleted?.errorName, 'NONE')
  const [gone] = await admin.deleteGroups([groupId])
  assert.equal(gone?.errorName, 'GROUP_ID_NOT_FOUND')
})

test('settings of a topic are shown with their source, and changed one by one', async t => {
  const { admin, given } = await adminForTest(t)
  const topic = given.uniqueName()
  await admin.createTopics([{ topic, partitionCount: 1, configs: { 'retention.ms': '1000' } }])
  const resource = { type: 'topic', name: topic } as const
  const valueOf = async (name: string): Promise<{ value: string | null; isDefault: boolean } | undefined> => {
    const [described] = await admin.describeConfigs([resource])
    const entry = described?.entries.find(each => each.name === name)
    return entry && { value: entry.value, isDefault: entry.isDefault }
  }
  assert.deepEqual(await valueOf('retention.ms'), { value: '1000', isDefault: false })
  const [changed] = await admin.alterConfigs([
    { resource, changes: [{ name: 'max.message.bytes', operation: 'set', value: '2000' }] }
  ])
  assert.equal(changed?.errorName, 'NONE')
  assert.deepEqual(await valueOf('max.message.bytes'), { value: '2000', isDefault: false })
  assert.deepEqual(await valueOf('retention.ms'), { value: '1000', isDefault: false })
  await admin.alterConfigs([{ resource, changes: [{ name: 'retention.ms', operation: 'delete' }] }])
  assert.equal((await valueOf('retention.ms'))?.value, '604800000')
  const [wrong] = await admin.alterConfigs([
    { resource, changes: [{ name: 'retention.ms', operation: 'set', value: 'soon' }] }
  ])
  assert.equal(wrong?.errorName, 'INVALID_CONFIG')
})

test('the offsets of an empty partition are 0, and no record has a time', async t => {
  const { admin, given } = await adminForTest(t)
  const topic = given.uniqueName()
  await admin.createTopics([{ topic, partitionCount: 1 }])
  const at = async (spec: 'earliest' | 'latest' | { timestampMs: bigint }): Promise<bigint | undefined> =>
    (await admin.listOffsets([{ topic, partition: 0, at: spec }]))[0]?.offset
  assert.equal(await at('earliest'), 0n)
  assert.equal(await at('latest'), 0n)
  assert.equal(await at({ timestampMs: 0n }), -1n)
})
