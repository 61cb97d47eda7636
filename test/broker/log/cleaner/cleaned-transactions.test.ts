import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CleanedTransactions } from '../../../../src/broker/log/cleaner/cleaned-transactions.ts'
import {
  RecordBatchBuilder,
  readBatchHeader,
  type RecordBatchHeader,
  stampBatch
} from '../../../../src/protocol/index.ts'

function header(offset: bigint, producerId: bigint, kind: 'data' | 'marker' | 'plain' = 'data'): RecordBatchHeader {
  const builder = new RecordBatchBuilder()
  builder.tryAppend(0, Buffer.from('k'), null)
  const isTransactional = kind !== 'plain'
  const batch = builder.build({ producerId, producerEpoch: 0, isTransactional, isControl: kind === 'marker' })
  stampBatch(batch, 0, offset, 0)
  return readBatchHeader(batch, 0)
}

const ABORTED = { producerId: 1n, firstOffset: 10n, lastOffset: 30n, lastStableOffset: 31n }

test('batches of an aborted transaction are told apart from others of the same time and producer', () => {
  const transactions = new CleanedTransactions()
  transactions.addAborted([ABORTED])

  assert.equal(transactions.dataBatch(header(5n, 1n)), false) // An earlier transaction of this producer.
  assert.equal(transactions.controlBatch(header(6n, 1n, 'marker'), 'commit'), false)
  assert.equal(transactions.dataBatch(header(10n, 1n)), true)
  assert.equal(transactions.dataBatch(header(11n, 2n)), false)
  assert.equal(transactions.dataBatch(header(12n, 1n, 'plain')), false)
  assert.equal(transactions.controlBatch(header(30n, 1n, 'marker'), 'abort'), false)
  assert.equal(transactions.dataBatch(header(40n, 1n)), false) // A later one.
  assert.deepEqual(transactions.takeKept(), [ABORTED])
  assert.deepEqual(transactions.takeKept(), [])
})

test('a marker may go when no data of its transaction is left before it', () => {
  const transactions = new CleanedTransactions()
  transactions.addAborted([ABORTED])

  assert.equal(transactions.controlBatch(header(20n, 2n, 'marker'), 'commit'), true)
  assert.equal(transactions.controlBatch(header(30n, 1n, 'marker'), 'abort'), true)
  assert.deepEqual(transactions.takeKept(), [])
})

test('an empty control batch may go, one of an unknown type stays', () => {
  const transactions = new CleanedTransactions()

  assert.equal(transactions.controlBatch(header(1n, 1n, 'marker'), 'none'), true)
  assert.equal(transactions.controlBatch(header(2n, 1n, 'marker'), 'other'), false)
})

test('a transaction that is told for two segments counts once', () => {
  const transactions = new CleanedTransactions()
  transactions.addAborted([ABORTED])
  transactions.dataBatch(header(10n, 1n))
  transactions.controlBatch(header(30n, 1n, 'marker'), 'abort')

  transactions.addAborted([ABORTED])

  assert.equal(transactions.dataBatch(header(40n, 1n)), false)
})
