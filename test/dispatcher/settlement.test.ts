import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { type Decision, type RetryPolicy, Settlement } from '../../src/dispatcher/settlement.ts'
import type { RecordFailure, TargetOutcome } from '../../src/targets/index.ts'
import { seedOf } from './support.ts'

const POLICY: RetryPolicy = { attemptsMax: 3, backoff: { initialMs: 100, maxMs: 1000, jitterRatio: 0 } }
const OK: TargetOutcome = { kind: 'ok' }
const REJECTED: TargetOutcome = { kind: 'rejected', reason: 'bad', errorClass: 'BadRecord' }
const DOWN: TargetOutcome = { kind: 'unavailable', reason: 'down' }
const CRASH: TargetOutcome = { kind: 'unavailable', reason: 'crash', isSuspect: true }

/** Rows have the offsets 100, 101, …; keys by row. */
function settle(
  rowCount: number,
  options: { policy?: RetryPolicy; keys?: readonly (string | null)[]; bad?: number[] } = {}
) {
  const settlement = new Settlement(rowCount, {
    policy: options.policy ?? POLICY,
    random: new SeededRandom(1),
    lookup: {
      rowOf: offset => (offset >= 100n && offset < 100n + BigInt(rowCount) ? Number(offset - 100n) : -1),
      key: row => {
        const key = options.keys?.[row]
        return key === undefined || key === null ? null : Buffer.from(key)
      }
    }
  })
  settlement.begin(new Set(options.bad))
  return {
    settlement,
    rows: () => settlement.current?.rows,
    apply: (outcome: TargetOutcome, nowMs = 0, answeredSentMs = Number.NEGATIVE_INFINITY): Decision => {
      const decision = settlement.apply(outcome, { nowMs, answeredSentMs })
      for (const { row } of decision.deadRows) settlement.leave(row)
      return decision
    }
  }
}

const failure = (row: number, action: RecordFailure['action'] = 'retry', retryAfterMs?: number): RecordFailure => ({
  offset: BigInt(100 + row),
  action,
  reason: `row ${row}`,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs })
})

test('a delivered batch is done', () => {
  const { settlement, rows, apply } = settle(3)
  assert.deepEqual(rows(), [0, 1, 2])
  assert.equal(apply(OK).deliveredCount, 3)
  assert.equal(settlement.isDone, true)
  assert.equal(rows(), undefined)
})

test('rows that cannot be sent are not sent, and the batch is done only when they are put aside', () => {
  const { settlement, rows, apply } = settle(4, { bad: [0, 2] })
  assert.deepEqual(rows(), [1, 3])
  apply(OK)
  assert.equal(settlement.isDone, false)
  assert.equal(settlement.settledCount, 0)
  settlement.leave(0)
  assert.equal(settlement.settledCount, 2)
  settlement.leave(2)
  assert.equal(settlement.isDone, true)
})

