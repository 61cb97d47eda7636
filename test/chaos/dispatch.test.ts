/**
 * Dispatchers as processes on an embedded broker, under what befalls them: members that are killed or stand still, a
 * broker that is killed, rebalance storms, a target that is slow or down, a network that is cut. One group keeps the
 * order of partitions (classic protocol), one that of keys (consumer protocol); both read the same records. The audit
 * finds no loss, order kept, and no more repeats than members that went away without a word had under way.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { randomInt, SeededRandom, systemClock } from '../../src/core/index.ts'
import { DispatchWorld, type GroupPlan, type MemberProcess, type WorldVerdict } from '../support/dispatch-world.ts'
import { EmbeddedCluster } from './embedded.ts'
import { skipLong } from './support.ts'

const concurrency = 3
const recordsMax = 50
const shared = { concurrency, batch: { recordsMax, ageMs: 20 }, heartbeatIntervalMs: 200 }
const byPartition: GroupPlan = {
  groupId: 'by-partition',
  order: 'partition',
  members: 2,
  config: { ...shared, groupProtocol: 'classic' }
}
const byKey: GroupPlan = {
  groupId: 'by-key',
  order: 'key',
  members: 2,
  config: { ...shared, groupProtocol: 'consumer', batchesPerPartitionMax: 2 }
}
const groups = [byPartition, byKey]
const plan = { groups, partitions: 6, replicas: 1 }

/**
 * Most records that come again because one member went away without a word: two batches for each that may be at the
 * target at once may be ahead of their commits, as many are at the target, and as many may have been begun while the
 * last commit became late.
 */
const REPEATS_MAX = (4 * concurrency - 1) * recordsMax

function assertKept(world: World, verdict: WorldVerdict, killedCount: number): void {
  // A busy machine may cost a member its session without anybody's harm.
  const membersLost = world.members.reduce((sum, { timesLost }) => sum + timesLost, killedCount)
  const { lost, outOfOrder, unexpected, deadLettered, partitionOrderBroken, duplicates } = verdict
  assert.deepEqual(
    {
      lost: lost.count,
      outOfOrder: outOfOrder.count,
      unexpected: unexpected.count,
      deadLettered,
      partitionOrderBroken
    },
    { lost: 0, outOfOrder: 0, unexpected: 0, deadLettered: 0, partitionOrderBroken: 0 }
  )
  assert.ok(duplicates <= membersLost * REPEATS_MAX, `${duplicates} repeats for ${membersLost} members`)
}

type World = DispatchWorld<EmbeddedCluster>

function runningOf(world: World, group: GroupPlan): MemberProcess[] {
  return world.members.filter(member => member.group === group && member.isRunning)
}

function one<T>(list: readonly T[], index = 0): T {
  const found = list[index]
  assert.ok(found !== undefined)
  return found
}

