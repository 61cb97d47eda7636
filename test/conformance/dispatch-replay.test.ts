/** Filters, the transform and bounded replay on whatever cluster is under test. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { systemClock } from '../../src/core/index.ts'
import { applyReplay, endsOf, planReplay, startDispatcher, untilReplayed } from '../../src/dispatcher/index.ts'
import { Bench, LedgerTarget, numbered, until } from './dispatch-support.ts'

test('what no filter wants is not sent, its offset is committed, and what cannot be judged is put aside', async t => {
  const bench = await Bench.open(t)
  await bench.append([...numbered(6), { value: 'no JSON' }, { value: '{"n":1}' }, { value: '{"n":99}' }])
  const seen: unknown[] = []
  const target = new LedgerTarget(({ messages }) => void seen.push(...messages))
  const dispatcher = await bench.dispatch(target, { filters: [{ value: { n: [{ numeric: ['<', 2] }] } }] })
  await bench.untilDrained()
  assert.deepEqual(seen, [{ n: 0 }, { n: 1 }, { n: 1 }])
  const { totals } = dispatcher.status()
  assert.deepEqual([totals.records, totals.filtered, totals.deadLettered], [3, 5, 1])
  const [letter] = await bench.deadLetters(1)
  assert.equal(letter?.value, 'no JSON')
})

test('a transform changes what is sent, and a dead letter keeps the record as it was', async t => {
  const bench = await Bench.open(t)
  await bench.append(numbered(5))
  const seen: unknown[] = []
  const target = new LedgerTarget(({ messages, offsets }) => {
    if (messages.some(message => (message as { double: number }).double === 8)) throw new Error('no eights')
    for (const [index, message] of messages.entries()) seen.push([offsets[index], message])
  })
  const dispatcher = await startDispatcher({
    config: bench.config(),
    cluster: bench.cluster,
    target,
    transform: record => {
      const { n } = record.json() as { n: number }
      if (n === 1) return null
      if (n === 2) throw new RangeError('two is too much')
      return { value: { double: n * 2 } }
    }
  })
  t.after(() => dispatcher.close())
  await bench.untilDrained()
  assert.deepEqual(seen, [
    [0, { double: 0 }],
    [3, { double: 6 }]
  ])
  const letters = await bench.deadLetters(2)
  assert.deepEqual(
    letters
      .map(({ value, headers }) => [value, headers['comporta-error-class']] as const)
      .toSorted(([a = ''], [b = '']) => a.localeCompare(b)),
    [
      ['{"n":2}', 'RangeError'],
      ['{"n":4}', 'Error']
    ]
  )
})

test('what a transform makes larger is sent in more than one payload', async t => {
  const bench = await Bench.open(t)
  await bench.append(numbered(10))
  const sizes: number[] = []
  const target = new LedgerTarget(payload => void sizes.push(JSON.stringify(payload).length))
  const dispatcher = await startDispatcher({
    config: bench.config({ batch: { recordsMax: 10, bytesMax: 5000, ageMs: 20 } }),
    cluster: bench.cluster,
    target,
    transform: () => ({ value: 'x'.repeat(1500) })
  })
  t.after(() => dispatcher.close())
  await bench.untilDrained()
  assert.deepEqual(
    target.delivered,
    Array.from({ length: 10 }, (_, offset) => `0@${offset}`)
  )
  assert.ok(sizes.every(size => size <= 5000) && sizes.length === 4, `sizes: ${sizes.join(', ')}`)
})

test('a replay delivers what lies between two times, once, and goes on where it was stopped', async t => {
  const bench = await Bench.open(t, 3)
  await bench.append(numbered(30))
  await until(() => Date.now() > 0, 'now')
  const [fromMs, toMs] = await timesAround(() => bench.append(numbered(60, 100)))
  await bench.append(numbered(30, 500))
  const request = {
    groupId: `${bench.groupId}-replay`,
    topics: [bench.topic],
    from: { timestampMs: BigInt(fromMs) },
    to: { timestampMs: BigInt(toMs) }
  }
  const plan = await planReplay(bench.admin, request)
  assert.equal(plan.offsetCount, 60n)
  assert.equal(plan.isResumed, false)
  await applyReplay(bench.admin, plan)

  const seen: number[] = []
  const target = new LedgerTarget(({ messages }) => void seen.push(...messages.map(each => (each as { n: number }).n)))
  const run = async (isDone: (left: bigint) => boolean): Promise<void> => {
    const plan = await planReplay(bench.admin, request)
    await applyReplay(bench.admin, plan)
    const config = bench.config({ groupId: request.groupId })
    const dispatcher = await startDispatcher({ config, cluster: bench.cluster, target, endOf: endsOf(plan) })
    const stop = new AbortController()
    const onProgress = (left: bigint): void => (isDone(left) ? stop.abort() : undefined)
    await untilReplayed(bench.admin, plan, { clock: systemClock, signal: stop.signal, onProgress })
    await dispatcher.drain()
  }
  await run(left => left < 60n)
  await run(() => false)
  assert.deepEqual(
    seen.toSorted((a, b) => a - b),
    Array.from({ length: 60 }, (_, index) => 100 + index)
  )
  const after = await planReplay(bench.admin, request)
  assert.deepEqual([after.isResumed, after.offsetCount], [true, 0n])
  assert.equal((await planReplay(bench.admin, { ...request, isRestarted: true })).offsetCount, 60n)
  assert.equal(await bench.committed(), -1n, 'the group that serves live records is not touched')
})

// Symptom: the replay waited for ever. Nothing was left to be sent, so nothing was committed.
test('a replay whose records are deleted under it ends', async t => {
  const bench = await Bench.open(t)
  await bench.append(numbered(10))
  const groupId = `${bench.groupId}-replay`
  const plan = await planReplay(bench.admin, { groupId, topics: [bench.topic], from: 'earliest', to: 'latest' })
  await applyReplay(bench.admin, plan)
  await bench.admin.deleteRecords([{ topic: bench.topic, partition: 0, beforeOffset: 10n }])
  const target = new LedgerTarget()
  const config = bench.config({ groupId })
  const dispatcher = await startDispatcher({ config, cluster: bench.cluster, target, endOf: endsOf(plan) })
  t.after(() => dispatcher.close())
  const signal = AbortSignal.timeout(10_000)
  assert.equal(await untilReplayed(bench.admin, plan, { clock: systemClock, signal }), true)
  assert.deepEqual(target.delivered, [])
})

// Symptom: a group of the consumer protocol counted as one without members, because the old question does not see it.
for (const groupProtocol of ['classic', 'consumer'] as const) {
  test(`a replay is refused while its group is at work (protocol ${groupProtocol})`, async t => {
    const bench = await Bench.open(t)
    await bench.append(numbered(3))
    // A busy machine must not cost the member its session.
    await bench.dispatch(new LedgerTarget(), { groupProtocol, sessionTimeoutMs: 30_000 })
    await bench.untilDrained()
    const plan = planReplay(bench.admin, {
      groupId: bench.groupId,
      topics: [bench.topic],
      from: 'earliest',
      to: 'latest'
    })
    await assert.rejects(plan, /has 1 members at work: stop them, or name another group/)
  })
}

test('a replay that cannot be begun says why', async t => {
  const bench = await Bench.open(t)
  await bench.append(numbered(3))
  const request = { groupId: bench.groupId, topics: [bench.topic], from: 'earliest', to: 'latest' } as const
  const rejects = (change: object, message: RegExp): Promise<void> =>
    assert.rejects(planReplay(bench.admin, { ...request, ...change }), {
      code: 'ERR_DISPATCHER_REPLAY_INVALID',
      message
    })
  await rejects({ topics: ['no-such-topic'] }, /there is no topic no-such-topic/)
  await rejects({ partitions: [7] }, /has no partition 7: it has 1/)
  await rejects({ from: 'latest' }, /there is nothing between the bounds/)
  // Somebody else has replayed while the plan was read.
  const plan = await planReplay(bench.admin, request)
  await bench.admin.alterGroupOffsets(bench.groupId, [{ topic: bench.topic, partition: 0, offset: 3n }])
  await assert.rejects(applyReplay(bench.admin, plan), {
    code: 'ERR_DISPATCHER_REPLAY_INVALID',
    message: /somebody else has moved group .* since the plan/
  })
})

/** Runs something and gives times before and behind all records that it has written. */
async function timesAround(write: () => Promise<void>): Promise<[number, number]> {
  const tick = async (): Promise<number> => {
    const nowMs = Date.now()
    await until(() => Date.now() > nowMs + 2, 'the clock moves')
    return Date.now()
  }
  const fromMs = await tick()
  await write()
  return [fromMs, await tick()]
}
