import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SeededRandom } from '../../../src/core/index.ts'
import { ProgressWatch, type WatchedPartition } from '../../../src/dispatcher/flow/progress-watch.ts'

const at = (key: string, mark: string, more: Partial<WatchedPartition> = {}): WatchedPartition => ({
  key,
  mark,
  hasWork: true,
  explainedBy: undefined,
  allowanceMs: 0,
  ...more
})

/** Looks each second until the time is over. */
function lookUntil(
  watch: ProgressWatch,
  [fromMs, toMs]: readonly [number, number],
  partition: WatchedPartition
): string[] {
  const stalled: string[] = []
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 1000) stalled.push(...watch.look([partition], nowMs).stalled)
  return stalled
}

test('a partition with work that nothing explains is stalled after the limit, not before', () => {
  const watch = new ProgressWatch(10_000, 1000)
  assert.deepEqual(lookUntil(watch, [0, 9000], at('t-0', 'a')), [])
  assert.deepEqual(watch.look([at('t-0', 'a')], 10_000).stalled, ['t-0'])
})

test('progress, an explanation, or nothing to do begin the count anew', () => {
  for (const between of [
    at('t-0', 'b'),
    at('t-0', 'a', { explainedBy: 'breaker' }),
    at('t-0', 'a', { hasWork: false })
  ]) {
    const watch = new ProgressWatch(10_000, 1000)
    lookUntil(watch, [0, 9000], at('t-0', 'a'))
    watch.look([between], 10_000)
    const mark = between.mark
    assert.deepEqual(lookUntil(watch, [11_000, 19_000], at('t-0', mark)), [])
  }
})

test('an outage of hours explains itself all the time', () => {
  const watch = new ProgressWatch(10_000, 1000)
  assert.deepEqual(lookUntil(watch, [0, 7_200_000], at('t-0', 'a', { explainedBy: 'breaker' })), [])
  assert.deepEqual([...watch.explanations], [['breaker', 1]])
  assert.equal(watch.stoodStillMaxMs, 0)
})

test('what an invocation may take is added to the limit', () => {
  const watch = new ProgressWatch(10_000, 1000)
  assert.deepEqual(lookUntil(watch, [0, 69_000], at('t-0', 'a', { allowanceMs: 60_000 })), [])
  assert.deepEqual(watch.look([at('t-0', 'a', { allowanceMs: 60_000 })], 70_000).stalled, ['t-0'])
})

test('one partition that stands still among others that do not is found', () => {
  const watch = new ProgressWatch(5000, 1000)
  const stalled: string[] = []
  for (let step = 0; step <= 5; step += 1) {
    stalled.push(...watch.look([at('t-0', `${step}`), at('t-1', 'same')], step * 1000).stalled)
  }
  assert.deepEqual(stalled, ['t-1'])
})

// SIGSTOP, a machine that slept, a blocked event loop: when it goes on, the partitions have had no time to get on.
test('time that the process did not live through is not held against it, and is told', () => {
  const watch = new ProgressWatch(10_000, 1000)
  lookUntil(watch, [0, 3000], at('t-0', 'a'))
  const verdict = watch.look([at('t-0', 'a')], 3_603_000)
  assert.deepEqual(verdict, { stalled: [], lateMs: 3_599_000 })
  assert.equal(watch.stoodStillMaxMs, 4000)
  assert.equal(watch.look([at('t-0', 'b')], 3_604_000).lateMs, 0)
})

test('never stalled before the limit has passed since the last progress, and always soon after', () => {
  const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 1e9))
  for (let round = 0; round < 200; round += 1) {
    const random = new SeededRandom(seed + round)
    const watch = new ProgressWatch(5000, 500)
    let mark = 0
    let explainedBy: string | undefined
    let quietSinceMs = 0
    for (let nowMs = 0; nowMs < 60_000; nowMs += 250 + Math.floor(random.next() * 250)) {
      if (random.next() < 0.03) mark += 1
      if (random.next() < 0.03) explainedBy = explainedBy === undefined ? 'rate' : undefined
      const { stalled } = watch.look([at('t-0', `${mark}`, { explainedBy })], nowMs)
      const hasMoved = stalled.length === 0 && watch.stoodStillMaxMs === 0
      if (hasMoved) quietSinceMs = nowMs
      const quietMs = nowMs - quietSinceMs
      assert.equal(stalled.length === 1, quietMs >= 5000, `${quietMs} ms, seed ${seed + round}`)
    }
  }
})
