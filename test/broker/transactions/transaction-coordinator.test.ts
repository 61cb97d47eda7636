/** The runtime of the transactions: what is stored when, what a failed write means, restarts, timeouts, expiry. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IdentityAnswer, MarkerWriter } from '../../../src/broker/transactions/index.ts'
import { turn } from '../../../src/core/index.ts'
import { loadedCoordinator, MemoryMarkers, MemoryProducerIds, type TestCoordinator } from './support.ts'

const ID = 'txn'
const P0 = { topic: 'orders', partition: 0 }
const P1 = { topic: 'orders', partition: 1 }
const INIT = { timeoutMs: 60_000, expected: undefined }

/** A producer with an open transaction in two partitions. */
async function begun(
  parts: TestCoordinator,
  options: { clientVersion?: number } = {}
): Promise<{ producerId: bigint; producerEpoch: number }> {
  const { error, ...identity } = await parts.coordinator.initProducerId(ID, INIT)
  assert.equal(error, 'NONE')
  const { clientVersion = 2 } = options
  const request = { transactionalId: ID, ...identity, partitions: [P0, P1], clientVersion }
  assert.equal(await parts.coordinator.addPartitions(request), 'NONE')
  return identity
}

function end(
  { coordinator }: TestCoordinator,
  identity: { producerId: bigint; producerEpoch: number },
  { isCommit = true, clientVersion = 2 } = {}
): Promise<IdentityAnswer> {
  return coordinator.endTransaction({ transactionalId: ID, ...identity, isCommit, clientVersion })
}

test('the fate of a transaction is stored before its first marker, and its end after the last', async () => {
  const parts = await loadedCoordinator()
  const identity = await begun(parts)
  parts.log.queue.isImmediate = false
  parts.markers.queue.isImmediate = false

  const ending = end(parts, identity)
  await turn()
  assert.equal(parts.markers.queue.count, 0)
  parts.log.queue.finishOne()
  await turn()
  assert.equal(parts.log.last(ID)?.state, 'PrepareCommit')
  assert.equal(parts.markers.queue.count, 2)
  parts.markers.queue.finishOne()
  await turn()
  assert.equal(parts.log.queue.count, 0)
  parts.markers.queue.finishOne()
  await turn()
  parts.log.queue.finishOne()

  assert.deepEqual(await ending, { error: 'NONE', producerId: 100n, producerEpoch: 1 })
  assert.deepEqual(parts.markers.written, ['orders/0 commit 100/1', 'orders/1 commit 100/1'])
  assert.deepEqual(parts.log.states(ID), ['Empty', 'Ongoing', 'PrepareCommit', 'CompleteCommit'])
})

test('a fate that cannot be stored is none: no marker, and the same request may come again', async () => {
  const parts = await loadedCoordinator()
  const identity = await begun(parts)
  parts.log.errors.push('COORDINATOR_NOT_AVAILABLE')

  const failed = await end(parts, identity)

  assert.deepEqual(failed, { error: 'COORDINATOR_NOT_AVAILABLE', producerId: -1n, producerEpoch: -1 })
  assert.deepEqual(parts.markers.written, [])
  assert.equal((await end(parts, identity)).error, 'NONE')
})

test('a marker that fails is tried again alone, and until then the id takes no change', async () => {
  const parts = await loadedCoordinator()
  const identity = await begun(parts)
  parts.markers.errors.set('orders/1', ['KAFKA_STORAGE_ERROR', 'KAFKA_STORAGE_ERROR'])

  const ending = end(parts, identity)
  await turn()
  await parts.clock.advance(100)
  assert.equal((await ending).error, 'NONE', 'answered, for the fate is stored')
  assert.equal((await parts.coordinator.initProducerId(ID, INIT)).error, 'CONCURRENT_TRANSACTIONS')
  assert.deepEqual(parts.markers.written, ['orders/0 commit 100/1'])
  await parts.clock.advance(1000)

  assert.deepEqual(parts.markers.written, ['orders/0 commit 100/1', 'orders/1 commit 100/1'])
  assert.equal(parts.log.last(ID)?.state, 'CompleteCommit')
  assert.equal((await parts.coordinator.initProducerId(ID, INIT)).error, 'NONE')
})

