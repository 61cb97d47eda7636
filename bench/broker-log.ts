/**
 * What the log costs: appends with all checks, reads of a backlog, and reads at
 * the tail, each as operations and bytes a second, over several samples.
 *
 *     npm exec -- node bench/broker-log.ts [--samples 5] [--bytes 268435456]
 */

import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { LogManager, type PartitionLog } from '../src/broker/log/index.ts'
import { type CompressionName, RecordBatchBuilder } from '../src/protocol/index.ts'

const RECORD_BYTES = 200
const IN_FLIGHT = 5

const { values } = parseArgs({
  options: { samples: { type: 'string', default: '5' }, bytes: { type: 'string', default: String(256 * 1024 ** 2) } }
})
const bytesWanted = Number(values.bytes)

interface Sample {
  readonly operations: number
  readonly bytes: number
  readonly seconds: number
}

function batchOf(recordCount: number, compression: CompressionName = 'none'): Buffer {
  const builder = new RecordBatchBuilder({ compression })
  for (let index = 0; index < recordCount; index++) {
    const value = Buffer.from(JSON.stringify({ code: `mt-c${index}`, at: index * 17 }).padEnd(RECORD_BYTES, 'x'))
    builder.tryAppend(Date.now(), Buffer.from(`key-${index}`), value)
  }
  return Buffer.from(builder.build())
}

async function withLog<T>(work: (log: PartitionLog) => Promise<T>): Promise<T> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-bench-'))
  const manager = await LogManager.open({ dataDir: folder })
  try {
    await manager.createTopic({ name: 'bench', partitionCount: 1 })
    const log = manager.log('bench', 0)
    if (log === undefined) throw new Error('the topic has no partition')
    return await work(log)
  } finally {
    await manager.close()
    await fs.rm(folder, { recursive: true, force: true })
  }
}

async function appendAll(log: PartitionLog, template: Buffer, bytesMax: number): Promise<Sample> {
  let bytes = 0
  let operations = 0
  const startMs = performance.now()
  const append = async (): Promise<void> => {
    while (bytes < bytesMax) {
      bytes += template.length
      operations += 1
      const result = await log.append(Buffer.from(template))
      if (result.errorCode !== 0) throw new Error(`append failed with ${result.errorCode}`)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, append))
  return { operations, bytes, seconds: (performance.now() - startMs) / 1000 }
}

async function readAll(log: PartitionLog, bytesMax: number): Promise<Sample> {
  let next = 0n
  let bytes = 0
  let operations = 0
  const startMs = performance.now()
  while (next < log.highWatermark) {
    const { records } = await log.read(next, bytesMax)
    bytes += records.length
    operations += 1
    next = lastOffset(records) + 1n
  }
  return { operations, bytes, seconds: (performance.now() - startMs) / 1000 }
}

function lastOffset(records: Buffer): bigint {
  let last = -1n
  for (let at = 0; at < records.length; at += records.readInt32BE(at + 8) + 12) {
    last = records.readBigInt64BE(at) + BigInt(records.readInt32BE(at + 23))
  }
  return last
}

/** One batch is appended, then read by a consumer that was at the end: as consumers of live data do. */
async function readTail(log: PartitionLog, template: Buffer, count: number): Promise<Sample> {
  let bytes = 0
  let seconds = 0
  for (let index = 0; index < count; index++) {
    const next = log.highWatermark
    await log.append(Buffer.from(template))
    const startMs = performance.now()
    bytes += (await log.read(next, 1024 * 1024)).records.length
    seconds += (performance.now() - startMs) / 1000
  }
  return { operations: count, bytes, seconds }
}

async function report(name: string, measure: () => Promise<Sample>): Promise<void> {
  const samples: Sample[] = []
  for (let index = 0; index < Number(values.samples); index++) samples.push(await measure())
  const rates = samples.map(({ bytes, seconds }) => bytes / 1e6 / seconds).toSorted((a, b) => a - b)
  const times = samples.map(({ operations, seconds }) => (seconds / operations) * 1e6).toSorted((a, b) => a - b)
  const middle = Math.floor(samples.length / 2)
  console.log(
    `${name.padEnd(34)} ${rates[middle]?.toFixed(0).padStart(6)} MB/s (${rates[0]?.toFixed(0)} to ` +
      `${rates.at(-1)?.toFixed(0)}), ${times[middle]?.toFixed(1)} µs an operation`
  )
}

console.log(`${os.type()} ${os.release()}, ${os.cpus().length} x ${os.cpus()[0]?.model}, Node ${process.version}`)
for (const [name, template] of [
  ['append 1 record', batchOf(1)],
  ['append 80 records', batchOf(80)],
  ['append 80 records, lz4', batchOf(80, 'lz4')],
  ['append 80 records, zstd', batchOf(80, 'zstd')],
  ['append 2,000 records', batchOf(2000)]
] as const) {
  const bytesMax = Math.min(bytesWanted, template.length * 50_000)
  await report(name, () => withLog(log => appendAll(log, template, bytesMax)))
}
await withLog(async log => {
  await appendAll(log, batchOf(80), bytesWanted)
  for (const kib of [64, 1024]) await report(`read a backlog, ${kib} KiB at a time`, () => readAll(log, kib * 1024))
})
await withLog(log => report('read one batch at the tail', () => readTail(log, batchOf(80), 5000)))
