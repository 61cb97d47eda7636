/**
 * HTTP benchmark: how many events a second one producer takes by `POST /events` and gets into Kafka, answers included.
 *
 *     npm run bench:http -- [--kafka | --bootstrap host:port] [--seconds 10] [--runs 3] [--connections 8]
 *                           [--only ndjson-500,ndjson-5000,gzip-500,single,rate-13000] [--cpu-prof DIR] [--short]
 *
 * Broker, producer and sender are processes of their own on this machine; the broker is the embedded one, or Apache
 * Kafka with `--kafka`. Events are 200 bytes, routed by `codigo` to two topics (8 and 4 partitions), keyed by a hash of
 * two fields, acks=all, idempotent; the answer comes when Kafka has acknowledged all of a request. `ndjson-500`: bodies
 * of 500 lines. `gzip-500`: the same compressed. `single`: one event a request, 64 connections. `rate-13000`: 13,000
 * events a second in bodies of 65, and the time from when a request was due to its answer. After each run the offsets
 * must say that every accepted event is stored once.
 * Shown are medians and lowest to highest; the first run of each warms up.
 */

import path from 'node:path'
import { parseArgs } from 'node:util'

import { Kafka, logLevel } from 'kafkajs'

import { writeArguments } from '../support/arguments.ts'
import { cpuSecondsOf } from '../support/broker-child.ts'
import { startNode } from '../support/children.ts'
import { machine, spread } from '../support/figures.ts'
import { startPeers } from '../support/peers.ts'
import type { DriverResult } from './http/driver.ts'

const { values: options } = parseArgs({
  options: {
    kafka: { type: 'boolean', default: false },
    bootstrap: { type: 'string' },
    seconds: { type: 'string' },
    runs: { type: 'string' },
    connections: { type: 'string', default: '8' },
    only: { type: 'string' },
    short: { type: 'boolean', default: false },
    'cpu-prof': { type: 'string' }
  }
})

const seconds = options.seconds ?? (options.short ? '2' : '10')
const runs = Number(options.runs ?? (options.short ? 1 : 3))
const { connections } = options

interface Load {
  readonly events: number
  readonly encoding: 'identity' | 'gzip' | 'single'
  readonly connections: string
  readonly rate: number
}

const LOADS: Readonly<Record<string, Load>> = {
  'ndjson-500': { events: 500, encoding: 'identity', connections, rate: 0 },
  'ndjson-5000': { events: 5000, encoding: 'identity', connections, rate: 0 },
  'gzip-500': { events: 500, encoding: 'gzip', connections, rate: 0 },
  single: { events: 1, encoding: 'single', connections: '64', rate: 0 },
  'rate-13000': { events: 65, encoding: 'identity', connections, rate: 13_000 }
}

async function startBroker(): Promise<{ name: string; pid: number; bootstrapServers: string; close(): Promise<void> }> {
  if (options.bootstrap !== undefined) {
    return { name: options.bootstrap, pid: 0, bootstrapServers: options.bootstrap, close: () => Promise.resolve() }
  }
  const [peer] = await startPeers({ only: options.kafka ? 'kafka' : 'comporta' })
  if (peer === undefined) throw new Error('no broker was started')
  return peer
}

interface Sample extends DriverResult {
  readonly serverCpuSeconds: number
  readonly brokerCpuSeconds: number
}

const broker = await startBroker()
const kafka = new Kafka({ clientId: 'bench', brokers: [broker.bootstrapServers], logLevel: logLevel.ERROR })
const admin = kafka.admin()
await admin.connect()
const prefix = `http-${Date.now()}`
const topics = [
  { topic: `${prefix}-c300`, numPartitions: 8 },
  { topic: `${prefix}-c400`, numPartitions: 4 },
  { topic: `${prefix}-dead`, numPartitions: 1 }
]
await admin.createTopics({ topics, waitForLeaders: true })
const flags = options['cpu-prof'] === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options['cpu-prof']}`]
const here = (file: string): string => path.join(import.meta.dirname, 'http', file)
const server = startNode<{ port: number }>(
  here('run-server.ts'),
  writeArguments({ bootstrap: broker.bootstrapServers, prefix }),
  flags
)
const { port } = await server.line

async function storedCount(): Promise<number> {
  const offsets = await Promise.all(topics.map(({ topic }) => admin.fetchTopicOffsets(topic)))
  return offsets.flat().reduce((sum, { offset }) => sum + Number(offset), 0)
}

const cpuOf = async (pid: number): Promise<number> => (pid === 0 ? 0 : await cpuSecondsOf(pid))

async function run(load: Load): Promise<Sample> {
  const before = { stored: await storedCount(), server: await cpuOf(server.pid), broker: await cpuOf(broker.pid) }
  const driver = startNode<DriverResult>(here('driver.ts'), writeArguments({ port, seconds, ...load }))
  const result = await driver.line
  await driver.ended
  const stored = (await storedCount()) - before.stored
  if (stored !== result.events) throw new Error(`${stored} of ${result.events} events are stored`)
  return {
    ...result,
    serverCpuSeconds: (await cpuOf(server.pid)) - before.server,
    brokerCpuSeconds: (await cpuOf(broker.pid)) - before.broker
  }
}

console.log(machine())
console.log(`${broker.name}: events of 200 B, ${connections} connections, ${runs} runs of ${seconds} s`)
try {
  for (const [name, load] of Object.entries(LOADS)) {
    if (options.only !== undefined && !options.only.split(',').includes(name)) continue
    const samples: Sample[] = []
    for (let number = options.short ? 1 : 0; number <= runs; number += 1) {
      const sample = await run(load)
      if (number > 0) samples.push(sample)
    }
    print(name, samples)
  }
} finally {
  await admin.deleteTopics({ topics: topics.map(({ topic }) => topic) })
  await admin.disconnect()
  server.stop()
  await server.ended
  await broker.close()
}

function print(name: string, samples: readonly Sample[]): void {
  const perMillion = (get: (sample: Sample) => number): string =>
    spread(
      samples.map(sample => (get(sample) / sample.events) * 1e6),
      2
    )
  const eventRate = spread(samples.map(({ events, seconds: took }) => events / took))
  const requestRate = spread(samples.map(({ requests, seconds: took }) => requests / took))
  const refused = samples.reduce((sum, sample) => sum + sample.refused, 0)
  console.log(`${name.padEnd(12)} ${eventRate} events/s, ${requestRate} requests/s, ${refused} refused`)
  const latency = (['p50', 'p99', 'max'] as const).map(
    part =>
      `${part} ${spread(
        samples.map(({ latencyMs }) => latencyMs[part]),
        1
      )}`
  )
  console.log(`${''.padEnd(12)} answered after ms: ${latency.join(', ')}`)
  const server = perMillion(sample => sample.serverCpuSeconds)
  const ofBroker = perMillion(sample => sample.brokerCpuSeconds)
  const ofDriver = perMillion(sample => sample.cpuSeconds)
  console.log(`${''.padEnd(12)} CPU s per million: producer ${server}, broker ${ofBroker}, sender ${ofDriver}`)
}
