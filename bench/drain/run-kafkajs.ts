/**
 * Drains the topic as a careful kafkajs program does: chunks of 500 records, one JSON POST each through the same
 * HTTP client, the offset committed after success. Arguments: bootstrap, topic, sink URL, group, records, payload.
 *
 * Payload `parse` decodes each value and encodes the whole again: what keeps a malformed value from rewriting the
 * envelope. Payload `concat` joins the values unchecked.
 */

import { setTimeout as wait } from 'node:timers/promises'

import { Kafka, type KafkaMessage, logLevel } from 'kafkajs'
import { Pool } from 'undici'

import { startUsage } from './usage.ts'

const [bootstrap = '', topic = '', url = '', groupId = '', recordsText = '0', payload = 'parse'] = process.argv.slice(2)
const recordCount = Number(recordsText)
const CHUNK = 500
const pool = new Pool(new URL(url).origin, { connections: 12, pipelining: 1 })
const kafka = new Kafka({ clientId: 'bench-kafkajs', brokers: [bootstrap], logLevel: logLevel.ERROR })
const finish = startUsage()
const consumer = kafka.consumer({
  groupId,
  maxBytesPerPartition: 1_048_576,
  maxBytes: 16_777_216,
  maxWaitTimeInMs: 500
})
await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
let doneCount = 0

function encode(partition: number, chunk: readonly KafkaMessage[]): string {
  const texts = chunk.map(({ value }) => value?.toString() ?? 'null')
  const columns = {
    offsets: chunk.map(({ offset }) => Number(offset)),
    timestamps: chunk.map(({ timestamp }) => Number(timestamp)),
    keys: chunk.map(({ key }) => key?.toString() ?? null)
  }
  if (payload === 'parse') {
    const messages = texts.map(text => JSON.parse(text) as unknown)
    return JSON.stringify({ topic, partition, messages, ...columns })
  }
  const head = `{"topic":"${topic}","partition":${partition},"messages":[${texts.join(',')}],`
  return head + JSON.stringify(columns).slice(1)
}

await consumer.run({
  autoCommit: false,
  eachBatchAutoResolve: false,
  partitionsConsumedConcurrently: 12,
  eachBatch: async work => {
    const { partition, messages } = work.batch
    for (let start = 0; start < messages.length && work.isRunning() && !work.isStale(); start += CHUNK) {
      const chunk = messages.slice(start, start + CHUNK)
      const { statusCode, body } = await pool.request({
        method: 'POST',
        path: '/',
        headers: { 'content-type': 'application/json', 'comporta-record-count': String(chunk.length) },
        body: encode(partition, chunk)
      })
      await body.dump()
      if (statusCode !== 200) throw new Error(`the sink answered ${statusCode}`)
      const last = chunk.at(-1)?.offset ?? '0'
      work.resolveOffset(last)
      await consumer.commitOffsets([{ topic, partition, offset: String(BigInt(last) + 1n) }])
      await work.heartbeat()
      doneCount += chunk.length
    }
  }
})
while (doneCount < recordCount) await wait(10)
finish(doneCount)
await consumer.disconnect()
await pool.close()
