/**
 * What is finished beyond the committed offset.
 *
 * Symptom: a planned stop repeated records of a batch that its target had taken in part. Cause: the committed offset
 * ended at the first record that was to be tried again, and nothing told of those behind it. Reach: every hand-over
 * while a batch was retried after a partial reply.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FinishedBeyond } from '../../src/dispatcher/finished-beyond.ts'
import { decodeFinished } from '../../src/core/index.ts'
import { tableOf } from './support.ts'

const table = tableOf(
  100n,
  Array.from({ length: 6 }, () => ({ value: '1' }))
)

/** A batch of offsets 100 to 105 of which these have left. */
function batch(left: readonly number[], settledCount: number) {
  return { table, settlement: { settledCount, isOpen: (row: number) => !left.includes(100 + row) } }
}

test('records that left behind one that is tried again are named with the committed offset', () => {
  const beyond = new FinishedBeyond(90n, '')
  beyond.note(batch([100, 102, 103, 105], 1))

  assert.deepEqual(decodeFinished(101n, beyond.textAt(101n)), [1, 3, 4, 5])
})

test('the next owner drops what was finished, asks its own sift about the rest, and hands on what is left', () => {
  const first = new FinishedBeyond(90n, '')
  first.note(batch([102, 103, 105], 0))
  const second = new FinishedBeyond(100n, first.textAt(100n))
  const sift = second.sift({ sift: (_table, row) => (row === 1 ? 'park' : 'deliver') })
  const verdicts = Array.from({ length: 6 }, (_, row) => sift?.sift(table, row))

  assert.deepEqual(verdicts, ['deliver', 'park', 'drop', 'drop', 'deliver', 'drop'])
  assert.equal(second.skippedCount, 3)
  assert.deepEqual(decodeFinished(103n, second.textAt(103n)), [0, 1, 2, 3])
  second.forget(106n)
  assert.equal(second.textAt(106n), '')
})

test('without anything finished the sift of the pipeline is asked directly, and no text is made', () => {
  const beyond = new FinishedBeyond(0n, 'somebody else’s text')
  const sift = { sift: () => 'deliver' as const }

  assert.equal(beyond.sift(sift), sift)
  assert.equal(beyond.sift(undefined), undefined)
  assert.equal(beyond.textAt(0n), '')
})
