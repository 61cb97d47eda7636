/** Records of `__transaction_state`. Bytes are written out by hand from Kafka's definitions of the two structures. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeTransaction, readTransactionRecord } from '../../../src/broker/transactions/transaction-records.ts'
import type { TransactionMetadata } from '../../../src/broker/transactions/transaction-state.ts'
import { PipelineError } from '../../../src/core/index.ts'

const METADATA: TransactionMetadata = {
  state: 'PrepareCommit',
  producerId: 1000n,
  previousProducerId: 999n,
  nextProducerId: -1n,
  producerEpoch: 5,
  lastProducerEpoch: 4,
  timeoutMs: 60_000,
  partitions: new Map([['t', new Set([2, 0])]]),
  startMs: 2,
  lastUpdateMs: 3,
  clientVersion: 2
}

test('the key is the type and the id', () => {
  const { key, value } = encodeTransaction('ab', undefined)
  assert.equal(key.toString('hex'), '000000026162')
  assert.equal(value, null)
  assert.deepEqual(readTransactionRecord(key, value), { transactionalId: 'ab', metadata: undefined })
})

test('the value of version 1 is flexible and carries what KIP-890 needs in tagged fields', () => {
  const { value } = encodeTransaction('ab', METADATA)
  const fields = [
    '0001', // version
    '00000000000003e8', // producer id
    '0005', // epoch
    '0000ea60', // timeout
    '02', // PrepareCommit
    '02', // one topic
    '0274', // "t"
    '030000000200000000', // two partitions: 2 and 0
    '00', // no tagged fields of the topic
    '0000000000000003', // last update
    '0000000000000002', // start
    '02', // two tagged fields; no next producer id is the default
    '000800000000000003e7', // 0: previous producer id
    '02020002' // 2: client transaction version
  ]
  assert.equal(value?.toString('hex'), fields.join(''))
})

test('the value of version 0 has no tagged fields, and an empty state no partitions', () => {
  const empty = { ...METADATA, state: 'Empty' as const, partitions: new Map() }
  const { value } = encodeTransaction('ab', empty, { valueVersion: 0 })
  const hex = '000000000000000003e800050000ea6000ffffffff00000000000000030000000000000002'
  assert.equal(value?.toString('hex'), hex)
})

test('what is written is read back; the last epoch alone is lost', () => {
  const { key, value } = encodeTransaction('ab', { ...METADATA, nextProducerId: 1001n })
  const read = readTransactionRecord(key, value)
  assert.deepEqual(read?.metadata, { ...METADATA, nextProducerId: 1001n, lastProducerEpoch: -1 })
})

test('a record of another type is left alone, a state that does not exist is damage', () => {
  const { key, value } = encodeTransaction('ab', METADATA)
  assert.equal(readTransactionRecord(Buffer.from('000900026162', 'hex'), value), undefined)
  const damaged = Buffer.from(value ?? [])
  damaged.writeInt8(9, 16)
  assert.throws(
    () => readTransactionRecord(key, damaged),
    (error: unknown) => PipelineError.is(error) && error.code === 'ERR_BROKER_DATA_DAMAGED'
  )
})
