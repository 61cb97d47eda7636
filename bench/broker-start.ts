/**
 * How long a broker takes from the start of its process to the first answer to a client.
 *
 *     npm run bench:broker-start -- [--runs 9] [--bytes 1000000000]
 *
 * Three data folders: an empty one, one with `--bytes` of records in 12 partitions that was left in good order, and the
 * same after SIGKILL. Two programs: `startBroker` in a process of its own, and `comporta broker`. Both run as they are
 * published, as joined files. Shown are medians and lowest to highest, beside the 300 ms that are promised.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { apiVersionsApi, createTopicsApi, produceApi, RecordBatchBuilder } from '../src/protocol/index.ts'
import { Link } from '../test/chaos/broker-crash-link.ts'
import { freePorts } from '../test/support/ports.ts'
import { bundled } from './support/bundle.ts'
import { machine, median, spread } from './support/figures.ts'

const PROMISED_MS = 300
const PARTITIONS = 12
const RECORDS_PER_BATCH = 4000
const { values: options } = parseArgs({
  options: { runs: { type: 'string', default: '9' }, bytes: { type: 'string', default: '1000000000' } }
})

interface Started {
  readonly readyMs: number
  readonly port: number
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

async function start(program: string, args: readonly string[]): Promise<Started> {
  const [port = 0] = await freePorts(1)
  const startMs = performance.now()
  const given = args.map(arg => arg.replace('{port}', String(port)))
  const child = spawn(process.execPath, [program, ...given], { stdio: ['pipe', 'ignore', 'ignore'] })
  const exit = once(child, 'exit')
  for (;;) {
    try {
      const link = await Link.open(port)
      await link.request(apiVersionsApi, { version: 0, message: {} })
      link.close()
      break
    } catch {
      if (child.exitCode !== null) throw new Error(`the broker ended with ${child.exitCode}`)
      await delay(1)
    }
  }
  const readyMs = performance.now() - startMs
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    child.kill(signal)
    await exit
  }
  return { readyMs, port, end }
}

async function fill(link: Link, bytes: number): Promise<void> {
  const topics = [{ name: 'start', numPartitions: PARTITIONS, replicationFactor: 1 }]
  await link.request(createTopicsApi, { version: 5, message: { topics, timeoutMs: 10_000 } })
  const builder = new RecordBatchBuilder({ sizeBytesMax: 1_000_000 })
  for (let index = 0; index < RECORDS_PER_BATCH; index++) {
    builder.tryAppend(Date.now(), null, Buffer.from(`${index}`.padEnd(200, 'x')))
  }
  const records = Buffer.from(builder.build())
  for (let sent = 0, index = 0; sent < bytes; sent += records.length, index++) {
    const topicData = [{ name: 'start', partitionData: [{ index: index % PARTITIONS, records }] }]
    await link.request(produceApi, { version: 8, message: { acks: -1, timeoutMs: 10_000, topicData } })
  }
}

const programs = {
  startBroker: {
    file: await bundled('bench/broker-process.ts'),
    args: (dataDir: string) => ['--data-dir', dataDir, '--port', '{port}']
  },
  'comporta broker': {
    file: await bundled('bench/support/run-comporta.ts'),
    args: (dataDir: string) => ['broker', '--data', dataDir, '--port', '{port}']
  }
}
const dataDir = await mkdtemp(path.join(tmpdir(), 'comporta-bench-'))
const samples = new Map<string, number[]>()
const note = (what: string, readyMs: number): void => void samples.set(what, [...(samples.get(what) ?? []), readyMs])
try {
  const first = await start(programs.startBroker.file, programs.startBroker.args(dataDir))
  const link = await Link.open(first.port)
  await fill(link, Number(options.bytes))
  link.close()
  await first.end('SIGTERM')
  for (let run = 0; run < Number(options.runs); run++) {
    for (const [name, { file, args }] of Object.entries(programs)) {
      const empty = await mkdtemp(path.join(tmpdir(), 'comporta-bench-'))
      const fresh = await start(file, args(empty))
      await fresh.end('SIGKILL')
      await rm(empty, { recursive: true, force: true })
      note(`${name}, no data`, fresh.readyMs)
      const clean = await start(file, args(dataDir))
      await clean.end('SIGKILL')
      note(`${name}, ${Number(options.bytes) / 1e6} MB, stopped in good order`, clean.readyMs)
      const killed = await start(file, args(dataDir))
      await killed.end('SIGTERM')
      note(`${name}, ${Number(options.bytes) / 1e6} MB, killed`, killed.readyMs)
    }
  }
} finally {
  await rm(dataDir, { recursive: true, force: true })
}

console.log(machine())
console.log(`from the start of the process to the first answer, ${options.runs} runs, ms`)
for (const [what, times] of samples) {
  const ratio = median(times) / PROMISED_MS
  console.log(`${what.padEnd(52)} ${spread(times)}, ${ratio.toFixed(2)} of ${PROMISED_MS}`)
  if (!(ratio <= 1)) process.exitCode = 1
}
