import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type DoctorFacts, known } from '../../../src/ops/doctor/facts.ts'
import { DOCTOR_CHECKS, judgeFacts } from '../../../src/ops/doctor/judge.ts'
import { PipelineError } from '../../../src/core/index.ts'
import { profileOfAddresses } from '../../../src/ops/doctor/collect-msk.ts'
import { releaseOf } from '../../../src/ops/doctor/releases.ts'
import { DENIED, factsOf, findingsOf, NOW_MS, PIPELINE, settings, topicOf } from './facts.ts'

type Pipeline = NonNullable<DoctorFacts['pipeline']>
type Dispatcher = NonNullable<Pipeline['dispatcher']>
type Producer = NonNullable<Pipeline['producer']>

function dispatcher(change: Partial<Dispatcher>): Pick<DoctorFacts, 'pipeline'> {
  return { pipeline: { ...PIPELINE, dispatcher: { ...(PIPELINE.dispatcher as Dispatcher), ...change } } }
}

function delivery(change: Partial<Producer['delivery']>): Pick<DoctorFacts, 'pipeline'> {
  const producer = PIPELINE.producer as Producer
  return { pipeline: { ...PIPELINE, producer: { ...producer, delivery: { ...producer.delivery, ...change } } } }
}

const releases = [
  // Kafka's MetadataVersion: 3.3-IV3 is 7, 3.9-IV0 is 21, 4.0-IV3 is 25, 4.1-IV1 is 27.
  [7, 13, '3.3', false],
  [21, 17, '3.9', false],
  [25, 17, '4.0', false],
  [27, 18, '4.1', false],
  [99, 18, '4.2', true],
  [undefined, 12, '2.7', true],
  [undefined, 17, '3.9', true]
] as const

for (const [metadataVersionMax, fetchVersionMax, release, isAtLeast] of releases) {
  test(`metadata.version ${metadataVersionMax ?? 'none'}, Fetch ${fetchVersionMax} is Kafka ${release}`, () => {
    assert.deepEqual(releaseOf({ nodeId: 1, metadataVersionMax, fetchVersionMax }), { release, isAtLeast })
  })
}

test('a release that nobody mends is a warning, one of long ago an error, different ones a warning', () => {
  const versions = (...levels: (number | undefined)[]) => ({
    versions: known(levels.map((metadataVersionMax, nodeId) => ({ nodeId, metadataVersionMax, fetchVersionMax: 12 })))
  })
  assert.equal(findingsOf('broker-version', versions(15, 15))[0]?.severity, 'warn')
  assert.equal(findingsOf('broker-version', versions(undefined))[0]?.severity, 'error')
  assert.match(findingsOf('broker-version', versions(25, 27))[0]?.title ?? '', /different releases/)
  assert.equal(findingsOf('broker-version', { versions: DENIED })[0]?.severity, 'unknown')
})

test('disks: 86 % used is a warning, 96 % an error, a failed one an error, one of unknown size nothing', () => {
  const disk = (usableBytes: bigint, change: { errorCode?: number; totalBytes?: bigint } = {}) => ({
    logDirs: known([
      { nodeId: 1, logDir: '/d', errorCode: 0, totalBytes: 100n, usableBytes, partitions: [], ...change }
    ])
  })
  assert.equal(findingsOf('disk-space', disk(14n))[0]?.severity, 'warn')
  assert.equal(findingsOf('disk-space', disk(4n))[0]?.severity, 'error')
  assert.equal(findingsOf('disk-space', disk(50n, { errorCode: 56 }))[0]?.title, '1 log directories have failed')
  assert.deepEqual(findingsOf('disk-space', disk(-1n, { totalBytes: -1n })), [])
  assert.deepEqual(findingsOf('disk-space', disk(50n)), [])
  assert.match(findingsOf('disk-space', { logDirs: DENIED })[0]?.reason ?? '', /needs DESCRIBE on the cluster/)
})

test('a cluster without a controller', () => {
  assert.equal(
    findingsOf('controller', { metadata: { ...factsOf().metadata, controllerId: -1 } })[0]?.severity,
    'error'
  )
})

