/**
 * Rolling restart: dispatchers of one group are restarted one after the other while records keep coming.
 *
 *     npm run bench:rolling-restart -- [--members 4] [--rate 5000] [--rounds 1] [--kafka] [--json] [--from dist|source]
 *         [--settings '{"groupProtocol":"consumer"}'] [--broker-setting name=value] [--keys 5000]
 *
 * Each member is a process of its own; it gets SIGTERM, drains, ends, and a new one is started in its place. The sink
 * looks into every payload: which record came how often, and when. A pause of a partition is the time between two of
 * its batches; of each partition and each half of a restart (the old member leaves, the new one joins) the longest
 * counts. `oldest records` is how old the oldest record of the partition was when it came.
 *
 * Goal: no pause over 250 ms at p99, nothing twice, nothing lost.
 */

import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { Kafka, logLevel } from 'kafkajs'

import { writeArguments } from '../support/arguments.ts'
import { type Child, startNode } from '../support/children.ts'
import { checkFreshness } from '../support/doors.ts'
import { machine } from '../support/figures.ts'
import { startPeers } from '../support/peers.ts'
import { type Phase, pausesOf, percentile } from './pauses.ts'
import type { RollingReport } from './sink.ts'

const PARTITIONS = 12
const SETTLE_MS = 1000
const WAIT_MAX_MS = 60_000

const { values: options } = parseArgs({
  options: {
    members: { type: 'string', default: '4' },
    rate: { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '1' },
    keys: { type: 'string', default: '5000' },
    from: { type: 'string', default: 'dist' },
    settings: { type: 'string', default: '{}' },
    'broker-setting': { type: 'string', multiple: true, default: [] },
    kafka: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false }
  }
})
if (options.from === 'dist') checkFreshness()

interface MemberLine {
  readonly state: string
  readonly partitions: number
}

const given = options['broker-setting'].map((text): [string, string] => {
  return [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]
})
const [broker] = await startPeers({
  only: options.kafka ? 'kafka' : 'comporta',
  settings: { 'group.initial.rebalance.delay.ms': '0', ...Object.fromEntries(given) }
})
if (broker === undefined) throw new Error('no broker was started')
const bootstrap = broker.bootstrapServers
const here = (file: string): string => path.join(import.meta.dirname, file)
const topic = 'rolling'
const admin = new Kafka({ clientId: 'bench', brokers: [bootstrap], logLevel: logLevel.ERROR }).admin()
await admin.connect()
await admin.createTopics({
  topics: [
    { topic, numPartitions: PARTITIONS },
    { topic: `${topic}-dead-letters`, numPartitions: 1 }
  ]
})
await admin.disconnect()
const sink = startNode<{ url: string }>(here('sink.ts'))
const { url } = await sink.line

// Short batches: their age is part of every pause.
const settings = JSON.stringify({
  batch: { recordsMax: 500, ageMs: 10 },
  ...(JSON.parse(options.settings) as object) // What is wrong in it, the member refuses.
})

function startMember(): Child<MemberLine> {
  const args = { bootstrap, topic, url, group: 'rolling', from: options.from, settings }
  return startNode<MemberLine>(here('member.ts'), writeArguments(args))
}

const nowMs = (): number => performance.timeOrigin + performance.now()

/** Waits until every member has partitions and none is without a member, for a while. */
async function untilShared(members: readonly Child<MemberLine>[]): Promise<number> {
  const startMs = nowMs()
  for (let sharedMs = 0; ;) {
    const counts = members.map(member => member.last()?.partitions ?? 0)
    const isShared = counts.every(count => count > 0) && counts.reduce((sum, count) => sum + count, 0) === PARTITIONS
    sharedMs = isShared ? (sharedMs === 0 ? nowMs() : sharedMs) : 0
    if (sharedMs > 0 && nowMs() - sharedMs > SETTLE_MS) return sharedMs
    if (nowMs() - startMs > WAIT_MAX_MS) throw new Error(`the partitions are not shared out: ${counts.join(', ')}`)
    await wait(10)
  }
}