test('a deleted topic and a newer epoch in a partition do not hold a transaction up', async () => {
  const parts = await loadedCoordinator()
  const identity = await begun(parts)
  parts.markers.errors.set('orders/0', ['UNKNOWN_TOPIC_OR_PARTITION'])
  parts.markers.errors.set('orders/1', ['INVALID_PRODUCER_EPOCH'])

  assert.equal((await end(parts, identity)).error, 'NONE')
  assert.equal(parts.log.last(ID)?.state, 'CompleteCommit')
})

test('an end that cannot be stored is tried again', async () => {
  const parts = await loadedCoordinator()
  const identity = await begun(parts)
  parts.log.errors.push('NONE', 'NOT_COORDINATOR')

  const ending = end(parts, identity)
  await turn()
  assert.equal(parts.log.last(ID)?.state, 'PrepareCommit')
  await parts.clock.advance(1000)

  assert.equal((await ending).error, 'NONE')
  assert.equal(parts.log.last(ID)?.state, 'CompleteCommit')
})

for (const isCommit of [true, false]) {
  test(`a restart goes on with a transaction whose ${isCommit ? 'commit' : 'abort'} was stored`, async () => {
    const first = await loadedCoordinator()
    const identity = await begun(first)
    first.markers.queue.isImmediate = false
    void end(first, identity, { isCommit })
    await turn()
    first.markers.queue.finishOne()
    first.markers.queue.crash()

    const markers = new MemoryMarkers()
    const { log } = first
    const second = await loadedCoordinator({ log, markers })
    await turn()

    const kind = isCommit ? 'commit' : 'abort'
    assert.deepEqual(markers.written, [`orders/0 ${kind} 100/1`, `orders/1 ${kind} 100/1`])
    assert.equal(log.last(ID)?.state, isCommit ? 'CompleteCommit' : 'CompleteAbort')
    assert.deepEqual(await end(second, identity, { isCommit }), { error: 'NONE', producerId: 100n, producerEpoch: 1 })
  })
}

/**
 * Symptom: a transactional id stayed in PrepareCommit, its records unread, until the broker started again.
 * Cause: an exception ended the work on it, and nothing took that up.
 * Reach: any failure that is not an answer, in the markers or in the log of the transactions.
 */
test('a completion that an exception has ended is taken up by the next check, once', async () => {
  const markers = new MemoryMarkers()
  let failureCount = 0
  const markerWriter: MarkerWriter = {
    write: (partition, marker) => {
      if (failureCount > 0) return markers.write(partition, marker)
      failureCount += 1
      return Promise.reject(new Error('made by the test'))
    }
  }
  const parts = await loadedCoordinator({ markers, markerWriter })
  const identity = await begun(parts)
  const ending = end(parts, identity)
  await turn()
  await parts.clock.advance(100)
  assert.equal((await ending).error, 'NONE', 'answered, for the fate is stored')
  assert.equal(parts.log.last(ID)?.state, 'PrepareCommit')
  // Held up: the checks after the first one must leave alone what is under way.
  markers.written.length = 0
  markers.errors.set('orders/1', Array(8).fill('KAFKA_STORAGE_ERROR'))

  await parts.clock.advance(10_000)
  await parts.clock.advance(100_000)

  assert.deepEqual(markers.written, ['orders/0 commit 100/1', 'orders/1 commit 100/1'])
  assert.deepEqual(parts.log.states(ID), ['Empty', 'Ongoing', 'PrepareCommit', 'CompleteCommit'])
  assert.equal((await parts.coordinator.initProducerId(ID, INIT)).error, 'NONE')
})

test('a log that throws instead of answering leaves no id in the middle of a change', async () => {
  const parts = await loadedCoordinator()
  const identity = await begun(parts)
  const append = parts.log.append.bind(parts.log)
  let failureCount = 2
  parts.log.append = (...args) => {
    failureCount -= 1
    return failureCount < 0 ? append(...args) : Promise.reject(new Error('made by the test'))
  }

  const errors = [await end(parts, identity), await end(parts, identity), await end(parts, identity)]

  assert.deepEqual(
    errors.map(({ error }) => error),
    ['UNKNOWN_SERVER_ERROR', 'UNKNOWN_SERVER_ERROR', 'NONE']
  )
  assert.equal(parts.log.last(ID)?.state, 'CompleteCommit')
})

