/** The pace of heartbeats: quick after a change, then slower and slower, and at once when there is something to say. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Heartbeat, heartbeatDelayMs } from '../../src/client/heartbeat.ts'
import { VirtualClock } from '../../src/core/index.ts'

function heartForTest(beat: () => Promise<boolean> = () => Promise.resolve(true)): {
  clock: VirtualClock
  heartbeat: Heartbeat
  beats: number[]
} {
  const clock = new VirtualClock()
  const beats: number[] = []
  const heartbeat = new Heartbeat({
    clock,
    intervalMs: 1_000,
    retryMs: 200,
    beat: () => {
      beats.push(clock.monotonicMs())
      return beat()
    }
  })
  return { clock, heartbeat, beats }
}

test('the wait is a sixteenth of the time since the last change, between 40 ms and the interval', () => {
  assert.deepEqual(
    [0, 640, 1_600, 8_000, 16_000, 1e9].map(sinceMs => heartbeatDelayMs(sinceMs, 1_000)),
    [40, 40, 100, 500, 1_000, 1_000]
  )
  assert.equal(heartbeatDelayMs(0, 20), 20)
})

test('a change costs some tens of heartbeats, not a higher rate for ever', async () => {
  const { clock, heartbeat, beats } = heartForTest()
  heartbeat.start()
  await clock.advance(60_000)
  const quick = beats.length
  assert.ok(quick > 80 && quick < 125, `${quick} in the first minute`)
  await clock.advance(60_000)
  assert.equal(beats.length - quick, 60)
  heartbeat.attend()
  const before = beats.length
  await clock.advance(200)
  assert.equal(beats.length - before, 5)
})

test('the coordinator may ask for more, not for less', async () => {
  const { clock, heartbeat, beats } = heartForTest()
  heartbeat.limit(5_000)
  heartbeat.start()
  await clock.advance(60_000)
  const before = beats.length
  await clock.advance(10_000)
  assert.equal(beats.length - before, 10)
  heartbeat.limit(500)
  await clock.advance(1_000)
  await clock.advance(10_000)
  assert.ok(beats.length - before >= 30)
})

test('what is to be said is said at once, or right after the heartbeat under way', async () => {
  const answers: ((isAnswered: boolean) => void)[] = []
  const { clock, heartbeat, beats } = heartForTest(() => new Promise(resolve => answers.push(resolve)))
  heartbeat.hurry()
  assert.equal(beats.length, 0, 'not before it runs')
  heartbeat.start()
  heartbeat.hurry()
  assert.equal(beats.length, 1)
  heartbeat.hurry()
  heartbeat.hurry()
  assert.equal(beats.length, 1, 'one at a time')
  answers.shift()?.(true)
  await clock.advance(0)
  assert.equal(beats.length, 2)
  answers.shift()?.(false)
  await clock.advance(199)
  assert.equal(beats.length, 2, 'a coordinator that does not answer is not asked in a loop')
  await clock.advance(1)
  assert.equal(beats.length, 3)
})

test('once stopped it is silent, and says when the last heartbeat is over', async () => {
  const answers: ((isAnswered: boolean) => void)[] = []
  const { clock, heartbeat, beats } = heartForTest(() => new Promise(resolve => answers.push(resolve)))
  heartbeat.start()
  heartbeat.hurry()
  let isSettled = false
  heartbeat.stop()
  const settled = heartbeat.settled().then(() => (isSettled = true))
  await clock.advance(5_000)
  assert.deepEqual([isSettled, beats.length], [false, 1])
  answers.shift()?.(true)
  await settled
  await clock.advance(5_000)
  assert.deepEqual([beats.length, clock.pendingCount], [1, 0])
})
