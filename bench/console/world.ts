/**
 * How the console's model holds up on a large cluster: a look, every view, memory, and what an open page is sent.
 *
 *     npm run bench:console -- [--topics 10000] [--groups 2000] [--per-group 5] [--looks 10] [--reads 200]
 *                              [--only comporta|kafkajs]
 *
 * The broker is the embedded one in a process of its own. Views are read as the server reads them, and their answers
 * are turned into JSON. Between looks some topics grow and some groups read on, so that what is sent to an open page of
 * 100 groups is what differs. The peer does what consoles do that ask per group: describe all groups, then the offsets
 * of each group and the ends of its topics, by the administration of kafkajs.
 */

import { rm } from 'node:fs/promises'
import { parseArgs } from 'node:util'

import { Kafka, logLevel } from 'kafkajs'

import { Cluster } from '../../src/client/index.ts'
import { operationsDefaults } from '../../src/config/index.ts'
import { systemClock } from '../../src/core/index.ts'
import { createWorld } from '../../src/console/world/world.ts'
import { fillManyGroups, topicsFolder } from '../../test/support/many-groups.ts'
import { viewsOf } from '../../test/support/console-views.ts'
import { startBrokerChild } from '../support/broker-child.ts'
import { machine, median, spread } from '../support/figures.ts'

const { values: options } = parseArgs({
  options: {
    topics: { type: 'string', default: '10000' },
    groups: { type: 'string', default: '2000' },
    'per-group': { type: 'string', default: '5' },
    looks: { type: 'string', default: '10' },
    reads: { type: 'string', default: '200' },
    only: { type: 'string' }
  }
})

const size = {
  topicCount: Number(options.topics),
  groupCount: Number(options.groups),
  topicsPerGroup: Number(options['per-group'])
}

const PATHS = [
  '/api/overview',
  '/api/groups?limit=100',
  '/api/groups?limit=100&sort=lagRecords&descending=true&offset=900',
  '/api/groups?limit=100&find=42',
  '/api/group?id=group-00042',
  '/api/heat-map?group=group-00042',
  '/api/rebalances',
  '/api/topics?limit=100',
  '/api/topics?limit=100&sort=rate&descending=true',
  '/api/topics?limit=100&sort=lagRecords&descending=true&offset=5000',
  '/api/topic?name=topic-00042'
]

/** Groups that the peer is asked for: all of them would take minutes. */
const peerGroupsMax = 100

const collect = (): void => (globalThis as { gc?: () => void }).gc?.()
const heapMb = (): number => {
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / 2 ** 20
}
const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 0)

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

async function runWorld(cluster: Cluster, move: () => Promise<void>): Promise<number> {
  const beforeMb = heapMb()
  const messages: string[] = []
  const note = (_fields: unknown, message: string): void => void messages.push(message)
  const logger = { debug: note, info: note, warn: note, error: note, child: () => logger }
  const world = createWorld({ cluster, operations: operationsDefaults(), clock: systemClock, logger })
  const read = viewsOf({ world, cluster })
  const looksMs: number[] = []
  const firstViewsMs: number[] = []
  const sentBytes: number[] = []
  let lastText = ''
  const leave = world.attend()
  for (let count = 0; count < Number(options.looks); count += 1) {
    const look = await new Promise<void>(resolve => {
      const stop = world.onLook(() => {
        stop()
        resolve()
      })
    }).then(() => world.latest())
    looksMs.push(look?.freshness.durationMs ?? 0)
    const startedMs = performance.now()
    const { freshness, ...page } = (await read('/api/groups?limit=100')) as { freshness: unknown }
    firstViewsMs.push(performance.now() - startedMs)
    const text = JSON.stringify(page)
    if (freshness !== undefined) sentBytes.push(text === lastText ? 0 : text.length)
    lastText = text
    await move()
  }
  console.log(`look: ${spread(looksMs)} ms over ${looksMs.length}; then every ${world.intervalMs} ms`)
  console.log(`first groups page of a look: ${spread(firstViewsMs)} ms`)
  console.log(`memory of the model: ${(heapMb() - beforeMb).toFixed(0)} MiB (heap and arrays, after collection)`)
  const sent = sentBytes.slice(1)
  console.log(`sent for a page of 100 groups per look: median ${(median(sent) / 1024).toFixed(1)} KiB`)
  for (const path of PATHS) await timeView(path, read)
  if (messages.length > 0) console.log(`said: ${[...new Set(messages)].join('; ')}`)
  leave()
  await world.close()
  return median(looksMs)
}

async function timeView(path: string, read: (path: string) => Promise<unknown>): Promise<void> {
  const timesMs: number[] = []
  let bytes = 0
  for (let count = 0; count < Number(options.reads); count += 1) {
    const startedMs = performance.now()
    bytes = JSON.stringify(await read(path)).length
    timesMs.push(performance.now() - startedMs)
  }
  const [half, most] = [median(timesMs), quantile(timesMs, 0.99)]
  console.log(`  ${path.padEnd(68)} median ${ms(half)}  p99 ${ms(most)} ms  ${(bytes / 1024).toFixed(0)} KiB`)
}

async function runPeer(bootstrapServers: string): Promise<number> {
  const kafka = new Kafka({ brokers: [bootstrapServers], logLevel: logLevel.NOTHING, requestTimeout: 120_000 })
  const admin = kafka.admin()
  await admin.connect()
  const startedMs = performance.now()
  const { groups } = await admin.listGroups()
  await admin.describeGroups(groups.map(({ groupId }) => groupId))
  const listedMs = performance.now() - startedMs
  const asked = groups.slice(0, peerGroupsMax)
  for (const { groupId } of asked) {
    const offsets = await admin.fetchOffsets({ groupId })
    await Promise.all(offsets.map(({ topic }) => admin.fetchTopicOffsets(topic)))
  }
  const askedMs = performance.now() - startedMs - listedMs
  await admin.disconnect()
  const tookMs = listedMs + (askedMs / Math.max(1, asked.length)) * groups.length
  const how = asked.length === groups.length ? 'measured' : `from ${asked.length} of them, which took ${ms(askedMs)} ms`
  console.log(`kafkajs, group by group: ${ms(tookMs)} ms for the lag of ${groups.length} groups (${how})`)
  return tookMs
}

console.log(machine())
const dataDir = await topicsFolder(size)
const broker = await startBrokerChild({ dataDir })
const bootstrapServers = [broker.bootstrapServers]
const cluster = await Cluster.connect({ bootstrapServers, requestTimeoutMs: 120_000 })
const filled = await fillManyGroups(cluster, size)
console.log(`${size.topicCount} topics, ${size.groupCount} groups of ${size.topicsPerGroup} topics each`)
try {
  const oursMs = options.only === 'kafkajs' ? undefined : await runWorld(cluster, filled.move)
  const theirsMs = options.only === 'comporta' ? undefined : await runPeer(broker.bootstrapServers)
  if (oursMs !== undefined && theirsMs !== undefined) console.log(`ratio: ${(theirsMs / oursMs).toFixed(1)}`)
} finally {
  await filled.close()
  await cluster.close()
  await broker.stop()
  await rm(dataDir, { recursive: true, force: true })
}
