/**
 * `kafkaBatch` behind its two callers on a cluster: handlers that fail at random, and every record is handled in the
 * order of its key, or put aside with its reason. Nothing between the log and the handler is pretended.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dispatcherConfig } from '../../src/config/index.ts'
import { SeededRandom } from '../../src/core/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { DeadLetterRecord, kafkaBatch, type KafkaBatchOptions, RetryRecord } from '../../src/lambda/function.ts'
import { createTarget } from '../../src/targets/index.ts'
import { esmWorld, startFunction, until, untilDone } from './esm-support.ts'
import { contextWith } from './support.ts'

const KEYS = 5
const RECORDS = 80

interface Message {
  readonly key: number
  readonly n: number
  readonly isBad: boolean
}

function recordsOf(partitions: number): { text: string; key: Buffer; partition: number }[] {
  return Array.from({ length: RECORDS }, (_, n) => {
    const key = n % KEYS
    const text = JSON.stringify({ key, n, isBad: n % 50 === 7 } satisfies Message)
    return { text, key: Buffer.from(`k${key}`), partition: key % partitions }
  })
}

/** A function that now and then fails for a record that is well, and always for one that is bad. */
function flakyFunction(seed: number, options: KafkaBatchOptions<Message> & { batch?: false }) {
  const random = new SeededRandom(seed)
  const done = new Map<number, number[]>()
  const lastOf = new Map<number, number>()
  const handle = kafkaBatch<Message>(
    async ({ data: { key, n, isBad } }) => {
      assert.ok(n > (lastOf.get(key) ?? -1) || done.get(key)?.includes(n), `${n} was begun out of order`)
      await Promise.resolve()
      if (isBad) throw new DeadLetterRecord(`no truck ${n}`)
      if (random.next() < 0.05) throw new RetryRecord('locked', { unavailable: random.next() < 0.5 })
      if (done.get(key)?.includes(n) !== true) done.set(key, [...(done.get(key) ?? []), n])
      lastOf.set(key, Math.max(n, lastOf.get(key) ?? -1))
    },
    { order: 'key', concurrency: 3, logger: { warn: () => undefined }, ...options }
  )
  return { handle: (event: unknown) => handle(event, contextWith(30_000)), done }
}

/** What every key must have seen: all its records but the bad ones, in order. */
function wholeOf(key: number): number[] {
  const all = Array.from({ length: RECORDS }, (_, n) => n)
  return all.filter(n => n % KEYS === key && n % 50 !== 7)
}

test('behind the event source mapping it resumes until all is done, and dead letters are put aside', async t => {
  const aside: string[] = []
  const deadLetter: KafkaBatchOptions['deadLetter'] = (record, reason) => aside.push(`${record.key?.text()}: ${reason}`)
  const { handle, done } = flakyFunction(7, { deadLetter })
  const service = await startFunction(t, async event => ({ body: await handle(event) }))
  const world = await esmWorld(t, { partitionCount: 2 })
  await world.append(...recordsOf(2))
  const mapping = await world.map({
    functionName: 'f',
    endpoint: service.endpoint,
    batchSize: 20,
    partialResponses: true,
    pollers: { min: 1, max: 2 }
  })
  // Keys 0, 2 and 4 are in partition 0.
  await untilDone(mapping, { 0: 48, 1: 32 })

  for (let key = 0; key < KEYS; key += 1) assert.deepEqual(done.get(key), wholeOf(key), `key ${key}`)
  assert.deepEqual(new Set(aside), new Set(['k2: no truck 7', 'k2: no truck 57']))
})

test('behind the dispatcher it names records until all is done, and dead letters are in their topic', async t => {
  const { handle, done } = flakyFunction(11, {})
  const service = await startFunction(t, async event => ({ body: await handle(event) }))
  const world = await esmWorld(t, { partitionCount: 2 })
  await world.append(...recordsOf(2))
  const deadLetterTopic = `${world.topic}-dead`
  await world.admin.createTopics([{ topic: deadLetterTopic, partitionCount: 1, replicationFactor: 1 }])
  const config = dispatcherConfig({
    groupId: `${world.topic}-group`,
    topics: [world.topic],
    target: { type: 'lambda', functionName: 'f', endpoint: service.endpoint, timeoutMs: 10_000 },
    deadLetterTopic,
    batch: { recordsMax: 20, ageMs: 10 },
    payload: { format: 'json', include: ['offsets', 'keys'] },
    retry: { attemptsMax: 20, initialMs: 1, maxMs: 5 }
  })
  const target = await createTarget(config.target, { cluster: world.cluster })
  world.ends.push(() => target.close())
  const dispatcher = await startDispatcher({ config, target, cluster: world.cluster })
  world.ends.push(() => dispatcher.close())
  await until(() => [...done.values()].flat().length === RECORDS - 2 && dispatcher.status().totals.deadLettered === 2)

  for (let key = 0; key < KEYS; key += 1) assert.deepEqual(done.get(key), wholeOf(key), `key ${key}`)
})
