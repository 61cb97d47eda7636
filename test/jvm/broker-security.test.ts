/**
 * Kafka's own tools and the Java client on secured listeners of our broker:
 * users managed by kafka-configs, SASL_SSL with every mechanism, mutual TLS from
 * PEM files, and sessions that the client renews.
 */

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Broker, startBroker } from '../../src/broker/index.ts'
import { RecordingLogger } from '../broker/support.ts'
import { KAFKA_TOOLS, runKafkaTool } from '../support/kafka-jvm.ts'
import { inShortRun } from './tools.ts'

const tlsDir = join(import.meta.dirname, '../fixtures/broker/tls')
const path = (name: string): string => join(tlsDir, `${name}.pem`)
const modules = 'org.apache.kafka.common.security'
const logger = new RecordingLogger()

let broker: Broker
let dir: string

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'comporta-jvm-security-'))
  const tls = { cert: path('broker'), key: path('broker-key') }
  broker = await startBroker({
    listeners: [
      { name: 'SASL_SSL', tls, sasl: { plainUsers: { admin: 'admin-secret' }, oauth: { isUnsecuredAllowed: true } } },
      { name: 'SSL', tls: { ...tls, clientAuth: 'required', ca: path('ca') } }
    ],
    authorizer: { superUsers: ['User:admin', 'User:bob', 'User:oauth', 'User:CN=ingest,OU=Events,O=Acme,C=DE'] },
    config: { 'connections.max.reauth.ms': '1500', 'group.initial.rebalance.delay.ms': '0' },
    logger
  })
})

after(async () => {
  await broker.close()
  rmSync(dir, { recursive: true })
})

const trust = { 'ssl.truststore.type': 'PEM', 'ssl.truststore.location': path('ca') }

function sasl(mechanism: string, module: string, options: string): Record<string, string> {
  return {
    ...trust,
    'security.protocol': 'SASL_SSL',
    'sasl.mechanism': mechanism,
    'sasl.jaas.config': `${modules}.${module} required ${options};`
  }
}

const admin = sasl('PLAIN', 'plain.PlainLoginModule', 'username="admin" password="admin-secret"')
const scram = (mechanism: string, password: string): Record<string, string> =>
  sasl(mechanism, 'scram.ScramLoginModule', `username="bob" password="${password}"`)

interface ToolRun {
  readonly as: Readonly<Record<string, string>>
  readonly args: readonly string[]
  readonly stdin?: string
}

let fileCount = 0

/** Runs a tool as somebody; its properties go into a file, as they do in earnest. */
async function tool(name: keyof typeof KAFKA_TOOLS, { as, args, stdin }: ToolRun): Promise<string> {
  const listener = as['security.protocol']
  const address = broker.listeners.find(each => each.name === listener)?.bootstrapServers ?? ''
  const file = join(dir, `client-${fileCount++}.properties`)
  writeFileSync(
    file,
    Object.entries(as)
      .map(([key, value]) => `${key}=${value}\n`)
      .join('')
  )
  const all = ['--bootstrap-server', address, '--command-config', file, ...args]
  return (await runKafkaTool(KAFKA_TOOLS[name], all, { stdin: stdin ?? '', timeoutMs: 60_000 })).stdout
}

async function roundTrip(as: Readonly<Record<string, string>>, topic: string): Promise<void> {
  await tool('kafka-console-producer', { as, args: ['--topic', topic], stdin: 'one\ntwo\n' })
  const args = ['--topic', topic, '--from-beginning', '--max-messages', '2']
  assert.equal(await tool('kafka-console-consumer', { as, args }), 'one\ntwo\n')
}

test(
  'kafka-configs adds, describes and removes a user, who may then produce and consume over SASL_SSL',
  { skip: inShortRun },
  async () => {
    const user = ['--entity-type', 'users', '--entity-name', 'bob']
    // One mechanism at a time: Kafka takes a user once per request only.
    for (const added of [
      'SCRAM-SHA-256=[iterations=8192,password=first-secret]',
      'SCRAM-SHA-512=[password=second-secret]'
    ]) {
      await tool('kafka-configs', { as: admin, args: ['--alter', '--add-config', added, ...user] })
    }
    const described = await tool('kafka-configs', { as: admin, args: ['--describe', ...user] })
    assert.match(described, /SCRAM credential configs for user-principal 'bob' are .*SCRAM-SHA-256=iterations=8192/)
    assert.match(described, /SCRAM-SHA-512=iterations=4096/)

    await roundTrip(scram('SCRAM-SHA-256', 'first-secret'), 'scram-256')
    await roundTrip(scram('SCRAM-SHA-512', 'second-secret'), 'scram-512')

    await tool('kafka-configs', { as: admin, args: ['--alter', '--delete-config', 'SCRAM-SHA-256', ...user] })
    const remaining = await tool('kafka-configs', { as: admin, args: ['--describe', ...user] })
    assert.doesNotMatch(remaining, /SCRAM-SHA-256/)
    await assert.rejects(
      tool('kafka-topics', { as: scram('SCRAM-SHA-256', 'first-secret'), args: ['--list'] }),
      /SaslAuthenticationException.*invalid credentials with SASL mechanism SCRAM-SHA-256/s
    )
    assert.ok(!readFileSync(join(broker.dataDir, 'comporta-scram-users.json'), 'utf8').includes('secret'))
  }
)

test('the Java client over SASL_SSL with OAUTHBEARER', async () => {
  const module = 'oauthbearer.OAuthBearerLoginModule'
  await roundTrip(sasl('OAUTHBEARER', module, 'unsecuredLoginStringClaim_sub="oauth"'), 'oauth')
})

test('the Java client over mutual TLS is who its certificate says', async () => {
  const store = join(dir, 'client.pem')
  writeFileSync(store, readFileSync(path('client-key'), 'utf8') + readFileSync(path('client'), 'utf8'))
  const keys = { 'ssl.keystore.type': 'PEM', 'ssl.keystore.location': store }
  await roundTrip({ ...trust, ...keys, 'security.protocol': 'SSL' }, 'mutual')
})

test('the Java client renews its session while it works', async () => {
  const file = join(dir, 'perf.properties')
  const address = broker.listeners[0]?.bootstrapServers ?? ''
  const lines = Object.entries({ ...admin, 'bootstrap.servers': address }).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(file, lines.join(''))
  const before = logger.lines.filter(line => line.message === 'authenticated').length
  const args = ['--topic', 'renewed', '--num-records', '600', '--record-size', '100', '--throughput', '100']
  const all = [...args, '--command-config', file]
  const { stdout } = await runKafkaTool(KAFKA_TOOLS['kafka-producer-perf-test'], all, { timeoutMs: 60_000 })
  assert.match(stdout, /600 records sent/)
  const authentications = logger.lines.filter(line => line.message === 'authenticated').length - before
  // Six seconds on two connections or so, with sessions of 1.5 s.
  assert.ok(authentications >= 4, `${authentications} authentications`)
  assert.ok(!JSON.stringify(logger.lines).includes('ERR_BROKER_SESSION_EXPIRED'))
})
