/** Raw fetch when brokers move, forget, fail or answer late. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Cluster } from '../../src/client/index.ts'
import { VirtualClock } from '../../src/core/index.ts'
import {
  fetchApi,
  type FetchRequest,
  type FetchResponseInput,
  metadataApi,
  RecordBatchBuilder
} from '../../src/protocol/index.ts'
import { TestReader } from '../conformance/client-support.ts'
import { type FakeBroker, type SeenRequest, startFakeBroker } from './fake-broker.ts'

const topicId = 'AAAAAAAAAAAAAAAAAAAAAQ'

/** What a broker says to a fetch; `undefined` = it does not answer. */
type FetchAnswer = FetchResponseInput | undefined

interface State {
  readonly brokers: FakeBroker[]
  /** Fetch requests in the order they came, with the number of the broker. */
  readonly fetches: { readonly nodeId: number; readonly message: FetchRequest; readonly request: SeenRequest }[]
  /** Node id of the leader of every partition. */
  leaderId: number
}

interface Setup extends State {
  readonly cluster: Cluster
}

/** Two brokers; node 1 leads everything at first. */
async function setUp(
  t: TestContext,
  answer: (state: State, fetch: State['fetches'][number]) => FetchAnswer
): Promise<Setup> {
  const brokers: FakeBroker[] = []
  const setup: State = { brokers, fetches: [], leaderId: 1 }
  for (const nodeId of [1, 2]) {
    brokers.push(
      await startFakeBroker(t, request => {
        if (request.apiKey === metadataApi.key) return answerMetadata(request, setup)
        if (request.apiKey !== fetchApi.key) return false
        const fetch = { nodeId, message: request.message as FetchRequest, request } // Decoded by our own codec.
        setup.fetches.push(fetch)
        const response = answer(setup, fetch)
        if (response !== undefined) request.answer(fetchApi, response)
        return true
      })
    )
  }
  const cluster = await Cluster.connect({ bootstrapServers: brokers[0]?.bootstrapServers ?? [] })
  t.after(() => cluster.close())
  return Object.assign(setup, { cluster })
}

function answerMetadata(request: SeenRequest, { brokers, leaderId }: State): void {
  const partitions = [0, 1].map(partitionIndex => ({
    partitionIndex,
    leaderId,
    leaderEpoch: leaderId,
    replicaNodes: [1, 2],
    isrNodes: [1, 2]
  }))
  request.answer(metadataApi, {
    clusterId: 'c',
    controllerId: 1,
    brokers: brokers.map(({ host, port }, index) => ({ nodeId: index + 1, host, port, rack: null })),
    topics: [{ name: 't', topicId, partitions }]
  })
}

/** An answer with one record at every offset given, by partition. */
function records(offsets: Readonly<Record<number, bigint>>, sessionId = 0): FetchResponseInput {
  const partitions = Object.entries(offsets).map(([partition, baseOffset]) => {
    const builder = new RecordBatchBuilder()
    builder.tryAppend(1, null, Buffer.from(`${partition}@${baseOffset}`))
    return { partitionIndex: Number(partition), highWatermark: 9n, records: builder.build({ baseOffset }) }
  })
  return { sessionId, responses: [{ topicId, partitions }] }
}

const failed = (partition: number, errorCode: number): FetchResponseInput => ({
  responses: [{ topicId, partitions: [{ partitionIndex: partition, errorCode, records: null }] }]
})

/** The offset that a request asks a partition for, if it names it. */
const askedOffset = (message: FetchRequest, partition: number): bigint | undefined =>
  message.topics.flatMap(({ partitions }) => partitions).find(each => each.partition === partition)?.fetchOffset

const quick = { retryBackoffMs: 1, retryBackoffMaxMs: 5, maxWaitMs: 50 }

test('when the leader moves, reading goes on at the new one from the same offset', async t => {
  const setup = await setUp(t, (state, { nodeId, message }) => {
    const offset = askedOffset(message, 0) ?? 0n
    if (nodeId === 1 && offset === 0n) return records({ 0: 0n })
    state.leaderId = 2
    return nodeId === 1 ? failed(0, 6) : offset < 3n ? records({ 0: offset }) : undefined
  })
  const reader = new TestReader(t, setup.cluster, quick)
  reader.fetcher.add({ topic: 't', partition: 0, offset: 0n })
  await reader.watch.until(() => reader.records.length === 3)

  assert.deepEqual(
    reader.records.map(({ value }) => value),
    ['0@0', '0@1', '0@2']
  )
  assert.deepEqual(
    setup.fetches.slice(0, 4).map(({ nodeId }) => nodeId),
    [1, 1, 2, 2]
  )
  assert.deepEqual(
    reader.errors.map(({ error, willRetry }) => [error.kafkaCode, willRetry]),
    [[6, true]]
  )
})