test('certificates: 20 days are a warning, 3 an error, 40 nothing', () => {
  const day = 86_400_000
  for (const [days, severity] of [
    [40, undefined],
    [20, 'warn'],
    [3, 'error'],
    [-1, 'error']
  ] as const) {
    const certificates = known([{ name: 'broker b1:9093', notAfterMs: NOW_MS + days * day }])
    assert.equal(findingsOf('certificates', { certificates })[0]?.severity, severity)
  }
  assert.equal(findingsOf('certificates', { certificates: DENIED })[0]?.severity, 'unknown')
  const unseen = { name: 'broker b2:9093', notAfterMs: undefined, problem: 'ECONNREFUSED' }
  const some = known([{ name: 'broker b1:9093', notAfterMs: NOW_MS + 3 * day }, unseen])
  assert.deepEqual(
    findingsOf('certificates', { certificates: some }).map(({ severity }) => severity),
    ['error', 'unknown']
  )
  assert.deepEqual(findingsOf('certificates', { certificates: known([unseen]) })[0]?.evidence, [
    'broker b2:9093: ECONNREFUSED'
  ])
})

test('heartbeats at more than a third of the session', () => {
  const found = findingsOf('timeouts', dispatcher({ heartbeatIntervalMs: 16_000 }))
  assert.deepEqual(found[0]?.evidence, ['heartbeatIntervalMs 16000, sessionTimeoutMs 45000'])
  assert.deepEqual(findingsOf('timeouts', dispatcher({ heartbeatIntervalMs: 15_000 })), [])
})

test('a batch that may outlast a rebalance: 1 s of age + 30 s of target', () => {
  assert.equal(findingsOf('timeouts', dispatcher({ rebalanceTimeoutMs: 31_000 }))[0]?.severity, 'error')
  assert.deepEqual(findingsOf('timeouts', dispatcher({ rebalanceTimeoutMs: 31_001 })), [])
})

test('a delivery that ends before one request may, or within two minutes', () => {
  assert.equal(findingsOf('timeouts', delivery({ timeoutMs: 30_004 }))[0]?.severity, 'error')
  assert.equal(findingsOf('timeouts', delivery({ timeoutMs: 119_999 }))[0]?.severity, 'warn')
  assert.deepEqual(findingsOf('timeouts', delivery({ lingerMs: 'adaptive' })), [])
})

test('AWS’s session timeout is asked for on MSK only', () => {
  const profile = known({ profile: 'standard', evidence: '' } as const)
  const short = dispatcher({ sessionTimeoutMs: 30_000 })
  assert.equal(findingsOf('timeouts', { ...short, profile })[0]?.severity, 'info')
  assert.deepEqual(findingsOf('timeouts', short), [])
})

test('batches above what a topic takes, and records above what the target takes', () => {
  const small = findingsOf('message-size', { topicConfigs: settings({ 'max.message.bytes': '100000' }) })
  assert.match(small[0]?.evidence[0] ?? '', /max.message.bytes 100000, producer.delivery.batchBytes 262144/)
  const large = findingsOf('message-size', { topicConfigs: settings({ 'max.message.bytes': '8388608' }) })
  assert.deepEqual(
    large.map(({ title }) => title),
    ['a topic takes records that are too large for the target', 'followers fetch less than one record may have']
  )
})

test('no TLS to another machine; to this one it is all right', () => {
  const pipeline = { ...PIPELINE, kafka: { ...PIPELINE.kafka, tls: false } }
  assert.equal(findingsOf('plain-text', { pipeline })[0]?.severity, 'warn')
  assert.deepEqual(findingsOf('plain-text', { pipeline, bootstrapServers: ['127.0.0.1:9092', 'localhost:9'] }), [])
})

test('topics that are missing, or not as the file says', () => {
  const pipeline = {
    ...PIPELINE,
    topics: { orders: { partitions: 6, replicationFactor: -1, config: { 'retention.ms': '1000' } } }
  }
  const [found] = findingsOf('topic-drift', { pipeline })
  assert.deepEqual(found?.evidence, [
    'orders: 3 partitions, the file says 6',
    'orders: retention.ms=604800000, the file says 1000'
  ])
  const metadata = { ...factsOf().metadata, topics: [topicOf('orders')] }
  assert.deepEqual(findingsOf('topic-drift', { metadata })[0]?.evidence, ['orders-dlq'])
})

