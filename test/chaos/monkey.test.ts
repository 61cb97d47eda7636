/** One harm after another, by a seed, under load: whatever comes together, nothing is lost and order holds. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom, systemClock } from '../../src/core/index.ts'
import { describeVerdict, PipelineUnderTest } from '../support/pipeline-under-test.ts'
import { assertKept, skipLong } from './support.ts'

const steps = Number(process.env['CHAOS_STEPS'] ?? 8)

type Harm = (pipeline: PipelineUnderTest, pick: (limit: number) => number) => Promise<void>

/** A dispatcher that runs, so that two harms do not meet the same dead one. */
function running(pipeline: PipelineUnderTest, pick: (limit: number) => number) {
  const all = pipeline.dispatchers.filter(each => each.isRunning)
  const found = all[pick(all.length)]
  assert.ok(found !== undefined)
  return found
}

/** None waits for its effect to be over: the next one comes into the middle of it. */
const harms: Readonly<Record<string, Harm>> = {
  killDispatcher: async (pipeline, pick) => {
    await running(pipeline, pick).kill()
    await pipeline.startDispatcher()
  },
  replaceDispatcher: async (pipeline, pick) => {
    const old = running(pipeline, pick)
    await Promise.all([pipeline.startDispatcher(), pipeline.drainDispatcher(old)])
  },
  freezeDispatcher: async (pipeline, pick) => {
    const { pid } = running(pipeline, pick)
    process.kill(pid, 'SIGSTOP')
    await pipeline.untilProduced(14_000)
    process.kill(pid, 'SIGCONT')
  },
  killBroker: async pipeline => {
    await pipeline.killBroker()
    await pipeline.startBroker()
  },
  killBrokerTwice: async (pipeline, pick) => {
    await pipeline.killBroker()
    await pipeline.startBroker()
    await pipeline.untilProduced(pick(2000))
    await pipeline.killBroker()
    await pipeline.startBroker()
  },
  freezeBroker: async pipeline => {
    process.kill(pipeline.brokerPid, 'SIGSTOP')
    // Longer than the sessions of 6 s; producers go on into their buffers meanwhile.
    await pipeline.untilProduced(14_000)
    process.kill(pipeline.brokerPid, 'SIGCONT')
  },
  killLambda: async pipeline => {
    await pipeline.killLambda()
    await pipeline.startLambda()
  },
  killService: async (pipeline, pick) => {
    const index = pick(2)
    await pipeline.killService(index)
    await pipeline.untilProduced(1000 + pick(4000))
    await pipeline.startService(index)
  },
  killBrokerAndDispatcher: async (pipeline, pick) => {
    await Promise.all([pipeline.killBroker(), running(pipeline, pick).kill()])
    await Promise.all([pipeline.startBroker(), pipeline.startDispatcher()])
  }
}

const seed = Number(process.env['TEST_SEED'] ?? systemClock.now())

test(`${steps} harms in a row lose nothing and keep the order (TEST_SEED=${seed})`, { skip: skipLong }, async t => {
  const random = new SeededRandom(seed)
  const pick = (limit: number): number => randomInt(random, limit)
  const pipeline = await PipelineUnderTest.start(t, { dispatchers: 3 })
  await pipeline.produce({ rate: 1000 })
  await pipeline.produce({ rate: 1000 })
  await pipeline.untilDelivered(1000)
  const names = Object.keys(harms)
  const done: string[] = []
  for (let step = 0; step < steps; step += 1) {
    const name = names[pick(names.length)] ?? ''
    done.push(name)
    t.diagnostic(name)
    await harms[name]?.(pipeline, pick)
    await pipeline.untilProduced(pick(3000))
  }
  await pipeline.untilDelivered(1000)
  await pipeline.endLoad()

  const verdict = await pipeline.settle()
  t.diagnostic(describeVerdict(verdict))
  assertKept(verdict)
  assert.equal(verdict.produced, verdict.handedOver)
})
