import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SeededRandom } from '../../../src/core/index.ts'
import { FailureWindow } from '../../../src/dispatcher/flow/failure-window.ts'

test('the ratio is that of the window, and what is older is forgotten', () => {
  const window = new FailureWindow(1000)
  for (let count = 0; count < 3; count += 1) window.add(true, 50)
  window.add(false, 60)
  assert.deepEqual([window.totalCount, window.failureRatio], [4, 0.75])
  window.add(false, 950)
  assert.deepEqual([window.totalCount, window.failureRatio], [5, 0.6])
  window.add(false, 1000) // the first tenth has left
  assert.deepEqual([window.totalCount, window.failureRatio], [2, 0])
  window.add(true, 60_000)
  assert.deepEqual([window.totalCount, window.failureRatio], [1, 1])
  window.clear()
  assert.deepEqual([window.totalCount, window.failureRatio], [0, 0])
})

test('it counts what a list of all invocations would count, to the tenth of the window', () => {
  const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 1e9))
  const random = new SeededRandom(seed)
  const window = new FailureWindow(500)
  const all: { slice: number; isFailure: boolean }[] = []
  let nowMs = 0
  for (let step = 0; step < 5000; step += 1) {
    nowMs += random.next() < 0.01 ? random.next() * 2000 : random.next() * 20
    const isFailure = random.next() < 0.3
    const slice = Math.floor(nowMs / 50)
    window.add(isFailure, nowMs)
    all.push({ slice, isFailure })
    const inWindow = all.filter(each => each.slice > slice - 10)
    assert.equal(window.totalCount, inWindow.length, `seed ${seed}`)
    assert.equal(window.failureRatio, inWindow.filter(each => each.isFailure).length / inWindow.length, `seed ${seed}`)
  }
})
