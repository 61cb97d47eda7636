/**
 * Drains the topic with `@platformatic/kafka`: a stream with large buffers, its records gathered by partition into
 * batches of 500, one POST at a time for each partition, the finished offsets committed once a second.
 * Arguments: bootstrap, topic, url, group, records, payload, concurrency.
 */

import { setTimeout as wait } from 'node:timers/promises'

import { Consumer, type Message, MessagesStreamModes } from '@platformatic/kafka'

import { readArguments } from '../support/arguments.ts'
import { BATCH_AGE_MS, BATCH_RECORDS, COMMIT_INTERVAL_MS, encodeBatch, Poster } from './peer.ts'
import { startUsage } from './usage.ts'

type Record = Message<Buffer, Buffer, Buffer, Buffer>

/** Records that may wait for a request; the stream is paused above. */
const PENDING_MAX = 60_000

interface Line {
  readonly partition: number
  pending: Record[]
  isSending: boolean
}

const argument = readArguments()
const topic = argument('topic')
const recordCount = Number(argument('records'))
const payload = argument('payload')
const poster = new Poster(argument('url'), Number(argument('concurrency')))
const finish = startUsage()
const consumer = new Consumer<Buffer, Buffer, Buffer, Buffer>({
  groupId: argument('group'),
  clientId: 'bench-platformatic',
  bootstrapBrokers: [argument('bootstrap')]
})
const stream = await consumer.consume({
  topics: [topic],
  mode: MessagesStreamModes.COMMITTED,
  fallbackMode: 'earliest',
  autocommit: false,
  maxBytes: 16_777_216,
  maxBytesPerPartition: 4_194_304,
  maxWaitTime: 100,
  highWaterMark: 32_768
})
const lines = new Map<number, Line>()
const finished = new Map<number, Record>()
let doneCount = 0
let pendingCount = 0
let failure: Error | undefined

function take(record: Record): void {
  let line = lines.get(record.partition)
  if (line === undefined) {
    line = { partition: record.partition, pending: [], isSending: false }
    lines.set(record.partition, line)
  }
  line.pending.push(record)
  pendingCount += 1
  if (pendingCount >= PENDING_MAX) stream.pause()
  if (line.pending.length >= BATCH_RECORDS && !line.isSending) void send(line, BATCH_RECORDS)
}

/** Sends while a batch is full; the age sends what is less. */
async function send(line: Line, least: number): Promise<void> {
  line.isSending = true
  try {
    for (let wanted = least; line.pending.length >= wanted; wanted = BATCH_RECORDS) {
      const batch = line.pending.slice(0, BATCH_RECORDS)
      line.pending = line.pending.slice(BATCH_RECORDS)
      await poster.post(encodeBatch({ topic, partition: line.partition }, batch, payload), batch.length)
      const last = batch.at(-1)
      if (last !== undefined) finished.set(line.partition, last)
      doneCount += batch.length
      pendingCount -= batch.length
      if (pendingCount < PENDING_MAX / 2 && stream.isPaused()) stream.resume()
    }
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error))
  }
  line.isSending = false
}

async function commitFinished(): Promise<void> {
  if (finished.size === 0) return
  const offsets = [...finished].map(([partition, { offset }]) => {
    return { topic, partition, offset: offset + 1n, leaderEpoch: -1 }
  })
  finished.clear()
  await consumer.commit({ offsets })
}

stream.on('data', take)
stream.on('error', error => (failure = error))
let lastCommitMs = performance.now()
let lastAgeMs = performance.now()
while (doneCount < recordCount) {
  await wait(10)
  if (failure !== undefined) throw failure
  const nowMs = performance.now()
  if (nowMs - lastAgeMs >= BATCH_AGE_MS) {
    lastAgeMs = nowMs
    for (const line of lines.values()) if (!line.isSending && line.pending.length > 0) void send(line, 1)
  }
  if (nowMs - lastCommitMs < COMMIT_INTERVAL_MS) continue
  lastCommitMs = nowMs
  await commitFinished()
}
await commitFinished()
finish(doneCount)
await poster.close()
await stream.close()
await consumer.close(true)
