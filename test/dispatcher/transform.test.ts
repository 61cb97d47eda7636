import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'

import { SeededRandom, systemClock, VirtualClock } from '../../src/core/index.ts'
import type { RecordTable } from '../../src/dispatcher/record-table.ts'
import { loadTransform, ModuleTransform, type Transform } from '../../src/dispatcher/transform.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { tableOf, type TestRecord } from './support.ts'

const never = new AbortController().signal

function transformOf(transform: Transform, clock = new VirtualClock()): ModuleTransform {
  return new ModuleTransform({ transform, clock, random: new SeededRandom(1), logger: silentLogger, timeoutMs: 1000 })
}

function batchOf(records: readonly TestRecord[]) {
  const settlement = { withdraw: () => [], leave: () => undefined }
  return { topic: 'trucks', partition: 3, table: tableOf(100n, records), firstFailureMs: undefined, settlement }
}

async function run(transform: Transform, records: readonly TestRecord[]) {
  const batch = batchOf(records)
  const made = await transformOf(transform).transform(batch, [...records.keys()], never)
  assert.ok(made !== undefined)
  return made
}

function contents(table: RecordTable): unknown[] {
  return Array.from({ length: table.count }, (_, row) => ({
    offset: table.offset(row),
    timestampMs: table.timestampMs(row),
    key: table.key(row)?.toString() ?? null,
    value: table.value(row)?.toString() ?? null,
    headers: table.headers(row).map(({ key, value }) => [key, value?.toString() ?? null])
  }))
}

const header = { key: 'type', value: Buffer.from('x') }

test('what a transform does not name stays, offset and timestamp always', async () => {
  const made = await run(
    record => (record.offset === 101n ? { value: { codigo: 7 } } : record.offset === 102n ? { key: 'k2' } : undefined),
    [
      { key: 'a', value: '{"n":0}', headers: [header], timestampMs: 5 },
      { key: 'b', value: '{"n":1}', headers: [header], timestampMs: 6 },
      { key: null, value: null, headers: [{ key: 'empty', value: null }], timestampMs: 7 }
    ]
  )
  assert.deepEqual(contents(made.table), [
    { offset: 100n, timestampMs: 5, key: 'a', value: '{"n":0}', headers: [['type', 'x']] },
    { offset: 101n, timestampMs: 6, key: 'b', value: '{"codigo":7}', headers: [['type', 'x']] },
    { offset: 102n, timestampMs: 7, key: 'k2', value: null, headers: [['empty', null]] }
  ])
  assert.deepEqual([made.dropped, made.dead], [[], []])
})

test('bytes are taken as they are, text and objects as JSON, null as a tombstone', async () => {
  const values: readonly unknown[] = [Buffer.from([0xff, 0]), 'text', [1, 2], 7, null]
  const made = await run(
    record => ({ value: values[Number(record.offset - 100n)] }),
    values.map(() => ({ value: '1' }))
  )
  assert.deepEqual(made.table.value(0), Buffer.from([0xff, 0]))
  assert.deepEqual(
    contents(made.table)
      .map(each => (each as { value: string | null }).value)
      .slice(1),
    ['"text"', '[1,2]', '7', null]
  )
})

test('headers of any length come through', async () => {
  const long = 'x'.repeat(70_000)
  const made = await run(
    () => ({
      headers: [
        { key: long, value: Buffer.from(long) },
        { key: 'ação', value: null }
      ]
    }),
    [{}]
  )
  assert.deepEqual(made.table.headers(0), [
    { key: long, value: Buffer.from(long) },
    { key: 'ação', value: null }
  ])
})

test('null drops a record, an error puts it aside with its name, and the others go on', async () => {
  const made = await run(
    async record => {
      await Promise.resolve()
      const { n } = record.json() as { n: number }
      if (n === 1) return null
      if (n === 2) throw new RangeError('too far')
      return { value: { n: n * 10 } }
    },
    [{ value: '{"n":0}' }, { value: '{"n":1}' }, { value: '{"n":2}' }, { value: '{"n":3}' }, { value: 'no JSON' }]
  )
  assert.deepEqual(made.dropped, [1])
  assert.deepEqual(
    made.dead.map(({ row, errorClass, attempts }) => [row, errorClass, attempts]),
    [
      [2, 'RangeError', 1],
      [4, 'SyntaxError', 1]
    ]
  )
  assert.match(made.dead[0]?.reason ?? '', /^transform: too far$/)
  assert.equal(made.table.value(3)?.toString(), '{"n":30}')
})

