/** What an operator does on purpose under load: nothing is delivered twice. One by one: experiments.test.ts. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { describeVerdict, PipelineUnderTest } from '../support/pipeline-under-test.ts'
import { assertKept, skipLong } from './support.ts'

test(
  'a group that grows from one to four and shrinks to two under load delivers nothing twice',
  { skip: skipLong },
  async t => {
    const pipeline = await PipelineUnderTest.start(t, { dispatchers: 1 })
    await pipeline.produce({ rate: 2000 })
    await pipeline.untilDelivered(1000)
    await Promise.all([1, 2, 3].map(() => pipeline.startDispatcher()))
    await pipeline.untilAssigned()
    await pipeline.untilDelivered(2000)
    const [first, second] = pipeline.dispatchers
    assert.ok(first !== undefined && second !== undefined)
    await Promise.all([first, second].map(each => pipeline.drainDispatcher(each)))
    await pipeline.untilAssigned()
    await pipeline.untilDelivered(1000)
    await pipeline.endLoad()

    const verdict = await pipeline.settle()
    t.diagnostic(describeVerdict(verdict))
    assertKept(verdict)
    assert.equal(verdict.produced, verdict.handedOver)
    assert.equal(verdict.duplicates, 0)
  }
)

test(
  'dispatchers that are stopped before their successors start deliver nothing twice',
  { skip: skipLong },
  async t => {
    const pipeline = await PipelineUnderTest.start(t, { dispatchers: 3 })
    await pipeline.slowFunctionBy(250)
    await pipeline.produce({ rate: 1500 })
    await pipeline.untilDelivered(1000)
    for (const old of pipeline.dispatchers.slice()) {
      await pipeline.drainDispatcher(old)
      await pipeline.startDispatcher()
      await pipeline.untilAssigned()
    }
    await pipeline.endLoad()

    const verdict = await pipeline.settle()
    t.diagnostic(describeVerdict(verdict))
    assertKept(verdict)
    assert.equal(verdict.produced, verdict.handedOver)
    assert.equal(verdict.duplicates, 0)
  }
)
