/** The bounded queue: order, limits, backpressure, closing. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BoundedQueue, turn } from '../../src/core/index.ts'

test('items come out in the order in which they went in, over many rounds', () => {
  const queue = new BoundedQueue<number>({ countMax: 3 })
  const taken: (number | undefined)[] = []
  for (let item = 0; item < 5_000; item++) {
    assert.ok(queue.tryPut(item))
    if (queue.count === 3) taken.push(queue.tryTake())
  }
  taken.push(queue.tryTake(), queue.tryTake())

  assert.deepEqual(
    taken,
    Array.from({ length: 5_000 }, (_, index) => index)
  )
  assert.equal(queue.tryTake(), undefined)
})

test('neither count nor weight is exceeded, but one item that is too heavy alone may pass an empty queue', () => {
  const queue = new BoundedQueue<string>({ countMax: 2, weightMax: 100 })

  assert.ok(queue.tryPut('giant', 1_000))
  assert.ok(!queue.tryPut('light', 1))
  assert.equal(queue.tryTake(), 'giant')
  assert.ok(queue.tryPut('a', 60))
  assert.ok(!queue.tryPut('b', 41))
  assert.ok(queue.tryPut('b', 40))
  assert.ok(!queue.tryPut('c', 0))
  assert.deepEqual([queue.count, queue.weight], [2, 100])
})

test('a writer waits while the queue is full, and goes on when there is room', async () => {
  const queue = new BoundedQueue<string>({ countMax: 1 })
  await queue.put('first')
  let isIn = false
  const waiting = queue.put('second').then(() => (isIn = true))

  await turn()
  assert.equal(isIn, false)
  assert.equal(await queue.take(), 'first')
  await waiting
  assert.equal(await queue.take(), 'second')
})

test('a reader waits for an item; closing lets what waits be taken and then ends the readers', async () => {
  const queue = new BoundedQueue<string>({ countMax: 5 })
  const waiting = queue.take()
  await queue.put('awaited')
  assert.equal(await waiting, 'awaited')

  await queue.put('last')
  queue.close()
  assert.deepEqual([await queue.take(), await queue.take(), queue.isClosed], ['last', undefined, true])
})

test('closing refuses writers, also those that wait', async () => {
  const queue = new BoundedQueue<string>({ countMax: 1 })
  await queue.put('full')
  const waiting = queue.put('too late')
  queue.close()

  await assert.rejects(waiting, { code: 'ERR_CORE_ABORTED' })
  assert.throws(() => queue.tryPut('later'), { code: 'ERR_CORE_ABORTED' })
})
