/**
 * Lag, on whatever cluster is under test, against what the test itself knows: when it appended what, what it committed,
 * what it deleted.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { TransactionalAppender } from '../../src/client/index.ts'
import { sleep, systemClock } from '../../src/core/index.ts'
import {
  type GroupLag,
  LagMonitor,
  type LagMonitorOptions,
  type PartitionLag,
  scanCluster
} from '../../src/ops/index.ts'
import { type ClientPeer, clientForTest, TestAppender, TestMember } from './client-support.ts'

/** Clocks of the two machines are one clock; what is left is the time between a record's timestamp and the look. */
const toleranceS = 0.4

/** A monitor of one group, without the wait for verdicts. */
function monitorOf(peer: ClientPeer, groupId: string, options: Partial<LagMonitorOptions> = {}): LagMonitor {
  return new LagMonitor({ cluster: peer.cluster, groups: [groupId], minimumComplete: 0, windowSize: 4, ...options })
}

async function lookAt(monitor: LagMonitor): Promise<GroupLag> {
  const [group] = (await monitor.look()).groups
  assert.ok(group !== undefined)
  return group
}

function first({ partitions }: GroupLag): PartitionLag {
  const [partition] = partitions
  assert.ok(partition !== undefined)
  return partition
}

/** Ages of the records that a test appends, in milliseconds: only the producer can pretend that they are old. */
const ages = { CreateTime: [300_000, 200_000, 100_000], LogAppendTime: [900, 0] } as const

/** Appends records; gives what their timestamps should be. */
async function appendAged(appender: TestAppender, topic: string, timestampType: keyof typeof ages): Promise<number[]> {
  const startMs = systemClock.now()
  const times: number[] = []
  const [first = 0] = ages[timestampType]
  for (const ageMs of ages[timestampType]) {
    const waitMs = timestampType === 'LogAppendTime' ? first - ageMs - (systemClock.now() - startMs) : 0
    await sleep(systemClock, Math.max(0, waitMs))
    const timestampMs = timestampType === 'LogAppendTime' ? systemClock.now() : startMs - ageMs
    times.push(timestampMs)
    await appender.append({ topic, key: Buffer.from('k'), value: Buffer.alloc(100), timestampMs })
  }
  return times
}

async function commit(
  peer: ClientPeer,
  groupId: string,
  at: { topic: string; partition?: number; offset: bigint }
): Promise<void> {
  const [result] = await peer.admin.alterGroupOffsets(groupId, [{ partition: 0, ...at }])
  assert.equal(result?.errorCode, 0)
}

test('a scan sees both ends of partitions, what groups have committed, and who is in them', async t => {
  const peer = await clientForTest(t)
  const topic = await peer.topic(3)
  const groupId = peer.server.uniqueName('group')
  const appender = new TestAppender(t, peer.cluster)
  for (let index = 0; index < 30; index++) {
    await appender.append({ topic, key: Buffer.from(`k${index}`), value: Buffer.alloc(10) })
  }
  await commit(peer, groupId, { topic, partition: 1, offset: 2n })
  const scan = await scanCluster(peer.cluster, { groups: [groupId, 'nobody-has-heard-of'], isReadCommitted: true })
  assert.deepEqual([...scan.topics.keys()], [topic])
  const partitions = scan.topics.get(topic)?.partitions ?? []
  assert.equal(
    partitions.reduce((sum, each) => sum + each.highWatermark, 0n),
    30n
  )
  assert.ok(partitions.every(each => each.lastStableOffset === each.highWatermark && each.logStartOffset === 0n))
  const [found, none] = [groupId, 'nobody-has-heard-of'].map(id => scan.groups.find(each => each.groupId === id))
  assert.deepEqual(
    found?.offsets.map(({ partition, committed }) => [partition, committed]),
    [[1, 2n]]
  )
  assert.equal(none?.state, 'Dead')
  const byTopic = await scanCluster(peer.cluster, { topics: [topic, 'no-such-topic'], groups: [groupId] })
  assert.match(byTopic.topics.get('no-such-topic')?.problem ?? '', /^UNKNOWN_TOPIC_OR_PARTITION/u)
})

