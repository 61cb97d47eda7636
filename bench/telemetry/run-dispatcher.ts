/**
 * One drain of a topic by a dispatcher whose target answers at once, with metrics or without. Prints its address when
 * it serves metrics, and at the end what it took. Arguments: bootstrap, topic, group, records, metrics (on, off), otlp.
 */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { Cluster } from '../../src/client/index.ts'
import { dispatcherConfig } from '../../src/config/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import type { Target } from '../../src/targets/index.ts'
import { createMetrics, type Metrics, noopMeter } from '../../src/telemetry/index.ts'
import { readArguments } from '../support/arguments.ts'

const argument = readArguments()
const topic = argument('topic')
const recordsMax = Number(argument('records'))
const metrics: Metrics | undefined =
  argument('metrics') === 'on'
    ? createMetrics({
        resource: { 'service.name': 'bench' },
        otlp: { endpoint: argument('otlp'), headers: {}, timeoutMs: 1000, compression: 'none', intervalMs: 1000 }
      })
    : undefined
const meter = metrics?.meter ?? noopMeter
const server = createServer((_request, response) => {
  void metrics?.prometheusText().then(text => response.end(text))
})
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
// Listening on TCP: the address is never a path.
const { port } = server.address() as AddressInfo
process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}/metrics` })}\n`)

let records = 0
let batches = 0
let first: { atMs: number; cpu: NodeJS.CpuUsage; records: number; batches: number } | undefined
const done = Promise.withResolvers<void>()
const target: Target = {
  name: 'nothing',
  timeoutMs: 30_000,
  bodyBytesMax: 6_000_000,
  invoke: ({ recordCount }) => {
    records += recordCount
    batches += 1
    // What is compiled and loaded once is not what metrics cost: the first quarter does not count.
    if (first === undefined && records >= recordsMax / 4) {
      first = { atMs: performance.now(), cpu: process.cpuUsage(), records, batches }
    }
    if (records >= recordsMax) done.resolve()
    return Promise.resolve({ kind: 'ok' })
  },
  close: () => Promise.resolve()
}
const cluster = await Cluster.connect({ bootstrapServers: [argument('bootstrap')], clientId: 'bench', meter })
const dispatcher = await startDispatcher({
  cluster,
  target,
  meter,
  config: dispatcherConfig({
    groupId: argument('group'),
    topics: [topic],
    batch: { recordsMax: 500, ageMs: 50 },
    target: { type: 'module', file: 'unused', timeoutMs: 30_000 },
    concurrency: 12,
    deadLetterTopic: `${topic}-dead-letters`
  })
})
await done.promise
if (first === undefined) throw new Error('all came in one batch: more records are needed')
const seconds = (performance.now() - first.atMs) / 1000
const { user, system } = process.cpuUsage(first.cpu)
const counted = { records: records - first.records, batches: batches - first.batches }
process.stdout.write(`${JSON.stringify({ ...counted, seconds, cpuSeconds: (user + system) / 1e6 })}\n`)
await dispatcher.drain()
await cluster.close()
await metrics?.close()
server.close()
server.closeAllConnections()