test('a refused batch is tried again with growing waits, then bisected down to the one bad record', () => {
  const { settlement, rows, apply } = settle(8)
  assert.equal(apply(REJECTED).waitMs, 100)
  assert.equal(apply(REJECTED).waitMs, 200)
  assert.deepEqual(rows(), [0, 1, 2, 3, 4, 5, 6, 7])
  const sent: (readonly number[] | undefined)[] = []
  const dead: unknown[] = []
  while (!settlement.isDone) {
    const current = rows() ?? []
    if (sent.length > 0 || current.length < 8) sent.push(current)
    const decision = apply(current.includes(5) ? REJECTED : OK)
    assert.equal(decision.waitMs, 0)
    dead.push(...decision.deadRows)
  }
  assert.deepEqual(sent, [[0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [4], [5], [6, 7]])
  assert.deepEqual(dead, [{ row: 5, errorClass: 'BadRecord', reason: 'bad', attempts: 6 }])
})

test('a batch that is too large is split at once, a record that is too large alone is put aside at once', () => {
  const { rows, apply } = settle(2)
  const tooLarge: TargetOutcome = { kind: 'rejected', reason: '413', errorClass: 'PayloadTooLarge' }
  assert.equal(apply(tooLarge).waitMs, 0)
  assert.deepEqual(rows(), [0])
  assert.deepEqual(apply(tooLarge).deadRows, [{ row: 0, errorClass: 'PayloadTooLarge', reason: '413', attempts: 2 }])
  assert.deepEqual(rows(), [1])
})

test('an outage never costs an attempt: the same batch waits for as long as it takes', () => {
  const { rows, apply } = settle(2)
  for (let round = 0; round < 1000; round += 1) {
    const decision = apply(DOWN, round)
    assert.deepEqual(decision.deadRows, [])
    assert.ok(decision.waitMs <= 1000)
  }
  assert.deepEqual(rows(), [0, 1])
  assert.equal(apply(REJECTED).deadRows.length, 0)
})

test('the wait that a target asks for is honoured, up to a limit', () => {
  const { apply } = settle(1, { policy: { ...POLICY, retryAfterMaxMs: 60_000 } })
  assert.equal(apply({ kind: 'unavailable', reason: '429', retryAfterMs: 7000 }).waitMs, 7000)
  assert.equal(apply({ kind: 'unavailable', reason: '429', retryAfterMs: 10_000_000 }).waitMs, 60_000)
  assert.equal(apply({ kind: 'partial', failures: [failure(0, 'retry', 9000)] }).waitMs, 9000)
})

test('crashes split a batch, and the record that crashes alone is put aside once others have passed', () => {
  const { settlement, rows, apply } = settle(4)
  const dead: number[] = []
  let answeredSentMs = Number.NEGATIVE_INFINITY
  for (let nowMs = 1; !settlement.isDone && nowMs < 100; nowMs += 1) {
    const isCrash = (rows() ?? []).includes(2)
    if (!isCrash) answeredSentMs = nowMs
    const { deadRows } = apply(isCrash ? CRASH : OK, nowMs, answeredSentMs)
    for (const { row, errorClass } of deadRows) {
      assert.equal(errorClass, 'TargetFailure')
      dead.push(row)
    }
  }
  assert.deepEqual(dead, [2])
  assert.equal(settlement.isDone, true)
})

test('while nothing else is answered, crashes put nothing aside, however many', () => {
  const { rows, apply } = settle(4)
  for (let nowMs = 1; nowMs < 500; nowMs += 1) assert.deepEqual(apply(CRASH, nowMs, 0).deadRows, [])
  assert.deepEqual(rows(), [0])
})

test('one piece of evidence pays for one record: an outage half way does not drain a batch', () => {
  const { apply } = settle(8, { policy: { ...POLICY, attemptsMax: 1 } })
  apply(CRASH, 1) // split: [0..3] and [4..7]
  apply(OK, 2, 2) // evidence from now on, then the target goes down for good
  let deadCount = 0
  for (let nowMs = 3; nowMs < 500; nowMs += 1) deadCount += apply(CRASH, nowMs, 2).deadRows.length
  assert.equal(deadCount, 1)
})

test('a partial reply retries what it names, in order, and delivers the rest', () => {
  const { settlement, rows, apply } = settle(5)
  const decision = apply({ kind: 'partial', failures: [failure(3), failure(1)] })
  assert.equal(decision.deliveredCount, 3)
  assert.equal(decision.retriedCount, 2)
  assert.deepEqual(rows(), [1, 3])
  assert.equal(settlement.settledCount, 1)
  apply(OK)
  assert.equal(settlement.isDone, true)
})

test('a reply may put a record aside or skip it', () => {
  const { settlement, apply } = settle(4)
  const decision = apply({ kind: 'partial', failures: [failure(0, 'deadLetter'), failure(2, 'skip')] })
  assert.deepEqual(decision.deadRows, [{ row: 0, errorClass: 'TargetVerdict', reason: 'row 0', attempts: 1 }])
  assert.equal(decision.skippedCount, 1)
  assert.equal(decision.deliveredCount, 2)
  assert.equal(settlement.isDone, true)
})

test('a record that keeps failing is put aside after its attempts, its followers of the same key go on', () => {
  const { settlement, rows, apply } = settle(4, { keys: ['a', 'b', 'a', null] })
  const reply: TargetOutcome = { kind: 'partial', failures: [failure(0), failure(2)] }
  assert.deepEqual(apply(reply).deadRows, [])
  assert.deepEqual(apply(reply).deadRows, [])
  const last = apply(reply)
  assert.deepEqual(last.deadRows, [{ row: 0, errorClass: 'RetriesExhausted', reason: 'row 0', attempts: 3 }])
  assert.deepEqual(rows(), [2])
  apply(OK)
  assert.equal(settlement.isDone, true)
})

test('a record that a service behind the target could not take is retried without a charge', () => {
  const { rows, apply } = settle(3)
  const down = { ...failure(1), isUnavailable: true }
  const waits: number[] = []
  for (let round = 0; round < 50; round += 1) {
    const decision = apply({ kind: 'partial', failures: [down] })
    assert.deepEqual(decision.deadRows, [])
    waits.push(decision.waitMs)
    assert.deepEqual(rows(), [1])
  }
  assert.deepEqual(waits.slice(0, 5), [100, 200, 400, 800, 1000])
})

test('records under suspicion are bisected, and put aside only on evidence', () => {
  const { settlement, rows, apply } = settle(4)
  let answeredSentMs = Number.NEGATIVE_INFINITY
  const dead: number[] = []
  for (let nowMs = 1; !settlement.isDone && nowMs < 100; nowMs += 1) {
    const current = rows() ?? []
    const isBroken = current.includes(1)
    const failures = isBroken ? current.map(row => ({ ...failure(row), isUnavailable: true, isSuspect: true })) : []
    const { deadRows } = apply({ kind: 'partial', failures }, nowMs, answeredSentMs)
    if (!isBroken) answeredSentMs = nowMs
    dead.push(...deadRows.map(({ row }) => row))
  }
  assert.deepEqual(dead, [1])
})

test('a resume point retries itself and everything behind it, and only itself is charged', () => {
  const { settlement, rows, apply } = settle(5)
  const resume: TargetOutcome = { kind: 'partial', failures: [], resumeFrom: 102n }
  assert.equal(apply(resume).deliveredCount, 2)
  assert.deepEqual(rows(), [2, 3, 4])
  assert.equal(settlement.settledCount, 2)
  apply(resume)
  const last = apply(resume)
  assert.deepEqual(
    last.deadRows.map(({ row, errorClass }) => [row, errorClass]),
    [[2, 'RetriesExhausted']]
  )
  assert.deepEqual(rows(), [3, 4])
})

test('a reply that names an unknown record retries the whole batch and delivers nothing', () => {
  for (const outcome of [
    { kind: 'partial', failures: [{ offset: 99n, action: 'skip', reason: '' }] },
    { kind: 'partial', failures: [], resumeFrom: 105n }
  ] as const) {
    const { settlement, rows, apply } = settle(5)
    const decision = apply(outcome)
    assert.equal(decision.deliveredCount, 0)
    assert.ok(decision.waitMs > 0)
    assert.deepEqual(rows(), [0, 1, 2, 3, 4])
    assert.equal(settlement.settledCount, 0)
  }
})

test('a record of the batch that was not sent this time is unknown too', () => {
  const { rows, apply } = settle(3)
  apply({ kind: 'partial', failures: [failure(2)] })
  assert.deepEqual(rows(), [2])
  assert.equal(apply({ kind: 'partial', failures: [failure(0, 'skip')] }).skippedCount, 0)
  assert.deepEqual(rows(), [2])
})

test('with a limit on age, a batch that is still refused then is put aside as expired', () => {
  const { settlement, apply } = settle(2, { policy: { ...POLICY, ageMaxMs: 10_000 } })
  assert.deepEqual(apply(DOWN, 5000).deadRows, [])
  assert.deepEqual(apply(DOWN, 14_999).deadRows, [])
  assert.deepEqual(
    apply(DOWN, 15_000).deadRows.map(({ errorClass }) => errorClass),
    ['Expired', 'Expired']
  )
  assert.equal(settlement.isDone, true)
})

test('whatever the target says, each row leaves once, and rows that are sent again keep their order', t => {
  const random = new SeededRandom(seedOf(t))
  for (let round = 0; round < 2000; round += 1) {
    const rowCount = 1 + randomInt(random, 12)
    const keys = Array.from({ length: rowCount }, () => ['a', 'b', null][randomInt(random, 3)] ?? null)
    const { settlement, rows, apply } = settle(rowCount, { keys })
    const left = { delivered: 0, skipped: 0, dead: 0 }
    let steps = 0
    let lowest = 0
    for (let current = rows(); current !== undefined; current = rows()) {
      steps += 1
      assert.ok(steps < 5000, 'a settlement ends')
      for (let index = 1; index < current.length; index += 1) {
        assert.ok((current[index] ?? 0) > (current[index - 1] ?? 0), 'rows go in ascending order')
      }
      assert.ok((current[0] ?? 0) >= lowest, 'nothing is sent that has left')
      lowest = settlement.settledCount
      // In the end the target gets well.
      const outcome = steps > 200 ? OK : randomOutcome(random, current)
      const decision = apply(outcome, steps, random.next() < 0.5 ? steps : 0)
      left.delivered += decision.deliveredCount
      left.skipped += decision.skippedCount
      left.dead += decision.deadRows.length
    }
    assert.equal(settlement.isDone, true)
    assert.equal(left.delivered + left.skipped + left.dead, rowCount)
    assert.equal(settlement.settledCount, rowCount)
  }
})

function randomOutcome(random: SeededRandom, rows: readonly number[]): TargetOutcome {
  switch (randomInt(random, 6)) {
    case 0:
      return OK
    case 1:
      return REJECTED
    case 2:
      return DOWN
    case 3:
      return CRASH
    case 4:
      return { kind: 'partial', failures: [], resumeFrom: BigInt(100 + randomInt(random, 14)) }
    default: {
      const actions = ['retry', 'deadLetter', 'skip'] as const
      const failures = rows.filter(() => random.next() < 0.5).map(row => failure(row, actions[randomInt(random, 3)]))
      return { kind: 'partial', failures }
    }
  }
}
