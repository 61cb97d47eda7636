import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FetchSessions } from '../../../src/broker/handlers/fetch-sessions.ts'
import {
  type FetchRequest,
  fetchRequestCodec,
  ByteReader,
  ByteWriter,
  type FetchRequestInput
} from '../../../src/protocol/index.ts'

/** A request as it is after the wire: every field filled in. */
function requestOf(input: FetchRequestInput): FetchRequest {
  const writer = new ByteWriter()
  fetchRequestCodec.write(writer, input, 11)
  return fetchRequestCodec.read(new ByteReader(writer.toBuffer()), 11)
}

function partitions(...indexes: number[]): FetchRequestInput['topics'] {
  return [{ topic: 't', partitions: indexes.map(partition => ({ partition, partitionMaxBytes: 1000 })) }]
}

function open(
  sessions: FetchSessions,
  input: FetchRequestInput,
  { nowMs = 0, newId = 77, isByTopicId = false } = {}
): ReturnType<FetchSessions['open']> {
  return sessions.open(requestOf(input), isByTopicId, { nowMs, newId })
}

test('epoch -1 wants no session, epoch 0 makes one', () => {
  const sessions = new FetchSessions(10)
  assert.equal(open(sessions, { sessionEpoch: -1, topics: partitions(0) }).sessionId, 0)
  assert.equal(open(sessions, { sessionEpoch: 0, topics: partitions(0) }).sessionId, 77)
  assert.equal(sessions.count, 1)
})

test('an incremental fetch names only what changed, and forgets what it says', () => {
  const sessions = new FetchSessions(10)
  open(sessions, { sessionEpoch: 0, topics: partitions(0, 1, 2) })
  const moved = [{ topic: 't', partitions: [{ partition: 1, fetchOffset: 5n, partitionMaxBytes: 1000 }] }]
  const second = open(sessions, { sessionId: 77, sessionEpoch: 1, topics: moved })
  assert.deepEqual(
    second.targets.map(target => [target.partition, target.fetchOffset]),
    [
      [0, 0n],
      [1, 5n],
      [2, 0n]
    ]
  )
  const forgottenTopicsData = [{ topic: 't', partitions: [0, 2] }]
  const third = open(sessions, { sessionId: 77, sessionEpoch: 2, topics: [], forgottenTopicsData })
  assert.deepEqual(
    third.targets.map(target => target.partition),
    [1]
  )
})

test('a wrong epoch, an unknown session and a mix of names and ids are refused by name', () => {
  const sessions = new FetchSessions(10)
  open(sessions, { sessionEpoch: 0, topics: partitions(0) })
  assert.equal(open(sessions, { sessionId: 77, sessionEpoch: 2, topics: [] }).error, 'INVALID_FETCH_SESSION_EPOCH')
  assert.equal(open(sessions, { sessionId: 78, sessionEpoch: 1, topics: [] }).error, 'FETCH_SESSION_ID_NOT_FOUND')
  const mixed = open(sessions, { sessionId: 77, sessionEpoch: 1, topics: [] }, { isByTopicId: true })
  assert.equal(mixed.error, 'FETCH_SESSION_TOPIC_ID_ERROR')
})

test('closing a session with epoch -1 ends it', () => {
  const sessions = new FetchSessions(10)
  open(sessions, { sessionEpoch: 0, topics: partitions(0) })
  open(sessions, { sessionId: 77, sessionEpoch: -1, topics: [] })
  assert.equal(sessions.count, 0)
})

test('an incremental answer leaves out partitions without news, and tells an error until it is gone', () => {
  const sessions = new FetchSessions(10)
  const first = open(sessions, { sessionEpoch: 0, topics: partitions(0) })
  const [target] = first.targets
  assert.ok(target)
  const news = { target, hasRecords: false, hasError: false, highWatermark: 3n, logStartOffset: 0n }
  assert.equal(sessions.note(first, news), true)
  const second = open(sessions, { sessionId: 77, sessionEpoch: 1, topics: [] })
  assert.equal(sessions.note(second, news), false)
  assert.equal(sessions.note(second, { ...news, highWatermark: 4n }), true)
  assert.equal(sessions.note(second, { ...news, logStartOffset: 1n, highWatermark: 4n }), true)
  assert.equal(sessions.note(second, { ...news, hasError: true, highWatermark: -1n, logStartOffset: -1n }), true)
  assert.equal(sessions.note(second, { ...news, hasError: true, highWatermark: -1n, logStartOffset: -1n }), true)
  assert.equal(sessions.note(second, { ...news, highWatermark: 4n }), true)
})

