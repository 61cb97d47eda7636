/** The Kafka sink on the embedded broker: what arrives, what is refused, and what it does when connections die. */

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { generateAuthTokenFromCredentialsProvider } from 'aws-msk-iam-sasl-signer-js'
import { Partitioners } from 'kafkajs'

import { type Broker, startBroker } from '../../../src/broker/index.ts'
import { Cluster } from '../../../src/client/index.ts'
import { type Clock, systemClock } from '../../../src/core/index.ts'
import { KafkaSink, type KafkaSinkOptions } from '../../../src/targets/sinks/kafka-sink.ts'
import { kafkaSinkProblems } from '../../../src/targets/sinks/kafka-settings.ts'
import { mskToken } from '../../../src/targets/sinks/msk-token.ts'
import { createTopic, HOT_PARTITIONS, stage } from '../../producer/kafka.ts'
import { errorLog, never } from '../support.ts'
import { failuresOf, requestOf } from './requests.ts'
import { type SleepyNetwork, sleepyNetwork } from './sleepy-network.ts'

const environment = { KAFKA_USER: 'alice', KAFKA_PASSWORD: 'alice-secret' }

function sinkFor(t: TestContext, options: Omit<KafkaSinkOptions, 'name'>): KafkaSink {
  const sink = new KafkaSink({ name: 'alerts', ...options })
  t.after(() => sink.close())
  return sink
}

test('records arrive as they were, those of a key in order on the partition that Kafka’s client chooses', async t => {
  const { topics, read, bootstrapServers } = await stage(t)
  const sink = sinkFor(t, { bootstrapServers: [bootstrapServers], topic: topics.hot, compression: 'lz4' })
  const records = Array.from({ length: 60 }, (_, index) => ({
    text: `{"n":${index},"id":9007199254740993}`,
    key: index % 6 === 0 ? null : `T-${index % 6}`
  }))

  assert.deepEqual(await sink.deliver(requestOf(records), never), { kind: 'ok' })

  const stored = await read(topics.hot)
  assert.equal(stored.length, 60)
  const partitionOf = Partitioners.DefaultPartitioner()
  const partitions = Array.from({ length: HOT_PARTITIONS }, (_, partitionId) => ({
    partitionId,
    leader: 1,
    partitionErrorCode: 0,
    replicas: [],
    isr: []
  }))
  for (const key of ['T-1', 'T-2', 'T-3', 'T-4', 'T-5']) {
    const own = stored.filter(record => record.key === key)
    const expected = partitionOf({ topic: topics.hot, partitionMetadata: partitions, message: { key, value: null } })
    assert.deepEqual([...new Set(own.map(({ partition }) => partition))], [expected])
    assert.deepEqual(
      own.map(({ value }) => value.toString()),
      records.filter(record => record.key === key).map(({ text }) => text)
    )
  }
  const first = stored.find(({ value }) => value.toString() === records[1]?.text)
  assert.deepEqual(first?.headers, {
    'comporta-origin-topic': 'mt-c400',
    'comporta-origin-partition': '3',
    'comporta-origin-offset': '101'
  })
  assert.equal(stored.filter(({ key }) => key === null).length, 10)
})

test('topic and key may come from the record, whose fault a missing topic is then', async t => {
  const { topics, read, bootstrapServers } = await stage(t)
  const sink = sinkFor(t, {
    bootstrapServers: [bootstrapServers],
    topic: '{value.to}',
    key: '{value.truck.id}#{value.n}',
    originHeaders: false
  })
  const texts = [
    `{"to":"${topics.hot}","truck":{"id":12345678901234567890},"n":1}`,
    '{"to":"nowhere","truck":{"id":2},"n":1}',
    `{"to":"${topics.cold}","truck":{"id":"a"},"n":true}`,
    '{"truck":{"id":2}}',
    '{"to":"no/topic"}',
    `{"to":"${topics.cold}"}`,
    '[1,2]'
  ]
  const outcome = await sink.deliver(requestOf(texts.map(text => ({ text, key: 'k' }))), never)

  assert.deepEqual(failuresOf(outcome), { 1: 'deadLetter', 3: 'deadLetter', 4: 'deadLetter', 6: 'deadLetter' })
  assert.deepEqual(
    (await read(topics.hot)).map(({ key, headers }) => [key, headers]),
    [['12345678901234567890#1', {}]]
  )
  assert.deepEqual(new Set((await read(topics.cold)).map(({ key }) => key)), new Set(['a#true', null]))
})

