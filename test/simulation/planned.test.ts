/** Hand-overs that are planned, at the worst moments: nothing comes twice. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { World } from './world.ts'

/** A world of one partition whose record 3 is refused twice before it is taken. */
async function worldWithRetry(order: 'partition' | 'key'): Promise<World> {
  const shape = { keyCount: 50, oddRatio: 0, holeRatio: 0 }
  const options = { order, protocol: 'consumer', partitions: 1, recordsPerPartition: 0, recordsMax: 20 } as const
  const world = new World({ seed: 7, ...options, shape, isPartitionOrdered: false, isCalm: true })
  world.append(0, 10)
  world.setKind(0, 3, 'flaky')
  await world.start()
  return world
}

test('a batch that its target took in part is not sent again whole after a planned stop', async () => {
  const world = await worldWithRetry('partition')
  await world.until(() => world.ledger.counts.deliveries > 3)
  const [first] = world.dispatchers
  assert.ok(first !== undefined)
  void world.drain(first)
  await world.pass(2000)
  await world.start()
  await world.finish()

  assert.deepEqual(world.ledger.problems, [])
  assert.equal(world.ledger.counts.duplicates, 0)
  assert.equal(world.ledger.counts.deliveries, 10)
})

// Symptom: records that their target had taken came again after a planned stop while the dead letter topic was down.
// Cause: a batch told of what had left only when its dead letters were safe. Reach: every order.
for (const order of ['partition', 'key'] as const) {
  test(`what is delivered is not sent again because a dead letter could not be written, order ${order}`, async () => {
    const world = await worldWithRetry(order)
    world.setKind(0, 3, 'deadLetter')
    world.readFaults.appendError = 1
    await world.until(() => world.ledger.counts.deliveries === 9)
    const [first] = world.dispatchers
    assert.ok(first !== undefined)
    void world.drain(first)
    await world.pass(10_000)
    world.readFaults.appendError = 0
    await world.start()
    await world.finish()

    assert.deepEqual(world.ledger.problems, [])
    assert.equal(world.ledger.counts.duplicates, 0)
    assert.equal(world.ledger.counts.deadLetters, 1)
  })
}
