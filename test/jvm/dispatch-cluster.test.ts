/**
 * Dispatchers, the appender and the admin client on three brokers of Apache Kafka, under what befalls a cluster:
 * leaders that move, brokers that are killed or freeze, members that come and go. One group keeps the order of
 * partitions, one that of keys; both read the same records. The long run adds dead and frozen members, networks that
 * fail, a target that is slow or down, and harm at random; its seed is printed and taken back from `TEST_SEED`.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { DispatchWorld, type GroupPlan, type MemberProcess, type WorldVerdict } from '../support/dispatch-world.ts'
import { SeededRandom, randomInt } from '../../src/core/index.ts'
import type { KafkaNode } from '../support/kafka-cluster.ts'
import { isLongRun } from './tools.ts'

const byPartition: GroupPlan = {
  groupId: 'by-partition',
  order: 'partition',
  members: 2,
  config: { groupProtocol: 'classic' }
}
const byKey: GroupPlan = { groupId: 'by-key', order: 'key', members: 2, config: { groupProtocol: 'consumer' } }

function assertKept(verdict: WorldVerdict): void {
  const { lost, outOfOrder, unexpected, deadLettered, partitionOrderBroken, failedAppends } = verdict
  assert.deepEqual(
    {
      lost: lost.count,
      outOfOrder: outOfOrder.count,
      unexpected: unexpected.count,
      deadLettered,
      partitionOrderBroken,
      failedAppends
    },
    { lost: 0, outOfOrder: 0, unexpected: 0, deadLettered: 0, partitionOrderBroken: 0, failedAppends: 0 }
  )
}

test('leaders that move, brokers that die or freeze and a rebalance storm lose and repeat nothing', async t => {
  const world = await DispatchWorld.start(t, { groups: [byPartition, byKey], rate: 2000, partitions: 6 })
  await world.untilFlowed(2000)
  let lastMs = performance.now()
  const step = (what: string): void => {
    t.diagnostic(`${what}: ${world.acknowledged} records, ${Math.round(performance.now() - lastMs)} ms`)
    lastMs = performance.now()
  }
  step('flowing')

  await world.moveLeaders()
  await world.untilFlowed(1000)
  step('leaders moved')

  const [, second] = world.cluster.nodes
  assert.ok(second)
  second.freeze()
  await world.until('no leader is frozen', async () => !(await world.leaders()).includes(second.id))
  await world.untilFlowed(1000)
  second.thaw()
  await world.untilInSync()
  step('a broker was frozen')

  for (let round = 0; round < (isLongRun ? 5 : 1); round += 1) {
    const guests = [world.startMember(byPartition), world.startMember(byKey)]
    await world.untilShared()
    await Promise.all(guests.map(guest => guest.end('SIGTERM')))
  }
  await world.untilFlowed(1000)
  step('members came and went')

  // Killed last: its return would take as long as all the rest. The long run has it.
  const [first] = world.cluster.nodes
  assert.ok(first)
  await first.kill()
  await world.untilFlowed(1000)
  step('a broker was killed')

  const verdict = await world.settle()
  t.diagnostic(`${verdict.produced} records, duplicates ${JSON.stringify(verdict.duplicatesOf)}`)
  assertKept(verdict)
  assert.deepEqual(verdict.duplicatesOf, { 'by-partition': 0, 'by-key': 0 })
})

const skipLong = isLongRun ? false : 'takes long: JVM_TESTS=long runs it'

/** Most deliveries that may repeat when a member ends with what it had under way: batches at once, of 100 records. */
const IN_FLIGHT_MAX = 12 * 100
/** Most deliveries of a member without a commit: two more for each batch at once. */
const UNCOMMITTED_MAX = 3 * IN_FLIGHT_MAX

test('members that are killed or frozen repeat at most what they had under way', { skip: skipLong }, async t => {
  const world = await DispatchWorld.start(t, { groups: [byPartition, byKey], rate: 1000, partitions: 6 })
  await world.untilFlowed(1000)
  let lostMembers = 0
  for (const group of [byPartition, byKey]) {
    const victim = runningOf(world, group)[0]
    assert.ok(victim)
    await victim.end('SIGKILL')
    world.startMember(group)
    await world.untilShared()
    await world.untilFlowed(1000)
    t.diagnostic(`${group.groupId}: a member was killed`)

    const frozen = runningOf(world, group)[0]
    assert.ok(frozen)
    frozen.signal('SIGSTOP')
    const others = (): MemberProcess[] => runningOf(world, group).filter(member => member !== frozen)
    await world.until('the others have its partitions', () => {
      return others().reduce((sum, member) => sum + member.line.partitions, 0) === 6
    })
    await world.untilFlowed(1000)
    frozen.signal('SIGCONT')
    await world.untilShared()
    await world.untilFlowed(1000)
    lostMembers += 2
    t.diagnostic(`${group.groupId}: a member was frozen for longer than its session`)
  }
  const verdict = await world.settle()
  t.diagnostic(`${verdict.produced} records, duplicates ${JSON.stringify(verdict.duplicatesOf)}`)
  assertKept(verdict)
  assert.ok(verdict.duplicates <= lostMembers * IN_FLIGHT_MAX)
})

test('a target that is slow, down or both while leaders move gets everything once', { skip: skipLong }, async t => {
  const world = await DispatchWorld.start(t, { groups: [byPartition, byKey], rate: 500, partitions: 6 })
  world.sinkDelayMs = 120
  await world.untilFlowed(500)
  world.sinkDelayMs = 950
  await world.moveLeaders()
  await world.untilFlowed(500)
  world.isTargetDown = true
  const made = world.acknowledged
  await world.until('more records while the target is down', () => world.acknowledged > made + 1000)
  await world.moveLeaders()
  world.sinkDelayMs = 120
  world.isTargetDown = false
  await world.untilFlowed(500)
  const verdict = await world.settle()
  assertKept(verdict)
  assert.equal(verdict.duplicates, 0)
})

