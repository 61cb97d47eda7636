/** Settlement where the policy says more than how often: no bisection, a largest age, the order of keys only. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { type Decision, type RetryPolicy, Settlement } from '../../src/dispatcher/settlement.ts'
import type { RecordFailure, TargetOutcome } from '../../src/targets/index.ts'
import { seedOf } from './support.ts'

const BASE: RetryPolicy = { attemptsMax: 2, backoff: { initialMs: 100, maxMs: 1000, jitterRatio: 0 } }
const OK: TargetOutcome = { kind: 'ok' }
const REJECTED: TargetOutcome = { kind: 'rejected', reason: 'bad', errorClass: 'BadRecord' }
const CRASH: TargetOutcome = { kind: 'unavailable', reason: 'crash', isSuspect: true }
const TOO_LARGE: TargetOutcome = { kind: 'rejected', reason: '413', errorClass: 'PayloadTooLarge' }

/** Rows have the offsets 0, 1, …; keys by row. */
function settle(keys: readonly (string | null)[], policy: Partial<RetryPolicy>) {
  const settlement = new Settlement(keys.length, {
    policy: { ...BASE, ...policy },
    random: new SeededRandom(1),
    lookup: {
      rowOf: offset => (Number(offset) < keys.length ? Number(offset) : -1),
      key: row => {
        const key = keys[row]
        return key === undefined || key === null ? null : Buffer.from(key)
      }
    }
  })
  settlement.begin(new Set())
  return {
    settlement,
    rows: () => settlement.current?.rows,
    apply: (outcome: TargetOutcome, nowMs = 0): Decision => {
      const decision = settlement.apply(outcome, { nowMs, answeredSentMs: Number.NEGATIVE_INFINITY })
      for (const { row } of decision.deadRows) settlement.leave(row)
      return decision
    }
  }
}

const retry = (row: number, retryAfterMs?: number): RecordFailure => ({
  offset: BigInt(row),
  action: 'retry',
  reason: `row ${row}`,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs })
})
const partial = (...failures: RecordFailure[]): TargetOutcome => ({ kind: 'partial', failures })

test('without bisection a batch that is refused for good is put aside whole', () => {
  const { settlement, apply } = settle(['a', 'b', 'c'], { bisect: false })
  assert.deepEqual(apply(REJECTED).deadRows, [])
  assert.deepEqual(
    apply(REJECTED).deadRows.map(({ row, errorClass, attempts }) => [row, errorClass, attempts]),
    [
      [0, 'BadRecord', 2],
      [1, 'BadRecord', 2],
      [2, 'BadRecord', 2]
    ]
  )
  assert.equal(settlement.isDone, true)
})

test('without bisection crashes are waited for, whatever their number', () => {
  const { rows, apply } = settle(['a', 'b'], { bisect: false })
  for (let count = 0; count < 50; count += 1) assert.deepEqual(apply(CRASH).deadRows, [])
  assert.deepEqual(rows(), [0, 1])
})

test('without bisection a batch that is too large is halved all the same, with attempts of their own', () => {
  const { rows, apply } = settle(['a', 'b', 'c', 'd'], { bisect: false })
  apply(TOO_LARGE)
  assert.deepEqual(rows(), [0, 1])
  assert.deepEqual(apply(REJECTED).deadRows, [])
  assert.deepEqual(
    apply(REJECTED).deadRows.map(({ row }) => row),
    [0, 1]
  )
  assert.deepEqual(rows(), [2, 3])
})

test('records that expire in a partial reply are put aside, whoever is to blame', () => {
  const { settlement, apply } = settle(['a', 'b', 'c'], { ageMaxMs: 1000, attemptsMax: 100 })
  apply(partial(retry(0), retry(2)), 5000)
  const decision = apply(partial({ ...retry(0), isUnavailable: true }, retry(2)), 6000)
  assert.deepEqual(
    decision.deadRows.map(({ row, errorClass, attempts }) => [row, errorClass, attempts]),
    [
      [0, 'Expired', 2],
      [2, 'Expired', 2]
    ]
  )
  assert.equal(settlement.isDone, true)
})

