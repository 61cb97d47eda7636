/** What a produced batch is accepted or refused for, case by case: the codes are those of Apache Kafka 4. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BATCH_AT,
  type BatchStamp,
  type CompressionName,
  RecordBatchBuilder,
  writeBatchCrc
} from '../../src/protocol/index.ts'
import { connectForTest, createTopic, errorOf, produce } from './support.ts'

const HOUR_MS = 3_600_000

interface TestRecord {
  readonly key?: string
  readonly value?: string
  /** Distance from now, in milliseconds. */
  readonly ageMs?: number
}

function batch(records: readonly TestRecord[], options: BatchStamp & { compression?: CompressionName } = {}): Buffer {
  const { compression = 'none', ...stamp } = options
  const builder = new RecordBatchBuilder({ compression, sizeBytesMax: 10_000_000 })
  for (const { key, value = 'v', ageMs = 0 } of records) {
    builder.tryAppend(Date.now() - ageMs, key === undefined ? null : Buffer.from(key), Buffer.from(value))
  }
  return Buffer.from(builder.build(stamp))
}

function three(): Buffer {
  return batch([{}, {}, {}])
}

/** Changes a batch and makes its checksum right again. */
function changed(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  change(bytes)
  writeBatchCrc(bytes, 0)
  return bytes
}

/** Changes a batch and leaves its checksum. */
function broken(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  change(bytes)
  return bytes
}

function withCount(bytes: Buffer, count: number): Buffer {
  return changed(bytes, each => {
    each.writeInt32BE(count, BATCH_AT.recordCount)
    each.writeInt32BE(count - 1, BATCH_AT.lastOffsetDelta)
  })
}

interface Case {
  readonly records: Buffer
  readonly configs?: [string, string][]
  readonly error: string
  /** Indexes of the records at fault. */
  readonly recordErrors?: readonly number[]
  /** Whether the answer tells the log start offset. Default true. */
  readonly tellsLogStart?: boolean
}

const unframed = { tellsLogStart: false } as const
const logAppendTime: [string, string][] = [['message.timestamp.type', 'LogAppendTime']]
const compacted: [string, string][] = [['cleanup.policy', 'compact']]