test('closing ends the attempts, and the next start takes them up', async () => {
  const first = await loadedCoordinator()
  const identity = await begun(first)
  first.markers.errors.set('orders/0', Array(100).fill('KAFKA_STORAGE_ERROR'))
  void end(first, identity)
  await first.clock.advance(50)
  await first.coordinator.close()
  assert.equal(first.log.last(ID)?.state, 'PrepareCommit')
  assert.equal(first.clock.pendingCount, 0)

  await loadedCoordinator({ log: first.log })
  await turn()
  assert.equal(first.log.last(ID)?.state, 'CompleteCommit')
})

test('an open transaction outlives a restart and is aborted at its timeout, its owner fenced', async () => {
  const first = await loadedCoordinator()
  const identity = await begun(first)
  const parts = await loadedCoordinator({ log: first.log, clock: first.clock })

  await parts.clock.advance(59_000)
  assert.equal(parts.log.last(ID)?.state, 'Ongoing')
  await parts.clock.advance(12_000)

  assert.deepEqual(parts.markers.written, ['orders/0 abort 100/1', 'orders/1 abort 100/1'])
  const late = { transactionalId: ID, ...identity, partitions: [P0], clientVersion: 2 }
  assert.equal(await parts.coordinator.addPartitions(late), 'PRODUCER_FENCED')
  assert.deepEqual(await end(parts, identity, { isCommit: false }), {
    error: 'NONE',
    producerId: 100n,
    producerEpoch: 1
  })
  assert.equal((await end(parts, identity, { isCommit: true })).error, 'INVALID_TXN_STATE')
})

test('before KIP-890 a timeout fences the owner for good', async () => {
  const parts = await loadedCoordinator({ version: 1 })
  const identity = await begun(parts, { clientVersion: 0 })
  await parts.clock.advance(71_000)

  assert.deepEqual(parts.markers.written, ['orders/0 abort 100/1', 'orders/1 abort 100/1'])
  assert.equal((await end(parts, identity, { isCommit: false, clientVersion: 0 })).error, 'PRODUCER_FENCED')
  const expected = { timeoutMs: 60_000, expected: identity }
  assert.equal((await parts.coordinator.initProducerId(ID, expected)).error, 'PRODUCER_FENCED')
})

test('ids that nobody uses expire with a tombstone, used ones stay', async () => {
  const settings = { idExpirationMs: 4_000_000 }
  const parts = await loadedCoordinator({ settings })
  await parts.coordinator.initProducerId('idle', INIT)
  await parts.coordinator.initProducerId('used', INIT)
  await parts.clock.advance(3_500_000)
  await parts.coordinator.initProducerId('used', INIT)
  await parts.clock.advance(3_700_000)

  assert.deepEqual(parts.log.states('idle'), ['Empty', '-'])
  assert.equal(parts.coordinator.find('idle'), undefined)
  assert.equal(parts.coordinator.find('used')?.producerEpoch, 1)
  const restarted = await loadedCoordinator({ log: parts.log, settings })
  assert.deepEqual(
    restarted.coordinator.list().map(([id]) => id),
    ['used']
  )
})

test('a tombstone that cannot be written leaves the id as it was', async () => {
  const parts = await loadedCoordinator({ settings: { idExpirationMs: 1000 } })
  const before = await parts.coordinator.initProducerId(ID, INIT)
  parts.log.errors.push('COORDINATOR_NOT_AVAILABLE')
  await parts.clock.advance(3_600_000)
  assert.equal((await parts.coordinator.initProducerId(ID, INIT)).producerId, before.producerId)
})

test('a produce request of the next transaction waits for the end of the last', async () => {
  const parts = await loadedCoordinator()
  const identity = await begun(parts)
  parts.markers.queue.isImmediate = false
  const ending = end(parts, identity)
  await turn()
  const next = { transactionalId: ID, producerId: 100n, producerEpoch: 1, partitions: [P0], mayAdd: true }
  const order: string[] = []
  const first = parts.coordinator.verifyOrAdd(next).then(errors => order.push(`first ${errors.join()}`))
  const second = parts.coordinator.verifyOrAdd(next).then(errors => order.push(`second ${errors.join()}`))
  await turn()
  assert.deepEqual(order, [])
  while (parts.markers.queue.finishOne()) await turn()

  await Promise.all([ending, first, second])
  assert.deepEqual(order, ['first NONE', 'second NONE'])
  assert.deepEqual(parts.log.states(ID).slice(-2), ['CompleteCommit', 'Ongoing'])
})

