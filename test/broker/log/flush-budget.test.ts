import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FlushBudget } from '../../../src/broker/log/flush-budget.ts'
import { silentLogger } from '../../../src/telemetry/index.ts'
import { batchOfCount, FaultyDisk, openLog, temporaryFolder } from './support.ts'

/**
 * Symptom: after the disk had failed one partition, all others were flushed all the time.
 * Cause: what the partition had not flushed counted, and no flush could bring that down.
 * Reach: an offline partition with more than half of the limit behind its recovery point.
 */
test('what an offline log could not flush does not have the others flushed', async t => {
  const disk = new FaultyDisk()
  const offline = await openLog(t, { folder: await temporaryFolder(t), disk })
  const sound = await openLog(t, { folder: await temporaryFolder(t) })
  const logs = [offline, sound]
  const saveRecoveryPoints = (): Promise<void> => Promise.resolve()
  const budget = new FlushBudget({ bytesMax: 10_000, logs: () => logs, saveRecoveryPoints, logger: silentLogger })
  await offline.append(batchOfCount(1, 'x'.repeat(9000)))
  disk.syncCode = 'EIO'
  await offline.flush()
  assert.equal(offline.isOffline, true)
  await sound.append(batchOfCount(1, 'x'.repeat(1500)))

  budget.noteWritten(1500)
  await budget.idle()

  assert.equal(sound.recoveryPoint, 0n)
  assert.equal(budget.unflushedBytes, sound.unflushedBytes)
  await sound.append(batchOfCount(1, 'x'.repeat(5000)))
  budget.noteWritten(5000)
  await budget.idle()
  assert.equal(sound.recoveryPoint, 2n)
})
