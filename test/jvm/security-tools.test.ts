/**
 * Kafka's own tools manage who may do what: kafka-acls grants and takes back,
 * kafka-configs sets quotas, and the console producer and consumer of a user
 * feel both. Users are told apart by SASL/PLAIN.
 */

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Broker, startBroker } from '../../src/broker/index.ts'
import { KAFKA_TOOLS, runKafkaTool } from '../support/kafka-jvm.ts'
import { inShortRun } from './tools.ts'

const PLAIN_MODULE = 'org.apache.kafka.common.security.plain.PlainLoginModule'

type User = 'admin' | 'alice'

function isTool(name: string): name is keyof typeof KAFKA_TOOLS {
  return Object.hasOwn(KAFKA_TOOLS, name)
}

interface World {
  readonly broker: Broker
  /** Runs a tool, named first, as a user. @returns Its standard output. @throws Error with both outputs if it fails. */
  readonly as: (user: User, command: string, stdin?: string) => Promise<string>
}

async function world(t: TestContext): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-security-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const plainUsers = { admin: 'admin-secret', alice: 'alice-secret' }
  const broker = await startBroker({
    listeners: [{ name: 'SASL_PLAINTEXT', securityProtocol: 'SASL_PLAINTEXT', sasl: { plainUsers } }],

    authorizer: { superUsers: ['User:admin'] },
    config: { 'group.initial.rebalance.delay.ms': '0' }
  })
  t.after(() => broker.close())
  for (const [user, password] of Object.entries(plainUsers)) {
    const login = `${PLAIN_MODULE} required username="${user}" password="${password}";`
    const lines = ['security.protocol=SASL_PLAINTEXT', 'sasl.mechanism=PLAIN', `sasl.jaas.config=${login}`]
    await writeFile(join(folder, user), `${lines.join('\n')}\n`)
  }
  const as: World['as'] = async (user, command, stdin = '') => {
    const [name = '', ...args] = command.split(' ')
    assert.ok(isTool(name), name)
    const common = ['--bootstrap-server', broker.bootstrapServers, '--command-config', join(folder, user)]
    return (await runKafkaTool(KAFKA_TOOLS[name], [...common, ...args], { stdin })).stdout
  }
  return { broker, as }
}

test(
  'kafka-acls grants, lists and takes back, and the console tools of a user feel it',
  { skip: inShortRun },
  async t => {
    const { as } = await world(t)
    await as('admin', 'kafka-topics --create --topic orders --partitions 1')
    assert.equal(await as('alice', 'kafka-topics --list'), '\n')
    // The console producer only logs what it could not deliver.
    await as('alice', 'kafka-console-producer --topic orders', 'one\n').catch(() => '')
    assert.equal(await as('admin', 'kafka-get-offsets --topic orders'), 'orders:0:0\n')

    await as('admin', 'kafka-acls --add --allow-principal User:alice --producer --topic orders')
    await as('admin', 'kafka-acls --add --allow-principal User:alice --consumer --topic orders --group g')
    const prefixed = '--add --deny-principal User:alice --operation All --topic secret --resource-pattern-type prefixed'
    await as('admin', `kafka-acls ${prefixed}`)
    await as('alice', 'kafka-console-producer --topic orders', 'one\ntwo\n')
    const read = '--topic orders --group g --from-beginning --max-messages 2 --timeout-ms 20000'
    assert.equal(await as('alice', `kafka-console-consumer ${read}`), 'one\ntwo\n')
    assert.equal(await as('alice', 'kafka-topics --list'), 'orders\n')

    const listed = await as('admin', 'kafka-acls --list')
    assert.match(listed, /resourceType=TOPIC, name=orders, patternType=LITERAL/)
    assert.match(listed, /principal=User:alice, host=\*, operation=WRITE, permissionType=ALLOW/)
    assert.match(listed, /resourceType=GROUP, name=g, patternType=LITERAL/)
    assert.match(listed, /resourceType=TOPIC, name=secret, patternType=PREFIXED/)
    const matching = await as('admin', 'kafka-acls --list --topic secrets --resource-pattern-type match')
    assert.match(matching, /name=secret, patternType=PREFIXED/)
    await assert.rejects(as('alice', 'kafka-acls --list'), /Cluster authorization failed|ClusterAuthorization/i)

    await as('admin', 'kafka-acls --remove --force --topic orders')
    assert.equal(await as('alice', 'kafka-topics --list'), '\n')
    assert.doesNotMatch(await as('admin', 'kafka-acls --list --topic orders'), /alice/)
  }
)

test(
  'kafka-configs sets, shows and removes quotas of users, client ids and addresses',
  { skip: inShortRun },
  async t => {
    const { as } = await world(t)
    const alter = '--alter --add-config producer_byte_rate=1000000,consumer_byte_rate=2000000'
    await as('admin', `kafka-configs ${alter} --entity-type users --entity-name alice`)
    await as('admin', 'kafka-configs --alter --add-config request_percentage=50 --entity-type clients --entity-default')
    const both = '--entity-type users --entity-name alice --entity-type clients --entity-name app'
    await as('admin', `kafka-configs --alter --add-config controller_mutation_rate=2.5 ${both}`)
    const ip = '--entity-type ips --entity-name 10.0.0.1'
    await as('admin', `kafka-configs --alter --add-config connection_creation_rate=9 ${ip}`)

    const users = await as('admin', 'kafka-configs --describe --entity-type users --entity-name alice')
    assert.match(users, /Quota configs for user-principal 'alice' are .*producer_byte_rate=1000000/)
    const clients = await as('admin', 'kafka-configs --describe --entity-type clients --entity-default')
    assert.match(clients, /default client-id are request_percentage=50/)
    const described = await as('admin', `kafka-configs --describe ${both}`)
    assert.match(described, /user-principal 'alice', client-id 'app' are controller_mutation_rate=2.5/)
    assert.match(await as('admin', `kafka-configs --describe ${ip}`), /ip '10.0.0.1' are connection_creation_rate=9/)
    await assert.rejects(as('alice', 'kafka-configs --describe --entity-type clients'), /authoriz/i)

    const remove = '--alter --delete-config producer_byte_rate,consumer_byte_rate'
    await as('admin', `kafka-configs ${remove} --entity-type users --entity-name alice`)
    const rest = await as('admin', 'kafka-configs --describe --entity-type users --entity-name alice')
    assert.doesNotMatch(rest, /producer_byte_rate/)
  }
)
