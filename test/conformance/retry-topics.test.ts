/**
 * Delayed retry topics on whatever cluster is under test: order of keys, tiers, restarts, dead letters.
 *
 * What is asked for in spring-kafka#4504 and #920 (delayed retries that keep the order of keys), spring-kafka#2699,
 * nest#14664 and parallel-consumer#196 (delayed retries and dead letters for consumers of batches).
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { DispatcherConfig } from '../../src/config/index.ts'
import { PipelineError } from '../../src/core/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { Bench, type Input, LedgerTarget, type Payload, until } from './dispatch-support.ts'

/** Settings of a dispatcher with tiers of retry topics. */
function retrying(bench: Bench, retry: Partial<DispatcherConfig['retry']>): Partial<DispatcherConfig> {
  const { retry: base, batch } = bench.config()
  return {
    order: 'key',
    batch: { ...batch, recordsMax: 5 },
    retry: { ...base, attemptsMax: 1, initialMs: 1, maxMs: 5, delays: [100, 200], ...retry }
  }
}

const record = (key: string, n: number): Input => ({ key, value: JSON.stringify({ key, n }) })
const keyed = (payload: Payload): { key: string; n: number }[] => payload.messages as { key: string; n: number }[]

/** A target that refuses what it is told to, record by record, and keeps what it took. */
function refusing(isRefused: (record: { key: string; n: number }, attempt: number) => boolean) {
  const attempts = new Map<string, number>()
  const taken: string[] = []
  const target = new LedgerTarget(payload => {
    const failures: { offset: number; action: 'retry'; reason: string }[] = []
    const failedKeys = new Set<string>()
    for (const [index, each] of keyed(payload).entries()) {
      const name = `${each.key}${each.n}`
      if (failedKeys.has(each.key)) {
        failures.push({ offset: payload.offsets[index] ?? -1, action: 'retry', reason: 'follows' })
        continue
      }
      const attempt = (attempts.get(name) ?? 0) + 1
      attempts.set(name, attempt)
      if (isRefused(each, attempt)) {
        failedKeys.add(each.key)
        failures.push({ offset: payload.offsets[index] ?? -1, action: 'retry', reason: 'not yet' })
      } else taken.push(name)
    }
    return { failures }
  })
  return { target, taken, attempts }
}

test('a record that fails waits in a retry topic, later ones of its key wait behind it, and others pass', async t => {
  const bench = await Bench.open(t)
  await bench.append([record('a', 1), record('b', 1), record('a', 2), record('b', 2), record('a', 3), record('b', 3)])
  const { target, taken } = refusing(({ key, n }, attempt) => key === 'a' && n === 1 && attempt < 2)
  const dispatcher = await bench.dispatch(target, retrying(bench, {}))
  await until(() => taken.length === 6, 'all are delivered')
  await dispatcher.drain()
  const of = (key: string): string[] => taken.filter(name => name.startsWith(key))
  assert.deepEqual(
    [of('a'), of('b')],
    [
      ['a1', 'a2', 'a3'],
      ['b1', 'b2', 'b3']
    ]
  )
  assert.deepEqual(taken.slice(0, 2), ['b1', 'b2'])
  assert.equal(await bench.committed(), 6n)
  const tier = `${bench.topic}.${bench.groupId}.retry-100ms`
  const [found] = await bench.admin.fetchGroupOffsets(bench.groupId, [{ topic: tier, partition: 0 }])
  assert.equal(found?.offset, 3n, 'the retry partition is committed by the same group')
  assert.equal(dispatcher.status().totals.parked, 3)
})

test('a record goes from tier to tier, one attempt in each, and ends as a dead letter of its origin', async t => {
  const bench = await Bench.open(t)
  const headers = [{ key: 'comporta-attempts', value: Buffer.from('its own') }]
  await bench.append([{ ...record('a', 1), headers }, record('b', 1), record('a', 2)])
  const { target, taken, attempts } = refusing(({ key, n }) => key === 'a' && n === 1)
  const dispatcher = await bench.dispatch(target, retrying(bench, { attemptsMax: 2 }))
  await until(() => taken.length === 2, 'the others are delivered')
  await dispatcher.drain()
  assert.deepEqual(taken, ['b1', 'a2'])
  assert.equal(attempts.get('a1'), 4, 'two in place, one in each tier')
  const [letter] = await bench.deadLetters(1)
  assert.equal(letter?.value, '{"key":"a","n":1}')
  assert.equal(letter.headers['comporta-origin-topic'], bench.topic)
  assert.equal(letter.headers['comporta-origin-partition'], '0')
  assert.equal(letter.headers['comporta-origin-offset'], '0')
  assert.equal(letter.headers['comporta-attempts'], '4')
  assert.equal(letter.headers['comporta-error-class'], 'RetriesExhausted')
  const waitedMs =
    Number(letter.headers['comporta-last-failure-ms']) - Number(letter.headers['comporta-first-failure-ms'])
  assert.ok(waitedMs >= 280, `first and last failure are ${waitedMs} ms apart`)
  assert.equal('comporta-retry' in letter.headers, false)
})

