import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Doorbell, turn, VirtualClock } from '../../src/core/index.ts'

async function isOver(wait: Promise<void>): Promise<boolean> {
  let over = false
  void wait.then(() => (over = true))
  await turn()
  return over
}

test('a ring ends a wait long before its time', async () => {
  const bell = new Doorbell(new VirtualClock())
  const wait = bell.wait(60_000)
  assert.equal(await isOver(wait), false)
  bell.ring()
  assert.equal(await isOver(wait), true)
})

test('the time ends a wait that nobody rings for, rounded up to whole milliseconds', async () => {
  const clock = new VirtualClock()
  const wait = new Doorbell(clock).wait(9.2)
  await clock.advance(9)
  assert.equal(await isOver(wait), false)
  await clock.advance(1)
  assert.equal(await isOver(wait), true)
})

test('a ring that nobody waits for is not kept', async () => {
  const bell = new Doorbell(new VirtualClock())
  bell.ring()
  const wait = bell.wait()
  assert.equal(await isOver(wait), false)
  bell.ring()
  assert.equal(await isOver(wait), true)
})
