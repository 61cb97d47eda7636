/**
 * Outage benchmark: Kafka is away for a long time, and the memory of the producer is watched.
 *
 *     npx --no node bench/producer/outage.ts [--minutes 1] [--rate 1000] [--partitions 12] [--dir FOLDER]
 *
 * An embedded broker and a producer with `whenAway: { mode: spill }` are processes of their own. After ten seconds of
 * load the broker is killed; the load (200 B, so many events a second) goes on for the whole time; then the broker
 * comes back on its data. Shown are the resident memory of the producer over the outage with its slope (least squares,
 * the first tenth left out as warm-up), the time until everything on disk was in Kafka, and what the topic holds:
 * events missing, twice, or out of order per key. The last line is the result as JSON.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

import { Admin, Cluster, type FetchedChunk, Fetcher } from '../../src/client/index.ts'
import { RecordCursor } from '../../src/protocol/index.ts'
import { writeArguments } from '../support/arguments.ts'
import { memoryOf } from '../support/broker-child.ts'

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    rate: { type: 'string', default: '1000' },
    partitions: { type: 'string', default: '12' },
    dir: { type: 'string', default: os.tmpdir() }
  }
})
const outageMs = Number(options.minutes) * 60_000
const rate = Number(options.rate)
const partitions = Number(options.partitions)
const keys = 1000
const sampleMs = Math.min(10_000, Math.max(500, outageMs / 60))
const topic = 'outage'
const dead = 'outage-dead'

interface ProducerLine {
  readonly sent: number
  readonly safe: number
  readonly failed: number
  readonly outlet: string
  readonly onDisk: number
  readonly bytesOnDisk: number
}

const children = new Set<ChildProcess>()

function start(file: string, args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, file), ...args], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

function linesOf(child: ChildProcess): ReturnType<typeof createInterface> {
  if (child.stdout === null) throw new Error('a child has a pipe')
  return createInterface({ input: child.stdout })
}

async function startBroker(dataDir: string, port: number): Promise<{ child: ChildProcess; bootstrap: string }> {
  const child = start('../broker-process.ts', ['--data-dir', dataDir, '--port', String(port)])
  const [line] = (await once(linesOf(child), 'line')) as [string]
  const { bootstrapServers } = JSON.parse(line) as { bootstrapServers: string } // Written by broker-process.ts.
  return { child, bootstrap: bootstrapServers }
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Slope of the samples per hour. */
function slopePerHour(samples: readonly { readonly atMs: number; readonly rssMb: number }[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const atMean = mean(samples.map(sample => sample.atMs))
  const rssMean = mean(samples.map(sample => sample.rssMb))
  let over = 0
  let under = 0
  for (const { atMs, rssMb } of samples) {
    over += (atMs - atMean) * (rssMb - rssMean)
    under += (atMs - atMean) ** 2
  }
  return under === 0 ? 0 : (over / under) * 3_600_000
}

/** Reads the whole topic. */
async function count(cluster: Cluster, sent: number): Promise<{ missing: number; twice: number; outOfOrder: number }> {
  const seen = new Uint8Array(sent)
  const last = new Int32Array(keys).fill(-1)
  let outOfOrder = 0
  const take = (chunk: FetchedChunk): void => {
    const cursor = new RecordCursor()
    cursor.reset(chunk.records)
    while (cursor.nextBatch()) {
      while (cursor.nextRecord()) {
        if (cursor.offset() < chunk.fromOffset) continue
        const at = cursor.valueStart + 5 // behind {"n":
        const number = Number(cursor.recordBuffer.toString('latin1', at, cursor.recordBuffer.indexOf(',', at)))
        if (seen[number] === 0 && number < (last[number % keys] ?? -1)) outOfOrder += 1
        if (seen[number] === 0) last[number % keys] = number
        seen[number] = Math.min(255, (seen[number] ?? 0) + 1)
      }
    }
  }
  await readToEnd(cluster, take)
  let missing = 0
  let twice = 0
  for (const each of seen) {
    if (each === 0) missing += 1
    if (each > 1) twice += each - 1
  }
  return { missing, twice, outOfOrder }
}

async function readToEnd(cluster: Cluster, take: (chunk: FetchedChunk) => void): Promise<void> {
  const open = new Set(Array.from({ length: partitions }, (_, partition) => partition))
  await new Promise<void>((resolve, reject) => {
    const fetcher = new Fetcher({
      cluster,
      maxWaitMs: 100,
      onRecords: chunk => {
        take(chunk)
        if (chunk.nextOffset < chunk.highWatermark) return
        open.delete(chunk.partition)
        if (open.size === 0) void fetcher.close().then(resolve, reject)
      },
      onPartitionError: ({ error, willRetry }) => {
        if (!willRetry) reject(error)
      }
    })
    for (const partition of open) fetcher.add({ topic, partition, offset: 0n })
    fetcher.start()
  })
}

async function run(folder: string): Promise<void> {
  const dataDir = path.join(folder, 'broker')
  await mkdir(dataDir)
  const first = await startBroker(dataDir, 0)
  const port = Number(first.bootstrap.split(':')[1])
  const cluster = await Cluster.connect({ bootstrapServers: [first.bootstrap] })
  await new Admin(cluster).createTopics([
    { topic, partitionCount: partitions, replicationFactor: 1 },
    { topic: dead, partitionCount: 1, replicationFactor: 1 }
  ])
  await cluster.close()

  const args = { bootstrap: first.bootstrap, topic, dead, dir: path.join(folder, 'spill'), rate }
  const producer = start('outage-run.ts', writeArguments(args))
  let line: ProducerLine | undefined
  linesOf(producer).on('line', text => {
    line = JSON.parse(text) as ProducerLine // Written by outage-run.ts.
  })
  const pid = producer.pid ?? 0
  await sleep(10_000)
  const beforeMb = (await memoryOf(pid)).rssMb
  await kill(first.child)
  console.log(`Kafka is gone; the producer has ${beforeMb.toFixed(1)} MiB; ${JSON.stringify(line)}`)

  const startMs = performance.now()
  const samples: { atMs: number; rssMb: number }[] = []
  while (performance.now() - startMs < outageMs) {
    await sleep(Math.min(sampleMs, Math.max(1, outageMs - (performance.now() - startMs))))
    const atMs = performance.now() - startMs
    const { rssMb } = await memoryOf(pid)
    samples.push({ atMs, rssMb })
    console.log(`${(atMs / 60_000).toFixed(2)} min  ${rssMb.toFixed(1)} MiB  ${JSON.stringify(line)}`)
  }
  const second = await startBroker(dataDir, port)
  const onDisk = line?.onDisk ?? 0
  const backMs = performance.now()
  while (line?.outlet !== 'up') await sleep(100)
  const replayMs = performance.now() - backMs
  console.log(`Kafka is back; ${onDisk} events were replayed in ${(replayMs / 1000).toFixed(1)} s under load`)
  const afterMb = (await memoryOf(pid)).peakMb
  producer.stdin?.end()
  if (producer.exitCode === null) await once(producer, 'exit')

  const reader = await Cluster.connect({ bootstrapServers: [second.bootstrap] })
  const verdict = await count(reader, line?.sent ?? 0)
  await reader.close()
  await kill(second.child)
  const warm = samples.slice(Math.ceil(samples.length / 10))
  const rss = warm.map(sample => sample.rssMb)
  console.log(
    JSON.stringify({
      minutes: Number(options.minutes),
      rate,
      sent: line?.sent,
      failed: line?.failed,
      replayed: onDisk,
      replaySeconds: Math.round(replayMs / 100) / 10,
      ...verdict,
      rssMiB: { before: round(beforeMb), lowest: round(Math.min(...rss)), highest: round(Math.max(...rss)) },
      peakMiBWithReplay: round(afterMb),
      slopeMiBPerHour: round(slopePerHour(warm)),
      node: process.version
    })
  )
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

const folder = await mkdtemp(path.join(options.dir, 'comporta-outage-'))
try {
  await run(folder)
} finally {
  for (const child of children) child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
}
