import assert from 'node:assert/strict'
import { test } from 'node:test'

import { VirtualClock } from '../../src/core/virtual-clock.ts'
import { BodyBudget } from '../../src/producer/sources/body-budget.ts'

/** Lets everything that can go on go on. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('what does not fit waits in line, and nobody overtakes', async () => {
  const budget = new BodyBudget(100, new VirtualClock())
  assert.equal(budget.take(90), true)
  const seen: string[] = []
  void budget.takeWithin(50, 1000).then(hasRoom => seen.push(`first ${hasRoom}`))
  void budget.takeWithin(5, 1000).then(hasRoom => seen.push(`second ${hasRoom}`))
  assert.equal(budget.take(5), false)
  await settle()
  assert.deepEqual(seen, [])
  budget.release(90)
  await settle()
  assert.deepEqual(seen, ['first true', 'second true'])
  assert.equal(budget.bytes, 55)
})

test('whoever waits longer than it can is told so, holds nothing, and makes way', async () => {
  const clock = new VirtualClock()
  const budget = new BodyBudget(100, clock)
  budget.take(60)
  const large = budget.takeWithin(80, 1000)
  const small = budget.takeWithin(10, 5000)
  await clock.advance(1000)
  assert.equal(await large, false)
  assert.equal(await small, true)
  assert.equal(budget.bytes, 70)
  assert.equal(budget.waitingCount, 0)
})
