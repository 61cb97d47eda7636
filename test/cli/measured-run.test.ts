import assert from 'node:assert/strict'
import { test } from 'node:test'

import { RunRecorder } from '../../src/cli/roles/measured-run.ts'
import { sleep, VirtualClock } from '../../src/core/index.ts'
import { calibrate } from '../../src/ops/simulate/calibration.ts'
import { readMeasuredRun } from '../../src/ops/index.ts'
import type { Target, TargetBatch, TargetOutcome } from '../../src/targets/index.ts'

const clock = new VirtualClock()

/** Takes 40 ms and 0.1 ms for each record; says no to batches of 13. */
const target: Target = {
  name: 'slow',
  bodyBytesMax: 1000,
  timeoutMs: 3000,
  async invoke({ recordCount }: TargetBatch): Promise<TargetOutcome> {
    await sleep(clock, 40 + recordCount / 10)
    return recordCount === 13 ? { kind: 'unavailable', reason: 'away' } : { kind: 'ok' }
  },
  close: () => Promise.resolve()
}

function batchOf(recordCount: number, partition: number): TargetBatch {
  const offset = 0n
  return {
    topic: 't',
    partition,
    recordCount,
    firstOffset: offset,
    lastOffset: offset,
    body: Buffer.alloc(0),
    contentType: 'application/json',
    attempt: 1,
    idempotencyKey: 'k'
  }
}

test('what a dispatcher has measured is what the simulator is calibrated by', async () => {
  const recorder = new RunRecorder({ clock, concurrency: 2 })
  const watched = recorder.watch(target)
  assert.deepEqual([watched.name, watched.bodyBytesMax, watched.timeoutMs], ['slow', 1000, 3000])
  for (let index = 0; index < 60; index += 1) {
    const taken = watched.invoke(batchOf(index % 2 === 0 ? 100 : 500, index % 3), AbortSignal.timeout(10_000))
    await clock.advance(200)
    await taken
  }
  const refused = watched.invoke(batchOf(13, 0), AbortSignal.timeout(10_000))
  await clock.advance(200)
  await refused

  assert.equal(recorder.batchCount, 60, 'what was not taken says nothing of the target’s time')
  const run = readMeasuredRun(JSON.stringify(recorder.stop()), 'run.json')
  assert.equal(run.batches.length, 60)
  assert.ok((run.cpu?.length ?? 0) >= 10, 'a window for each second')
  const fitted = calibrate(run)
  assert.ok(Math.abs(fitted.baseMs - 40) < 0.01, `base ${fitted.baseMs}`)
  assert.ok(Math.abs(fitted.perRecordUs - 100) < 0.1, `per record ${fitted.perRecordUs}`)
  assert.equal(fitted.isSizeVaried, true)
})
