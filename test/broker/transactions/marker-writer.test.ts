/** Markers from the coordinator of this broker into its partitions. */

import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { LogManager } from '../../../src/broker/log/index.ts'
import { PartitionMarkers } from '../../../src/broker/transactions/index.ts'
import { batchOfCount } from '../log/support.ts'

/**
 * Symptom: readers of committed records never got past a transaction that its client was told is committed.
 * Cause: the leader epoch of `__transaction_state` went back with a damaged `leader-epoch-checkpoint`. Each partition
 * knew a higher coordinator epoch and refused the marker, which was taken for somebody else's better knowledge.
 * Reach: every producer with a marker from before the damage.
 */
test('a partition that knows a higher coordinator epoch than the coordinator has gets its marker', async t => {
  const dataDir = await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-marker-'))
  const logs = await LogManager.open({ dataDir })
  t.after(async () => {
    await logs.close()
    await fs.rm(dataDir, { recursive: true, force: true })
  })
  await logs.createTopic({ name: 'orders', partitionCount: 1 })
  const log = logs.log('orders', 0)
  assert.ok(log)
  const identity = { producerId: 7n, producerEpoch: 0 }
  const batch = (baseSequence: number): Buffer =>
    batchOfCount(1, 'v', { ...identity, baseSequence, isTransactional: true })
  const proof = { transaction: { isVerified: true } }
  const marker = { ...identity, isCommit: true, transactionVersion: 0 }
  await log.append(batch(0), proof)
  await log.appendMarker({ ...marker, coordinatorEpoch: 5 })
  assert.equal((await log.append(batch(1), proof)).errorCode, 0)
  assert.equal(log.lastStableOffset, 2n)
  const groups = { completeTransaction: () => Promise.resolve('NONE' as const) }
  const markers = new PartitionMarkers({ logs, groups, signals: { markerAppended: () => undefined } })

  const error = await markers.write({ topic: 'orders', partition: 0 }, { ...marker, coordinatorEpoch: 0 })

  assert.equal(error, 'NONE')
  assert.equal(log.lastStableOffset, log.highWatermark)
  assert.equal(log.producers.get(7n)?.coordinatorEpoch, 5, 'the marker of another coordinator is still told from it')
})