test('MSK is told by its addresses', () => {
  const of = (address: string): string => profileOfAddresses([address]).profile
  assert.equal(of('boot-x.c1.kafka-serverless.eu-west-1.amazonaws.com:9098'), 'serverless')
  assert.equal(of('b-1.shop.a1b2c3.c2.kafka.us-east-1.amazonaws.com:9094'), 'standard')
  assert.equal(of('kafka.example.com:9092'), 'self')
  assert.equal(of('kafka.amazonaws.com.example.com:9092'), 'self')
})

test('partitions for each broker: 400 on a t3.small are above its 300, of an unknown size nothing is said', () => {
  const metadata = { ...factsOf().metadata, topics: [topicOf('orders', 400)] }
  const profile = (instanceType?: string) => known({ profile: 'standard', evidence: '', instanceType } as const)
  const [found] = findingsOf('partitions-per-broker', { metadata, profile: profile('kafka.t3.small') })
  assert.equal(found?.severity, 'error')
  assert.equal(found.evidence[0], 'broker 1: 400')
  assert.deepEqual(findingsOf('partitions-per-broker', { metadata, profile: profile('kafka.m7g.large') }), [])
  assert.equal(findingsOf('partitions-per-broker', { metadata, profile: profile() })[0]?.severity, 'unknown')
})

test('MSK Serverless: settings that it refuses, sign-on, quotas', () => {
  const profile = known({ profile: 'serverless', evidence: '' } as const)
  const config = { 'segment.bytes': '1000', 'max.message.bytes': '9000000', 'retention.ms': '1' }
  const pipeline = { ...PIPELINE, topics: { orders: { partitions: 3, replicationFactor: 2, config } } }
  const [found] = findingsOf('msk-serverless', { profile, pipeline })
  assert.deepEqual(found?.evidence, [
    'topics.orders.config.segment.bytes',
    'topics.orders.config.max.message.bytes above 8 MiB',
    'topics.orders.replicationFactor: always 3 there',
    'kafka.sasl: IAM is the only sign-on there'
  ])
  const metadata = { ...factsOf().metadata, topics: [topicOf('orders', 2000)] }
  const [near] = findingsOf('msk-serverless', { profile, metadata, pipeline: undefined })
  assert.deepEqual(near?.evidence, ['partitions: 2000 of 2400'])
  assert.deepEqual(findingsOf('msk-serverless', { pipeline }), [], 'elsewhere it does not matter')
})

test('Express brokers fix replicas, and what a partition takes', () => {
  const profile = known({ profile: 'express', evidence: '', instanceType: 'express.m7g.large' } as const)
  const config = { 'min.insync.replicas': '1' }
  const pipeline = { ...PIPELINE, topics: { orders: { partitions: 3, replicationFactor: 2, config } } }
  const [found] = findingsOf('msk-express', { profile, pipeline })
  assert.equal(found?.evidence.length, 2)
  assert.deepEqual(findingsOf('msk-express', { pipeline }), [])
})

test('every check has a name of its own, an area, and a sentence', () => {
  assert.equal(new Set(DOCTOR_CHECKS.map(({ id }) => id)).size, DOCTOR_CHECKS.length)
  for (const { sentence, id } of DOCTOR_CHECKS) {
    assert.match(sentence, /^[A-Za-z].*\.$/, id)
    assert.match(id, /^[a-z-]+$/)
  }
})

test('checks are chosen by name or by area, and a name that does not exist is said', () => {
  const facts = factsOf()
  const chosen = (only: readonly string[], skip: readonly string[]): string[] =>
    judgeFacts(facts, { only, skip }).map(({ id }) => id)
  const names = chosen(['msk', 'controller'], ['msk-express'])
  assert.deepEqual(names, ['controller', 'partitions-per-broker', 'msk-serverless'])
  const attempt = (): unknown => chosen(['nonsense'], [])
  assert.throws(attempt, error => PipelineError.is(error, 'ERR_OPS_NOT_FOUND') && /nonsense/.test(error.message))
})
