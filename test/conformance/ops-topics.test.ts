/** Topics looked at and changed on whatever cluster is under test. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { Admin, Cluster } from '../../src/client/index.ts'
import type { Json } from '../../src/ops/index.ts'
import {
  type Change,
  describeTopic,
  listTopics,
  planCreateTopic,
  planDeleteRecords,
  planDeleteTopic,
  planRecreateTopic,
  planTopicConfigs,
  undoHandlerOf
} from '../../src/ops/index.ts'
import { systemClock } from '../../src/core/index.ts'
import { clientForTest, TestAppender } from './client-support.ts'

interface World {
  readonly cluster: Cluster
  readonly admin: Admin
  readonly name: string
  readonly append: (count: number, timestampMs?: number) => Promise<void>
}

async function world(t: TestContext): Promise<World> {
  const { cluster, admin, server } = await clientForTest(t)
  const name = server.uniqueName('ops')
  const appender = new TestAppender(t, cluster, { lingerMs: 0 })
  const append = async (count: number, timestampMs = Date.now()): Promise<void> =>
    await appender.append(
      ...Array.from({ length: count }, (_, n) => {
        return { topic: name, key: Buffer.from('k'), value: Buffer.from(`${n}`), timestampMs: timestampMs + n }
      })
    )
  return { cluster, admin, name, append }
}

async function undo(change: Change, { cluster, admin }: World): Promise<Change> {
  const handler = await undoHandlerOf(change.plan.kind)
  assert.ok(handler !== undefined)
  // What a file gives back.
  const snapshot = JSON.parse(JSON.stringify(change.snapshot)) as Json
  return await handler(snapshot, { cluster, admin, pipeline: undefined, clock: systemClock })
}

async function done(change: Change): Promise<void> {
  assert.deepEqual(change.plan.blockers, [])
  const result = await change.apply({})
  assert.deepEqual([result.isComplete, result.failures], [true, []], result.summary)
}

test('a topic is made as planned, listed, described, and its making is taken back', async t => {
  const around = await world(t)
  const { admin, name, append } = around
  const configs = { 'retention.ms': '86400000' }
  const change = await planCreateTopic(around, { topic: name, partitionCount: 2, replicationFactor: 1, configs })
  await assert.rejects(describeTopic(around, name), { code: 'ERR_OPS_NOT_FOUND' })
  await done(change)
  const timestampMs = Date.now() - 5000
  await append(3, timestampMs)
  await admin.alterGroupOffsets(`${name}-group`, [{ topic: name, partition: 0, offset: 0n }])
  const described = await describeTopic(around, name)
  assert.deepEqual(
    described.ownConfigs.map(({ name: setting, value }) => [setting, value]),
    [['retention.ms', '86400000']]
  )
  assert.deepEqual([described.partitions.length, described.groups], [2, [`${name}-group`]])
  const filled = described.partitions.find(({ highWatermark }) => highWatermark > 0n)
  assert.deepEqual([filled?.oldestMs, filled?.newestMs], [timestampMs, timestampMs + 2])
  const { topics } = await listTopics(around, { topics: [name] })
  const [listed] = topics
  assert.deepEqual([listed?.partitionCount, listed?.replicationFactor, listed?.records], [2, 1, 3n])
  assert.deepEqual(listed?.groups, [`${name}-group`])
  assert.ok((listed?.leaderBytes ?? 0n) > 0n, 'the bytes on disk')

  // They may be gone, and were there.
  const { partition = 0, highWatermark: beforeOffset = 0n } = filled ?? {}
  await admin.deleteRecords([{ topic: name, partition, beforeOffset }])
  const back = await undo(change, around)
  assert.match(back.plan.conflicts?.join() ?? '', /has had records since it was made.*is read by/)
  await done(back)
  await assert.rejects(describeTopic(around, name), { code: 'ERR_OPS_NOT_FOUND' })
  const { plan } = await undo(change, around)
  assert.deepEqual([plan.effects, plan.blockers, plan.conflicts], [[], [], undefined])
})

test('what Kafka would refuse is said before: a name that is taken, too many replicas, an unknown setting', async t => {
  const around = await world(t)
  const { name } = around
  await done(await planCreateTopic(around, { topic: name, partitionCount: 1 }))
  const blockers = async (request: object): Promise<string> =>
    (await planCreateTopic(around, { topic: `${name}-other`, ...request })).plan.blockers.join()
  assert.match(await blockers({ topic: name }), /TOPIC_ALREADY_EXISTS.*choose another name/)
  assert.match(await blockers({ replicationFactor: 9 }), /INVALID_REPLICATION_FACTOR.*the cluster has \d+ broker/)
  assert.match(await blockers({ configs: { 'no.such.setting': '1' } }), /INVALID_CONFIG/)
  await assert.rejects(describeTopic(around, `${name}-other`), { code: 'ERR_OPS_NOT_FOUND' })
})

test('settings change as planned, and the undo restores what was, also where nothing was', async t => {
  const around = await world(t)
  const { admin, name } = around
  await done(await planCreateTopic(around, { topic: name, partitionCount: 1, configs: { 'segment.ms': '1000000' } }))
  const own = async (): Promise<Record<string, string | null>> => {
    const { ownConfigs } = await describeTopic(around, name)
    return Object.fromEntries(ownConfigs.map(entry => [entry.name, entry.value]))
  }
  const change = await planTopicConfigs(around, name, { 'retention.ms': '3600000', 'segment.ms': undefined })
  assert.deepEqual(
    change.plan.effects.map(({ what, before, after }) => [what, before, after]),
    [
      ['retention.ms', '604800000 (brokers)', '3600000'],
      ['segment.ms', '1000000', 'as the brokers have it']
    ]
  )
  assert.match(change.plan.warnings.join(), /a smaller retention.ms deletes records soon/)
  await done(change)
  assert.deepEqual(await own(), { 'retention.ms': '3600000' })
  await done(await undo(change, around))
  assert.deepEqual(await own(), { 'segment.ms': '1000000' })

  await done(await planTopicConfigs(around, name, { 'retention.ms': '3600000' }))
  await admin.alterConfigs([
    {
      resource: { type: 'topic', name },
      changes: [{ name: 'retention.ms', operation: 'set', value: '7200000' }]
    }
  ])
  const late = await undo(change, around)
  assert.match(
    late.plan.conflicts?.join() ?? '',
    /retention.ms is 7200000: neither as before nor as the change left it/
  )
  const wrong = await planTopicConfigs(around, name, { 'no.such.setting': '1' })
  assert.deepEqual(wrong.plan.blockers, ['topics have no setting no.such.setting'])
})

test('old records are deleted up to an offset, and the groups that have not read them are named', async t => {
  const around = await world(t)
  const { admin, name, append } = around
  await done(await planCreateTopic(around, { topic: name, partitionCount: 1 }))
  await append(10)
  await admin.alterGroupOffsets(`${name}-group`, [{ topic: name, partition: 0, offset: 2n }])
  const change = await planDeleteRecords(around, { topic: name, before: { at: 'offset', offset: 6n } })
  assert.deepEqual(change.plan.effects, [{ what: `${name}-0`, before: 'from 0', after: 'from 6', records: -6n }])
  assert.deepEqual(change.plan.warnings, [`group ${name}-group has not read 4 of them`])
  assert.equal(change.plan.undo.kind, 'impossible')
  await done(change)
  assert.equal((await describeTopic(around, name)).partitions[0]?.logStartOffset, 6n)
  await done(await planTopicConfigs(around, name, { 'cleanup.policy': 'compact' }))
  const refused = await planDeleteRecords(around, { topic: name, before: { at: 'end' } })
  assert.match(refused.plan.blockers.join(), /has cleanup.policy=compact/)
})

test('a topic is made anew with the same partitions and settings, or deleted; both say what goes', async t => {
  const around = await world(t)
  const { admin, name, append } = around
  const configs = { 'max.message.bytes': '500000' }
  await done(await planCreateTopic(around, { topic: name, partitionCount: 3, configs }))
  await append(5)
  await admin.alterGroupOffsets(`${name}-group`, [{ topic: name, partition: 0, offset: 0n }])
  const change = await planRecreateTopic(around, name)
  assert.match(change.plan.summary, /deleted with its 5 records and made again, empty/)
  const warnings = change.plan.warnings.join('\n')
  assert.match(warnings, new RegExp(`groups with offsets in it: ${name}-group; they point beyond the end`))
  assert.match(warnings, /another namespace/)
  assert.match(warnings, /topics create .* --partitions 3 --replicas 1 --config max.message.bytes=500000/)
  await done(change)
  const after = await describeTopic(around, name)
  assert.deepEqual(
    [after.partitions.length, after.partitions.every(({ highWatermark }) => highWatermark === 0n)],
    [3, true]
  )
  assert.deepEqual(
    after.ownConfigs.map(each => each.value),
    ['500000']
  )
  const last = await planDeleteTopic(around, name)
  assert.equal(last.plan.confirmWord, name)
  assert.deepEqual(last.plan.undo, { kind: 'impossible', reason: 'the records of a deleted topic are gone' })
  await done(last)
})
