/**
 * A crash at every step of a compaction: nothing that counts is lost, and the next start brings the folder in order.
 * With `CRASH=long` every step of several seeds, else some of one.
 */

import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import fs from 'node:fs/promises'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Random, randomInt } from '../../../../src/core/index.ts'
import { type Disk, systemDisk } from '../../../../src/broker/log/disk.ts'
import { FilePool } from '../../../../src/broker/log/file-pool.ts'
import type { PartitionLog } from '../../../../src/broker/log/partition-log.ts'
import { finishSwaps, type FolderOperations, systemFolder } from '../../../../src/broker/log/segment-swap.ts'
import { appended, batchOf, seededRandom, temporaryFolder } from '../support.ts'
import { consume, latest, openCleanable, type SeenRecord } from './support.ts'

const IS_LONG = process.env['CRASH'] === 'long'
/** Which part of the steps is looked at in the short run, chosen by chance. */
const SHORT_SHARE = 0.1

/** Takes a copy of the folder before every step that changes it, as a crash there would leave it. */
class StepRecorder implements Disk, FolderOperations {
  readonly images: { step: string; folder: string }[] = []
  readonly steps: string[] = []
  isRecording = false
  readonly #folder: string
  readonly #target: string
  readonly #isChosen: () => boolean

  constructor(folder: string, target: string, isChosen: () => boolean) {
    this.#folder = folder
    this.#target = target
    this.#isChosen = isChosen
  }

  open(file: string, mayCreate: boolean): Promise<number> {
    if (mayCreate) this.#take(`create ${path.basename(file)}`)
    return systemDisk.open(file, mayCreate)
  }

  close(fd: number): Promise<void> {
    return systemDisk.close(fd)
  }

  read(fd: number, buffer: Buffer, position: number): Promise<number> {
    return systemDisk.read(fd, buffer, position)
  }

  async write(fd: number, buffers: Buffer[], position: number): Promise<number> {
    // In two parts, so that there is an image with the first one.
    const whole = Buffer.concat(buffers)
    this.#take('write')
    const half = Math.floor(whole.length / 2)
    if (half === 0 || !this.isRecording) return systemDisk.write(fd, buffers, position)
    return systemDisk.write(fd, [whole.subarray(0, half)], position)
  }

  truncate(fd: number, sizeBytes: number): Promise<void> {
    this.#take('truncate')
    return systemDisk.truncate(fd, sizeBytes)
  }

  sync(fd: number): Promise<void> {
    this.#take('sync')
    return systemDisk.sync(fd)
  }

  rename(from: string, to: string): void {
    this.#take(`rename ${path.basename(from)} to ${path.basename(to)}`)
    systemFolder.rename(from, to)
  }

  remove(file: string): Promise<void> {
    this.#take(`remove ${path.basename(file)}`)
    return systemFolder.remove(file)
  }

  syncFolder(folder: string): Promise<void> {
    this.#take('sync folder')
    return systemFolder.syncFolder(folder)
  }

