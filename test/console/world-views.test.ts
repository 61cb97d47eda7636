/** The views of the console over an embedded broker: what is shown is what was appended, committed and joined here. */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { type Broker, startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, Cluster, GroupMember } from '../../src/client/index.ts'
import { operationsDefaults, parsePipeline } from '../../src/config/index.ts'
import { PipelineError, systemClock } from '../../src/core/index.ts'
import type { Page } from '../../src/console/api/common.ts'
import type { GroupDetail, GroupRow, HeatMap, RebalanceEntry } from '../../src/console/api/groups.ts'
import type { Overview } from '../../src/console/api/overview.ts'
import type { TopicDetail, TopicRow } from '../../src/console/api/topics.ts'
import type { InstanceLook } from '../../src/console/flow/instance-types.ts'
import { createWorld } from '../../src/console/world/world.ts'
import type { World } from '../../src/console/world/world-types.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { type ReadView, viewsOf } from '../support/console-views.ts'

const PIPELINE = `
name: shop
kafka: { bootstrapServers: embedded }
producer:
  sources: [{ type: http, port: 8080 }]
  route: { topic: orders }
  deadLetterTopic: orders-dead
dispatcher:
  groupId: billing
  topics: [orders]
  target: { type: http, url: 'https://user:sesame@target.example/in?token=sesame' }
  deadLetterTopic: orders-dead
operations:
  slo: [{ group: billing, lagSeconds: 3600 }]
`

let broker: Broker
let cluster: Cluster
let world: World
let read: ReadView
let looks: readonly InstanceLook[] = []
const members: GroupMember[] = []
const pipeline = parsePipeline(PIPELINE, { fileName: 'pipeline.yaml', environment: {} })

before(async () => {
  broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  const admin = new Admin(cluster)
  await admin.createTopics([
    { topic: 'orders', partitionCount: 4, replicationFactor: 1 },
    { topic: 'other', partitionCount: 1, replicationFactor: 1 },
    { topic: 'orders-dead', partitionCount: 1, replicationFactor: 1 }
  ])
  // 10 records in each partition of orders, but 500 in the third: more than twice its share.
  await append({ topic: 'orders', counts: [10, 10, 500, 10] })
  await append({ topic: 'orders-dead', counts: [3] })
  await join('billing')
  await admin.alterGroupOffsets('audit', [
    { topic: 'orders', partition: 0, offset: 4n },
    { topic: 'other', partition: 0, offset: 0n }
  ])
  const options = { cluster, clock: systemClock, logger: silentLogger, intervalMs: 100 }
  world = createWorld({ ...options, operations: pipeline.operations })
  read = viewsOf({ world, cluster, pipeline, instances: () => looks })
  await world.ready()
})

after(async () => {
  await world.close()
  await Promise.all(members.map(member => member.close()))
  await cluster.close()
  await broker.close()
})

async function append({
  topic,
  counts
}: {
  readonly topic: string
  readonly counts: readonly number[]
}): Promise<void> {
  const appender = new Appender({ cluster, lingerMs: 0 })
  const listener = { delivered: () => undefined, failed: (error: unknown) => assert.fail(String(error)) }
  for (const [partition, count] of counts.entries()) {
    for (let left = count; left > 0; left -= 1) {
      appender.append({ topic, partition, key: null, value: Buffer.from('{}') }, listener)
    }
  }
  await appender.close()
}

/** Joins a group, and waits until the member owns something. */
async function join(groupId: string): Promise<GroupMember> {
  return await new Promise((resolve, reject) => {
    const member = new GroupMember({
      cluster,
      groupId,
      topics: ['orders'],
      groupProtocol: 'classic',
      heartbeatIntervalMs: 100,
      listener: {
        assigned: partitions => {
          if (partitions.length > 0) resolve(member)
        },
        revoked: () => Promise.resolve(),
        lost: () => undefined,
        failed: reject
      }
    })
    members.push(member)
    member.start()
  })
}

/** Waits for the next look of which something holds. */
async function lookThat(holds: () => boolean): Promise<void> {
  const leave = world.attend()
  await new Promise<void>(resolve => {
    const stop = world.onLook(() => {
      if (!holds()) return
      stop()
      resolve()
    })
  })
  leave()
}

// Each view is read as what the pages take it for.
const get = async <T>(path: string): Promise<T> => (await read(path)) as T

test('the lag of a group is what is left to read; to have committed nothing is not to be at the end', async () => {
  const { rows, total } = await get<Page<GroupRow>>('/api/groups?sort=groupId')
  assert.equal(total, 2)
  const [audit, billing] = rows

  // audit has read 4 of the 10 of partition 0, and picks its partitions itself: it reads what it has committed.
  assert.equal(audit?.lagRecords, '6')
  assert.equal(audit.partitionCount, 2)
  assert.deepEqual(audit.topics, ['orders', 'other'])
  assert.equal(audit.memberCount, 0)
  assert.ok((audit.lagSeconds ?? -1) >= 0 && (audit.lagSeconds ?? 99) < 60)
  // billing has committed nothing: all is unread, and flagged.
  assert.equal(billing?.lagRecords, '530')
  assert.deepEqual(billing.flags, ['noCommit'])
  assert.equal(billing.sloSeconds, 3600)
  assert.equal(billing.memberCount, 1)
})

