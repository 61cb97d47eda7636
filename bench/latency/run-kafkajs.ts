/** A kafkajs consumer, `eachBatch`, offsets committed once a second. Arguments: bootstrap, topic, group. */

import { Kafka, logLevel } from 'kafkajs'

import { readArguments } from '../support/arguments.ts'
import { reportAtEnd, took } from './latencies.ts'

const argument = readArguments()
const topic = argument('topic')
const kafka = new Kafka({ clientId: 'bench-kafkajs', brokers: [argument('bootstrap')], logLevel: logLevel.ERROR })
const consumer = kafka.consumer({ groupId: argument('group'), maxWaitTimeInMs: 500, minBytes: 1 })
await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
const finished = new Map<number, string>()
const joined = new Promise<void>(resolve => consumer.on('consumer.group_join', () => resolve()))
await consumer.run({
  autoCommit: false,
  partitionsConsumedConcurrently: 12,
  eachBatch: work => {
    const { messages, partition } = work.batch
    for (const { value, offset } of messages) {
      // Written by publish.ts.
      took(JSON.parse(value?.toString() ?? '') as { nanos: string })
      work.resolveOffset(offset)
      finished.set(partition, String(BigInt(offset) + 1n))
    }
    return Promise.resolve()
  }
})
const timer = setInterval(() => {
  if (finished.size === 0) return
  const offsets = [...finished].map(([partition, offset]) => ({ topic, partition, offset }))
  finished.clear()
  void consumer.commitOffsets(offsets)
}, 1000)
await joined
reportAtEnd(() => {
  clearInterval(timer)
  return consumer.disconnect()
})
