/** What sources in AWS decide without AWS: which shard is next, which message may go, what a record holds. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import { SeededRandom } from '../../src/core/index.ts'
import { EVENT_OUTCOME } from '../../src/producer/index.ts'
import { awsRefused, isAwsTrouble } from '../../src/producer/sources/aws-service.ts'
import { kinesisChunk } from '../../src/producer/sources/kinesis-records.ts'
import { unpackRecords } from '../../src/producer/sources/kpl-records.ts'
import { SafePrefix } from '../../src/producer/sources/safe-prefix.ts'
import { readShardState, ShardBook } from '../../src/producer/sources/shard-book.ts'
import { deletable, sqsChunk } from '../../src/producer/sources/sqs-messages.ts'

const PARENT = { shardId: 'p', parentIds: [] }
const CHILDREN = ['a', 'b'].map(shardId => ({ shardId, parentIds: ['p'] }))
const MERGED = { shardId: 'm', parentIds: ['a', 'b'] }

function ids(begun: readonly { readonly shardId: string }[]): string[] {
  return begun.map(({ shardId }) => shardId)
}

test('a child shard begins when all of its parents is safe, a merged one behind both', () => {
  const book = new ShardBook({ startAt: 'trim-horizon', shards: {} })
  book.listed([PARENT, ...CHILDREN, MERGED])

  assert.deepEqual(ids(book.begin()), ['p'])
  assert.deepEqual(ids(book.begin()), [])
  book.finished('p')
  assert.deepEqual(ids(book.begin()), ['a', 'b'])
  book.finished('a')
  assert.deepEqual(ids(book.begin()), [])
  book.finished('b')
  assert.deepEqual(ids(book.begin()), ['m'])
})

test('a book made again from its state goes on where it was', () => {
  const first = new ShardBook({ startAt: 5, shards: {} })
  first.listed([PARENT, ...CHILDREN])
  first.begin()
  first.finished('p')
  first.begin()
  first.reached('a', '17')

  const state = readShardState(JSON.parse(JSON.stringify(first.state())))
  assert.deepEqual(state, { startAt: 5, shards: { p: null, a: '17' } })
  const second = new ShardBook(state ?? { startAt: 0, shards: {} })
  assert.deepEqual(second.state(), state, 'what was saved is kept until the shards are known')
  second.listed([PARENT, ...CHILDREN])
  assert.deepEqual(second.begin(), [
    { shardId: 'a', sequenceNumber: '17' },
    { shardId: 'b', sequenceNumber: undefined }
  ])
})

test('a parent that the stream no longer lists holds nobody up, and a finished one is forgotten', () => {
  const book = new ShardBook({ startAt: 'trim-horizon', shards: { p: null } })
  book.listed(CHILDREN)
  assert.deepEqual(ids(book.begin()), ['a', 'b'])
  book.finished('a')
  book.listed([{ shardId: 'b', parentIds: [] }])
  assert.deepEqual(book.state().shards, {})
})

test('what is no state of shards is refused', () => {
  for (const value of [null, 7, {}, { startAt: true, shards: {} }, { startAt: 1, shards: { a: 3 } }]) {
    assert.equal(readShardState(value), undefined)
  }
})

test('the safe prefix never passes what is not safe, in any order of settlement', () => {
  const seed = Number(process.env['TEST_SEED'] ?? 41)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 200; round += 1) {
    const prefix = new SafePrefix(0)
    const open = Array.from({ length: 1 + Math.floor(random.next() * 20) }, (_, index) => prefix.start(index + 1))
    const failing = random.next() < 0.5 ? Math.floor(random.next() * open.length) : Infinity
    const settled = new Set<number>()
    const order = open.map((_, index) => index).toSorted(() => random.next() - 0.5)
    for (const index of order) {
      const span = open[index]
      if (span === undefined) continue
      if (index === failing) prefix.fail(span, index + 0.5)
      else prefix.finish(span)
      settled.add(index)
      let expected = 0
      while (settled.has(expected) && expected !== failing) expected += 1
      const isStopped = expected === failing && settled.has(failing)
      assert.equal(prefix.safe, isStopped ? failing + 0.5 : expected, `TEST_SEED=${seed} round ${round}`)
    }
  }
})

test('from the first message of a group that is not safe, none of the group is deleted in a FIFO queue', () => {
  const messages = ['a', 'b', 'a', 'b', 'a'].map((MessageGroupId, index) => ({
    MessageId: String(index),
    Attributes: { MessageGroupId }
  }))
  const { delivered, deadLettered, failed } = EVENT_OUTCOME
  const outcomes = Uint8Array.of(delivered, deadLettered, failed, delivered, delivered)

  assert.deepEqual(
    deletable(messages, outcomes, true).map(({ MessageId }) => MessageId),
    ['0', '1', '3']
  )
  assert.deepEqual(
    deletable(messages, outcomes, false).map(({ MessageId }) => MessageId),
    ['0', '1', '3', '4']
  )
})

test('attributes of a message become headers, its group the key', () => {
  const message = {
    Body: '{"a":1}',
    MessageId: 'id',
    Attributes: { MessageGroupId: 'g' },
    MessageAttributes: { trace: { DataType: 'String', StringValue: 'abc' } }
  }
  const chunk = sqsChunk([message], { unwrap: 'none', keepKey: true, keepHeaders: true }, 0)

  assert.deepEqual(chunk.rowHeaders?.(0), [{ key: 'trace', value: Buffer.from('abc') }])
  assert.equal(chunk.rowKeys?.(0)?.toString(), 'g')
  assert.equal(chunk.rowNames?.(0), 'id')
})

/** Two records with the keys `k1` and `k2`, written by hand after the format's description. */
const MESSAGE = Buffer.from(
  // 1: "k1", 1: "k2", 3: {1: 0, 3: "{}"}, 3: {1: 1, 3: "[]"}
  ['0a026b31', '0a026b32', '1a0608001a027b7d', '1a0608011a025b5d'].join(''),
  'hex'
)

