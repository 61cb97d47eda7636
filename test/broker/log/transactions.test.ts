/** Transactions in the log of one partition: what is taken, what readers see, what a restart finds. */

import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import type { AppendOptions, PartitionLog } from '../../../src/broker/log/index.ts'
import { readBatchHeader } from '../../../src/protocol/index.ts'
import { appended, batchOfCount, FaultyDisk, openLog, temporaryFolder } from './support.ts'

const VERIFIED: AppendOptions = { transaction: { isVerified: true } }

interface Data {
  readonly sequence?: number
  readonly epoch?: number
  readonly count?: number
  readonly isTransactional?: boolean
}

/** A batch of producer 7 unless said otherwise. */
function dataOf(data: Data = {}, producerId = 7n): Buffer {
  const { sequence = 0, epoch = 0, count = 1, isTransactional = true } = data
  return batchOfCount(count, 'v', { producerId, producerEpoch: epoch, baseSequence: sequence, isTransactional })
}

async function append(log: PartitionLog, batch: Buffer, options: AppendOptions = VERIFIED): Promise<bigint> {
  return appended(await log.append(batch, options)).baseOffset
}

async function end(log: PartitionLog, isCommit: boolean, of: { id?: bigint; epoch?: number } = {}): Promise<bigint> {
  const { id: producerId = 7n, epoch: producerEpoch = 0 } = of
  return appended(await log.appendMarker({ producerId, producerEpoch, coordinatorEpoch: 0, isCommit })).baseOffset
}

async function codeOf(result: Promise<{ readonly errorCode: number }>): Promise<number> {
  return (await result).errorCode
}

async function abortedFrom(log: PartitionLog, offset: bigint, bytesMax = 65_536): Promise<[bigint, bigint][]> {
  const { abortedTransactions } = await log.read(offset, bytesMax, { isReadCommitted: true })
  return abortedTransactions.map(each => [each.producerId, each.firstOffset])
}

async function newLog(t: TestContext, config: Parameters<typeof openLog>[1]['config'] = {}): Promise<PartitionLog> {
  return openLog(t, { folder: await temporaryFolder(t), config })
}

test('a transactional batch is taken if the coordinator verified it or its transaction is open', async t => {
  const log = await newLog(t)

  assert.equal(await codeOf(log.append(dataOf())), 48)
  assert.equal(await append(log, dataOf()), 0n)
  assert.equal(await append(log, dataOf({ sequence: 1 }), {}), 1n)
  await end(log, true)
  assert.equal(await codeOf(log.append(dataOf({ sequence: 2 }))), 48)
})

test('what the coordinator said before a marker was planned is void', async t => {
  const log = await newLog(t)
  await append(log, dataOf())
  const verification = log.beginVerification({ producerId: 7n, producerEpoch: 0, baseSequence: 0 }, false)
  const other = log.beginVerification({ producerId: 8n, producerEpoch: 0, baseSequence: 0 }, false)
  await end(log, false)

  const options = { transaction: { isVerified: true, verification } }
  assert.equal(await codeOf(log.append(dataOf({ sequence: 1 }), options)), 48)
  assert.equal(await codeOf(log.append(dataOf({}, 8n), { transaction: { isVerified: true, verification: other } })), 0)
  verification.end()
})

test('a batch outside of the transaction that its producer has open is INVALID_TXN_STATE', async t => {
  const log = await newLog(t)
  await append(log, dataOf())

  assert.equal(await codeOf(log.append(dataOf({ sequence: 1, isTransactional: false }))), 48)
  await end(log, true)
  assert.equal(await codeOf(log.append(dataOf({ sequence: 1, isTransactional: false }))), 0)
})

test('a retry of a transactional batch is answered after its transaction has ended', async t => {
  const log = await newLog(t)
  await append(log, dataOf({ count: 3 }))
  await end(log, true)

  const retry = appended(await log.append(dataOf({ count: 3 })))

  assert.equal(retry.baseOffset, 0n)
  assert.equal(retry.isDuplicate, true)
})

test('an older epoch is INVALID_PRODUCER_EPOCH, for data and for markers', async t => {
  const log = await newLog(t)
  await append(log, dataOf({ epoch: 3 }))

  assert.equal(await codeOf(log.append(dataOf({ epoch: 2 }), VERIFIED)), 47)
  const marker = { producerId: 7n, producerEpoch: 2, coordinatorEpoch: 0, isCommit: true }
  assert.equal(await codeOf(log.appendMarker(marker)), 47)
})

