/**
 * The same with kafkajs: `sendBatch` of 1,024 records, five at a time, idempotent.
 * Arguments: bootstrap, topic, records, rate, keyed, compression.
 */

import { CompressionTypes, Kafka, logLevel } from 'kafkajs'

import { readArguments } from '../../support/arguments.ts'
import { Latencies, paced } from './pace.ts'
import { startAppendUsage } from './usage.ts'
import { makeValues, VALUE_COUNT } from './values.ts'

const argument = readArguments()
const topic = argument('topic')
const records = Number(argument('records'))
const isKeyed = argument('keyed') === 'true'
const values = makeValues()
const list = Array.from({ length: VALUE_COUNT }, (_, row) => {
  return values.lines.subarray(values.spans[row * 2], values.spans[row * 2 + 1])
})
const kafka = new Kafka({ clientId: 'bench-kafkajs', brokers: [argument('bootstrap')], logLevel: logLevel.ERROR })
const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 5 })
await producer.connect()
const compression = argument('compression') === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None
const latencies = new Latencies()
const finish = startAppendUsage(latencies)
const open = new Set<Promise<void>>()
await paced(records, Number(argument('rate')), async (from, count) => {
  const startMs = performance.now()
  const messages = Array.from({ length: count }, (_, index) => {
    const row = (from + index) % VALUE_COUNT
    return { key: isKeyed ? (values.keys[row] ?? null) : null, value: list[row] ?? null }
  })
  const sent = producer.sendBatch({ acks: -1, compression, topicMessages: [{ topic, messages }] }).then(() => {
    latencies.add(performance.now() - startMs, count)
    open.delete(sent)
  })
  open.add(sent)
  if (open.size >= 5) await Promise.race(open)
})
await Promise.all(open)
finish(records)
await producer.disconnect()
