/** What a producer says of itself on its metrics port, and of its settings when it starts. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import type { ProducerStatus } from '../../src/producer/index.ts'
import { startComporta, temporaryFolder } from '../support/comporta.ts'

test('heavy hitters are named in /describe, counted in the metrics, and in no log line', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  await new Admin(cluster).createTopics(['heavy', 'light', 'dead'].map(topic => ({ topic, partitionCount: 1 })))
  await cluster.close()
  const cwd = temporaryFolder(t)
  writeFileSync(
    join(cwd, 'comporta.yaml'),
    `name: x
kafka: { bootstrapServers: "${broker.bootstrapServers}" }
producer:
  sources: [{ type: http, port: 0 }]
  route:
    topic: trucks
    split: { trucks: { field: codigo, heavy: [1], topics: { heavy: heavy, light: light } } }
    detector: { eventsMin: 100 }
  key: { strategy: field, field: codigo, subKeys: { keys: [1], count: 2 } }
  deadLetterTopic: dead
`
  )
  const produce = await startComporta(t, ['produce', '--metrics-port', '0', '--json'], { cwd, until: /"metrics"/ })
  const { metrics, events } = JSON.parse(/^\{.*"metrics".*$/m.exec(produce.output())?.[0] ?? '') as Record<
    string,
    string
  >
  const body = Array.from({ length: 200 }, (_, n) => ({ n, codigo: n % 2 === 0 ? 987_654 : n }))
  const response = await fetch(String(events), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body)
  })
  assert.equal(response.status, 202)
  const status = (await (await fetch(new URL('/describe', metrics))).json()) as ProducerStatus
  assert.deepEqual(status.heavy, [
    {
      topic: 'trucks',
      field: 'codigo',
      eventCount: 200,
      heavy: [{ value: '987654', share: 0.5, errorShare: 0, isMoved: false }]
    }
  ])
  const text = await (await fetch(new URL('/metrics', metrics))).text()
  assert.match(text, /comporta_producer_heavy_values\{[^}]*topic="trucks"[^}]*\} 1\n/)
  assert.match(text, /comporta_producer_heaviest_share\{[^}]*topic="trucks"[^}]*\} 0\.5\n/)
  assert.doesNotMatch(text + produce.output(), /987654/)
  assert.match(produce.output(), /records of a hot key lose their order/)
})
