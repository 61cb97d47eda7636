/** Segments that are removed while somebody else works on the log. */

import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { VirtualClock } from '../../../src/core/index.ts'
import { systemFolder } from '../../../src/broker/log/segment-swap.ts'
import { openCleanable } from './cleaner/support.ts'
import { batchOf, FaultyDisk, openLog, readAll, START_MS, systemError, temporaryFolder } from './support.ts'

/** A promise that the test settles. */
function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => undefined
  const passed = new Promise<void>(resolve => (open = resolve))
  return { passed, open: () => open() }
}

test('two DeleteRecords at a time remove what lies below the larger offset, once', async t => {
  // Symptom: records above the offset were gone. Cause: both counted the segments below it before the first had
  // removed them, so twice as many went.
  const log = await openLog(t, { folder: await temporaryFolder(t), config: { segmentBytes: 100 } })
  for (let index = 0; index < 10; index++) await log.append(batchOf([{ value: `v${index}` }]))
  assert.equal(log.segmentCount, 10)

  await Promise.all([log.deleteRecords(3n), log.deleteRecords(4n)])

  assert.equal(log.logStartOffset, 4n)
  assert.deepEqual(
    (await readAll(log, 4n)).map(([, value]) => value),
    ['v4', 'v5', 'v6', 'v7', 'v8', 'v9']
  )
})

test('retention that comes during a swap of segments removes only what has expired', async t => {
  // Symptom: records that had not expired were gone. Cause: the segments to remove were counted before the swap made
  // one of many, and removed after it.
  const held = gate()
  const swapping = gate()
  const operations = {
    ...systemFolder,
    syncFolder: async (folder: string): Promise<void> => {
      swapping.open()
      await held.passed
      await systemFolder.syncFolder(folder)
    }
  }
  const config = { isDeleted: true, retentionMs: 1000, segmentBytes: 250 }
  const folder = await temporaryFolder(t)
  const { log, cleaner, clock } = await openCleanable(t, { folder, config, operations })
  for (let index = 0; index < 6; index++) await log.append(batchOf([{ key: 'same', value: 'x'.repeat(100) }]))
  for (let index = 0; index < 6; index++) {
    await log.append(batchOf([{ key: `k${index}`, value: 'y'.repeat(100), timestampMs: START_MS + 2000 }]))
  }
  // From now on many of them fit into one.
  log.setConfig({ ...log.config, segmentBytes: 10_000 })
  const cleaning = cleaner.cleanAll()
  await swapping.passed
  await clock.advance(1500)
  const removing = log.applyRetention()
  held.open()
  await Promise.all([cleaning, removing])

  const young = (await readAll(log, log.logStartOffset)).filter(([, value]) => value.startsWith('y'))
  assert.equal(young.length, 6)
})

test('a segment that is begun during a flush does not fail the flush', async t => {
  // Symptom: the partition went offline, "no such file or directory, open …log". Cause: the flush took the segment
  // that begins at its end for one of its own, before its files were made.
  const disk = new FaultyDisk()
  const held = gate()
  const sync = disk.sync.bind(disk)
  let syncCount = 0
  disk.sync = async (fd: number): Promise<void> => {
    syncCount += 1
    // That of the roll; the flush goes on beside it.
    if (syncCount === 1) await held.passed
    return sync(fd)
  }
  const config = { segmentBytes: 100, flushMessages: 100 }
  const log = await openLog(t, { folder: await temporaryFolder(t), disk, config })
  await log.append(batchOf([{ value: 'first' }]))

  const flushing = log.flush()
  // What is to be flushed is decided now, and the second batch comes before the first is made durable.
  await Promise.resolve()
  await Promise.resolve()
  const second = log.append(batchOf([{ value: 'second' }]))
  await flushing
  held.open()

  assert.equal((await second).errorCode, 0)
  assert.equal(log.isOffline, false)
  assert.equal(log.recoveryPoint, 1n)
})

test('retention frees space although the disk is too full for its own notes', async t => {
  // Symptom: on a full disk retention freed nothing until a restart, which brought the records back. Cause: the
  // leader epochs were written before the files were removed, and the segments forgotten before both.
  const folder = await temporaryFolder(t)
  const log = await openLog(t, { folder, config: { segmentBytes: 100, retentionBytes: 150 } })
  for (let index = 0; index < 6; index++) await log.append(batchOf([{ value: `v${index}` }]))
  // The temporary file of the leader epochs cannot be made.
  await fs.mkdir(path.join(folder, 'leader-epoch-checkpoint.tmp'))

  await log.applyRetention().catch(() => undefined)

  const names = (await fs.readdir(folder)).filter(name => name.endsWith('.log'))
  assert.equal(names.length, log.segmentCount)
  assert.ok(names.length < 6)
})

/** The real disk, of which one read of one segment can be held. */
class HeldDisk extends FaultyDisk {
  readonly held = gate()
  readonly reading = gate()
  holds = false
  readonly #file: string
  readonly #descriptors = new Set<number>()

  constructor(baseOffset: number) {
    super()
    this.#file = `${String(baseOffset).padStart(20, '0')}.log`
  }

