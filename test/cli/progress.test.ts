import assert from 'node:assert/strict'
import { test } from 'node:test'

import { formatProgress, type Progress, ProgressLine } from '../../src/cli/demo/progress.ts'

const now: Progress = {
  phase: 'paced',
  produced: 26_000,
  total: 260_000,
  delivered: 28_000,
  deadLettered: 5,
  lag: 1234,
  batches: 56,
  inFlight: 500
}

test('rates are those since the last line', () => {
  const before = { ...now, produced: 0, delivered: 1000 }
  const line = formatProgress(now, before, 2000)
  assert.match(line, /produced 26,000 \(10 %\) {2}13,000\/s/)
  assert.match(line, /delivered 28,000 {2}13,500\/s/)
  assert.match(line, /lag 1,234/)
})

test('on a terminal the line is repainted and never wider than the terminal', () => {
  const written: string[] = []
  const line = new ProgressLine({ isTTY: true, columns: 40, write: text => written.push(text) }, false)
  line.show(now)
  line.note('chaos: killed something')
  line.end()
  const [painted, note] = written
  assert.equal(painted?.startsWith('\r\u001B[2K'), true)
  assert.equal(painted?.slice('\r\u001B[2K'.length).length, 39)
  // A note takes the place of the painted line, and nothing is painted after it.
  assert.equal(note, '\r\u001B[2Kchaos: killed something\n')
  assert.equal(written.length, 2)
})
