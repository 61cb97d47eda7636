/**
 * Kafka's own log dump tool reads what our log writes of transactions: markers,
 * the index of aborted transactions, open transactions in the producer snapshot.
 * And our log reads what Apache Kafka writes of them, and would have written the
 * same bytes.
 */

import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { VirtualClock } from '../../src/core/index.ts'
import { LogManager, type PartitionLog } from '../../src/broker/log/index.ts'
import { RecordBatchBuilder } from '../../src/protocol/index.ts'
import { decodeProducerSnapshot } from '../../src/broker/log/producer-snapshot.ts'
import { openLog, temporaryFolder } from '../broker/log/support.ts'
import { batchesOf, stateOf } from '../broker/log/transaction-model.ts'
import { createTopic, type Peer } from '../conformance/support.ts'
import { PROTOCOLS, read, TransactionalProducer } from '../conformance/transactions-support.ts'
import { uniqueName } from '../support/cluster.ts'
import { KAFKA_TOOLS, type KafkaJvm, runKafkaTool, startKafkaJvm } from '../support/kafka-jvm.ts'
import { RawConnection } from '../support/raw-connection.ts'

const START_MS = 1_700_000_000_000

async function append(log: PartitionLog, producerId: bigint, baseSequence: number): Promise<void> {
  const builder = new RecordBatchBuilder()
  builder.tryAppend(START_MS, Buffer.from('k'), Buffer.from('v'))
  builder.tryAppend(START_MS + 1, Buffer.from('k'), Buffer.from('w'))
  const batch = builder.build({ producerId, producerEpoch: 2, baseSequence, isTransactional: true })
  const { errorCode } = await log.append(batch, { transaction: { isVerified: true } })
  assert.equal(errorCode, 0)
}

async function end(log: PartitionLog, producerId: bigint, isCommit: boolean): Promise<void> {
  const marker = { producerId, producerEpoch: 3, coordinatorEpoch: 11, isCommit }
  assert.equal((await log.appendMarker(marker)).errorCode, 0)
}

/** A closed partition: producer 21 aborts, 22 commits, 23 aborts beyond the end of 22, 24 stays open. */
async function writtenPartition(t: TestContext): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comporta-dump-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const manager = await LogManager.open({ dataDir, clock: new VirtualClock(START_MS) })
  await manager.createTopic({ name: 'dump' })
  const log = manager.log('dump', 0)
  assert.ok(log)
  await append(log, 21n, 0) // 0, 1
  await append(log, 22n, 0) // 2, 3
  await append(log, 23n, 0) // 4, 5
  await end(log, 21n, false) // 6
  await end(log, 22n, true) // 7
  await append(log, 23n, 2) // 8, 9
  await append(log, 24n, 0) // 10, 11
  await end(log, 23n, false) // 12
  await manager.close()
  return join(dataDir, 'dump-0')
}

async function dump(folder: string, suffix: string, flags: readonly string[] = []): Promise<string> {
  const names = (await readdir(folder)).filter(name => name.endsWith(suffix)).toSorted()
  const latest = names.at(-1)
  assert.ok(latest, suffix)
  const { stdout, stderr } = await runKafkaTool(KAFKA_TOOLS['kafka-dump-log'], [
    '--files',
    join(folder, latest),
    ...flags
  ])
  return stdout + stderr
}

test("Kafka's dump tool reads our markers, aborted transactions and open transactions", async t => {
  const folder = await writtenPartition(t)

  const batches = await dump(folder, '.log', ['--deep-iteration'])
  const aborted = await dump(folder, '.txnindex')
  const producers = await dump(folder, '.snapshot')

  const markers = [...batches.matchAll(/offset: (\d+) .*endTxnMarker: (\w+) coordinatorEpoch: (\d+)/g)]
  assert.deepEqual(
    markers.map(([, offset, type, epoch]) => [offset, type, epoch]),
    [
      ['6', 'ABORT', '11'],
      ['7', 'COMMIT', '11'],
      ['12', 'ABORT', '11']
    ],
    batches
  )
  assert.equal((batches.match(/isTransactional: true isControl: true/g) ?? []).length, 3)
  assert.doesNotMatch(batches, /isvalid: false/)
  const indexed = [
    ...aborted.matchAll(/producerId: (\d+) firstOffset: (\d+) lastOffset: (\d+) lastStableOffset: (\d+)/g)
  ]
  assert.deepEqual(
    indexed.map(match => match.slice(1)),
    [
      ['21', '0', '6', '2'],
      ['23', '4', '12', '10']
    ],
    aborted
  )
  assert.match(
    producers,
    /producerId: 24 producerEpoch: 2 coordinatorEpoch: -1 currentTxnFirstOffset: (?:OptionalLong\[)?10\]? /
  )
  assert.match(
    producers,
    /producerId: 23 producerEpoch: 3 coordinatorEpoch: 11 currentTxnFirstOffset: \S*(None|empty)/i
  )
})

