import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { VirtualClock } from '../../../src/core/index.ts'
import {
  LogManager,
  type LogManagerOptions,
  type PartitionLog,
  type Topic,
  type TopicResult
} from '../../../src/broker/log/index.ts'
import { batchOf, batchOfCount, cleanUp, FaultyDisk, readAll, START_MS, temporaryFolder } from './support.ts'

async function openManager(
  t: TestContext,
  options: Partial<LogManagerOptions> & { dataDir: string }
): Promise<LogManager> {
  const manager = await LogManager.open({ clock: new VirtualClock(START_MS), ...options })
  cleanUp(t, () => manager.close())
  return manager
}

function topicOf(result: TopicResult): Topic {
  assert.equal(result.errorCode, 0)
  assert.ok(result.topic)
  return result.topic
}

function logOf(manager: LogManager, topic: string, partition = 0): PartitionLog {
  const log = manager.log(topic, partition)
  assert.ok(log)
  return log
}

test('topics, their ids, partitions, overrides and records survive a restart', async t => {
  const dataDir = await temporaryFolder(t)
  const first = await openManager(t, { dataDir })
  const created = topicOf(
    await first.createTopic({ name: 'a', partitionCount: 3, configs: { 'retention.ms': '5000' } })
  )
  await logOf(first, 'a', 2).append(batchOfCount(4))
  await first.close()

  const second = await openManager(t, { dataDir })

  assert.equal(second.wasCleanStop, true)
  assert.equal(second.identity.clusterId, first.identity.clusterId)
  const topic = second.topicById(created.id)
  assert.deepEqual([topic?.name, topic?.logs.length, topic?.configs], ['a', 3, { 'retention.ms': '5000' }])
  assert.equal(topic?.logs[0]?.config.retentionMs, 5000)
  assert.equal((await readAll(logOf(second, 'a', 2))).length, 4)
})

test('ids are 22 characters of base64url, differ, and stand in partition.metadata', async t => {
  const dataDir = await temporaryFolder(t)
  const manager = await openManager(t, { dataDir })
  const a = topicOf(await manager.createTopic({ name: 'a' }))
  const b = topicOf(await manager.createTopic({ name: 'b' }))

  assert.match(a.id, /^[A-Za-z0-9_][A-Za-z0-9_-]{21}$/)
  assert.notEqual(a.id, b.id)
  const metadata = await fs.readFile(path.join(dataDir, 'a-0', 'partition.metadata'), 'utf8')
  assert.equal(metadata, `version: 0\ntopic_id: ${a.id}`)
})

test('a topic that is deleted and created again has another id and no records', async t => {
  const dataDir = await temporaryFolder(t)
  const manager = await openManager(t, { dataDir })
  const old = topicOf(await manager.createTopic({ name: 'a', partitionCount: 2 }))
  await logOf(manager, 'a').append(batchOfCount(10))
  await logOf(manager, 'a').deleteRecords(7n)

  assert.equal((await manager.deleteTopic('a')).errorCode, 0)
  assert.equal(manager.topic('a'), undefined)
  assert.equal((await old.logs[0]?.append(batchOfCount(1)))?.errorCode, 3)
  const again = topicOf(await manager.createTopic({ name: 'a' }))

  assert.notEqual(again.id, old.id)
  assert.equal(manager.topicById(old.id), undefined)
  assert.deepEqual([logOf(manager, 'a').logStartOffset, logOf(manager, 'a').highWatermark], [0n, 0n])
  await manager.close()
  const reopened = await openManager(t, { dataDir })
  assert.equal(logOf(reopened, 'a').highWatermark, 0n)
  assert.deepEqual(
    (await fs.readdir(dataDir)).filter(name => name.startsWith('a-')),
    ['a-0']
  )
})

test('changes of topics answer the codes of Kafka for what cannot be', async t => {
  const manager = await openManager(t, { dataDir: await temporaryFolder(t) })
  await manager.createTopic({ name: 'a.b', partitionCount: 2 })
  const code = async (result: Promise<TopicResult>): Promise<number> => (await result).errorCode

  assert.equal(await code(manager.createTopic({ name: 'a.b' })), 36)
  assert.equal(await code(manager.createTopic({ name: 'a_b' })), 17)
  assert.equal(await code(manager.createTopic({ name: 'no spaces' })), 17)
  assert.equal(await code(manager.createTopic({ name: 'x', partitionCount: 0 })), 37)
  assert.equal(await code(manager.createTopic({ name: 'x', configs: { 'retention.ms': 'soon' } })), 40)
  assert.equal(await code(manager.createTopic({ name: 'x', configs: { 'no.such': '1' } })), 40)
  assert.equal(await code(manager.deleteTopic('nobody')), 3)
  assert.equal(await code(manager.createPartitions('nobody', 4)), 3)
  assert.equal(await code(manager.createPartitions('a.b', 2)), 37)
  assert.equal(await code(manager.setTopicConfigs('a.b', { 'cleanup.policy': 'burn' })), 40)
  assert.deepEqual(
    manager.topics.map(topic => topic.name),
    ['a.b']
  )
})

