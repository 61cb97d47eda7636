import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'

import { streamSource } from '../../../src/producer/index.ts'
import { stage } from '../kafka.ts'

test('events above the rate are safe on disk at once, and go to Kafka in order at the rate', async t => {
  const { produce, topics, read } = await stage(t)
  const dir = await mkdtemp(join(tmpdir(), 'comporta-rate-'))
  const producer = await produce({
    rate: { recordsPerSecond: 1000, burstMs: 100, whenExceeded: 'spill' },
    whenAway: { mode: 'spill' },
    spill: { dir, bytesMax: 33_554_432, segmentBytes: 1_048_576 },
    delivery: { lingerMs: 1, bufferBytes: 1_048_576 }
  })
  t.after(() => rm(dir, { recursive: true, force: true }))
  const count = 1500
  const lines = Array.from({ length: count }, (_, n) => `{"n":${n},"codigo":300,"truck_id":"T"}\n`).join('')
  const startedMs = performance.now()
  const report = await producer.run(streamSource(Readable.from([Buffer.from(lines)])))
  assert.equal(report.error, undefined)
  assert.equal(report.progress.safeBytes, report.progress.readBytes)
  const { totals } = producer.status()
  assert.ok(totals.spilledCount > 1000, `${totals.spilledCount}`)
  assert.ok(performance.now() - startedMs < 1000, 'the source does not wait')

  let stored = await read(topics.cold)
  while (stored.length < count) {
    const seconds = (performance.now() - startedMs) / 1000
    assert.ok(stored.length <= 1000 * (seconds + 0.1) + 1, `${stored.length} after ${seconds} s`)
    assert.ok(seconds < 10, `${stored.length} after ${seconds} s`)
    await new Promise(resolve => setTimeout(resolve, 50))
    stored = await read(topics.cold)
  }
  assert.ok(performance.now() - startedMs >= 1400)
  assert.deepEqual(
    stored.map(record => (JSON.parse(record.value.toString()) as { n: number }).n),
    [...Array(count).keys()]
  )
})