test('keys that are no text, and headers, stay as they were; where a record is from is said once', async t => {
  const { topics, read, bootstrapServers } = await stage(t)
  const sink = sinkFor(t, { bootstrapServers: [bootstrapServers], topic: topics.cold })
  const trace = { name: 'traceparent', value: Buffer.from('00-1-2-01') }
  const source = {
    keyBytes: (index: number): Buffer | null => (index === 0 ? Buffer.from([0xff, 0x00]) : null),
    headers: () => [
      trace,
      trace,
      { name: 'comporta-origin-offset', value: Buffer.from('7') },
      { name: 'n', value: null }
    ]
  }
  const request = requestOf([{ text: '1', key: 'base64:/wA=' }, { text: '2' }], { source })
  assert.deepEqual(await sink.deliver(request, never), { kind: 'ok' })
  const stored = await read(topics.cold)
  assert.deepEqual(new Set(stored.map(({ key }) => key)), new Set([Buffer.from([0xff, 0x00]).toString(), null]))
  const [first] = stored.filter(({ key }) => key !== null)
  assert.deepEqual(first?.headers, {
    traceparent: '00-1-2-01',
    n: '',
    'comporta-origin-topic': 'mt-c400',
    'comporta-origin-partition': '3',
    'comporta-origin-offset': '100'
  })
  const bare = sinkFor(t, {
    bootstrapServers: [bootstrapServers],
    topic: topics.hot,
    copyHeaders: false,
    originHeaders: false
  })
  assert.deepEqual(await bare.deliver(request, never), { kind: 'ok' })
  assert.deepEqual(
    (await read(topics.hot)).map(({ headers }) => headers),
    [{}, {}]
  )
})

test('a record that is too large is dead-lettered alone', async t => {
  const { topics, read, bootstrapServers } = await stage(t, { topicConfig: { 'max.message.bytes': '2000' } })
  const sink = sinkFor(t, { bootstrapServers: [bootstrapServers], topic: topics.cold })
  const records = [1, 2, 3, 4, 5].map(n => ({ text: JSON.stringify({ n, fill: 'x'.repeat(n === 3 ? 3000 : 10) }) }))

  const outcome = await sink.deliver(requestOf(records.map(record => ({ ...record, key: 'one' }))), never)

  assert.deepEqual(failuresOf(outcome), { 2: 'deadLetter' })
  const stored = await read(topics.cold)
  assert.deepEqual(
    stored.map(({ value }) => Number(/"n":(\d)/.exec(value.toString())?.[1])),
    [1, 2, 4, 5]
  )
})

test('a topic that is missing for all, and one that records would come back to, wait and are said loudly', async t => {
  const { topics, read, bootstrapServers } = await stage(t)
  const { logger, errors } = errorLog()
  const missing = sinkFor(t, { bootstrapServers: [bootstrapServers], topic: 'absent', logger })
  const request = requestOf([{ text: '1' }], { topic: topics.hot })
  const outcome = await missing.deliver(request, never)
  assert.deepEqual(outcome, { kind: 'unavailable', reason: 'target alerts: the topic absent does not exist' })
  assert.deepEqual(errors, ['target alerts: the topic absent does not exist'])

  const circle = sinkFor(t, { bootstrapServers: [bootstrapServers], topic: '{topic}' })
  const back = await circle.deliver(request, never)
  assert.match(back.kind === 'unavailable' ? back.reason : '', /would go back to .* otherCluster/)
  const chosen = sinkFor(t, { bootstrapServers: [bootstrapServers], topic: '{value.to}' })
  const own = requestOf([{ text: `{"to":"${topics.hot}"}` }, { text: `{"to":"${topics.cold}"}` }], {
    topic: topics.hot
  })
  assert.deepEqual(failuresOf(await chosen.deliver(own, never)), { 0: 'deadLetter' })

  const mirror = sinkFor(t, { bootstrapServers: [bootstrapServers], topic: '{topic}', otherCluster: true })
  assert.deepEqual(await mirror.deliver(request, never), { kind: 'ok' })
  assert.equal((await read(topics.hot)).length, 1)
})

