/** Records that other programs lost, skipped or never saw, without any hand-over. Named after the threads. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as tick } from 'node:timers/promises'

import { until } from '../conformance/dispatch-support.ts'
import { dispatcherConfig } from '../dispatcher/support.ts'
import { Field } from './field.ts'

const { retry } = dispatcherConfig({ topic: 'field', groupId: 'g' })

test('spring-projects/spring-kafka#4504: several failing records of one partition', async t => {
  // There: with two failing records one was skipped, neither retried nor recovered; fixed, n of them cost n² calls.
  const field = await Field.open(t, 1)
  await field.append(30)
  const tries = new Map<number, number>()
  const judge = ({ offsets }: { offsets: readonly number[] }): unknown => {
    const failures = offsets.filter(offset => {
      const count = (tries.get(offset) ?? 0) + 1
      tries.set(offset, count)
      return offset % 3 === 0 && count <= 2
    })
    return { failures: failures.map(offset => ({ offset, action: 'retry', reason: 'busy' })) }
  }
  const member = await field.start('m', { judge })
  await field.untilDrained()

  assert.deepEqual(
    field.deliveries.map(({ offset }) => offset).toSorted((a, b) => a - b),
    Array.from({ length: 30 }, (_, offset) => offset)
  )
  const sends = member.calls.reduce((sum, { offsets }) => sum + offsets.length, 0)
  assert.equal(sends, 30 + 2 * 10, 'each failing record is sent three times, all others once')
  assert.equal(member.dispatcher.status().totals.deadLettered, 0)
})

test('karafka/karafka#2804, KAFKA-20539: a partition that is added while the group starts at latest', async t => {
  // There: records that came before the consumer knew the new partition were skipped, as Kafka's documentation says.
  const field = await Field.open(t, 1)
  await field.append(20)
  const config = { autoOffsetReset: 'latest', groupProtocol: 'consumer' } as const
  const member = await field.start('m', { config })
  await until(() => field.partitionsOf(member).length === 1, 'the first partition is assigned')
  await until(async () => (await field.committed())[0] === 20, 'its end is pinned')
  await field.grow(3)
  await field.append(60)
  await until(() => field.partitionsOf(member).length === 3, 'the new partitions are assigned')
  await field.untilDrained()

  const ends = await field.ends()
  assert.ok((ends[1] ?? 0) + (ends[2] ?? 0) > 0)
  for (const [partition, end] of ends.entries()) {
    const offsets = field.deliveries.filter(each => each.partition === partition).map(({ offset }) => offset)
    const first = partition === 0 ? 20 : 0
    assert.deepEqual(
      offsets,
      Array.from({ length: end - first }, (_, index) => first + index)
    )
  }
})

test('tulios/kafkajs#1527 and #659: connections break again and again, and consumption goes on by itself', async t => {
  // There: after errors of the group or of a broker the consumer stood still, alive, until it was restarted.
  const field = await Field.open(t, 2)
  const member = await field.start('m', { judge: () => tick(2) })
  await field.append(100)
  for (let round = 0; round < 4; round += 1) {
    await until(() => field.deliveries.length > 20 * round, 'records arrive')
    field.network.treat('m', 'cut')
    await tick(30)
    field.network.treat('m', 'pass')
  }
  await field.append(100)
  await field.untilDrained()

  assert.equal(member.dispatcher.status().state, 'running')
  field.assertWhole(await field.ends(), 0)
})

test('platformatic/kafka#374: a member whose heartbeats reach nobody does no harm, and comes back', async t => {
  // There: heartbeats failed for ever, the consumer held its membership for its own, and an idle topic hid it.
  const field = await Field.open(t, 2)
  await field.append(40)
  const zombie = await field.start('zombie', { judge: () => tick(5) })
  await field.untilDrained()
  field.network.treat('zombie', 'swallow')
  const other = await field.start('other', { judge: () => tick(5) })
  await until(() => field.partitionsOf(other).length === 2, 'the other member has all partitions')
  await field.append(40)
  await field.untilDrained()
  field.network.treat('zombie', 'pass')
  await field.untilShared([zombie, other], 2)
  await field.append(40)
  await field.untilDrained()

  // Until it hears that it is out, it may send what it can reach: a batch of each of its two partitions at a time,
  // and no more when its commits are not taken.
  field.assertWhole(await field.ends(), 40)
})

test('reactor/reactor-kafka#375: a pause for an outage holds when partitions change hands', async t => {
  // There: a rebalance resumed partitions that had been paused, and records went to a target that was down.
  const field = await Field.open(t, 4)
  await field.append(200)
  let isWell = false
  const judge = (): void => {
    if (!isWell) throw Object.assign(new Error('down'), { retriable: true })
  }
  const openMs = 300
  const config = { breaker: { failuresMax: 2, openMs }, retry: { ...retry, initialMs: 1, maxMs: 1 } }
  const startMs = performance.now()
  const first = await field.start('first', { judge, config })
  await until(() => first.dispatcher.status().breaker !== 'closed', 'the breaker is open')
  const second = await field.start('second', { judge, config })
  await field.untilShared([first, second], 4)
  await second.dispatcher.drain()
  await until(() => field.partitionsOf(first).length === 4, 'all partitions are back')
  const third = await field.start('third', { judge, config })
  await field.untilShared([first, third], 4)
  // Two failures open it; then one probe for each pause, whatever is assigned meanwhile.
  const probesMax = (performance.now() - startMs) / openMs
  for (const { calls } of [first, second, third]) assert.ok(calls.length <= 2 + 4 + probesMax, `${calls.length} calls`)
  isWell = true
  await field.untilDrained()

  field.assertWhole(await field.ends())
})
