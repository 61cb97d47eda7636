/**
 * Publishes events from a program: an embedded broker, one producer, a stream and an HTTP endpoint as sources.
 *
 * `npx node examples/producer/publish.ts`
 */

import { Readable } from 'node:stream'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import { producerConfig } from '../../src/config/index.ts'
import { HttpSource, startProducer, streamSource } from '../../src/producer/index.ts'

const broker = await startBroker()
const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
await new Admin(cluster).createTopics([
  { topic: 'mt-c300', partitionCount: 8 },
  { topic: 'mt-c400', partitionCount: 20 },
  { topic: 'dead-letters', partitionCount: 1 }
])

const producer = await startProducer({
  cluster,
  config: producerConfig({
    route: { field: 'codigo', topics: { 'mt-c300': [{ from: 300, to: 399 }], 'mt-c400': [{ from: 400, to: 499 }] } },
    key: { strategy: 'hash', fields: ['codigo', 'truck_id'] },
    rate: { recordsPerSecond: 13_000 },
    deadLetterTopic: 'dead-letters'
  })
})

// Any readable stream of lines. The second one is not JSON: it becomes a dead letter with its reason.
const lines = ['{"codigo":300,"truck_id":"T-1","speed":71}', 'not json', '{"codigo":401,"truck_id":"T-2","speed":64}']
const report = await producer.run(streamSource(Readable.from([Buffer.from(lines.join('\n'))]), 'example'))
console.log('stream:', report.error ?? `${report.progress.eventCount} events, all safe`)

// Events over HTTP: the answer comes after Kafka's acknowledgement.
const http = new HttpSource({ host: '127.0.0.1', port: 0, bodyBytesMax: 1_048_576, pendingBytesMax: 16_777_216 })
void producer.run(http)
const { port } = await http.listening
const answer = await fetch(`http://127.0.0.1:${port}/events`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: '{"codigo":400,"truck_id":"T-3","speed":88}'
})
console.log('http:', answer.status, (await answer.text()).trim())

const { isComplete, totals } = await producer.drain()
console.log(`drained: ${isComplete}, delivered ${totals.deliveredCount}, dead-lettered ${totals.deadLetteredCount}`)
await cluster.close()
await broker.close()
