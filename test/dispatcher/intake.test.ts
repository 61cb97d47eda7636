import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { Intake, type IntakeLane } from '../../src/dispatcher/intake.ts'
import { seedOf } from './support.ts'

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

test('buffers stay within their limit, with an answer of every partition on its way', t => {
  const seed = seedOf(t)
  const bytesMax = 64_000
  const answerBytesMax = 1000
  for (let round = 0; round < 40; round += 1) {
    const random = new SeededRandom(seed + round)
    const lanes: TestLane[] = []
    const resting = new Set<number>()
    const fetcher = {
      pause: (_topic: string, partition: number) => void resting.add(partition),
      resume: (_topic: string, partition: number) => void resting.delete(partition)
    }
    const limits = { bytesMax, laneBytesMin: 2 * answerBytesMax, answerBytesMax }
    const intake = new Intake<TestLane>(fetcher, limits)
    // Up to 32 answers fit into half of the limit.
    const count = 1 + randomInt(random, 32)
    for (let partition = 0; partition < count; partition += 1) {
      const lane: TestLane = { topic: 't', partition, bufferedBytes: 0, onPause: () => undefined }
      lanes.push(lane)
      intake.add(lane)
    }
    let most = 0
    for (let step = 0; step < 3000; step += 1) {
      // All that do not rest are asked for at once; some rest before their answer is there.
      const asked = lanes.filter(({ partition }) => !resting.has(partition))
      for (const lane of asked) {
        lane.bufferedBytes += randomInt(random, answerBytesMax + 1)
        intake.changed(lane)
      }
      most = Math.max(most, intake.totalBytes)
      assert.ok(intake.totalBytes <= bytesMax, `${intake.totalBytes} bytes of ${bytesMax}, ${count} partitions`)
      const lane = lanes[randomInt(random, lanes.length)]
      if (lane === undefined) continue
      lane.bufferedBytes = randomInt(random, lane.bufferedBytes + 1)
      intake.changed(lane)
    }
    assert.ok(most > bytesMax / 4 || count < 16, `${most} bytes at most, ${count} partitions`)
  }
})
