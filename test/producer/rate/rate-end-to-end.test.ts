import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'

import { HttpSource, LineSplitter, streamSource } from '../../../src/producer/index.ts'
import { stage } from '../kafka.ts'

function lines(count: number, codigo: number): string {
  return Array.from({ length: count }, (_, n) => `{"n":${n},"codigo":${codigo},"truck_id":"T"}\n`).join('')
}

test('events of a topic above its limit wait, and those of other sources and topics do not wait for them', async t => {
  const { produce, topics, read } = await stage(t)
  const producer = await produce({ rate: { topics: { [topics.hot]: { recordsPerSecond: 50, burstMs: 100 } } } })
  const startedMs = performance.now()
  const limited = producer.run(streamSource(Readable.from([Buffer.from(lines(30, 400))])))
  const free = await producer.run(streamSource(Readable.from([Buffer.from(lines(5000, 300))])))
  assert.equal(free.progress.eventCount, 5000)
  assert.ok(producer.status().totals.deliveredCount < 5030, 'the limited source is still at it')
  await limited
  // 30 records at 50 a second, of a bucket that starts empty.
  assert.ok(performance.now() - startedMs >= 599)
  assert.deepEqual(
    (await read(topics.hot)).map(record => JSON.parse(record.value.toString()).n),
    [...Array(30).keys()]
  )
  assert.ok(producer.status().throttledMs > 400)
})

test('a stream above the limit is shed with a count, and its position goes on', async t => {
  const { produce, topics, read } = await stage(t)
  const producer = await produce({ rate: { recordsPerSecond: 100, burstMs: 200, whenExceeded: 'shed' } })
  const source = streamSource(Readable.from([Buffer.from(lines(5000, 300))]))
  const report = await producer.run(source)
  const { totals } = producer.status()
  assert.equal(report.error, undefined)
  assert.equal(totals.shedCount + totals.deliveredCount, 5000)
  assert.ok(totals.shedCount > 4000, `${totals.shedCount}`)
  assert.equal((await read(topics.cold)).length, totals.deliveredCount)
  assert.equal(report.progress.safeBytes, report.progress.readBytes)
})

test('events of a topic above its limit are shed one by one, the others of the chunk pass in order', async t => {
  const { produce, topics, read } = await stage(t)
  // The bucket starts empty.
  const limit = { recordsPerSecond: 1, burstMs: 60_000, whenExceeded: 'shed' as const }
  const producer = await produce({ rate: { topics: { [topics.hot]: limit } } })
  const chunk = new LineSplitter(1000).push(Buffer.from(lines(1, 300) + lines(2, 400) + lines(1, 300)))
  assert.ok(chunk !== undefined)
  const submission = await producer.submit(chunk, { source: 'test' })
  const settlement = await submission.settled
  assert.equal(settlement.shedCount, 2)
  assert.deepEqual([...settlement.outcomes], [1, 6, 6, 1])
  assert.ok((submission.retryAfterMs ?? 0) > 0 && (submission.retryAfterMs ?? 0) <= 1000)
  assert.equal((await read(topics.cold)).length, 2)
})

test('a request above the rate is refused as a whole; one within it is taken even beyond the burst', async t => {
  const { produce, topics, read } = await stage(t)
  const producer = await produce({ rate: { recordsPerSecond: 200, burstMs: 50, whenExceeded: 'shed' } })
  const source = new HttpSource({ host: '127.0.0.1', port: 0, bodyBytesMax: 1_000_000, pendingBytesMax: 4_000_000 })
  void producer.run(source)
  const { port } = await source.listening
  const post = (count: number): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines(count, 300)
    })
  const refused = await post(40) // a bucket starts empty
  assert.equal(refused.status, 429)
  assert.equal(refused.headers.get('retry-after'), '1')
  assert.deepEqual(await refused.json(), {
    error: {
      code: 'ERR_PRODUCER_RATE_EXCEEDED',
      message: 'more events than the rate limit allows: send the same request again later'
    },
    accepted: 0,
    shedCount: 40
  })
  await new Promise(resolve => setTimeout(resolve, 60))
  const startedMs = performance.now()
  const taken = await post(40)
  assert.equal(taken.status, 202)
  assert.ok(performance.now() - startedMs >= 140, 'what is above the burst of 10 passes over time')
  assert.equal((await read(topics.cold)).length, 40)
})
