/** The authorizer: super users, the default, remembered decisions, and ACLs that outlive the broker. */

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startBroker } from '../../../src/broker/index.ts'
import { ACL_COUNT_MAX, AclStore } from '../../../src/broker/security/acls/acl-store.ts'
import type { AclBinding } from '../../../src/broker/security/acls/acl-types.ts'
import {
  AclAuthorizer,
  type AclAuthorizerOptions,
  authorizedOperations,
  CLUSTER
} from '../../../src/broker/security/acls/authorizer.ts'
import { BURST } from '../../../src/broker/server/limited-logger.ts'
import { PipelineError, VirtualClock } from '../../../src/core/index.ts'
import { silentLogger } from '../../../src/telemetry/index.ts'
import { brokerFor, RecordingLogger } from '../support.ts'

const alice = { principal: 'User:alice', host: '10.0.0.1' }
const orders = { type: 'topic', name: 'orders' } as const

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-acls-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function authorizerFor(t: TestContext, options: Partial<AclAuthorizerOptions> = {}): Promise<AclAuthorizer> {
  const dataDir = options.dataDir ?? (await folderFor(t))
  const defaults = { superUsers: '', isAllowedWithoutAcl: false, clock: new VirtualClock(), logger: silentLogger }
  return AclAuthorizer.open({ ...defaults, ...options, dataDir })
}

/** Topic, literal, read, allow: in Kafka's numbers. */
function acl(change: Partial<AclBinding> = {}): AclBinding {
  return {
    resourceType: 2,
    resourceName: 'orders',
    patternType: 3,
    principal: 'User:alice',
    host: '*',
    operation: 3,
    permission: 3,
    ...change
  }
}

test('without any ACL nobody may do anything but super users, who may do all', async t => {
  const authorizer = await authorizerFor(t, { superUsers: 'User:admin; User:CN=root,O=x ' })

  assert.equal(authorizer.isAllowed(alice, 'read', orders), false)
  assert.equal(authorizer.isAllowed({ ...alice, principal: 'User:admin' }, 'read', orders), true)
  assert.equal(authorizer.isAllowed({ ...alice, principal: 'User:CN=root,O=x' }, 'alter', CLUSTER), true)
  assert.equal(authorizer.isAllowedOnAny({ ...alice, principal: 'User:admin' }, 'write', 'topic'), true)
  assert.equal(authorizer.isAllowedOnAny(alice, 'write', 'topic'), false)
})

test('allow.everyone.if.no.acl.found opens resources without ACLs, and a first ACL closes its resource', async t => {
  const authorizer = await authorizerFor(t, { isAllowedWithoutAcl: true })
  assert.equal(authorizer.isAllowed(alice, 'write', orders), true)
  assert.equal(authorizer.isAllowedOnAny(alice, 'write', 'topic'), true)

  await authorizer.acls.add([acl({ principal: 'User:bob' })])

  assert.equal(authorizer.isAllowed(alice, 'write', orders), false)
  assert.equal(authorizer.isAllowed(alice, 'write', { type: 'topic', name: 'others' }), true)
})

test('a decision that was remembered is forgotten when an ACL comes or goes', async t => {
  const authorizer = await authorizerFor(t)
  const may = (): boolean => authorizer.isAllowed(alice, 'read', orders)
  assert.equal(may(), false)
  await authorizer.acls.add([acl()])
  assert.equal(may(), true)
  await authorizer.acls.add([acl({ permission: 2 })])
  assert.equal(may(), false)
  const any = { resourceType: 1, resourceName: null, patternType: 1, principal: null, host: null, operation: 1 }
  const removed = await authorizer.acls.remove([{ ...any, permission: 2 }])
  assert.deepEqual(removed, [[acl({ permission: 2 })]])
  assert.equal(may(), true)
})

test('more callers and resources than are remembered are decided all the same', async t => {
  const authorizer = await authorizerFor(t)
  await authorizer.acls.add([acl({ resourceName: 'own-', patternType: 4 })])
  const long = 'x'.repeat(1000)
  assert.equal(authorizer.isAllowed(alice, 'read', { type: 'topic', name: `own-${long}` }), true)
  for (let each = 0; each < 110_000; each++) {
    assert.equal(authorizer.isAllowed(alice, 'read', { type: 'topic', name: `own-${each}` }), true)
    assert.equal(authorizer.isAllowed({ principal: `User:u${each}`, host: 'h' }, 'read', orders), false)
  }
})

