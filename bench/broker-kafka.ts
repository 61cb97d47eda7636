/**
 * The embedded broker beside Apache Kafka, under Kafka's own Java performance tools.
 *
 *     npm run bench:broker-kafka -- [--runs 5] [--records 1000000] [--record-bytes 200] [--partitions 12]
 *                                   [--only comporta|kafka] [--compression none] [--profile DIR]
 *
 * Both brokers are processes of this machine that run all the time; the tools ask one of them at a time, in turns.
 * ProducerPerformance sends with acks=all (idempotent, the client's defaults otherwise); ConsumerPerformance reads the
 * same topic with a group. `total` counts the time to join as well, `fetch` leaves it out. The first round of each
 * broker warms it up and does not count. Shown are medians and lowest to highest; the ratio is that of the medians, at
 * least 1 means not slower than Apache Kafka. CPU seconds are the broker's own.
 */

import { parseArgs } from 'node:util'

import { createTopicsApi, deleteTopicsApi } from '../src/protocol/index.ts'
import { Cluster } from '../src/client/index.ts'
import { runProcess } from '../test/support/child-process.ts'
import { KAFKA_TOOLS, kafkaClassPath } from '../test/support/kafka-jvm.ts'
import { cpuSecondsOf } from './support/broker-child.ts'
import { machine, median, spread } from './support/figures.ts'
import { type Peer, startPeers } from './support/peers.ts'

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    records: { type: 'string', default: '1000000' },
    'record-bytes': { type: 'string', default: '200' },
    partitions: { type: 'string', default: '12' },
    compression: { type: 'string', default: 'none' },
    only: { type: 'string' },
    profile: { type: 'string' }
  }
})

const MEASURES = {
  produce: 'produce, records/s',
  produceLatency: 'produce, ms to the acknowledgement (p99)',
  produceCpu: 'produce, CPU seconds of the broker',
  consumeTotal: 'consume, records/s, total',
  consumeFetch: 'consume, records/s, fetch',
  consumeCpu: 'consume, CPU seconds of the broker'
} as const

type Measure = keyof typeof MEASURES

function noSamples(): Record<Measure, number[]> {
  return { produce: [], produceLatency: [], produceCpu: [], consumeTotal: [], consumeFetch: [], consumeCpu: [] }
}

/** Runs a performance tool with the options that Kafka's own start scripts give it. */
async function runTool(mainClass: string, args: readonly string[]): Promise<string> {
  const javaArgs = ['-Xmx512m', '-XX:+UseSerialGC', '-cp', await kafkaClassPath(), mainClass, ...args]
  return (await runProcess('java', javaArgs, { timeoutMs: 600_000 })).stdout
}

async function produce(peer: Peer, topic: string): Promise<{ rate: number; latencyMs: number }> {
  const output = await runTool(KAFKA_TOOLS['kafka-producer-perf-test'], [
    `--topic=${topic}`,
    `--num-records=${options.records}`,
    `--record-size=${options['record-bytes']}`,
    '--throughput=-1',
    `--bootstrap-server=${peer.bootstrapServers}`,
    '--command-property',
    'acks=all',
    `compression.type=${options.compression}`
  ])
  const last = output.trim().split('\n').at(-1) ?? ''
  const rate = Number(/, ([\d.]+) records\/sec/.exec(last)?.[1])
  const latencyMs = Number(/([\d.]+) ms 99th/.exec(last)?.[1])
  if (!(rate > 0)) throw new Error(`the producer printed ${output}`)
  return { rate, latencyMs }
}

async function consume(peer: Peer, topic: string): Promise<{ total: number; fetch: number }> {
  const output = await runTool(KAFKA_TOOLS['kafka-consumer-perf-test'], [
    `--topic=${topic}`,
    `--num-records=${options.records}`,
    `--bootstrap-server=${peer.bootstrapServers}`,
    `--group=group-${topic}`,
    '--hide-header',
    '--timeout=60000'
  ])
  // start.time, end.time, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s
  const fields = (output.trim().split('\n').at(-1) ?? '').split(', ')
  const [count, total, fetch] = [Number(fields[4]), Number(fields[5]), Number(fields[9])]
  if (!(count >= Number(options.records))) throw new Error(`the consumer printed ${output}`)
  return { total, fetch }
}

async function round(peer: Peer, number: number): Promise<void> {
  const cluster = await Cluster.connect({ bootstrapServers: [peer.bootstrapServers], clientId: 'bench' })
  const name = `perf-${number}`
  const topics = [{ name, numPartitions: Number(options.partitions), replicationFactor: 1 }]
  await cluster.send(createTopicsApi, { topics, timeoutMs: 30_000 }, { to: 'controller' })
  const cpuStart = await cpuSecondsOf(peer.pid)
  const produced = await produce(peer, name)
  const cpuMiddle = await cpuSecondsOf(peer.pid)
  const consumed = await consume(peer, name)
  const cpuEnd = await cpuSecondsOf(peer.pid)
  await cluster.send(deleteTopicsApi, { topics: [{ name }], timeoutMs: 30_000 }, { to: 'controller' })
  await cluster.close()
  process.stderr.write(
    `${peer.name} ${number === 0 ? '(warm-up) ' : ''}produce ${produced.rate.toFixed(0)}/s, ` +
      `consume ${consumed.total.toFixed(0)}/s (fetch ${consumed.fetch.toFixed(0)}/s)\n`
  )
  if (number === 0) return
  const samples = samplesOf(peer)
  samples.produce.push(produced.rate)
  samples.produceLatency.push(produced.latencyMs)
  samples.produceCpu.push(cpuMiddle - cpuStart)
  samples.consumeTotal.push(consumed.total)
  samples.consumeFetch.push(consumed.fetch)
  samples.consumeCpu.push(cpuEnd - cpuMiddle)
}

const nodeArgs = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`]
const peers = await startPeers({ only: options.only, nodeArgs })
const results = new Map(peers.map(peer => [peer, noSamples()]))
const samplesOf = (peer: Peer): Record<Measure, number[]> => results.get(peer) ?? noSamples()
try {
  for (let number = 0; number <= Number(options.runs); number++) {
    // The order turns, so that none is always the one after the other.
    for (const peer of number % 2 === 0 ? peers : peers.toReversed()) await round(peer, number)
  }
} finally {
  for (const peer of peers) await peer.close()
}

console.log(machine())
console.log(
  `${options.records} records of ${options['record-bytes']} B, ${options.partitions} partitions, acks=all, ` +
    `compression ${options.compression}, ${options.runs} runs`
)
const [first, second] = peers
for (const measure of Object.keys(MEASURES) as Measure[]) {
  const digits = measure.endsWith('Cpu') ? 2 : 0
  for (const peer of peers)
    console.log(`${MEASURES[measure].padEnd(42)} ${peer.name.padEnd(9)} ${spread(samplesOf(peer)[measure], digits)}`)
  if (first === undefined || second === undefined) continue
  const ratio = median(samplesOf(first)[measure]) / median(samplesOf(second)[measure])
  console.log(`${''.padEnd(42)} ratio     ${ratio.toFixed(2)}`)
}