test('partitions are added behind the others and stay after a restart', async t => {
  const dataDir = await temporaryFolder(t)
  const manager = await openManager(t, { dataDir })
  await manager.createTopic({ name: 'a', partitionCount: 2 })
  await logOf(manager, 'a', 1).append(batchOfCount(1))

  assert.equal(topicOf(await manager.createPartitions('a', 5)).logs.length, 5)
  await logOf(manager, 'a', 4).append(batchOfCount(2))
  await manager.close()

  const reopened = await openManager(t, { dataDir })
  assert.deepEqual(
    reopened.topic('a')?.logs.map(log => log.highWatermark),
    [0n, 1n, 0n, 0n, 2n]
  )
})

test('new overrides apply to running partitions', async t => {
  const manager = await openManager(t, { dataDir: await temporaryFolder(t), settings: { 'message.max.bytes': '2000' } })
  await manager.createTopic({ name: 'a' })
  const big = (): Buffer => batchOfCount(1, 'x'.repeat(3000))
  assert.equal((await logOf(manager, 'a').append(big())).errorCode, 10)

  await manager.setTopicConfigs('a', { 'max.message.bytes': '4000' })

  assert.equal((await logOf(manager, 'a').append(big())).errorCode, 0)
})

test('the log start offset of deleted records survives a kill', async t => {
  const dataDir = await temporaryFolder(t)
  const manager = await openManager(t, { dataDir })
  await manager.createTopic({ name: 'a' })
  await logOf(manager, 'a').append(batchOfCount(10))

  await logOf(manager, 'a').deleteRecords(6n)

  const copy = await temporaryFolder(t)
  await fs.cp(dataDir, copy, { recursive: true })
  const other = await openManager(t, { dataDir: copy })
  assert.deepEqual([logOf(other, 'a').logStartOffset, logOf(other, 'a').highWatermark], [6n, 10n])
  assert.equal(await fs.readFile(path.join(dataDir, 'log-start-offset-checkpoint'), 'utf8'), '0\n1\na 0 6\n')
})

test('a deletion that a crash interrupted is finished by the next start', async t => {
  const dataDir = await temporaryFolder(t)
  const manager = await openManager(t, { dataDir })
  const topic = topicOf(await manager.createTopic({ name: 'a', partitionCount: 2 }))
  await manager.createTopic({ name: 'b' })
  await logOf(manager, 'a').append(batchOfCount(3))
  await manager.close()
  // The registry was written, one folder was renamed, the other not yet.
  const file = path.join(dataDir, 'comporta-topics.json')
  const registry = JSON.parse(await fs.readFile(file, 'utf8'))
  registry.topics = registry.topics.filter((each: { name: string }) => each.name !== 'a')
  registry.deletedTopicIds = [topic.id]
  await fs.writeFile(file, JSON.stringify(registry))
  await fs.rename(path.join(dataDir, 'a-1'), path.join(dataDir, `a-1.${'0'.repeat(32)}-delete`))

  const reopened = await openManager(t, { dataDir })

  assert.deepEqual(
    reopened.topics.map(each => each.name),
    ['b']
  )
  assert.deepEqual(
    (await fs.readdir(dataDir)).filter(name => name.startsWith('a-')),
    []
  )
  assert.deepEqual(JSON.parse(await fs.readFile(file, 'utf8')).deletedTopicIds, [])
})

test('a creation that a crash interrupted leaves nothing behind', async t => {
  const dataDir = await temporaryFolder(t)
  const manager = await openManager(t, { dataDir })
  await manager.createTopic({ name: 'a', partitionCount: 2 })
  await manager.close()
  await fs.writeFile(
    path.join(dataDir, 'comporta-topics.json'),
    JSON.stringify({ version: 1, topics: [], deletedTopicIds: [] })
  )

  const reopened = await openManager(t, { dataDir })

  assert.deepEqual(reopened.topics, [])
  assert.deepEqual(
    (await fs.readdir(dataDir)).filter(name => name.startsWith('a-')),
    []
  )
})

test('records of a folder that no topic owns are kept aside, not removed', async t => {
  const dataDir = await temporaryFolder(t)
  const manager = await openManager(t, { dataDir })
  await manager.createTopic({ name: 'a' })
  await logOf(manager, 'a').append(batchOfCount(3))
  await manager.close()
  await fs.writeFile(
    path.join(dataDir, 'comporta-topics.json'),
    JSON.stringify({ version: 1, topics: [], deletedTopicIds: [] })
  )

  await openManager(t, { dataDir })

  const [aside] = (await fs.readdir(dataDir)).filter(name => name.startsWith('a-'))
  assert.match(aside ?? '', /^a-0\.[0-9a-f]{32}-stray$/)
})

