/**
 * What a broker needs while it has little to do, beside Apache Kafka: memory with many partitions, CPU with idle
 * clients.
 *
 *     npm run bench:broker-idle -- [--partitions 2000] [--connections 100] [--groups 10] [--seconds 20]
 *                                  [--only comporta|kafka] [--profile DIR]
 *
 * Every partition gets a batch of records, and all are fetched once. Then `--connections` connections are open and
 * silent, and every group has a member that heartbeats every 3 seconds and waits in fetches of 100 partitions, half a
 * second each, as consumers do. Memory is what the kernel counts for the process; CPU is user and system time over
 * `--seconds`.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import {
  createTopicsApi,
  fetchApi,
  findCoordinatorApi,
  heartbeatApi,
  joinGroupApi,
  metadataApi,
  produceApi,
  RecordBatchBuilder,
  syncGroupApi
} from '../src/protocol/index.ts'
import { Link } from '../test/chaos/broker-crash-link.ts'
import { cpuSecondsOf, memoryOf } from './support/broker-child.ts'
import { machine } from './support/figures.ts'
import { type Peer, startPeers } from './support/peers.ts'

const TOPIC_PARTITIONS = 100
const HEARTBEAT_MS = 3000
const FETCH_WAIT_MS = 500
/** What was written is flushed after this long, by a broker that is not idle yet; it has time for that. */
const SETTINGS = { 'log.flush.offset.checkpoint.interval.ms': '10000' }
const SETTLE_SECONDS_MAX = 90
const PROMISED = { memoryMb: 300, cpuPercent: 1 }
const { values: options } = parseArgs({
  options: {
    partitions: { type: 'string', default: '2000' },
    connections: { type: 'string', default: '100' },
    groups: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '20' },
    only: { type: 'string' },
    profile: { type: 'string' }
  }
})
const topicNames = Array.from({ length: Number(options.partitions) / TOPIC_PARTITIONS }, (_, index) => `idle-${index}`)
const partitionIndexes = Array.from({ length: TOPIC_PARTITIONS }, (_, index) => index)

interface Needs {
  readonly memoryMb: number
  readonly peakMb: number
  readonly cpuPercent: number
}

async function fill(link: Link): Promise<void> {
  for (const name of topicNames) {
    const topics = [{ name, numPartitions: TOPIC_PARTITIONS, replicationFactor: 1 }]
    await link.request(createTopicsApi, { version: 7, message: { topics, timeoutMs: 60_000 } })
    const builder = new RecordBatchBuilder()
    for (let index = 0; index < 10; index++) builder.tryAppend(Date.now(), null, Buffer.alloc(200, 120))
    const records = Buffer.from(builder.build())
    const partitionData = partitionIndexes.map(index => ({ index, records }))
    const message = { acks: -1, timeoutMs: 30_000, topicData: [{ name, partitionData }] }
    // A new topic has its leaders a moment after its creation is answered.
    for (let missing = true; missing;) {
      const answer = await link.request(produceApi, { version: 8, message })
      missing = answer.responses[0]?.partitionResponses.some(({ errorCode }) => errorCode !== 0) !== false
      if (missing) await delay(50)
    }
    await link.request(fetchApi, { version: 11, message: fetchOf(name, { offset: 0n, maxWaitMs: 0 }) })
  }
  await link.request(metadataApi, { version: 12, message: { topics: null } })
}

function fetchOf(topic: string, { offset, maxWaitMs }: { offset: bigint; maxWaitMs: number }): object {
  const partitions = partitionIndexes.map(partition => ({
    partition,
    fetchOffset: offset,
    partitionMaxBytes: 1_048_576
  }))
  return { maxWaitMs, minBytes: 1, maxBytes: 52_428_800, topics: [{ topic, partitions }] }
}

