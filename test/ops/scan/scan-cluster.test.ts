/** Scans that ask for little, and scans of clusters where something is wrong: the rest of the scan stands. */

import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'

import { type Broker, type Injection, startBroker } from '../../../src/broker/index.ts'
import { Admin, Cluster } from '../../../src/client/index.ts'
import { sleep, systemClock } from '../../../src/core/index.ts'
import { LagMonitor } from '../../../src/ops/lag/lag-monitor.ts'
import { scanCluster } from '../../../src/ops/scan/scan-cluster.ts'
import { uniqueName } from '../../support/cluster.ts'

let broker: Broker
let cluster: Cluster

before(async () => {
  broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
})
after(async () => {
  await cluster.close()
  await broker.close()
})

/** Has the broker answer wrongly until the test ends. */
function inject(t: TestContext, rule: Parameters<Broker['faults']['inject']>[0]): Injection {
  const injection = broker.faults.inject(rule)
  t.after(() => injection.remove())
  return injection
}

/** A topic, and groups that have committed an offset in it. */
async function world(groupCount: number, partitionCount = 2): Promise<{ topic: string; groupIds: string[] }> {
  const admin = new Admin(cluster)
  const topic = uniqueName('scan')
  await admin.createTopics([{ topic, partitionCount }])
  const groupIds = Array.from({ length: groupCount }, (_, index) => `${topic}-${String(index).padStart(3, '0')}`)
  for (const groupId of groupIds) await admin.alterGroupOffsets(groupId, [{ topic, partition: 0, offset: 0n }])
  return { topic, groupIds }
}

test('the number of requests depends on brokers, not on groups or partitions', async t => {
  const { groupIds } = await world(60, 50)
  await scanCluster(cluster)
  const counted = ['Metadata', 'ListGroups', 'FindCoordinator', 'OffsetFetch', 'DescribeGroups', 'ListOffsets'].map(
    api => [api, inject(t, { api, times: Infinity, fault: { delayMs: 0 } })] as const
  )
  const scan = await scanCluster(cluster)
  assert.ok(groupIds.every(groupId => scan.groups.some(each => each.groupId === groupId)))
  const requests = Object.fromEntries(counted.map(([api, { matched }]) => [api, matched]))
  // 60 groups in requests of 25; coordinators are known from the scan before.
  assert.deepEqual(requests, {
    Metadata: 1,
    ListGroups: 1,
    FindCoordinator: 0,
    OffsetFetch: 3,
    DescribeGroups: 1,
    ListOffsets: 2
  })
})

test('a scan of some groups or topics asks for nothing else', async t => {
  const [one, other] = [await world(2), await world(1)]
  const listed = inject(t, { api: 'ListGroups', times: Infinity, fault: { delayMs: 0 } })
  const ofGroup = await scanCluster(cluster, { groups: one.groupIds.slice(0, 1) })
  assert.deepEqual([...ofGroup.topics.keys()], [one.topic])
  assert.deepEqual(
    ofGroup.groups.map(({ groupId }) => groupId),
    one.groupIds.slice(0, 1)
  )
  assert.equal(listed.matched, 0)
  const ofTopic = await scanCluster(cluster, { topics: [other.topic] })
  assert.deepEqual([...ofTopic.topics.keys()], [other.topic])
  assert.deepEqual(
    ofTopic.groups.map(({ groupId }) => groupId),
    other.groupIds
  )
  const described = inject(t, { api: 'DescribeGroups', times: Infinity, fault: { delayMs: 0 } })
  await scanCluster(cluster, { groups: one.groupIds, withMembers: false })
  assert.equal(described.matched, 0)
})

test('groups that may not be read say so, and have no offsets instead of zero', async t => {
  const { topic, groupIds } = await world(2)
  inject(t, { api: 'OffsetFetch', times: Infinity, fault: { error: 'GROUP_AUTHORIZATION_FAILED' } })
  const scan = await scanCluster(cluster, { groups: groupIds, topics: [topic] })
  for (const group of scan.groups) {
    assert.match(group.problem ?? '', /GROUP_AUTHORIZATION_FAILED/u)
    assert.deepEqual(group.offsets, [])
  }
  assert.equal(scan.topics.get(topic)?.partitions[0]?.problem, undefined)
  const [group] = (await new LagMonitor({ cluster, groups: groupIds }).look()).groups
  assert.match(group?.problem ?? '', /GROUP_AUTHORIZATION_FAILED/u)
  assert.equal(group?.lagSeconds, undefined)
})

test('a coordinator that loads is asked again; one that stays away costs patience, not the scan', async t => {
  const { groupIds } = await world(1)
  const once = inject(t, { api: 'OffsetFetch', times: 1, fault: { error: 'COORDINATOR_LOAD_IN_PROGRESS' } })
  const [group] = (await scanCluster(cluster, { groups: groupIds })).groups
  assert.equal(once.applied, 1)
  assert.equal(group?.problem, undefined)
  assert.equal(group?.offsets.length, 1)
  inject(t, { api: 'OffsetFetch', times: Infinity, fault: { error: 'NOT_COORDINATOR' } })
  const [away] = (await scanCluster(cluster, { groups: groupIds, patienceMs: 60 })).groups
  assert.match(away?.problem ?? '', /NOT_COORDINATOR/u)
})

