/** The dispatcher on whatever cluster is under test: commits, retries, dead letters, hand-over, outages. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PipelineError } from '../../src/core/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { Bench, LedgerTarget, numbered, until } from './dispatch-support.ts'

test('a backlog is delivered in order, in batches of one partition, and its end is committed', async t => {
  const bench = await Bench.open(t, 3)
  await bench.append(numbered(500))
  const target = new LedgerTarget(payload => {
    assert.equal(payload.topic, bench.topic)
    assert.equal(payload.messages.length, payload.offsets.length)
    assert.ok(payload.messages.length <= 10)
  })
  const dispatcher = await bench.dispatch(target)
  await bench.untilDrained(3)
  await dispatcher.drain()
  assert.equal(target.delivered.length, 500)
  assert.equal(target.duplicateCount, 0)
  for (const partition of [0, 1, 2]) {
    const offsets = target.delivered.filter(name => name.startsWith(`${partition}@`))
    assert.deepEqual(
      offsets,
      Array.from(offsets, (_, offset) => `${partition}@${offset}`)
    )
  }
  const { state, totals } = dispatcher.status()
  assert.deepEqual([state, totals.records, totals.deadLettered, totals.unavailable], ['closed', 500, 0, 0])
})

test('an offset is committed only after the target has answered', async t => {
  const bench = await Bench.open(t)
  await bench.append(numbered(10))
  const answer = Promise.withResolvers<void>()
  const target = new LedgerTarget(() => answer.promise)
  await bench.dispatch(target)
  await until(() => target.calls.length === 1, 'the batch is at the target')
  assert.equal(await bench.committed(), -1n)
  answer.resolve()
  await bench.untilDrained()
  assert.equal(await bench.committed(), 10n)
})

test('a record that is retried goes before anything behind its batch', async t => {
  const bench = await Bench.open(t)
  await bench.append(numbered(30))
  let failures = 2
  const target = new LedgerTarget(({ offsets }) =>
    offsets.includes(9) && failures-- > 0 ? { failures: [{ offset: 9, action: 'retry', reason: 'busy' }] } : undefined
  )
  await bench.dispatch(target)
  await bench.untilDrained()
  assert.deepEqual(
    target.delivered,
    Array.from({ length: 30 }, (_, offset) => `0@${offset}`)
  )
  assert.deepEqual(target.calls.slice(1, 3), [[9], [9]])
})

test('poison is put aside with its origin and its reason, and its neighbours pass in order', async t => {
  const bench = await Bench.open(t)
  const headers = [{ key: 'trace', value: Buffer.from('abc') }]
  await bench.append([
    ...numbered(3),
    { key: 'T-1', value: '{"n":', headers },
    ...numbered(3),
    { key: 'T-2', value: '{"poison":true}' },
    ...numbered(5)
  ])
  const target = new LedgerTarget(({ messages }) => {
    if (JSON.stringify(messages).includes('poison')) throw new TypeError('codigo is missing')
  })
  await bench.dispatch(target)
  await bench.untilDrained()
  const good = [0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12].map(offset => `0@${offset}`)
  assert.deepEqual(target.delivered, good)

  const letters = await bench.deadLetters(2)
  const malformed = letters.find(({ key }) => key === 'T-1')
  const poisonous = letters.find(({ key }) => key === 'T-2')
  assert.equal(malformed?.value, '{"n":')
  assert.equal(poisonous?.value, '{"poison":true}')
  assert.partialDeepStrictEqual(malformed.headers, {
    trace: 'abc',
    'comporta-origin-topic': bench.topic,
    'comporta-origin-partition': '0',
    'comporta-origin-offset': '3',
    'comporta-error-class': 'MalformedRecord',
    'comporta-attempts': '0',
    'comporta-group': bench.groupId
  })
  assert.partialDeepStrictEqual(poisonous.headers, {
    'comporta-origin-offset': '7',
    'comporta-error-class': 'TypeError',
    'comporta-error-reason': 'codigo is missing'
  })
  assert.ok(Number(poisonous.headers['comporta-attempts']) >= 3)
  assert.ok(
    Number(poisonous.headers['comporta-first-failure-ms']) <= Number(poisonous.headers['comporta-last-failure-ms'])
  )
})

test('partitions are handed over between dispatchers without a duplicate', async t => {
  const bench = await Bench.open(t, 6)
  const target = new LedgerTarget(async () => new Promise(resolve => setTimeout(resolve, 5)))
  const first = await bench.dispatch(target)
  await bench.append(numbered(400))
  await until(() => target.delivered.length > 50, 'the first one works')
  const second = await bench.dispatch(target)
  await bench.append(numbered(400, 400))
  await until(() => second.status().partitions.length === 3, 'the second one has its half')
  await bench.append(numbered(400, 800))
  await until(() => second.status().totals.records > 0, 'the second one works')
  await first.drain()
  await bench.append(numbered(100, 1200))
  await bench.untilDrained(6)
  await second.drain()
  assert.equal(new Set(target.delivered).size, 1300)
  assert.equal(target.duplicateCount, 0)
  for (const partition of [0, 1, 2, 3, 4, 5]) {
    const offsets = target.delivered.filter(name => name.startsWith(`${partition}@`))
    assert.deepEqual(
      offsets,
      Array.from(offsets, (_, offset) => `${partition}@${offset}`)
    )
  }
})

test('a dispatcher that drains lets its batch finish and commits it', async t => {
  const bench = await Bench.open(t)
  await bench.append(numbered(20))
  const answer = Promise.withResolvers<void>()
  const target = new LedgerTarget(() => answer.promise)
  const dispatcher = await bench.dispatch(target)
  await until(() => target.calls.length === 1, 'the batch is at the target')
  const drained = dispatcher.drain()
  assert.equal(dispatcher.status().state, 'draining')
  answer.resolve()
  assert.deepEqual(await drained, { isComplete: true, unfinishedPartitions: 0 })
  // While the group is asked who could take over, the next batch may have begun.
  assert.ok(target.calls.length <= 2)
  assert.equal(await bench.committed(), 10n * BigInt(target.calls.length))
  assert.equal(await dispatcher.ended, undefined)
})

test('a batch that does not finish within the drain is not committed and comes again', async t => {
  const bench = await Bench.open(t)
  await bench.append(numbered(5))
  const stuck = new LedgerTarget(() => new Promise(() => undefined))
  const dispatcher = await bench.dispatch(stuck)
  await until(() => stuck.calls.length === 1, 'the batch is at the target')
  assert.deepEqual(await dispatcher.drain(50), { isComplete: false, unfinishedPartitions: 1 })
  assert.equal(await bench.committed(), -1n)
  const target = new LedgerTarget()
  await bench.dispatch(target)
  await bench.untilDrained()
  assert.equal(target.delivered.length, 5)
})

test('while the target is down partitions pause and the group stays; then delivery resumes by itself', async t => {
  const bench = await Bench.open(t, 2)
  let isDown = true
  const target = new LedgerTarget(() => {
    if (isDown) throw Object.assign(new Error('down'), { retriable: true })
  })
  const dispatcher = await bench.dispatch(target)
  await bench.append(numbered(300))
  await until(() => dispatcher.status().breaker === 'open', 'the breaker opens')
  const { generation } = dispatcher.status()
  await until(() => dispatcher.status().totals.unavailable >= 8, 'several probes have failed')
  const status = dispatcher.status()
  assert.ok(status.partitions.every(({ isPaused }) => isPaused))
  assert.equal(status.generation, generation)
  assert.equal(target.delivered.length, 0)
  isDown = false
  await bench.untilDrained(2)
  assert.equal(target.delivered.length, 300)
  assert.equal(target.duplicateCount, 0)
  assert.equal(dispatcher.status().totals.deadLettered, 0)
  assert.equal(dispatcher.status().breaker, 'closed')
})

test('memory stays within its limit while the backlog is larger', async t => {
  const bench = await Bench.open(t)
  const filler = 'x'.repeat(50_000)
  await bench.append(Array.from({ length: 400 }, (_, n) => ({ value: JSON.stringify({ n, filler }) })))
  let isOpen = false
  const target = new LedgerTarget(() => {
    if (!isOpen) throw Object.assign(new Error('busy'), { retriable: true })
  })
  const dispatcher = await bench.dispatch(target, {
    bufferBytes: 2_097_152,
    breaker: { failuresMax: 1000, openMs: 10 }
  })
  let bufferedMax = 0
  await until(() => {
    bufferedMax = Math.max(bufferedMax, dispatcher.status().bufferedBytes)
    return dispatcher.status().totals.unavailable >= 20
  }, 'the target is busy for a while')
  isOpen = true
  await until(async () => {
    bufferedMax = Math.max(bufferedMax, dispatcher.status().bufferedBytes)
    return (await bench.committed()) === 400n
  }, 'the end is committed')
  // One answer of at most 1 MiB may be on its way when the pause comes.
  assert.ok(bufferedMax > 500_000 && bufferedMax <= 2_097_152 + 1_048_576 + 100_000, `${bufferedMax} bytes`)
  assert.equal(target.duplicateCount, 0)
})

test('a dead letter topic among the topics that are read does not start', async t => {
  const bench = await Bench.open(t)
  await assert.rejects(
    startDispatcher({
      config: bench.config({ deadLetterTopic: bench.topic }),
      cluster: bench.cluster,
      target: new LedgerTarget()
    }),
    error => PipelineError.is(error, 'ERR_DISPATCHER_DEAD_LETTER_LOOP')
  )
})

test('records that retention has removed are passed over to what is still there', async t => {
  const bench = await Bench.open(t)
  await bench.append(numbered(20))
  await bench.admin.alterGroupOffsets(bench.groupId, [{ topic: bench.topic, partition: 0, offset: 5n }])
  await bench.admin.deleteRecords([{ topic: bench.topic, partition: 0, beforeOffset: 12n }])
  const target = new LedgerTarget()
  await bench.dispatch(target)
  await bench.untilDrained()
  assert.deepEqual(
    target.delivered,
    [12, 13, 14, 15, 16, 17, 18, 19].map(offset => `0@${offset}`)
  )
})

test('a dispatcher whose place in the group is taken by another ends and says why', async t => {
  const bench = await Bench.open(t)
  const instance = { groupInstanceId: 'one', groupProtocol: 'classic' } as const
  const first = await bench.dispatch(new LedgerTarget(), instance)
  await until(() => first.status().partitions.length === 1, 'the first one has its partition')
  const second = await bench.dispatch(new LedgerTarget(), instance)
  const error = await first.ended
  assert.ok(PipelineError.is(error, 'ERR_DISPATCHER_GROUP_LOST'))
  assert.equal(first.status().state, 'failed')
  await until(() => second.status().partitions.length === 1, 'the second one has it now')
})