/** A consumer that has read everything: heartbeats on one connection, long fetches on another. */
async function consume(peer: Peer, index: number, signal: AbortSignal): Promise<void> {
  const coordination = await Link.open(peer.port)
  const groupId = `idle-${index}`
  for (let errorCode = -1; errorCode !== 0;) {
    const message = { key: groupId, keyType: 0 }
    ;({ errorCode } = await coordination.request(findCoordinatorApi, { version: 2, message }))
    if (errorCode !== 0) await delay(100)
  }
  const common = { groupId, protocolType: 'consumer' }
  const protocols = [{ name: 'range', metadata: Buffer.from('000000000000ffffffff', 'hex') }]
  const join = { ...common, protocols, sessionTimeoutMs: 45_000, rebalanceTimeoutMs: 60_000 }
  const { memberId } = await coordination.request(joinGroupApi, { version: 9, message: { ...join, memberId: '' } })
  const joined = await coordination.request(joinGroupApi, { version: 9, message: { ...join, memberId } })
  const assignments = [{ memberId, assignment: Buffer.from('everything') }]
  const { generationId } = joined
  const sync = { ...common, memberId, generationId, protocolName: 'range', assignments }
  await coordination.request(syncGroupApi, { version: 5, message: sync })
  const fetching = await Link.open(peer.port)
  const topic = topicNames[index % topicNames.length] ?? ''
  const fetches = async (): Promise<void> => {
    const all = fetchOf(topic, { offset: 10n, maxWaitMs: FETCH_WAIT_MS })
    // A fetch session, as every consumer of today has: after the first time only changes are named.
    let session = { sessionId: 0, sessionEpoch: 0 }
    for (let message: object = { ...all, ...session }; !signal.aborted; message = { ...all, ...session, topics: [] }) {
      const { sessionId } = await fetching.request(fetchApi, { version: 11, message })
      session = { sessionId, sessionEpoch: session.sessionEpoch + 1 }
    }
  }
  const heartbeats = async (): Promise<void> => {
    while (!signal.aborted) {
      await coordination.request(heartbeatApi, { version: 4, message: { groupId, memberId, generationId } })
      await delay(HEARTBEAT_MS, undefined, { signal }).catch(() => undefined)
    }
  }
  await Promise.all([fetches(), heartbeats()])
  coordination.close()
  fetching.close()
}

/** Waits until the first flush of everything that was written is over: until the CPU has been at rest for a while. */
async function untilSettled({ pid }: Peer): Promise<void> {
  await delay(12_000)
  let restfulSeconds = 0
  for (let seconds = 0; seconds < SETTLE_SECONDS_MAX && restfulSeconds < 4; seconds += 2) {
    const cpuStart = await cpuSecondsOf(pid)
    await delay(2000)
    restfulSeconds = (await cpuSecondsOf(pid)) - cpuStart < 0.1 ? restfulSeconds + 2 : 0
  }
}

async function measure(peer: Peer): Promise<Needs> {
  const link = await Link.open(peer.port)
  await fill(link)
  const idle = await Promise.all(Array.from({ length: Number(options.connections) }, () => Link.open(peer.port)))
  const ended = new AbortController()
  const consumers = Array.from({ length: Number(options.groups) }, (_, index) => consume(peer, index, ended.signal))
  await untilSettled(peer)
  const cpuStart = await cpuSecondsOf(peer.pid)
  const startMs = performance.now()
  await delay(Number(options.seconds) * 1000)
  const seconds = (performance.now() - startMs) / 1000
  const cpuPercent = (((await cpuSecondsOf(peer.pid)) - cpuStart) / seconds) * 100
  const { rssMb: memoryMb, peakMb } = await memoryOf(peer.pid)
  ended.abort()
  await Promise.all(consumers)
  for (const each of [link, ...idle]) each.close()
  return { memoryMb, peakMb, cpuPercent }
}

console.log(machine())
console.log(
  `${options.partitions} partitions, ${options.connections} silent connections, ${options.groups} groups that wait ` +
    `for records, ${options.seconds} s`
)
const profileArgs = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`]
const found = new Map<string, Needs>()
// One after the other: what one does must not be in the other's way.
for (const name of ['comporta', 'kafka'].filter(each => options.only === undefined || options.only === each)) {
  for (const peer of await startPeers({ only: name, nodeArgs: profileArgs, settings: SETTINGS })) {
    try {
      const needs = await measure(peer)
      found.set(name, needs)
      console.log(
        `${name.padEnd(9)} ${needs.memoryMb.toFixed(0)} MB (${needs.peakMb.toFixed(0)} MB at the peak), ` +
          `${needs.cpuPercent.toFixed(2)} % of one core`
      )
    } finally {
      await peer.close()
    }
  }
}
const [ours, theirs] = [found.get('comporta'), found.get('kafka')]
if (ours !== undefined && theirs !== undefined) {
  const memory = (ours.memoryMb / theirs.memoryMb).toFixed(2)
  console.log(`ratio     ${memory} of the memory, ${(ours.cpuPercent / theirs.cpuPercent).toFixed(2)} of the CPU`)
}
if (ours !== undefined && (ours.memoryMb > PROMISED.memoryMb || ours.cpuPercent > PROMISED.cpuPercent)) {
  process.exitCode = 1
}
