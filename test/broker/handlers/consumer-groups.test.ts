/** ConsumerGroupHeartbeat and ConsumerGroupDescribe: who may use them, and whether anybody may. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cluster } from '../../../src/client/index.ts'
import {
  consumerGroupDescribeApi,
  consumerGroupHeartbeatApi,
  createAclsApi,
  createTopicsApi,
  kafkaErrorName,
  updateFeaturesApi
} from '../../../src/protocol/index.ts'
import { GroupMember } from '../../conformance/consumer-group-support.ts'
import { connectClient } from '../security/support.ts'
import { brokerFor, connectTo } from '../support.ts'

const JOIN = { memberEpoch: 0, rebalanceTimeoutMs: 60_000, topicPartitions: [] }

test('without the feature group.version the consumer protocol is refused', async t => {
  const connection = await connectTo(t, await brokerFor(t))
  const featureUpdates = [{ feature: 'group.version', maxVersionLevel: 0, upgradeType: 2 }]
  await connection.request(updateFeaturesApi, { version: 2, message: { timeoutMs: 1000, featureUpdates } })

  const member = new GroupMember(connection, { groupId: 'g' })
  const refused = await member.send({ ...JOIN, subscribedTopicNames: ['orders'] })
  assert.equal(kafkaErrorName(refused.errorCode), 'UNSUPPORTED_VERSION')
})

test('a member needs Read on the group and Describe on its topics; patterns show no others', async t => {
  const plainUsers = { admin: 'a', reader: 'r' }
  const broker = await brokerFor(t, {
    listeners: [{ name: 'SASL_PLAINTEXT', securityProtocol: 'SASL_PLAINTEXT', sasl: { plainUsers } }],
    authorizer: { superUsers: ['User:admin'] }
  })
  const as = (username: string): Promise<Cluster> =>
    connectClient(t, broker.bootstrapServers, {
      sasl: { mechanism: 'PLAIN', username, password: username.slice(0, 1) }
    })
  const [admin, reader] = [await as('admin'), await as('reader')]
  const topics = ['orders', 'secret'].map(name => ({ name, numPartitions: 1, replicationFactor: 1 }))
  await admin.send(createTopicsApi, { topics, timeoutMs: 1000 }, { to: 'any' })
  const allow = async (operation: number, resourceType: number, resourceName: string): Promise<void> => {
    const subject = { principal: 'User:reader', host: '*', permissionType: 3 }
    const creations = [{ ...subject, operation, resourceType, resourceName, resourcePatternType: 3 }]
    await admin.send(createAclsApi, { creations }, { to: 'any' })
  }
  const beat = async (cluster: Cluster, memberId: string, fields: object): Promise<[string, number]> => {
    const message = { groupId: 'g', memberId, ...JOIN, ...fields }
    const answer = await cluster.send(consumerGroupHeartbeatApi, message, { to: 'any' })
    return [kafkaErrorName(answer.errorCode), answer.assignment?.topicPartitions.length ?? 0]
  }
  const describe = async (): Promise<string> => {
    const answer = await reader.send(consumerGroupDescribeApi, { groupIds: ['g'] }, { to: 'any' })
    return kafkaErrorName(answer.groups[0]?.errorCode ?? 0)
  }

  assert.deepEqual(await beat(reader, 'm', { subscribedTopicNames: ['orders'] }), ['GROUP_AUTHORIZATION_FAILED', 0])
  await allow(3, 3, 'g')
  assert.deepEqual(await beat(reader, 'm', { subscribedTopicNames: ['orders'] }), ['TOPIC_AUTHORIZATION_FAILED', 0])
  await allow(8, 2, 'orders')
  assert.deepEqual(await beat(reader, 'm', { subscribedTopicRegex: 'orders|secret' }), ['NONE', 1])
  assert.equal(await describe(), 'NONE')
  assert.deepEqual(await beat(admin, 'm2', { subscribedTopicNames: ['secret'] }), ['NONE', 1])
  assert.equal(await describe(), 'TOPIC_AUTHORIZATION_FAILED')
})
