/** Names, headers and due times of retry topics. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { RetryBuffer } from '../../../src/dispatcher/parking/retry-buffer.ts'
import { readHistory, type RetryHistory, withHistory } from '../../../src/dispatcher/parking/retry-headers.ts'
import { delayName, RetryTopics, retryTopicName } from '../../../src/dispatcher/parking/retry-topics.ts'
import { chunkOf, seedOf } from '../support.ts'

const HISTORY: RetryHistory = {
  topic: 'trucks',
  partition: 3,
  offset: 9_007_199_254_740_993n,
  timestampMs: 1_700_000_000_000,
  groupId: 'g',
  attempts: 2,
  errorClass: 'TypeError',
  reason: 'é',
  firstFailureMs: 10,
  lastFailureMs: 20,
  parkedMs: 1000,
  fromTopic: 'trucks',
  fromOffset: 41n
}

/** A chunk with one record for each time at which it was put in. */
function parked(base: number, times: readonly number[]) {
  const records = times.map(parkedMs => ({ key: 'k', value: '1', headers: withHistory([], { ...HISTORY, parkedMs }) }))
  return chunkOf(BigInt(base), records)
}

test('a retry topic is named after topic, group and delay', () => {
  assert.equal(retryTopicName('trucks', 'speed-check', 30_000), 'trucks.speed-check.retry-30s')
  assert.deepEqual([300_000, 3_600_000, 86_400_000, 1500].map(delayName), ['5m', '1h', '24h', '1500ms'])
})

test('names stay legal and apart, whatever the group is called', () => {
  const legal = /^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/
  const names = new Set<string>()
  const groups = ['a b', 'a_b', 'a/b', 'é', 'x'.repeat(249), `${'x'.repeat(248)}y`, '', '.', '日本']
  for (const group of groups) {
    for (const topic of ['t', 't'.repeat(249)]) {
      const name = retryTopicName(topic, group, 30_000)
      assert.match(name, legal)
      names.add(name)
    }
  }
  assert.equal(names.size, groups.length * 2)
  const topics = new RetryTopics('g', [10, 20])
  assert.deepEqual(topics.companionsOf({ topic: 't', partition: 5 }), [
    { topic: 't.g.retry-10ms', partition: 5 },
    { topic: 't.g.retry-20ms', partition: 5 }
  ])
})

test('a record gets its own headers back, even those that look like ours', () => {
  const own = [
    { key: 'comporta-attempts', value: Buffer.from('own') },
    { key: 'comporta-retry', value: Buffer.from('3') },
    { key: 'a', value: null }
  ]
  const read = readHistory(withHistory(own, HISTORY))
  assert.deepEqual(read, { history: HISTORY, headers: own })
  const again = readHistory(withHistory(read.headers, { ...HISTORY, attempts: 7 }))
  assert.deepEqual(again?.headers, own)
  assert.equal(again.history.attempts, 7)
})

test('what no dispatcher has written is not taken for history', () => {
  const bytes = (text: string): Buffer => Buffer.from(text)
  const whole = withHistory([], HISTORY)
  for (const headers of [
    [],
    [{ key: 'comporta-retry', value: null }],
    [{ key: 'comporta-retry', value: bytes('1') }],
    [{ key: 'comporta-retry', value: bytes('999') }],
    [{ key: 'comporta-retry', value: bytes('-1') }],
    whole.slice(0, -1),
    [...whole, { key: 'x', value: null }],
    whole.map(header => (header.key === 'comporta-origin-offset' ? { ...header, value: bytes('x') } : header))
  ]) {
    assert.equal(readHistory(headers), undefined)
  }
})

test('a record is due when it has waited for the delay, whenever it was fetched', () => {
  const buffer = new RetryBuffer(0n, 500)
  buffer.push(parked(0, [1000, 1200]))
  const [first, second] = buffer.peek(9, { wallMs: 1300, monotonicMs: 50 })
  assert.equal(first?.dueMs, 50 + 200)
  assert.equal(second?.dueMs, 50 + 400)
  const late = new RetryBuffer(0n, 500)
  late.push(parked(0, [1000]))
  assert.equal(late.peek(1, { wallMs: 9000, monotonicMs: 50 })[0]?.dueMs, 50)
})

test('no record waits longer than its delay after it was first seen, whatever the clocks say', () => {
  // The writer is ten seconds ahead: what it writes lies in our future.
  const buffer = new RetryBuffer(0n, 500)
  buffer.push(parked(0, [11_000, 11_100]))
  const [first, second] = buffer.peek(9, { wallMs: 1000, monotonicMs: 0 })
  assert.equal(first?.dueMs, 500)
  assert.equal(second?.dueMs, 500)
  // Seen again after it has waited: what was learnt of the clocks is kept.
  buffer.reset(0n)
  buffer.push(parked(0, [11_000]))
  assert.ok((buffer.peek(1, { wallMs: 1500, monotonicMs: 500 })[0]?.dueMs ?? 0) <= 600)
})

test('a wall clock that is set back holds nothing up for longer than the delay', () => {
  const buffer = new RetryBuffer(0n, 500)
  buffer.push(parked(0, [100_000]))
  assert.equal(buffer.peek(1, { wallMs: 100_400, monotonicMs: 0 })[0]?.dueMs, 100)
  buffer.push(parked(1, [100_401]))
  assert.equal(buffer.peek(2, { wallMs: 50, monotonicMs: 10 })[1]?.dueMs, 510)
})

test('records leave in any order, and the position is that of the first one left', t => {
  const random = new SeededRandom(seedOf(t))
  for (let round = 0; round < 100; round += 1) {
    const buffer = new RetryBuffer(5n, 100)
    const left = new Set<bigint>()
    let next = 5
    for (let step = 0; step < 30; step += 1) {
      if (random.next() < 0.4) {
        const count = 1 + randomInt(random, 5)
        buffer.push(
          parked(
            next,
            Array.from({ length: count }, () => 0)
          )
        )
        for (let index = 0; index < count; index += 1) left.add(BigInt(next + index))
        next += count
      }
      const seen = buffer.peek(1 + randomInt(random, 8), { wallMs: 0, monotonicMs: 0 })
      assert.deepEqual(
        seen.map(({ offset }) => offset),
        [...left].slice(0, seen.length)
      )
      const done = new Set(seen.filter(() => random.next() < 0.5).map(({ offset }) => offset))
      buffer.remove(({ offset }) => done.has(offset))
      for (const offset of done) left.delete(offset)
      const [first] = left
      if (first !== undefined) assert.ok(buffer.position <= first)
      assert.equal(buffer.fetchPosition, BigInt(next))
      if (left.size === 0) {
        buffer.peek(1, { wallMs: 0, monotonicMs: 0 })
        assert.equal(buffer.bytes, 0)
        assert.equal(buffer.position, BigInt(next))
      }
    }
  }
})

test('records before the position and those that were done before are passed over', () => {
  const buffer = new RetryBuffer(2n, 100, offset => offset === 3n)
  buffer.push(parked(0, [0, 0, 0, 0, 0]))
  const seen = buffer.peek(9, { wallMs: 0, monotonicMs: 0 })
  assert.deepEqual(
    seen.map(({ offset }) => offset),
    [2n, 4n]
  )
})
