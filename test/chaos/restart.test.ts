/** A broker that stands still. Processes that are killed and come back: experiments.test.ts. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sleep, systemClock } from '../../src/core/index.ts'
import { describeVerdict, PipelineUnderTest } from '../support/pipeline-under-test.ts'
import { assertKept, inFlightMax, skipLong } from './support.ts'

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
