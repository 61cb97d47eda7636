/** A producer with a spill starts although Kafka is away: what comes goes to disk, and to Kafka when it is there. */

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { startBroker } from '../../../src/broker/index.ts'
import { Cluster } from '../../../src/client/index.ts'
import { PipelineError, sleep, systemClock } from '../../../src/core/index.ts'
import { startProducer, streamSource } from '../../../src/producer/index.ts'
import { Readable } from 'node:stream'
import { stage } from '../kafka.ts'
import { LogLines } from './log-lines.ts'
import { newSpillFolder } from './support.ts'

test('a producer that spills starts while Kafka is away, takes events, and delivers them when it comes', async t => {
  const dataDir = await mkdtemp(join(tmpdir(), 'comporta-away-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const before = await startBroker({ dataDir })
  const { bootstrapServers, port } = before
  const { config, topics, cluster: reading, read } = await stage(t, { bootstrapServers })
  await before.close()

  const connect = { bootstrapServers: [bootstrapServers], bootstrapTimeoutMs: 50 }
  await assert.rejects(Cluster.connect(connect), error => PipelineError.is(error, 'ERR_CLIENT_CONNECT_FAILED'))
  const logger = new LogLines()
  const cluster = await Cluster.connect({ ...connect, mayBeAway: true, logger })
  t.after(() => cluster.close())
  assert.equal(cluster.isKnown, false)
  const whenAway = { mode: 'spill', afterMs: 100 } as const
  const spill = { dir: await newSpillFolder(t), bytesMax: 67_108_864, segmentBytes: 1_048_576 }
  const producer = await startProducer({ config: config({ whenAway, spill }), cluster, logger })
  t.after(() => producer.close())
  const lines = Array.from({ length: 100 }, (_, n) => `{"n":${n},"codigo":400,"truck_id":"T-${n % 3}"}\n`)
  const source = streamSource(Readable.from([Buffer.from(lines.join(''))]), 'test')
  assert.equal((await producer.run(source)).error, undefined)
  assert.equal(producer.status().totals.spilledCount, 100)
  assert.equal(producer.status().outlet, 'spilling')
  assert.match(logger.textOf('warn'), /Kafka cannot be reached/)

  const after = await startBroker({ dataDir, port })
  t.after(() => after.close())
  while (producer.status().outlet !== 'up') await sleep(systemClock, 5)
  await reading.refreshMetadata()
  const numbers = (await read(topics.hot)).map(({ value }) => (JSON.parse(value.toString()) as { n: number }).n)
  assert.deepEqual(
    numbers.toSorted((left, right) => left - right),
    Array.from({ length: 100 }, (_, n) => n)
  )
  assert.equal(cluster.isKnown, true)
})
