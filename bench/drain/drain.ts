/**
 * Drain benchmark: a backlog through an HTTP target, the dispatcher beside a kafkajs program.
 *
 *     npx --no node bench/drain/drain.ts [--records 1000000] [--runs 5] [--payload parse|concat] [--json]
 *         [--bootstrap host:port] [--only comporta|kafkajs] [--cpu-prof DIR]
 *
 * Broker, sink and each run are processes of their own on this machine. The topic has 12 partitions and ~200 B JSON
 * records; both programs send batches of 500 as one POST, 12 partitions at once, and commit after each answer. Runs
 * alternate, each with a new group; shown are medians, the ratio and the spread (lowest to highest).
 */

import { spawn } from 'node:child_process'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

import { Kafka, logLevel } from 'kafkajs'

import type { Usage } from './usage.ts'

const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    runs: { type: 'string', default: '5' },
    payload: { type: 'string', default: 'parse' },
    bootstrap: { type: 'string' },
    only: { type: 'string' },
    'cpu-prof': { type: 'string' },
    json: { type: 'boolean', default: false }
  }
})
const recordCount = Number(options.records)
const runCount = Number(options.runs)

/** Starts a program of this folder and gives the first line it prints. */
function start<T>(file: string, args: readonly string[] = [], flags: readonly string[] = []) {
  const child = spawn(process.execPath, [...flags, path.join(import.meta.dirname, file), ...args], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const line = new Promise<T>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', text => resolve(JSON.parse(text) as T))
    child.once('exit', code => reject(new Error(`${file} ended with ${code} before it said anything`)))
  })
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
  return { line, ended, stop: () => child.stdin.end() }
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const high = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? Number.NaN)) / 2
}

interface Summary {
  readonly name: string
  readonly recordsPerSecond: number
  readonly spread: readonly [number, number]
  readonly cpuSeconds: number
  readonly peakRssMb: number
}

function summarize(name: string, usages: readonly Usage[]): Summary {
  const rates = usages.map(({ records, seconds }) => records / seconds)
  return {
    name,
    recordsPerSecond: median(rates),
    spread: [Math.min(...rates), Math.max(...rates)],
    cpuSeconds: median(usages.map(({ cpuSeconds }) => cpuSeconds)),
    peakRssMb: median(usages.map(({ peakRssMb }) => peakRssMb))
  }
}

const broker = options.bootstrap === undefined ? start<{ bootstrapServers: string }>('broker.ts') : undefined
const bootstrap = options.bootstrap ?? (await broker?.line)?.bootstrapServers ?? ''
const sink = start<{ url: string }>('sink.ts')
const { url } = await sink.line
const topic = `drain-${Date.now()}`

const admin = new Kafka({ clientId: 'bench', brokers: [bootstrap], logLevel: logLevel.ERROR }).admin()
await admin.connect()
await admin.createTopics({
  topics: [
    { topic, numPartitions: 12 },
    { topic: `${topic}-dead-letters`, numPartitions: 1 }
  ]
})
await start('fill.ts', [bootstrap, topic, String(recordCount)]).line
process.stderr.write(`${recordCount} records are in ${topic}\n`)

const programs = ['run-comporta.ts', 'run-kafkajs.ts'].filter(
  file => options.only === undefined || file === `run-${options.only}.ts`
)
const usages = new Map<string, Usage[]>(programs.map(file => [file, []]))
for (let run = 0; run < runCount; run += 1) {
  for (const file of programs) {
    const args = [bootstrap, topic, url, `${file}-${run}`, String(recordCount), options.payload]
    const profile = options['cpu-prof']
    const flags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
    await fetch(url)
    const child = start<Usage>(file, args, flags)
    const usage = await child.line
    const seen = (await (await fetch(url)).json()) as { records: number; requests: number }
    await child.ended
    if (seen.records !== recordCount) throw new Error(`${file}: the sink saw ${seen.records} records of ${recordCount}`)
    usages.get(file)?.push(usage)
    const rate = Math.round(usage.records / usage.seconds)
    process.stderr.write(`${file} ${rate} records/s, ${seen.requests} requests\n`)
  }
}
await admin.disconnect()
sink.stop()
broker?.stop()

const [comporta, kafkajs] = [...usages].map(([file, list]) => summarize(file.slice(4, -3), list))
const summaries = [comporta, kafkajs].filter(summary => summary !== undefined)
if (options.json) {
  process.stdout.write(`${JSON.stringify({ records: recordCount, runs: runCount, summaries })}\n`)
} else {
  const cpu = os.cpus()
  console.log(`${recordCount} records, ${runCount} runs each, kafkajs payload: ${options.payload}`)
  console.log(
    `${cpu.length} × ${cpu[0]?.model.trim()}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Node ${process.version}`
  )
  for (const { name, recordsPerSecond, spread, cpuSeconds, peakRssMb } of summaries) {
    const rates = `${Math.round(recordsPerSecond)} records/s (${spread.map(Math.round).join(' to ')})`
    console.log(`${name.padEnd(10)} ${rates}, ${cpuSeconds.toFixed(2)} CPU s, ${Math.round(peakRssMb)} MB peak`)
  }
  if (comporta !== undefined && kafkajs !== undefined) {
    console.log(
      `ratio      ${(comporta.recordsPerSecond / kafkajs.recordsPerSecond).toFixed(2)} × the rate, ` +
        `${(kafkajs.cpuSeconds / comporta.cpuSeconds).toFixed(2)} × less CPU`
    )
  }
}
