import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PipelineError, SeededRandom } from '../../../src/core/index.ts'
import { calibrate, type MeasuredRun, readMeasuredRun } from '../../../src/ops/simulate/calibration.ts'

/** A run whose invocations take 40 ms and 0.1 ms a record, with 3 ms between two of a partition. */
function made(): MeasuredRun {
  const random = new SeededRandom(5)
  const batches: { partition: number; records: number; startMs: number; endMs: number }[] = []
  for (const partition of [0, 1]) {
    let nowMs = partition
    for (let index = 0; index < 200; index++) {
      const records = index % 4 === 0 ? 100 + Math.floor(random.next() * 300) : 500
      // One in twenty is slow: the mean moves, the slope does not.
      const ms = 40 + records * 0.1 + (index % 20 === 0 ? 60 : 0)
      batches.push({ partition, records, startMs: nowMs, endMs: nowMs + ms })
      nowMs += ms + 3
    }
  }
  const cpu = [
    { batches: 10, records: 5000, cpuMs: 10 * 0.5 + 5000 * 0.002 },
    { batches: 40, records: 4000, cpuMs: 40 * 0.5 + 4000 * 0.002 },
    { batches: 25, records: 9000, cpuMs: 25 * 0.5 + 9000 * 0.002 },
    // Half idle: what it did is not what it could do.
    { batches: 3, records: 600, cpuMs: 50, windowMs: 100 }
  ]
  return { kind: 'comporta-run', version: 1, concurrency: 4, batches, cpu, rebalanceMs: [800, 1200, 900] }
}

test('base, per record, overhead, CPU and the pause of a rebalance are found again', () => {
  const found = calibrate(made())
  assert.ok(Math.abs(found.perRecordUs - 100) < 2, `per record ${found.perRecordUs}`)
  // 40 ms, and the mean of the slow ones: 60 / 20.
  assert.ok(Math.abs(found.baseMs - 43) < 1, `base ${found.baseMs}`)
  assert.ok(Math.abs(found.overheadMs - 3) < 1e-6)
  assert.ok(Math.abs(found.cpuPerBatchMs - 0.5) < 1e-6)
  assert.ok(Math.abs(found.cpuPerRecordUs - 2) < 1e-6)
  assert.equal(found.rebalanceMs, 900)
  assert.equal(found.isSizeVaried, true)
})

test('a file that is no measured run is refused with its place', () => {
  const isInvalid = (message: RegExp) => (error: unknown) =>
    PipelineError.is(error) && error.code === 'ERR_OPS_MEASUREMENT_INVALID' && message.test(error.message)
  assert.throws(() => readMeasuredRun('{', 'run.json'), isInvalid(/run\.json is not JSON/))
  const batches = made().batches.map((batch, index) => (index === 3 ? { ...batch, records: -1 } : batch))
  assert.throws(
    () => readMeasuredRun(JSON.stringify({ ...made(), batches }), 'run.json'),
    isInvalid(/batches\.3\.records/)
  )
})