for (const timestampType of ['CreateTime', 'LogAppendTime'] as const) {
  test(`seconds of lag are the age of the oldest unread record, by ${timestampType}`, async t => {
    const peer = await clientForTest(t)
    const topic = await peer.topic(1, { 'message.timestamp.type': timestampType })
    const groupId = peer.server.uniqueName('group')
    const appender = new TestAppender(t, peer.cluster, { lingerMs: 0 })
    const times = await appendAged(appender, topic, timestampType)
    const monitor = monitorOf(peer, groupId)
    for (const [offset, time] of times.entries()) {
      await commit(peer, groupId, { topic, offset: BigInt(offset) })
      const group = await lookAt(monitor)
      const found = first(group)
      assert.equal(found.lagRecords, BigInt(times.length - offset))
      assert.equal(found.lagTimeSource, 'append')
      const age = (found.lookedAtMs - time) / 1000
      assert.ok(Math.abs((found.lagSeconds ?? -1) - age) < toleranceS, `${found.lagSeconds} s instead of ${age} s`)
      assert.equal(group.lagSeconds, found.lagSeconds)
    }
    await commit(peer, groupId, { topic, offset: BigInt(times.length) })
    const done = first(await lookAt(monitor))
    assert.deepEqual([done.lagRecords, done.lagSeconds, done.lagTimeSource], [0n, 0, 'none'])
  })
}

test('under load, with a member that reads: owner, rates and age are those of the load', async t => {
  const peer = await clientForTest(t)
  const topic = await peer.topic(1)
  const groupId = peer.server.uniqueName('group')
  const member = new TestMember(t, { cluster: peer.cluster, groupId, topics: [topic] })
  await member.watch.until(() => member.held.has(0))
  const appender = new TestAppender(t, peer.cluster, { lingerMs: 0 })
  const monitor = monitorOf(peer, groupId)
  const times: number[] = []
  let committed = 0
  const looks: { group: GroupLag; appended: number; committed: number }[] = []
  // 10 records at a time come in, and 6 of them are read.
  for (let round = 0; round < 12; round++) {
    for (let index = 0; index < 10; index++) times.push(systemClock.now())
    await appender.append(...Array.from({ length: 10 }, () => ({ topic, key: null, value: Buffer.alloc(50) })))
    committed += 6
    await member.member.commitOffsets([{ topic, partition: 0, offset: BigInt(committed) }])
    await sleep(systemClock, 20)
    if (round % 4 === 3) looks.push({ group: await lookAt(monitor), appended: times.length, committed })
  }
  const [before, , after] = looks
  assert.ok(before !== undefined && after !== undefined)
  const found = first(after.group)
  assert.equal(after.group.memberCount, 1)
  assert.match(found.owner, /^conformance@/u)
  assert.equal(found.lagRecords, BigInt(after.appended - after.committed))
  const seconds = (found.lookedAtMs - first(before.group).lookedAtMs) / 1000
  assert.ok(Math.abs((found.arrivalRate ?? 0) * seconds - (after.appended - before.appended)) < 0.01)
  // Commits were read some milliseconds before the ends, and count over the time between their own readings.
  const served = ((found.serviceRate ?? 0) * seconds) / (after.committed - before.committed)
  assert.ok(served > 0.5 && served < 2, `${served}`)
  const age = (found.lookedAtMs - (times[after.committed] ?? 0)) / 1000
  assert.ok(Math.abs((found.lagSeconds ?? -1) - age) < toleranceS)
  // Burrow: the offset moves, and the lag has only grown.
  assert.equal(found.status, 'WARN')
})

test('what was deleted unread is loss; nothing committed is the whole log; more than there is has no lag', async t => {
  const peer = await clientForTest(t)
  const topic = await peer.topic(1)
  const [lost, ahead] = [peer.server.uniqueName('lost'), peer.server.uniqueName('ahead')]
  const appender = new TestAppender(t, peer.cluster)
  await appender.append(...Array.from({ length: 20 }, () => ({ topic, key: null, value: Buffer.alloc(10) })))
  await commit(peer, lost, { topic, offset: 3n })
  await commit(peer, ahead, { topic, offset: 99n })
  await peer.admin.deleteRecords([{ topic, partition: 0, beforeOffset: 15n }])
  const behind = first(await lookAt(monitorOf(peer, lost)))
  assert.deepEqual([behind.lagRecords, behind.lostRecords, behind.flags], [5n, 12n, ['dataLoss']])
  const over = first(await lookAt(monitorOf(peer, ahead)))
  assert.deepEqual([over.lagRecords, over.lagSeconds, over.flags], [0n, 0, ['aheadOfLog']])
  const groupId = peer.server.uniqueName('fresh')
  const member = new TestMember(t, { cluster: peer.cluster, groupId, topics: [topic], autoOffsetReset: 'earliest' })
  await member.watch.until(() => member.held.has(0))
  const fresh = first(await lookAt(monitorOf(peer, groupId)))
  assert.deepEqual([fresh.committed, fresh.lagRecords, fresh.status], [undefined, 5n, 'NONE'])
  assert.deepEqual(fresh.flags, ['noCommit'])
})

async function transactionsFor(t: TestContext, peer: ClientPeer): Promise<TransactionalAppender> {
  const transactionalId = peer.server.uniqueName('txn')
  const appender = new TransactionalAppender({ cluster: peer.cluster, transactionalId, lingerMs: 0 })
  t.after(() => appender.close())
  await appender.start()
  return appender
}

