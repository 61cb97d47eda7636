import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Broker, startBroker } from '../../src/broker/index.ts'
import {
  createTopicsApi,
  deleteTopicsApi,
  metadataApi,
  offsetCommitApi,
  offsetFetchApi,
  produceApi
} from '../../src/protocol/index.ts'
import type { RawConnection } from '../support/raw-connection.ts'
import { AppendSignals } from '../../src/broker/handlers/append-signals.ts'
import { LogManager } from '../../src/broker/log/index.ts'
import { OFFSETS_TOPIC, OffsetsTopic } from '../../src/broker/offsets-topic.ts'
import { BrokerSettings } from '../../src/broker/settings.ts'
import { PipelineError, type Random, systemClock, systemRandom } from '../../src/core/index.ts'
import { brokerFor, connectTo, RecordingLogger } from './support.ts'

const PARTITION_COUNT = 50

async function commit(
  connection: RawConnection,
  groupId: string,
  { offset, metadata = '' }: { offset: bigint; metadata?: string }
): Promise<void> {
  const partitions = Array.from({ length: PARTITION_COUNT }, (_, partitionIndex) => ({
    partitionIndex,
    committedOffset: offset,
    committedMetadata: metadata
  }))
  const message = { groupId, generationIdOrMemberEpoch: -1, topics: [{ name: 't', partitions }] }
  const answer = await connection.request(offsetCommitApi, { version: 7, message })
  for (const partition of answer.topics[0]?.partitions ?? []) assert.equal(partition.errorCode, 0)
}

async function committed(connection: RawConnection, groupId: string): Promise<(bigint | undefined)[]> {
  const partitionIndexes = Array.from({ length: PARTITION_COUNT }, (_, index) => index)
  const message = { groupId, topics: [{ name: 't', partitionIndexes }] }
  const { topics } = await connection.request(offsetFetchApi, { version: 5, message })
  return topics[0]?.partitions.map(partition => partition.committedOffset) ?? []
}

async function createTopic(connection: RawConnection): Promise<void> {
  const topics = [{ name: 't', numPartitions: PARTITION_COUNT, replicationFactor: 1 }]
  await connection.request(createTopicsApi, { version: 4, message: { topics, timeoutMs: 1000 } })
}

async function startIn(dataDir: string, logger: RecordingLogger): Promise<Broker> {
  const config = {
    'log.cleaner.backoff.ms': '20',
    'offsets.topic.num.partitions': '1',
    'offsets.topic.segment.bytes': '1048576'
  }
  return startBroker({ dataDir, logger, config })
}

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-test-'))
  t.after(() => fs.rm(folder, { recursive: true, force: true }))
  return folder
}

test('a __consumer_offsets of mostly replaced commits is compacted, and a restart finds the last ones', async t => {
  const dataDir = await temporaryFolder(t)
  const logger = new RecordingLogger()
  const first = await startIn(dataDir, logger)
  const connection = await connectTo(t, first)
  await createTopic(connection)
  await commit(connection, 'quiet', { offset: 3n })
  const metadata = 'm'.repeat(4000)
  // 30 commits of 50 partitions with 4 kB each are 6 MB, of which 200 kB are alive.
  for (let offset = 1n; offset <= 30n; offset++) await commit(connection, 'busy', { offset, metadata })
  await logger.until('info', 'a log was compacted')
  await commit(connection, 'busy', { offset: 101n })
  await first.close()

  const folder = path.join(dataDir, '__consumer_offsets-0')
  const logs = (await fs.readdir(folder)).filter(name => name.endsWith('.log'))
  const sizes = await Promise.all(logs.map(async name => (await fs.stat(path.join(folder, name))).size))
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 5_500_000, `${sizes.join(' + ')} bytes`)
  const second = await startIn(dataDir, new RecordingLogger())
  t.after(() => second.close())
  const again = await connectTo(t, second)
  assert.deepEqual(
    await committed(again, 'busy'),
    Array.from({ length: PARTITION_COUNT }, () => 101n)
  )
  assert.deepEqual(
    await committed(again, 'quiet'),
    Array.from({ length: PARTITION_COUNT }, () => 3n)
  )
})

test('clients cannot write into, delete or shape __consumer_offsets', async t => {
  const broker = await brokerFor(t, { config: { 'num.partitions': '7' } })
  const connection = await connectTo(t, broker)
  const topics = [{ name: '__consumer_offsets' }]
  const metadata = await connection.request(metadataApi, {
    version: 4,
    message: { topics, allowAutoTopicCreation: true }
  })
  assert.equal(metadata.topics[0]?.isInternal, true)
  assert.equal(metadata.topics[0]?.partitions.length, 4, 'its own count, not num.partitions')
  const topicData = [{ name: '__consumer_offsets', partitionData: [{ index: 0, records: Buffer.alloc(70) }] }]
  const produced = await connection.request(produceApi, {
    version: 7,
    message: { acks: -1, timeoutMs: 1000, topicData }
  })
  assert.equal(produced.responses[0]?.partitionResponses[0]?.errorCode, 17)
  const deletion = { topicNames: ['__consumer_offsets'], timeoutMs: 1000 }
  const deleted = await connection.request(deleteTopicsApi, { version: 4, message: deletion })
  assert.equal(deleted.responses[0]?.errorCode, 17)
})

