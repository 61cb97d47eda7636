/** Fetch over a socket: long poll, limits over partitions, sessions, topic ids. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createTopicsApi,
  deleteTopicsApi,
  fetchApi,
  type FetchRequestInput,
  type FetchResponse,
  metadataApi,
  produceApi,
  RecordBatchBuilder
} from '../../../src/protocol/index.ts'
import type { RawConnection } from '../../support/raw-connection.ts'
import { brokerFor, connectTo } from '../support.ts'

async function createTopic(connection: RawConnection, name: string, numPartitions: number): Promise<string> {
  const topics = [{ name, numPartitions, replicationFactor: 1 }]
  const created = await connection.request(createTopicsApi, { version: 7, message: { topics, timeoutMs: 1000 } })
  return created.topics[0]?.topicId ?? ''
}

async function produce(connection: RawConnection, partition: number, valueBytes = 10): Promise<void> {
  const topic = 't'
  const builder = new RecordBatchBuilder()
  builder.tryAppend(1_700_000_000_000, null, Buffer.alloc(valueBytes, 'x'))
  const topicData = [{ name: topic, partitionData: [{ index: partition, records: builder.build() }] }]
  const message = { acks: -1, timeoutMs: 1000, topicData }
  const answer = await connection.request(produceApi, { version: 9, message })
  assert.equal(answer.responses[0]?.partitionResponses[0]?.errorCode, 0)
}

function fetch(connection: RawConnection, input: FetchRequestInput, version = 11): Promise<FetchResponse> {
  const defaults = { maxWaitMs: 0, minBytes: 1, maxBytes: 1_000_000, sessionEpoch: -1 }
  return connection.request(fetchApi, { version, message: { ...defaults, ...input } })
}

function sizes(response: FetchResponse): Record<number, number> {
  const all = response.responses.flatMap(topic => topic.partitions)
  return Object.fromEntries(all.map(each => [each.partitionIndex, each.records?.length ?? 0]))
}

test('a waiting fetch answers when minBytes have come from several appends to several partitions', async t => {
  const broker = await brokerFor(t)
  const [reader, writer] = [await connectTo(t, broker), await connectTo(t, broker)]
  await createTopic(writer, 't', 2)
  const partitions = [0, 1].map(partition => ({ partition, partitionMaxBytes: 100_000 }))
  let isAnswered = false
  const waiting = fetch(reader, { maxWaitMs: 60_000, minBytes: 3000, topics: [{ topic: 't', partitions }] })
  void waiting.then(() => (isAnswered = true))
  await produce(writer, 0, 1000)
  await produce(writer, 1, 1000)
  assert.equal(isAnswered, false)
  await produce(writer, 0, 1000)
  const got = sizes(await waiting)
  assert.ok((got[0] ?? 0) > 2000 && (got[1] ?? 0) > 1000)
})

test('a waiting fetch ends with what there is after maxWaitMs', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker)
  await createTopic(connection, 't', 1)
  await produce(connection, 0)
  const partitions = [{ partition: 0, partitionMaxBytes: 1000 }]
  const response = await fetch(connection, { maxWaitMs: 50, minBytes: 100_000, topics: [{ topic: 't', partitions }] })
  assert.ok((sizes(response)[0] ?? 0) > 0)
})

test('a waiting fetch learns that its topic was deleted', async t => {
  const broker = await brokerFor(t)
  const [reader, admin] = [await connectTo(t, broker), await connectTo(t, broker)]
  await createTopic(admin, 't', 1)
  const waiting = fetch(reader, { maxWaitMs: 60_000, topics: [{ topic: 't', partitions: [{ partition: 0 }] }] })
  // The fetch is in the broker before the deletion: both connections were served in turn.
  await admin.request(metadataApi, { version: 4, message: { topics: [] } })
  await admin.request(deleteTopicsApi, { version: 4, message: { topicNames: ['t'], timeoutMs: 1000 } })
  assert.equal((await waiting).responses[0]?.partitions[0]?.errorCode, 3)
})

test('maxBytes is shared by the partitions in order, and the first answers at least one batch', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker)
  await createTopic(connection, 't', 3)
  for (let partition = 0; partition < 3; partition++) {
    for (let count = 0; count < 3; count++) await produce(connection, partition, 1000)
  }
  const partitions = [0, 1, 2].map(partition => ({ partition, partitionMaxBytes: 2500 }))
  const shared = sizes(await fetch(connection, { maxBytes: 4000, topics: [{ topic: 't', partitions }] }))
  assert.ok((shared[0] ?? 0) > 2000 && (shared[0] ?? 0) <= 2500, 'two batches fit the limit of the partition')
  assert.ok((shared[1] ?? 0) > 1000 && (shared[1] ?? 0) <= 4000 - (shared[0] ?? 0), 'one more fits that of the answer')
  assert.equal(shared[2], 0)
  const tiny = sizes(await fetch(connection, { maxBytes: 1, topics: [{ topic: 't', partitions }] }))
  assert.ok((tiny[0] ?? 0) > 1000)
  assert.deepEqual([tiny[1], tiny[2]], [0, 0])
})

test('in a session a busy partition does not keep the others out', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker)
  await createTopic(connection, 't', 2)
  for (let count = 0; count < 5; count++) await produce(connection, 0, 1000)
  await produce(connection, 1, 1000)
  const partitions = [0, 1].map(partition => ({ partition, partitionMaxBytes: 1200 }))
  const first = await fetch(connection, { sessionEpoch: 0, maxBytes: 1200, topics: [{ topic: 't', partitions }] })
  assert.ok((sizes(first)[0] ?? 0) > 0)
  assert.notEqual(first.sessionId, 0)
  const moved = [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 1n, partitionMaxBytes: 1200 }] }]
  const next = { sessionId: first.sessionId, sessionEpoch: 1, maxBytes: 1200, topics: moved }
  assert.ok((sizes(await fetch(connection, next))[1] ?? 0) > 0)
})

test('an incremental fetch without news answers no partition', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker)
  await createTopic(connection, 't', 2)
  const partitions = [0, 1].map(partition => ({ partition, partitionMaxBytes: 1000 }))
  const first = await fetch(connection, { sessionEpoch: 0, topics: [{ topic: 't', partitions }] })
  assert.equal(first.responses[0]?.partitions.length, 2)
  const second = await fetch(connection, { sessionId: first.sessionId, sessionEpoch: 1, topics: [] })
  assert.deepEqual(second.responses, [])
  await produce(connection, 1)
  const third = await fetch(connection, { sessionId: first.sessionId, sessionEpoch: 2, topics: [] })
  assert.deepEqual(
    third.responses[0]?.partitions.map(each => each.partitionIndex),
    [1]
  )
})

test('topics are fetched by id from version 13 on, and an id of a deleted topic is unknown', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker)
  const topicId = await createTopic(connection, 't', 1)
  await produce(connection, 0)
  const topics = [{ topicId, partitions: [{ partition: 0, partitionMaxBytes: 1000 }] }]
  const response = await fetch(connection, { topics }, 16)
  assert.equal(response.responses[0]?.topicId, topicId)
  assert.ok((response.responses[0]?.partitions[0]?.records?.length ?? 0) > 0)
  await connection.request(deleteTopicsApi, { version: 4, message: { topicNames: ['t'], timeoutMs: 1000 } })
  assert.equal((await fetch(connection, { topics }, 16)).responses[0]?.partitions[0]?.errorCode, 100)
})

test('a leader epoch that is older or newer than the broker knows is refused', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker)
  await createTopic(connection, 't', 1)
  const metadata = await connection.request(metadataApi, { version: 9, message: { topics: [{ name: 't' }] } })
  const epoch = metadata.topics[0]?.partitions[0]?.leaderEpoch ?? -1
  assert.ok(epoch >= 0)
  const withEpoch = async (currentLeaderEpoch: number): Promise<number | undefined> => {
    const partitions = [{ partition: 0, currentLeaderEpoch, partitionMaxBytes: 1000 }]
    return (await fetch(connection, { topics: [{ topic: 't', partitions }] })).responses[0]?.partitions[0]?.errorCode
  }
  assert.equal(await withEpoch(epoch), 0)
  assert.equal(await withEpoch(epoch + 1), 75)
})
