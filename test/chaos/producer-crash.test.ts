import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { AHEAD_RECORDS } from '../../src/producer/spill/spill-replay.ts'
import { ProducerWorld, type Verdict } from './producer-world.ts'
import { skipLong } from './support.ts'

const isLong = skipLong === false
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Events of this test's size that the appender's buffer holds: their copies are repeated as a whole. */
const BUFFERED_RECORDS = Math.ceil(1_048_576 / 100)

/** Nothing acknowledged is missing, no key is out of order, and each crash repeats no more than the guide says. */
function assertKept(verdict: Verdict, crashes: number): void {
  const { lost, outOfOrder, deadLetters } = verdict
  assert.deepEqual({ lost, outOfOrder, deadLetters }, { lost: 0, outOfOrder: 0, deadLetters: 0 })
  assert.ok(verdict.repeated <= crashes * (AHEAD_RECORDS + BUFFERED_RECORDS), `${verdict.repeated} repeated`)
}

test('a producer killed while it spills, while it replays, and together with its broker loses nothing', async t => {
  const world = await ProducerWorld.start(t, 4000)
  world.startProducer()
  await world.until(() => world.acknowledgedCount > 300)
  await world.killBroker()
  await world.until(() => world.state === 'spilling' && world.onDisk > 1500)
  await world.killProducer() // while it spills
  await world.startBroker()
  world.startProducer()
  await world.until(() => world.state === 'replaying' || world.state === 'up')
  await world.killProducer() // while it replays, or just after
  world.startProducer()
  await world.until(() => world.state === 'up')
  await world.killBroker()
  await world.until(() => world.state === 'spilling')
  await Promise.all([world.killProducer(), pause(5)])
  await world.startBroker()
  await world.finish()
  const verdict = await world.verdict()
  t.diagnostic(JSON.stringify(verdict))
  assert.ok(verdict.acknowledged > 2000)
  assertKept(verdict, 3)
})

test('kills of producer, broker and both at random instants lose nothing', { skip: skipLong }, async t => {
  const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const world = await ProducerWorld.start(t, 3000)
  let isBrokerUp = true
  let crashes = 0
  world.startProducer()
  for (let round = 0; round < 40; round += 1) {
    // Mostly a producer that has come up, now and then one that is still starting.
    if (world.isProducing && random.next() < 0.85)
      await Promise.race([world.until(() => world.state !== ''), pause(8000)])
    await pause(randomInt(random, 900))
    const choice = random.next()
    if (choice < 0.6 && world.isProducing) {
      crashes += 1
      await world.killProducer()
    }
    if (choice > 0.4 && isBrokerUp) {
      await world.killBroker()
      isBrokerUp = false
    }
    await pause(randomInt(random, 600))
    if (!isBrokerUp && random.next() < 0.7) {
      await world.startBroker()
      isBrokerUp = true
    }
    if (!world.isProducing && isBrokerUp) world.startProducer()
  }
  if (!isBrokerUp) await world.startBroker()
  await world.finish()
  const verdict = await world.verdict()
  t.diagnostic(JSON.stringify({ ...verdict, crashes }))
  assertKept(verdict, crashes)
})

test('a broker that is away for a minute costs nothing', { skip: skipLong }, async t => {
  const world = await ProducerWorld.start(t, 2000)
  world.startProducer()
  await world.until(() => world.acknowledgedCount > 1000)
  await world.killBroker()
  await pause(isLong ? 60_000 : 1000)
  assert.equal(world.state, 'spilling')
  assert.ok(world.onDisk > 50_000)
  await world.startBroker()
  await world.finish()
  const verdict = await world.verdict()
  t.diagnostic(JSON.stringify(verdict))
  assertKept(verdict, 0)
  assert.equal(verdict.repeated, 0)
})
