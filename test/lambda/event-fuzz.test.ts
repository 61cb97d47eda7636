/**
 * Events with anything in any place: an event is refused as a whole, or every record of it can be looked at without an
 * exception, and `kafkaBatch` answers for every one of them. `TEST_SEED=<n>` runs one seed again.
 */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

import { PipelineError, randomInt, SeededRandom } from '../../src/core/index.ts'
import { readEvent, textOf } from '../../src/lambda/event/read-event.ts'
import { kafkaBatch, type KafkaBatchResponse, type KafkaRecord } from '../../src/lambda/function.ts'
import { contextWith } from './support.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 1_200)
const folder = path.join(import.meta.dirname, '../fixtures/lambda')
const texts = readdirSync(folder)
  .filter(name => name.endsWith('.event.json'))
  .map(name => readFileSync(path.join(folder, name), 'utf8'))

const HOSTILE = [
  'null',
  'true',
  '0',
  '-1',
  '1.5',
  '1e400',
  '9007199254740993',
  '""',
  '"x"',
  '"YQ"',
  '"\\ud800"',
  '"__proto__"',
  '[]',
  '{}',
  '[null]',
  '[[]]',
  '{"":1}',
  '{"base64":1}',
  '{"__proto__":{"topic":"t"}}',
  '[256]',
  '["a","b"]',
  `"${'A'.repeat(70_000)}"`,
  '['.repeat(5_000) + ']'.repeat(5_000)
]

/** Replaces, drops or doubles a member somewhere. */
function spoil(random: SeededRandom, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || randomInt(random, 6) === 0) {
    return JSON.parse(HOSTILE[randomInt(random, HOSTILE.length)] ?? 'null')
  }
  const names = Object.keys(value)
  const name = names[randomInt(random, Math.max(1, names.length))]
  if (name === undefined) return value
  const member: unknown = Reflect.get(value, name)
  if (randomInt(random, 8) === 0) {
    Reflect.deleteProperty(value, name)
    return value
  }
  if (Array.isArray(value) && randomInt(random, 8) === 0) {
    value.push(member)
    return value
  }
  Object.defineProperty(value, name, { value: spoil(random, member), enumerable: true, writable: true })
  return value
}

test('whatever stands in an event, it is refused or can be read, and every record is answered for', async t => {
  const seed = Number(process.env['TEST_SEED'] ?? 1 + Math.floor(Math.random() * 1e9))
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const refuse = kafkaBatch(() => Promise.reject(new Error('no')), { logger: { warn: () => undefined } })
  const counts = { read: 0, refused: 0 }
  for (let round = 0; round < ROUNDS; round += 1) {
    let event: unknown = JSON.parse(texts[randomInt(random, texts.length)] ?? '{}')
    for (let times = 1 + randomInt(random, 3); times > 0; times -= 1) event = spoil(random, event)
    try {
      const { partitions } = readEvent(event)
      counts.read += 1
      for (const partition of partitions) {
        for (const index of partition.offsets.keys()) lookAt(partition, index)
      }
    } catch (error) {
      assert.ok(PipelineError.is(error, 'ERR_LAMBDA_EVENT_UNRECOGNISED'), String(error))
      counts.refused += 1
      continue
    }
    await answered(event)
  }
  assert.ok(counts.read > 100 && counts.refused > 100, JSON.stringify(counts))

  async function answered(event: unknown): Promise<void> {
    const { format, partitions } = readEvent(event)
    const answer = await refuse(event, contextWith(60_000))
    if (format === 'json') {
      const { failures = [] } = answer as { failures?: unknown[] }
      assert.equal(failures.length, partitions[0]?.offsets.length ?? 0)
      return
    }
    const points = (answer as KafkaBatchResponse).batchItemFailures.map(each => each.itemIdentifier)
    const lowest = partitions.map(each => ({ partition: each.name, offset: Math.min(...each.offsets) }))
    assert.deepEqual(points, lowest)
  }
})

function lookAt(partition: ReturnType<typeof readEvent>['partitions'][number], index: number): void {
  const key = partition.keys?.[index]
  assert.ok(key === undefined || key === null || typeof key === 'string')
  const value = partition.valueBytes(index)
  assert.ok(value === undefined || value === null || Buffer.isBuffer(value))
  partition.keyBytes(index)
  partition.headers(index)
  partition.timestampType(index)
  const time = partition.timestamps?.[index]
  assert.ok(time === undefined || typeof time === 'number')
  if (!partition.problems.has(index)) textOf(partition, index)
}

test('a record that is spoiled in every place harms itself only', async () => {
  const spoiled = {
    offset: 2,
    timestamp: 'x',
    timestampType: 7,
    key: 7,
    value: {},
    headers: 'h',
    topic: 9,
    partition: {}
  }
  const good = { topic: 't', partition: 0, value: 'MQ==', headers: [] }
  const seen: unknown[] = []
  const handler = (record: KafkaRecord): void => void seen.push([record.offset, record.data])
  const aside: number[] = []
  const handle = kafkaBatch(handler, {
    deadLetter: record => aside.push(record.offset),
    logger: { warn: () => undefined }
  })
  const records = { 't-0': [{ ...good, offset: 1 }, spoiled, { ...good, offset: 3 }] }
  assert.deepEqual(await handle({ records }, contextWith(60_000)), { batchItemFailures: [] })
  assert.deepEqual(
    [seen, aside],
    [
      [
        [1, 1],
        [3, 1]
      ],
      [2]
    ]
  )
})
