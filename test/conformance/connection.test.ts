/** Connections: versions, refusals, and what a broker answers to bytes that are no request. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiVersionsApi, decodeResponse, fetchApi, metadataApi, produceApi } from '../../src/protocol/index.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { batchOf, connectForTest, createTopic, errorOf } from './support.ts'

test('ApiVersions answers the same ranges in every version', async t => {
  const { connection } = await connectForTest(t)
  const message = { clientSoftwareName: 'conformance', clientSoftwareVersion: '1.0' }

  const newest = await connection.request(apiVersionsApi, { version: 4, message })
  for (const version of [0, 1, 2, 3]) {
    const response = await connection.request(apiVersionsApi, { version, message })
    assert.equal(errorOf(response), 'NONE')
    const ranges = response.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, minVersion, maxVersion])
    const expected = newest.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, minVersion, maxVersion])
    assert.deepEqual(ranges, expected)
  }
})

test('the APIs of Kafka 4.3 are advertised with its ranges', async t => {
  const { connection } = await connectForTest(t)
  const response = await connection.request(apiVersionsApi, { version: 0, message: {} })

  const ranges = new Map(response.apiKeys.map(range => [range.apiKey, `${range.minVersion}-${range.maxVersion}`]))
  const expected: [number, string][] = [
    [0, '0-13'],
    [1, '4-18'],
    [2, '1-11'],
    [3, '0-13'],
    [8, '2-10'],
    [9, '1-10'],
    [10, '0-6'],
    [11, '0-9'],
    [12, '0-4'],
    [13, '0-5'],
    [14, '0-5'],
    [15, '0-6'],
    [16, '0-5'],
    [17, '0-1'],
    [18, '0-4'],
    [19, '2-7'],
    [20, '1-6'],
    [21, '0-2'],
    [22, '0-5'],
    [23, '2-4'],
    [24, '0-5'],
    [25, '0-4'],
    [26, '0-5'],
    [27, '1-2'],
    [28, '0-5'],
    [29, '1-3'],
    [30, '1-3'],
    [31, '1-3'],
    [32, '1-4'],
    [33, '0-2'],
    [34, '1-2'],
    [35, '1-5'],
    [36, '0-2'],
    [37, '0-3'],
    [42, '0-2'],
    [43, '0-2'],
    [44, '0-1'],
    [45, '0-1'],
    [46, '0-0'],
    [47, '0-0'],
    [48, '0-1'],
    [49, '0-1'],
    [50, '0-0'],
    [51, '0-0'],
    [55, '0-2'],
    [57, '0-2'],
    [60, '0-2'],
    [61, '0-0'],
    [65, '0-0'],
    [66, '0-2'],
    [68, '0-1'],
    [69, '0-1'],
    [74, '0-1'],
    [75, '0-0']
  ]
  assert.deepEqual(
    expected.map(([key]) => [key, ranges.get(key)]),
    expected
  )
})

test('ApiVersions in a version that is not there is answered in version 0 with error 35 and its own range', async t => {
  const { connection } = await connectForTest(t)
  // API 18, version 99, correlation id 7, no client id, no tags: a header as every newer version will have it.
  const frame = Buffer.from('0000000b0012006300000007ffff00', 'hex')

  connection.send(frame)
  const { correlationId, message } = decodeResponse(apiVersionsApi, 0, await connection.frame())

  assert.equal(correlationId, 7)
  assert.equal(errorOf(message), 'UNSUPPORTED_VERSION')
  assert.deepEqual(
    message.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, minVersion, maxVersion]),
    [[18, 0, 4]]
  )
})

test('a client software name with characters outside the allowed ones is an invalid request', async t => {
  const { connection } = await connectForTest(t)
  const message = { clientSoftwareName: 'no spaces', clientSoftwareVersion: '1.0' }

  const response = await connection.request(apiVersionsApi, { version: 3, message })

  assert.equal(errorOf(response), 'INVALID_REQUEST')
})

test('an unknown API, an unknown version and an absurd length close the connection without an answer', async t => {
  const frames = {
    'unknown API': Buffer.from('0000000a03e7000000000001ffff', 'hex'),
    'unknown version': Buffer.from('0000000a0003006300000001ffff', 'hex'),
    'length of 2 GiB': Buffer.from('7fffffff00030000', 'hex'),
    'negative length': Buffer.from('ffffffff00030000', 'hex'),
    'truncated header': Buffer.from('000000020003', 'hex')
  }
  for (const [name, frame] of Object.entries(frames)) {
    const { connection } = await connectForTest(t)
    connection.send(frame)
    assert.equal(await connection.closed(), 0, name)
  }
})

test('a broken request closes its own connection and no other', async t => {
  const peer = await connectForTest(t)
  const other = await RawConnection.open(t, peer.cluster)

  peer.connection.send(Buffer.from('000000120003000c00000001ffff00ffffffffffffff', 'hex'))
  await peer.connection.closed()

  const metadata = await other.request(metadataApi, { version: 12, message: { topics: [] } })
  assert.equal(metadata.brokers.length, 1)
})

test('responses come in the order of the requests, however long one takes', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const partitions = [{ partition: 0, fetchOffset: 0n, partitionMaxBytes: 1_000_000 }]
  const waiting = { maxWaitMs: 300, minBytes: 1, topics: [{ topicId: topic.id, partitions }] }

  peer.connection.sendOnly(fetchApi, { version: 13, message: waiting })
  peer.connection.sendOnly(metadataApi, { version: 12, message: { topics: [] } })

  // The metadata was ready long before the fetch gave up waiting.
  const fetched = decodeResponse(fetchApi, 13, await peer.connection.frame())
  const metadata = decodeResponse(metadataApi, 12, await peer.connection.frame())
  assert.equal(metadata.correlationId, fetched.correlationId + 1)
})

test('acks of 0 gets no response: the next answer belongs to the next request', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const partitionData = [{ index: 0, records: batchOf(['unanswered']) }]

  peer.connection.sendOnly(produceApi, {
    version: 9,
    message: { acks: 0, timeoutMs: 1_000, topicData: [{ name: topic.name, partitionData }] }
  })
  const metadata = await peer.connection.request(metadataApi, { version: 12, message: { topics: [] } })

  assert.equal(metadata.brokers.length, 1)
})
