/** Requests that name a hundred thousand things: they cost time in proportion, whoever sends them. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createPartitionsApi,
  createTopicsApi,
  deleteTopicsApi,
  describeConfigsApi,
  describeGroupsApi,
  listOffsetsApi,
  metadataApi,
  offsetCommitApi,
  offsetDeleteApi,
  offsetFetchApi
} from '../../../src/protocol/index.ts'
import { brokerFor, connectTo } from '../support.ts'

const COUNT = 100_000
/** Comparing each name with each other took minutes; one pass takes less than a second. */
const ENOUGH_MS = 10_000

test('CreatePartitions of very many topics does not stop the broker, and finds the one named twice', async t => {
  const broker = await brokerFor(t)
  const client = await connectTo(t, broker)
  const topics = Array.from({ length: COUNT }, (_each, index) => ({ name: `t${index}`, count: 2, assignments: null }))
  topics.push({ name: 't7', count: 2, assignments: null })
  const startedMs = performance.now()
  const { results } = await client.request(createPartitionsApi, {
    version: 3,
    message: { topics, timeoutMs: 1000, validateOnly: true }
  })
  assert.ok(performance.now() - startedMs < ENOUGH_MS)
  assert.equal(results.length, COUNT + 1)
  assert.deepEqual(
    results.filter(({ errorCode }) => errorCode === 42).map(({ name }) => name),
    ['t7', 't7']
  )
})

test('DeleteTopics of one topic very many times does not stop the broker, and leaves the topic', async t => {
  const broker = await brokerFor(t)
  const client = await connectTo(t, broker)
  const topics = Array.from({ length: COUNT }, () => ({ name: 'one' }))
  const startedMs = performance.now()
  const { responses } = await client.request(deleteTopicsApi, { version: 6, message: { topics, timeoutMs: 1000 } })
  assert.ok(performance.now() - startedMs < ENOUGH_MS)
  assert.deepEqual(
    responses.map(({ name, errorCode }) => [name, errorCode]),
    [['one', 42]]
  )
})

/*
 * Symptom: a request of less than a megabyte took all memory and ended the broker.
 * Cause: each time a topic or resource was named it was described anew. Reach:
 * whoever may describe one topic of many partitions, or the settings of the broker.
 */
test('what is named very many times is described once', async t => {
  const broker = await brokerFor(t)
  const client = await connectTo(t, broker)
  const wide = { name: 'wide', numPartitions: 500, replicationFactor: 1, assignments: [], configs: [] }
  await client.request(createTopicsApi, { version: 5, message: { topics: [wide] } })
  const many = <T>(value: T): T[] => Array.from({ length: COUNT }, () => value)

  const { topics } = await client.request(metadataApi, { version: 9, message: { topics: many({ name: 'wide' }) } })
  assert.deepEqual(
    topics.map(({ name, partitions }) => [name, partitions.length]),
    [['wide', 500]]
  )
  const resources = many({ resourceType: 4, resourceName: '1', configurationKeys: null })
  const message = { resources, includeSynonyms: true, includeDocumentation: true }
  const { results } = await client.request(describeConfigsApi, { version: 4, message })
  assert.equal(results.length, 1)
  const { groups } = await client.request(describeGroupsApi, { version: 5, message: { groups: many('g') } })
  assert.equal(groups.length, 1)
  const asked = many({ groupId: 'g', memberId: null, memberEpoch: -1, topics: null })
  const offsets = await client.request(offsetFetchApi, { version: 9, message: { groups: asked, requireStable: true } })
  assert.equal(offsets.groups.length, 1)
})

test('ListOffsets asks about a partition once, and OffsetDelete of very many does not stop the broker', async t => {
  const broker = await brokerFor(t)
  const client = await connectTo(t, broker)
  const topic = { name: 't', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }
  await client.request(createTopicsApi, { version: 5, message: { topics: [topic] } })
  const at = (partitionIndex: number): { partitionIndex: number; timestamp: bigint } => ({
    partitionIndex,
    timestamp: -1n
  })
  const asked = [{ name: 't', partitions: [at(0), at(1), at(0)] }]
  const { topics } = await client.request(listOffsetsApi, { version: 7, message: { replicaId: -1, topics: asked } })
  assert.deepEqual(
    topics[0]?.partitions.map(({ errorCode }) => errorCode),
    [42, 0, 42]
  )

  const partitions = [{ partitionIndex: 0, committedOffset: 1n, committedMetadata: '' }]
  const commit = { groupId: 'g', memberId: '', generationIdOrMemberEpoch: -1, topics: [{ name: 't', partitions }] }
  await client.request(offsetCommitApi, { version: 8, message: commit })
  const named = Array.from({ length: 2 * COUNT }, (_each, index) => ({ partitionIndex: index < COUNT ? 0 : 7 }))
  const startedMs = performance.now()
  const message = { groupId: 'g', topics: [{ name: 't', partitions: named }] }
  const deleted = await client.request(offsetDeleteApi, { version: 0, message })
  assert.ok(performance.now() - startedMs < ENOUGH_MS)
  const codes = deleted.topics[0]?.partitions.map(({ errorCode }) => errorCode) ?? []
  assert.deepEqual([...new Set(codes)], [0, 3])
})