test('an error that only the records can have halves the request; one of the cluster or of rights waits', async t => {
  const broker = await brokerForTest(t)
  const sink = sinkFor(t, { bootstrapServers: [broker.bootstrapServers], topic: 'out' })
  const request = requestOf([{ text: '1' }, { text: '2' }])
  const failing = async (error: 'INVALID_RECORD' | 'TOPIC_AUTHORIZATION_FAILED') => {
    broker.faults.inject({ api: 'Produce', fault: { error } })
    return await sink.deliver(request, never)
  }
  assert.equal((await failing('INVALID_RECORD')).kind, 'rejected')
  const refused = await failing('TOPIC_AUTHORIZATION_FAILED')
  assert.equal(refused.kind, 'unavailable')
  assert.equal(refused.kind === 'unavailable' && refused.isSuspect, undefined)
  assert.deepEqual(await sink.deliver(request, never), { kind: 'ok' })
})

test('a delivery that is given up leaves nothing behind that could be sent later', async t => {
  const broker = await brokerForTest(t)
  const sink = sinkFor(t, { bootstrapServers: [broker.bootstrapServers], topic: 'out' })
  const held = broker.faults.inject({ api: 'Produce', fault: { error: 'NOT_ENOUGH_REPLICAS' }, times: Infinity })
  const controller = new AbortController()
  const given = sink.deliver(requestOf([{ text: '"old"' }]), controller.signal)
  await held.untilApplied(2)
  controller.abort()
  assert.deepEqual(await given, {
    kind: 'unavailable',
    reason: 'target alerts: no acknowledgement by Kafka in time'
  })
  held.remove()

  assert.deepEqual(await sink.deliver(requestOf([{ text: '"new"' }]), never), { kind: 'ok' })
  assert.deepEqual(await valuesOf(t, broker), ['"new"'])
})

