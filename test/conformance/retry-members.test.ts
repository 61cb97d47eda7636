/** Retry topics where partitions move, topics grow, and others write where they should not. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { DispatcherConfig } from '../../src/config/index.ts'
import { Bench, type Input, LedgerTarget, type Payload, until } from './dispatch-support.ts'

// Groups take their time: part of the long run.
const isLong = process.env['RETRY_ROUNDS'] !== undefined

function retrying(bench: Bench, delays: number[]): Partial<DispatcherConfig> {
  const { retry, batch } = bench.config()
  return {
    order: 'key',
    batch: { ...batch, recordsMax: 5 },
    retry: { ...retry, attemptsMax: 1, initialMs: 1, maxMs: 5, delays }
  }
}

const record = (key: string, n: number): Input => ({ key, value: JSON.stringify({ key, n }) })

/** Refuses the first record of each key once, if it is to, and keeps what it took. */
function refusingFirst(isRefusing = true) {
  const taken: { key: string; n: number }[] = []
  const refused = new Set<string>()
  const judge = (payload: Payload): unknown => {
    const failures: { offset: number; action: 'retry'; reason: string }[] = []
    const failedKeys = new Set<string>()
    for (const [index, each] of (payload.messages as { key: string; n: number }[]).entries()) {
      const isFirst = isRefusing && each.n === 0 && !refused.has(each.key)
      if (failedKeys.has(each.key) || isFirst) {
        failedKeys.add(each.key)
        refused.add(each.key)
        failures.push({ offset: payload.offsets[index] ?? -1, action: 'retry', reason: 'early' })
      } else taken.push(each)
    }
    return { failures }
  }
  return { target: () => new LedgerTarget(judge), taken }
}

function assertInOrder(taken: readonly { key: string; n: number }[], recordCount: number): void {
  const newest = new Map<string, number>()
  for (const { key, n } of taken) {
    assert.equal(n, (newest.get(key) ?? -1) + 1, `${key}: ${n} after ${newest.get(key)}`)
    newest.set(key, n)
  }
  assert.equal(taken.length, recordCount, 'all, and none twice')
}

test('a partition that moves takes the keys along that wait', { skip: !isLong }, async t => {
  const bench = await Bench.open(t, 4)
  await bench.append(Array.from({ length: 120 }, (_, index) => record(`k${index % 12}`, Math.floor(index / 12))))
  const { target, taken } = refusingFirst()
  const options = retrying(bench, [1000])
  const first = await bench.dispatch(target(), options)
  await until(() => first.status().totals.parked > 20, 'some wait')
  const second = await bench.dispatch(target(), options)
  await until(() => second.describe().retries.length > 0, 'a partition has moved')
  await first.drain()
  await until(() => taken.length >= 120, 'all are delivered')
  await second.drain()
  assertInOrder(taken, 120)
})

test('retry topics grow with their origin, and a new partition has its own', { skip: !isLong }, async t => {
  const bench = await Bench.open(t, 1)
  const { target, taken } = refusingFirst()
  const dispatcher = await bench.dispatch(target(), retrying(bench, [150]))
  await bench.append([record('a', 0), record('a', 1)])
  await bench.admin.createPartitions([{ topic: bench.topic, partitionCount: 3 }])
  await until(() => dispatcher.status().partitions.length >= 6, 'three partitions and their retry partitions')
  await bench.cluster.refreshMetadata()
  await bench.append(Array.from({ length: 20 }, (_, index) => record(`n${index % 10}`, Math.floor(index / 10))))
  await until(() => taken.length >= 22, 'all are delivered')
  await dispatcher.drain()
  assertInOrder(taken, 22)
})

test('a record in a retry topic that no dispatcher has put there becomes a dead letter', async t => {
  const bench = await Bench.open(t, 1)
  const { target, taken } = refusingFirst(false)
  const options = retrying(bench, [50])
  const first = await bench.dispatch(target(), options)
  await first.drain()
  const tier = `${bench.topic}.${bench.groupId}.retry-50ms`
  await bench.append([{ key: 'x', value: '{"by":"hand"}' }], tier)
  await bench.append([record('a', 0)])
  const second = await bench.dispatch(target(), options)
  const [letter] = await bench.deadLetters(1)
  await until(() => taken.length === 1, 'the others are delivered')
  await second.drain()
  assert.equal(letter?.headers['comporta-error-class'], 'ForeignRecord')
  assert.equal(letter.headers['comporta-origin-topic'], tier)
  assert.equal(letter.value, '{"by":"hand"}')
  assert.equal(await bench.committed(0, tier), 1n)
})
