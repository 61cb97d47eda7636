import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { encodeProducerSnapshot } from '../../../src/broker/log/producer-snapshot.ts'
import { SnapshotFiles } from '../../../src/broker/log/snapshot-files.ts'
import { batchOfCount, openLog, temporaryFolder } from './support.ts'

const NAME = '00000000000000000007.snapshot'

/**
 * Symptom: after a kill a retry of an idempotent producer was taken for a new batch.
 * Cause: a snapshot that was written again at the same offset was cut to nothing first; a kill in that moment left
 * neither the old nor the new one.
 * Reach: a flush at an offset that already has a snapshot, with the batches of the producer removed since.
 */
test('a snapshot is put in the place of the one before it, which is never changed', async t => {
  const folder = await temporaryFolder(t)
  const snapshots = new SnapshotFiles(folder)
  const before = encodeProducerSnapshot([], 0)
  await snapshots.write(7n, before)
  // A second name of the same file shows what happens to its bytes.
  await fs.link(path.join(folder, NAME), path.join(folder, 'witness'))

  await snapshots.write(7n, Buffer.from('another snapshot'))

  assert.deepEqual(await fs.readFile(path.join(folder, 'witness')), before)
  assert.equal(await fs.readFile(path.join(folder, NAME), 'utf8'), 'another snapshot')
  assert.deepEqual((await fs.readdir(folder)).toSorted(), [NAME, 'witness'])
})

test('a snapshot that a kill left half written is no snapshot, and the next start removes it', async t => {
  const folder = await temporaryFolder(t)
  const log = await openLog(t, { folder })
  await log.append(batchOfCount(7))
  await log.close()
  const torn = `${NAME}.tmp`
  await fs.writeFile(path.join(folder, torn), 'half')
  assert.deepEqual(await new SnapshotFiles(folder).offsets(), [7n])

  await openLog(t, { folder, recoveryPoint: 7n, wasCleanStop: false })

  assert.equal((await fs.readdir(folder)).includes(torn), false)
})