const CASES: Readonly<Record<string, Case>> = {
  'no bytes': { records: Buffer.alloc(0), error: 'INVALID_RECORD', ...unframed },
  'a batch without its last byte': { records: three().subarray(0, -1), error: 'INVALID_RECORD', ...unframed },
  'half a header': { records: three().subarray(0, 30), error: 'INVALID_RECORD', ...unframed },
  'two batches': { records: Buffer.concat([three(), three()]), error: 'INVALID_RECORD', ...unframed },
  'a part of a second batch': { records: Buffer.concat([three(), three().subarray(0, 30)]), error: 'NONE' },
  'a few zeros behind': { records: Buffer.concat([three(), Buffer.alloc(5)]), error: 'NONE' },
  'many zeros behind': { records: Buffer.concat([three(), Buffer.alloc(20)]), error: 'CORRUPT_MESSAGE', ...unframed },
  'a length of 5': {
    records: broken(three(), bytes => bytes.writeInt32BE(5, BATCH_AT.length)),
    error: 'CORRUPT_MESSAGE',
    ...unframed
  },
  'a negative length': {
    records: broken(three(), bytes => bytes.writeInt32BE(-5, BATCH_AT.length)),
    error: 'CORRUPT_MESSAGE',
    ...unframed
  },
  'a wrong checksum': {
    records: broken(three(), bytes => bytes.writeInt32BE(9, BATCH_AT.recordCount)),
    error: 'CORRUPT_MESSAGE',
    ...unframed
  },
  'magic 1': {
    records: broken(three(), bytes => bytes.writeInt8(1, BATCH_AT.magic)),
    error: 'INVALID_RECORD',
    ...unframed
  },
  'magic 3': {
    records: broken(three(), bytes => bytes.writeInt8(3, BATCH_AT.magic)),
    error: 'CORRUPT_MESSAGE',
    ...unframed
  },
  'a count above the offsets': {
    records: changed(three(), bytes => bytes.writeInt32BE(4, BATCH_AT.recordCount)),
    error: 'INVALID_RECORD'
  },
  'no records': { records: withCount(three(), 0), error: 'INVALID_RECORD' },
  'fewer records than said': { records: withCount(three(), 5), error: 'INVALID_RECORD' },
  'more records than said': { records: withCount(three(), 2), error: 'INVALID_RECORD' },
  'fewer compressed records than said': {
    records: withCount(batch([{}, {}], { compression: 'gzip' }), 5),
    error: 'INVALID_RECORD'
  },
  'a control batch': { records: batch([{}], { isControl: true }), error: 'INVALID_RECORD' },
  'a negative sequence': {
    records: batch([{}], { producerId: 7n, producerEpoch: 0, baseSequence: -1 }),
    error: 'INVALID_RECORD'
  },
  'any first sequence of an unknown producer': {
    records: batch([{}], { producerId: 8n, producerEpoch: 0, baseSequence: 77 }),
    error: 'NONE'
  },
  'the timestamp type LogAppendTime': {
    records: changed(three(), bytes => bytes.writeInt16BE(8, BATCH_AT.attributes)),
    error: 'NONE'
  },
  'the timestamp type LogAppendTime to a topic that sets it': {
    records: changed(three(), bytes => bytes.writeInt16BE(8, BATCH_AT.attributes)),
    configs: logAppendTime,
    error: 'INVALID_TIMESTAMP',
    recordErrors: [0, 1, 2]
  },
  'an old record to a topic with LogAppendTime': {
    records: batch([{ ageMs: 1e12 }]),
    configs: logAppendTime,
    error: 'NONE'
  },
  'a record two hours ahead': {
    records: batch([{}, { ageMs: -2 * HOUR_MS }]),
    error: 'INVALID_TIMESTAMP',
    recordErrors: [1]
  },
  'a record fifty minutes ahead': { records: batch([{ ageMs: -HOUR_MS * (5 / 6) }]), error: 'NONE' },
  'a record of long ago': { records: batch([{ ageMs: 1e12 }]), error: 'NONE' },
  'a record older than the topic takes': {
    records: batch([{}, { ageMs: HOUR_MS }]),
    configs: [['message.timestamp.before.max.ms', '600000']],
    error: 'INVALID_TIMESTAMP',
    recordErrors: [1]
  },
  'a largest timestamp that no record has': {
    records: changed(three(), bytes => bytes.writeBigInt64BE(BigInt(Date.now() + 2 * HOUR_MS), BATCH_AT.maxTimestamp)),
    error: 'NONE'
  },
  'a record without key to a compacted topic': {
    records: batch([{ key: 'a' }, {}, { key: '' }]),
    configs: compacted,
    error: 'INVALID_RECORD',
    recordErrors: [1]
  },
  'one record without key, another ahead of time, to a compacted topic': {
    records: batch([{ key: 'a', ageMs: -2 * HOUR_MS }, {}]),
    configs: compacted,
    error: 'INVALID_TIMESTAMP',
    recordErrors: [0, 1]
  },
  'a batch above max.message.bytes': {
    records: batch([{ value: 'x'.repeat(2000) }]),
    configs: [['max.message.bytes', '1500']],
    error: 'MESSAGE_TOO_LARGE',
    ...unframed
  },
  'a batch that is above max.message.bytes when the topic unpacks it': {
    records: batch([{ value: 'x'.repeat(2000) }], { compression: 'gzip' }),
    configs: [
      ['max.message.bytes', '1500'],
      ['compression.type', 'uncompressed']
    ],
    error: 'MESSAGE_TOO_LARGE',
    ...unframed
  },
  'a transactional batch without a transactional id': {
    records: batch([{}], { producerId: 9n, producerEpoch: 0, baseSequence: 0, isTransactional: true }),
    error: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    ...unframed
  },
  'a batch above segment.bytes': {
    records: batch([{ value: 'x'.repeat(1_100_000) }]),
    configs: [
      ['max.message.bytes', '3000000'],
      ['segment.bytes', '1048576']
    ],
    error: 'RECORD_LIST_TOO_LARGE',
    ...unframed
  }
}