  #take(step: string): void {
    if (!this.isRecording) return
    this.steps.push(step)
    if (!this.#isChosen()) return
    const folder = path.join(this.#target, String(this.images.length))
    cpSync(this.#folder, folder, { recursive: true })
    this.images.push({ step: `${this.steps.length}: ${step}`, folder })
  }
}

interface Written {
  /** All that was ever written, by offset. */
  readonly records: ReadonlyMap<bigint, SeenRecord>
  /** Last value of each key that is committed, tombstones included. */
  readonly latest: ReadonlyMap<string | null, string | null>
}

/** Random records, tombstones and transactions of two producers, most over few keys. */
async function write(
  log: PartitionLog,
  random: Random,
  { count, sequences = [0, 0] }: { count: number; sequences?: number[] }
): Promise<void> {
  for (let index = 0; index < count; index++) {
    const size = 1 + randomInt(random, 4)
    const records = Array.from({ length: size }, (_, at) => ({
      key: `k${randomInt(random, 12)}`,
      value: random.next() < 0.15 ? null : `${index}.${at}`.padEnd(20 + randomInt(random, 40), '.')
    }))
    const compression = random.next() < 0.3 ? ('gzip' as const) : ('none' as const)
    if (random.next() < 0.6) {
      appended(await log.append(batchOf(records, { compression })))
      continue
    }
    const which = randomInt(random, 2)
    const producer = { producerId: BigInt(100 + which), producerEpoch: 0 }
    const stamp = { ...producer, baseSequence: sequences[which] ?? 0, isTransactional: true, compression }
    appended(await log.append(batchOf(records, stamp), { transaction: { isVerified: true } }))
    sequences[which] = (sequences[which] ?? 0) + size
    const isCommit = random.next() < 0.5
    appended(await log.appendMarker({ ...producer, coordinatorEpoch: 0, isCommit }))
  }
}

async function writtenTo(log: PartitionLog): Promise<Written> {
  const records = await consume(log)
  const committed = await consume(log, { isReadCommitted: true })
  return { records: new Map(records.map(record => [record.offset, record])), latest: latest(committed) }
}

/** What holds after any number of compactions and crashes. */
async function check(log: PartitionLog, written: Written, context: string): Promise<void> {
  const seen = await consume(log)
  for (const record of seen) assert.deepEqual(record, written.records.get(record.offset), context)
  const offsets = seen.map(({ offset }) => offset)
  assert.deepEqual(
    offsets,
    [...new Set(offsets)].toSorted((a, b) => Number(a - b)),
    `${context}: each offset once`
  )
  const last = latest(await consume(log, { isReadCommitted: true }))
  for (const [key, value] of written.latest) {
    // A tombstone may be gone, together with all that it deleted.
    const isRight = last.get(key) === value || (value === null && !last.has(key))
    assert.ok(isRight, `${context}: ${key} is ${last.get(key)} instead of ${value}`)
  }
}

async function openImage(t: TestContext, folder: string, recoveryPoint: bigint): ReturnType<typeof openCleanable> {
  return openCleanable(t, { folder, recoveryPoint, wasCleanStop: false })
}

test('after a crash at any step of a compaction nothing that counts is lost', async t => {
  const random = seededRandom(t)
  for (let round = 0; round < (IS_LONG ? 5 : 1); round++) {
    const folder = await temporaryFolder(t)
    const recorder = new StepRecorder(folder, await temporaryFolder(t), () => IS_LONG || random.next() < SHORT_SHARE)
    const { log, cleaner, clock } = await openCleanable(t, { folder, disk: recorder, operations: recorder })
    const sequences = [0, 0]
    await write(log, random, { count: 14, sequences })
    await cleaner.cleanAll()
    await clock.advance(1000)
    const before = await writtenTo(log)
    await write(log, random, { count: 6, sequences })
    const after = await writtenTo(log)
    const written = { latest: after.latest, records: new Map([...before.records, ...after.records]) }
    await log.flush()

    recorder.isRecording = true
    assert.equal(await cleaner.cleanAll(), 1)
    recorder.isRecording = false

    await check(log, written, 'without a crash')
    assert.ok(recorder.steps.some(step => step.includes('.log.swap to')))
    const highWatermark = log.highWatermark
    for (const image of recorder.images) {
      const opened = await openImage(t, image.folder, log.recoveryPoint)
      assert.equal(opened.log.highWatermark, highWatermark, image.step)
      await check(opened.log, written, image.step)
      await opened.cleaner.cleanAll()
      await check(opened.log, written, `${image.step}, cleaned again`)
      const left = (await fs.readdir(image.folder)).filter(name => /\.(cleaned|swap|deleted)$/.test(name))
      assert.deepEqual(left, [], image.step)
      await opened.log.close()
    }
    t.diagnostic(`${recorder.images.length} of ${recorder.steps.length} steps`)
  }
})

test('a crash while a start brings the folder in order is no worse', async t => {
  const random = seededRandom(t)
  const folder = await temporaryFolder(t)
  const target = await temporaryFolder(t)
  const imageCountMax = IS_LONG ? 60 : 30
  const recorder: StepRecorder = new StepRecorder(folder, target, () => recorder.images.length < imageCountMax)
  const { log, cleaner } = await openCleanable(t, { folder, disk: recorder, operations: recorder })
  await write(log, random, { count: 12 })
  const written = await writtenTo(log)
  await log.flush()
  recorder.isRecording = true
  await cleaner.cleanAll()
  recorder.isRecording = false

  // The first swap in full; the others differ in nothing but their names.
  const isSwap = (step: string): boolean => /rename|sync folder|remove/.test(step)
  const images = recorder.images.filter(({ step }) => isSwap(step)).slice(0, IS_LONG ? 40 : 3)
  for (const image of images) {
    for (let limit = 0; ; limit++) {
      const copy = path.join(target, `second-${path.basename(image.folder)}-${limit}`)
      await fs.cp(image.folder, copy, { recursive: true })
      const isFinished = await finishUpTo(copy, limit)
      const opened = await openImage(t, copy, log.recoveryPoint)
      await check(opened.log, written, `${image.step}, then step ${limit} of the start`)
      await opened.log.close()
      await fs.rm(copy, { recursive: true, force: true })
      if (isFinished) break
    }
  }
})

/** Runs the first `limit` steps of what a start does. Resolves with whether there were no more. */
async function finishUpTo(folder: string, limit: number): Promise<boolean> {
  let left = limit
  const step = <T>(work: () => T): T => {
    left -= 1
    if (left < 0) throw new Error('crash')
    return work()
  }
  const operations: FolderOperations = {
    rename: (from, to) => step(() => systemFolder.rename(from, to)),
    remove: async file => step(() => systemFolder.remove(file)),
    syncFolder: async target => step(() => systemFolder.syncFolder(target))
  }
  const pool = new FilePool({ openMax: 4 })
  try {
    await finishSwaps(folder, pool, operations)
    return true
  } catch (error) {
    if (error instanceof Error && error.message === 'crash') return false
    throw error
  } finally {
    await pool.close()
  }
}