test('markers of transactions are no lag, and an open transaction is told apart', async t => {
  const peer = await clientForTest(t)
  const topic = await peer.topic(1)
  const groupId = peer.server.uniqueName('group')
  const appender = await transactionsFor(t, peer)
  const record = { topic, key: Buffer.from('k'), value: Buffer.alloc(10) }
  appender.begin()
  appender.append(record)
  appender.append(record)
  await appender.commitTransaction()
  // Kafka answers before the marker is written.
  for (;;) {
    const [end] = await peer.admin.listOffsets([{ topic, partition: 0, at: 'latest' }])
    if (end?.offset === 3n) break
    await sleep(systemClock, 10)
  }
  // Two records and a marker: who has read both stands at 2, and the log ends at 3.
  await commit(peer, groupId, { topic, offset: 2n })
  const read = first(await lookAt(monitorOf(peer, groupId)))
  assert.deepEqual([read.endOffset, read.lagRecords, read.lagSeconds, read.flags], [3n, 0n, 0, ['markersOnly']])

  appender.begin()
  const delivered = Promise.withResolvers<void>()
  appender.append(record, { delivered: () => delivered.resolve(), failed: delivered.reject })
  await delivered.promise
  const uncommitted = first(await lookAt(monitorOf(peer, groupId)))
  assert.deepEqual([uncommitted.lagRecords, uncommitted.heldBackRecords], [2n, 0n])
  const open = monitorOf(peer, groupId, { isReadCommitted: true, hangingTransactionMs: 60_000 })
  const held = first(await lookAt(open))
  assert.deepEqual([held.endOffset, held.lagRecords, held.heldBackRecords], [3n, 0n, 1n])
  assert.deepEqual(held.flags, ['markersOnly'])
  const strict = monitorOf(peer, groupId, { isReadCommitted: true, hangingTransactionMs: 1 })
  assert.deepEqual(first(await lookAt(strict)).flags, ['markersOnly', 'hangingTransaction'])
  await appender.abortTransaction()
})

test('headroom is what retention leaves, by time and by size', async t => {
  const peer = await clientForTest(t)
  const topic = await peer.topic(1, { 'retention.ms': '3600000', 'retention.bytes': '100000' })
  const groupId = peer.server.uniqueName('group')
  const appender = new TestAppender(t, peer.cluster)
  const put = (count: number): Promise<void> =>
    appender.append(...Array.from({ length: count }, () => ({ topic, key: null, value: Buffer.alloc(1000) })))
  await put(30)
  await commit(peer, groupId, { topic, offset: 0n })
  const monitor = monitorOf(peer, groupId)
  const found = first(await lookAt(monitor))
  // 30 records of a little more than 1,000 bytes are a third of 100,000 bytes.
  assert.ok(Math.abs((found.retentionUsed ?? 0) - 0.31) < 0.03, String(found.retentionUsed))
  assert.equal(found.isHeadroomEstimated, true) // The growth is not known yet.
  await put(10)
  const later = first(await lookAt(monitor))
  const expected = (100_000 - 40 * 1030) / (1030 * (later.arrivalRate ?? Number.NaN))
  assert.equal(later.headroomLimit, 'size')
  assert.ok(
    Math.abs((later.headroomSeconds ?? 0) / expected - 1) < 0.1,
    `${later.headroomSeconds} s, not ${expected} s`
  )
})

test('a compacted topic says that its lag is an upper bound', async t => {
  const peer = await clientForTest(t)
  const topic = await peer.topic(1, { 'cleanup.policy': 'compact' })
  const groupId = peer.server.uniqueName('group')
  await new TestAppender(t, peer.cluster).append({ topic, key: Buffer.from('k'), value: Buffer.alloc(10) })
  await commit(peer, groupId, { topic, offset: 0n })
  const found = first(await lookAt(monitorOf(peer, groupId)))
  assert.deepEqual([found.lagRecords, found.headroomLimit, found.flags], [1n, 'none', ['compacted']])
})

test('a group that stands still is persistent, and has stopped once nobody is in it', async t => {
  const peer = await clientForTest(t)
  const topic = await peer.topic(1)
  const groupId = peer.server.uniqueName('group')
  await new TestAppender(t, peer.cluster).append({ topic, key: null, value: Buffer.alloc(10) })
  await commit(peer, groupId, { topic, offset: 0n })
  const monitor = monitorOf(peer, groupId)
  assert.deepEqual(first(await lookAt(monitor)).flags, [])
  await sleep(systemClock, 5)
  const found = first(await lookAt(monitor))
  assert.deepEqual([found.flags, found.status], [['persistent'], 'STOP'])
})
