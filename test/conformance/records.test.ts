/** Producing, fetching and finding offsets: what goes in comes out, and what is wrong is refused by its name. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BATCH_AT,
  fetchApi,
  type FetchResponse,
  listOffsetsApi,
  metadataApi,
  produceApi,
  RecordCursor,
  writeBatchCrc
} from '../../src/protocol/index.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { batchOf, connectForTest, createTopic, errorOf, type Peer, produce, type Topic } from './support.ts'

interface FetchFrom {
  readonly topic: Topic
  readonly offset: bigint
  readonly version?: number
  readonly partitionMaxBytes?: number
  readonly maxWaitMs?: number
  readonly maxBytes?: number
}

async function fetch({ connection }: Peer, from: FetchFrom): Promise<FetchResponse> {
  const partition = { partition: 0, fetchOffset: from.offset, partitionMaxBytes: from.partitionMaxBytes ?? 1_000_000 }
  const version = from.version ?? 12
  const name = version >= 13 ? { topicId: from.topic.id } : { topic: from.topic.name }
  return connection.request(fetchApi, {
    version,
    message: {
      maxWaitMs: from.maxWaitMs ?? 100,
      minBytes: 1,
      maxBytes: from.maxBytes ?? 10_000_000,
      topics: [{ ...name, partitions: [partition] }]
    }
  })
}

function valuesIn(response: FetchResponse): string[] {
  const records = response.responses[0]?.partitions[0]?.records
  const values: string[] = []
  if (records === null || records === undefined) return values
  const cursor = new RecordCursor()
  cursor.reset(records)
  while (cursor.nextBatch()) while (cursor.nextRecord()) values.push(`${cursor.offset()} ${cursor.value()?.toString()}`)
  return values
}

test('every version of Produce and of Fetch carries the same records', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const produced: string[] = []

  for (let version = 3; version <= 13; version++) {
    const name = version >= 13 ? { topicId: topic.id } : { name: topic.name }
    const partitionData = [{ index: 0, records: batchOf([`version ${version}`]) }]
    const message = { acks: -1, timeoutMs: 10_000, topicData: [{ ...name, partitionData }] }
    const response = await peer.connection.request(produceApi, { version, message })
    const partition = response.responses[0]?.partitionResponses[0]
    assert.equal(errorOf(partition), 'NONE', `produce version ${version}`)
    assert.equal(partition?.baseOffset, BigInt(produced.length))
    produced.push(`${produced.length} version ${version}`)
  }
  for (let version = 4; version <= 18; version++) {
    const response = await fetch(peer, { topic, offset: 0n, version })
    const partition = response.responses[0]?.partitions[0]
    assert.deepEqual(valuesIn(response), produced, `fetch version ${version}`)
    assert.equal(partition?.highWatermark, BigInt(produced.length))
  }
})

test('versions of Produce below 3 are advertised and refused', async t => {
  for (const version of [0, 1, 2]) {
    const { connection } = await connectForTest(t)
    // API 0, the version, correlation id 1, no client id, acks 1, timeout 1000, no topics.
    connection.send(Buffer.from(`00000014000000${'0' + version}00000001ffff0001000003e800000000`, 'hex'))
    const answer = await connection.frame().then(
      () => 'answered',
      () => 'closed'
    )
    assert.equal(answer, 'closed', `version ${version}`)
  }
})

test('a fetch from the middle of a batch answers the whole batch', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  await produce(peer, topic.name, batchOf(['a', 'b', 'c']))
  await produce(peer, topic.name, batchOf(['d']))

  assert.deepEqual(valuesIn(await fetch(peer, { topic, offset: 1n })), ['0 a', '1 b', '2 c', '3 d'])
  assert.deepEqual(valuesIn(await fetch(peer, { topic, offset: 3n })), ['3 d'])
})

test('a first batch above the limits of the fetch is answered all the same, and alone', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  await produce(peer, topic.name, batchOf(['x'.repeat(50_000)]))
  await produce(peer, topic.name, batchOf(['next']))

  const response = await fetch(peer, { topic, offset: 0n, partitionMaxBytes: 100, maxBytes: 100 })

  const batchBytes = response.responses[0]?.partitions[0]?.records?.readInt32BE(8) ?? 0
  assert.ok(batchBytes > 50_000)
  const cursor = new RecordCursor()
  cursor.reset(response.responses[0]?.partitions[0]?.records?.subarray(0, batchBytes + 12) ?? Buffer.alloc(0))
  assert.ok(cursor.nextBatch() && cursor.nextRecord())
  assert.equal(cursor.value()?.length, 50_000)
})

test('the records come back byte for byte but for the offset and the leader epoch that the broker stamps', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const sent = batchOf(['one', 'two'], { key: 'key', timestampMs: Date.now() - 5 })
  await produce(peer, topic.name, batchOf(['before']))
  await produce(peer, topic.name, sent)

  const response = await fetch(peer, { topic, offset: 1n })
  const received = response.responses[0]?.partitions[0]?.records

  assert.equal(received?.readBigInt64BE(BATCH_AT.baseOffset), 1n)
  assert.equal(received?.readInt32BE(BATCH_AT.partitionLeaderEpoch), 0)
  assert.deepEqual(received?.subarray(BATCH_AT.magic), sent.subarray(BATCH_AT.magic))
})

test('a fetch at the end waits for a record, and answers as soon as there is one', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const other = await connectAgain(t, peer)

  const waiting = fetch(peer, { topic, offset: 0n, maxWaitMs: 15_000 })
  const start = performance.now()
  await produce(other, topic.name, batchOf(['late']))

  assert.deepEqual(valuesIn(await waiting), ['0 late'])
  assert.ok(performance.now() - start < 10_000)
})

test('a fetch outside the log is out of range and says where the log is', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  await produce(peer, topic.name, batchOf(['a']))

  for (const offset of [2n, 1_000n]) {
    const partition = (await fetch(peer, { topic, offset })).responses[0]?.partitions[0]
    assert.equal(errorOf(partition), 'OFFSET_OUT_OF_RANGE')
    assert.deepEqual([partition?.highWatermark, partition?.records?.length ?? 0], [-1n, 0])
  }
  const atEnd = (await fetch(peer, { topic, offset: 1n })).responses[0]?.partitions[0]
  assert.deepEqual([errorOf(atEnd), atEnd?.highWatermark], ['NONE', 1n])
})

test('unknown topics, partitions and topic ids are told apart', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const unknown = { name: peer.cluster.uniqueName('missing'), id: 'AAAAAAAAAAAAAAAAAAAAZw' }

  const byName = await fetch(peer, { topic: unknown, offset: 0n, version: 12 })
  const byId = await fetch(peer, { topic: unknown, offset: 0n, version: 13 })
  const partitions = [{ partition: 7, fetchOffset: 0n, partitionMaxBytes: 100 }]
  const message = { maxWaitMs: 0, minBytes: 0, topics: [{ topic: topic.name, partitions }] }
  const byPartition = await peer.connection.request(fetchApi, { version: 12, message })
  const metadata = await peer.connection.request(metadataApi, {
    version: 12,
    message: { topics: [{ topicId: unknown.id, name: null }], allowAutoTopicCreation: false }
  })

  assert.equal(errorOf(byName.responses[0]?.partitions[0]), 'UNKNOWN_TOPIC_OR_PARTITION')
  assert.equal(errorOf(byId.responses[0]?.partitions[0]), 'UNKNOWN_TOPIC_ID')
  assert.equal(errorOf(byPartition.responses[0]?.partitions[0]), 'UNKNOWN_TOPIC_OR_PARTITION')
  assert.equal(errorOf(metadata.topics[0]), 'UNKNOWN_TOPIC_ID')
})

test('batches that are damaged or malformed are refused by name, and nothing of them is kept', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const damage = (change: (batch: Buffer) => void, options = { isCrcRight: true }): Buffer => {
    const batch = Buffer.from(batchOf(['one', 'two']))
    change(batch)
    if (options.isCrcRight) writeBatchCrc(batch, 0)
    return batch
  }
  const last = batchOf(['one', 'two']).length - 1
  const cases: [string, Buffer, string][] = [
    [
      'a flipped byte',
      damage(batch => batch.writeUInt8(batch.readUInt8(last) ^ 1, last), { isCrcRight: false }),
      'CORRUPT_MESSAGE'
    ],
    ['a wrong count', damage(batch => batch.writeInt32BE(5, BATCH_AT.recordCount)), 'INVALID_RECORD'],
    ['a control batch', damage(batch => batch.writeInt16BE(0x20, BATCH_AT.attributes)), 'INVALID_RECORD'],
    ['no bytes', Buffer.alloc(0), 'INVALID_RECORD'],
    ['two batches', Buffer.concat([batchOf(['one']), batchOf(['two'])]), 'INVALID_RECORD']
  ]
  for (const [name, records, expected] of cases) {
    assert.equal(errorOf(await produce(peer, topic.name, records)), expected, name)
  }
  assert.deepEqual(valuesIn(await fetch(peer, { topic, offset: 0n })), [])
})

test('a batch above max.message.bytes is too large', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer, { configs: [['max.message.bytes', '1000']] })

  assert.equal(errorOf(await produce(peer, topic.name, batchOf(['x'.repeat(2_000)]))), 'MESSAGE_TOO_LARGE')
  assert.equal(errorOf(await produce(peer, topic.name, batchOf(['x'.repeat(500)]))), 'NONE')
})

test('a record without a key is refused by a compacted topic', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer, { configs: [['cleanup.policy', 'compact']] })

  const refused = await produce(peer, topic.name, batchOf(['no key']))
  const taken = await produce(peer, topic.name, batchOf(['keyed'], { key: 'k' }))

  assert.equal(errorOf(refused), 'INVALID_RECORD')
  assert.deepEqual(
    refused.recordErrors.map(each => each.batchIndex),
    [0]
  )
  assert.equal(errorOf(taken), 'NONE')
})

test('offsets are found by time, and the ends of the log by their marks', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const start = Date.now() - 100_000
  for (const minute of [0, 20, 40]) {
    await produce(peer, topic.name, batchOf(['x'], { timestampMs: start + minute * 1_000 }))
  }
  const offsetAt = async (timestamp: bigint): Promise<[bigint, bigint]> => {
    const partitions = [{ partitionIndex: 0, timestamp }]
    const message = { replicaId: -1, topics: [{ name: topic.name, partitions }] }
    const response = await peer.connection.request(listOffsetsApi, { version: 7, message })
    const partition = response.topics[0]?.partitions[0]
    assert.equal(errorOf(partition), 'NONE')
    return [partition?.offset ?? -99n, partition?.timestamp ?? -99n]
  }

  assert.deepEqual(await offsetAt(-2n), [0n, -1n])
  assert.deepEqual(await offsetAt(-1n), [3n, -1n])
  assert.deepEqual(await offsetAt(-3n), [2n, BigInt(start + 40_000)])
  assert.deepEqual(await offsetAt(BigInt(start)), [0n, BigInt(start)])
  assert.deepEqual(await offsetAt(BigInt(start + 1)), [1n, BigInt(start + 20_000)])
  assert.deepEqual(await offsetAt(BigInt(start + 40_001)), [-1n, -1n])
})

async function connectAgain(t: Parameters<typeof connectForTest>[0], peer: Peer): Promise<Peer> {
  return { cluster: peer.cluster, connection: await RawConnection.open(t, peer.cluster) }
}
