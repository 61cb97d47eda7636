/**
 * Records that other programs lost, or got stuck on, when partitions changed hands. Each test recreates the situation
 * of the thread that it names.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as tick } from 'node:timers/promises'

import { until } from '../conformance/dispatch-support.ts'
import { dispatcherConfig } from '../dispatcher/support.ts'
import { Field, type Member } from './field.ts'

const { batch, retry } = dispatcherConfig({ topic: 'field', groupId: 'g' })
const slowBatch = { ...batch, recordsMax: 500, ageMs: 60_000 }

test('redpanda-data/connect#4009: records that wait for a batch to fill when their partition is revoked', async t => {
  // There: what the batcher of a revoked partition held was flushed away, and the offset went past it (10,433 lost).
  const field = await Field.open(t, 4)
  await field.append(80)
  const first = await field.start('first', { config: { batch: slowBatch } })
  await until(() => first.dispatcher.status().bufferedBytes > 0, 'records wait in the first member')
  const second = await field.start('second')
  await field.untilShared([first, second], 4)
  await first.dispatcher.drain()
  await field.untilDrained()

  assert.deepEqual(first.calls, [])
  field.assertWhole(await field.ends())
})

test('redpanda-data/connect#4477: an answer that comes after its partition was given back', async t => {
  // There: the late acknowledgement put the offset back into the client, which committed it for the new owner.
  const field = await Field.open(t, 2)
  await field.append(40)
  const late = Promise.withResolvers<void>()
  const first = await field.start('first', { judge: () => late.promise, config: { drainMs: 50 } })
  await until(() => first.calls.length === 2, 'a batch of each partition is at the target')
  let isWell = false
  const judge = (): void => {
    if (!isWell) throw Object.assign(new Error('not yet'), { retriable: true })
  }
  const second = await field.start('second', { judge })
  await field.untilShared([first, second], 2)
  const [moved] = field.partitionsOf(second)
  assert.ok(moved !== undefined)
  late.resolve()
  await until(() => field.deliveries.some(({ partition }) => partition === moved), 'the late answer is there')
  await tick(50)
  assert.equal((await field.committed())[moved], -1)
  isWell = true
  await field.untilDrained()

  // What the first one had at the target when it had to give the partition back.
  field.assertWhole(await field.ends(), 20)
})

test('dapr/components-contrib#4580: a partition is taken away while its record is being retried', async t => {
  // There: who retries did not answer the rebalance, was thrown out, and two members passed one record to and fro.
  const field = await Field.open(t, 4)
  await field.append(40)
  let isWell = false
  const judge = (): void => {
    if (!isWell) throw Object.assign(new Error('the health check failed'), { retriable: true })
  }
  const config = { retry: { ...retry, initialMs: 60_000, maxMs: 60_000 }, breaker: { failuresMax: 1000, openMs: 50 } }
  const first = await field.start('first', { judge, config })
  await until(() => first.calls.length >= 4, 'all partitions wait for their retry')
  const startMs = performance.now()
  const second = await field.start('second', { judge })
  await field.untilShared([first, second], 4)
  // Far less than the wait before the retry; nobody was thrown out.
  assert.ok(performance.now() - startMs < 10_000)
  const generation = second.dispatcher.status().generation
  isWell = true
  await first.dispatcher.drain()
  await field.untilDrained()

  assert.ok(second.dispatcher.status().generation <= generation + 2, 'members do not push each other out')
  field.assertWhole(await field.ends())
})

test('confluentinc/parallel-consumer#857: partitions that stand still after rebalances under load', async t => {
  // There: work of an older epoch was skipped as stale, and nobody fetched it again until the process was restarted.
  const field = await Field.open(t, 6)
  const judge = (): Promise<void> => tick(5)
  const members: Member[] = [await field.start('m0', { judge }), await field.start('m1', { judge })]
  await field.append(300)
  for (let round = 2; round < 5; round += 1) {
    members.push(await field.start(`m${round}`, { judge }))
    await field.append(60)
    await members.shift()?.dispatcher.drain()
  }
  await field.untilShared(members, 6)
  await field.append(120)
  await field.untilDrained()

  field.assertWhole(await field.ends())
})

test('ordermentum/steveo#1054: whoever has given a partition back sends nothing of it any more', async t => {
  // The class of bug: retries go on for a partition that belongs to another member, and commit for it.
  const field = await Field.open(t, 2)
  await field.append(40)
  let isWell = false
  const retryAll = ({ offsets }: { offsets: readonly number[] }): unknown =>
    isWell ? undefined : { failures: offsets.map(offset => ({ offset, action: 'retry', unavailable: true })) }
  const first = await field.start('first', { judge: retryAll })
  await until(() => first.calls.length > 4, 'the first member retries')
  const second = await field.start('second', { judge: retryAll })
  await field.untilShared([first, second], 2)
  const [moved] = field.partitionsOf(second)
  const sentBefore = first.calls.filter(({ partition }) => partition === moved).length
  await until(() => second.calls.length > 3, 'the second member retries')
  assert.equal(first.calls.filter(({ partition }) => partition === moved).length, sentBefore)
  isWell = true
  await field.untilDrained()

  field.assertWhole(await field.ends())
})

test('apache/pekko-connectors-kafka#616, #617: a partition comes back, and others change hands after that', async t => {
  // There: the set of revoked partitions was kept, and at the next assignment it wiped the buffer of the one that had
  // come back.
  const field = await Field.open(t, 3)
  const gate = Promise.withResolvers<void>()
  const first = await field.start('first', { judge: () => gate.promise, config: { concurrency: 1 } })
  await until(() => field.partitionsOf(first).length === 3, 'the first member has all')
  const second = await field.start('second')
  await field.untilShared([first, second], 3)
  await second.dispatcher.drain()
  await until(() => field.partitionsOf(first).length === 3, 'they have come back')
  await field.append(120)
  await until(() => first.calls.length === 1 && first.dispatcher.status().bufferedBytes > 0, 'records are buffered')
  const third = await field.start('third')
  await tick(100)
  gate.resolve()
  await field.untilShared([first, third], 3)
  await field.untilDrained()

  field.assertWhole(await field.ends())
})