test('a missing list of topics is rebuilt from the folders, ids and records included', async t => {
  const dataDir = await temporaryFolder(t)
  const manager = await openManager(t, { dataDir })
  const topic = topicOf(await manager.createTopic({ name: 'a', partitionCount: 2 }))
  await logOf(manager, 'a', 1).append(batchOfCount(3))
  await manager.close()
  await fs.rm(path.join(dataDir, 'comporta-topics.json'))

  const reopened = await openManager(t, { dataDir })

  assert.equal(reopened.topic('a')?.id, topic.id)
  assert.equal(logOf(reopened, 'a', 1).highWatermark, 3n)
})

test('a damaged list of topics stops the start instead of making topics disappear', async t => {
  const dataDir = await temporaryFolder(t)
  await (await openManager(t, { dataDir })).close()
  await fs.writeFile(path.join(dataDir, 'comporta-topics.json'), '{"version":1,"topics":[{')

  await assert.rejects(LogManager.open({ dataDir }), { code: 'ERR_BROKER_TOPIC_REGISTRY_CORRUPT' })
})

test('a data folder of another node is refused', async t => {
  const dataDir = await temporaryFolder(t)
  await (await openManager(t, { dataDir, nodeId: 1 })).close()

  await assert.rejects(LogManager.open({ dataDir, nodeId: 2 }), {
    code: 'ERR_BROKER_DATA_DIR_MISMATCH',
    message: /node 1.*node 2/
  })
})

test('a data folder that cannot be made is refused with the system error', async t => {
  const folder = await temporaryFolder(t)
  await fs.writeFile(path.join(folder, 'file'), '')

  await assert.rejects(LogManager.open({ dataDir: path.join(folder, 'file', 'data') }), {
    code: 'ERR_BROKER_DATA_DIR_FAILED',
    message: /ENOTDIR/
  })
})

test('one process cannot open a folder twice, and can again after closing', async t => {
  const dataDir = await temporaryFolder(t)
  const manager = await openManager(t, { dataDir })

  await assert.rejects(LogManager.open({ dataDir }), { code: 'ERR_BROKER_DATA_DIR_LOCKED' })

  await manager.close()
  await (await openManager(t, { dataDir })).close()
})

test('a lock file that names no living process is taken over', async t => {
  const dataDir = await temporaryFolder(t)
  // Empty, torn, a process id that cannot be, and our own id from a life before.
  for (const content of ['', '99', `${2 ** 22 + 1} 5\n`, `${process.pid} 1\n`]) {
    await fs.writeFile(path.join(dataDir, '.lock'), content === '99' ? '' : content)
    await (await openManager(t, { dataDir })).close()
  }
})

test('retention runs by itself, by the clock that was given', async t => {
  const clock = new VirtualClock(START_MS)
  const manager = await openManager(t, {
    dataDir: await temporaryFolder(t),
    clock,
    settings: { 'log.retention.check.interval.ms': '1000', 'log.retention.hours': '1' }
  })
  await manager.createTopic({ name: 'a' })
  await logOf(manager, 'a').append(batchOf([{ timestampMs: START_MS }]))
  const gone = new Promise<void>(resolve => {
    logOf(manager, 'a').onChange(() => {
      if (logOf(manager, 'a').logStartOffset === 1n) resolve()
    })
  })

  await clock.advance(3_602_000)
  await gone

  await manager.close()
  assert.equal(clock.pendingCount, 0)
})

test('more unflushed bytes than allowed are flushed in the background, and the recovery points written', async t => {
  const dataDir = await temporaryFolder(t)
  const disk = new FaultyDisk()
  const manager = await openManager(t, { dataDir, recoveryBytesMax: 100_000, disk })
  await manager.createTopic({ name: 'a', partitionCount: 2 })
  for (let count = 0; count < 40; count++) {
    await logOf(manager, 'a', count % 2).append(batchOfCount(1, 'x'.repeat(10_000)))
  }
  assert.ok(disk.syncCount > 0)

  await manager.flush()

  assert.equal(manager.unflushedBytes, 0)
  const checkpoint = await fs.readFile(path.join(dataDir, 'recovery-point-offset-checkpoint'), 'utf8')
  assert.equal(checkpoint, '0\n2\na 0 20\na 1 20\n')
})

test('listeners hear of new, grown, changed and deleted topics', async t => {
  const manager = await openManager(t, { dataDir: await temporaryFolder(t) })
  let count = 0
  const leave = manager.onTopicsChange(() => (count += 1))

  await manager.createTopic({ name: 'a' })
  await manager.createPartitions('a', 2)
  await manager.setTopicConfigs('a', {})
  await manager.deleteTopic('a')
  leave()
  await manager.createTopic({ name: 'b' })

  assert.equal(count, 4)
})

test('changes at the same time run one after the other', async t => {
  const manager = await openManager(t, { dataDir: await temporaryFolder(t) })

  const results = await Promise.all([
    manager.createTopic({ name: 'a' }),
    manager.createTopic({ name: 'a' }),
    manager.createPartitions('a', 3),
    manager.deleteTopic('a'),
    manager.createTopic({ name: 'a', partitionCount: 2 })
  ])

  assert.deepEqual(
    results.map(result => result.errorCode),
    [0, 36, 0, 0, 0]
  )
  assert.equal(manager.topic('a')?.logs.length, 2)
})