test('a marker of an older coordinator is TRANSACTION_COORDINATOR_FENCED', async t => {
  const log = await newLog(t)
  const marker = { producerId: 7n, producerEpoch: 0, isCommit: true }
  appended(await log.appendMarker({ ...marker, coordinatorEpoch: 5 }))

  assert.equal(await codeOf(log.appendMarker({ ...marker, coordinatorEpoch: 4 })), 52)
  assert.equal(await codeOf(log.appendMarker({ ...marker, coordinatorEpoch: 5 })), 0)
})

test('a marker with a bumped epoch moves the epoch of its producer: the next batch begins at 0', async t => {
  const log = await newLog(t)
  await append(log, dataOf({ epoch: 4, count: 2 }))
  await end(log, true, { id: 7n, epoch: 5 })

  assert.equal(await codeOf(log.append(dataOf({ epoch: 4, sequence: 2 }), VERIFIED)), 47)
  assert.equal(await codeOf(log.append(dataOf({ epoch: 5, sequence: 2 }), VERIFIED)), 45)
  assert.equal(await codeOf(log.append(dataOf({ epoch: 5, sequence: 0 }), VERIFIED)), 0)
})

test('with transactions of version 2 a marker needs a higher epoch, unless it is a retry', async t => {
  const log = await newLog(t)
  const marker = { producerId: 7n, coordinatorEpoch: 0, isCommit: true, transactionVersion: 2 }
  await append(log, dataOf({ epoch: 4 }))

  assert.equal(await codeOf(log.appendMarker({ ...marker, producerEpoch: 4 })), 47)
  assert.equal(log.openTransaction(7n)?.firstOffset, 0n)
  assert.equal(await codeOf(log.appendMarker({ ...marker, producerEpoch: 5 })), 0)
  assert.equal(await codeOf(log.appendMarker({ ...marker, producerEpoch: 5 })), 0, 'a retry')
  assert.equal(await codeOf(log.appendMarker({ ...marker, producerEpoch: 4 })), 47)
  assert.equal(log.lastStableOffset, 3n)
})

test('with transactions of version 2 a producer without records in the partition begins at 0', async t => {
  const log = await newLog(t)
  const version2: AppendOptions = { transaction: { isVerified: true, isVersion2: true } }

  assert.equal(await codeOf(log.append(dataOf({ sequence: 3 }), version2)), 45)
  assert.equal(
    await codeOf(log.append(dataOf({ sequence: 3 }, 8n), VERIFIED)),
    0,
    'before version 2 it may be anywhere'
  )
  assert.equal(await codeOf(log.append(dataOf({ sequence: 0 }), version2)), 0)
})

test('batches of the group coordinator have no sequences and open a transaction', async t => {
  const log = await newLog(t)
  const batch = (): Buffer =>
    batchOfCount(1, 'v', { producerId: 7n, producerEpoch: 1, baseSequence: -1, isTransactional: true })

  appended(await log.append(batch(), { origin: 'coordinator' }))
  appended(await log.append(batch(), { origin: 'coordinator' }))

  assert.deepEqual(log.openTransaction(7n), { producerEpoch: 1, firstOffset: 0n })
  assert.equal(log.lastStableOffset, 0n)
  await end(log, true, { id: 7n, epoch: 1 })
  assert.equal(log.lastStableOffset, 3n)
  const stale = batchOfCount(1, 'v', { producerId: 7n, producerEpoch: 0, baseSequence: -1, isTransactional: true })
  assert.equal(await codeOf(log.append(stale, { origin: 'coordinator' })), 47)
})

test('a marker has the bytes of Apache Kafka', async t => {
  const log = await newLog(t)
  await log.appendMarker({ producerId: 0x1122n, producerEpoch: 3, coordinatorEpoch: 9, isCommit: true })
  await log.appendMarker({ producerId: 0x1122n, producerEpoch: 3, coordinatorEpoch: 9, isCommit: false })

  const { records } = await log.read(0n, 1000)

  assert.equal(records.length, 2 * 78)
  const header = readBatchHeader(records, 0)
  assert.equal(header.attributes, 0x30)
  assert.equal(header.baseSequence, -1)
  assert.equal(header.producerId, 0x1122n)
  const tail = (type: string): string =>
    [
      '00000001', // one record
      '20', // its length: 16
      '00', // attributes
      '00', // timestamp delta
      '00', // offset delta
      '08', // key length 4
      '0000' + type, // version, type
      '0c', // value length 6
      '000000000009', // version, coordinator epoch
      '00' // no headers
    ].join('')
  assert.equal(records.subarray(57, 78).toString('hex'), tail('0001'))
  assert.equal(records.subarray(78 + 57).toString('hex'), tail('0000'))
})