test('the connection outlives a restart of the broker between two deliveries', async t => {
  const dataDir = await mkdtemp(join(tmpdir(), 'comporta-sink-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const first = await brokerForTest(t, { dataDir })
  const sink = sinkFor(t, { bootstrapServers: [first.bootstrapServers], topic: 'out' })
  assert.deepEqual(await sink.deliver(requestOf([{ text: '1' }]), never), { kind: 'ok' })
  await first.close()
  const second = await brokerForTest(t, { dataDir, port: first.port })
  assert.deepEqual(await sink.deliver(requestOf([{ text: '2' }]), never), { kind: 'ok' })
  assert.deepEqual(await valuesOf(t, second), ['1', '2'])
})

test('no broker is an outage, and the next delivery finds it again', async t => {
  const broker = await brokerForTest(t)
  const { port } = broker
  await broker.close()
  const sink = sinkFor(t, { bootstrapServers: [`127.0.0.1:${port}`], topic: 'out', timeoutMs: 100 })
  const outcome = await sink.deliver(requestOf([{ text: '1' }]), never)
  assert.equal(outcome.kind, 'unavailable')
  await brokerForTest(t, { port })
  assert.deepEqual(await sink.deliver(requestOf([{ text: '2' }]), never), { kind: 'ok' })
})

test('after a long freeze the connections are new ones, also if the old ones are dead without a sign', async t => {
  const network = await sleepyNetwork(t)
  await brokerForTest(t, { network })
  let skewMs = 0
  const clock: Clock = { ...systemClock, now: () => Date.now() + skewMs }
  const sink = sinkFor(t, { bootstrapServers: [`127.0.0.1:${network.port}`], topic: 'out', clock })
  assert.deepEqual(await sink.deliver(requestOf([{ text: '1' }]), never), { kind: 'ok' })
  const count = network.connectionCount()
  assert.deepEqual(await sink.deliver(requestOf([{ text: '2' }]), never), { kind: 'ok' })
  assert.equal(network.connectionCount(), count)

  network.forgetConnections()
  skewMs = 240_001 // frozen: only the wall clock has moved
  const startedMs = performance.now()
  assert.deepEqual(await sink.deliver(requestOf([{ text: '3' }]), never), { kind: 'ok' })
  // With the dead connections it would be a request timeout of 1.6 s at least.
  assert.ok(performance.now() - startedMs < 1600)
  assert.ok(network.connectionCount() > count)
})

test('connections that die without a sign in a short freeze are found in the time of one delivery', async t => {
  const network = await sleepyNetwork(t)
  const broker = await brokerForTest(t, { network })
  const sink = sinkFor(t, { bootstrapServers: [`127.0.0.1:${network.port}`], topic: 'out', timeoutMs: 750 })
  assert.deepEqual(await sink.deliver(requestOf([{ text: '1' }]), never), { kind: 'ok' })
  network.forgetConnections()
  assert.deepEqual(await sink.deliver(requestOf([{ text: '2' }]), never), { kind: 'ok' })
  assert.deepEqual(await valuesOf(t, broker), ['1', '2'])
})

test('secrets come from the environment and files, TLS and SASL from the settings; a wrong password waits', async t => {
  const tlsDir = join(import.meta.dirname, '../../fixtures/broker/tls')
  const file = (name: string): string => join(tlsDir, `${name}.pem`)
  const tls = { cert: file('broker'), key: file('broker-key') }
  const sasl = { plainUsers: { alice: 'alice-secret' } }
  const broker = await startBroker({ listeners: [{ name: 'SASL_SSL', tls, sasl }, { name: 'PLAINTEXT' }] })
  t.after(() => broker.close())
  const plain = broker.listeners.find(({ name }) => name === 'PLAINTEXT')
  const cluster = await Cluster.connect({ bootstrapServers: [plain?.bootstrapServers ?? ''] })
  t.after(() => cluster.close())
  await createTopic(cluster, { name: 'out', numPartitions: 1, config: {} })
  const options = {
    bootstrapServers: [broker.listeners.find(({ name }) => name === 'SASL_SSL')?.bootstrapServers ?? ''],
    topic: 'out',
    tls: { ca: { file: file('ca') } },
    sasl: { mechanism: 'PLAIN', username: { env: 'KAFKA_USER' }, password: { env: 'KAFKA_PASSWORD' } }
  } as const
  const sink = sinkFor(t, { ...options, environment })
  assert.deepEqual(await sink.deliver(requestOf([{ text: '1' }]), never), { kind: 'ok' })

  const wrong = sinkFor(t, { ...options, environment: { ...environment, KAFKA_PASSWORD: 'guessed-secret' } })
  const outcome = await wrong.deliver(requestOf([{ text: '1' }]), never)
  assert.equal(outcome.kind, 'unavailable')
  assert.doesNotMatch(JSON.stringify(outcome), /secret/)
})

test('a token for Amazon MSK is the one that AWS’s own signer makes', async () => {
  const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtn/KEY+=', sessionToken: "to/k+en='(*)!" }
  const region = 'eu-west-1'
  const signed = await generateAuthTokenFromCredentialsProvider({
    region,
    awsCredentialsProvider: () => Promise.resolve(credentials)
  })
  const theirs = new URL(Buffer.from(signed.token, 'base64url').toString())
  const time = theirs.searchParams.get('X-Amz-Date') ?? ''
  const nowMs = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))

  const ours = new URL(Buffer.from(mskToken(region, credentials, nowMs), 'base64url').toString())

  for (const url of [theirs, ours]) url.searchParams.delete('User-Agent')
  assert.equal(ours.host, theirs.host)
  assert.deepEqual(Object.fromEntries(ours.searchParams), Object.fromEntries(theirs.searchParams))
})

