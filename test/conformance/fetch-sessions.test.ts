/** Incremental fetches (KIP-227) over the wire, and what old versions do with zstd. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  fetchApi,
  type FetchRequestInput,
  type FetchResponse,
  kafkaErrorName,
  produceApi,
  RecordBatchBuilder
} from '../../src/protocol/index.ts'
import { batchOf, connectForTest, createTopic, errorOf, type Peer, produce, type Topic } from './support.ts'

function fetch(peer: Peer, input: FetchRequestInput, version = 12): Promise<FetchResponse> {
  const message = { maxWaitMs: 0, minBytes: 1, maxBytes: 1_000_000, ...input }
  return peer.connection.request(fetchApi, { version, message })
}

function topicsOf(topic: Topic, fetchOffset = 0n): NonNullable<FetchRequestInput['topics']> {
  return [{ topic: topic.name, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 100_000 }] }]
}

test('a session tells only news, and is over when it forgets its last partition', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  await produce(peer, topic.name, batchOf(['a']))
  const first = await fetch(peer, { sessionEpoch: 0, topics: topicsOf(topic) })
  const { sessionId } = first
  assert.notEqual(sessionId, 0)
  assert.equal(first.responses[0]?.partitions.length, 1)

  const moved = await fetch(peer, { sessionId, sessionEpoch: 1, topics: topicsOf(topic, 1n) })
  assert.deepEqual([moved.sessionId, moved.responses], [sessionId, []])
  await produce(peer, topic.name, batchOf(['b']))
  const news = await fetch(peer, { sessionId, sessionEpoch: 2 })
  assert.equal(news.responses[0]?.partitions[0]?.highWatermark, 2n)

  const forgottenTopicsData = [{ topic: topic.name, partitions: [0] }]
  const last = await fetch(peer, { sessionId, sessionEpoch: 3, forgottenTopicsData })
  assert.deepEqual([kafkaErrorName(last.errorCode), last.sessionId, last.responses], ['NONE', 0, []])
  const gone = await fetch(peer, { sessionId, sessionEpoch: 4 })
  assert.equal(kafkaErrorName(gone.errorCode), 'FETCH_SESSION_ID_NOT_FOUND')
})

test('wrong epochs and a mix of names and ids are refused, and the session goes on', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const { sessionId } = await fetch(peer, { sessionEpoch: 0, topics: topicsOf(topic) })
  const errorAt = async (sessionEpoch: number, version: number): Promise<string> =>
    kafkaErrorName((await fetch(peer, { sessionId, sessionEpoch, topics: [] }, version)).errorCode)

  assert.equal(await errorAt(5, 12), 'INVALID_FETCH_SESSION_EPOCH')
  assert.equal(await errorAt(5, 13), 'INVALID_FETCH_SESSION_EPOCH')
  assert.equal(await errorAt(1, 13), 'FETCH_SESSION_TOPIC_ID_ERROR')
  assert.equal(await errorAt(1, 12), 'NONE')
  const closed = await fetch(peer, { sessionId, sessionEpoch: -1, topics: topicsOf(topic) })
  assert.deepEqual([closed.sessionId, closed.responses.length], [0, 1])
  assert.equal(await errorAt(2, 12), 'FETCH_SESSION_ID_NOT_FOUND')
})

test('a session without partitions is a session', async t => {
  const peer = await connectForTest(t)
  const { sessionId, responses } = await fetch(peer, { sessionEpoch: 0, topics: [] })
  assert.notEqual(sessionId, 0)
  assert.deepEqual(responses, [])
})

test('a partition that has an error is told at every fetch of a session', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const unknown = { name: peer.cluster.uniqueName('unknown'), id: '' }
  const topics = [...topicsOf(topic), ...topicsOf(unknown)]
  const { sessionId } = await fetch(peer, { sessionEpoch: 0, topics })
  for (const sessionEpoch of [1, 2]) {
    const { responses } = await fetch(peer, { sessionId, sessionEpoch, topics: [] })
    assert.deepEqual(
      responses.map(each => [each.topic, errorOf(each.partitions[0])]),
      [[unknown.name, 'UNKNOWN_TOPIC_OR_PARTITION']]
    )
  }
})

test('versions of Produce that do not know zstd do not write it; every version of Fetch gets it', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const builder = new RecordBatchBuilder({ compression: 'zstd' })
  builder.tryAppend(Date.now(), null, Buffer.from('v'))
  const sent = async (version: number): Promise<string> => {
    const topicData = [{ name: topic.name, partitionData: [{ index: 0, records: Buffer.from(builder.build()) }] }]
    const message = { acks: -1, timeoutMs: 10_000, topicData }
    return errorOf(
      (await peer.connection.request(produceApi, { version, message })).responses[0]?.partitionResponses[0]
    )
  }

  assert.equal(await sent(6), 'UNSUPPORTED_COMPRESSION_TYPE')
  assert.equal(await sent(7), 'NONE')
  for (const version of [9, 10]) {
    const fetched = await fetch(peer, { sessionEpoch: -1, topics: topicsOf(topic) }, version)
    const data = fetched.responses[0]?.partitions[0]
    assert.deepEqual([errorOf(data), data?.highWatermark], ['NONE', 1n])
    assert.ok((data?.records?.length ?? 0) > 0)
  }
})
