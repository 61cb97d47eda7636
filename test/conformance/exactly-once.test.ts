/**
 * Exactly once under harm: dispatchers that consume, transform and produce are killed without a word, stopped and
 * started while records come in. Whoever reads committed records finds each input once, in order per key.
 *
 * `EXACTLY_ONCE=long` (npm run test:exactly-once) does more of it, in both group protocols.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { TransactionalAppender } from '../../src/client/index.ts'
import { until } from './dispatch-support.ts'
import { harm } from './exactly-once-harm.ts'
import { assertExactlyOnce, counted, TopicBench } from './exactly-once-support.ts'

const isLong = process.env['EXACTLY_ONCE'] === 'long'
const partitionCount = 4
const keyCount = 24

test('dispatchers are killed and stopped at random: each record is in the output once, in order', async t => {
  // A static member that comes back at once goes on where its predecessor was; one that stops makes room at once.
  const options = { groupProtocol: 'classic', staticStop: 'leave' } as const
  await harm(t, { rounds: isLong ? 30 : 1, countPerKey: isLong ? 1200 : 60, isStatic: true, options })
})

test('dynamic members of the new protocol that are killed: each record once, in order', { skip: !isLong }, async t => {
  // Its partitions wait for the end of its session each time, 45 seconds.
  await harm(t, { rounds: 3, countPerKey: 600, isStatic: false, options: { groupProtocol: 'auto' } })
})

test('members that freeze for longer than their session find themselves fenced', { skip: !isLong }, async t => {
  await harm(t, {
    rounds: 4,
    countPerKey: 900,
    isStatic: false,
    options: { groupProtocol: 'classic' },
    hurt: async ({ members, round }) => {
      const victim = members[round % members.length]
      await victim?.untilAtWork()
      await victim?.freeze(8000)
    }
  })
})

test('partitions go back and forth between members: each record is in the output once, in order', async t => {
  const rounds = isLong ? 20 : 3
  const countPerKey = isLong ? 600 : 60
  const topics = await TopicBench.open(t, { partitionCount })
  const transform = (await import('./exactly-once-transform.ts')).transform
  const options = { batch: { ...topics.bench.config().batch, recordsMax: 5, ageMs: 5 } }
  const steady = await topics.dispatch(topics.target(transform), options)
  let appended = 0
  const appending = (async () => {
    for (; appended < countPerKey; appended += 2) await topics.bench.append(counted(keyCount, 2, appended))
  })()
  for (let round = 0; round < rounds; round += 1) {
    const guest = await topics.dispatch(topics.target(transform), options)
    await until(() => guest.status().totals.records > 0 || appended >= countPerKey, 'the guest is at work')
    // Every other guest gives nothing the time to finish.
    await (round % 2 === 0 ? guest.drain() : guest.close())
  }
  await appending
  await topics.bench.untilDrained(partitionCount)
  await steady.drain()

  assertExactlyOnce(await topics.written(), keyCount, countPerKey)
})

test('a producer that is fenced is replaced: what it had begun is done again', async t => {
  const topics = await TopicBench.open(t)
  const { cluster, groupId } = topics.bench
  const prefix = `${groupId}-fenced`
  const { target } = topics.config()
  assert.ok(target.type === 'topic')
  let callCount = 0
  const fence = async (records: readonly { key: Buffer | null; value: Buffer | null }[]) => {
    callCount += 1
    // The producer has written once by now: somebody takes its id over.
    if (callCount === 2) {
      for (let index = 0; index < 4; index += 1) {
        const thief = new TransactionalAppender({ cluster, transactionalId: `${prefix}-${index}` })
        await thief.start()
        await thief.close()
      }
    }
    return records
  }
  await topics.bench.append(counted(1, 30))
  const dispatcher = await topics.dispatch(topics.target(fence as never), {
    target: { ...target, transactionalIdPrefix: prefix }
  })
  await topics.bench.untilDrained()
  await dispatcher.drain()

  assertExactlyOnce(await topics.written(), 1, 30)
  assert.ok(dispatcher.status().totals.unavailable > 0)
})
