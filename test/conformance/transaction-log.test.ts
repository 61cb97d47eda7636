/** What transactions do to a partition: what each kind of reader is told, and what its log takes meanwhile. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  decodeResponse,
  deleteRecordsApi,
  fetchApi,
  type FetchResponsePartitionData,
  listOffsetsApi,
  type ListOffsetsResponsePartitionResponse,
  produceApi,
  RecordBatchBuilder
} from '../../src/protocol/index.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { batchOf, connectForTest, createTopic, errorOf, type Peer, produce, type Topic } from './support.ts'
import { PROTOCOLS, TransactionalProducer, untilRead } from './transactions-support.ts'

const { version1, version2 } = PROTOCOLS
const NOW_MS = Date.now() - 60_000

interface FetchOptions {
  readonly from?: bigint
  readonly isCommitted?: boolean
  readonly maxWaitMs?: number
  readonly bytesMax?: number
}

async function fetch(
  connection: RawConnection,
  topic: Topic,
  { from = 0n, isCommitted = true, maxWaitMs = 0, bytesMax = 1_000_000 }: FetchOptions = {}
): Promise<FetchResponsePartitionData> {
  const partitions = [{ partition: 0, fetchOffset: from, partitionMaxBytes: bytesMax }]
  const response = await connection.request(fetchApi, {
    version: 12,
    message: {
      maxWaitMs,
      minBytes: 1,
      maxBytes: bytesMax,
      isolationLevel: isCommitted ? 1 : 0,
      topics: [{ topic: topic.name, partitions }]
    }
  })
  const data = response.responses[0]?.partitions[0]
  assert.ok(data !== undefined)
  assert.equal(errorOf(data), 'NONE')
  return data
}

async function offsetAt(
  { connection }: Peer,
  topic: Topic,
  { timestamp, isCommitted }: { timestamp: bigint; isCommitted: boolean }
): Promise<ListOffsetsResponsePartitionResponse> {
  const message = {
    replicaId: -1,
    isolationLevel: isCommitted ? 1 : 0,
    topics: [{ name: topic.name, partitions: [{ partitionIndex: 0, timestamp }] }]
  }
  const found = (await connection.request(listOffsetsApi, { version: 7, message })).topics[0]?.partitions[0]
  assert.ok(found !== undefined)
  assert.equal(errorOf(found), 'NONE')
  return found
}

test('both kinds of readers are told the last stable offset, only one is told aborted transactions', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  await produce(peer, topic.name, batchOf(['before', 'before']))
  const producer = await TransactionalProducer.start(peer, version2)
  await producer.send({ topic }, 'open')

  for (const isCommitted of [true, false]) {
    const { highWatermark, lastStableOffset, abortedTransactions } = await fetch(peer.connection, topic, {
      isCommitted
    })
    assert.deepEqual([highWatermark, lastStableOffset], [3n, 2n])
    assert.deepEqual(abortedTransactions, isCommitted ? [] : null)
  }
  await producer.end(false)
})

test('aborted transactions are told for the range that is answered, those begun before it too', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const [one, two] = [
    await TransactionalProducer.start(peer, version2),
    await TransactionalProducer.start(peer, version2)
  ]
  await one.send({ topic }, 'a') // 0
  await two.send({ topic }, 'b') // 1
  await one.send({ topic }, 'c') // 2
  const [first, second] = [one.identity.producerId, two.identity.producerId]
  await one.end(false) // 3
  // The marker follows the answer to EndTxn.
  const end = performance.now() + 10_000
  while ((await fetch(peer.connection, topic)).highWatermark < 4n && performance.now() < end);
  await produce(peer, topic.name, batchOf(['plain'])) // 4
  await two.end(false) // 5
  await untilRead(peer, topic, { values: ['plain'] })

  const aborted = async (options: FetchOptions): Promise<[bigint, bigint][]> => {
    const { abortedTransactions } = await fetch(peer.connection, topic, options)
    const rows = (abortedTransactions ?? []).map((each): [bigint, bigint] => [each.producerId, each.firstOffset])
    return rows.toSorted((a, b) => Number(a[1] - b[1]))
  }
  const all: [bigint, bigint][] = [
    [first, 0n],
    [second, 1n]
  ]
  assert.deepEqual(await aborted({}), all)
  assert.deepEqual(await aborted({ from: 2n }), all)
  assert.deepEqual(await aborted({ from: 4n }), all.slice(1))
  assert.deepEqual(await aborted({ from: 6n }), [])
})

for (const [name, protocol] of Object.entries(PROTOCOLS)) {
  test(`${name}: a waiting reader of committed records is answered when the transaction ends`, async t => {
    const peer = await connectForTest(t)
    const reader = await RawConnection.open(t, peer.cluster)
    const topic = await createTopic(peer)
    const producer = await TransactionalProducer.start(peer, protocol)
    let isAnswered = false
    const waiting = fetch(reader, topic, { maxWaitMs: 30_000 })
    void waiting.then(() => (isAnswered = true))
    await producer.send({ topic }, 'x'.repeat(1000))
    await producer.send({ topic }, 'y'.repeat(1000))
    assert.equal((await fetch(peer.connection, topic, { isCommitted: false })).highWatermark, 2n)
    assert.equal(isAnswered, false)

    await producer.end(true)

    const { records, lastStableOffset } = await waiting
    assert.ok((records?.length ?? 0) > 2000)
    assert.equal(lastStableOffset, 3n)
  })
}

test('offsets by time and the latest offset are those of the isolation level', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  await produce(peer, topic.name, batchOf(['a'], { timestampMs: NOW_MS }))
  const producer = await TransactionalProducer.start(peer, version2)
  await producer.send({ topic }, 'open') // with the time of now, later than NOW_MS
  const offsets = async (timestamp: bigint): Promise<[bigint, bigint]> => [
    (await offsetAt(peer, topic, { timestamp, isCommitted: true })).offset,
    (await offsetAt(peer, topic, { timestamp, isCommitted: false })).offset
  ]

  assert.deepEqual(await offsets(-1n), [1n, 2n])
  assert.deepEqual(await offsets(-2n), [0n, 0n])
  assert.deepEqual(await offsets(BigInt(NOW_MS)), [0n, 0n])
  assert.deepEqual(await offsets(BigInt(NOW_MS + 1)), [-1n, 1n])
  assert.deepEqual(await offsets(-3n), [-1n, 1n])

  await producer.end(true)
  await untilRead(peer, topic, { values: ['a', 'open'] })
  assert.deepEqual(await offsets(-1n), [3n, 3n])
  assert.deepEqual((await offsets(BigInt(NOW_MS + 1)))[0], 1n)
})

test('a producer with an open transaction writes nothing outside of it in that partition', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const producer = await TransactionalProducer.start(peer, version2)
  await producer.send({ topic }, 'in')
  const plain = (baseSequence: number): Buffer => {
    const builder = new RecordBatchBuilder({})
    builder.tryAppend(NOW_MS, null, Buffer.from('out'))
    return builder.build({ ...producer.identity, baseSequence })
  }

  assert.equal(errorOf(await produce(peer, topic.name, plain(1))), 'INVALID_TXN_STATE')
  assert.equal(errorOf(await produce(peer, topic.name, plain(5))), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
  await producer.end(true)
  await untilRead(peer, topic, { values: ['in'] })
  assert.equal(errorOf(await produce(peer, topic.name, plain(0))), 'NONE')
})

test('a retry of a transactional batch is answered with its offset while the transaction is open', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  for (const protocol of [version1, version2]) {
    const producer = await TransactionalProducer.start(peer, protocol)
    await producer.send({ topic }, 'v')
    const before = producer.identity

    const retry = await producer.sendOnce({ topic }, 'v', { sequence: 0 })
    assert.equal(errorOf(retry), 'NONE')
    assert.ok(retry.baseOffset >= 0n)

    await producer.end(true)
    producer.identity = before
    const last = protocol === version1 ? 'TRANSACTION_ABORTABLE' : 'INVALID_PRODUCER_EPOCH'
    // The marker follows the answer to EndTxn.
    const late = await untilAnswered(() => producer.sendOnce({ topic }, 'v', { sequence: 0 }), last)
    assert.deepEqual([errorOf(late), late.baseOffset], [last, -1n])
  }
})

async function untilAnswered(
  ask: () => ReturnType<TransactionalProducer['sendOnce']>,
  error: string
): ReturnType<TransactionalProducer['sendOnce']> {
  const end = performance.now() + 10_000
  for (;;) {
    const answer = await ask()
    if (errorOf(answer) === error || performance.now() > end) return answer
  }
}

test('records can be deleted beyond the beginning of an open transaction: it is stable from there on', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const producer = await TransactionalProducer.start(peer, version2)
  await producer.send({ topic }, 'open')
  await produce(peer, topic.name, batchOf(['a', 'b', 'c']))
  const partitions = [{ partitionIndex: 0, offset: 1n }]
  const message = { topics: [{ name: topic.name, partitions }], timeoutMs: 10_000 }
  const deleted = await peer.connection.request(deleteRecordsApi, { version: 2, message })
  assert.equal(deleted.topics[0]?.partitions[0]?.lowWatermark, 1n)

  const { lastStableOffset, logStartOffset } = await fetch(peer.connection, topic, { from: 1n })

  assert.deepEqual([lastStableOffset, logStartOffset], [1n, 1n])
  await producer.end(true)
})

test('requests that follow each other on a connection keep their order, whatever the coordinator is asked', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer, { partitions: 4 })
  const producer = await TransactionalProducer.start(peer, version2)
  const sequences = [0, 0, 0, 0]
  const requestOf = (partitions: readonly number[]): void => {
    const partitionData = partitions.map(index => {
      const builder = new RecordBatchBuilder({})
      builder.tryAppend(Date.now(), null, Buffer.from('v'))
      const baseSequence = sequences[index] ?? 0
      sequences[index] = baseSequence + 1
      return { index, records: builder.build({ ...producer.identity, baseSequence, isTransactional: true }) }
    })
    const topicData = [{ name: topic.name, partitionData }]
    const message = { transactionalId: producer.transactionalId, acks: -1, timeoutMs: 10_000, topicData }
    peer.connection.sendOnly(produceApi, { version: 12, message })
  }

  const answered = async (partitions: readonly number[]): Promise<void> => {
    const { message } = decodeResponse(produceApi, 12, await peer.connection.frame())
    const answers = message.responses[0]?.partitionResponses ?? []
    assert.deepEqual(
      answers.map(each => errorOf(each)),
      partitions.map(() => 'NONE')
    )
  }

  requestOf([0])
  await answered([0])
  // For partition 0 nobody needs to be asked any more: each second request could overtake the one before.
  const requests = [[0, 1], [0], [0, 2], [0, 1], [2], [0, 3], [0], [3, 2, 1, 0]]
  for (const partitions of requests) requestOf(partitions)
  for (const partitions of requests) await answered(partitions)
  await producer.end(true)
})
