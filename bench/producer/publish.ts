/**
 * Publish benchmark: truck events from the generator into Kafka, the producer beside a kafkajs program.
 *
 *     npx --no node bench/producer/publish.ts [--records 1000000] [--runs 3] [--rate 13000] [--bootstrap host:port]
 *                                             [--only comporta|kafkajs]
 *
 * Broker and each run are processes of their own on this machine; without `--bootstrap` the broker is the embedded one.
 * Both programs parse, route by `codigo` to two topics (24 and 8 partitions), key by a hash of two fields and wait for
 * acks=all, idempotent, 256 KiB batches (kafkajs: `sendBatch` of 1,024 events, 5 at a time). Runs alternate. With
 * `--rate` the events come at that rate: then the CPU time is the result. Shown are medians and lowest to highest.
 */

import { spawn } from 'node:child_process'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

import { Kafka, logLevel } from 'kafkajs'

import type { Usage } from '../drain/usage.ts'

const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    runs: { type: 'string', default: '3' },
    rate: { type: 'string', default: '0' },
    bootstrap: { type: 'string' },
    only: { type: 'string' }
  }
})

function start<T>(file: string, args: readonly string[] = []) {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, file), ...args], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const line = new Promise<T>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', text => resolve(JSON.parse(text) as T))
    child.once('exit', code => reject(new Error(`${file} ended with ${code} before it said anything`)))
  })
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
  return { line, ended, stop: () => child.stdin.end() }
}

function row(values: readonly number[], digits: number): string {
  const sorted = values.toSorted((left, right) => left - right)
  const show = (value = Number.NaN): string => value.toFixed(digits)
  return `${show(sorted[sorted.length >> 1])} (${show(sorted[0])} to ${show(sorted.at(-1))})`
}

const broker = options.bootstrap === undefined ? start<{ bootstrapServers: string }>('../drain/broker.ts') : undefined
const bootstrap = options.bootstrap ?? (await broker?.line)?.bootstrapServers ?? ''
const admin = new Kafka({ clientId: 'bench', brokers: [bootstrap], logLevel: logLevel.ERROR }).admin()
await admin.connect()

const programs = ['comporta', 'kafkajs'].filter(name => options.only === undefined || options.only === name)
const usages = new Map<string, Usage[]>(programs.map(name => [name, []]))
for (let run = 0; run < Number(options.runs); run += 1) {
  for (const name of programs) {
    const prefix = `publish-${Date.now()}`
    const topics = [
      { topic: `${prefix}-c400`, numPartitions: 24 },
      { topic: `${prefix}-c300`, numPartitions: 8 },
      { topic: `${prefix}-dead`, numPartitions: 1 }
    ]
    await admin.createTopics({ topics })
    const child = start<Usage>('run.ts', [name, bootstrap, prefix, options.records, options.rate])
    const usage = await child.line
    await child.ended
    usages.get(name)?.push(usage)
    const offsets = await Promise.all(topics.map(({ topic }) => admin.fetchTopicOffsets(topic)))
    const stored = offsets.flat().reduce((sum, { offset }) => sum + Number(offset), 0)
    if (stored !== Number(options.records)) throw new Error(`${name}: ${stored} of ${options.records} are stored`)
    process.stderr.write(`${name} ${Math.round(usage.records / usage.seconds)} records/s\n`)
    await admin.deleteTopics({ topics: topics.map(({ topic }) => topic) })
  }
}
await admin.disconnect()
broker?.stop()

const [cpu] = os.cpus()
console.log(
  `${os.cpus().length} × ${cpu?.model.trim()}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Node ${process.version}`
)
const pace = options.rate === '0' ? 'flat out' : `${options.rate}/s`
console.log(`${options.records} records of about 200 B, ${options.runs} runs, ${pace}`)

for (const [name, list] of usages) {
  const rate = row(
    list.map(({ records, seconds }) => records / seconds),
    0
  )
  const cpuSeconds = row(
    list.map(usage => usage.cpuSeconds),
    2
  )
  const memory = row(
    list.map(({ peakRssMb }) => peakRssMb),
    0
  )
  console.log(`${name.padEnd(9)} ${rate} records/s, ${cpuSeconds} CPU s, ${memory} MB peak`)
}
