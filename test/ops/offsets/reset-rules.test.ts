/** The rules of Kafka's tool, by its documentation and source; test/jvm/ops-offsets.test.ts asks the tool itself. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type ResetTo, resolveReset } from '../../../src/ops/offsets/reset-rules.ts'

const log = { name: 'a-0', logStartOffset: 100n, highWatermark: 200n }

function offsetOf(to: ResetTo, committed: bigint | undefined, atTime?: bigint): bigint | string {
  const outcome = resolveReset(to, {
    ...log,
    committed: committed === undefined ? undefined : { offset: committed, leaderEpoch: 3, metadata: 'x' },
    ...(atTime === undefined ? {} : { atTime })
  })
  return outcome.kind === 'to' ? outcome.offset : outcome.reason
}

test('the ends do not depend on what is committed', () => {
  for (const committed of [undefined, 0n, 150n, 900n]) {
    assert.equal(offsetOf({ kind: 'earliest' }, committed), 100n)
    assert.equal(offsetOf({ kind: 'latest' }, committed), 200n)
  }
})

test('an offset that is named is moved into the log', () => {
  const cases: [bigint, bigint][] = [
    [-1n, 100n],
    [99n, 100n],
    [100n, 100n],
    [150n, 150n],
    [200n, 200n],
    [201n, 200n],
    [2n ** 62n, 200n]
  ]
  for (const [named, offset] of cases) assert.equal(offsetOf({ kind: 'offset', offset: named }, undefined), offset)
})

test('a shift counts from the commit, stays in the log, and needs a commit', () => {
  const cases: [committed: bigint, by: bigint, offset: bigint][] = [
    [150n, 10n, 160n],
    [150n, -10n, 140n],
    [150n, -51n, 100n],
    [150n, 51n, 200n],
    [50n, 10n, 100n], // what retention has taken is not there to be counted
    [150n, 0n, 150n]
  ]
  for (const [committed, by, offset] of cases) assert.equal(offsetOf({ kind: 'shift', by }, committed), offset)
  assert.match(String(offsetOf({ kind: 'shift', by: 1n }, undefined)), /^a-0 has no committed offset to count from/)
})

test('a time means its first record, or the end where no record has reached it', () => {
  const to: ResetTo = { kind: 'time', timestampMs: 1n }
  assert.equal(offsetOf(to, 150n, 170n), 170n)
  assert.equal(offsetOf(to, 150n, -1n), 200n)
  assert.equal(offsetOf(to, 150n), 200n)
})

test('current keeps a commit wherever it is, and means the end where there is none', () => {
  assert.equal(offsetOf({ kind: 'current' }, 150n), 150n)
  assert.equal(offsetOf({ kind: 'current' }, 50n), 50n)
  assert.equal(offsetOf({ kind: 'current' }, 250n), 250n)
  assert.equal(offsetOf({ kind: 'current' }, undefined), 200n)
})

test('what was moved is told', () => {
  const committed = { offset: 50n, leaderEpoch: -1, metadata: '' }
  const noteOf = (to: ResetTo, facts = {}): string | undefined => {
    const outcome = resolveReset(to, { ...log, committed, ...facts })
    return outcome.kind === 'to' ? outcome.note : undefined
  }
  assert.equal(noteOf({ kind: 'offset', offset: 300n }), '300 lies behind the end: set to 200')
  assert.equal(noteOf({ kind: 'shift', by: 0n }), '50 lies before the beginning: set to 100')
  assert.equal(noteOf({ kind: 'current' }), 'lies before the beginning 100: records are lost')
  assert.equal(noteOf({ kind: 'time', timestampMs: 1n }), 'no record at or after that time: the end')
  assert.equal(noteOf({ kind: 'latest' }), undefined)
})
