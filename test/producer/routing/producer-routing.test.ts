/** Routing, validation and the escape hatch in a running producer, on a real broker. */

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { HttpSource, LineSplitter, startProducer } from '../../../src/producer/index.ts'
import { PipelineError } from '../../../src/core/index.ts'
import { producerConfig } from '../../../src/config/index.ts'
import { uniqueName } from '../../support/cluster.ts'
import { createTopic, HOT_PARTITIONS, stage } from '../kafka.ts'

function chunkOf(events: readonly object[]): NonNullable<ReturnType<LineSplitter['push']>> {
  const chunk = new LineSplitter(1_000_000).push(
    Buffer.from(events.map(event => `${JSON.stringify(event)}\n`).join(''))
  )
  assert.ok(chunk)
  return chunk
}

async function moduleOf(t: TestContext, code: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-partitioner-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'partitioner.mjs')
  await writeFile(file, code)
  return file
}

test('invalid events go to the error topic of their topic, with reasons and without contents', async t => {
  const { cluster, topics, read, produce, config } = await stage(t)
  const errors = uniqueName('errors')
  await createTopic(cluster, { name: errors, numPartitions: 1, config: {} })
  const schema = { type: 'object', properties: { speed: { type: 'number', maximum: 200 } } }
  const validate = {
    ...config().validate,
    topics: { [topics.hot]: { schema, required: ['truck_id'], errorTopic: errors } }
  }
  const producer = await produce({ validate })
  const submission = await producer.submit(
    chunkOf([
      { codigo: 400, truck_id: 'T-1', speed: 80 },
      { codigo: 400, truck_id: 'T-1', speed: 'fast' },
      { codigo: 9, truck_id: 'T-1', speed: 'fast' }
    ]),
    { source: 'test' }
  )
  const { deliveredCount, deadLetteredCount } = await submission.settled
  assert.deepEqual([deliveredCount, deadLetteredCount], [2, 1])
  const [letter, ...more] = await read(errors)
  assert.equal(more.length, 0)
  assert.equal(letter?.headers['comporta-error-class'], 'invalid')
  assert.equal(letter.headers['comporta-error-reason'], `not valid for ${topics.hot}: /speed type`)
  assert.equal(letter.headers['comporta-error-rules'], '[{"path":"/speed","keyword":"type"}]')
  assert.equal(letter.value.toString(), '{"codigo":400,"truck_id":"T-1","speed":"fast"}')
  assert.equal((await read(topics.dead)).length, 0)
})

test('a refusal over HTTP lists the broken rules of each event', async t => {
  const { topics, produce, config } = await stage(t)
  const check = { required: ['truck_id', 'at'] }
  const producer = await produce({ validate: { ...config().validate, topics: { [topics.hot]: check } } })
  const source = new HttpSource({ host: '127.0.0.1', port: 0, bodyBytesMax: 1_000_000, pendingBytesMax: 1_000_000 })
  void producer.run(source)
  const { port } = await source.listening
  const response = await fetch(`http://127.0.0.1:${port}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: '{"codigo":400,"truck_id":"T","at":1}\n{"codigo":400,"truck_id":"T"}\n'
  })
  assert.equal(response.status, 400)
  const body = (await response.json()) as { accepted: number; rejected: unknown[] }
  assert.equal(body.accepted, 1)
  assert.deepEqual(body.rejected, [
    { line: 2, reason: `not valid for ${topics.hot}: /at required`, broken: [{ path: '/at', keyword: 'required' }] }
  ])
})

test('a custom partitioner places records; what it throws or answers wrongly is one dead letter', async t => {
  const { topics, read, produce } = await stage(t)
  const code = `export function partition({ key, partitionCount }) {
    if (String(key) === 'throws') throw new RangeError('secret')
    if (String(key) === 'beyond') return partitionCount
    return partitionCount - 1
  }`
  const producer = await produce({ partitioner: { file: await moduleOf(t, code) } })
  const events = ['a', 'b', 'throws', 'beyond', 'c'].map(truck_id => ({ codigo: 400, truck_id }))
  const submission = await producer.submit(chunkOf(events), { source: 'test' })
  const settlement = await submission.settled
  assert.deepEqual([settlement.deliveredCount, settlement.deadLetteredCount], [3, 2])
  assert.deepEqual(
    (await read(topics.hot)).map(({ partition, key }) => [partition, key]),
    ['a', 'b', 'c'].map(key => [HOT_PARTITIONS - 1, key])
  )
  const reasons = (await read(topics.dead)).map(({ headers }) => headers['comporta-error-reason'])
  const range = `not a whole number from 0 to ${HOT_PARTITIONS - 1}`
  assert.deepEqual(reasons, [
    'the partitioner threw RangeError',
    `the partitioner answered ${HOT_PARTITIONS}, ${range}`
  ])
})

test('a partitioner that cannot be loaded, or exports nothing, does not start', async t => {
  const { cluster, config } = await stage(t)
  for (const [file, expected] of [
    [await moduleOf(t, 'export const other = 1'), /exports no function "partition"/],
    ['/nowhere/partitioner.mjs', /cannot load \/nowhere\/partitioner\.mjs/]
  ] as const) {
    await assert.rejects(startProducer({ config: config({ partitioner: { file } }), cluster }), (error: unknown) => {
      assert.ok(PipelineError.is(error, 'ERR_CONFIG_INVALID'))
      assert.match(error.message, expected)
      return true
    })
  }
})

test('a heavy value moves while the producer runs: the light topic has all that came before, in order', async t => {
  const { cluster, topics, read } = await stage(t)
  const config = producerConfig({
    route: {
      topic: 'trucks',
      split: { trucks: { field: 'codigo', topics: { heavy: topics.hot, light: topics.cold } } },
      detector: { mode: 'move', share: 0.3, windowMs: 1000, eventsMin: 100 }
    },
    key: { strategy: 'field', field: 'codigo' },
    deadLetterTopic: topics.dead,
    delivery: { lingerMs: 1 }
  })
  const producer = await startProducer({ config, cluster })
  t.after(() => producer.close())
  const event = (n: number): object => ({ n, codigo: n % 2 === 0 ? 400 : 10_000 + n })
  let n = 0
  // Until a move was seen: at the end of the first window, whenever that is on this machine.
  while (!(producer.status().heavy?.[0]?.heavy[0]?.isMoved ?? false) && n < 2_000_000) {
    const events = Array.from({ length: 200 }, () => event((n += 1)))
    await (
      await producer.submit(chunkOf(events), { source: 'test' })
    ).settled
  }
  await (
    await producer.submit(chunkOf([event((n += 1)), event((n += 1))]), { source: 'test' })
  ).settled
  const numbers = async (topic: string): Promise<number[]> =>
    (await read(topic)).flatMap(({ key, value }) =>
      key === '400' ? (JSON.parse(value.toString()) as { n: number }).n : []
    )
  const [light, heavy] = [await numbers(topics.cold), await numbers(topics.hot)]
  assert.ok(heavy.length > 0)
  const all = [...light, ...heavy]
  assert.deepEqual(
    all,
    all.toSorted((a, b) => a - b)
  )
  assert.equal(all.length, Math.floor(n / 2))
})
