/** The cleaner as part of a broker's logs: topics that come and go, stops, settings. */

import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { VirtualClock } from '../../../../src/core/index.ts'
import { LogManager } from '../../../../src/broker/log/index.ts'
import type { PartitionLog } from '../../../../src/broker/log/partition-log.ts'
import { appended, batchOf, cleanUp, START_MS, temporaryFolder } from '../support.ts'
import { consume, latest } from './support.ts'

const COMPACT = { 'cleanup.policy': 'compact', 'segment.bytes': '1048576', 'min.cleanable.dirty.ratio': '0' }

async function open(t: TestContext, dataDir: string, settings: Record<string, string> = {}): Promise<LogManager> {
  const manager = await LogManager.open({ dataDir, settings, clock: new VirtualClock(START_MS) })
  cleanUp(t, () => manager.close())
  return manager
}

/** Some megabytes over few keys. */
async function fill(log: PartitionLog, value: string): Promise<void> {
  for (let index = 0; index < 60; index++) {
    const records = Array.from({ length: 50 }, (_, at) => ({
      key: `k${at}`,
      value: `${value}${index}`.padEnd(1000, '.')
    }))
    appended(await log.append(batchOf(records)))
  }
}

async function logOf(manager: LogManager, topic: string): Promise<PartitionLog> {
  if (manager.topic(topic) === undefined) await manager.createTopic({ name: topic, configs: COMPACT })
  const log = manager.log(topic, 0)
  assert.ok(log)
  return log
}

test('a topic that is deleted while it is compacted, and made again, has its own records and nothing else', async t => {
  const dataDir = await temporaryFolder(t)
  const manager = await open(t, dataDir)
  await fill(await logOf(manager, 't'), 'old')

  const cleaning = manager.cleaner.cleanAll()
  await new Promise(resolve => setImmediate(resolve))
  assert.equal((await manager.deleteTopic('t')).errorCode, 0)
  const log = await logOf(manager, 't')
  await fill(log, 'new')
  await cleaning
  await manager.cleaner.cleanAll()

  const last = latest(await consume(log, { bytesMax: 1 << 20 }))
  assert.equal(last.size, 50)
  assert.ok([...last.values()].every(value => value?.startsWith('new59')))
  const left = (await fs.readdir(path.join(dataDir, 't-0'))).filter(name => /cleaned|swap|deleted/.test(name))
  assert.deepEqual(left, [])
})

test('a stop while a log is compacted takes no part of it along, and the next start goes on', async t => {
  const dataDir = await temporaryFolder(t)
  const first = await open(t, dataDir)
  await fill(await logOf(first, 't'), 'v')
  const highWatermark = first.log('t', 0)?.highWatermark

  const cleaning = first.cleaner.cleanAll()
  await new Promise(resolve => setImmediate(resolve))
  await first.close()
  await cleaning

  const second = await open(t, dataDir)
  const log = await logOf(second, 't')
  assert.equal(log.highWatermark, highWatermark)
  assert.equal(latest(await consume(log, { bytesMax: 1 << 20 })).size, 50)
  await second.cleaner.cleanAll()
  const checkpoint = await fs.readFile(path.join(dataDir, 'cleaner-offset-checkpoint'), 'utf8')
  assert.equal(checkpoint, `0\n1\nt 0 ${log.segments.at(-1)?.baseOffset}\n`)
  assert.equal(latest(await consume(log, { bytesMax: 1 << 20 })).size, 50)
})

test('a checkpoint of a deleted topic is gone with it', async t => {
  const dataDir = await temporaryFolder(t)
  const manager = await open(t, dataDir)
  await fill(await logOf(manager, 't'), 'v')
  await manager.cleaner.cleanAll()

  await manager.deleteTopic('t')

  assert.equal(await fs.readFile(path.join(dataDir, 'cleaner-offset-checkpoint'), 'utf8'), '0\n0\n')
})

test('log.cleaner.io.max.bytes.per.second spreads a compaction over time', async t => {
  const clock = new VirtualClock(START_MS)
  const settings = { 'log.cleaner.io.max.bytes.per.second': '1000000' }
  const manager = await LogManager.open({ dataDir: await temporaryFolder(t), settings, clock })
  cleanUp(t, () => manager.close())
  await fill(await logOf(manager, 't'), 'v')

  let isDone = false
  const cleaning = manager.cleaner.cleanAll().then(() => (isDone = true))
  let seconds = 0
  for (; !isDone; seconds++) {
    for (let turn = 0; turn < 200 && !isDone; turn++) await new Promise(resolve => setImmediate(resolve))
    await clock.advance(1000)
  }
  await cleaning

  // Two segments of 1 MB are read twice: once for the keys, once to be copied.
  assert.ok(seconds >= 4, `${seconds} s`)
})
