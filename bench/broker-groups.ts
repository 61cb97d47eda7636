/**
 * How long a group of many members takes until all of them can work, beside Apache Kafka.
 *
 *     npm run bench:broker-groups -- [--runs 5] [--members 100] [--only comporta|kafka]
 *
 * Every member has a connection of its own. Classic protocol: from the first JoinGroup until all members are in one
 * generation and have their assignment; the members send heartbeats and join again when they are told to, as fast as
 * they are answered. Consumer protocol (KIP-848): from the first heartbeat until each member has its share of two
 * partitions a member. Shown are medians and lowest to highest; the ratio is that of the medians.
 */

import { parseArgs } from 'node:util'

import {
  consumerGroupHeartbeatApi,
  createTopicsApi,
  findCoordinatorApi,
  heartbeatApi,
  joinGroupApi,
  metadataApi,
  syncGroupApi
} from '../src/protocol/index.ts'
import { Link } from '../test/chaos/broker-crash-link.ts'
import { machine, median, spread } from './support/figures.ts'
import { type Peer, startPeers } from './support/peers.ts'

const PARTITIONS_PER_MEMBER = 2
const PROMISED_MS = 2000
const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    members: { type: 'string', default: '100' },
    only: { type: 'string' }
  }
})
const memberCount = Number(options.members)
const METADATA = Buffer.from('000000000000ffffffff', 'hex') // A subscription to nothing, version 0.

/** A member of a classic group. */
class ClassicMember {
  readonly #link: Link
  readonly #groupId: string
  #memberId = ''
  generation = -1

  constructor(link: Link, groupId: string) {
    this.#link = link
    this.#groupId = groupId
  }

  async run(isDone: () => boolean): Promise<void> {
    await this.#join()
    while (!isDone()) {
      const message = { groupId: this.#groupId, memberId: this.#memberId, generationId: this.generation }
      const { errorCode } = await this.#link.request(heartbeatApi, { version: 4, message })
      if (errorCode !== 0) await this.#join()
    }
  }

  async #join(): Promise<void> {
    const common = { groupId: this.#groupId, protocolType: 'consumer' }
    const joined = await this.#link.request(joinGroupApi, {
      version: 9,
      message: {
        ...common,
        memberId: this.#memberId,
        sessionTimeoutMs: 30_000,
        rebalanceTimeoutMs: 60_000,
        protocols: [{ name: 'range', metadata: METADATA }]
      }
    })
    this.#memberId = joined.memberId
    if (joined.errorCode !== 0) return
    const assignments = joined.members.map(({ memberId }) => ({ memberId, assignment: Buffer.from('a share') }))
    const { memberId } = joined
    const message = { ...common, memberId, generationId: joined.generationId, protocolName: 'range', assignments }
    const synced = await this.#link.request(syncGroupApi, { version: 5, message })
    if (synced.errorCode === 0) this.generation = joined.generationId
  }
}

async function classic(links: readonly Link[], groupId: string): Promise<number> {
  const members = links.map(link => new ClassicMember(link, groupId))
  const isDone = (): boolean =>
    members.every(({ generation }) => generation > 0 && generation === members[0]?.generation)
  const startMs = performance.now()
  await Promise.all(members.map(member => member.run(isDone)))
  return performance.now() - startMs
}

async function consumer(links: readonly Link[], groupId: string): Promise<number> {
  const topic = `topic-of-${groupId}`
  const topics = [{ name: topic, numPartitions: PARTITIONS_PER_MEMBER * memberCount, replicationFactor: 1 }]
  const [first] = links
  await first?.request(createTopicsApi, { version: 7, message: { topics, timeoutMs: 30_000 } })
  await first?.request(metadataApi, { version: 12, message: { topics: [{ name: topic }] } })
  const owned = links.map(() => 0)
  const startMs = performance.now()
  const isDone = (): boolean => owned.every(count => count === PARTITIONS_PER_MEMBER)
  await Promise.all(
    links.map(async (link, index) => {
      const memberId = `${groupId}-${index}`
      const subscription = { subscribedTopicNames: [topic], rebalanceTimeoutMs: 60_000, topicPartitions: [] }
      let memberEpoch = 0
      let message: object = { groupId, memberId, memberEpoch, ...subscription }
      while (!isDone()) {
        const answer = await link.request(consumerGroupHeartbeatApi, { version: 1, message })
        if (answer.errorCode !== 0) throw new Error(`heartbeat: ${answer.errorCode} ${answer.errorMessage}`)
        memberEpoch = answer.memberEpoch
        const assigned = answer.assignment?.topicPartitions
        if (assigned !== undefined) owned[index] = assigned.reduce((sum, { partitions }) => sum + partitions.length, 0)
        // What it was assigned it has; what it gave up it says it has no more.
        message = { groupId, memberId, memberEpoch, ...(assigned !== undefined && { topicPartitions: assigned }) }
      }
    })
  )
  return performance.now() - startMs
}

async function untilCoordinated(link: Link, groupId: string): Promise<void> {
  for (;;) {
    const answer = await link.request(findCoordinatorApi, { version: 2, message: { key: groupId, keyType: 0 } })
    if (answer.errorCode === 0) return
  }
}

const PROTOCOLS = { classic, consumer } as const
const samples = new Map<string, number[]>()

async function measure(peer: Peer, run: number): Promise<void> {
  for (const [name, join] of Object.entries(PROTOCOLS)) {
    const groupId = `${name}-${run}`
    const links = await Promise.all(Array.from({ length: memberCount }, () => Link.open(peer.port)))
    if (links[0] !== undefined) await untilCoordinated(links[0], groupId)
    const ms = await join(links, groupId)
    for (const link of links) link.close()
    process.stderr.write(`${peer.name} ${name} ${run === 0 ? '(warm-up) ' : ''}${ms.toFixed(0)} ms\n`)
    const key = `${name} ${peer.name}`
    if (run > 0) samples.set(key, [...(samples.get(key) ?? []), ms])
  }
}

const peers = await startPeers({ only: options.only, settings: { 'group.initial.rebalance.delay.ms': '0' } })
try {
  for (let run = 0; run <= Number(options.runs); run++) for (const peer of peers) await measure(peer, run)
} finally {
  for (const peer of peers) await peer.close()
}

console.log(machine())
console.log(`${memberCount} members, ${options.runs} runs, ms until all can work`)
for (const name of Object.keys(PROTOCOLS)) {
  for (const peer of peers) {
    console.log(`${name.padEnd(9)} ${peer.name.padEnd(9)} ${spread(samples.get(`${name} ${peer.name}`) ?? [])}`)
  }
  const ours = median(samples.get(`${name} comporta`) ?? [])
  const theirs = median(samples.get(`${name} kafka`) ?? [])
  if (peers.length === 2) console.log(`${name.padEnd(9)} ratio     ${(ours / theirs).toFixed(2)}`)
  if (ours > PROMISED_MS) process.exitCode = 1
}