// Symptom: a fetcher with a clock of its own asked for a partition that had failed at once, or never again. Cause: how
// long it rests was reckoned by the cluster's clock, whether that is over by the fetcher's. Reach: fetchers that are
// given another clock than their cluster.
test('a partition that failed rests by the clock of its fetcher', { timeout: 10_000 }, async t => {
  const clock = new VirtualClock()
  let answers = 0
  const setup = await setUp(t, () => {
    answers += 1
    return answers === 1 ? failed(0, 9) : answers === 2 ? records({ 0: 0n }) : undefined
  })
  const reader = new TestReader(t, setup.cluster, { clock })
  reader.fetcher.add({ topic: 't', partition: 0, offset: 0n })
  await reader.watch.until(() => reader.errors.length === 1)
  await clock.advance(50)
  assert.equal(answers, 1, 'it rests for 100 ms, a fifth more or less')
  await clock.advance(100)
  await reader.watch.until(() => reader.records.length === 1)
})

test('when the connection to the leader ends, reading goes on from the same offset', async t => {
  const setup = await setUp(t, (_, { message, request }) => {
    if (request.index === 4) {
      request.socket.destroy()
      return undefined
    }
    const offset = askedOffset(message, 0) ?? 0n
    return offset < 5n ? records({ 0: offset }) : undefined
  })
  const reader = new TestReader(t, setup.cluster, quick)
  reader.fetcher.add({ topic: 't', partition: 0, offset: 0n })
  await reader.watch.until(() => reader.records.length === 5)
  assert.deepEqual(
    reader.records.map(({ offset }) => offset),
    [0n, 1n, 2n, 3n, 4n]
  )
})

for (const [errorCode, sessionId] of [
  [70, 0],
  [71, 77]
] as const) {
  test(`after session error ${errorCode} everything is asked for again`, async t => {
    let answers = 0
    const setup = await setUp(t, (_, { message }) => {
      answers += 1
      if (answers === 1) return records({ 0: 0n, 1: 0n }, 77)
      if (answers === 2) return { errorCode }
      return answers === 3 ? records({ 0: askedOffset(message, 0) ?? -1n }, 78) : undefined
    })
    const reader = new TestReader(t, setup.cluster, quick)
    for (const partition of [0, 1]) reader.fetcher.add({ topic: 't', partition, offset: 0n })
    await reader.watch.until(() => reader.records.length === 3)

    const sessions = setup.fetches.slice(0, 3).map(({ message }) => [message.sessionId, message.sessionEpoch])
    assert.deepEqual(sessions, [
      [0, 0],
      [77, 1],
      [sessionId, 0]
    ])
    const third = setup.fetches[2]?.message
    assert.ok(third !== undefined)
    assert.deepEqual([askedOffset(third, 0), askedOffset(third, 1)], [1n, 1n])
  })
}

test('within a session only partitions whose offset has moved are named', async t => {
  let answers = 0
  const setup = await setUp(t, () => {
    answers += 1
    return answers <= 2 ? records({ 0: BigInt(answers - 1) }, 77) : undefined
  })
  const reader = new TestReader(t, setup.cluster, quick)
  for (const partition of [0, 1]) reader.fetcher.add({ topic: 't', partition, offset: 0n })
  while (setup.fetches.length < 3) await new Promise(resolve => setImmediate(resolve))
  const named = setup.fetches.map(({ message }) => [0, 1].filter(each => askedOffset(message, each) !== undefined))
  assert.deepEqual(
    named.map(each => each.toSorted((left, right) => left - right)),
    [[0, 1], [0], [0]]
  )
})

test('an answer that is on its way when a partition is removed and added again is not handed out', async t => {
  const held: (() => void)[] = []
  const setup = await setUp(t, (_, { message, request }) => {
    const offset = askedOffset(message, 0) ?? -1n
    if (offset === 0n) held.push(() => request.answer(fetchApi, records({ 0: 0n })))
    return offset === 5n ? records({ 0: 5n }) : undefined
  })
  const reader = new TestReader(t, setup.cluster, quick)
  reader.fetcher.add({ topic: 't', partition: 0, offset: 0n })
  while (held.length === 0) await new Promise(resolve => setImmediate(resolve))

  reader.fetcher.remove('t', 0)
  reader.fetcher.add({ topic: 't', partition: 0, offset: 5n })
  for (const answer of held) answer()
  await reader.watch.until(() => reader.records.length > 0)

  assert.deepEqual(
    reader.records.map(({ offset }) => offset),
    [5n]
  )
})

test('records that came while the partition was paused are handed out after resume, not before', async t => {
  const held: (() => void)[] = []
  const setup = await setUp(t, (_, { message, request }) => {
    if (askedOffset(message, 0) === 0n) held.push(() => request.answer(fetchApi, records({ 0: 0n })))
    return undefined
  })
  const reader = new TestReader(t, setup.cluster, quick)
  reader.fetcher.add({ topic: 't', partition: 0, offset: 0n })
  while (held.length === 0) await new Promise(resolve => setImmediate(resolve))

  reader.fetcher.pause('t', 0)
  held[0]?.()
  // The answer is in: another one on the same connection has come after it.
  await setup.cluster.metadata(['t'])
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
  assert.equal(reader.records.length, 0)
  reader.fetcher.resume('t', 0)
  await reader.watch.until(() => reader.records.length === 1)
  assert.equal(setup.fetches.length >= 1, true)
})