test('every problem of the settings is said, secrets are not repeated', () => {
  const given = {
    type: 'kafka',
    bootstrapServers: ['nohost'],
    topic: 'a b',
    key: '{nokey}',
    compression: 'zip',
    idleMaxMs: 1,
    tls: { ca: 7, cert: { env: 'CERT' }, colour: 'red' },
    sasl: { mechanism: 'PLAIN', username: '', password: { env: 'NOT_SET', file: 'x' }, token: 'hidden-token' },
    acks: 'none'
  }
  const problems = kafkaSinkProblems(given, {})
  for (const start of [
    'bootstrapServers: is not a list',
    'topic: has characters',
    'key: has a place {nokey}',
    'compression: is none of none, gzip',
    'idleMaxMs: is not a whole number from 1000',
    'tls.ca: is neither',
    'tls.cert: the environment variable CERT is not set',
    'tls.colour: is no setting',
    'tls: cert and key go together',
    'sasl.username: is neither',
    'sasl.password: is neither',
    'sasl.token: is no setting',
    'acks: is no setting'
  ]) {
    assert.ok(
      problems.some(problem => problem.startsWith(start)),
      `${start} in ${problems.join('\n')}`
    )
  }
  assert.equal(problems.length, 13)
  assert.doesNotMatch(problems.join(), /hidden/)
  const iam = { mechanism: 'AWS_MSK_IAM', region: 'eu-west-1' }
  const kafka = { type: 'kafka', bootstrapServers: ['b:9098'], topic: 'out' }
  assert.deepEqual(kafkaSinkProblems({ ...kafka, tls: true, sasl: iam, timeoutMs: 5 }), [])
  assert.deepEqual(kafkaSinkProblems({ ...kafka, sasl: iam }), [
    'sasl: AWS_MSK_IAM is offered with TLS only: add tls: true'
  ])
  assert.deepEqual(kafkaSinkProblems('b:9092'), [
    'is not an object of settings',
    'bootstrapServers: is not a list of broker addresses such as ["b-1.example.com:9098"]',
    'topic: is missing: give the name of a topic, or a template of it'
  ])
  assert.throws(() => new KafkaSink({ name: 'alerts', bootstrapServers: [], topic: 'out' }), {
    code: 'ERR_DISPATCHER_TARGET_INVALID'
  })
})

interface BrokerPlace {
  readonly dataDir?: string
  readonly port?: number
  readonly network?: SleepyNetwork
}

/** A broker of the test's own with a topic `out` of one partition. */
async function brokerForTest(t: TestContext, { network, ...place }: BrokerPlace = {}): Promise<Broker> {
  const broker = await startBroker({ ...place, ...(network === undefined ? {} : { advertisedPort: network.port }) })
  t.after(() => broker.close())
  network?.leadTo(broker.port)
  if (place.dataDir === undefined || place.port === undefined) await createOut(broker)
  return broker
}

async function createOut(broker: Broker): Promise<void> {
  const cluster = await Cluster.connect({ bootstrapServers: [`127.0.0.1:${broker.port}`] })
  await createTopic(cluster, { name: 'out', numPartitions: 1, config: {} })
  await cluster.close()
}

async function valuesOf(t: TestContext, broker: Broker): Promise<string[]> {
  const { read } = await stage(t, { bootstrapServers: broker.bootstrapServers })
  return (await read('out')).map(({ value }) => value.toString())
}