/** Transactions of three producers over several segments; the last ones stay open. Answers the partition's folder. */
async function writeWithKafka(t: TestContext, kafka: KafkaJvm): Promise<string> {
  const { bootstrapServers } = kafka
  const cluster = { bootstrapServers, isEmbedded: false, uniqueName }
  const peer: Peer = { cluster, connection: await RawConnection.open(t, cluster) }
  const topic = await createTopic(peer, { configs: [['segment.bytes', '1048576']] })
  const producers: TransactionalProducer[] = []
  for (const protocol of [PROTOCOLS.version1, PROTOCOLS.version2, PROTOCOLS.version2]) {
    producers.push(await TransactionalProducer.start(peer, protocol))
  }
  let markers = 0
  for (let step = 0; step < 40; step++) {
    const producer = producers[step % 3]
    assert.ok(producer)
    await producer.send({ topic }, `${step}-`.padEnd(150_000, 'x'))
    if (step % 4 !== 3) continue
    await producer.end(step % 8 === 3)
    markers += 1
  }
  // The markers follow the answers to EndTxn.
  const deadline = performance.now() + 10_000
  while ((await read(peer, topic, { isCommitted: false })).highWatermark < BigInt(40 + markers)) {
    assert.ok(performance.now() < deadline, 'the markers did not come')
  }
  const folder = await temporaryFolder(t)
  await cp(join(kafka.dataDir, `${topic.name}-0`), folder, { recursive: true })
  return folder
}

async function filesOf(folder: string, suffix: string): Promise<Map<string, string>> {
  const names = (await readdir(folder)).filter(name => name.endsWith(suffix)).toSorted()
  const files = new Map<string, string>()
  for (const name of names) files.set(name, (await readFile(join(folder, name))).toString('hex'))
  return files
}

test('our log finds transactions in the files of Apache Kafka, and makes the same index of them', async t => {
  const kafka = await startKafkaJvm()
  t.after(() => kafka.close())
  const folder = await writeWithKafka(t, kafka)
  const indexes = await filesOf(folder, '.txnindex')
  const snapshots = await filesOf(folder, '.snapshot')
  assert.ok(indexes.size >= 2 && snapshots.size >= 3)
  for (const name of snapshots.keys()) await rm(join(folder, name))
  for (const name of indexes.keys()) await rm(join(folder, name))

  const log = await openLog(t, { folder })

  const batches = await batchesOf(log)
  const state = stateOf(batches, log.highWatermark)
  assert.equal(log.lastStableOffset, state.lastStableOffset)
  assert.ok(log.lastStableOffset < log.highWatermark, 'some are open')
  assert.deepEqual(await log.abortedTransactions(0n, log.highWatermark), state.aborted)
  await log.close()
  assert.deepEqual(await filesOf(folder, '.txnindex'), indexes)
  for (const [name, bytes] of snapshots) {
    const offset = BigInt(name.slice(0, 20))
    const expected = stateOf(
      batches.filter(each => each.lastOffset < offset),
      offset
    )
    const entries = decodeProducerSnapshot(Buffer.from(bytes, 'hex')) ?? []
    const found = entries.map(entry => {
      const lastSequence = entry.batches.at(-1)?.lastSequence ?? -1
      const { producerId, producerEpoch, coordinatorEpoch, transactionFirstOffset } = entry
      return [producerId, [producerEpoch, lastSequence, coordinatorEpoch, transactionFirstOffset]] as const
    })
    assert.deepEqual(new Map(found), expected.producers, name)
  }
})
