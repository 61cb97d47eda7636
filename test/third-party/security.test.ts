/**
 * Other people's clients on secured listeners: kafkajs, @platformatic/kafka, and kcat on librdkafka,
 * over TLS, mutual TLS and every SASL mechanism that each of them has. The ACLs
 * that let each in name the principal that the broker must have found.
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Admin, Producer, stringSerializers } from '@platformatic/kafka'
import kafkajs, { type KafkaConfig, type SASLOptions } from 'kafkajs'
import { type Broker, startBroker } from '../../src/broker/index.ts'
import { RecordingLogger } from '../broker/support.ts'
import { runProcess } from '../support/child-process.ts'

const tlsDir = join(import.meta.dirname, '../fixtures/broker/tls')
const path = (name: string): string => join(tlsDir, `${name}.pem`)
const pem = (name: string): string => readFileSync(path(name), 'utf8')
const hasKcat = spawnSync('kcat', ['-V']).status === 0
const skip = hasKcat ? false : 'kcat is not installed (Debian: apt-get install kcat)'
const [user, password] = ['alice', 'wonder land, =']

/** A broker on which only `superUser` may do anything. */
async function securedBroker(
  t: TestContext,
  superUser: string,
  { sessionMs = 0, logger }: { sessionMs?: number; logger?: RecordingLogger } = {}
): Promise<Broker> {
  const tls = { cert: path('broker'), key: path('broker-key') }
  const oauth = { isUnsecuredAllowed: true }
  const broker = await startBroker({
    listeners: [
      { name: 'SASL_SSL', tls, sasl: { plainUsers: { [user]: password }, oauth } },
      { name: 'SSL', tls: { ...tls, clientAuth: 'required', ca: path('ca') } }
    ],
    scramUsers: [{ name: user, password, iterations: 4096 }],
    authorizer: { superUsers: [superUser] },
    config: {
      'group.initial.rebalance.delay.ms': '0',
      'connection.failed.authentication.delay.ms': '1',
      'connections.max.reauth.ms': String(sessionMs)
    },
    ...(logger === undefined ? {} : { logger })
  })
  t.after(() => broker.close())
  return broker
}

function addressOf(broker: Broker, name: string): string {
  return broker.listeners.find(listener => listener.name === name)?.bootstrapServers ?? ''
}

/** Produces with kafkajs and reads back. */
async function roundTrip(t: TestContext, config: Partial<KafkaConfig> & { brokers: string[] }): Promise<string[]> {
  const kafka = new kafkajs.Kafka({ logLevel: kafkajs.logLevel.NOTHING, retry: { retries: 2 }, ...config })
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
  await producer.connect()
  t.after(() => producer.disconnect())
  await producer.send({ topic: 'secured', messages: [{ value: 'one' }, { value: 'two' }] })
  const consumer = kafka.consumer({ groupId: 'g', maxWaitTimeInMs: 100 })
  await consumer.connect()
  t.after(() => consumer.disconnect())
  await consumer.subscribe({ topic: 'secured', fromBeginning: true })
  const values: string[] = []
  await new Promise<void>((resolve, reject) => {
    const eachMessage = ({ message }: { message: { value: Buffer | null } }): Promise<void> => {
      values.push(String(message.value))
      if (values.length === 2) resolve()
      return Promise.resolve()
    }
    consumer.run({ eachMessage }).catch(reject)
  })
  return values
}

const jwt = (): string => {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  return `${encode({ alg: 'none' })}.${encode({ sub: user, iat: now, exp: now + 60 })}.`
}

for (const sasl of [
  { mechanism: 'plain', username: user, password },
  { mechanism: 'scram-sha-256', username: user, password },
  { mechanism: 'scram-sha-512', username: user, password },
  { mechanism: 'oauthbearer', oauthBearerProvider: () => Promise.resolve({ value: jwt() }) }
] satisfies SASLOptions[]) {
  test(`kafkajs over SASL_SSL with ${sasl.mechanism}`, async t => {
    const broker = await securedBroker(t, `User:${user}`)
    const brokers = [addressOf(broker, 'SASL_SSL')]
    assert.deepEqual(await roundTrip(t, { brokers, ssl: { ca: [pem('ca')] }, sasl }), ['one', 'two'])
  })
}

test('kafkajs over mutual TLS', async t => {
  const broker = await securedBroker(t, 'User:CN=ingest,OU=Events,O=Acme,C=DE')
  const ssl = { ca: [pem('ca')], cert: pem('client'), key: pem('client-key') }
  assert.deepEqual(await roundTrip(t, { brokers: [addressOf(broker, 'SSL')], ssl }), ['one', 'two'])
})

