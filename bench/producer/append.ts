/**
 * Append benchmark: how many records a second one process gets into Kafka.
 *
 *     npm run bench:append -- [--records 2000000] [--runs 3]
 *                             [--only rows,producer,java,java-tuned,kafkajs,platformatic]
 *                             [--kafka | --bootstrap host:port] [--keyed] [--compression none] [--rate 13000]
 *                             [--linger 5] [--batch 262144] [--warm-up 3000000] [--short] [--json] [--cpu-prof DIR]
 *
 * `rows`: `Appender.appendRow` from chunks in memory. `producer`: the whole producer, from lines of JSON on a stream.
 * `java`: Kafka's own `kafka-producer-perf-test` with its defaults; `java-tuned` with our batch size and linger, its
 * values from a file. `kafkajs` and `platformatic` send 1,024 records a call, five calls at once. All: values of 200
 * bytes, one topic with 12 partitions, acks=all, idempotent; without keys as the Java tool, or with `--keyed` with
 * 1,000 keys (not the Java tool, which has none).
 *
 * Broker and each run are processes of their own on this machine; the broker is the embedded one, or Apache Kafka with
 * `--kafka`. Runs alternate; a first run of `--warm-up` records warms the broker up and does not count. After each run
 * the offsets must say that every record is stored once. Shown are medians and lowest to highest, and ratios to ours;
 * CPU seconds are user and system time of program and broker per million records (Java: with its JVM's start).
 * With `--rate` records come at that rate: then the time to the acknowledgement and the CPU are the result.
 */

import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { Kafka, logLevel } from 'kafkajs'

import { cpuSecondsOf } from '../support/broker-child.ts'
import { machine, median, spread } from '../support/figures.ts'
import { startPeers } from '../support/peers.ts'
import { choosePrograms, type Program, PROGRAM_NAMES } from './append/programs.ts'
import type { AppendUsage } from './append/usage.ts'

const PARTITIONS = 12

const { values: options } = parseArgs({
  options: {
    records: { type: 'string' },
    'warm-up': { type: 'string', default: '3000000' },
    runs: { type: 'string' },
    only: { type: 'string' },
    kafka: { type: 'boolean', default: false },
    bootstrap: { type: 'string' },
    keyed: { type: 'boolean', default: false },
    compression: { type: 'string', default: 'none' },
    rate: { type: 'string', default: '0' },
    linger: { type: 'string', default: '' },
    batch: { type: 'string', default: '' },
    short: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    'cpu-prof': { type: 'string' }
  }
})

const rate = Number(options.rate)
const runs = Number(options.runs ?? (options.short ? 1 : 3))
const only = (options.only ?? (options.short ? 'rows,producer,kafkajs,platformatic' : PROGRAM_NAMES.join(','))).split(
  ','
)
const records = Number(options.records ?? (rate > 0 ? rate * 20 : options.short ? 300_000 : 2_000_000))

interface Sample extends AppendUsage {
  readonly brokerCpuSeconds: number
}

/** The broker under load; its process id is 0 if somebody else started it. */
async function startBroker(): Promise<{ name: string; pid: number; bootstrapServers: string; close(): Promise<void> }> {
  if (options.bootstrap !== undefined) {
    return { name: options.bootstrap, pid: 0, bootstrapServers: options.bootstrap, close: () => Promise.resolve() }
  }
  const [peer] = await startPeers({ only: options.kafka ? 'kafka' : 'comporta' })
  if (peer === undefined) throw new Error('no broker was started')
  return peer
}

const programs = choosePrograms(only, options['cpu-prof'])
const broker = await startBroker()
const admin = new Kafka({ clientId: 'bench', brokers: [broker.bootstrapServers], logLevel: logLevel.NOTHING }).admin()
await admin.connect()
let topicNumber = 0

