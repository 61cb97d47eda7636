/**
 * Latency benchmark: from the call that publishes a record to the handler that gets it, at a steady rate.
 *
 *     npm run bench:latency -- [--rate 1000] [--seconds 10] [--runs 3] [--kafka] [--from dist|source] [--json]
 *         [--only comporta,kafkajs,platformatic]
 *
 * Publisher (without linger), broker and consumer are processes of their own; 12 partitions. The dispatcher calls a
 * module with batches that wait for nothing; the peers parse the value as the handler gets it. The first two seconds do
 * not count. Shown are medians of the runs and lowest to highest. Goal: p50 at most 2 ms, p99 at most 10 ms.
 */

import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { Kafka, logLevel } from 'kafkajs'

import { writeArguments } from '../support/arguments.ts'
import { startNode } from '../support/children.ts'
import { checkFreshness } from '../support/doors.ts'
import { machine, spread } from '../support/figures.ts'
import { startPeers } from '../support/peers.ts'
import type { Latencies } from './latencies.ts'

const PARTITIONS = 12
const WARM_UP_MS = 2000

const { values: options } = parseArgs({
  options: {
    rate: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '10' },
    runs: { type: 'string', default: '3' },
    only: { type: 'string', default: 'comporta,kafkajs,platformatic' },
    from: { type: 'string', default: 'dist' },
    kafka: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false }
  }
})
if (options.from === 'dist') checkFreshness()
const settings = { 'group.initial.rebalance.delay.ms': '0' }
const [broker] = await startPeers({ only: options.kafka ? 'kafka' : 'comporta', settings })
if (broker === undefined) throw new Error('no broker was started')
const bootstrap = broker.bootstrapServers
const here = (file: string): string => path.join(import.meta.dirname, file)
const admin = new Kafka({ clientId: 'bench', brokers: [bootstrap], logLevel: logLevel.ERROR }).admin()
await admin.connect()

async function measure(name: string, run: number): Promise<Latencies> {
  const topic = `latency-${name}-${run}`
  await admin.createTopics({
    topics: [
      { topic, numPartitions: PARTITIONS },
      { topic: `${topic}-dead-letters`, numPartitions: 1 }
    ]
  })
  const args = writeArguments({ bootstrap, topic, group: topic, from: options.from })
  const consumer = startNode<Latencies & { readonly ready?: boolean }>(here(`run-${name}.ts`), args)
  await consumer.line
  const publisher = startNode<{ records: number }>(
    here('publish.ts'),
    writeArguments({ bootstrap, topic, rate: options.rate })
  )
  await wait(WARM_UP_MS + 1000 * Number(options.seconds))
  publisher.stop()
  const { records } = await publisher.line
  // What was published last is on its way.
  await wait(500)
  consumer.stop()
  await consumer.ended
  const latencies = consumer.last()
  if (latencies === undefined || !(latencies.records > 0)) throw new Error(`${name} got none of ${records} records`)
  process.stderr.write(`${name}: p50 ${latencies.p50.toFixed(2)}, p99 ${latencies.p99.toFixed(2)} ms\n`)
  return latencies
}

const names = options.only.split(',')
// A broker that has just started is compiled while it serves: that would be the first program's loss.
if (names[0] !== undefined) await measure(names[0], -1)
const results = new Map<string, Latencies[]>(names.map(name => [name, []]))
for (let run = 0; run < Number(options.runs); run += 1) {
  for (const name of run % 2 === 0 ? names : names.toReversed()) results.get(name)?.push(await measure(name, run))
}
await admin.disconnect()
await broker.close()

if (options.json) {
  process.stdout.write(`${JSON.stringify({ machine: machine(), options, results: Object.fromEntries(results) })}\n`)
} else {
  console.log(machine())
  console.log(
    `${options.kafka ? 'Apache Kafka' : 'embedded broker'}, ${options.rate} records/s, ${PARTITIONS} partitions, ` +
      `${options.runs} runs of ${options.seconds} s`
  )
  for (const [name, runs] of results) {
    const show = (pick: (latencies: Latencies) => number, digits = 2): string => spread(runs.map(pick), digits)
    console.log(
      `${name.padEnd(13)} p50 ${show(({ p50 }) => p50)}, p99 ${show(({ p99 }) => p99)}, ` +
        `p99.9 ${show(({ p999 }) => p999)}, max ${show(({ max }) => max, 0)} ms, ` +
        `${show(each => each.cpuSecondsPerThousand, 3)} CPU s per 1,000 records`
    )
  }
}
