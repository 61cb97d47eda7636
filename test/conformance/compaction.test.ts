/**
 * What compaction leaves of a log, batch by batch. Segments roll by the times of
 * the records, so that what is cleaned is the same everywhere; Apache Kafka looks
 * for work every 15 seconds.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  type BatchStamp,
  type CompressionName,
  compressionOf,
  fetchApi,
  hasDeleteHorizon,
  initProducerIdApi,
  RecordBatchBuilder,
  RecordCursor
} from '../../src/protocol/index.ts'
import { clusterForTest } from '../support/cluster.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { createTopic, errorOf, type Peer, produce, type Topic } from './support.ts'

const HOUR_MS = 3_600_000
const CLEANED_WITHIN_MS = 90_000

/** A batch as it is left: offsets, sequence, and each record as `offset key=value`. */
interface LeftBatch {
  readonly offsets: string
  readonly baseSequence: number
  readonly compression: CompressionName
  readonly hasHorizon: boolean
  readonly records: readonly string[]
}

async function connect(t: TestContext): Promise<Peer> {
  const cluster = await clusterForTest(t, { brokerConfig: { 'log.cleaner.backoff.ms': '20' } })
  return { cluster, connection: await RawConnection.open(t, cluster) }
}

function compactedTopic(peer: Peer, configs: [string, string][] = []): Promise<Topic> {
  const all: [string, string][] = [
    ['cleanup.policy', 'compact'],
    ['min.cleanable.dirty.ratio', '0'],
    ['segment.ms', '60000'],
    ...configs
  ]
  return createTopic(peer, { configs: all })
}

/** Appends one batch; a null value is a tombstone. */
async function put(
  peer: Peer,
  topic: Topic,
  batch: {
    readonly records: readonly (readonly [string, string | null])[]
    readonly timestampMs: number
    readonly compression?: CompressionName
    readonly stamp?: BatchStamp
  }
): Promise<void> {
  const builder = new RecordBatchBuilder({ compression: batch.compression ?? 'none' })
  for (const [key, value] of batch.records) {
    builder.tryAppend(batch.timestampMs, Buffer.from(key), value === null ? null : Buffer.from(value))
  }
  assert.equal(errorOf(await produce(peer, topic.name, builder.build(batch.stamp ?? {}))), 'NONE')
}

/** A new producer id; a broker that has just started may have to load something first. */
async function producerOf({ connection }: Peer): Promise<{ producerId: bigint; producerEpoch: number }> {
  const message = { transactionalId: null, transactionTimeoutMs: 60_000 }
  for (;;) {
    const given = await connection.request(initProducerIdApi, { version: 4, message })
    if (errorOf(given) === 'NONE') return given
    assert.equal(errorOf(given), 'COORDINATOR_LOAD_IN_PROGRESS')
  }
}

async function left({ connection }: Peer, topic: Topic): Promise<LeftBatch[]> {
  const found: LeftBatch[] = []
  const cursor = new RecordCursor()
  for (let next = 0n; ;) {
    const partitions = [{ partition: 0, fetchOffset: next, partitionMaxBytes: 1_000_000 }]
    const message = { maxWaitMs: 0, minBytes: 0, maxBytes: 1_000_000, topics: [{ topic: topic.name, partitions }] }
    const answer = await connection.request(fetchApi, { version: 12, message })
    const partition = answer.responses[0]?.partitions[0]
    assert.equal(errorOf(partition), 'NONE')
    if ((partition?.records?.length ?? 0) === 0) return found
    cursor.reset(partition?.records ?? Buffer.alloc(0))
    while (cursor.nextBatch()) {
      const { baseOffset, lastOffsetDelta, baseSequence, attributes } = cursor.header
      const records: string[] = []
      while (cursor.nextRecord()) records.push(`${cursor.offset()} ${String(cursor.key())}=${String(cursor.value())}`)
      const lastOffset = baseOffset + BigInt(lastOffsetDelta)
      found.push({
        offsets: `${baseOffset}-${lastOffset}`,
        baseSequence,
        compression: compressionOf(attributes),
        hasHorizon: hasDeleteHorizon(attributes),
        records
      })
      next = lastOffset + 1n
    }
  }
}