async function run(program: Program, count: number, pace = rate): Promise<Sample> {
  topicNumber += 1
  const topic = `append-${Date.now()}-${topicNumber}`
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }], waitForLeaders: false })
  await ready(topic)
  const cpu = async (): Promise<number> => (broker.pid === 0 ? 0 : await cpuSecondsOf(broker.pid))
  const before = await cpu()
  const { linger, batch, compression } = options
  const keyed = options.keyed ? 'true' : 'false'
  const place = { bootstrap: broker.bootstrapServers, topic }
  const usage = await program.run({ ...place, records: count, rate: pace, keyed, compression, linger, batch })
  const brokerCpuSeconds = (await cpu()) - before
  const stored = (await admin.fetchTopicOffsets(topic)).reduce((sum, { offset }) => sum + Number(offset), 0)
  if (stored !== count) throw new Error(`${program.name}: ${stored} of ${count} records are stored`)
  await admin.deleteTopics({ topics: [topic] })
  const { p50, p99 } = usage.latencyMs
  const perSecond = Math.round(count / usage.seconds).toLocaleString('en')
  process.stderr.write(
    `${program.name}: ${perSecond}/s, CPU s ${usage.cpuSeconds.toFixed(2)}, broker ${brokerCpuSeconds.toFixed(2)}, ` +
      `${usage.peakRssMb.toFixed(0)} MB, acknowledged after ${p50.toFixed(1)} (p50), ${p99.toFixed(1)} ms (p99)\n`
  )
  return { ...usage, brokerCpuSeconds }
}

/** Apache Kafka names a topic a moment before it knows its leaders. */
async function ready(topic: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      if ((await admin.fetchTopicOffsets(topic)).length === PARTITIONS) return
    } catch (error) {
      if (attempt === 50) throw error
    }
    await wait(100)
  }
}

const samples = new Map<string, Sample[]>(programs.map(({ name }) => [name, []]))
try {
  // A broker that has just started is compiled while it serves: that would be the first program's loss.
  const [warmer] = programs
  if (warmer !== undefined && !options.short) await run(warmer, Number(options['warm-up']), 0)
  for (let round = 0; round < runs; round += 1) {
    // The order turns, so that none always follows the same one.
    for (const program of round % 2 === 0 ? programs : programs.toReversed()) {
      samples.get(program.name)?.push(await run(program, records))
    }
  }
} finally {
  await admin.disconnect()
  await broker.close()
}

const settings = { broker: broker.name, records, runs, rate, keyed: options.keyed, compression: options.compression }
if (options.json) {
  process.stdout.write(`${JSON.stringify({ machine: machine(), settings, samples: Object.fromEntries(samples) })}\n`)
} else {
  console.log(machine())
  const pace = rate === 0 ? 'flat out' : `${rate}/s`
  console.log(
    `${broker.name}: ${records.toLocaleString('en')} records of 200 B, ${PARTITIONS} partitions, ` +
      `${options.keyed ? '1,000 keys' : 'no keys'}, compression ${options.compression}, ${runs} runs, ${pace}`
  )
  const first = [...samples.values()][0] ?? []
  for (const [name, list] of samples) print(name, list, first)
}

function print(name: string, list: readonly Sample[], first: readonly Sample[]): void {
  const rateOf = ({ seconds }: Sample): number => records / seconds
  const perMillion = (seconds: (sample: Sample) => number): number[] =>
    list.map(sample => (seconds(sample) / records) * 1e6)
  const ratio = median(first.map(rateOf)) / median(list.map(rateOf))
  const against = list === first || rate > 0 ? '' : `; ${only[0]} is ${ratio.toFixed(2)} × as fast`
  console.log(`${name.padEnd(13)} ${spread(list.map(rateOf))} records/s${against}`)
  const own = spread(
    perMillion(({ cpuSeconds }) => cpuSeconds),
    2
  )
  const ofBroker = spread(
    perMillion(({ brokerCpuSeconds }) => brokerCpuSeconds),
    2
  )
  const memory = spread(list.map(({ peakRssMb }) => peakRssMb))
  console.log(`${''.padEnd(13)} CPU s per million ${own}, broker ${ofBroker}; peak ${memory} MB`)
  const latency = (['p50', 'p99', 'max'] as const).map(part => {
    const values = list.map(({ latencyMs }) => latencyMs[part])
    return `${part === 'p50' && name === 'producer' ? 'mean' : part} ${spread(values, 1)}`
  })
  console.log(`${''.padEnd(13)} acknowledged after ms: ${latency.join(', ')}`)
}