test('the last stable offset is the first offset of the oldest open transaction', async t => {
  const log = await newLog(t)
  await append(log, batchOfCount(5), {})
  await append(log, dataOf({}, 1n)) // 5
  await append(log, dataOf({}, 2n)) // 6
  await append(log, batchOfCount(2), {}) // 7, 8

  assert.equal(log.lastStableOffset, 5n)
  await end(log, true, { id: 2n })
  assert.equal(log.lastStableOffset, 5n)
  await end(log, false, { id: 1n })
  assert.equal(log.lastStableOffset, 11n)
  assert.equal(log.highWatermark, 11n)
})

test('the last stable offset waits for the marker to be written', async t => {
  const disk = new FaultyDisk()
  const log = await openLog(t, { folder: await temporaryFolder(t), disk })
  await append(log, dataOf())
  const marker = log.appendMarker({ producerId: 7n, producerEpoch: 0, coordinatorEpoch: 0, isCommit: true })

  assert.equal(log.lastStableOffset, 0n, 'planned')
  assert.equal(log.openTransaction(7n), undefined, 'over for the producer')
  await marker
  assert.equal(log.lastStableOffset, 2n)
})

test('a transaction holds back readers from when it is planned, and not at all if it is not written', async t => {
  const disk = new FaultyDisk()
  const log = await openLog(t, { folder: await temporaryFolder(t), disk })
  await append(log, batchOfCount(1), {})
  disk.onWrite = () => ({ bytes: 10, code: 'ENOSPC' })

  const refused = log.append(dataOf(), VERIFIED)
  assert.ok(log.openTransaction(7n))
  assert.equal(await codeOf(refused), 56)

  assert.equal(log.openTransaction(7n), undefined)
  assert.equal(log.lastStableOffset, 1n)
  disk.onWrite = () => undefined
  await append(log, batchOfCount(1), {})
  assert.equal(log.lastStableOffset, 2n)
})

test('a marker that could not be written leaves the transaction open', async t => {
  const disk = new FaultyDisk()
  const log = await openLog(t, { folder: await temporaryFolder(t), disk })
  await append(log, dataOf())
  disk.onWrite = () => ({ bytes: 0, code: 'EIO' })
  const marker = log.appendMarker({ producerId: 7n, producerEpoch: 0, coordinatorEpoch: 0, isCommit: false })
  // Planned behind the marker: the next transaction of the same producer.
  const next = log.append(dataOf({ sequence: 1 }), VERIFIED)

  assert.equal(await codeOf(marker), 56)
  assert.equal(await codeOf(next), 56)

  disk.onWrite = () => undefined
  assert.deepEqual(log.openTransaction(7n), { producerEpoch: 0, firstOffset: 0n })
  assert.equal(log.lastStableOffset, 0n)
  await end(log, false)
  assert.equal(log.lastStableOffset, 2n)
  assert.deepEqual(await abortedFrom(log, 0n), [[7n, 0n]])
})

test('readers of committed records get nothing beyond the last stable offset', async t => {
  const log = await newLog(t)
  await append(log, batchOfCount(2), {})
  await append(log, dataOf())

  const committed = await log.read(0n, 65_536, { isReadCommitted: true })
  const all = await log.read(0n, 65_536)
  const beyond = await log.read(2n, 65_536, { isReadCommitted: true })

  assert.equal(committed.records.length, readBatchHeader(committed.records, 0).sizeBytes)
  assert.ok(all.records.length > committed.records.length)
  assert.deepEqual([committed.lastStableOffset, committed.highWatermark], [2n, 3n])
  assert.equal(beyond.errorCode, 0)
  assert.equal(beyond.records.length, 0)
})

