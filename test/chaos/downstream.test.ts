/** Harm behind the dispatchers: the intake stops, the group stays, nothing is lost or given up. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { sleep, systemClock } from '../../src/core/index.ts'
import { describeVerdict, PipelineUnderTest, residentBytes, type Verdict } from '../support/pipeline-under-test.ts'
import { assertKept, inFlightMax, skipLong } from './support.ts'

const outageMs = 8000
const mebibyte = 1024 * 1024

/** The largest memory of any dispatcher while something lasts, in MiB. */
async function largestDispatcherMiB(pipeline: PipelineUnderTest, lasting: Promise<unknown>): Promise<number> {
  let largest = 0
  let isOver = false
  void lasting.finally(() => (isOver = true)).catch(() => undefined)
  while (!isOver) {
    for (const { pid } of pipeline.dispatchers) largest = Math.max(largest, residentBytes(pid) / mebibyte)
    await sleep(systemClock, 100)
  }
  return Math.round(largest)
}

async function settleAndReport(t: TestContext, pipeline: PipelineUnderTest): Promise<Verdict> {
  const startMs = systemClock.monotonicMs()
  const verdict = await pipeline.settle()
  const tookMs = Math.round(systemClock.monotonicMs() - startMs)
  t.diagnostic(`${describeVerdict(verdict)}; all committed ${tookMs} ms after the harm`)
  return verdict
}

test(
  'a service that is down holds its events back, gives none of them up, and gets them when it is back',
  { skip: skipLong },
  async t => {
    const pipeline = await PipelineUnderTest.start(t)
    await pipeline.produce({ records: 30_000, rate: 2500 })
    await pipeline.untilDelivered(2000)
    const before = await largestDispatcherMiB(pipeline, Promise.resolve())
    await pipeline.killService(0)
    const during = await largestDispatcherMiB(pipeline, sleep(systemClock, outageMs))
    assert.ok(pipeline.lag > 0, 'the outage was felt')
    await pipeline.startService(0)

    const verdict = await settleAndReport(t, pipeline)
    t.diagnostic(`largest dispatcher: ${before} MiB before, ${during} MiB during the outage`)
    assertKept(verdict)
    assert.equal(verdict.produced, 30_000)
    // An event of two services comes again for the one that is down. The function remembers what the other one has had,
    // but each of its workers for itself.
    assert.ok(verdict.duplicates <= inFlightMax(2), describeVerdict(verdict))
    assert.ok(during < before + 128, `a dispatcher grew from ${before} to ${during} MiB`)
  }
)

test('partitions that came while the function was down are delivered once it is back', { skip: skipLong }, async t => {
  const pipeline = await PipelineUnderTest.start(t)
  await pipeline.produce({ rate: 2000 })
  await pipeline.untilDelivered(2000)
  const [sleeper, other] = pipeline.dispatchers
  assert.ok(sleeper !== undefined && other !== undefined)
  await pipeline.killLambda()
  await pipeline.until('both have found it out', () =>
    pipeline.dispatchers.every(each => (each.status['unavailable'] ?? 0) >= 5)
  )
  process.kill(sleeper.pid, 'SIGSTOP')
  await pipeline.until('the other one has all partitions', () => other.status['partitions'] === 20)
  process.kill(sleeper.pid, 'SIGCONT')
  await pipeline.untilAssigned()
  await pipeline.startLambda()
  await pipeline.untilDelivered(2000)
  await pipeline.endLoad()

  const verdict = await settleAndReport(t, pipeline)
  assertKept(verdict)
  assert.equal(verdict.produced, verdict.handedOver)
  assert.ok(verdict.duplicates <= inFlightMax(2), describeVerdict(verdict))
})
