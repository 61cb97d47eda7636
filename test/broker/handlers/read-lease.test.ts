/** Buffers of fetches are used again, and never while an answer still needs them. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createReadPool, ReadLease } from '../../../src/broker/handlers/read-lease.ts'
import { createTopicsApi, fetchApi, produceApi, RecordBatchBuilder } from '../../../src/protocol/index.ts'
import { brokerFor, connectTo } from '../support.ts'

const MIB = 1024 * 1024

test('a large buffer comes back after its release, and only then', () => {
  const pool = createReadPool()
  const first = new ReadLease(pool)
  const second = new ReadLease(pool)
  const held = first.acquire(MIB)
  assert.notEqual(second.acquire(MIB).buffer, held.buffer)
  first.release()
  first.release()
  assert.equal(pool.unusedBytes, MIB)
  assert.equal(second.acquire(MIB).buffer, held.buffer)
  assert.equal(pool.unusedBytes, 0)
})

test('a small read takes no buffer of the pool', () => {
  const pool = createReadPool()
  const lease = new ReadLease(pool)
  assert.equal(lease.acquire(1000).length, 1000)
  lease.release()
  assert.equal(pool.unusedBytes, 0)
})

test('fetches at the same time read what they asked for, round after round', async t => {
  const broker = await brokerFor(t)
  const writer = await connectTo(t, broker)
  const topics = [{ name: 'large', numPartitions: 8, replicationFactor: 1 }]
  await writer.request(createTopicsApi, { version: 5, message: { topics, timeoutMs: 10_000 } })
  for (let index = 0; index < 8; index++) {
    const builder = new RecordBatchBuilder({ sizeBytesMax: MIB })
    builder.tryAppend(1_700_000_000_000, null, Buffer.alloc(900_000, 65 + index))
    const topicData = [{ name: 'large', partitionData: [{ index, records: builder.build() }] }]
    const message = { acks: -1, timeoutMs: 10_000, topicData }
    const answer = await writer.request(produceApi, { version: 8, message })
    assert.equal(answer.responses[0]?.partitionResponses[0]?.errorCode, 0)
  }
  const read = (partition: number) => ({
    version: 11,
    message: {
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: MIB,
      topics: [{ topic: 'large', partitions: [{ partition, fetchOffset: 0n, partitionMaxBytes: MIB }] }]
    }
  })
  const clients = await Promise.all(Array.from({ length: 8 }, () => connectTo(t, broker)))
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      clients.map(async (client, index) => {
        const partition = (index + round) % 8
        const answer = await client.request(fetchApi, read(partition))
        const records = answer.responses[0]?.partitions[0]?.records
        assert.ok(
          records?.subarray(-899_000, -100).every(byte => byte === 65 + partition),
          `partition ${partition}`
        )
      })
    )
  }
})
