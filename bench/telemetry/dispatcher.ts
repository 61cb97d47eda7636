/**
 * What metrics cost a dispatcher.
 *
 *     npm run bench:telemetry -- [--records 4000000] [--runs 5] [--json]
 *
 * A topic of 12 partitions and ~200 B JSON records is drained by a dispatcher whose target answers at once: nothing
 * else takes time, so the share of the metrics is the largest there can be. With metrics means: all of them, a page for
 * Prometheus read every second and an export by OTLP every second; without means `noopMeter`. Runs alternate, each in a
 * process and with a group of its own; one of each that does not count comes first, and of each run the first quarter
 * does not count: it loads and compiles. Shown are medians with their spread,
 * and the ratio of the medians: processor time per record beside the records per second, because other work on the
 * machine moves the latter more than metrics do.
 */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { Admin, Cluster } from '../../src/client/index.ts'
import { writeArguments } from '../support/arguments.ts'
import { startNode } from '../support/children.ts'
import { machine, median, spread } from '../support/figures.ts'

const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: '4000000' },
    runs: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false }
  }
})
const records = Number(options.records)
const runs = Number(options.runs)
const TOPIC = 'bench-telemetry'
const SCRAPE_MS = 1000

interface Sample {
  readonly records: number
  readonly batches: number
  readonly seconds: number
  readonly cpuSeconds: number
}

const file = (name: string): string => path.join(import.meta.dirname, name)

/** A collector that takes everything and looks at nothing. */
async function startCollector(): Promise<{ url: string; exports: () => number; close: () => void }> {
  let count = 0
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => {
      count += 1
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1/metrics`,
    exports: () => count,
    close: () => {
      server.close()
      server.closeAllConnections()
    }
  }
}

let groups = 0
let scrapes = 0

async function run(metrics: 'on' | 'off', bootstrap: string, otlp: string): Promise<Sample> {
  groups += 1
  const group = `bench-${process.pid}-${groups}`
  const values = { bootstrap, topic: TOPIC, group, records: String(records), metrics, otlp }
  const child = startNode<{ url: string } | Sample>(file('run-dispatcher.ts'), writeArguments(values))
  const line = await child.line
  if (!('url' in line)) throw new Error('the dispatcher did not say where its metrics are')
  const timer = setInterval(() => {
    if (metrics === 'off') return
    fetch(line.url)
      .then(async answer => {
        await answer.text()
        scrapes += 1
      })
      .catch(() => undefined) // It is about to end.
  }, SCRAPE_MS)
  await child.ended
  clearInterval(timer)
  const last = child.last()
  if (last === undefined || 'url' in last) throw new Error('the dispatcher ended before it was done')
  return last
}

const broker = startNode<{ bootstrapServers: string }>(file('../drain/broker.ts'))
const { bootstrapServers: bootstrap } = await broker.line
const cluster = await Cluster.connect({ bootstrapServers: [bootstrap] })
const topics = [TOPIC, `${TOPIC}-dead-letters`].map(topic => ({ topic, partitionCount: 12, replicationFactor: 1 }))
await new Admin(cluster).createTopics(topics)
await cluster.close()
await startNode(
  file('../drain/fill.ts'),
  writeArguments({ bootstrap, topic: TOPIC, records: options.records, keys: '5000' })
).ended
const collector = await startCollector()

const samples: Record<'on' | 'off', Sample[]> = { on: [], off: [] }
for (let index = -1; index < runs; index += 1) {
  // Whoever comes first finds the machine as the one before has left it: the order turns.
  for (const metrics of index % 2 === 0 ? (['on', 'off'] as const) : (['off', 'on'] as const)) {
    const sample = await run(metrics, bootstrap, collector.url)
    if (index >= 0) samples[metrics].push(sample)
  }
}
collector.close()
broker.stop()

const rates = (kind: 'on' | 'off'): number[] => samples[kind].map(({ records: count, seconds }) => count / seconds)
const cpu = (kind: 'on' | 'off'): number[] =>
  samples[kind].map(({ records: count, cpuSeconds }) => (cpuSeconds * 1e6) / count)
const rateRatio = median(rates('on')) / median(rates('off'))
const cpuRatio = median(cpu('on')) / median(cpu('off'))
if (options.json) {
  process.stdout.write(`${JSON.stringify({ machine: machine(), samples, rateRatio, cpuRatio, scrapes })}\n`)
} else {
  const lines = [
    machine(),
    `${records} records, ${runs} runs each; ${scrapes} pages, ${collector.exports()} exports`,
    `records/s      without ${spread(rates('off'))}, with ${spread(rates('on'))}: ratio ${rateRatio.toFixed(3)}`,
    `CPU µs/record  without ${spread(cpu('off'), 3)}, with ${spread(cpu('on'), 3)}: ratio ${cpuRatio.toFixed(3)}`
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