  override async open(file: string, mayCreate: boolean): Promise<number> {
    const fd = await super.open(file, mayCreate)
    if (file.endsWith(this.#file)) this.#descriptors.add(fd)
    else this.#descriptors.delete(fd)
    return fd
  }

  override async read(fd: number, buffer: Buffer, position: number): Promise<number> {
    if (this.holds && this.#descriptors.has(fd)) {
      this.holds = false
      this.reading.open()
      await this.held.passed
    }
    return super.read(fd, buffer, position)
  }
}

test('a log whose segments are removed while it is compacted is compacted later', async t => {
  // Symptom: "a log cannot be compacted and is left alone until the broker starts again". Cause: the missing file of
  // a segment that retention had removed was taken for damage.
  const disk = new HeldDisk(0)
  const config = { isDeleted: true, segmentBytes: 600, retentionMs: 1000 }
  const folder = await temporaryFolder(t)
  const { log, cleaner, clock } = await openCleanable(t, { folder, config, disk, settings: { chunkBytes: 200 } })
  for (let index = 0; index < 3; index++) await log.append(batchOf([{ value: 'x'.repeat(100) }]))
  for (let index = 0; index < 7; index++) {
    await log.append(batchOf([{ value: 'y'.repeat(100), timestampMs: START_MS + 10_000 }]))
  }

  disk.holds = true
  const cleaning = cleaner.cleanAll()
  await disk.reading.passed
  await clock.advance(1500)
  assert.equal(await log.applyRetention(), 1)
  disk.held.open()
  await cleaning
  assert.equal(cleaner.status.uncleanableCount, 0)
  await cleaner.cleanAll()

  // The last of the compacted part, and that of the active segment.
  assert.deepEqual(
    (await readAll(log, log.logStartOffset)).map(([offset]) => offset),
    [8n, 9n]
  )
})

test('compaction looks at every segment although retention removes others meanwhile', async t => {
  // Symptom: segments were taken for compacted whose keys nobody had looked at; of a tombstone in one of them only its
  // end was kept, and the deleted value came back. Cause: the list that was walked lost its head.
  const disk = new HeldDisk(3)
  const config = { isDeleted: true, segmentBytes: 200, retentionMs: 1000 }
  const folder = await temporaryFolder(t)
  const { log, cleaner, clock } = await openCleanable(t, { folder, config, disk })
  for (let index = 0; index < 2; index++) await log.append(batchOf([{ value: 'x'.repeat(100) }]))
  for (const key of ['a', 'b', 'a', 'b', 'c', 'd', 'e']) {
    await log.append(batchOf([{ key, value: 'y'.repeat(100), timestampMs: START_MS + 10_000 }]))
  }

  disk.holds = true
  const cleaning = cleaner.cleanAll()
  await disk.reading.passed
  await clock.advance(1500)
  assert.equal(await log.applyRetention(), 2)
  disk.held.open()
  await cleaning
  await cleaner.cleanAll()

  assert.deepEqual(
    (await readAll(log, log.logStartOffset)).map(([offset]) => offset),
    [4n, 5n, 6n, 7n, 8n]
  )
})

test('a lookup by time goes on with what is left when retention removes what it looks at', async t => {
  // Symptom: KAFKA_STORAGE_ERROR and "no such file or directory" for a seek to an old time.
  const disk = new HeldDisk(0)
  const clock = new VirtualClock(START_MS)
  const config = { segmentBytes: 100, retentionMs: 1000 }
  const log = await openLog(t, { folder: await temporaryFolder(t), disk, clock, config })
  for (const timestampMs of [START_MS, START_MS, START_MS + 5000, START_MS + 6000]) {
    await log.append(batchOf([{ timestampMs }]))
  }

  disk.holds = true
  const found = log.offsetForTimestamp(BigInt(START_MS))
  await disk.reading.passed
  await clock.advance(1500)
  assert.equal(await log.applyRetention(), 2)
  disk.held.open()

  assert.equal((await found)?.offset, 2n)
})

test('a log that a torn swap has taken offline removes no files before the next start', async t => {
  // Symptom: all that was compacted was gone. Cause: the compacted log had the name of the oldest segment already, and
  // DeleteRecords removed that one, of which the list still knew nothing else.
  const operations = {
    ...systemFolder,
    rename: (from: string, to: string): void => {
      if (from.endsWith('.timeindex.swap')) throw systemError('EIO')
      systemFolder.rename(from, to)
    }
  }
  const folder = await temporaryFolder(t)
  const { log, cleaner } = await openCleanable(t, {
    folder,
    config: { isDeleted: true, segmentBytes: 200 },
    operations
  })
  for (const key of ['a', 'a', 'b', 'c', 'd', 'e']) await log.append(batchOf([{ key, value: key.repeat(100) }]))
  log.setConfig({ ...log.config, segmentBytes: 10_000 })
  await cleaner.cleanAll()
  assert.equal(log.isOffline, true)

  await log.deleteRecords(1n)
  await cleaner.close()
  await log.close()
  const again = await openCleanable(t, { folder, logStartOffset: 1n })

  assert.deepEqual(
    (await readAll(again.log, 1n)).map(([offset]) => offset),
    [1n, 2n, 3n, 4n, 5n]
  )
})

test('segments that the disk does not let go are removed later', async t => {
  // Symptom: space of old segments was not freed, and their records were back after a restart. Cause: the first file
  // that could not be removed ended the removal, and the log had forgotten the segments by then.
  let errorCode: string | undefined = 'EROFS'
  const operations = {
    ...systemFolder,
    remove: (file: string): Promise<void> =>
      errorCode === undefined ? systemFolder.remove(file) : Promise.reject(systemError(errorCode))
  }
  const folder = await temporaryFolder(t)
  const { log } = await openCleanable(t, { folder, config: { segmentBytes: 100 }, operations })
  for (let index = 0; index < 5; index++) await log.append(batchOf([{ value: `v${index}` }]))
  const logFiles = async (): Promise<number> => (await fs.readdir(folder)).filter(name => name.endsWith('.log')).length

  assert.equal((await log.deleteRecords(3n)).errorCode, 0)
  assert.equal(await logFiles(), 5)
  errorCode = undefined
  await log.applyRetention()

  assert.equal(await logFiles(), 2)
  assert.deepEqual(
    (await readAll(log, 3n)).map(([, value]) => value),
    ['v3', 'v4']
  )
})
