/**
 * Record batches that lie inside requests that are well formed. Whatever the
 * broker takes, every consumer must be able to read; whatever it refuses leaves
 * no trace; and what opens to gigabytes is not opened.
 *
 * `FUZZ=long` (npm run test:fuzz) sends as many as fit into FUZZ_SECONDS.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomInt, type Random, SeededRandom } from '../../../src/core/index.ts'
import { kafkaErrorName, listOffsetsApi, produceApi } from '../../../src/protocol/index.ts'
import { FuzzedBroker } from './fuzzed-broker.ts'
import { bomb, goodBatch, hostileBatch } from './hostile-batches.ts'

const isLong = process.env['FUZZ'] === 'long'
const seconds = isLong ? Number(process.env['FUZZ_SECONDS'] ?? 120) : 1
const TOPICS = {
  plain: {},
  compacted: { 'cleanup.policy': 'compact' },
  stamped: { 'message.timestamp.type': 'LogAppendTime' },
  packed: { 'compression.type': 'gzip' },
  small: { 'segment.bytes': '1048576', 'max.message.bytes': '20000' }
} as const
/** What Kafka may answer to a batch that is not right, and to a right one with a sequence that does not follow. */
const REFUSALS = new Set([
  'CORRUPT_MESSAGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'MESSAGE_TOO_LARGE',
  'UNSUPPORTED_COMPRESSION_TYPE',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_TXN_STATE',
  'DUPLICATE_SEQUENCE_NUMBER',
  'INVALID_PRODUCER_ID_MAPPING',
  // Transactional records in a request that names no transactional id, as Apache Kafka answers them.
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'
])
const BOMB_BYTES = isLong ? 1024 ** 3 : 110 * 1024 ** 2
/** Idle about 100 MiB; one batch at a time may open to 100 MiB, in a buffer that doubles as it grows. */
const MEMORY_MB_MAX = 600

function seededRandom(): { seed: number; random: Random } {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)
  return { seed, random: new SeededRandom(seed) }
}

async function produce(broker: FuzzedBroker, topic: string, records: Buffer): Promise<string> {
  const topicData = [{ name: topic, partitionData: [{ index: 0, records }] }]
  const message = { acks: -1, timeoutMs: 1000, topicData }
  const response = await broker.healthy.request(produceApi, { version: 9, message })
  return kafkaErrorName(response.responses[0]?.partitionResponses[0]?.errorCode ?? -1)
}

async function endOffset(broker: FuzzedBroker, topic: string): Promise<bigint> {
  const topics = [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1n }] }]
  const response = await broker.healthy.request(listOffsetsApi, { version: 5, message: { replicaId: -1, topics } })
  return response.topics[0]?.partitions[0]?.offset ?? -1n
}

test('what is taken can be read, what is refused leaves no trace', async t => {
  const { seed, random } = seededRandom()
  t.diagnostic(`TEST_SEED=${seed}`)
  const broker = await FuzzedBroker.start(t)
  const names = Object.keys(TOPICS)
  for (const [name, configs] of Object.entries(TOPICS)) await broker.createTopic(name, 1, configs)
  const counts: Record<string, number> = {}
  const readable = new Map(names.map(name => [name, 0]))
  const deadlineMs = performance.now() + seconds * 1000
  for (let round = 0; performance.now() < deadlineMs; round++) {
    const topic = names[randomInt(random, names.length)] ?? 'plain'
    const batch = random.next() < 0.1 ? goodBatch(random) : hostileBatch(random)
    const before = await endOffset(broker, topic)
    const error = await produce(broker, topic, Buffer.from(batch))
    counts[error] = (counts[error] ?? 0) + 1
    const context = `TEST_SEED=${seed}, batch ${round}: ${error} ${topic} ${batch.toString('hex')}`
    assert.ok(error === 'NONE' || REFUSALS.has(error), context)
    const taken = await broker.values(topic, 0, before)
    assert.equal(before + BigInt(taken.length), await endOffset(broker, topic), context)
    if (error !== 'NONE') assert.equal(taken.length, 0, context)
    readable.set(topic, (readable.get(topic) ?? 0) + taken.length)
    if (round % 50 === 0) await broker.assertHealthy(context)
  }
  for (const name of names) assert.equal((await broker.values(name, 0)).length, readable.get(name), name)
  t.diagnostic(JSON.stringify(counts))
  assert.ok((counts['NONE'] ?? 0) > 0)
})

test('a batch that opens to gigabytes is refused without being opened', async t => {
  const { seed, random } = seededRandom()
  t.diagnostic(`TEST_SEED=${seed}`)
  const broker = await FuzzedBroker.start(t)
  await broker.createTopic('bombed', 1, { 'max.message.bytes': '104857600' })
  for (const codec of ['zstd', 'gzip', 'lz4', 'snappy'] as const) {
    // Frames end at 100 MB, and snappy packs to a twentieth only.
    const bytes = codec === 'snappy' ? Math.min(BOMB_BYTES, 256 * 1024 ** 2) : BOMB_BYTES
    const batch = bomb(codec, bytes, random)
    const startMs = performance.now()
    assert.equal(await produce(broker, 'bombed', batch), 'INVALID_RECORD', codec)
    const tookMs = performance.now() - startMs
    t.diagnostic(`${codec}: ${batch.length} bytes, refused in ${tookMs.toFixed(0)} ms`)
    assert.ok(tookMs < 10_000, `${codec} took ${tookMs.toFixed(0)} ms`)
    await broker.assertHealthy(codec)
  }
  const peakMb = await broker.peakMb()
  t.diagnostic(`${peakMb.toFixed(0)} MiB at the peak`)
  assert.ok(peakMb < MEMORY_MB_MAX, `the broker took ${peakMb.toFixed(0)} MiB`)
})
