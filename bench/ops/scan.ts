/**
 * How long a scan of a large cluster takes, in how many requests, and whether memory stays flat.
 *
 *     npm run bench:scan -- [--partitions 10000] [--groups 1000] [--per-group 100] [--scans 20] [--looks 5]
 *                           [--only comporta|kafkajs] [--kafka]
 *
 * Topics of 100 partitions, and groups that have committed an offset in `--per-group` partitions each, so that there
 * are groups × per-group pairs. The broker is the embedded one in a process of its own, or with `--kafka` an Apache
 * Kafka. A scan reads everything: metadata, groups, members, committed offsets, both ends of all partitions. The peer,
 * kafkajs, is asked for the same by its administration: groups, descriptions, offsets of each group, ends of each
 * topic.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { Kafka, logLevel } from 'kafkajs'

import { Admin, Cluster } from '../../src/client/index.ts'
import { Connection } from '../../src/client/connection.ts'
import { LagMonitor, scanCluster } from '../../src/ops/index.ts'
import { startBrokerChild } from '../support/broker-child.ts'
import { machine, median, spread } from '../support/figures.ts'

const { values: options } = parseArgs({
  options: {
    partitions: { type: 'string', default: '10000' },
    groups: { type: 'string', default: '1000' },
    'per-group': { type: 'string', default: '100' },
    scans: { type: 'string', default: '20' },
    looks: { type: 'string', default: '5' },
    only: { type: 'string' },
    kafka: { type: 'boolean', default: false },
    'heap-mb': { type: 'string', default: '1024' }
  }
})

const topicPartitions = 100
const promisedMs = 2_000
const topicCount = Math.max(1, Math.round(Number(options.partitions) / topicPartitions))
const groupCount = Number(options.groups)
const perGroup = Math.min(Number(options['per-group']), topicCount * topicPartitions)
const topics = Array.from({ length: topicCount }, (_, index) => `scan-${String(index).padStart(4, '0')}`)
const groupIds = Array.from({ length: groupCount }, (_, index) => `group-${String(index).padStart(4, '0')}`)

interface Server {
  readonly bootstrapServers: string
  close(): Promise<void>
}

async function startServer(): Promise<Server> {
  if (options.kafka) {
    const { startKafkaJvm } = await import('../../test/support/kafka-jvm.ts')
    return await startKafkaJvm({ heapMb: Number(options['heap-mb']) })
  }
  const child = await startBrokerChild()
  return { bootstrapServers: child.bootstrapServers, close: () => child.stop() }
}

/** Creates topics and commits offsets, several at a time. */
async function fill(admin: Admin): Promise<void> {
  for (let from = 0; from < topics.length; from += 10) {
    const some = topics.slice(from, from + 10)
    const results = await admin.createTopics(
      some.map(topic => ({ topic, partitionCount: topicPartitions, replicationFactor: 1 }))
    )
    const failed = results.find(({ errorCode }) => errorCode !== 0)
    if (failed !== undefined) throw new Error(`${failed.name}: ${failed.errorName} ${failed.errorMessage}`)
  }
  const left = groupIds.map((groupId, index) => ({ groupId, index }))
  const worker = async (): Promise<void> => {
    for (let each = left.pop(); each !== undefined; each = left.pop()) {
      const { groupId, index } = each
      const offsets = Array.from({ length: perGroup }, (_, at) => {
        const place = (index * perGroup + at) % (topicCount * topicPartitions)
        const topic = topics[Math.floor(place / topicPartitions)] ?? ''
        return { topic, partition: place % topicPartitions, offset: 0n }
      })
      const results = await admin.alterGroupOffsets(groupId, offsets)
      // A topic that was created a moment ago may not be known to all of the broker yet.
      if (results.some(({ errorCode }) => errorCode !== 0)) left.push(each)
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker))
}

/** Counts what goes out. */
function countRequests(): Map<string, number> {
  const counts = new Map<string, number>()
  // oxlint-disable-next-line typescript/unbound-method -- called with its own `this` below
  const send = Connection.prototype.send
  Connection.prototype.send = function (this: Connection, api, ...rest) {
    counts.set(api.name, (counts.get(api.name) ?? 0) + 1)
    return send.call(this, api, ...rest)
  } as typeof send // The same function, with a count before it.
  return counts
}