function aggregated(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from('f3899ac2', 'hex'), message, createHash('md5').update(message).digest()])
}

test('a record that the KPL has aggregated is unpacked, with the keys of its parts', () => {
  const unpacked = unpackRecords(aggregated(MESSAGE))?.map(({ data, partitionKey }) => [partitionKey, data.toString()])

  assert.deepEqual(unpacked, [
    ['k1', '{}'],
    ['k2', '[]']
  ])
})

test('what only looks like an aggregated record stays as it is', () => {
  const whole = aggregated(MESSAGE)
  const wrongDigest = Buffer.from(whole)
  wrongDigest[wrongDigest.length - 1] = (wrongDigest.at(-1) ?? 0) ^ 1
  const noMessage = aggregated(Buffer.from([0x1a, 0x7f, 1]))

  for (const bytes of [wrongDigest, noMessage, whole.subarray(0, 12), Buffer.from('{"a":1}')]) {
    assert.equal(unpackRecords(bytes), undefined)
  }
})

test('records hold one event each, or one a line; blank lines are none', () => {
  const records = [
    { Data: Buffer.from('{"a":1}\r\n\n{"a":2}\n'), SequenceNumber: '1', PartitionKey: 'k' },
    { Data: Buffer.from('{"a":3}'), SequenceNumber: '2', PartitionKey: 'l' }
  ]
  const lines = kinesisChunk(records, { format: 'ndjson', keepKey: true }, 0)
  const whole = kinesisChunk(records, { format: 'json', keepKey: false }, 0)
  const textOf = (index: number): string =>
    lines.bytes.toString('utf8', lines.spans[index * 2], lines.spans[index * 2 + 1])

  assert.deepEqual([0, 1, 2].map(textOf), ['{"a":1}', '{"a":2}', '{"a":3}'])
  assert.deepEqual(
    [0, 1, 2].map(index => lines.sequenceBefore(index)),
    [undefined, undefined, '1']
  )
  assert.deepEqual(
    [0, 2].map(index => lines.rowKeys?.(index)?.toString()),
    ['k', 'l']
  )
  assert.equal(whole.count, 2)
})

test('a refusal of AWS ends a source, a trouble does not; credentials that went missing are one', () => {
  const named = (name: string): Error => Object.assign(new Error('no'), { name })
  assert.equal(isAwsTrouble(named('AccessDeniedException'), true), false)
  assert.equal(isAwsTrouble(named('ProvisionedThroughputExceededException'), false), true)
  assert.equal(isAwsTrouble(named('CredentialsProviderError'), false), false)
  assert.equal(isAwsTrouble(named('CredentialsProviderError'), true), true)
  assert.equal(isAwsTrouble(Object.assign(new Error('no'), { code: 'ECONNREFUSED' }), false), true)
})

/*
 * Symptom: the token of an AWS session in the log. Cause: AWS repeats the request that it could not verify, headers
 * included, in the text of its error. Reach: a wrong secret key, with a session token.
 */
test('what AWS repeats of a request is not in an error', () => {
  const said =
    'The request signature we calculated does not match the signature you provided.\n\nThe Canonical String for this ' +
    "request should have been\n'POST\n/\n\nhost:kinesis\nx-amz-security-token:FwoGZXIvYXdzSESSION\n"
  const cause = Object.assign(new Error(said), { name: 'InvalidSignatureException' })
  const { message } = awsRefused('kinesis:events', 'ListShards', cause)

  assert.match(message, /^kinesis:events: ListShards was refused: InvalidSignatureException: The request signature/)
  assert.doesNotMatch(message, /SESSION/)
})
