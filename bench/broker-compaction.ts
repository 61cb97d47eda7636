/**
 * What compaction costs, and what it costs everybody else: a dirty log is
 * compacted while another partition takes appends. The delay of the event loop
 * and the time of an append, without and with compaction beside it.
 *
 *     npm exec -- node bench/broker-compaction.ts [--bytes 134217728] [--keys 100000] [--compression none]
 */

import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { LogManager, type PartitionLog } from '../src/broker/log/index.ts'
import { COMPRESSION_NAMES, RecordBatchBuilder } from '../src/protocol/index.ts'

const RECORD_BYTES = 200
const RECORDS_PER_BATCH = 500
const IDLE_MS = 3000
const APPEND_EVERY_MS = 2

const { values } = parseArgs({
  options: {
    bytes: { type: 'string', default: String(128 * 1024 ** 2) },
    keys: { type: 'string', default: '100000' },
    compression: { type: 'string', default: 'none' }
  }
})
const bytesWanted = Number(values.bytes)
const keyCount = Number(values.keys)
const compression = COMPRESSION_NAMES.find(name => name === values.compression) ?? 'none'

function batchOf(seed: number): Buffer {
  const builder = new RecordBatchBuilder({ compression })
  for (let index = 0; index < RECORDS_PER_BATCH; index++) {
    const key = (seed * 7919 + index * 104_729) % keyCount
    const value = Buffer.from(JSON.stringify({ seed, index, at: seed * 17 }).padEnd(RECORD_BYTES, 'x'))
    builder.tryAppend(Date.now(), Buffer.from(`key-${key}`), value)
  }
  return Buffer.from(builder.build())
}

async function fill(log: PartitionLog): Promise<number> {
  let records = 0
  for (let seed = 0; log.sizeBytes < bytesWanted; seed++) {
    await log.append(batchOf(seed))
    records += RECORDS_PER_BATCH
  }
  return records
}

interface Quantiles {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Appends to a log at a steady pace until `until` resolves; how long each took, and how late the event loop was. */
async function measure(log: PartitionLog, until: Promise<unknown>): Promise<{ append: Quantiles; loop: Quantiles }> {
  const loop = monitorEventLoopDelay({ resolution: 1 })
  let isOver = false
  void until.then(() => (isOver = true))
  const took: number[] = []
  loop.enable()
  while (!isOver) {
    const start = performance.now()
    await log.append(batchOf(1))
    took.push(performance.now() - start)
    await new Promise(resolve => setTimeout(resolve, APPEND_EVERY_MS))
  }
  loop.disable()
  took.sort((a, b) => a - b)
  const at = (share: number): number => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0
  const ms = (nanoseconds: number): number => nanoseconds / 1e6
  return {
    append: { p50: at(0.5), p99: at(0.99), max: at(1) },
    loop: { p50: ms(loop.percentile(50)), p99: ms(loop.percentile(99)), max: ms(loop.max) }
  }
}

function show(name: string, { append, loop }: { append: Quantiles; loop: Quantiles }): void {
  const line = ({ p50, p99, max }: Quantiles): string =>
    `p50 ${p50.toFixed(2)} p99 ${p99.toFixed(2)} max ${max.toFixed(2)} ms`
  console.log(`${name.padEnd(18)} append ${line(append)} | event loop ${line(loop)}`)
}

const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-bench-'))
const manager = await LogManager.open({ dataDir: folder, settings: { 'log.cleaner.enable': 'false' } })
try {
  const configs = {
    'cleanup.policy': 'compact',
    'segment.bytes': String(16 * 1024 ** 2),
    'max.message.bytes': '2097152'
  }
  await manager.createTopic({ name: 'dirty', configs })
  await manager.createTopic({ name: 'busy' })
  const [dirty, busy] = [manager.log('dirty', 0), manager.log('busy', 0)]
  if (dirty === undefined || busy === undefined) throw new Error('the topics were not created')
  const records = await fill(dirty)
  await manager.flush()
  const beforeBytes = dirty.sizeBytes
  console.log(`node ${process.version}, ${os.cpus()[0]?.model} x ${os.cpus().length}, ${compression}, ${keyCount} keys`)
  show('idle', await measure(busy, new Promise(resolve => setTimeout(resolve, IDLE_MS))))
  const start = performance.now()
  const cleaning = manager.cleaner.cleanAll()
  show('while compacting', await measure(busy, cleaning))
  const seconds = (performance.now() - start) / 1000
  console.log(
    `${records} records, ${(beforeBytes / 1e6).toFixed(0)} MB to ${(dirty.sizeBytes / 1e6).toFixed(0)} MB in ` +
      `${seconds.toFixed(2)} s: ${(records / seconds / 1e6).toFixed(2)} million records/s, ` +
      `${(beforeBytes / seconds / 1e6).toFixed(0)} MB/s`
  )
} finally {
  await manager.close()
  await fs.rm(folder, { recursive: true, force: true })
}