test('a partition that answered with records goes to the back, so that none starves', () => {
  const sessions = new FetchSessions(10)
  const first = open(sessions, { sessionEpoch: 0, topics: partitions(0, 1, 2) })
  const [busy] = first.targets
  assert.ok(busy)
  sessions.note(first, { target: busy, hasRecords: true, hasError: false, highWatermark: 9n, logStartOffset: 0n })
  const second = open(sessions, { sessionId: 77, sessionEpoch: 1, topics: [] })
  assert.deepEqual(
    second.targets.map(target => target.partition),
    [1, 2, 0]
  )
})

test('a full cache gives no session until the least used one was idle for more than two minutes', () => {
  const sessions = new FetchSessions(1)
  open(sessions, { sessionEpoch: 0, topics: partitions(0) }, { nowMs: 0, newId: 1 })
  const early = open(sessions, { sessionEpoch: 0, topics: partitions(0) }, { nowMs: 120_000, newId: 2 })
  assert.equal(early.sessionId, 0)
  const late = open(sessions, { sessionEpoch: 0, topics: partitions(0) }, { nowMs: 120_001, newId: 3 })
  assert.equal(late.sessionId, 3)
  assert.equal(sessions.count, 1)
})

test('a session with more partitions takes the place of a smaller one that is older than two minutes', () => {
  const sessions = new FetchSessions(2)
  open(sessions, { sessionEpoch: 0, topics: partitions(0, 1) }, { nowMs: 0, newId: 1 })
  open(sessions, { sessionEpoch: 0, topics: partitions(0) }, { nowMs: 100_000, newId: 2 })
  open(sessions, { sessionId: 1, sessionEpoch: 1, topics: [] }, { nowMs: 120_001 })
  open(sessions, { sessionId: 2, sessionEpoch: 1, topics: [] }, { nowMs: 120_001 })
  const full = { nowMs: 130_000, newId: 3 }
  assert.equal(open(sessions, { sessionEpoch: 0, topics: partitions(0, 1) }, full).sessionId, 0, 'not larger')
  assert.equal(open(sessions, { sessionEpoch: 0, topics: partitions(0, 1, 2) }, full).sessionId, 3)
  assert.equal(open(sessions, { sessionId: 1, sessionEpoch: 2, topics: [] }).error, 'FETCH_SESSION_ID_NOT_FOUND')
  assert.equal(open(sessions, { sessionId: 2, sessionEpoch: 2, topics: [] }).error, 'NONE', 'it was new then')
})

test('a session that forgets its last partition is over', () => {
  const sessions = new FetchSessions(10)
  open(sessions, { sessionEpoch: 0, topics: partitions(0) })
  const forgottenTopicsData = [{ topic: 't', partitions: [0] }]
  const context = open(sessions, { sessionId: 77, sessionEpoch: 1, topics: [], forgottenTopicsData })
  assert.deepEqual([context.error, context.sessionId], ['NONE', 0])
  assert.equal(sessions.count, 0)
})

test('a wrong epoch counts before a mix of names and ids, which leaves the session as it was', () => {
  const sessions = new FetchSessions(10)
  open(sessions, { sessionEpoch: 0, topics: partitions(0) })
  const byId = { isByTopicId: true }
  assert.equal(
    open(sessions, { sessionId: 77, sessionEpoch: 5, topics: [] }, byId).error,
    'INVALID_FETCH_SESSION_EPOCH'
  )
  assert.equal(
    open(sessions, { sessionId: 77, sessionEpoch: 1, topics: [] }, byId).error,
    'FETCH_SESSION_TOPIC_ID_ERROR'
  )
  assert.equal(open(sessions, { sessionId: 77, sessionEpoch: 1, topics: [] }).error, 'NONE')
})
