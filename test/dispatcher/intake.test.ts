import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Intake, type IntakeLane } from '../../src/dispatcher/intake.ts'

interface TestLane extends IntakeLane {
  bufferedBytes: number
}

test('a partition that has nothing goes on although others stand still with full buffers', () => {
  const resumed: string[] = []
  const fetcher = {
    pause: () => undefined,
    resume: (topic: string, partition: number) => void resumed.push(`${topic}-${partition}`)
  }
  const intake = new Intake<TestLane>(fetcher, { bytesMax: 8000, laneBytesMin: 100 })
  const lanes = Array.from({ length: 8 }, (_, partition) => {
    const lane: TestLane = { topic: 't', partition, bufferedBytes: 0, onPause: () => undefined }
    intake.add(lane)
    return lane
  })
  const hold = (lane: TestLane, bytes: number): void => {
    lane.bufferedBytes = bytes
    intake.changed(lane)
  }
  // Seven wait for a service that is down; the records of the eighth go to another one.
  for (const lane of lanes) hold(lane, 1000)
  assert.equal(intake.pausedCount, 8)
  const [last] = lanes.slice(-1)
  assert.ok(last !== undefined)
  hold(last, 0)
  assert.deepEqual(resumed, ['t-7'])
})