test('kafkajs renews its session on the same connection', async t => {
  const logger = new RecordingLogger()
  const sessionMs = 1200
  const broker = await securedBroker(t, `User:${user}`, { sessionMs, logger })
  const kafka = new kafkajs.Kafka({
    brokers: [addressOf(broker, 'SASL_SSL')],
    ssl: { ca: [pem('ca')] },
    sasl: { mechanism: 'scram-sha-512', username: user, password },
    reauthenticationThreshold: 600,
    logLevel: kafkajs.logLevel.NOTHING
  })
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
  await producer.connect()
  t.after(() => producer.disconnect())
  const end = performance.now() + 2 * sessionMs
  while (performance.now() < end) {
    await producer.send({ topic: 'secured', messages: [{ value: 'x' }] })
    await delay(50)
  }
  const lines = JSON.stringify(logger.lines)
  assert.ok(!lines.includes('ERR_BROKER_SESSION_EXPIRED'))
  const count = logger.lines.filter(line => line.message === 'authenticated').length
  assert.ok(count >= 3, `${count} authentications in two sessions`)
})

for (const mechanism of ['SCRAM-SHA-512'] as const) {
  test(`@platformatic/kafka over SASL_SSL with ${mechanism}`, async t => {
    const broker = await securedBroker(t, `User:${user}`)
    const base = {
      clientId: 'platformatic-test',
      bootstrapBrokers: [addressOf(broker, 'SASL_SSL')],
      retries: 1,
      tls: { ca: pem('ca') },
      sasl: { mechanism, username: user, password }
    }
    const producer = new Producer({ ...base, serializers: stringSerializers, autocreateTopics: true })
    t.after(() => producer.close())
    await producer.send({ messages: [{ topic: 'secured', value: 'one' }], acks: -1 })
    const stranger = new Admin({ ...base, sasl: { ...base.sasl, password: 'wrong' } })
    t.after(() => stranger.close())
    await assert.rejects(stranger.listTopics())
  })
}

test('kafkajs is refused with a wrong password, and says so', async t => {
  const broker = await securedBroker(t, `User:${user}`)
  const brokers = [addressOf(broker, 'SASL_SSL')]
  const sasl: SASLOptions = { mechanism: 'scram-sha-512', username: user, password: 'wrong' }
  await assert.rejects(
    roundTrip(t, { brokers, ssl: { ca: [pem('ca')] }, sasl }),
    /SASL SCRAM SHA512 authentication failed/
  )
})

/** Runs kcat with librdkafka's properties. */
async function kcat(broker: string, properties: Readonly<Record<string, string>>, stdin?: string): Promise<string> {
  const settings = Object.entries({ 'ssl.ca.location': path('ca'), ...properties }).flatMap(([name, value]) => [
    '-X',
    `${name}=${value}`
  ])
  const mode = stdin === undefined ? ['-C', '-o', 'beginning', '-e', '-q'] : ['-P']
  const args = ['-b', broker, '-X', 'broker.address.family=v4', ...settings, ...mode, '-t', 'secured', '-p', '0']
  const result = await runProcess('kcat', args, { stdin: stdin ?? '', timeoutMs: 30_000 })
  return result.stdout
}

for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']) {
  test(`kcat over SASL_SSL with ${mechanism}`, { skip }, async t => {
    const broker = addressOf(await securedBroker(t, `User:${user}`), 'SASL_SSL')
    const properties = {
      'security.protocol': 'SASL_SSL',
      'sasl.mechanism': mechanism,
      'sasl.username': user,
      'sasl.password': password
    }
    await kcat(broker, properties, 'one\ntwo\n')
    assert.equal(await kcat(broker, properties), 'one\ntwo\n')
    await assert.rejects(kcat(broker, { ...properties, 'sasl.password': 'wrong' }, 'x'), /[Aa]uthentication/)
  })
}

test('kcat over SASL_SSL with OAUTHBEARER', { skip }, async t => {
  const broker = addressOf(await securedBroker(t, `User:${user}`), 'SASL_SSL')
  const properties = {
    'security.protocol': 'SASL_SSL',
    'sasl.mechanism': 'OAUTHBEARER',
    'enable.sasl.oauthbearer.unsecure.jwt': 'true',
    'sasl.oauthbearer.config': `principal=${user}`
  }
  await kcat(broker, properties, 'one\ntwo\n')
  assert.equal(await kcat(broker, properties), 'one\ntwo\n')
})

test('kcat over mutual TLS', { skip }, async t => {
  const broker = addressOf(await securedBroker(t, 'User:CN=ingest,OU=Events,O=Acme,C=DE'), 'SSL')
  const properties = {
    'security.protocol': 'SSL',
    'ssl.certificate.location': path('client'),
    'ssl.key.location': path('client-key')
  }
  await kcat(broker, properties, 'one\ntwo\n')
  assert.equal(await kcat(broker, properties), 'one\ntwo\n')
})
