/**
 * 10,000 topics and 2,000 groups: what views cost, as counts and sizes that no busy machine changes, and as times with
 * much room. The measured times are those of `npm run bench:console`.
 */

import assert from 'node:assert/strict'
import test from 'node:test'

import type { Cluster } from '../../src/client/index.ts'
import { operationsDefaults } from '../../src/config/index.ts'
import { randomInt, SeededRandom, VirtualClock } from '../../src/core/index.ts'
import type { Page } from '../../src/console/api/common.ts'
import type { GroupRow, HeatMap } from '../../src/console/api/groups.ts'
import type { Overview } from '../../src/console/api/overview.ts'
import type { TopicRow } from '../../src/console/api/topics.ts'
import { History } from '../../src/console/world/history.ts'
import { createWorld } from '../../src/console/world/world.ts'
import type { LagLook, ScannedTopic } from '../../src/ops/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { viewsOf } from '../support/console-views.ts'
import { groupLag, lookOf, MadeUpLooker, partitionLag, scannedGroup, scannedTopic } from './world-support.ts'

const TOPICS = 10_000
const GROUPS = 2000
const PER_GROUP = 5

const topicName = (at: number): string => `topic-${String(at % TOPICS).padStart(5, '0')}`

function largeLook(takenAtMs: number, random: SeededRandom): LagLook {
  const topics: ScannedTopic[] = []
  for (let at = 0; at < TOPICS; at += 1) topics.push(scannedTopic(topicName(at), [BigInt(randomInt(random, 1000))]))
  const ids = Array.from({ length: GROUPS }, (_, at) => `group-${String(at).padStart(4, '0')}`)
  const lags = ids.map((groupId, at) => {
    const partitions = Array.from({ length: PER_GROUP }, (_, index) => {
      const lagSeconds = at % 10 === 0 ? undefined : randomInt(random, 1000)
      const lagRecords = BigInt(randomInt(random, 100_000))
      return partitionLag({ topic: topicName(at * PER_GROUP + index), lagRecords, lagSeconds })
    })
    return groupLag(groupId, partitions)
  })
  return lookOf({ takenAtMs, topics, groups: ids.map(groupId => scannedGroup({ groupId })), lags })
}

test('a large cluster: pages are bounded, sorted, and cost milliseconds', async t => {
  const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`seed ${seed}`)
  const clock = new VirtualClock()
  const random = new SeededRandom(seed)
  const made = largeLook(clock.now(), random)
  const arrivals = [{ records: 100, seconds: 10, rate: 10 }]
  const looker = new MadeUpLooker(
    () => ({ scan: made.scan, report: { ...made.report, takenAtMs: clock.now() } }),
    () => arrivals
  )
  // Never asked: looks are made up.
  const cluster = { clock } as unknown as Cluster
  const operations = operationsDefaults()
  const world = createWorld({ cluster, operations, clock, logger: silentLogger, monitor: looker })
  t.after(() => world.close())
  const read = viewsOf({ world, cluster, clock })
  await world.ready()

  const startedMs = performance.now()
  const groups = (await read('/api/groups?limit=100')) as Page<GroupRow>
  const last = (await read('/api/groups?limit=500&offset=1800')) as Page<GroupRow>
  const topics = (await read('/api/topics?limit=100&sort=lagRecords&descending=true')) as Page<TopicRow>
  const overview = (await read('/api/overview')) as Overview
  const tookMs = performance.now() - startedMs

  assert.deepEqual([groups.total, groups.rows.length], [GROUPS, 100])
  const seconds = groups.rows.map(({ lagSeconds }) => lagSeconds ?? -1)
  assert.deepEqual(
    seconds,
    seconds.toSorted((left, right) => right - left)
  )
  // Those of which nothing is known come last, and are not 0.
  assert.equal(last.rows.length, 200)
  assert.ok(last.rows.every(({ lagSeconds }) => lagSeconds === null))
  assert.deepEqual([topics.total, topics.rows.length], [TOPICS, 100])
  const lags = topics.rows.map(({ lagRecords }) => Number(lagRecords))
  assert.deepEqual(
    lags,
    lags.toSorted((left, right) => right - left)
  )
  assert.ok(overview.nodes.length <= 60, `${overview.nodes.length} boxes`)
  assert.equal(overview.hiddenGroups, GROUPS - 30)
  assert.equal(overview.hiddenTopics, TOPICS - 30)
  assert.ok(JSON.stringify(groups).length < 100_000)
  assert.ok(JSON.stringify(overview).length < 100_000)
  // About 30 ms on a machine that has nothing else to do.
  assert.ok(tookMs < 3000, `${tookMs.toFixed(0)} ms`)
  // One look for all of them.
  assert.equal(looker.lookCount, 1)
})

test('a history of 2,000 groups and 10,000 topics takes some megabytes, and no more with time', () => {
  const history = new History()
  const { report, scan } = largeLook(1, new SeededRandom(1))
  const arrivals = [{ records: 100, seconds: 10, rate: 10 }]
  const add = (takenAtMs: number): void =>
    history.add({ report: { ...report, takenAtMs }, topics: scan.topics.keys(), arrivalsOf: () => arrivals })
  add(1)
  const { byteLength } = history
  for (let look = 2; look <= 5; look += 1) add(look * 1000)

  // 2,000 groups × 4 numbers and 10,000 topics, 60 looks, 8 bytes each: 8.6 MB.
  assert.ok(byteLength < 9e6, `${byteLength} bytes`)
  assert.equal(history.byteLength, byteLength)
})

test('a group that reads more partitions than anybody can see is drawn in part, and says so', async t => {
  const clock = new VirtualClock()
  const partitions = Array.from({ length: 12_000 }, (_, at) =>
    partitionLag({ topic: topicName(Math.floor(at / 12)), partition: at % 12 })
  )
  const group = groupLag('wide', partitions)
  const looker = new MadeUpLooker(() => lookOf({ takenAtMs: clock.now(), lags: [group] }))
  const cluster = { clock } as unknown as Cluster
  const options = { cluster, clock, logger: silentLogger }
  const world = createWorld({ ...options, operations: operationsDefaults(), monitor: looker })
  t.after(() => world.close())

  const map = (await viewsOf({ world, cluster, clock })('/api/heat-map?group=wide')) as HeatMap

  assert.equal(
    map.topics.reduce((sum, { cells }) => sum + cells.length, 0),
    5000
  )
  assert.equal(map.hiddenPartitions, 7000)
})