test('a replay that does not run is idle in lists, and not among the groups that are behind', async () => {
  const admin = new Admin(cluster)
  await admin.alterGroupOffsets('billing-replay', [{ topic: 'orders', partition: 0, offset: 2n }])
  await lookThat(() => world.latest()?.groupsById.has('billing-replay') === true)

  const { rows } = await get<Page<GroupRow>>('/api/groups?find=replay&status=NONE')
  const { worst, groupsByStatus } = await get<Overview>('/api/overview')
  await admin.deleteGroups(['billing-replay'])
  await lookThat(() => world.latest()?.groupsById.has('billing-replay') === false)

  assert.deepEqual(
    rows.map(({ health, lagRecords, status }) => [health, lagRecords, status]),
    [['idle', '8', 'NONE']]
  )
  assert.ok(!worst.some(({ groupId }) => groupId === 'billing-replay'))
  assert.equal(groupsByStatus.ERR, 0)
})

test('groups are sorted, filtered and paged', async () => {
  const names = async (query: string): Promise<string[]> =>
    (await get<Page<GroupRow>>(`/api/groups?${query}`)).rows.map(({ groupId }) => groupId)

  assert.deepEqual(await names('sort=lagRecords&descending=true'), ['billing', 'audit'])
  assert.deepEqual(await names('sort=lagRecords'), ['audit', 'billing'])
  assert.deepEqual(await names('find=AUD'), ['audit'])
  assert.deepEqual(await names('topic=other'), ['audit'])
  assert.deepEqual(await names('sort=groupId&offset=1&limit=1'), ['billing'])
  assert.deepEqual(await names('offset=5'), [])
})

test('a group in full: partitions with owners, members, what is unknown as null', async () => {
  const {
    partitions,
    members: found,
    row
  } = await get<GroupDetail>('/api/group?id=billing&sort=lagRecords&descending=true')

  assert.equal(row.groupId, 'billing')
  const audit = await get<GroupDetail>('/api/group?id=audit')
  assert.deepEqual([audit.row.health, ...audit.reasons.map(({ key }) => key)], ['warn', 'noMembers'])
  assert.equal(partitions.total, 4)
  const [hot] = partitions.rows
  assert.equal(hot?.partition, 2)
  assert.equal(hot.lagRecords, '500')
  assert.equal(hot.committed, null)
  assert.equal(hot.endOffset, '500')
  assert.match(hot.owner, /@127\.0\.0\.1$/)
  assert.equal(hot.isPaused, null) // no dispatcher is known that owns it
  assert.equal(found.length, 1)
  assert.equal(found[0]?.partitionCount, 4)
})

test('ERR_CONSOLE_NOT_FOUND for a group or topic that is not there', async () => {
  for (const path of ['/api/group?id=x', '/api/heat-map?group=x', '/api/heat-map?topic=x', '/api/topic?name=x']) {
    await assert.rejects(read(path), error => PipelineError.is(error) && error.code === 'ERR_CONSOLE_NOT_FOUND')
  }
})

test('a heat map shows the hot partition by the doctor’s rule; that of a topic has no owners', async () => {
  const ofGroup = await get<HeatMap>('/api/heat-map?group=billing')
  const ofTopic = await get<HeatMap>('/api/heat-map?topic=orders')

  assert.deepEqual(
    ofGroup.topics[0]?.cells.map(({ isHot }) => isHot),
    [false, false, true, false]
  )
  // 500 of 530 in one of four partitions: 4 × 500 / 530.
  assert.equal(ofGroup.hot[0]?.timesFair, 3.774)
  assert.equal(ofGroup.owners.length, 1)
  assert.equal(ofTopic.hot[0]?.partition, 2)
  assert.deepEqual(ofTopic.owners, [])
  assert.equal(ofTopic.topics[0]?.cells[0]?.lagRecords, null)
})

test('topics with their readers and roles; the settings of one are read once', async () => {
  const { rows } = await get<Page<TopicRow>>('/api/topics')
  assert.deepEqual(
    rows.map(({ topic, role, records, groupCount }) => [topic, role, records, groupCount]),
    [
      ['orders', 'events', '530', 2],
      ['orders-dead', 'deadLetters', '3', 0],
      ['other', 'other', '0', 1]
    ]
  )
  assert.deepEqual(
    rows[0]?.groups.map(({ groupId }) => groupId),
    ['billing', 'audit']
  )
  assert.equal(rows[1]?.lagRecords, null) // nobody reads it: that is no lag of 0

  const { partitions, settings } = await get<TopicDetail>('/api/topic?name=orders&sort=endOffset&descending=true')
  assert.deepEqual(
    partitions.rows.map(({ partition }) => partition),
    [2, 0, 1, 3]
  )
  assert.equal(settings.find(({ name }) => name === 'retention.ms')?.value, '604800000')
})

