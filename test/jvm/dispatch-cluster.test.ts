/**
 * Dispatchers, the appender and the admin client on three brokers of Apache Kafka, under what befalls a cluster: leaders
 * that move, brokers that are killed or freeze, members that come and go. One group keeps the order of partitions, one
 * that of keys; both read the same records. The long run adds dead and frozen members, a target that is slow or down,
 * and harm at random; its seed is printed and taken back from `TEST_SEED`.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { DispatchWorld, type GroupPlan, type WorldVerdict } from '../support/dispatch-world.ts'

const byPartition: GroupPlan = { groupId: 'by-partition', order: 'partition', members: 2 }
const byKey: GroupPlan = { groupId: 'by-key', order: 'key', members: 2 }

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

test('leaders that move, a killed broker, a frozen one and a rebalance storm lose nothing, and repeat nothing', async t => {
  const world = await DispatchWorld.start(t, { groups: [byPartition, byKey], rate: 2000, partitions: 6 })
  await world.untilFlowed(2000)
  const step = (what: string): void => t.diagnostic(`${what}: ${world.acknowledged} records`)

  await world.moveLeaders()
  await world.untilFlowed(1000)
  step('leaders moved')

  const [first] = world.cluster.nodes
  assert.ok(first)
  await first.kill()
  await world.untilFlowed(1000)
  step('a broker was killed')
  await first.start()
  await world.untilInSync()
  step('it is back')

  const [, second] = world.cluster.nodes
  assert.ok(second)
  second.freeze()
  await world.until('no leader is frozen', async () => !(await world.leaders()).includes(second.id))
  await world.untilFlowed(1000)
  second.thaw()
  await world.untilInSync()
  step('a broker was frozen')

  for (let round = 0; round < 3; round += 1) {
    const guests = [world.startMember(byPartition), world.startMember(byKey)]
    await world.untilShared()
    await Promise.all(guests.map(guest => guest.end('SIGTERM')))
  }
  await world.untilFlowed(1000)
  step('members came and went')

  const verdict = await world.settle()
  t.diagnostic(`${verdict.produced} records, duplicates ${JSON.stringify(verdict.duplicatesOf)}`)
  assertKept(verdict)
  assert.deepEqual(verdict.duplicatesOf, { 'by-partition': 0, 'by-key': 0 })
})
