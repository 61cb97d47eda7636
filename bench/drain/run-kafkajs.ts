/**
 * Drains the topic as a kafkajs program does: `eachBatch` for as many partitions at once as there may be requests,
 * chunks of 500 records, one POST each, the finished offsets committed once a second.
 * Arguments: bootstrap, topic, url, group, records, payload, concurrency.
 */

import { setTimeout as wait } from 'node:timers/promises'

import { Kafka, logLevel } from 'kafkajs'

import { readArguments } from '../support/arguments.ts'
import { BATCH_RECORDS, COMMIT_INTERVAL_MS, encodeBatch, Poster } from './peer.ts'
import { startUsage } from './usage.ts'

const argument = readArguments()
const topic = argument('topic')
const recordCount = Number(argument('records'))
const payload = argument('payload')
const concurrency = Number(argument('concurrency'))
const poster = new Poster(argument('url'), concurrency)
const kafka = new Kafka({ clientId: 'bench-kafkajs', brokers: [argument('bootstrap')], logLevel: logLevel.ERROR })
const finish = startUsage()
const consumer = kafka.consumer({
  groupId: argument('group'),
  maxBytesPerPartition: 1_048_576,
  maxBytes: 16_777_216,
  maxWaitTimeInMs: 100
})
await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
let doneCount = 0
const finished = new Map<number, string>()

async function commitFinished(): Promise<void> {
  if (finished.size === 0) return
  const offsets = [...finished].map(([partition, offset]) => ({ topic, partition, offset }))
  finished.clear()
  await consumer.commitOffsets(offsets)
}

await consumer.run({
  autoCommit: false,
  eachBatchAutoResolve: false,
  partitionsConsumedConcurrently: concurrency,
  eachBatch: async work => {
    const { partition, messages } = work.batch
    for (let start = 0; start < messages.length && work.isRunning() && !work.isStale(); start += BATCH_RECORDS) {
      const chunk = messages.slice(start, start + BATCH_RECORDS)
      await poster.post(encodeBatch({ topic, partition }, chunk, payload), chunk.length)
      const last = chunk.at(-1)?.offset ?? '0'
      work.resolveOffset(last)
      finished.set(partition, String(BigInt(last) + 1n))
      await work.heartbeat()
      doneCount += chunk.length
    }
  }
})
for (let lastMs = performance.now(); doneCount < recordCount; await wait(10)) {
  if (performance.now() - lastMs < COMMIT_INTERVAL_MS) continue
  lastMs = performance.now()
  await commitFinished()
}
await commitFinished()
finish(doneCount)
await consumer.disconnect()
await poster.close()