test('a batch that is refused whole is bisected: only the bad record waits', async t => {
  const bench = await Bench.open(t)
  await bench.append(Array.from({ length: 10 }, (_, index) => record(`k${index}`, index)))
  const taken: number[] = []
  let isRefusing = true
  const target = new LedgerTarget(payload => {
    if (isRefusing && keyed(payload).some(({ n }) => n === 3)) throw new TypeError('no threes')
    taken.push(...keyed(payload).map(({ n }) => n))
  })
  const dispatcher = await bench.dispatch(target, retrying(bench, { delays: [200] }))
  await until(() => taken.length === 9, 'the others are delivered')
  isRefusing = false
  await until(() => taken.length === 10, 'the bad one is delivered')
  await dispatcher.drain()
  assert.equal(taken.at(-1), 3)
  assert.equal(dispatcher.status().totals.parked, 1)
})

test('a retried record is delivered with the coordinates, the time and the headers of the record itself', async t => {
  const bench = await Bench.open(t)
  const headers = [{ key: 'trace', value: Buffer.from('abc') }]
  await bench.append([record('z', 0), { ...record('a', 1), headers }])
  const calls: unknown[] = []
  const target = new LedgerTarget(payload => {
    calls.push(payload)
    if (calls.length === 1) return { failures: [{ offset: 1, action: 'retry', reason: 'not yet' }] }
    return undefined
  })
  const payload: DispatcherConfig['payload'] = { format: 'json', include: ['offsets', 'timestamps', 'keys', 'headers'] }
  const dispatcher = await bench.dispatch(target, { ...retrying(bench, { delays: [80] }), payload })
  await until(() => calls.length === 2, 'it is sent again')
  await dispatcher.drain()
  const [first, second] = calls as (Payload & { timestamps: number[]; headers: unknown[] })[]
  assert.equal(second?.topic, bench.topic)
  assert.equal(second.partition, 0)
  assert.deepEqual(second.offsets, [1])
  assert.deepEqual(second.keys, ['a'])
  assert.deepEqual(second.timestamps, [first?.timestamps[1]])
  assert.deepEqual(second.headers, [first?.headers[1]])
})

test('after a restart a key that waits is known, and its later records go on waiting', async t => {
  const bench = await Bench.open(t)
  await bench.append([record('a', 1), record('b', 1)])
  const first = refusing(({ key }) => key === 'a')
  const options = retrying(bench, { delays: [600] })
  const dispatcher = await bench.dispatch(first.target, options)
  await until(() => dispatcher.status().totals.parked === 1, 'a1 waits')
  await until(() => first.taken.length === 1, 'b1 is delivered')
  await dispatcher.drain()
  await bench.append([record('a', 2), record('b', 2)])
  const second = refusing(() => false)
  const again = await bench.dispatch(second.target, options)
  await until(() => second.taken.length === 3, 'all are delivered')
  await again.drain()
  // Where b2 comes depends on how long the restart takes.
  assert.deepEqual(second.taken.toSorted(), ['a1', 'a2', 'b2'])
  assert.ok(second.taken.indexOf('a1') < second.taken.indexOf('a2'))
})

test('retry.order none lets later records of a key overtake one that waits', async t => {
  const bench = await Bench.open(t)
  await bench.append([record('a', 1), record('a', 2)])
  const taken: number[] = []
  let isFirst = true
  const target = new LedgerTarget(payload => {
    const refused = isFirst ? payload.offsets[0] : undefined
    isFirst = false
    taken.push(...payload.offsets.filter(offset => offset !== refused))
    return refused === undefined ? undefined : { failures: [{ offset: refused, action: 'retry', reason: 'not yet' }] }
  })
  const dispatcher = await bench.dispatch(target, retrying(bench, { delays: [100], order: 'none' }))
  await until(() => taken.length === 2, 'both are delivered')
  await dispatcher.drain()
  assert.deepEqual(taken, [1, 0])
})

test('retry topics are as wide as their origin, and named with a command where they may not be made', async t => {
  const bench = await Bench.open(t, 3)
  const config = bench.config(retrying(bench, { createTopics: false }))
  const { target } = refusing(() => false)
  await assert.rejects(startDispatcher({ config, cluster: bench.cluster, target }), (error: unknown) => {
    assert.ok(PipelineError.is(error))
    assert.equal(error.code, 'ERR_DISPATCHER_RETRY_TOPICS')
    assert.match(
      error.message,
      new RegExp(`--create --topic '${bench.topic}.${bench.groupId}.retry-100ms' --partitions 3`)
    )
    return true
  })
  const dispatcher = await bench.dispatch(target, retrying(bench, {}))
  await dispatcher.drain()
  const tier = `${bench.topic}.${bench.groupId}.retry-200ms`
  // A topic that was just created is not known to every broker at once.
  const partitions = async (): Promise<number> => {
    const { topics } = await bench.admin.describeTopics([tier])
    return topics[0]?.partitions.length ?? 0
  }
  await until(async () => (await partitions()) === 3, 'the retry topic has three partitions')
})

test('as many keys wait as may: their partition takes no new work, says so, and goes on by itself', async t => {
  const bench = await Bench.open(t)
  await bench.append(Array.from({ length: 60 }, (_, index) => record(`k${index}`, index)))
  let isRefusing = true
  const { target, taken } = refusing(() => isRefusing)
  const options = retrying(bench, { delays: [60], parkedKeysMax: 7 })
  const dispatcher = await bench.dispatch(target, options)
  await until(() => dispatcher.describe().retries.some(({ waitingForRoom }) => waitingForRoom > 0), 'it is full')
  const [station] = dispatcher.describe().retries
  assert.equal(station?.parkedKeys, 7)
  assert.equal(station.parkedKeysMax, 7)
  isRefusing = false
  await until(() => taken.length === 60, 'all are delivered')
  await dispatcher.drain()
  assert.equal(new Set(taken).size, 60)
})