/** What goes wrong. Each says how many members went away without a word. */
const harms: Readonly<Record<string, (world: World, pick: (limit: number) => number) => Promise<number>>> = {
  'a member is killed': async (world, pick) => {
    const group = one(groups, pick(2))
    await one(runningOf(world, group)).end('SIGKILL')
    world.startMember(group)
    return 1
  },
  'a member stands still for longer than its session': async (world, pick) => {
    const group = one(groups, pick(2))
    const frozen = one(runningOf(world, group))
    frozen.signal('SIGSTOP')
    const others = runningOf(world, group).filter(member => member !== frozen)
    await world.until('the others have its partitions', () => {
      return others.reduce((sum, { line }) => sum + line.partitions, 0) === plan.partitions
    })
    frozen.signal('SIGCONT')
    return 1
  },
  'the broker is killed': async world => {
    await world.cluster.kill()
    await world.cluster.startBroker()
    return 0
  },
  'a storm of rebalances': async world => {
    for (let round = 0; round < 3; round += 1) {
      const guests = groups.map(group => world.startMember(group))
      await world.until('the guests run', () => guests.every(({ line }) => line.state === 'running'))
      await Promise.all(guests.map(guest => guest.end('SIGTERM')))
    }
    return 0
  },
  'the target is down': async world => {
    world.isTargetDown = true
    const made = world.acknowledged
    await world.until('records come meanwhile', () => world.acknowledged > made + 1000)
    world.isTargetDown = false
    return 0
  },
  'the target turns slow': async world => {
    world.sinkDelayMs = 120
    await world.untilFlowed(100)
    world.sinkDelayMs = 950
    const made = world.acknowledged
    await world.until('records come meanwhile', () => world.acknowledged > made + 1500)
    world.sinkDelayMs = 0
    return 0
  },
  'a member is cut off': async (world, pick) => {
    const victim = one(runningOf(world, one(groups, pick(2))))
    const name = `member-${world.members.indexOf(victim)}`
    const made = world.acknowledged
    world.cluster.network.treat(name, pick(2) === 0 ? 'swallow' : 'cut')
    await world.until('records come meanwhile', () => world.acknowledged > made + 2500)
    world.cluster.network.treat(name, 'pass')
    // Its session may have run out meanwhile.
    return 1
  },
  'everybody is cut off for a moment': async world => {
    world.cluster.network.treat('*', 'cut')
    world.cluster.network.treat('*', 'pass')
    return 0
  }
}

async function start(t: TestContext, rate: number, sessionTimeoutMs = 6000): Promise<World> {
  return await DispatchWorld.over(t, { ...plan, rate }, await EmbeddedCluster.start(sessionTimeoutMs))
}

test('members killed, a broker killed, the target down: nothing lost, order kept, repeats bounded', async t => {
  const world = await start(t, 1500, 2000)
  await world.untilFlowed(500)
  let membersLost = 0
  for (const name of ['a member is killed', 'the broker is killed', 'the target is down'] as const) {
    // Of the group by key: its session is 2 s, that of the classic protocol 6 s.
    membersLost += (await harms[name]?.(world, limit => 1 % limit)) ?? 0
    await world.untilFlowed(300)
  }
  const verdict = await world.settle()
  t.diagnostic(`${verdict.produced} records, repeats ${JSON.stringify(verdict.duplicatesOf)}`)
  assertKept(world, verdict, membersLost)
})

for (const [name, harm] of Object.entries(harms)) {
  test(`${name}: nothing lost, order kept, repeats bounded`, { skip: skipLong }, async t => {
    const world = await start(t, 2000)
    await world.untilFlowed(1000)
    let membersLost = 0
    for (const pick of [0, 1]) {
      membersLost += await harm(world, limit => pick % limit)
      await world.untilFlowed(1000)
      await world.untilShared()
    }
    const verdict = await world.settle()
    t.diagnostic(`${verdict.produced} records, repeats ${JSON.stringify(verdict.duplicatesOf)}`)
    assertKept(world, verdict, membersLost)
  })
}

const seed = Number(process.env['TEST_SEED'] ?? systemClock.now() % 1_000_000)
const steps = Number(process.env['CHAOS_STEPS'] ?? 10)

test(`${steps} harms, one after the other (TEST_SEED=${seed})`, { skip: skipLong, timeout: 600_000 }, async t => {
  const random = new SeededRandom(seed)
  const pick = (limit: number): number => randomInt(random, limit)
  const world = await start(t, 1500)
  await world.untilFlowed(500)
  const names = Object.keys(harms)
  let membersLost = 0
  for (let step = 0; step < steps; step += 1) {
    const name = one(names, pick(names.length))
    t.diagnostic(name)
    membersLost += (await harms[name]?.(world, pick)) ?? 0
    await world.untilFlowed(pick(1500))
  }
  const verdict = await world.settle()
  t.diagnostic(`${verdict.produced} records, repeats ${JSON.stringify(verdict.duplicatesOf)}`)
  assertKept(world, verdict, membersLost)
})
