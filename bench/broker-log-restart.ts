/**
 * How long a broker's log takes to be back after kill -9.
 *
 * A child process writes to a data folder over several partitions and is killed
 * with SIGKILL as soon as it has reported the wanted bytes as acknowledged. Then
 * a fresh process opens the folder; the time from the call to the open log is
 * printed, for each of several runs, and with it how many bytes had to be checked.
 *
 *     npm exec -- node bench/broker-log-restart.ts [--bytes 1073741824] [--partitions 12] [--runs 5]
 */

import { spawn } from 'node:child_process'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { LogManager } from '../src/broker/log/index.ts'
import { RecordBatchBuilder } from '../src/protocol/index.ts'

const RECORD_BYTES = 200
const BATCH_RECORDS = 80
/** Batches under way in each partition: what a few producers with five requests in flight have. */
const IN_FLIGHT = 10
const SECOND_TARGET_MS = 1000

const { values } = parseArgs({
  options: {
    bytes: { type: 'string', default: String(1024 ** 3) },
    partitions: { type: 'string', default: '12' },
    runs: { type: 'string', default: '5' },
    role: { type: 'string', default: 'main' },
    folder: { type: 'string', default: '' }
  }
})
const partitionCount = Number(values.partitions)

function batchTemplate(): Buffer {
  const builder = new RecordBatchBuilder()
  for (let index = 0; index < BATCH_RECORDS; index++) {
    builder.tryAppend(Date.now(), Buffer.from(`key-${index}`), Buffer.alloc(RECORD_BYTES, 97 + (index % 26)))
  }
  return Buffer.from(builder.build())
}

async function writeUntilKilled(folder: string): Promise<void> {
  const manager = await LogManager.open({ dataDir: folder })
  await manager.createTopic({ name: 'bench', partitionCount })
  const template = batchTemplate()
  const bytesWanted = Number(values.bytes)
  const startMs = performance.now()
  let bytes = 0
  const write = async (partition: number): Promise<void> => {
    while (bytes < bytesWanted) {
      const result = await manager.log('bench', partition)?.append(Buffer.from(template))
      if (result?.errorCode !== 0) throw new Error(`append failed with ${result?.errorCode}`)
      bytes += template.length
    }
  }
  const writers = Array.from({ length: partitionCount * IN_FLIGHT }, (_, index) => write(index % partitionCount))
  await Promise.all(writers)
  const seconds = (performance.now() - startMs) / 1000
  process.stdout.write(`${JSON.stringify({ bytes, seconds, unflushedBytes: manager.unflushedBytes })}\n`)
  setInterval(() => undefined, 1000)
}

async function openOnce(folder: string): Promise<void> {
  const startMs = performance.now()
  const manager = await LogManager.open({ dataDir: folder })
  const openMs = performance.now() - startMs
  const logs = manager.topics.flatMap(topic => topic.logs)
  const checkedBytes = logs.reduce((sum, log) => sum + log.recoveredBytes, 0)
  const sizeBytes = logs.reduce((sum, log) => sum + log.sizeBytes, 0)
  process.stdout.write(`${JSON.stringify({ openMs, checkedBytes, sizeBytes })}\n`)
  process.kill(process.pid, 'SIGKILL')
}

/** Runs this file in a child, kills it after its first line, and answers that line. */
async function runChild(role: string, folder: string): Promise<Record<string, number>> {
  const args = ['--role', role, '--folder', folder, '--bytes', values.bytes, '--partitions', values.partitions]
  const child = spawn(process.execPath, [import.meta.filename, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let first: string | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    first ??= line
    child.kill('SIGKILL')
  }
  if (first === undefined) throw new Error(`the ${role} process ended without a result`)
  return JSON.parse(first) as Record<string, number> // Written by the functions above.
}

function megabytes(bytes = 0): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

async function main(): Promise<void> {
  const cpu = os.cpus()[0]?.model ?? 'unknown'
  console.log(`${os.type()} ${os.release()}, ${os.cpus().length} x ${cpu}, Node ${process.version}`)
  const openTimes: number[] = []
  for (let run = 0; run < Number(values.runs); run++) {
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-bench-'))
    try {
      const written = await runChild('write', folder)
      const opened = await runChild('open', folder)
      openTimes.push(opened['openMs'] ?? Number.NaN)
      const rate = megabytes((written['bytes'] ?? 0) / (written['seconds'] ?? 1))
      console.log(
        `run ${run + 1}: wrote ${megabytes(written['bytes'])} at ${rate}/s, ` +
          `${megabytes(written['unflushedBytes'])} behind the recovery points; ` +
          `opened ${megabytes(opened['sizeBytes'])} in ${opened['openMs']?.toFixed(0)} ms, ` +
          `checked ${megabytes(opened['checkedBytes'])}`
      )
    } finally {
      await fs.rm(folder, { recursive: true, force: true })
    }
  }
  const sorted = openTimes.toSorted((a, b) => a - b)
  const worst = sorted.at(-1) ?? Number.NaN
  const median = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  console.log(`open: median ${median.toFixed(0)} ms, min ${sorted[0]?.toFixed(0)} ms, max ${worst.toFixed(0)} ms`)
  if (!(worst < SECOND_TARGET_MS)) process.exitCode = 1
}

if (values.role === 'write') await writeUntilKilled(values.folder)
else if (values.role === 'open') await openOnce(values.folder)
else await main()
