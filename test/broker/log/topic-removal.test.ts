/** Topics that are made and deleted while the disk refuses, somebody reads them, or settings change. */

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import fs from 'node:fs/promises'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { VirtualClock } from '../../../src/core/index.ts'
import { createLogger } from '../../../src/telemetry/index.ts'
import { LogManager, type LogManagerOptions, type PartitionLog } from '../../../src/broker/log/index.ts'
import { batchOf, batchOfCount, cleanUp, FaultyDisk, readAll, START_MS, temporaryFolder } from './support.ts'

async function openManager(
  t: TestContext,
  options: Partial<LogManagerOptions> & { dataDir: string }
): Promise<LogManager> {
  const manager = await LogManager.open({ clock: new VirtualClock(START_MS), ...options })
  cleanUp(t, () => manager.close())
  return manager
}

function logOf(manager: LogManager, topic: string): PartitionLog {
  const log = manager.log(topic, 0)
  assert.ok(log)
  return log
}

test('a topic that was deleted while checkpoints could not be written does not come back', async t => {
  // Symptom: the new topic of the same name had the records of the old one. Cause: the checkpoint failed after the
  // topic was gone for clients and before its folders were put aside; a new topic then opened them.
  const dataDir = await temporaryFolder(t)
  const manager = await openManager(t, { dataDir })
  await manager.createTopic({ name: 'a' })
  await logOf(manager, 'a').append(batchOfCount(5))
  await logOf(manager, 'a').deleteRecords(3n)
  const obstacle = path.join(dataDir, 'recovery-point-offset-checkpoint.tmp')
  await fs.mkdir(obstacle)
  let goneCount = 0

  const deleted = await manager.deleteTopic('a', () => (goneCount += 1))
  const refused = await manager.createTopic({ name: 'a' })
  await fs.rmdir(obstacle)
  const created = await manager.createTopic({ name: 'a' })

  // Gone is gone; but a new one must wait until the offsets of the old one are out of the checkpoints.
  assert.deepEqual([deleted.errorCode, refused.errorCode, created.errorCode], [0, 56, 0])
  assert.equal(goneCount, 1)
  assert.equal(logOf(manager, 'a').nextOffset, 0n)
  const starts = await fs.readFile(path.join(dataDir, 'log-start-offset-checkpoint'), 'utf8')
  assert.equal(starts, '0\n0\n')
})

test('a folder that another topic left behind is put aside, not opened', async t => {
  const dataDir = await temporaryFolder(t)
  const manager = await openManager(t, { dataDir })
  await manager.createTopic({ name: 'old' })
  await logOf(manager, 'old').append(batchOfCount(5))
  await fs.cp(path.join(dataDir, 'old-0'), path.join(dataDir, 'a-0'), { recursive: true })

  await manager.createTopic({ name: 'a' })

  assert.equal(logOf(manager, 'a').nextOffset, 0n)
  assert.ok((await fs.readdir(dataDir)).some(name => /^a-0\.[0-9a-f]{32}-stray$/.test(name)))
})

test('the end of a deletion that could not be written harms no later change', async t => {
  // Symptom: the next change of a topic failed with the error of the deletion before it, or close did. Cause: the
  // failure stayed in the chain of changes.
  const dataDir = await temporaryFolder(t)
  let warned = (): void => undefined
  const warning = new Promise<void>(resolve => (warned = resolve))
  const logger = createLogger({ destination: { write: line => line.includes('could not be removed') && warned() } })
  const manager = await openManager(t, { dataDir, logger })
  await manager.createTopic({ name: 'a' })
  const obstacle = path.join(dataDir, 'comporta-topics.json.tmp')

  await manager.deleteTopic('a')
  mkdirSync(obstacle)
  await warning
  await fs.rmdir(obstacle)
  const created = await manager.createTopic({ name: 'b' })

  assert.equal(created.errorCode, 0)
  await manager.close()
})

test('a read of a deleted topic never gives bytes of the topic that was made in its place', async t => {
  // Symptom: records of the new topic, or rubbish, in the answer for the old one. Cause: files are opened by path,
  // and the same path is another file by then.
  const dataDir = await temporaryFolder(t)
  const disk = new FaultyDisk()
  const read = disk.read.bind(disk)
  let hold: Promise<void> | undefined
  let reading = (): void => undefined
  disk.read = async (fd: number, buffer: Buffer, position: number): Promise<number> => {
    const count = await read(fd, buffer, position)
    if (hold === undefined) return count
    const held = hold
    hold = undefined
    reading()
    await held
    return count
  }
  const manager = await openManager(t, { dataDir, disk })
  await manager.createTopic({ name: 'a' })
  const old = logOf(manager, 'a')
  for (let index = 0; index < 4; index++) await old.append(batchOf([{ value: `old ${index}` }]))
  const isReading = new Promise<void>(resolve => (reading = resolve))
  let release = (): void => undefined
  hold = new Promise<void>(resolve => (release = resolve))

  const answer = old.read(1n, 10_000)
  await isReading
  await manager.deleteTopic('a')
  await manager.createTopic({ name: 'a' })
  for (let index = 0; index < 4; index++) await logOf(manager, 'a').append(batchOf([{ value: `new ${index}` }]))
  release()
  const { errorCode, records } = await answer

  assert.equal(errorCode, 3)
  assert.equal(records.length, 0)
  assert.equal((await readAll(logOf(manager, 'a'))).length, 4)
})

test('a topic that is made while settings of the broker change has the new ones', async t => {
  const settings = { 'log.retention.ms': '1000' }
  const manager = await openManager(t, { dataDir: await temporaryFolder(t), settings })

  const creating = manager.createTopic({ name: 'a' })
  // Its partitions are being opened.
  await new Promise(resolve => setImmediate(resolve))
  settings['log.retention.ms'] = '2000'
  manager.settingsChanged()
  await creating

  assert.equal(logOf(manager, 'a').config.retentionMs, 2000)
})
