/** Incremental fetch sessions (KIP-227). */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FetchSession, type SessionPartition } from '../../src/client/fetch-session.ts'

const at = (partition: number, offset: bigint, topicId = 'id'): SessionPartition => ({
  topic: 't',
  topicId,
  partition,
  offset,
  leaderEpoch: 1
})

const numbers = (partitions: readonly SessionPartition[]): number[] => partitions.map(({ partition }) => partition)

test('after a full request only what has changed is named, and what is gone is forgotten', () => {
  const session = new FetchSession()
  const full = session.next([at(0, 0n), at(1, 0n), at(2, 0n)], true)
  assert.deepEqual([full.sessionId, full.sessionEpoch, numbers(full.changed)], [0, 0, [0, 1, 2]])
  session.succeed(77)

  const second = session.next([at(0, 5n), at(1, 0n)], true)
  assert.deepEqual([second.sessionId, second.sessionEpoch], [77, 1])
  assert.deepEqual([numbers(second.changed), numbers(second.forgotten)], [[0], [2]])
  session.succeed(77)

  const third = session.next([at(0, 5n), at(1, 0n), at(2, 9n)], true)
  assert.deepEqual([third.sessionEpoch, numbers(third.changed), third.forgotten], [2, [2], []])
})

test('a broker without a place for a session gets full requests', () => {
  const session = new FetchSession()
  for (let round = 0; round < 3; round++) {
    const request = session.next([at(0, 0n)], true)
    assert.deepEqual([request.sessionId, request.sessionEpoch, numbers(request.changed)], [0, 0, [0]])
    session.succeed(0)
  }
})

test('after a failure the old session is closed and everything is named again', () => {
  const session = new FetchSession()
  session.next([at(0, 0n)], true)
  session.succeed(77)
  session.next([at(0, 1n)], true)
  session.restart()
  const request = session.next([at(0, 1n)], true)
  assert.deepEqual([request.sessionId, request.sessionEpoch, numbers(request.changed)], [77, 0, [0]])
  session.succeed(78)
  assert.deepEqual(session.next([at(0, 1n)], true).sessionEpoch, 1)
})

test('a session that the broker does not know is not closed', () => {
  const session = new FetchSession()
  session.next([at(0, 0n)], true)
  session.succeed(77)
  session.forget()
  assert.equal(session.next([at(0, 0n)], true).sessionId, 0)
})

test('names and ids are never mixed in a session, and a topic that was created again is another one', () => {
  const session = new FetchSession()
  session.next([at(0, 0n)], true)
  session.succeed(77)
  const again = session.next([at(0, 0n, 'other')], true)
  assert.deepEqual(
    again.forgotten.map(({ topicId }) => topicId),
    ['id']
  )
  assert.deepEqual(
    again.changed.map(({ topicId }) => topicId),
    ['other']
  )
  session.succeed(77)
  assert.equal(session.next([at(0, 0n)], false).sessionEpoch, 0)
})