test('a batch is accepted or refused for the same reasons as by Apache Kafka', async t => {
  const peer = await connectForTest(t)
  for (const [name, { records, configs = [], error, recordErrors = [], tellsLogStart = true }] of Object.entries(
    CASES
  )) {
    const topic = await createTopic(peer, { configs })

    const answer = await produce(peer, topic.name, records)

    assert.equal(errorOf(answer), error, name)
    assert.deepEqual(
      answer.recordErrors.map(each => each.batchIndex),
      recordErrors,
      name
    )
    assert.equal(answer.baseOffset, error === 'NONE' ? 0n : -1n, name)
    assert.equal(answer.logStartOffset, tellsLogStart ? 0n : -1n, name)
  }
})

test('sequences of an idempotent producer are judged as by Apache Kafka', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const steps: [epoch: number, baseSequence: number, count: number, error: string, baseOffset: bigint][] = [
    [1, 0, 2, 'NONE', 0n],
    [1, 0, 2, 'NONE', 0n], // a retry
    [1, 2, 2, 'NONE', 2n],
    [1, 7, 1, 'OUT_OF_ORDER_SEQUENCE_NUMBER', -1n],
    [1, 0, 2, 'NONE', 0n], // a retry of the batch before the last
    [1, 2, 1, 'OUT_OF_ORDER_SEQUENCE_NUMBER', -1n], // a part of a known batch
    [0, 0, 1, 'INVALID_PRODUCER_EPOCH', -1n],
    [2, 3, 1, 'OUT_OF_ORDER_SEQUENCE_NUMBER', -1n], // a new epoch begins at 0
    [2, 0, 1, 'NONE', 4n],
    [1, 2, 2, 'INVALID_PRODUCER_EPOCH', -1n], // a retry from before the new epoch
    [2, 0, 1, 'NONE', 4n]
  ]

  for (const [index, [producerEpoch, baseSequence, count, error, baseOffset]] of steps.entries()) {
    const records = Array.from({ length: count }, () => ({}))
    const answer = await produce(peer, topic.name, batch(records, { producerId: 5000n, producerEpoch, baseSequence }))
    assert.deepEqual([errorOf(answer), answer.baseOffset], [error, baseOffset], `step ${index}`)
  }
})

test('sequences wrap, and five batches of a producer are remembered, as by Apache Kafka', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const steps: [producerId: bigint, baseSequence: number, count: number, error: string, baseOffset: bigint][] = [
    [6000n, 2_147_483_646, 3, 'NONE', 0n], // 2147483646, 2147483647, 0
    [6000n, 2_147_483_646, 3, 'NONE', 0n],
    [6000n, 2, 1, 'OUT_OF_ORDER_SEQUENCE_NUMBER', -1n],
    [6000n, 1, 1, 'NONE', 3n],
    [6001n, 2_147_483_647, 1, 'NONE', 4n],
    [6001n, 1, 1, 'OUT_OF_ORDER_SEQUENCE_NUMBER', -1n],
    [6001n, 0, 1, 'NONE', 5n],
    [6001n, 1, 1, 'NONE', 6n],
    [6001n, 2, 1, 'NONE', 7n],
    [6001n, 3, 1, 'NONE', 8n],
    [6001n, 2_147_483_647, 1, 'NONE', 4n], // the oldest of five
    [6001n, 4, 1, 'NONE', 9n],
    [6001n, 2_147_483_647, 1, 'OUT_OF_ORDER_SEQUENCE_NUMBER', -1n], // forgotten
    [6001n, 0, 1, 'NONE', 5n],
    [6001n, 5, 1, 'NONE', 10n]
  ]

  for (const [index, [producerId, baseSequence, count, error, baseOffset]] of steps.entries()) {
    const records = Array.from({ length: count }, () => ({}))
    const answer = await produce(peer, topic.name, batch(records, { producerId, producerEpoch: 0, baseSequence }))
    assert.deepEqual([errorOf(answer), answer.baseOffset], [error, baseOffset], `step ${index}`)
  }
})