test('a listener that throws stops its partition and no other', async t => {
  const setup = await setUp(t, (_, { message }) => {
    const offset = askedOffset(message, 1) ?? 0n
    return offset < 3n ? records({ 0: 0n, 1: offset }) : undefined
  })
  const reader = new TestReader(t, setup.cluster, quick)
  reader.onChunk = ({ partition }) => {
    if (partition === 0) throw new Error('cannot take it')
  }
  for (const partition of [0, 1]) reader.fetcher.add({ topic: 't', partition, offset: 0n })
  await reader.watch.until(() => reader.records.length === 3)
  assert.deepEqual(
    reader.records.map(({ partition }) => partition),
    [1, 1, 1]
  )
  assert.deepEqual(
    reader.errors.map(({ error, willRetry }) => [error.code, willRetry]),
    [['ERR_CLIENT_LISTENER_FAILED', false]]
  )
})

test('corrupt records are reported, and asked for again', async t => {
  const setup = await setUp(t, ({ fetches }) => {
    if (fetches.length > 2) return undefined
    const answer = records({ 0: 0n })
    const bytes = answer.responses?.[0]?.partitions?.[0]?.records
    if (fetches.length === 1 && Buffer.isBuffer(bytes)) bytes[bytes.length - 1] = 0xff
    return answer
  })
  const reader = new TestReader(t, setup.cluster, { ...quick, isCrcChecked: true })
  reader.fetcher.add({ topic: 't', partition: 0, offset: 0n })
  await reader.watch.until(() => reader.records.length === 1)
  assert.deepEqual(
    reader.errors.map(({ error, willRetry }) => [error.code, willRetry]),
    [['ERR_CLIENT_RECORDS_CORRUPT', true]]
  )
})

test('after close nothing is handed out, although the answer comes', async t => {
  const held: (() => void)[] = []
  const setup = await setUp(t, (_, { request }) => void held.push(() => request.answer(fetchApi, records({ 0: 0n }))))
  const reader = new TestReader(t, setup.cluster, quick)
  reader.fetcher.add({ topic: 't', partition: 0, offset: 0n })
  while (held.length === 0) await new Promise(resolve => setImmediate(resolve))
  const closed = reader.fetcher.close()
  held[0]?.()
  await closed
  await setup.cluster.metadata(['t'])
  assert.equal(reader.records.length, 0)
})

/**
 * Symptom: in a hand-over without traffic, a record of the partition that was taken over waited for up to `maxWaitMs`.
 * Cause: the fetch of the member's other partitions waits for news, and the new one was not part of it.
 */
test('a partition that is added while a fetch waits for news is read at once, and only once', async t => {
  const held: (() => void)[] = []
  const setup = await setUp(t, (_, { message, request }) => {
    if (message.sessionEpoch !== -1) {
      if (askedOffset(message, 1) === 1n) held.push(() => undefined)
      else held.push(() => request.answer(fetchApi, records({ 1: 0n })))
      return undefined
    }
    return askedOffset(message, 1) === 0n ? records({ 1: 0n }) : undefined
  })
  const reader = new TestReader(t, setup.cluster, quick)
  reader.fetcher.add({ topic: 't', partition: 0, offset: 0n })
  while (held.length === 0) await new Promise(resolve => setImmediate(resolve))

  reader.fetcher.add({ topic: 't', partition: 1, offset: 0n })
  await reader.watch.until(() => reader.records.length > 0) // nothing has answered the first fetch
  assert.equal(held.length, 1)
  held[0]?.()
  while (held.length < 2) await new Promise(resolve => setImmediate(resolve))
  // From here on it is part of the loop's own requests.
  const { message } = setup.fetches.findLast(fetch => fetch.message.sessionEpoch !== -1) ?? {}
  assert.ok(message !== undefined)
  assert.equal(askedOffset(message, 1), 1n)
  assert.deepEqual(
    reader.records.map(({ offset }) => offset),
    [0n]
  )
})

test('a broker that never knows the session is asked with pauses', async t => {
  const setup = await setUp(t, () => ({ errorCode: 71 })) // INVALID_FETCH_SESSION_EPOCH
  const clock = new VirtualClock()
  const reader = new TestReader(t, setup.cluster, { ...quick, clock })
  reader.fetcher.add({ topic: 't', partition: 0, offset: 0n })
  while (setup.fetches.length === 0) await new Promise(resolve => setImmediate(resolve))
  for (let turn = 0; turn < 200; turn++) await new Promise(resolve => setImmediate(resolve))
  assert.ok(setup.fetches.length <= 2, `${setup.fetches.length} fetches while no time has passed`)
})
