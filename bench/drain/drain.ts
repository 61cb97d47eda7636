/**
 * Drain benchmark: a backlog through an HTTP target, the dispatcher beside programs on other clients.
 *
 *     npm run bench:drain -- [--records 3000000] [--runs 3] [--kafka | --bootstrap host:port] [--json]
 *         [--only comporta,kafkajs,platformatic,java] [--from dist,source] [--order partition,key,none]
 *         [--sink-delay 0,120] [--delayed-records 600000] [--concurrency 12] [--delayed-concurrency 48]
 *         [--payload concat|parse] [--keys 5000] [--check-records 60000 | --no-check] [--cpu-prof DIR]
 *
 * Broker, sink and each run are processes of their own on this machine. The topic has 12 partitions and ~200 B JSON
 * records; every program sends batches of 500 as one POST and commits what is done once a second. In partition order
 * at most one batch of a partition is under way, so 12; with key order and a sink that takes its time,
 * `--delayed-concurrency` is what is allowed. Runs alternate, each with a new group; shown are medians, the spread
 * (lowest to highest) and the ratio to each peer. CPU is that of the program, of the sink and of the broker, in seconds
 * per million records.
 *
 * Before the runs that count, each program drains a topic of its own into a sink that parses every body: it must bring
 * each record of each partition, each key in order. In the runs themselves the sink counts. A first run that does not
 * count warms the broker up.
 *
 * The peers do less than the dispatcher: with `--payload concat` (the default) they join the values unchecked, so that
 * a value that is not JSON would rewrite its neighbours; `parse` has those in JavaScript decode and encode each one.
 */

import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { Kafka, logLevel } from 'kafkajs'

import { cpuSecondsOf } from '../support/broker-child.ts'
import { writeArguments } from '../support/arguments.ts'
import { startNode } from '../support/children.ts'
import type { DeliveryReport } from '../support/delivery-check.ts'
import { checkFreshness } from '../support/doors.ts'
import { machine } from '../support/figures.ts'
import { startPeers } from '../support/peers.ts'
import { choosePrograms, JAVA_HEAP_MB, type Program, type RunArguments } from './programs.ts'
import { printTable, type Sample, type Scenario, summarize } from './report.ts'

const PARTITIONS = 12

const { values: options } = parseArgs({
  allowNegative: true,
  options: {
    records: { type: 'string', default: '3000000' },
    'delayed-records': { type: 'string', default: '600000' },
    runs: { type: 'string', default: '3' },
    only: { type: 'string', default: 'comporta,kafkajs,platformatic,java' },
    from: { type: 'string', default: 'dist' },
    order: { type: 'string', default: 'partition' },
    'sink-delay': { type: 'string', default: '0' },
    concurrency: { type: 'string', default: String(PARTITIONS) },
    'delayed-concurrency': { type: 'string', default: '48' },
    payload: { type: 'string', default: 'concat' },
    keys: { type: 'string', default: '5000' },
    kafka: { type: 'boolean', default: false },
    bootstrap: { type: 'string' },
    check: { type: 'boolean', default: true },
    'check-records': { type: 'string', default: '60000' },
    'cpu-prof': { type: 'string' },
    json: { type: 'boolean', default: false }
  }
})
const list = (text: string): string[] => text.split(',').filter(part => part !== '')
const delays = list(options['sink-delay']).map(Number)
const forms = list(options.from)
if (forms.includes('dist')) checkFreshness()

/** The broker under load; its process id is 0 if somebody else started it. */
async function startBroker(): Promise<{ name: string; pid: number; bootstrapServers: string; close(): Promise<void> }> {
  if (options.bootstrap !== undefined) {
    return { name: options.bootstrap, pid: 0, bootstrapServers: options.bootstrap, close: () => Promise.resolve() }
  }
  const settings = { 'group.initial.rebalance.delay.ms': '0' }
  const [peer] = await startPeers({ only: options.kafka ? 'kafka' : 'comporta', settings })
  if (peer === undefined) throw new Error('no broker was started')
  return peer
}

const here = (file: string): string => path.join(import.meta.dirname, file)
const programs = await choosePrograms({
  names: list(options.only),
  forms,
  orders: list(options.order),
  payload: options.payload,
  profileDir: options['cpu-prof']
})
const broker = await startBroker()
const bootstrap = broker.bootstrapServers
const sink = startNode<{ url: string; pid: number }>(here('sink.ts'))
const { url, pid: sinkPid } = await sink.line
const admin = new Kafka({ clientId: 'bench', brokers: [bootstrap], logLevel: logLevel.ERROR }).admin()
await admin.connect()

interface SinkReport extends Partial<DeliveryReport> {
  readonly records: number
  readonly requests: number
  readonly inFlightMax: number
}

async function askSink(request = ''): Promise<SinkReport> {
  // The sink answers every GET in this form.
  return (await (await fetch(url + request)).json()) as SinkReport
}

async function fill(name: string, records: number): Promise<string> {
  const topic = `${name}-${Date.now()}`
  await admin.createTopics({
    topics: [
      { topic, numPartitions: PARTITIONS },
      { topic: `${topic}-dead-letters`, numPartitions: 1 }
    ]
  })
  await startNode(here('fill.ts'), writeArguments({ bootstrap, topic, records, keys: options.keys })).line
  process.stderr.write(`${records} records are in ${topic}\n`)
  return topic
}