test('the first refusal is logged with who, what and on what; the same again is not', async t => {
  const logger = new RecordingLogger()
  const authorizer = await authorizerFor(t, { logger })

  authorizer.isAllowed(alice, 'describeConfigs', orders)
  authorizer.isAllowed(alice, 'describeConfigs', orders)

  assert.deepEqual(
    logger.lines.map(line => line.fields),
    [{ ...alice, operation: 'DESCRIBE_CONFIGS', resource: 'orders', resourceType: 'TOPIC' }]
  )
})

/*
 * Symptom: a client without rights that made names up filled the disk with
 * "access denied". Cause: each name was a first refusal, and names too long to be
 * remembered were refused for the first time every time. Reach: one Metadata
 * request of 100 MB was a million lines or more.
 */
test('refusals for names that a client makes up do not fill the log', async t => {
  const logger = new RecordingLogger()
  const authorizer = await authorizerFor(t, { logger })

  for (let each = 0; each < 1000; each++) {
    authorizer.isAllowed(alice, 'read', { type: 'topic', name: `t${each}` })
    authorizer.isAllowed(alice, 'read', { type: 'topic', name: 'x'.repeat(30_000) })
  }

  assert.equal(logger.lines.length, BURST)
  assert.ok(JSON.stringify(logger.lines).length < BURST * 500)
})

test('authorized operations are one bit for each operation that is allowed', async t => {
  const authorizer = await authorizerFor(t)
  await authorizer.acls.add([acl(), acl({ operation: 11 })])

  // READ 3, DESCRIBE 8 (implied by READ), DESCRIBE_CONFIGS 10 (implied by ALTER_CONFIGS), ALTER_CONFIGS 11.
  assert.equal(authorizedOperations(authorizer, alice, orders), (1 << 3) | (1 << 8) | (1 << 10) | (1 << 11))
  assert.equal(authorizedOperations(authorizer, alice, { type: 'group', name: 'orders' }), 0)
})

test('ACLs are there again after a restart, each once, and those removed are not', async t => {
  const dataDir = await folderFor(t)
  const first = await AclStore.open(dataDir)
  await Promise.all([first.add([acl(), acl({ operation: 4 })]), first.add([acl()]), first.add([acl({ host: 'h' })])])
  const any = { resourceType: 1, resourceName: null, patternType: 1, principal: null, host: null, permission: 1 }
  await first.remove([{ ...any, operation: 4 }])

  const second = await AclStore.open(dataDir)

  assert.deepEqual(second.index.acls, [acl(), acl({ host: 'h' })])
})

test('a damaged file of ACLs keeps the broker from starting', async t => {
  const dataDir = await folderFor(t)
  const store = await AclStore.open(dataDir)
  await store.add([acl()])
  const file = join(dataDir, 'comporta-acls.json')
  const whole = await readFile(file, 'utf8')
  for (const damage of ['', whole.slice(0, -5), whole.replace('"permission": 3', '"permission": 9')]) {
    await writeFile(file, damage)
    await assert.rejects(AclStore.open(dataDir), error => PipelineError.is(error, 'ERR_BROKER_DATA_DAMAGED'))
  }
})

test('more ACLs than there may be are refused together, and nothing changes', async t => {
  const store = await AclStore.open(await folderFor(t))
  await store.add([acl()])
  const many = Array.from({ length: ACL_COUNT_MAX }, (_, index) => acl({ resourceName: `t${index}` }))

  assert.equal(await store.add(many), false)
  const long = Array.from({ length: 600 }, (_, index) => acl({ resourceName: `${index}${'x'.repeat(30_000)}` }))
  assert.equal(await store.add(long), false)
  assert.equal(store.index.acls.length, 1)
})

test('another authorizer than StandardAuthorizer, or a super user without a type, does not start', async () => {
  const isInvalid = (error: unknown): boolean => PipelineError.is(error, 'ERR_BROKER_INVALID_SETTING')
  await assert.rejects(startBroker({ config: { 'authorizer.class.name': 'com.example.Mine' } }), isInvalid)
  await assert.rejects(startBroker({ authorizer: { superUsers: ['admin'] } }), isInvalid)
})

test('a broker in which nobody may do anything says so', async t => {
  const logger = new RecordingLogger()
  const warnings = (): string[] => logger.lines.filter(({ level }) => level === 'warn').map(({ message }) => message)
  await brokerFor(t, { logger, authorizer: { superUsers: ['User:admin'] } })
  assert.deepEqual(warnings(), [])
  await brokerFor(t, { logger, authorizer: {} })
  assert.deepEqual(warnings(), ['nobody may do anything: name super.users, who then add ACLs'])
})