const members = Array.from({ length: Number(options.members) }, startMember)
await untilShared(members)
const load = startNode<{ records: number; failed: number }>(
  here('load.ts'),
  writeArguments({ bootstrap, topic, rate: options.rate, keys: options.keys })
)
const phases: Phase[] = []
await wait(2000)
phases.push({ name: 'steady', startMs: nowMs(), endMs: nowMs() + 3000 })
await wait(3000)
for (let round = 0; round < Number(options.rounds); round += 1) {
  for (const [index, old] of members.entries()) {
    const leaveMs = nowMs()
    old.kill('SIGTERM')
    await old.ended
    await untilShared(members.filter(member => member !== old))
    const joinMs = nowMs()
    const fresh = startMember()
    members[index] = fresh
    const sharedMs = await untilShared(members)
    const endMs = nowMs()
    phases.push({ name: 'leave', startMs: leaveMs, endMs: joinMs }, { name: 'join', startMs: joinMs, endMs })
    process.stderr.write(
      `member ${index + 1}: left in ${(joinMs - leaveMs - SETTLE_MS).toFixed(0)} ms, ` +
        `the new one works after ${(sharedMs - joinMs).toFixed(0)} ms\n`
    )
  }
}
load.stop()
const { records, failed } = await load.line
let report: RollingReport
const deadlineMs = nowMs() + WAIT_MAX_MS
for (;;) {
  report = (await (await fetch(url)).json()) as RollingReport // The sink answers in this form.
  if (report.distinct >= records - failed || nowMs() > deadlineMs) break
  await wait(50)
}
report = (await (await fetch(`${url}/arrivals`)).json()) as RollingReport
for (const member of members) member.kill('SIGTERM')
await Promise.all(members.map(member => member.ended))
sink.stop()
await broker.close()

const results = ['steady', 'leave', 'join', 'leave+join'].map(name => {
  const chosen = phases.filter(phase => name.split('+').includes(phase.name))
  const samples = chosen.flatMap(phase => report.arrivals.map(arrivals => pausesOf(arrivals, phase)))
  const gaps = samples.map(({ gapMs }) => gapMs)
  const ages = samples.map(({ ageMs }) => ageMs)
  const figures = (values: number[]) => {
    return { p50: percentile(values, 0.5), p99: percentile(values, 0.99), max: Math.max(...values) }
  }
  return { phase: name, samples: gaps.length, pauseMs: figures(gaps), ageMs: figures(ages) }
})
const { distinct, duplicates, outOfOrder } = report
const lost = records - failed - distinct
const ledger = { records, failed, distinct, duplicates, outOfOrder, lost }
if (options.json) {
  process.stdout.write(`${JSON.stringify({ machine: machine(), broker: broker.name, options, results, ledger })}\n`)
} else {
  console.log(machine())
  console.log(
    `${options.kafka ? 'Apache Kafka' : 'embedded broker'}, ${options.members} members, ${PARTITIONS} partitions, ` +
      `${options.rate} records/s, settings ${settings}`
  )
  for (const { phase, samples, pauseMs, ageMs } of results) {
    const show = ({ p50, p99, max }: { p50: number; p99: number; max: number }): string =>
      `p50 ${p50.toFixed(0)}, p99 ${p99.toFixed(0)}, max ${max.toFixed(0)} ms`
    console.log(`${phase.padEnd(11)} ${samples} longest pauses: ${show(pauseMs)}; oldest records: ${show(ageMs)}`)
  }
  console.log(
    `${records} records (${failed} not accepted), ${distinct} delivered, ${lost} lost, ${duplicates} twice, ` +
      `${outOfOrder} out of order`
  )
}
process.exitCode = lost === 0 && duplicates === 0 && outOfOrder === 0 ? 0 : 1