test('aborted transactions are told where they overlap what is read, those begun before it too', async t => {
  const log = await newLog(t)
  await append(log, dataOf({}, 1n)) // 0
  await append(log, dataOf({}, 2n)) // 1
  await append(log, dataOf({}, 3n)) // 2
  await end(log, false, { id: 1n }) // 3
  await append(log, dataOf({ sequence: 1 }, 2n)) // 4
  await end(log, true, { id: 3n }) // 5
  await end(log, false, { id: 2n }) // 6
  await append(log, batchOfCount(1), {}) // 7
  await append(log, dataOf({ sequence: 1 }, 1n)) // 8
  await end(log, false, { id: 1n }) // 9

  const both: [bigint, bigint][] = [
    [1n, 0n],
    [2n, 1n]
  ]
  assert.deepEqual(await abortedFrom(log, 0n), [...both, [1n, 8n]])
  assert.deepEqual(await abortedFrom(log, 0n, 1), both.slice(0, 1), 'only the first batch')
  assert.deepEqual(await abortedFrom(log, 3n, 1), both)
  assert.deepEqual(await abortedFrom(log, 4n, 1), both.slice(1))
  assert.deepEqual(await abortedFrom(log, 7n, 1), [])
  assert.deepEqual(await abortedFrom(log, 8n), [[1n, 8n]])
  assert.deepEqual((await log.read(0n, 65_536)).abortedTransactions, [], 'not for others')
})

test('aborted transactions are found when their markers are segments further on', async t => {
  const folder = await temporaryFolder(t)
  const config = { segmentBytes: 400 }
  const log = await openLog(t, { folder, config })
  await append(log, dataOf()) // 0
  for (let offset = 1; offset < 30; offset++) await append(log, batchOfCount(1, 'x'.repeat(100)), {})
  await end(log, false) // 30
  assert.ok(log.segmentCount > 5)

  assert.deepEqual(await abortedFrom(log, 0n, 1), [[7n, 0n]])
  assert.deepEqual(await abortedFrom(log, 15n, 1), [[7n, 0n]])
  const files = (await fs.readdir(folder)).filter(name => name.endsWith('.txnindex'))
  assert.ok(files.length <= 1, 'only the segment of the marker has a file')

  await log.close()
  const again = await openLog(t, { folder, config, recoveryPoint: 31n })
  assert.deepEqual(await abortedFrom(again, 15n, 1), [[7n, 0n]])
})

test('an aborted transaction has the bytes of Apache Kafka in its index', async t => {
  const folder = await temporaryFolder(t)
  const log = await openLog(t, { folder })
  await append(log, dataOf({}, 5n)) // 0
  await append(log, dataOf({ count: 2 }, 0x77n)) // 1, 2
  await end(log, false, { id: 0x77n }) // 3: producer 5 is still open since 0
  await end(log, false, { id: 5n }) // 4
  await log.close()

  const bytes = await fs.readFile(path.join(folder, '00000000000000000000.txnindex'))

  const first = ['0000', '0000000000000077', '0000000000000001', '0000000000000003', '0000000000000000']
  const second = ['0000', '0000000000000005', '0000000000000000', '0000000000000004', '0000000000000005']
  assert.equal(bytes.toString('hex'), [...first, ...second].join(''))
})

test('the index of aborted transactions goes with its segment', async t => {
  const folder = await temporaryFolder(t)
  const log = await openLog(t, { folder, config: { segmentBytes: 300 } })
  await append(log, dataOf())
  await end(log, false)
  for (let count = 0; count < 5; count++) await append(log, batchOfCount(1, 'x'.repeat(200)), {})
  await log.flush()
  assert.ok((await fs.readdir(folder)).some(name => name.endsWith('.txnindex')))

  await log.deleteRecords(4n)

  assert.deepEqual(
    (await fs.readdir(folder)).filter(name => name.endsWith('.txnindex')),
    []
  )
})

test('retention and DeleteRecords pass an open transaction: the last stable offset is the log start then', async t => {
  const log = await newLog(t)
  await append(log, dataOf())
  await append(log, batchOfCount(5), {})

  assert.equal((await log.deleteRecords(4n)).errorCode, 0)
  assert.deepEqual([log.logStartOffset, log.lastStableOffset, log.highWatermark], [4n, 4n, 6n])
  assert.equal((await log.deleteRecords(-1n)).lowWatermark, 6n)
  assert.equal(log.lastStableOffset, 6n)
  await append(log, batchOfCount(1), {})
  assert.equal(log.lastStableOffset, 6n, 'it is still open')
  await end(log, true)
  assert.equal(log.lastStableOffset, 8n)
})

test('a producer with an open transaction does not expire', async t => {
  const log = await newLog(t)
  await append(log, dataOf())
  await append(log, dataOf({ isTransactional: false }, 8n))

  assert.equal(log.expireProducers(0), 1)
  assert.ok(log.openTransaction(7n))
  await end(log, true)
  assert.equal(log.expireProducers(0), 1)
})