/** The group must stand at the end of every partition. */
async function checkCommitted(group: string, topic: string): Promise<void> {
  const ends = new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, high]))
  const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
  for (const { partition, offset } of found?.partitions ?? []) {
    const end = ends.get(partition)
    if (end !== offset && end !== '0') throw new Error(`${group}: partition ${partition} stands at ${offset} of ${end}`)
  }
}

let runNumber = 0

async function drain(program: Program, run: Omit<RunArguments, 'group' | 'bootstrap' | 'url'>) {
  runNumber += 1
  const group = `${run.topic}-${runNumber}`
  await askSink()
  const cpu = async (): Promise<[number, number]> => {
    return [await cpuSecondsOf(sinkPid), broker.pid === 0 ? 0 : await cpuSecondsOf(broker.pid)]
  }
  const [sinkStart, brokerStart] = await cpu()
  const child = program.start({ ...run, group, bootstrap, url })
  const usage = await child.line
  const [sinkEnd, brokerEnd] = await cpu()
  const seen = await askSink()
  await child.ended
  if (seen.records !== run.records) throw new Error(`${program.name}: ${seen.records} of ${run.records} records came`)
  await checkCommitted(group, run.topic)
  return { seen, usage, sinkCpu: sinkEnd - sinkStart, brokerCpu: brokerEnd - brokerStart }
}

async function checkPrograms(): Promise<void> {
  const records = Number(options['check-records'])
  const topic = await fill('check', records)
  await askSink('/settings?check=1')
  for (const program of programs) {
    const { seen } = await drain(program, { topic, records, concurrency: Number(options.concurrency) })
    const { distinct, duplicates, outOfOrder } = seen
    if (distinct !== records || duplicates !== 0 || (outOfOrder !== 0 && !program.name.includes('none'))) {
      throw new Error(`${program.name} brought ${distinct} records, ${duplicates} again, ${outOfOrder} out of order`)
    }
    process.stderr.write(`${program.name} brings every record once, and each key in order\n`)
  }
}

async function measure(delayMs: number): Promise<Scenario> {
  const records = Number(delayMs === 0 ? options.records : options['delayed-records'])
  const concurrency = Number(delayMs === 0 ? options.concurrency : options['delayed-concurrency'])
  const topic = await fill('drain', records)
  // A broker that has just started is compiled while it serves: that would be the first program's loss.
  const [warmer] = programs
  await askSink('/settings')
  if (warmer !== undefined) await drain(warmer, { topic, records, concurrency })
  await askSink(`/settings?delayMs=${delayMs}`)
  const samples = new Map<Program, Sample[]>(programs.map(program => [program, []]))
  for (let run = 0; run < Number(options.runs); run += 1) {
    // The order turns, so that none always follows the same one.
    for (const program of run % 2 === 0 ? programs : programs.toReversed()) {
      const { usage, seen, sinkCpu, brokerCpu } = await drain(program, { topic, records, concurrency })
      samples.get(program)?.push({ ...usage, sinkCpuSeconds: sinkCpu, brokerCpuSeconds: brokerCpu })
      const rate = Math.round(usage.records / usage.seconds)
      const load = os.loadavg()[0]?.toFixed(1)
      const spent = `${((usage.cpuSeconds / records) * 1e6).toFixed(2)} CPU s per million`
      process.stderr.write(
        `${program.name}: ${rate}/s, ${spent}, ${seen.requests} requests, ${seen.inFlightMax} at once, load ${load}\n`
      )
    }
  }
  await admin.deleteTopics({ topics: [topic] })
  const summaries = [...samples].map(([{ name, isPeer }, runs]) => summarize({ name, isPeer }, runs))
  return { delayMs, records, concurrency, summaries }
}

const scenarios: Scenario[] = []
try {
  if (options.check) await checkPrograms()
  for (const delayMs of delays) scenarios.push(await measure(delayMs))
} finally {
  await admin.disconnect()
  sink.stop()
  await broker.close()
}

const settings = {
  broker: options.kafka ? 'Apache Kafka' : (options.bootstrap ?? 'embedded broker'),
  runs: Number(options.runs),
  payloadOfPeers: options.payload,
  keys: Number(options.keys),
  javaHeapMb: JAVA_HEAP_MB
}
if (options.json) {
  process.stdout.write(`${JSON.stringify({ machine: machine(), settings, scenarios })}\n`)
} else {
  console.log(machine())
  console.log(
    `${settings.broker}, ${PARTITIONS} partitions, ${settings.keys} keys, batches of 500, ${settings.runs} runs each`
  )
  console.log(`Peers: values by ${settings.payloadOfPeers}, offsets committed once a second, fetches of 16 MiB, 1 to 4`)
  console.log(`MiB of a partition, ${PARTITIONS} partitions at once; java: ${JAVA_HEAP_MB} MiB heap, JVM defaults`)
  for (const scenario of scenarios) printTable(scenario)
}