test('while something behind the function is not available its records wait, and cost nothing', async () => {
  const clock = new VirtualClock()
  let calls = 0
  const transform = transformOf(() => {
    calls += 1
    if (calls < 20) throw Object.assign(new Error('no connection'), { retriable: true })
    return { value: { calls } }
  }, clock)
  const made = transform.transform(batchOf([{}]), [0], never)
  await clock.advance(1)
  assert.equal(transform.blockedBy, 'transform')
  for (let turn = 0; turn < 20; turn += 1) await clock.advance(10_000)
  assert.equal(transform.blockedBy, undefined)
  assert.deepEqual((await made)?.dead, [])
  assert.equal(calls, 20)
})

test('a batch that is given up leaves the wait at once', async () => {
  const giveUp = new AbortController()
  const transform = transformOf(() => Promise.reject(Object.assign(new Error('away'), { retriable: true })))
  const made = transform.transform(batchOf([{}, {}]), [0, 1], giveUp.signal)
  giveUp.abort()
  assert.equal(await made, undefined)
})

test('a function that does not answer in time has a bad record before it', async () => {
  const clock = new VirtualClock()
  const made = transformOf(() => new Promise(() => undefined), clock).transform(batchOf([{}]), [0], never)
  await clock.advance(1000)
  assert.deepEqual(
    (await made)?.dead.map(({ errorClass, reason }) => [errorClass, reason]),
    [['TransformTimeout', 'transform: the transform did not answer within 1000 ms']]
  )
})

// Symptom: the dispatcher ended over one record, and every one that took the partition over after it.
test('an output that cannot be written puts its own record aside, and no other', async () => {
  const circular: { self?: unknown } = {}
  circular.self = circular
  const outputs = [
    { value: { n: 1n } },
    { value: circular },
    { value: () => 1 },
    { headers: [{ key: 'a' }] },
    { key: 7 }
  ]
  const made = await run(
    ({ offset }) => (offset === 105n ? { value: 5 } : (outputs[Number(offset - 100n)] as { value: unknown })),
    Array.from({ length: 6 }, (_, index) => ({ key: `k${index}`, value: `{"n":${index}}` }))
  )
  assert.deepEqual(
    made.dead.map(({ row, errorClass }) => [row, errorClass]),
    [0, 1, 2, 3, 4].map(row => [row, 'TypeError'])
  )
  const [first] = contents(made.table)
  assert.deepEqual(first, { offset: 100n, timestampMs: 1_700_000_000_000, key: 'k0', value: '{"n":0}', headers: [] })
  assert.equal(made.table.value(5)?.toString(), '5')
})

test('a promise of another make is waited for', async () => {
  // Of another realm: no `instanceof` tells it from a plain object.
  const foreign = runInNewContext(`Promise.resolve({ value: 'made' })`) as Promise<{ value: unknown }>
  const made = await run(() => foreign, [{ value: '1' }])
  assert.equal(made.table.value(0)?.toString(), '"made"')
})

// Symptom: a function that came back after its time read the bytes of other records.
test('memory that a late function may still look at is not used again', async () => {
  const clock = new VirtualClock()
  const batch = batchOf([{}])
  let releases = 0
  batch.table.hold({ retain: () => undefined, release: () => (releases += 1) })
  const made = transformOf(() => new Promise(() => undefined), clock).transform(batch, [0], never)
  await clock.advance(1000)
  await made
  batch.table.reset(0n)
  assert.equal(releases, 0)
})

test('at most so many records are worked on at once as allowed', async () => {
  let open = 0
  let most = 0
  const transform: Transform = async () => {
    open += 1
    most = Math.max(most, open)
    await new Promise(resolve => setImmediate(resolve))
    open -= 1
    return undefined
  }
  const runner = new ModuleTransform({
    transform,
    clock: systemClock,
    random: new SeededRandom(1),
    logger: silentLogger,
    concurrency: 3
  })
  const records = Array.from({ length: 20 }, () => ({}))
  await runner.transform(batchOf(records), [...records.keys()], never)
  assert.equal(most, 3)
})

test('a module without a transform is named, with what is missing', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-transform-'))
  t.after(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'good.mjs'), 'export const transform = record => ({ key: record.key })')
  await writeFile(join(folder, 'bad.mjs'), 'export default () => undefined')
  assert.equal(typeof (await loadTransform('good.mjs', folder)), 'function')
  for (const [file, message] of [
    ['bad.mjs', /has no exported function "transform"/],
    ['none.mjs', /cannot be imported/]
  ] as const) {
    await assert.rejects(loadTransform(file, folder), { code: 'ERR_DISPATCHER_TRANSFORM_INVALID', message })
  }
})
