/**
 * Symptom: a broker that had no producer ids yet (COORDINATOR_LOAD_IN_PROGRESS) was asked for one without a pause.
 * Cause: the wait after a failed InitProducerId kept batches back, but not the next InitProducerId.
 * Reach: every idempotent appender, from its first record until the broker can give ids.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { systemClock } from '../../src/core/index.ts'

const LOADING = 14
const WAIT_MS = 60

test('a refused producer id is asked for again after a wait', { timeout: 20_000 }, async t => {
  const askedMs: number[] = []
  const broker = await startBroker({
    onRequest: ({ apiName }) => {
      if (apiName !== 'InitProducerId') return undefined
      askedMs.push(systemClock.monotonicMs())
      return askedMs.length <= 3 ? { errorCode: LOADING } : undefined
    }
  })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 1 }])
  const appender = new Appender({ cluster, retryBackoffMaxMs: WAIT_MS })

  await new Promise<void>((resolve, reject) => {
    const listener = { delivered: () => resolve(), failed: reject }
    appender.append({ topic: 't', key: null, value: Buffer.from('x') }, listener)
  })
  await appender.close()

  assert.equal(askedMs.length, 4)
  const gapsMs = askedMs.slice(1).map((atMs, index) => atMs - (askedMs[index] ?? 0))
  assert.ok(
    gapsMs.every(gapMs => gapMs >= WAIT_MS / 2),
    `asked again after ${gapsMs.join(', ')} ms`
  )
})
