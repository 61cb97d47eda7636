/** One run of the publish benchmark. Arguments: program, bootstrap, topic prefix, records, records per second or 0. */

import { setTimeout as wait } from 'node:timers/promises'

import { Kafka, logLevel } from 'kafkajs'

import { Cluster } from '../../src/client/index.ts'
import { producerConfig, scenarioConfig } from '../../src/config/index.ts'
import { SeededRandom } from '../../src/core/index.ts'
import { startProducer, TruckSource } from '../../src/producer/index.ts'
import { spanEnd, spanStart } from '../../src/producer/event-chunk.ts'
import { fnv1a64Hex } from '../../src/producer/fnv1a64.ts'
import { TruckEvents, truckPopulation } from '../../src/producer/sources/truck-events.ts'
import { startUsage } from '../drain/usage.ts'

const [program = '', bootstrap = '', prefix = '', recordsText = '0', rateText = '0'] = process.argv.slice(2)
const records = Number(recordsText)
const recordsPerSecond = Number(rateText)
const scenario = { trucks: 1000, malformedRatio: 0, poisonRatio: 0 }

async function runComporta(): Promise<void> {
  const config = producerConfig({
    route: {
      field: 'codigo',
      topics: { [`${prefix}-c300`]: [{ from: 300, to: 399 }], [`${prefix}-c400`]: [{ from: 400, to: 499 }] }
    },
    key: { strategy: 'hash', fields: ['codigo', 'truck_id'] },
    deadLetterTopic: `${prefix}-dead`
  })
  const cluster = await Cluster.connect({ bootstrapServers: [bootstrap] })
  const producer = await startProducer({ config, cluster })
  const source = new TruckSource({
    ...scenario,
    records,
    seed: 1,
    rampUpMs: 0,
    ...(recordsPerSecond > 0 ? { recordsPerSecond } : {})
  })
  const report = startUsage()
  const { error } = await producer.run(source)
  report(records)
  const { ackLatencyMeanMs, ackLatencyMaxMs } = producer.status().totals
  process.stderr.write(`acknowledged after ${ackLatencyMeanMs.toFixed(1)} ms, at most ${ackLatencyMaxMs.toFixed(0)}\n`)
  await producer.drain()
  await cluster.close()
  if (error !== undefined) throw error
}

async function runKafkajs(): Promise<void> {
  const kafka = new Kafka({ clientId: 'bench', brokers: [bootstrap], logLevel: logLevel.ERROR })
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 5 })
  await producer.connect()
  const events = new TruckEvents({
    ...scenario,
    population: truckPopulation(scenarioConfig({})),
    producer: 0,
    random: new SeededRandom(1)
  })
  const report = startUsage()
  const startMs = performance.now()
  const worker = async (): Promise<void> => {
    while (events.eventCount < records) {
      const due =
        recordsPerSecond > 0 ? (events.eventCount / recordsPerSecond) * 1000 - (performance.now() - startMs) : 0
      if (due > 0) await wait(due)
      const count = Math.min(recordsPerSecond > 0 ? 260 : 1024, records - events.eventCount)
      if (count <= 0) return
      const { chunk } = events.next(count, Date.now())
      const byTopic: Record<string, { key: Buffer; value: Buffer }[]> = {}
      for (let index = 0; index < chunk.count; index += 1) {
        const value = chunk.bytes.subarray(spanStart(chunk, index), spanEnd(chunk, index))
        const { codigo, truck_id: truck } = JSON.parse(value.toString()) as { codigo: number; truck_id: string }
        const topic = `${prefix}-${codigo < 400 ? 'c300' : 'c400'}`
        byTopic[topic] ??= []
        byTopic[topic].push({ key: fnv1a64Hex(Buffer.from(`${codigo}|${truck}`)), value })
      }
      const topicMessages = Object.entries(byTopic).map(([topic, messages]) => ({ topic, messages }))
      await producer.sendBatch({ acks: -1, topicMessages })
    }
  }
  await Promise.all(Array.from({ length: 5 }, worker))
  report(records)
  await producer.disconnect()
}

if (program === 'comporta') await runComporta()
else await runKafkajs()
