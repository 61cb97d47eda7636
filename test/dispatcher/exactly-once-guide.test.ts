/** The example of docs/guides/exactly-once.md is run as it stands there. */

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as tick } from 'node:timers/promises'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster, Fetcher } from '../../src/client/index.ts'
import { parsePipeline } from '../../src/config/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { RecordCursor } from '../../src/protocol/index.ts'
import { createTarget } from '../../src/targets/index.ts'

const guide = path.join(import.meta.dirname, '../../docs/guides/exactly-once.md')

async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 30_000
  while (!condition()) {
    assert.ok(performance.now() < endMs, 'not within half a minute')
    await tick(5)
  }
}

function block(text: string, language: string): string {
  const found = new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'm').exec(text)?.[1]
  assert.ok(found !== undefined, `no block of ${language}`)
  return found
}

test('the example of the guide writes positions and alerts', { timeout: 60_000 }, async t => {
  const text = await readFile(guide, 'utf8')
  const folder = await mkdtemp(path.join(tmpdir(), 'comporta-guide-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await writeFile(path.join(folder, 'transform.mjs'), block(text, 'js'))
  const { dispatcher: config, topics } = parsePipeline(block(text, 'yaml'), { fileName: 'guide', environment: {} })
  assert.ok(config !== undefined)

  const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const wanted = Object.keys(topics).map(topic => ({ topic, partitionCount: 2 }))
  await new Admin(cluster).createTopics(wanted)
  const appender = new Appender({ cluster })
  for (const speed of [60, 130, 100]) {
    const event = { truck_id: 'T-1', lat: -23.5, lon: -46.6, speed_kmh: speed }
    const record = { topic: 'truck-events', key: Buffer.from('T-1'), value: Buffer.from(JSON.stringify(event)) }
    appender.append(record, { delivered: () => undefined, failed: error => assert.fail(error) })
  }
  await appender.close()

  const target = await createTarget(config.target, { cluster, baseDir: folder })
  const dispatcher = await startDispatcher({ config, cluster, target })
  t.after(async () => {
    await dispatcher.close()
    await target.close()
  })
  const read: string[] = []
  const fetcher = new Fetcher({
    cluster,
    isReadCommitted: true,
    onPartitionError: ({ error }) => assert.fail(error),
    onRecords: ({ topic, records }) => {
      const cursor = new RecordCursor()
      cursor.reset(records)
      while (cursor.nextBatch()) while (cursor.nextRecord()) read.push(`${topic} ${cursor.value()?.toString()}`)
    }
  })
  t.after(() => fetcher.close())
  for (const topic of ['truck-positions', 'truck-alerts']) {
    for (const partition of [0, 1]) fetcher.add({ topic, partition, offset: 0n })
  }
  fetcher.start()
  await until(() => read.length >= 4)

  const position = 'truck-positions {"truck":"T-1","lat":-23.5,"lon":-46.6}'
  assert.deepEqual(read.toSorted(), ['truck-alerts {"truck":"T-1","kmh":130}', position, position, position])
})
