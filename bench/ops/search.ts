/**
 * Search benchmark: one record among many, beside kcat and grep.
 *
 *     node bench/ops/search.ts [--records 1000000] [--runs 3] [--bootstrap host:port] [--json]
 *
 * The topic has 12 partitions and ~190 B JSON records. Every program is a process of its own, its start included, and
 * reads the whole topic; runs alternate after one that does not count. `text` looks for the bytes of one event id,
 * `regex` for a pattern of it, `field` for a value of a JSON field, for which the others grep a text that happens to
 * stand there. Each must find the one record. Shown are medians in seconds, records/s and the ratio to each peer.
 */

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import { writeArguments } from '../support/arguments.ts'
import { machine, median } from '../support/figures.ts'

const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    runs: { type: 'string', default: '3' },
    bootstrap: { type: 'string' },
    json: { type: 'boolean', default: false }
  }
})

const records = Number(options.records)
const topic = `search-${process.pid}`
const root = join(import.meta.dirname, '../..')
const broker = options.bootstrap === undefined ? await startBroker() : undefined
const brokers = options.bootstrap ?? broker?.bootstrapServers ?? ''

/** Runs a command in a shell: seconds, those of the processor (user and system), and the lines it printed. */
async function timed(command: string): Promise<{ seconds: number; cpuSeconds: number; lines: number }> {
  const startedMs = performance.now()
  const child = spawn('/bin/sh', ['-c', `{ ${command}; } 2>/dev/null; times >&2`], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let times = ''
  child.stderr.on('data', (chunk: Buffer) => (times += String(chunk)))
  let text = ''
  for await (const chunk of child.stdout) text += String(chunk)
  const seconds = (performance.now() - startedMs) / 1000
  // The second line is that of the children: user and system.
  const cpuSeconds = [...(times.trim().split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest),
    0
  )
  return { seconds, cpuSeconds, lines: text.trim() === '' ? 0 : text.trim().split('\n').length }
}

const id = `e-${Math.floor(records * 0.9)}`
const searches = {
  text: { ours: `--contains '"${id}"'`, grep: `grep -F '"${id}"'` },
  regex: { ours: `--regex '"e-${id.slice(2)}",' --in value`, grep: `grep -E '"e-${id.slice(2)}",'` },
  field: { ours: `--where event_id=${id}`, grep: `grep -F '"event_id":"${id}"'` }
}

function programsOf({ ours, grep }: { ours: string; grep: string }): Record<string, string> {
  const node = process.execPath
  return {
    comporta: `${node} bin/comporta.js records search ${topic} ${ours} --json --brokers ${brokers}`,
    kcat: `kcat -C -b ${brokers} -t ${topic} -o beginning -e -q | ${grep}`
  }
}

const cluster = await Cluster.connect({ bootstrapServers: brokers.split(',') })
const admin = new Admin(cluster)
await admin.createTopics([{ topic, partitionCount: 12 }])
const filling = writeArguments({ bootstrap: brokers, topic, records, keys: 5000 }).join(' ')
await timed(`${process.execPath} bench/drain/fill.ts ${filling}`)
const listed = await admin.listOffsets(
  Array.from({ length: 12 }, (_, partition) => ({ topic, partition, at: 'latest' as const }))
)
const filled = listed.reduce((sum, { offset }) => sum + Number(offset), 0)
if (filled !== records) throw new Error(`the topic has ${filled} records, not ${records}`)

const table: Record<string, unknown>[] = []
for (const [search, commands] of Object.entries(searches)) {
  const programs = programsOf(commands)
  const samples = new Map<string, number[]>(Object.keys(programs).map(name => [name, []]))
  const cpu = new Map<string, number[]>(Object.keys(programs).map(name => [name, []]))
  for (let run = 0; run <= Number(options.runs); run += 1) {
    for (const [name, command] of Object.entries(programs)) {
      const { seconds, cpuSeconds, lines } = await timed(command)
      if (lines !== 1) throw new Error(`${name} found ${lines} records: ${command}`)
      if (run === 0) continue
      samples.get(name)?.push(seconds)
      cpu.get(name)?.push(cpuSeconds)
    }
  }
  const own = median(samples.get('comporta') ?? [])
  for (const [name, values] of samples) {
    table.push({
      search,
      program: name,
      seconds: Number(median(values).toFixed(2)),
      spread: `${Math.min(...values).toFixed(2)}-${Math.max(...values).toFixed(2)}`,
      cpuSeconds: Number(median(cpu.get(name) ?? []).toFixed(2)),
      recordsPerSecond: Math.round(records / median(values)),
      timesOurs: Number((median(values) / own).toFixed(2))
    })
  }
}
await admin.deleteTopics([topic])
await cluster.close()
await broker?.close()
if (options.json) process.stdout.write(`${JSON.stringify({ machine: machine(), records, table })}\n`)
else {
  console.table(table)
  process.stdout.write(`${JSON.stringify(machine())}\n`)
}