test('producers are described with their open transactions', async t => {
  const log = await newLog(t)
  await append(log, dataOf({ count: 3, epoch: 2 }))
  await log.appendMarker({ producerId: 8n, producerEpoch: 6, coordinatorEpoch: 4, isCommit: true })

  const described = log.describeProducers().map(({ lastTimestampMs: _time, ...rest }) => rest)

  assert.deepEqual(described, [
    { producerId: 7n, producerEpoch: 2, lastSequence: 2, coordinatorEpoch: -1, transactionFirstOffset: 0n },
    { producerId: 8n, producerEpoch: 6, lastSequence: -1, coordinatorEpoch: 4, transactionFirstOffset: -1n }
  ])
})

test('listeners are told when the last stable offset moves', async t => {
  const log = await newLog(t)
  await append(log, dataOf())
  const seen: bigint[] = []
  log.onChange(() => seen.push(log.lastStableOffset))

  await end(log, true)

  assert.deepEqual(seen, [2n])
})

test('questions about a producer have their turn in the order in which they were asked', async t => {
  const log = await newLog(t)
  const [first, second, third] = [
    log.beginVerification({ producerId: 7n, producerEpoch: 0, baseSequence: 0 }, false),
    log.beginVerification({ producerId: 7n, producerEpoch: 0, baseSequence: 0 }, false),
    log.beginVerification({ producerId: 7n, producerEpoch: 0, baseSequence: 0 }, false)
  ]
  const order: string[] = []
  assert.equal(first.turn(), undefined)
  assert.equal(
    log.beginVerification({ producerId: 8n, producerEpoch: 0, baseSequence: 0 }, false).turn(),
    undefined,
    'of another producer'
  )
  const turns = [second.turn()?.then(() => order.push('second')), third.turn()?.then(() => order.push('third'))]

  second.end()
  await turns[0]
  assert.deepEqual(order, ['second'], 'one that has given up')
  first.end()
  first.end()
  await turns[1]

  assert.deepEqual(order, ['second', 'third'])
})

test('a marker that the disk has damaged does not keep the log from opening', async t => {
  const folder = await temporaryFolder(t)
  const log = await openLog(t, { folder })
  await append(log, dataOf())
  await end(log, false)
  await append(log, batchOfCount(1), {})
  await log.close()
  for (const name of await fs.readdir(folder)) {
    if (/\.(snapshot|txnindex)$/.test(name)) await fs.rm(path.join(folder, name))
  }
  const file = path.join(folder, '00000000000000000000.log')
  const bytes = await fs.readFile(file)
  bytes[readBatchHeader(bytes, 0).sizeBytes + 61] = 0x7f // the length of the marker's record
  await fs.writeFile(file, bytes)

  const again = await openLog(t, { folder, recoveryPoint: 3n })

  assert.deepEqual([again.highWatermark, again.lastStableOffset], [3n, 0n])
})

test('a log without snapshots, whose beginning was deleted, still knows what was aborted', async t => {
  const folder = await temporaryFolder(t)
  const config = { segmentBytes: 300 }
  const log = await openLog(t, { folder, config })
  await append(log, dataOf())
  for (let count = 0; count < 4; count++) await append(log, batchOfCount(1, 'x'.repeat(100)), {})
  await append(log, dataOf({ sequence: 1 })) // 5
  await end(log, false) // 6
  await log.deleteRecords(6n)
  assert.deepEqual(await abortedFrom(log, 6n), [[7n, 0n]])
  await log.close()

  const again = await openLog(t, { folder, config, recoveryPoint: 0n, logStartOffset: 6n })

  assert.equal(again.lastStableOffset, 7n)
  assert.deepEqual(await abortedFrom(again, 6n), [[7n, 0n]])
})

test('where the coordinator said no, nothing behind the refused batch begins the transaction', async t => {
  const log = await newLog(t)
  const ask = (baseSequence: number): void =>
    log.beginVerification({ producerId: 7n, producerEpoch: 0, baseSequence }, false).end()
  ask(4) // refused
  ask(6)

  assert.equal(await codeOf(log.append(dataOf({ sequence: 6 }), VERIFIED)), 45)
  assert.equal(await codeOf(log.append(dataOf({ sequence: 4, count: 2 }), VERIFIED)), 0)
  assert.equal(await codeOf(log.append(dataOf({ sequence: 6 }), VERIFIED)), 0)
  await end(log, true)
  ask(7)
  await end(log, true)
  assert.equal(await codeOf(log.append(dataOf({ sequence: 7 }), VERIFIED)), 0)
})