test('members without a network repeat what was not committed at most', { skip: skipLong }, async t => {
  const world = await DispatchWorld.start(t, { groups: [byPartition, byKey], rate: 500, partitions: 6 })
  await world.untilFlowed(500)
  // All members lose what they send and are sent for less than their session, then for longer: the group is gone.
  for (const records of [1000, 5000]) {
    const made = world.acknowledged
    world.cluster.treat('*', 'swallow')
    await world.until('records that nobody gets', () => world.acknowledged > made + records)
    world.cluster.treat('*', 'pass')
    await world.untilShared()
    await world.untilFlowed(500)
    t.diagnostic(`all were cut off for ${records} records`)
  }
  // One member of each group is cut off, and the others take its partitions over; the target is slow.
  world.sinkDelayMs = 300
  const lonely = [byPartition, byKey].map(group => runningOf(world, group)[0]).filter(member => member !== undefined)
  for (const member of lonely) world.cluster.treat(member.clientId, 'cut')
  await world.untilFlowed(3000)
  for (const member of lonely) world.cluster.treat(member.clientId, 'pass')
  world.sinkDelayMs = 0
  await world.untilShared()
  const verdict = await world.settle()
  t.diagnostic(`${verdict.produced} records, duplicates ${JSON.stringify(verdict.duplicatesOf)}`)
  assertKept(verdict)
  assert.ok(verdict.duplicates <= 4 * 3 * UNCOMMITTED_MAX)
})

test('harm at random loses nothing and keeps the order', { skip: skipLong, timeout: 600_000 }, async t => {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const world = await DispatchWorld.start(t, { groups: [byPartition, byKey], rate: 1000, partitions: 6 })
  const harms = harmsOf(world, random)
  const names = Object.keys(harms)
  let lostMembers = 0
  for (let round = 0; round < 14; round += 1) {
    const name = names[randomInt(random, names.length)] ?? ''
    t.diagnostic(name)
    if (name === 'kill a member') lostMembers += 1
    await harms[name]?.()
    await world.untilShared()
    await world.untilFlowed(300)
  }
  const verdict = await world.settle()
  t.diagnostic(`${verdict.produced} records, duplicates ${JSON.stringify(verdict.duplicatesOf)}, ${lostMembers} killed`)
  assertKept(verdict)
  assert.ok(verdict.duplicates <= lostMembers * IN_FLIGHT_MAX)
})

test('administration and appends go on while the broker that is asked hangs', { skip: skipLong }, async t => {
  const world = await DispatchWorld.start(t, { groups: [byPartition], rate: 200, partitions: 6 })
  await world.untilFlowed(200)
  const { admin } = world
  for (const node of world.cluster.nodes) {
    node.freeze()
    const name = `made-without-${node.id}`
    const [made] = await admin.createTopics([{ topic: name, partitionCount: 3 }])
    // The first request may have done it before its broker hung.
    assert.ok(made?.errorCode === 0 || made?.errorName === 'TOPIC_ALREADY_EXISTS')
    const partitions = [0, 1, 2, 3, 4, 5].map(partition => ({ topic: 'events', partition }))
    const ends = await admin.listOffsets(partitions.map(each => ({ ...each, at: 'latest' as const })))
    assert.ok(ends.every(({ errorCode, offset }) => errorCode === 0 && offset > 0n))
    const groups = await admin.listGroups()
    assert.deepEqual(
      groups.map(({ groupId }) => groupId),
      ['by-partition']
    )
    assert.equal((await admin.fetchGroupOffsets('by-partition')).length > 0, true)
    await world.untilFlowed(100)
    node.thaw()
    await world.untilInSync()
    t.diagnostic(`without ${node.id}`)
  }
  assertKept(await world.settle())
})

function harmsOf(world: DispatchWorld, random: SeededRandom): Readonly<Record<string, () => Promise<void>>> {
  const pick = <T>(items: readonly T[]): T => {
    const found = items[randomInt(random, items.length)]
    assert.ok(found !== undefined)
    return found
  }
  const member = (): MemberProcess => pick(runningOf(world, pick([byPartition, byKey])))
  const without = async (broker: KafkaNode, begin: () => unknown, end: () => unknown): Promise<void> => {
    await begin()
    await world.until('no leader is gone', async () => !(await world.leaders()).includes(broker.id))
    await world.untilFlowed(200)
    await end()
    await world.untilInSync()
  }
  const replace = async (old: MemberProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    await old.end(signal)
    world.startMember(old.group)
  }
  const broker = (): KafkaNode => pick(world.cluster.nodes)
  const harm = (act: (node: KafkaNode) => Promise<void>) => () => act(broker())
  return {
    'move leaders': () => world.moveLeaders(),
    'kill a broker': harm(node =>
      without(
        node,
        () => node.kill(),
        () => node.start()
      )
    ),
    'stop a broker in good order': harm(node =>
      without(
        node,
        () => node.stop(),
        () => node.start()
      )
    ),
    'freeze a broker': harm(node =>
      without(
        node,
        () => node.freeze(),
        () => node.thaw()
      )
    ),
    'kill a member': () => replace(member(), 'SIGKILL'),
    'restart a member': () => replace(member(), 'SIGTERM'),
    'slow the target down': async () => {
      world.sinkDelayMs = 300
      await world.untilFlowed(200)
      world.sinkDelayMs = 0
    }
  }
}

function runningOf(world: DispatchWorld, group: GroupPlan): MemberProcess[] {
  return world.members.filter(member => member.group === group && member.isRunning)
}