test('the overview is the pipeline as its file says and the cluster shows, without secrets of addresses', async () => {
  const overview = await get<Overview>('/api/overview')

  assert.deepEqual(
    overview.nodes.map(({ id }) => id),
    [
      'source:0',
      'producer',
      'topic:orders',
      'deadLetters:orders-dead',
      'group:billing',
      'target:target.example/in',
      'group:audit'
    ]
  )
  assert.deepEqual(
    overview.edges.map(({ from, to }) => `${from} > ${to}`),
    [
      'source:0 > producer',
      'producer > topic:orders',
      'producer > deadLetters:orders-dead',
      'topic:orders > group:billing',
      'group:billing > deadLetters:orders-dead',
      'group:billing > target:target.example/in',
      'topic:orders > group:audit'
    ]
  )
  assert.doesNotMatch(JSON.stringify(overview), /sesame/)
  const letters = overview.nodes.find(({ kind }) => kind === 'deadLetters')
  assert.deepEqual(
    letters?.reasons.map(({ key }) => key),
    ['recordsWait']
  )
  // audit stands still with a lag, but is somebody else's.
  assert.equal(overview.nodes.at(-1)?.health, 'warn')
  assert.equal(overview.health, 'good')
  assert.equal(overview.groupCount, 2)
  assert.equal(overview.hiddenGroups, 0)
  assert.equal(overview.hiddenTopics, 1)
  assert.deepEqual(overview.worst.map(({ groupId }) => groupId).sort(), ['audit', 'billing'])
})

test('what processes say comes into the picture: one that is away, a breaker, a partition that is paused', async () => {
  const dispatcher: InstanceLook = {
    instance: { name: 'dispatcher-1', role: 'dispatcher', url: 'http://127.0.0.1:1' },
    takenAtMs: 1,
    problem: null,
    isReady: true,
    metrics: [],
    description: {
      groupId: 'billing',
      routes: [{ name: 'all', target: 'http', inFlight: 3, waiting: 0, breaker: { state: 'open' } }],
      partitions: [{ topic: 'orders', partition: 1, fetchPausedBy: 'operator', blockedBy: null }]
    }
  }
  const instance = { name: 'producer-1', role: 'producer' as const, url: 'http://127.0.0.1:1' }
  looks = [dispatcher, { ...dispatcher, instance, problem: 'refused', isReady: false, description: undefined }]

  const { nodes, health } = await get<Overview>('/api/overview')
  const { partitions } = await get<GroupDetail>('/api/group?id=billing')
  looks = []

  assert.equal(health, 'bad')
  const kinds = new Map(nodes.map(node => [node.kind, node]))
  assert.deepEqual(kinds.get('producer')?.reasons, [{ key: 'instanceAway', values: { text: 'producer-1: refused' } }])
  assert.deepEqual(kinds.get('target')?.reasons, [{ key: 'breakerOpen', values: {} }])
  assert.equal(partitions.rows[1]?.isPaused, true)
  assert.equal(partitions.rows[1]?.heldUpBy, 'operator')
})

test('without a pipeline file: topics and who reads them', async () => {
  const plain = viewsOf({ world, cluster, operations: operationsDefaults() })

  const { nodes, edges, pipeline: name } = (await plain('/api/overview')) as Overview

  assert.equal(name, '')
  assert.ok(nodes.every(({ kind }) => kind === 'topic' || kind === 'group'))
  assert.deepEqual(edges.map(({ from, to }) => `${from} > ${to}`).sort(), [
    'topic:orders > group:audit',
    'topic:orders > group:billing',
    'topic:other > group:audit'
  ])
})

test('a member that joins is a rebalance, and rates are those of the last looks', async () => {
  await join('billing')
  await append({ topic: 'orders', counts: [50, 50, 50, 50] })
  await lookThat(() => world.rebalances('billing')[0]?.joined.length === 1)
  await lookThat(() => (world.totalSeries('arrivalRate').values.at(-1) ?? 0) > 0)

  const { rows } = await get<Page<RebalanceEntry>>('/api/rebalances?group=billing')
  const [entry] = rows
  assert.equal(entry?.groupId, 'billing')
  assert.ok(entry.moved >= 2, `${entry.moved} moved`)
  const { rows: topics } = await get<Page<TopicRow>>('/api/topics?sort=rate&descending=true')
  assert.equal(topics[0]?.topic, 'orders')
  assert.ok((topics[0].rate ?? 0) > 0)
})