test('a broker that closes the connection is asked again; one that will not list its groups is told of', async t => {
  const { topic, groupIds } = await world(1)
  inject(t, { api: 'ListOffsets', times: 1, fault: 'close' })
  const scan = await scanCluster(cluster, { groups: groupIds })
  assert.equal(scan.topics.get(topic)?.partitions[1]?.highWatermark, 0n)
  inject(t, { api: 'ListGroups', times: Infinity, fault: { error: 'CLUSTER_AUTHORIZATION_FAILED' } })
  const all = await scanCluster(cluster)
  assert.match(all.problems[0] ?? '', /broker 1 .*CLUSTER_AUTHORIZATION_FAILED/u)
  assert.ok(all.topics.has(topic))
})

test('a partition without offsets is marked; a monitor that knew it before goes on with that, and says so', async t => {
  const { topic, groupIds } = await world(1)
  const monitor = new LagMonitor({ cluster, groups: groupIds, patienceMs: 30 })
  await monitor.look()
  inject(t, { api: 'ListOffsets', topic, times: Infinity, fault: { error: 'TOPIC_AUTHORIZATION_FAILED' } })
  const scan = await scanCluster(cluster, { groups: groupIds, patienceMs: 30 })
  const [partition] = scan.topics.get(topic)?.partitions ?? []
  assert.match(partition?.problem ?? '', /needs the right DESCRIBE/u)
  assert.deepEqual([partition?.highWatermark, partition?.logStartOffset], [-1n, -1n])
  const [old] = (await monitor.look()).groups
  assert.deepEqual([old?.partitions[0]?.isKnown, old?.flags, old?.unknownCount], [true, ['offline'], 0])
  const [unknown] = (await new LagMonitor({ cluster, groups: groupIds, patienceMs: 30 }).look()).groups
  assert.deepEqual([unknown?.partitions[0]?.isKnown, unknown?.flags, unknown?.unknownCount], [false, ['offline'], 1])
  assert.equal(unknown?.lagSeconds, undefined)
})

test('retention that may not be read leaves the headroom unknown, and the lag as it is', async t => {
  const { topic, groupIds } = await world(1, 1)
  const [groupId = ''] = groupIds
  const { Appender } = await import('../../../src/client/index.ts')
  const appender = new Appender({ cluster, lingerMs: 0 })
  t.after(() => appender.close())
  appender.append(
    { topic, key: null, value: Buffer.alloc(10) },
    { delivered: () => undefined, failed: () => undefined }
  )
  await appender.flush()
  inject(t, { api: 'DescribeConfigs', times: Infinity, fault: { error: 'TOPIC_AUTHORIZATION_FAILED' } })
  const report = await new LagMonitor({ cluster, groups: [groupId] }).look()
  const [partition] = report.groups[0]?.partitions ?? []
  assert.deepEqual([partition?.lagRecords, partition?.headroomLimit], [1n, 'unknown'])
  assert.match(report.problems[0] ?? '', /DESCRIBE_CONFIGS/u)
  inject(t, { api: 'Fetch', times: Infinity, fault: { error: 'TOPIC_AUTHORIZATION_FAILED' } })
  const [blind] = (await new LagMonitor({ cluster, groups: [groupId] }).look()).groups
  assert.deepEqual([blind?.lagRecords, blind?.lagSeconds, blind?.lagTimeSource], [1n, undefined, 'unknown'])
})

test('a topic that was made anew begins anew: rates and verdicts are not those of the old one', async () => {
  const admin = new Admin(cluster)
  const { topic, groupIds } = await world(1, 1)
  const monitor = new LagMonitor({ cluster, groups: groupIds, minimumComplete: 0 })
  await admin.alterGroupOffsets(groupIds[0] ?? '', [{ topic, partition: 0, offset: 50n }])
  const [before] = (await monitor.look()).groups
  assert.deepEqual(before?.flags, ['aheadOfLog'])
  await admin.deleteTopics([topic])
  await admin.createTopics([{ topic, partitionCount: 1 }])
  await admin.alterGroupOffsets(groupIds[0] ?? '', [{ topic, partition: 0, offset: 0n }])
  await sleep(systemClock, 2)
  const [found] = (await monitor.look()).groups
  // Nothing went back: it is another log.
  assert.deepEqual([found?.flags, found?.serviceRate, found?.partitions[0]?.complete], [[], undefined, 0.1])
})

test('what nobody sees any more is forgotten', async () => {
  const admin = new Admin(cluster)
  const { groupIds } = await world(2)
  const monitor = new LagMonitor({ cluster, groups: groupIds })
  assert.equal((await monitor.look()).groups.length, 2)
  await admin.deleteGroups(groupIds.slice(0, 1))
  const [gone] = (await monitor.look()).groups
  assert.deepEqual([gone?.state, gone?.partitions.length, gone?.status], ['Dead', 0, 'NONE'])
})

test('a group that has committed nothing for long enough is not judged any more', async () => {
  const { topic, groupIds } = await world(1, 1)
  await new Admin(cluster).alterGroupOffsets(groupIds[0] ?? '', [{ topic, partition: 0, offset: 0n }])
  const monitor = new LagMonitor({ cluster, groups: groupIds, minimumComplete: 0, expireGroupMs: 1 })
  assert.equal((await monitor.look()).groups[0]?.status, 'OK')
  await sleep(systemClock, 5)
  assert.equal((await monitor.look()).groups[0]?.status, 'NONE')
})
