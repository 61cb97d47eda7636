import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { encodeProducerSnapshot } from '../../../src/broker/log/producer-snapshot.ts'
import { SnapshotFiles } from '../../../src/broker/log/snapshot-files.ts'
import { batchOfCount, FaultyDisk, openLog, temporaryFolder } from './support.ts'

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

/**
 * Symptom: an append was refused with KAFKA_STORAGE_ERROR, or the partition went offline until the next start, with
 * "ENOENT: … rename '….snapshot.tmp'" on a sound disk. Found by the crash fuzzer.
 * Cause: a flush and a roll at the same offset wrote the same temporary file at the same time; the one that came first
 * took it away from the other.
 * Reach: any topic: the batch that fills a segment comes while all before it are being flushed. A quiet moment before
 * the roll is enough, and compaction begins with a flush.
 */
test('two snapshots of one offset that are asked for at once are written one after the other', async t => {
  const folder = await temporaryFolder(t)
  const snapshots = new SnapshotFiles(folder)

  await Promise.all([snapshots.write(7n, Buffer.from('of the flush')), snapshots.write(7n, Buffer.from('of the roll'))])

  assert.equal(await fs.readFile(path.join(folder, NAME), 'utf8'), 'of the roll')
  assert.deepEqual(await fs.readdir(folder), [NAME])
})

test('a snapshot that cannot be written does not keep the next one from being written', async t => {
  const folder = await temporaryFolder(t)
  const snapshots = new SnapshotFiles(folder)
  const inTheWay = path.join(folder, `${NAME}.tmp`)
  await fs.mkdir(inTheWay)

  const first = snapshots.write(7n, Buffer.from('first'))
  const other = snapshots.write(8n, Buffer.from('other'))
  await assert.rejects(first, { code: 'EISDIR' })
  await other
  await fs.rmdir(inTheWay)
  await snapshots.write(7n, Buffer.from('second'))

  assert.deepEqual(await snapshots.offsets(), [7n, 8n])
})

test('a roll beside a flush at the same offset: both come to their end', async t => {
  const disk = new FaultyDisk()
  const folder = await temporaryFolder(t)
  const log = await openLog(t, { folder, disk, config: { segmentBytes: 200 } })
  await log.append(batchOfCount(1))
  await log.flush()
  await log.append(batchOfCount(1))
  // The flush has synced the last file before its snapshot, the roll has made the last file before its own.
  const isFlushing = Promise.withResolvers<undefined>()
  const meeting = Promise.withResolvers<undefined>()
  let arrivedCount = 0
  const meet = (): Promise<undefined> => {
    arrivedCount += 1
    if (arrivedCount === 2) meeting.resolve(undefined)
    return meeting.promise
  }
  const { sync, open } = { sync: disk.sync.bind(disk), open: disk.open.bind(disk) }
  let syncCount = 0
  disk.sync = async (fd: number): Promise<void> => {
    await sync(fd)
    syncCount += 1
    isFlushing.resolve(undefined)
    if (syncCount === 3) await meet()
  }
  disk.open = async (file: string, mayCreate: boolean): Promise<number> => {
    const fd = await open(file, mayCreate)
    if (mayCreate && file.endsWith('00000000000000000002.timeindex')) await meet()
    return fd
  }

  const flushing = log.flush()
  await isFlushing.promise
  const third = log.append(batchOfCount(1))
  await flushing

  assert.equal((await third).errorCode, 0)
  assert.equal(arrivedCount, 2)
  assert.equal(log.segmentCount, 2)
  assert.equal(log.isOffline, false)
  assert.equal(log.recoveryPoint, 2n)
})