test('where the order of keys counts, the wait of one record holds up its own key only', () => {
  const { settlement, rows, apply } = settle(['a', 'b', 'a', null], { order: 'key', attemptsMax: 10 })
  const first = apply(partial(retry(0, 5000), retry(1), retry(2), retry(3, 900)))
  assert.equal(first.waitMs, 100, 'b waits for its backoff only')
  assert.deepEqual(rows(), [1])
  assert.equal(apply(OK, 100).waitMs, 800)
  assert.deepEqual(rows(), [3])
  assert.equal(apply(OK, 900).waitMs, 4100)
  assert.deepEqual(rows(), [0, 2])
  apply(OK, 5000)
  assert.equal(settlement.isDone, true)
})

test('a strand that fails again lets another one go first that is ready sooner', () => {
  const { rows, apply } = settle(['a', 'b'], { order: 'key', attemptsMax: 10 })
  apply(partial(retry(0, 500), retry(1)))
  assert.deepEqual(rows(), [1])
  apply(partial(retry(1, 3000)), 100)
  assert.deepEqual(rows(), [0])
})

test('where the order of the partition counts, all wait for the longest wait that was asked for', () => {
  const { rows, apply } = settle(['a', 'b'], {})
  assert.equal(apply(partial(retry(0, 5000), retry(1))).waitMs, 5000)
  assert.deepEqual(rows(), [0, 1])
})

test('rows that are withdrawn are not sent again', () => {
  const { settlement, rows, apply } = settle(['a', 'b', 'a', 'b'], {})
  apply(REJECTED)
  apply(REJECTED)
  assert.deepEqual(rows(), [0, 1])
  assert.deepEqual(
    settlement.withdraw(row => row === 1 || row === 3),
    [
      { row: 1, attempts: 2 },
      { row: 3, attempts: 2 }
    ]
  )
  assert.deepEqual(rows(), [0])
  apply(OK)
  assert.deepEqual(rows(), [2])
  apply(OK)
  assert.equal(rows(), undefined)
  assert.equal(settlement.isDone, false, 'they have left only when the caller says so')
  settlement.leave(1)
  settlement.leave(3)
  assert.equal(settlement.isDone, true)
})

test('in any order of keys, each row leaves once and rows of a key keep their order', t => {
  const random = new SeededRandom(seedOf(t))
  for (let round = 0; round < 400; round += 1) {
    const keys = Array.from(
      { length: 1 + randomInt(random, 12) },
      () => ['a', 'b', 'c', null][randomInt(random, 4)] ?? null
    )
    const { settlement, rows, apply } = settle(keys, { order: 'key', attemptsMax: 3, bisect: random.next() < 0.8 })
    const left = new Set<number>()
    for (let nowMs = 0; settlement.current !== undefined && nowMs < 100_000; nowMs += 100) {
      const sent = rows() ?? []
      const open = keys.map((_, row) => row).filter(row => !left.has(row))
      for (const row of sent) {
        const isOvertaken = open.some(
          each => each < row && keys[row] !== null && keys[each] === keys[row] && !sent.includes(each)
        )
        assert.equal(isOvertaken, false, `row ${row} of ${keys[row]} is sent before an earlier one`)
      }
      const roll = random.next()
      const failures: RecordFailure[] = []
      const failed = new Set<string>()
      for (const row of sent) {
        const key = keys[row] ?? `#${row}`
        if (!failed.has(key) && random.next() < 0.6) continue
        failed.add(key)
        failures.push(retry(row, random.next() < 0.5 ? randomInt(random, 2000) : undefined))
      }
      const outcome = roll < 0.2 ? REJECTED : roll < 0.3 ? CRASH : partial(...failures)
      const before = new Set(sent)
      const decision = apply(outcome, nowMs)
      const still = new Set([...before].filter(row => isWaiting(settlement, row)))
      for (const row of before) if (!still.has(row)) left.add(row)
      for (const { row } of decision.deadRows) assert.ok(left.has(row))
    }
    assert.equal(left.size, keys.length)
    assert.equal(settlement.isDone, true)
  }
})

/** Whether a row still waits to be sent: asked without changing anything. */
function isWaiting(settlement: Settlement, wanted: number): boolean {
  let isFound = false
  settlement.withdraw(row => {
    if (row === wanted) isFound = true
    return false
  })
  return isFound
}