test('what waits too long for a change is told to come again', async () => {
  const parts = await loadedCoordinator()
  const identity = await begun(parts)
  parts.markers.queue.isImmediate = false
  const ending = end(parts, identity)
  await turn()
  const request = { transactionalId: ID, producerId: 100n, producerEpoch: 1, partitions: [P0], mayAdd: true }
  const adding = parts.coordinator.verifyOrAdd(request)
  await parts.clock.advance(101)
  assert.deepEqual(await adding, ['CONCURRENT_TRANSACTIONS'])
  assert.equal((await ending).error, 'NONE')
})

test('without verification partitions are taken at their word', async () => {
  const request = { transactionalId: 'unknown', producerId: 1n, producerEpoch: 0, partitions: [P0], mayAdd: false }
  const strict = await loadedCoordinator()
  const lax = await loadedCoordinator({ settings: { isVerificationEnabled: false } })
  assert.deepEqual(await strict.coordinator.verifyOrAdd(request), ['INVALID_PRODUCER_ID_MAPPING'])
  assert.deepEqual(await lax.coordinator.verifyOrAdd(request), ['NONE'])
})

test('an id whose first identity could not be stored gives no identity away', async () => {
  const parts = await loadedCoordinator()
  parts.log.errors.push('NOT_COORDINATOR')
  assert.equal((await parts.coordinator.initProducerId(ID, INIT)).error, 'NOT_COORDINATOR')
  const request = { transactionalId: ID, producerId: 100n, producerEpoch: 0, partitions: [P0], clientVersion: 2 }
  assert.equal(await parts.coordinator.addPartitions(request), 'PRODUCER_FENCED')
  assert.deepEqual(await parts.coordinator.initProducerId(ID, INIT), {
    error: 'NONE',
    producerId: 100n,
    producerEpoch: 0
  })
})

test('requests for ids that nobody began are refused', async () => {
  const parts = await loadedCoordinator()
  const identity = { producerId: 1n, producerEpoch: 0 }
  const request = { transactionalId: '', ...identity, partitions: [P0], clientVersion: 2 }
  assert.equal(await parts.coordinator.addPartitions(request), 'INVALID_REQUEST')
  assert.deepEqual(parts.coordinator.verifyPartitions(request), ['INVALID_REQUEST'])
  assert.deepEqual(await parts.coordinator.verifyOrAdd({ ...request, mayAdd: true }), ['INVALID_REQUEST'])
  assert.equal((await end(parts, identity)).error, 'INVALID_PRODUCER_ID_MAPPING')
  const empty = { transactionalId: '', ...identity, isCommit: true, clientVersion: 2 }
  assert.equal((await parts.coordinator.endTransaction(empty)).error, 'INVALID_REQUEST')
})

test('without new producer ids clients are told to come again, and nothing has changed', async () => {
  const producerIds = new MemoryProducerIds()
  const { coordinator, log } = await loadedCoordinator({ producerIds })
  producerIds.isFailing = true
  assert.equal((await coordinator.initProducerId(null, INIT)).error, 'COORDINATOR_LOAD_IN_PROGRESS')
  assert.equal((await coordinator.initProducerId(ID, INIT)).error, 'COORDINATOR_LOAD_IN_PROGRESS')
  assert.deepEqual(log.records, [])
  producerIds.isFailing = false
  assert.equal((await coordinator.initProducerId(null, INIT)).producerId, 100n)
  assert.equal((await coordinator.initProducerId(ID, INIT)).producerId, 101n)
})

test('an id that no record can hold is refused and leaves nothing behind', async () => {
  // Flexible requests have longer strings than records. Symptom: the connection closed, and the id stayed for ever,
  // changing. Cause: the change had begun before its record was made.
  const { coordinator } = await loadedCoordinator()

  assert.equal((await coordinator.initProducerId('x'.repeat(32_768), INIT)).error, 'INVALID_REQUEST')
  assert.equal(coordinator.list().length, 0)
  assert.equal((await coordinator.initProducerId('x'.repeat(32_767), INIT)).error, 'NONE')
})
