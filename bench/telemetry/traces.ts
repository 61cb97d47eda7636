/**
 * What traces cost the dispatcher: CPU time of a record without them, with the default sampling, and with every batch
 * recorded. The target takes batches at once, so nothing hides the cost; with a service behind it the share is smaller.
 *
 * Records have a correlation id as a header, and one chunk of a hundred a `traceparent`, as a producer with the default
 * sampling makes them. CPU time, because wall time on a machine with other work says nothing; runs take turns.
 *
 *     node bench/telemetry/traces.ts [records] [runs]
 */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cpuUsage } from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'

import { Admin, Appender, type AppendHeader, Cluster } from '../../src/client/index.ts'
import { dispatcherConfig } from '../../src/config/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import type { Target } from '../../src/targets/index.ts'
import { createTraces, type SamplingOptions, type Traces } from '../../src/telemetry/index.ts'
import { startBrokerChild } from '../support/broker-child.ts'
import { machine, median, spread } from '../support/figures.ts'

const [recordCount = 400_000, runCount = 7] = process.argv.slice(2).map(Number)
const PARTITIONS = 8
/** Records that a producer hands over together, and of which all or none have a trace. */
const CHUNK = 100

const modes: Readonly<Record<string, SamplingOptions | undefined>> = {
  off: undefined,
  default: {},
  'default, nothing kept': { keep: [] },
  'every batch': { ratio: 1, perSecondMax: 1_000_000 }
}

async function fill(cluster: Cluster, topic: string, hasHeaders: boolean): Promise<void> {
  await new Admin(cluster).createTopics([{ topic, partitionCount: PARTITIONS, replicationFactor: 1 }])
  const appender = new Appender({ cluster, lingerMs: 5 })
  const listener = { delivered: (): void => undefined, failed: (error: Error): void => console.error(error) }
  for (let index = 0; index < recordCount; index += 1) {
    const value = Buffer.from(
      JSON.stringify({ truck_id: `T-${index % 5000}`, codigo: 400, at: index, fill: 'x'.repeat(120) })
    )
    const headers: AppendHeader[] = [{ key: 'correlation-id', value: Buffer.from(`c-${index}`) }]
    const chunk = Math.floor(index / CHUNK)
    if (chunk % 100 === 0) {
      const id = chunk.toString(16).padStart(16, '1')
      headers.push({ key: 'traceparent', value: Buffer.from(`00-${id}${id}-${id}-03`) })
    }
    const record = { topic, key: Buffer.from(`T-${index % 5000}`), value, ...(hasHeaders ? { headers } : {}) }
    while (!appender.append(record, listener)) await appender.room()
  }
  await appender.close()
}

const target: Target = {
  name: 'taken',
  bodyBytesMax: 6_000_000,
  timeoutMs: 30_000,
  invoke: () => Promise.resolve({ kind: 'ok' }),
  close: () => Promise.resolve()
}

/** Microseconds of CPU per record, and how many spans were emitted. */
async function run(cluster: Cluster, topic: string, traces: Traces | undefined): Promise<number> {
  const config = dispatcherConfig({
    groupId: `g-${topic}-${process.hrtime.bigint()}`,
    topics: [topic],
    deadLetterTopic: 'dead',
    batch: { recordsMax: 500, ageMs: 100 },
    target: { type: 'http', url: 'http://127.0.0.1:9' }
  })
  const start = cpuUsage()
  const dispatcher = await startDispatcher({ config, cluster, target, tracer: traces?.tracing })
  while (dispatcher.status().totals.records < recordCount) await wait(5)
  const { user, system } = cpuUsage(start)
  await dispatcher.drain()
  return (user + system) / recordCount
}

/** In this process: what a collector takes is not ours, and a few requests a second cost nothing. */
const collector = createServer((request, response) => request.resume().on('end', () => response.end()))
await new Promise<void>(resolve => collector.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/traces`
const broker = await startBrokerChild({ settings: ['group.initial.rebalance.delay.ms=0'] })
const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers], clientId: 'bench-traces' })
console.log(`${machine()}\n${recordCount} records, batches of 500, ${runCount} runs; µs of CPU per record`)
for (const topic of ['plain', 'with-headers']) {
  await fill(cluster, topic, topic !== 'plain')
  const samples = new Map(Object.keys(modes).map(mode => [mode, [] as number[]]))
  for (let round = 0; round <= runCount; round += 1) {
    for (const [mode, sampling] of Object.entries(modes)) {
      const traces = sampling === undefined ? undefined : createTraces({ url, sampling })
      const perRecord = await run(cluster, topic, traces)
      await traces?.close()
      // The first round is for the compiler.
      if (round > 0) samples.get(mode)?.push(perRecord)
    }
  }
  const base = samples.get('off') ?? []
  for (const [mode, all] of samples) {
    // Of the same round: what else the machine does is about the same then.
    const ratio = median(all.map((each, index) => each / (base[index] ?? Number.NaN)))
    const lowest = Math.min(...all) / Math.min(...base)
    const ratios = `× ${ratio.toFixed(3)}, of the lowest × ${lowest.toFixed(3)}`
    console.log(`${topic.padEnd(13)} ${mode.padEnd(22)} ${spread(all, 3).padEnd(24)} ${ratios}`)
  }
}
await cluster.close()
await broker.stop()
collector.close()
collector.closeAllConnections()
