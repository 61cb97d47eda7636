import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'

import type { Cluster } from '../../src/client/index.ts'
import { operationsDefaults } from '../../src/config/index.ts'
import { PipelineError, VirtualClock } from '../../src/core/index.ts'
import { createWorld } from '../../src/console/world/world.ts'
import type { World } from '../../src/console/world/world-types.ts'
import type { LagLook } from '../../src/ops/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { groupLag, lookOf, MadeUpLooker, partitionLag, scannedTopic } from './world-support.ts'

interface Watched {
  readonly clock: VirtualClock
  readonly looker: MadeUpLooker
  readonly world: World
}

/** A world over made-up looks. */
function worldOf(t: TestContext, look: (clock: VirtualClock) => LagLook | Promise<LagLook>): Watched {
  const clock = new VirtualClock()
  const looker = new MadeUpLooker(() => look(clock))
  const world = createWorld({
    // Never asked: looks are made up.
    cluster: {} as Cluster,
    operations: operationsDefaults(),
    clock,
    logger: silentLogger,
    monitor: looker
  })
  t.after(() => world.close())
  return { clock, looker, world }
}

/** Beyond what assertions have taught the compiler. */
function countOf(looker: MadeUpLooker): number {
  return looker.lookCount
}

const plain = (clock: VirtualClock): LagLook => lookOf({ takenAtMs: clock.now(), topics: [scannedTopic('orders')] })

test('nothing is asked of the cluster before somebody looks', async t => {
  const { clock, looker, world } = worldOf(t, plain)
  world.onLook(() => undefined)

  await clock.advance(600_000)

  assert.equal(looker.lookCount, 0)
  assert.equal(world.latest(), undefined)
})

test('a view makes it look for a minute, and then nothing is asked any more', async t => {
  const { clock, looker, world } = worldOf(t, plain)

  await world.ready()
  assert.equal(looker.lookCount, 1)
  await clock.advance(1000)
  assert.equal(looker.lookCount, 2) // the second one comes sooner: rates need two
  await clock.advance(120_000)
  const count: number = countOf(looker)
  assert.ok(count >= 29 && count <= 32, `${count} looks`)

  await clock.advance(3_600_000)
  assert.equal(looker.lookCount, count)
  assert.equal(clock.pendingCount, 0)
})

test('the first view after a pause looks at once, and rates begin anew', async t => {
  const { clock, looker, world } = worldOf(t, plain)
  const before = await world.ready()
  await clock.advance(600_000)
  const count = looker.lookCount

  const after = await world.ready()

  assert.equal(looker.lookCount, count + 1)
  assert.equal(after.freshness.takenAtMs, clock.now())
  assert.ok(after.freshness.takenAtMs > before.freshness.takenAtMs)
  assert.equal(looker.beginCount, 2) // at the very first look, and now
})

test('who attends keeps it looking until it leaves', async t => {
  const { clock, looker, world } = worldOf(t, plain)
  const leave = world.attend()
  await clock.advance(300_000)
  const count = looker.lookCount
  assert.ok(count > 140, `${count} looks`)

  leave()
  leave() // twice is once
  await clock.advance(10_000)
  assert.ok(looker.lookCount <= count + 1)
})

test('a look takes a fifth of the time at most', async t => {
  const { clock, looker, world } = worldOf(t, async each => {
    const wait = new Promise<void>(resolve => each.after(3000, resolve))
    await wait
    return lookOf({ takenAtMs: each.now(), durationMs: 3000 })
  })
  world.attend()
  await clock.advance(150_000)

  assert.equal(world.intervalMs, 15_000)
  assert.ok(looker.lookCount >= 9 && looker.lookCount <= 13, `${looker.lookCount} looks`)
})

test('many views at once are one look', async t => {
  const { looker, world } = worldOf(t, plain)

  await Promise.all(Array.from({ length: 50 }, () => world.ready()))

  assert.equal(looker.lookCount, 1)
})

test('a cluster that goes away leaves the last look, with its age and the problem', async t => {
  let isAway = false
  const { clock, world } = worldOf(t, each => {
    if (isAway) throw new Error('ECONNREFUSED 127.0.0.1:9092')
    return plain(each)
  })
  const problems: (string | null)[] = []
  world.onLook((_look, problem) => problems.push(problem))
  const seen = await world.ready()
  isAway = true

  await clock.advance(10_000)

  const look = await world.ready()
  assert.equal(look.freshness.takenAtMs, seen.freshness.takenAtMs)
  assert.match(look.freshness.problems[0] ?? '', /cannot be looked at: ECONNREFUSED/)
  assert.equal(look.scan, seen.scan)
  assert.match(problems.at(-1) ?? '', /ECONNREFUSED/)

  isAway = false
  await clock.advance(20_000)
  assert.deepEqual(world.latest()?.freshness.problems, [])
  assert.equal(problems.at(-1), null)
})

test('ERR_CONSOLE_CLUSTER: a cluster that was never there is said at once, not waited for', async t => {
  const { clock, looker, world } = worldOf(t, () => {
    throw new Error('no broker answers')
  })
  const refused = (error: unknown): boolean =>
    PipelineError.is(error) && error.code === 'ERR_CONSOLE_CLUSTER' && error.retriable

  await assert.rejects(world.ready(), refused)
  await assert.rejects(world.ready(), refused)
  assert.equal(looker.lookCount, 1)

  // It is tried again, ever less often.
  world.attend()
  await clock.advance(60_000)
  assert.ok(looker.lookCount >= 4 && looker.lookCount <= 12, `${looker.lookCount} looks`)
})

test('a listener that fails harms nobody', async t => {
  const { world } = worldOf(t, plain)
  let told = 0
  world.onLook(() => {
    throw new Error('a fault of a listener')
  })
  world.onLook(() => void (told += 1))

  await world.ready()

  assert.equal(told, 1)
})

test('after close nothing is asked', async t => {
  const { clock, looker, world } = worldOf(t, plain)
  world.attend()
  await clock.advance(5000)
  const count = looker.lookCount

  await world.close()
  await clock.advance(60_000)

  assert.equal(looker.lookCount, count)
})

test('a group that is gone is forgotten, but not while a broker does not tell its groups', async t => {
  let lags = [groupLag('billing', [partitionLag({ lagSeconds: 4, lagRecords: 9n })]), groupLag('audit', [])]
  let isPartial = false
  const { clock, world } = worldOf(t, each =>
    lookOf({ takenAtMs: each.now(), lags, ...(isPartial ? { isPartial: true } : {}) })
  )
  world.attend()
  await clock.advance(2000)
  assert.deepEqual(world.sparkline('billing'), [4, 4])

  isPartial = true
  lags = [groupLag('audit', [])]
  await clock.advance(2000)
  assert.deepEqual(world.sparkline('billing'), [4, 4, null])

  isPartial = false
  await clock.advance(2000)
  assert.deepEqual(world.sparkline('billing'), [])
  assert.equal(world.groupSeries('billing', 'lagSeconds').values.length, 0)
})