const rssMb = (): number => process.memoryUsage.rss() / 2 ** 20
const collect = (): void => (globalThis as { gc?: () => void }).gc?.()

async function runScans(cluster: Cluster): Promise<number> {
  const counts = countRequests()
  const timesMs: number[] = []
  const memoryMb: number[] = []
  let pairs = 0
  let partitions = 0
  for (let index = 0; index < Number(options.scans); index++) {
    counts.clear()
    const scan = await scanCluster(cluster)
    timesMs.push(scan.durationMs)
    pairs = scan.groups.reduce((sum, { offsets }) => sum + offsets.length, 0)
    partitions = [...scan.topics.values()].reduce((sum, each) => sum + each.partitions.length, 0)
    collect()
    memoryMb.push(rssMb())
    if (scan.problems.length > 0 || scan.groups.some(({ problem }) => problem !== undefined))
      throw new Error('a problem')
  }
  const requests = [...counts].map(([name, count]) => `${name} ${count}`).join(', ')
  console.log(`scan: ${partitions} partitions, ${groupCount} groups, ${pairs} pairs of group and partition`)
  const first = timesMs[0] ?? 0
  console.log(`  ${spread(timesMs)} ms over ${timesMs.length} scans, the first ${first.toFixed(0)} ms`)
  console.log(`  requests of the last one: ${requests}`)
  console.log(`  RSS after each: ${memoryMb.map(value => value.toFixed(0)).join(', ')} MiB`)
  console.log(`  ${median(timesMs) < promisedMs ? 'as promised' : 'NOT as promised'}: less than ${promisedMs} ms`)
  return median(timesMs)
}

async function runLooks(cluster: Cluster): Promise<void> {
  const monitor = new LagMonitor({ cluster })
  const timesMs: number[] = []
  const memoryMb: number[] = []
  for (let index = 0; index < Number(options.looks); index++) {
    const startedMs = performance.now()
    await monitor.look()
    timesMs.push(performance.now() - startedMs)
    collect()
    memoryMb.push(rssMb())
    await delay(10)
  }
  if (timesMs.length === 0) return
  console.log(`LagMonitor.look: ${spread(timesMs)} ms over ${timesMs.length} looks`)
  console.log(`  RSS after each: ${memoryMb.map(value => value.toFixed(0)).join(', ')} MiB`)
}

async function runPeer(bootstrapServers: string): Promise<number> {
  const admin = new Kafka({
    brokers: bootstrapServers.split(','),
    logLevel: logLevel.NOTHING,
    requestTimeout: 120_000
  }).admin()
  await admin.connect()
  const startedMs = performance.now()
  const { groups } = await admin.listGroups()
  await admin.describeGroups(groups.map(({ groupId }) => groupId))
  const offsets = await Promise.all(groups.map(({ groupId }) => admin.fetchOffsets({ groupId })))
  const ends = await Promise.all(topics.map(topic => admin.fetchTopicOffsets(topic)))
  const tookMs = performance.now() - startedMs
  await admin.disconnect()
  const pairs = offsets.flat().reduce((sum, { partitions }) => sum + partitions.length, 0)
  console.log(`kafkajs: ${tookMs.toFixed(0)} ms for ${pairs} pairs and ${ends.flat().length} partitions, once`)
  return tookMs
}

console.log(machine())
const server = await startServer()
const cluster = await Cluster.connect({
  bootstrapServers: server.bootstrapServers.split(','),
  requestTimeoutMs: 120_000
})
try {
  const startedMs = performance.now()
  await fill(new Admin(cluster))
  console.log(
    `${options.kafka ? 'Apache Kafka' : 'embedded broker'}, filled in ${Math.round(performance.now() - startedMs)} ms`
  )
  const oursMs = options.only === 'kafkajs' ? undefined : await runScans(cluster)
  if (options.only !== 'kafkajs') await runLooks(cluster)
  const theirsMs = options.only === 'comporta' ? undefined : await runPeer(server.bootstrapServers)
  if (oursMs !== undefined && theirsMs !== undefined) console.log(`ratio: ${(theirsMs / oursMs).toFixed(1)}`)
} finally {
  await cluster.close()
  await server.close()
}
