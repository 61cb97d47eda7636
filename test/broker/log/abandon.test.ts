/** The files of a log that is given up: nobody may write them afterwards, for their names are free for another log. */

import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { turn } from '../../../src/core/index.ts'
import { batchOf, batchOfCount, cleanUp, FaultyDisk, openLog, START_MS, temporaryFolder } from './support.ts'

const FIRST = '00000000000000000000'

/** A disk whose next write to, or read from, a kind of file takes until `release`. */
class StalledDisk extends FaultyDisk {
  stalled: { readonly call: 'read' | 'write'; readonly suffix: string } | undefined
  readonly isStalling: Promise<void>
  release: () => void = () => undefined
  readonly #held: Promise<void>
  #noteStall: () => void = () => undefined
  readonly #names = new Map<number, string>()

  constructor() {
    super()
    this.isStalling = new Promise(resolve => (this.#noteStall = resolve))
    this.#held = new Promise(resolve => (this.release = resolve))
  }

  override async open(file: string, mayCreate: boolean): Promise<number> {
    const fd = await super.open(file, mayCreate)
    this.#names.set(fd, file)
    return fd
  }

  override async read(fd: number, buffer: Buffer, position: number): Promise<number> {
    await this.#stall('read', fd)
    return super.read(fd, buffer, position)
  }

  override async write(fd: number, buffers: Buffer[], position: number): Promise<number> {
    await this.#stall('write', fd)
    return super.write(fd, buffers, position)
  }

  async #stall(call: 'read' | 'write', fd: number): Promise<void> {
    const { stalled } = this
    if (stalled?.call !== call || this.#names.get(fd)?.endsWith(stalled.suffix) !== true) return
    this.stalled = undefined
    this.#noteStall()
    await this.#held
  }
}

async function assertWaits(t: TestContext, abandoning: Promise<void>, disk: StalledDisk): Promise<void> {
  cleanUp(t, () => Promise.resolve(disk.release()))
  let isOver = false
  const over = abandoning.then(() => (isOver = true))
  for (let turns = 0; turns < 20; turns++) await turn()
  assert.equal(isOver, false)
  disk.release()
  await over
}

/**
 * Symptom: a topic that was deleted and made again had index entries of the old one.
 * Cause: a log counted as given up while index entries of it were on their way; what was written next went by path.
 * Reach: topics that are made again at once, on a disk that stalls.
 */
test('a log is given up only when its index entries are written', async t => {
  const disk = new StalledDisk()
  const log = await openLog(t, { folder: await temporaryFolder(t), disk, config: { indexIntervalBytes: 1 } })
  disk.stalled = { call: 'write', suffix: '.index' }
  // More than the 8192 bytes of entries that wait in memory: two for each later batch, of 8 and 12 bytes.
  for (let count = 0; count < 420; count++) await log.append(batchOf([{ timestampMs: START_MS + count }]))
  await disk.isStalling

  await assertWaits(t, log.abandon(), disk)
})

test('a log is given up only when the indexes that a read misses are made, and makes no more', async t => {
  const folder = await temporaryFolder(t)
  const disk = new StalledDisk()
  const log = await openLog(t, { folder, disk, config: { segmentBytes: 100 } })
  for (let count = 0; count < 3; count++) await log.append(batchOfCount(1))
  await log.flush()
  for (const suffix of ['index', 'timeindex']) await fs.truncate(path.join(folder, `${FIRST}.${suffix}`))
  disk.stalled = { call: 'read', suffix: `${FIRST}.log` }
  const reading = log.read(0n, 1000)
  await disk.isStalling

  await assertWaits(t, log.abandon(), disk)

  assert.notEqual((await reading).errorCode, 0)
})