/** Looks until a record is gone. */
async function untilGone(peer: Peer, topic: Topic, record: string): Promise<LeftBatch[]> {
  const deadline = performance.now() + CLEANED_WITHIN_MS
  for (;;) {
    const batches = await left(peer, topic)
    if (!batches.some(({ records }) => records.includes(record))) return batches
    assert.ok(performance.now() < deadline, `${record} is still there: ${JSON.stringify(batches)}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/** Apache Kafka's cleaner rests for 15 seconds between two looks: half a minute, for the long run only. */
const cleaningTwice =
  process.env['KAFKA_BOOTSTRAP'] !== undefined && process.env['CONFORMANCE'] !== 'long'
    ? 'long: CONFORMANCE=long'
    : false

test('compaction keeps the last of each key, offsets, sequences and the last batch of a producer', async t => {
  const peer = await connect(t)
  const topic = await compactedTopic(peer)
  const atMs = Date.now() - 10 * HOUR_MS
  const given = await producerOf(peer)
  const producer = { producerId: given.producerId, producerEpoch: given.producerEpoch }
  const [first, second, third] = [atMs, atMs + HOUR_MS, atMs + 2 * HOUR_MS]
  await put(peer, topic, {
    timestampMs: first,
    records: [
      ['a', '1'],
      ['b', '1'],
      ['c', '1'],
      ['f', '1']
    ]
  })
  await put(peer, topic, {
    timestampMs: first,
    records: [
      ['a', '2'],
      ['d', '1']
    ]
  })
  await put(peer, topic, { timestampMs: first, records: [['c', null]] })
  await put(peer, topic, { timestampMs: first, records: [['e', '1']], stamp: { ...producer, baseSequence: 0 } })
  await put(peer, topic, { timestampMs: first, records: [['e', '2']], stamp: { ...producer, baseSequence: 1 } })
  await put(peer, topic, {
    timestampMs: first,
    records: [
      ['g', '1'],
      ['b', '2']
    ],
    compression: 'gzip'
  })
  await put(peer, topic, {
    timestampMs: second,
    records: [
      ['b', '3'],
      ['e', '3']
    ]
  })
  await put(peer, topic, { timestampMs: third, records: [['a', 'active']] })

  const batches = await untilGone(peer, topic, '8 e=2')

  const plain = { baseSequence: -1, compression: 'none', hasHorizon: false } as const
  assert.deepEqual(batches, [
    { ...plain, offsets: '0-3', records: ['3 f=1'] },
    { ...plain, offsets: '4-5', records: ['4 a=2', '5 d=1'] },
    { ...plain, offsets: '6-6', hasHorizon: true, records: ['6 c=null'] },
    { ...plain, offsets: '8-8', baseSequence: 1, records: [] },
    { ...plain, offsets: '9-10', compression: 'gzip', records: ['9 g=1'] },
    { ...plain, offsets: '11-12', records: ['11 b=3', '12 e=3'] },
    { ...plain, offsets: '13-13', records: ['13 a=active'] }
  ])
})

test('a tombstone goes with the cleaning after delete.retention.ms', { skip: cleaningTwice }, async t => {
  const peer = await connect(t)
  const topic = await compactedTopic(peer, [['delete.retention.ms', '1']])
  const atMs = Date.now() - 10 * HOUR_MS
  await put(peer, topic, {
    timestampMs: atMs,
    records: [
      ['k', '1'],
      ['k', null]
    ]
  })
  await put(peer, topic, { timestampMs: atMs + HOUR_MS, records: [['x', '1']] })
  const first = await untilGone(peer, topic, '0 k=1')
  assert.deepEqual(first[0]?.records, ['1 k=null'])

  await put(peer, topic, { timestampMs: atMs + 2 * HOUR_MS, records: [['x', '2']] })
  const second = await untilGone(peer, topic, '1 k=null')

  // The last batch before what was not cleaned keeps its header as long as it is the last.
  assert.deepEqual(
    second.flatMap(({ records }) => records),
    ['2 x=1', '3 x=2']
  )
})
