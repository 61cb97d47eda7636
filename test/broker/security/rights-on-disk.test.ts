/** ACLs and quotas over restarts, and when the disk refuses them. */

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { type Broker, type BrokerOptions, startBroker } from '../../../src/broker/index.ts'
import {
  alterClientQuotasApi,
  createAclsApi,
  deleteAclsApi,
  describeAclsApi,
  describeClientQuotasApi,
  metadataApi
} from '../../../src/protocol/index.ts'
import { RawConnection } from '../../support/raw-connection.ts'
import { RecordingLogger } from '../support.ts'

const STORAGE_ERROR = 56

/** Kafka's numbers: a topic of a literal name, everything, forbidden to everybody at 127.0.0.2. */
const creation = {
  resourceType: 2,
  resourceName: 'secret',
  resourcePatternType: 3,
  principal: 'User:*',
  host: '127.0.0.2',
  operation: 2,
  permissionType: 2
}
const filter = {
  resourceTypeFilter: 1,
  resourceNameFilter: null,
  patternTypeFilter: 1,
  principalFilter: null,
  hostFilter: null,
  operation: 1,
  permissionType: 1
}
const quota = {
  entity: [{ entityType: 'user', entityName: 'nobody' }],
  ops: [{ key: 'producer_byte_rate', value: 1000, remove: false }]
}

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-rights-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function start(t: TestContext, options: BrokerOptions): Promise<{ broker: Broker; admin: RawConnection }> {
  const broker = await startBroker({ authorizer: { isAllowedWithoutAcl: true }, ...options })
  t.after(() => broker.close())
  return { broker, admin: await RawConnection.open(t, broker) }
}

/** The error of the topic `secret` for somebody at 127.0.0.2. */
async function errorAtOtherHost(t: TestContext, broker: Broker): Promise<number | undefined> {
  const connection = await RawConnection.open(t, broker, { localAddress: '127.0.0.2' })
  const message = { topics: [{ name: 'secret' }], allowAutoTopicCreation: false }
  return (await connection.request(metadataApi, { version: 9, message })).topics[0]?.errorCode
}

test('ACLs and quotas are in force again after a restart, and idle while there is no authorizer', async t => {
  const dataDir = await folderFor(t)
  const first = await start(t, { dataDir })
  assert.equal(await errorAtOtherHost(t, first.broker), 3)
  await first.admin.request(createAclsApi, { version: 3, message: { creations: [creation] } })
  await first.admin.request(alterClientQuotasApi, { version: 1, message: { entries: [quota] } })
  assert.equal(await errorAtOtherHost(t, first.broker), 29)
  await first.broker.close()

  const open = await startBroker({ dataDir })
  assert.equal(await errorAtOtherHost(t, open), 3)
  await open.close()

  const { broker, admin } = await start(t, { dataDir })
  assert.equal(await errorAtOtherHost(t, broker), 29)
  const described = await admin.request(describeClientQuotasApi, { version: 1, message: {} })
  assert.deepEqual(broker.describe().quotas, [{ entity: { user: 'nobody' }, values: { producer_byte_rate: 1000 } }])
  assert.deepEqual(broker.describe().acls, [
    {
      resourceType: 'TOPIC',
      resourceName: 'secret',
      patternType: 'LITERAL',
      principal: 'User:*',
      host: '127.0.0.2',
      operation: 'ALL',
      permission: 'DENY'
    }
  ])
  assert.deepEqual(described.entries, [{ entity: quota.entity, values: [{ key: 'producer_byte_rate', value: 1000 }] }])
})

test('what the disk refuses is an error, changes nothing, and works again when the disk does', async t => {
  const dataDir = await folderFor(t)
  const logger = new RecordingLogger()
  const { broker, admin } = await start(t, { dataDir, logger })
  // The files are written beside themselves first: a folder of that name stands in the way.
  const obstacles = ['comporta-acls.json.tmp', 'comporta-quotas.json.tmp'].map(name => join(dataDir, name))
  for (const each of obstacles) await mkdir(each)
  const create = () => admin.request(createAclsApi, { version: 3, message: { creations: [creation] } })
  const alter = () => admin.request(alterClientQuotasApi, { version: 1, message: { entries: [quota] } })

  assert.deepEqual(
    (await create()).results.map(each => each.errorCode),
    [STORAGE_ERROR]
  )
  assert.deepEqual(
    (await alter()).entries.map(each => each.errorCode),
    [STORAGE_ERROR]
  )
  assert.equal(await errorAtOtherHost(t, broker), 3)
  assert.deepEqual((await admin.request(describeAclsApi, { version: 3, message: filter })).resources, [])
  assert.deepEqual((await admin.request(describeClientQuotasApi, { version: 1, message: {} })).entries, [])
  await logger.until('error', 'the ACLs stay as they were')
  await logger.until('error', 'the quotas stay as they were')

  for (const each of obstacles) await rmdir(each)
  assert.equal((await create()).results[0]?.errorCode, 0)
  assert.equal((await alter()).entries[0]?.errorCode, 0)
  assert.equal(await errorAtOtherHost(t, broker), 29)
  const [obstacle = ''] = obstacles
  await mkdir(obstacle)
  const removed = await admin.request(deleteAclsApi, { version: 3, message: { filters: [filter] } })
  assert.equal(removed.filterResults[0]?.errorCode, STORAGE_ERROR)
  assert.equal(await errorAtOtherHost(t, broker), 29)
})
