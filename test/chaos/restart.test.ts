/** Processes that are killed and come back: nothing acknowledged is lost, order holds, duplicates stay few. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sleep, systemClock } from '../../src/core/index.ts'
import { describeVerdict, PipelineUnderTest } from '../support/pipeline-under-test.ts'
import { assertKept, inFlightMax, skipLong } from './support.ts'

test('a broker that is killed and comes back loses nothing, and everybody goes on by themselves', async t => {
  const pipeline = await PipelineUnderTest.start(t)
  await pipeline.produce({ rate: 2500 })
  await pipeline.untilDelivered(2000)
  await pipeline.killBroker()
  await pipeline.startBroker()
  await pipeline.untilDelivered(3000)
  await pipeline.endLoad()

  const verdict = await pipeline.settle()
  t.diagnostic(describeVerdict(verdict))
  assertKept(verdict)
  assert.equal(verdict.produced, verdict.handedOver)
  assert.ok(verdict.duplicates <= inFlightMax(2), describeVerdict(verdict))
})

test(
  'what a killed producer had acknowledged is delivered, and nothing that it had not made',
  { skip: skipLong },
  async t => {
    const pipeline = await PipelineUnderTest.start(t)
    const victim = await pipeline.produce({ rate: 3000 })
    await pipeline.produce({ records: 6000, rate: 1500 })
    await pipeline.untilProduced(9000)
    await victim.kill()

    const verdict = await pipeline.settle()
    t.diagnostic(describeVerdict(verdict))
    assertKept(verdict)
    assert.ok(verdict.produced <= verdict.handedOver)
    assert.ok(verdict.produced > 9000 / 2, describeVerdict(verdict))
    assert.equal(verdict.duplicates, 0)
  }
)

test(
  'a dispatcher that sleeps through its session is fenced: its late completions commit nothing',
  { skip: skipLong },
  async t => {
    const pipeline = await PipelineUnderTest.start(t)
    await pipeline.slowFunctionBy(300)
    await pipeline.produce({ rate: 2000 })
    await pipeline.untilDelivered(3000)
    const [sleeper, other] = pipeline.dispatchers
    assert.ok(sleeper !== undefined && other !== undefined)
    process.kill(sleeper.pid, 'SIGSTOP')
    // The session of the scenario is 6 s; afterwards the other one has everything.
    await pipeline.until('the other one has all partitions', () => other.status['partitions'] === 20)
    await pipeline.untilDelivered(1000)
    process.kill(sleeper.pid, 'SIGCONT')
    await pipeline.untilAssigned()
    await pipeline.endLoad()

    const verdict = await pipeline.settle()
    t.diagnostic(describeVerdict(verdict))
    assertKept(verdict)
    assert.equal(verdict.produced, verdict.handedOver)
    assert.ok(verdict.duplicates <= inFlightMax(1), describeVerdict(verdict))
  }
)

test(
  'a broker that stands still for longer than the sessions makes no more duplicates than were in flight',
  { skip: skipLong },
  async t => {
    const pipeline = await PipelineUnderTest.start(t)
    await pipeline.slowFunctionBy(2000)
    await pipeline.produce({ records: 40_000, rate: 0 })
    await pipeline.untilProduced(40_000)
    // Enough is buffered by now to go on delivering for long without a commit.
    await pipeline.untilDelivered(1500)
    process.kill(pipeline.brokerPid, 'SIGSTOP')
    await pipeline.slowFunctionBy(0)
    await sleep(systemClock, 8000)
    process.kill(pipeline.brokerPid, 'SIGCONT')

    const verdict = await pipeline.settle()
    t.diagnostic(describeVerdict(verdict))
    assertKept(verdict)
    // In flight, and the twice as many batches that may be ahead of their commits.
    assert.ok(verdict.duplicates <= 3 * inFlightMax(2), describeVerdict(verdict))
  }
)
