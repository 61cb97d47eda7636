import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { OpenBudget } from '../../src/producer/open-budget.ts'
import { Turnstile } from '../../src/producer/turnstile.ts'

/** Lets everything that can go on go on. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('what does not fit waits, and enters in the order it came, however small', async () => {
  const budget = new OpenBudget({ countMax: 10, bytesMax: 100 })
  const entered: string[] = []
  const enter = (name: string, bytes: number): void => void budget.enter(bytes).then(() => entered.push(name))
  enter('a', 60)
  enter('b', 50)
  enter('c', 1)
  await settle()
  assert.deepEqual(entered, ['a'])
  assert.equal(budget.waitingCount, 2)
  budget.leave(60)
  await settle()
  assert.deepEqual(entered, ['a', 'b', 'c'])
  assert.equal(budget.bytes, 51)
})

test('a chunk larger than the limit enters alone', async () => {
  const budget = new OpenBudget({ countMax: 10, bytesMax: 100 })
  await budget.enter(10)
  let isIn = false
  void budget.enter(1000).then(() => (isIn = true))
  await settle()
  assert.equal(isIn, false)
  budget.leave(10)
  await settle()
  assert.equal(isIn, true)
  let isIdle = false
  void budget.idle().then(() => (isIdle = true))
  await settle()
  assert.equal(isIdle, false)
  budget.leave(1000)
  await settle()
  assert.equal(isIdle, true)
})

test('neither limit is ever exceeded by more than one chunk alone, and nobody is forgotten', async t => {
  const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const budget = new OpenBudget({ countMax: 7, bytesMax: 1000 })
  const inside: number[] = []
  const order: number[] = []
  for (let number = 0; number < 2000; number += 1) {
    const bytes = randomInt(random, random.next() < 0.05 ? 3000 : 400)
    void budget.enter(bytes).then(() => {
      inside.push(bytes)
      order.push(number)
    })
    await settle()
    assert.ok(inside.length <= 7)
    assert.ok(inside.length === 1 || inside.reduce((sum, each) => sum + each, 0) <= 1000)
    while (random.next() < 0.4 && inside.length > 0)
      budget.leave(inside.splice(randomInt(random, inside.length), 1)[0] ?? 0)
  }
  while (order.length < 2000) {
    budget.leave(inside.pop() ?? 0)
    await settle()
  }
  for (const bytes of inside) budget.leave(bytes)
  assert.deepEqual(
    order,
    Array.from({ length: 2000 }, (_, number) => number)
  )
  assert.equal(budget.count, 0)
  assert.equal(budget.bytes, 0)
})

test('a turnstile lets in one after the other', async () => {
  const turnstile = new Turnstile()
  const seen: number[] = []
  const pass = async (number: number): Promise<void> => {
    await turnstile.enter()
    seen.push(number)
    await settle()
    seen.push(number)
    turnstile.leave()
  }
  assert.equal(turnstile.isFree, true)
  const all = Promise.all([0, 1, 2].map(pass))
  assert.equal(turnstile.isFree, false)
  await all
  assert.deepEqual(seen, [0, 0, 1, 1, 2, 2])
  assert.equal(turnstile.isFree, true)
})
