/** What a client was told is kept must be there after the broker was killed with SIGKILL. */

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import {
  createTopicsApi,
  decodeResponse,
  encodeRequest,
  fetchApi,
  findCoordinatorApi,
  listOffsetsApi,
  offsetCommitApi,
  offsetFetchApi,
  produceApi,
  RecordBatchBuilder,
  RecordCursor
} from '../../src/protocol/index.ts'
import { spawnBound } from '../support/child-process.ts'
import { RawConnection } from '../support/raw-connection.ts'

const TOPIC = 'kept'
const PARTITION_COUNT = 3
const RECORDS_PER_BATCH = 20

interface BrokerProcess {
  readonly child: ChildProcess
  readonly bootstrapServers: string
}

async function startProcess(dataDir: string): Promise<BrokerProcess> {
  const script = path.join(import.meta.dirname, 'broker-process.ts')
  const child = spawnBound(process.execPath, [script, dataDir])
  child.stderr?.pipe(process.stderr)
  if (child.stdout === null) throw new Error('the broker process has no standard output')
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const { bootstrapServers } = JSON.parse(line) as { bootstrapServers: string }
  return { child, bootstrapServers }
}

async function kill({ child }: BrokerProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'close')
}

function connect(t: TestContext, { bootstrapServers }: BrokerProcess): Promise<RawConnection> {
  return RawConnection.open(t, { bootstrapServers })
}

/** Batch number `number` of a partition: every record says which it is. */
function batchOf(partition: number, number: number): Buffer {
  const builder = new RecordBatchBuilder()
  for (let index = 0; index < RECORDS_PER_BATCH; index++) {
    builder.tryAppend(1_700_000_000_000, null, Buffer.from(`${partition}/${number}/${index}/${'x'.repeat(200)}`))
  }
  return builder.build()
}

/** Keeps ten produce requests in flight until the connection dies; answers how many batches were acknowledged. */
async function produceUntilDeath(connection: RawConnection, from: number[]): Promise<number[]> {
  const acknowledged = [...from]
  const inFlight: { partition: number; number: number }[] = []
  const next = [...from]
  const send = (correlationId: number): void => {
    const partition = correlationId % PARTITION_COUNT
    const number = next[partition] ?? 0
    next[partition] = number + 1
    inFlight.push({ partition, number })
    const topicData = [{ name: TOPIC, partitionData: [{ index: partition, records: batchOf(partition, number) }] }]
    const message = { acks: -1, timeoutMs: 10_000, topicData }
    connection.send(Buffer.concat(encodeRequest(produceApi, 7, { correlationId, clientId: 'kill' }, message)))
  }
  let sent = 0
  while (sent < 10) send(sent++)
  try {
    for (;;) {
      const { message } = decodeResponse(produceApi, 7, await connection.frame())
      assert.equal(message.responses[0]?.partitionResponses[0]?.errorCode, 0)
      const done = inFlight.shift()
      if (done !== undefined) acknowledged[done.partition] = done.number + 1
      send(sent++)
    }
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes('closed the connection')) throw error
  }
  return acknowledged
}

/** Every value of a partition in order. */
async function readAll(connection: RawConnection, partition: number): Promise<string[]> {
  const at = { name: TOPIC, partitions: [{ partitionIndex: partition, timestamp: -1n }] }
  const ends = await connection.request(listOffsetsApi, { version: 5, message: { replicaId: -1, topics: [at] } })
  const end = ends.topics[0]?.partitions[0]?.offset ?? 0n
  const values: string[] = []
  const cursor = new RecordCursor()
  for (let offset = 0n; offset < end;) {
    const partitions = [{ partition, fetchOffset: offset, partitionMaxBytes: 1_000_000 }]
    const message = { maxWaitMs: 0, minBytes: 1, maxBytes: 1_000_000, topics: [{ topic: TOPIC, partitions }] }
    const answer = await connection.request(fetchApi, { version: 11, message })
    cursor.reset(answer.responses[0]?.partitions[0]?.records ?? Buffer.alloc(0))
    while (cursor.nextBatch()) {
      while (cursor.nextRecord()) {
        assert.equal(cursor.offset(), offset)
        values.push(cursor.value()?.toString() ?? '')
        offset += 1n
      }
    }
  }
  return values
}

test('nothing acknowledged is missing, doubled or out of order after kill -9 under load', async t => {
  const dataDir = await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-kill-'))
  t.after(() => fs.rm(dataDir, { recursive: true, force: true }))
  let acknowledged = Array.from({ length: PARTITION_COUNT }, () => 0)
  for (let round = 0; round < 3; round++) {
    const running = await startProcess(dataDir)
    const connection = await connect(t, running)
    if (round === 0) {
      const topics = [{ name: TOPIC, numPartitions: PARTITION_COUNT, replicationFactor: 1 }]
      await connection.request(createTopicsApi, { version: 4, message: { topics, timeoutMs: 10_000 } })
    }
    const written: number[] = []
    for (let partition = 0; partition < PARTITION_COUNT; partition++) {
      const values = await readAll(connection, partition)
      const whole = values.length / RECORDS_PER_BATCH
      assert.equal(whole, Math.floor(whole), 'a batch is there as a whole or not at all')
      assert.ok(whole >= (acknowledged[partition] ?? 0), `partition ${partition} lost acknowledged batches`)
      values.forEach((value, at) => {
        const expected = `${partition}/${Math.floor(at / RECORDS_PER_BATCH)}/${at % RECORDS_PER_BATCH}/`
        assert.ok(value.startsWith(expected), `offset ${at} of partition ${partition} holds ${value.slice(0, 20)}`)
      })
      written.push(whole)
    }
    const timer = setTimeout(() => running.child.kill('SIGKILL'), 300 + 200 * round)
    acknowledged = await produceUntilDeath(connection, written)
    clearTimeout(timer)
    if (running.child.exitCode === null && running.child.signalCode === null) await once(running.child, 'close')
    assert.ok(acknowledged.some((count, partition) => count > (written[partition] ?? 0)))
  }
})

test('committed offsets that were acknowledged survive kill -9, with their metadata', async t => {
  const dataDir = await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-kill-'))
  t.after(() => fs.rm(dataDir, { recursive: true, force: true }))
  const first = await startProcess(dataDir)
  const connection = await connect(t, first)
  const topics = [{ name: TOPIC, numPartitions: 1, replicationFactor: 1 }]
  await connection.request(createTopicsApi, { version: 4, message: { topics, timeoutMs: 10_000 } })
  await connection.request(findCoordinatorApi, { version: 2, message: { key: 'group', keyType: 0 } })
  for (let offset = 1n; offset <= 50n; offset++) {
    const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: `at ${offset}` }]
    const message = { groupId: 'group', generationIdOrMemberEpoch: -1, topics: [{ name: TOPIC, partitions }] }
    const answer = await connection.request(offsetCommitApi, { version: 7, message })
    assert.equal(answer.topics[0]?.partitions[0]?.errorCode, 0)
  }
  await kill(first)

  const second = await startProcess(dataDir)
  const again = await connect(t, second)
  const message = { groupId: 'group', topics: [{ name: TOPIC, partitionIndexes: [0] }] }
  const { topics: found } = await again.request(offsetFetchApi, { version: 5, message })
  assert.equal(found[0]?.partitions[0]?.committedOffset, 50n)
  assert.equal(found[0]?.partitions[0]?.metadata, 'at 50')
  await kill(second)
})
