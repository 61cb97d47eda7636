import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { FilePool } from '../../../src/broker/log/file-pool.ts'
import { mapLimited } from '../../../src/broker/log/map-limited.ts'
import { Segment } from '../../../src/broker/log/segment.ts'
import { IndexCache } from '../../../src/broker/log/segment-indexes.ts'
import { batchOfCount, FaultyDisk, openLog, readAll, systemError, temporaryFolder } from './support.ts'

test('no more files stay open than allowed, and those in use are not closed', async t => {
  const folder = await temporaryFolder(t)
  const pool = new FilePool({ openMax: 2 })
  const paths = [0, 1, 2, 3, 4].map(index => path.join(folder, String(index)))
  for (const file of paths) await pool.create(file)
  assert.equal(pool.openCount, 2)

  const buffer = Buffer.alloc(1)
  await Promise.all(
    paths.map(file =>
      pool.use(file, async open => {
        await open.write([Buffer.from('x')], 0)
        assert.equal(await open.read(buffer, 0), 1)
      })
    )
  )

  assert.ok(pool.openCount <= 2)
  await pool.close()
  assert.equal(pool.openCount, 0)
})

test('a file that is not there is not made by reading it, and can be opened once it is', async t => {
  const file = path.join(await temporaryFolder(t), 'late')
  const pool = new FilePool()

  await assert.rejects(
    pool.use(file, () => Promise.resolve()),
    { code: 'ENOENT' }
  )
  await fs.writeFile(file, 'x')

  assert.equal(await pool.use(file, open => open.read(Buffer.alloc(1), 0)), 1)
  await pool.close()
})

test('indexes of old segments take a bounded part of memory and are right when they come back', async t => {
  const config = { segmentBytes: 4000, indexIntervalBytes: 0 }
  const folder = await temporaryFolder(t)
  const log = await openLog(t, { folder, config, indexBytesMax: 100 })
  for (let count = 0; count < 100; count++) await log.append(batchOfCount(1, 'x'.repeat(200)))
  await log.flush()

  for (const from of [90n, 5n, 50n, 20n, 70n]) {
    assert.equal((await readAll(log, from)).length, 100 - Number(from))
    assert.equal((await log.offsetForTimestamp(0n))?.offset, 0n)
  }

  const pool = new FilePool()
  const cache = new IndexCache(pool, 400)
  const names = (await fs.readdir(folder)).filter(name => name.endsWith('.log'))
  const segments = names.map(name => new Segment(folder, BigInt(name.slice(0, 20)), 0))
  for (const segment of segments) {
    segment.sizeBytes = (await fs.stat(segment.logPath)).size
    await cache.of(segment)
  }
  assert.ok(segments.length > 5)
  assert.ok(cache.sizeBytes <= 400, `${cache.sizeBytes}`)
  assert.equal(segments.filter(segment => segment.indexes !== undefined).length < segments.length, true)
  await pool.close()
})

test('a disk that cannot be read is an error code, not an exception', async t => {
  const disk = new FaultyDisk()
  const log = await openLog(t, { folder: await temporaryFolder(t), disk })
  await log.append(batchOfCount(1))

  disk.read = () => Promise.reject(systemError('EIO'))

  assert.equal((await log.read(0n, 100)).errorCode, 56)
})

test('a log whose files go away is neither flushed nor read, and says so with a code', async t => {
  const folder = await temporaryFolder(t)
  const log = await openLog(t, { folder })
  await log.append(batchOfCount(1))

  await log.abandon()
  await fs.rm(folder, { recursive: true })
  await log.flush()

  assert.equal(log.isOffline, false)
  assert.equal((await log.read(0n, 100)).errorCode, 3)
  assert.equal((await log.deleteRecords(1n)).errorCode, 1)
})

test('work over many items runs at most so many at once, and answers in order', async () => {
  let running = 0
  let most = 0

  const results = await mapLimited([5, 1, 4, 2, 3], 2, async item => {
    running += 1
    most = Math.max(most, running)
    for (let turn = 0; turn < item; turn++) await Promise.resolve()
    running -= 1
    return item * 10
  })

  assert.deepEqual(results, [50, 10, 40, 20, 30])
  assert.equal(most, 2)
})
