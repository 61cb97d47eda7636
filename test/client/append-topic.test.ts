import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type PartitionLoad, TopicRouter } from '../../src/client/append-topic.ts'
import type { TopicMetadata } from '../../src/client/cluster-options.ts'
import { SeededRandom } from '../../src/core/index.ts'

const seed = Number(process.env['TEST_SEED'] ?? 5)
const BATCH = 1000

function metadata(count: number, leaderless: readonly number[] = []): TopicMetadata {
  const partitions = Array.from({ length: count }, (_, partition) => ({
    partition,
    leaderId: leaderless.includes(partition) ? -1 : 1
  }))
  // Only what the router looks at.
  return { topic: 't', partitions } as unknown as TopicMetadata
}

function routerOf(count: number, loadOf?: (partition: number) => PartitionLoad, timeoutMs = 0): TopicRouter {
  const random = new SeededRandom(seed)
  const load = loadOf === undefined ? {} : { loadOf }
  return new TopicRouter(metadata(count), { random, stickyBytes: BATCH, availabilityTimeoutMs: timeoutMs, ...load })
}

/** How often each partition is chosen. */
function chosen(router: TopicRouter, times: number, count: number): number[] {
  const counts = Array.from({ length: count }, () => 0)
  for (let index = 0; index < times; index += 1) {
    const partition = router.partitionOf(null)
    counts[partition] = (counts[partition] ?? 0) + 1
    router.batchFull(partition)
  }
  return counts
}

test('records without a key are spread evenly over partitions that are alike, within four sigma', () => {
  const times = 12_000
  for (const count of chosen(routerOf(6), times, 6)) {
    const sigma = Math.sqrt((times * 5) / 36)
    assert.ok(Math.abs(count - times / 6) < 4 * sigma, `seed ${seed}: ${count}`)
  }
})

test('a partition is kept until enough bytes were sent to it, in however many batches', () => {
  for (const batchBytes of [10, 100, 400]) {
    const router = routerOf(50)
    let changes = 0
    let sent = 0
    for (let index = 0; index < 2000; index += 1) {
      const before = router.partitionOf(null)
      router.batchSent(before, batchBytes)
      sent += batchBytes
      if (router.partitionOf(null) !== before) {
        assert.ok(sent >= BATCH && sent < BATCH + batchBytes, String(sent))
        changes += 1
      }
      if (sent >= BATCH) sent = 0
    }
    assert.ok(changes > 0)
  }
})

test('a slow broker, whose batches are full before they are sent, gets no more bytes than a fast one', () => {
  const router = routerOf(2)
  const bytes = [0, 0]
  for (let index = 0; index < 40_000; index += 1) {
    const partition = router.partitionOf(null)
    const isSlow = partition === 0
    const size = isSlow ? BATCH : 50
    bytes[partition] = (bytes[partition] ?? 0) + size
    if (isSlow) router.batchFull(partition)
    else router.batchSent(partition, size)
  }
  const ratio = (bytes[0] ?? 0) / (bytes[1] ?? 1)
  // By batches, as before KIP-794, it would be 20 to 1.
  assert.ok(ratio > 0.8 && ratio < 1.25, `seed ${seed}: ${ratio}`)
})

test('what already waits for a partition makes it less likely, as in Kafka: queues 10 10 1 1 give 1 1 10 10', () => {
  const queues = [10, 10, 1, 1]
  const counts = chosen(
    routerOf(4, partition => ({ waitingCount: queues[partition] ?? 0, waitingMs: 0 })),
    22_000,
    4
  )
  for (const [index, expected] of [1000, 1000, 10_000, 10_000].entries()) {
    const sigma = Math.sqrt(expected * (1 - expected / 22_000))
    assert.ok(Math.abs((counts[index] ?? 0) - expected) < 4 * sigma, `seed ${seed}: ${counts.join()}`)
  }
})

test('a partition whose batches have waited for too long is left out, unless all have', () => {
  const stuck = new Set([0, 1])
  const loadOf = (partition: number): PartitionLoad => ({
    waitingCount: 0,
    waitingMs: stuck.has(partition) ? 501 : 500
  })
  const router = routerOf(3, loadOf, 500)
  assert.deepEqual(
    chosen(router, 50, 3)
      .slice(0, 2)
      .map(count => count > 1),
    [false, false]
  )
  stuck.add(2)
  router.batchFull(2)
  assert.ok(chosen(router, 300, 3).every(count => count > 0))
})