test('offsets of a deleted topic do not come back when a topic of that name is made again', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker)
  await createTopic(connection)
  await commit(connection, 'g', { offset: 9n })
  await connection.request(deleteTopicsApi, { version: 4, message: { topicNames: ['t'], timeoutMs: 1000 } })
  await createTopic(connection)
  assert.deepEqual(
    await committed(connection, 'g'),
    Array.from({ length: PARTITION_COUNT }, () => -1n)
  )
})

/**
 * Symptom: a consumer of a new topic began in its middle, or met OFFSET_OUT_OF_RANGE.
 * Cause: a stop between the deletion of a topic and that of the offsets committed for it.
 * Reach: a topic that is deleted, and made again after a kill at that moment.
 */
test('offsets of a topic that was deleted just before a crash do not come back either', async t => {
  const dataDir = await temporaryFolder(t)
  const first = await startIn(dataDir, new RecordingLogger())
  const connection = await connectTo(t, first)
  await createTopic(connection)
  await commit(connection, 'g', { offset: 9n })
  await first.close()
  const logs = await LogManager.open({ dataDir })
  await logs.deleteTopic('t')
  await logs.close()

  const second = await startIn(dataDir, new RecordingLogger())
  t.after(() => second.close())
  const again = await connectTo(t, second)
  await createTopic(again)

  const none = Array.from({ length: PARTITION_COUNT }, () => -1n)
  assert.deepEqual(await committed(again, 'g'), none)
})

async function openTopic(
  t: TestContext,
  random: Random = systemRandom
): Promise<{ logs: LogManager; topic: OffsetsTopic; logger: RecordingLogger }> {
  const logs = await LogManager.open({ dataDir: await temporaryFolder(t), random })
  t.after(() => logs.close())
  const settings = new BrokerSettings({ 'offsets.topic.num.partitions': '1' })
  const signals = new AppendSignals(systemClock)
  const logger = new RecordingLogger()
  return { logs, topic: new OffsetsTopic({ logs, settings, clock: systemClock, signals, logger }), logger }
}

async function replayed(topic: OffsetsTopic): Promise<string[]> {
  const keys: string[] = []
  await topic.replay(
    key => void keys.push(key.toString()),
    () => undefined
  )
  return keys
}

/**
 * Symptom: groups went on from old offsets, or from none, after a start on a failing disk.
 * Cause: a read error ended the replay in silence.
 * Reach: every start with an unreadable `__consumer_offsets`.
 */
test('a __consumer_offsets that cannot be read to its end fails the replay', async t => {
  const { logs, topic } = await openTopic(t)
  const value = Buffer.alloc(1000)
  for (const key of ['a', 'b', 'c']) await topic.append(0, [{ key: Buffer.from(key), value }])
  const folder = logs.log(OFFSETS_TOPIC, 0)?.folder ?? ''
  await fs.truncate(path.join(folder, '00000000000000000000.log'), 1500)

  await assert.rejects(replayed(topic), error => PipelineError.is(error, 'ERR_BROKER_DATA_DAMAGED'))
})

/**
 * Symptom: a commit was never answered.
 * Cause: an error at the creation of the topic that is not the disk's left the appends that waited for it behind.
 * Reach: the first commits of a new broker.
 */
test('appends are answered when the topic cannot be created for any reason, and the next one tries again', async t => {
  let isBroken = false
  const random: Random = {
    next: () => {
      if (isBroken) throw new RangeError('no random numbers')
      return 0.5
    }
  }
  const { topic, logger } = await openTopic(t, random)
  const record = { key: Buffer.from('k'), value: Buffer.from('v') }

  isBroken = true
  assert.equal(await topic.append(0, [record]), 'COORDINATOR_NOT_AVAILABLE')
  assert.ok(logger.lines.some(line => line.message.includes('could not be created')))

  isBroken = false
  assert.equal(await topic.append(0, [record]), 'NONE')
  assert.deepEqual(await replayed(topic), ['k'])
})

/**
 * Symptom: a group that a restart finds with a member that was refused.
 * Cause: a decision of more than one batch was written in part when one of them was larger than the log takes.
 * Reach: any record of more than `max.message.bytes`, such as the metadata of a member.
 */
test('records of which one is too large are refused together', async t => {
  const { topic } = await openTopic(t)
  const small = { key: Buffer.from('small'), value: Buffer.alloc(10) }
  const large = { key: Buffer.from('large'), value: Buffer.alloc(2_000_000) }

  assert.equal(await topic.append(0, [small, large, small]), 'UNKNOWN_SERVER_ERROR')

  assert.deepEqual(await replayed(topic), [])
})
