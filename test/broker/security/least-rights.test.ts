/** Our own client with no more rights than it needs, and with quotas: who speaks is known by SASL. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Broker } from '../../../src/broker/index.ts'
import { Admin, type Cluster } from '../../../src/client/index.ts'
import { alterClientQuotasApi, createAclsApi } from '../../../src/protocol/index.ts'
import { TestAppender, TestMember, TestReader } from '../../conformance/client-support.ts'
import { brokerFor } from '../support.ts'
import { connectClient } from './support.ts'

// Kafka's numbers.
const TOPIC = 2
const GROUP = 3
const READ = 3
const WRITE = 4

interface World {
  readonly broker: Broker
  readonly admin: Cluster
  readonly as: (username: string) => Promise<Cluster>
  /** Lets a user do something to a topic or group of that very name. */
  readonly allow: (username: string, operation: number, resource: [type: number, name: string]) => Promise<void>
}

async function world(t: TestContext): Promise<World> {
  const plainUsers = { admin: 'a', writer: 'w', reader: 'r' }
  const broker = await brokerFor(t, {
    listeners: [{ name: 'SASL_PLAINTEXT', securityProtocol: 'SASL_PLAINTEXT', sasl: { plainUsers } }],
    authorizer: { superUsers: ['User:admin'] },
    config: { 'quota.window.num': '2' }
  })
  const as = (username: string): Promise<Cluster> =>
    connectClient(t, broker.bootstrapServers, {
      sasl: { mechanism: 'PLAIN', username, password: username.slice(0, 1) }
    })
  const admin = await as('admin')
  const allow: World['allow'] = async (username, operation, [resourceType, resourceName]) => {
    const entry = { principal: `User:${username}`, host: '*', operation, permissionType: 3 }
    const creations = [{ resourceType, resourceName, resourcePatternType: 3, ...entry }]
    const { results } = await admin.send(createAclsApi, { creations }, { to: 'any' })
    assert.equal(results[0]?.errorCode, 0)
  }
  await new Admin(admin).createTopics([{ topic: 'orders', partitionCount: 2 }])
  return { broker, admin, as, allow }
}

test('Write on a topic is enough for an idempotent producer, Read on topic and group for a consumer', async t => {
  const { as, allow } = await world(t)
  await allow('writer', WRITE, [TOPIC, 'orders'])
  await allow('reader', READ, [TOPIC, 'orders'])
  await allow('reader', READ, [GROUP, 'billing'])
  const appender = new TestAppender(t, await as('writer'), { isIdempotent: true })
  await appender.append({ topic: 'orders', key: Buffer.from('k'), value: Buffer.from('v') })
  assert.deepEqual(appender.failures, [])
  assert.equal(appender.deliveredCount, 1)

  const cluster = await as('reader')
  const reader = new TestReader(t, cluster)
  const member = new TestMember(t, { cluster, groupId: 'billing', topics: ['orders'] })
  member.onAssigned = partitions => {
    for (const partition of partitions) reader.fetcher.add(partition)
  }
  await reader.watch.until(() => reader.records.length === 1)
  const record = reader.records[0]
  assert.equal(record?.value, 'v')
  await member.member.commitOffsets([{ topic: 'orders', partition: record.partition, offset: 1n }])

  // Without the right to write anything nobody is an idempotent producer (31); else it is the topic's error (29).
  for (const [isIdempotent, code] of [
    [true, 31],
    [false, 29]
  ] as const) {
    const wrong = new TestAppender(t, await as('reader'), { isIdempotent })
    await wrong.append({ topic: 'orders', key: null, value: Buffer.from('not mine') })
    assert.deepEqual(
      wrong.failures.map(({ error }) => error.kafkaCode),
      [code]
    )
  }
})

test('a producer above its quota loses nothing, it is only slower', async t => {
  const { as, allow, admin } = await world(t)
  await allow('writer', WRITE, [TOPIC, 'orders'])
  const entity = [{ entityType: 'user', entityName: 'writer' }]
  const ops = [{ key: 'producer_byte_rate', value: 200_000, remove: false }]
  await admin.send(alterClientQuotasApi, { entries: [{ entity, ops }] }, { to: 'any' })
  const appender = new TestAppender(t, await as('writer'), { batchBytes: 50_000 })
  const value = Buffer.alloc(10_000, 'x')
  const started = performance.now()
  await appender.append(...Array.from({ length: 60 }, () => ({ topic: 'orders', key: null, value })))
  const tookMs = performance.now() - started

  assert.deepEqual(appender.failures, [])
  assert.equal(appender.deliveredCount, 60)
  // 600,000 bytes, of which one window's 200,000 pass at once: the rest takes two seconds, less what is in flight.
  assert.ok(tookMs > 500, `${tookMs} ms`)
})
