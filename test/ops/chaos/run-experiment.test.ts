/** The runner of experiments: steady → harm → recovery → verdict, on a clock that stands still. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { VirtualClock } from '../../../src/core/index.ts'
import type { ChaosExperiment } from '../../../src/ops/chaos/experiment.ts'
import type { ChaosReport } from '../../../src/ops/chaos/judge.ts'
import { runExperiment } from '../../../src/ops/chaos/run-experiment.ts'
import { EXPERIMENT, MadeUpWorld, SOUND_AUDIT } from './made-up-world.ts'

/** Runs to the end; time passes as long as the run does. */
async function led(
  set: (world: MadeUpWorld, stop: AbortController, clock: VirtualClock) => void = () => undefined,
  experiment: ChaosExperiment = EXPERIMENT
): Promise<{ report: ChaosReport; world: MadeUpWorld; clock: VirtualClock }> {
  const clock = new VirtualClock()
  const world = new MadeUpWorld(clock)
  const stop = new AbortController()
  set(world, stop, clock)
  let isOver = false
  const limits = { stepMaxMs: 10_000, settleMaxMs: 20_000, steadyWithinMs: 10_000 }
  const running = runExperiment(experiment, { world, clock, signal: stop.signal, ratePerSecond: 100, ...limits })
  void running.then(
    () => (isOver = true),
    () => (isOver = true)
  )
  for (let step = 0; step < 2000 && !isOver; step += 1) await clock.advance(50)
  assert.ok(isOver, 'the run ends within 100 s')
  return { report: await running, world, clock }
}

test('a pipeline that stays steady holds, and everything is restored and closed', async () => {
  const { report, world, clock } = await led()

  assert.equal(report.verdict, 'holds')
  assert.deepEqual(report.reasons, [])
  assert.deepEqual(world.calls, ['start', 'load', 'faults', 'faults', 'restore', 'settle', 'restore', 'close'])
  assert.equal(Math.round(report.before?.deliveredPerSecond ?? 0), 100)
  assert.ok((report.harm?.toMs ?? 0) - (report.harm?.fromMs ?? 0) >= 2000)
  assert.equal(clock.pendingCount, 0, 'no timer is left')
})

test('recovery is the time from the end of the harm to the steady state', async () => {
  const { report } = await led(world => {
    // Steady for 3.25 s, harmed for 2 s; after that 4 s without deliveries.
    world.seenAt = ms => (ms > 3500 && ms < 9250 ? { delivered: 350 } : {})
  })

  assert.equal(report.verdict, 'holds')
  assert.ok(report.recoveredMs !== undefined && report.recoveredMs >= 3500 && report.recoveredMs <= 5000)
})

test('a pipeline that does not come back in time refutes the hypothesis', async () => {
  const { report } = await led(world => {
    world.seenAt = ms => (ms > 4000 ? { delivered: 400 } : {})
  })

  assert.equal(report.verdict, 'refuted')
  assert.match(report.reasons.join(), /steady state was not there again 5 s after the harm/)
  assert.equal(report.after, undefined)
})

test('loss, wrong order and too many repeats refute it, each with its number', async () => {
  const { report } = await led(world => {
    const lost = { count: 7, examples: ['0-1'] }
    world.audit = { ...SOUND_AUDIT, holds: false, lost, outOfOrder: { count: 2, examples: ['0-9'] }, duplicates: 3 }
  })

  assert.equal(report.verdict, 'refuted')
  assert.deepEqual(report.reasons, [
    '7 events lost, for example 0-1',
    '2 events delivered out of order, for example 0-9',
    '3 deliveries repeated one: at most 0 may'
  ])
})

test('the hypothesis has its own say', async () => {
  const experiment: ChaosExperiment = { ...EXPERIMENT, refute: ({ lagMax }) => [`lag was ${lagMax}`] }
  const { report } = await led(undefined, experiment)

  assert.deepEqual([report.verdict, report.reasons], ['refuted', ['lag was 10']])
})

test('without a steady state nothing is harmed', async () => {
  const { report, world } = await led(world => {
    world.seenAt = () => ({ delivered: 0 })
  })

  assert.equal(report.verdict, 'unsteady')
  assert.match(report.reasons.join(), /nothing was harmed: 0 deliveries\/s, which is below 80/)
  assert.deepEqual(world.calls, ['start', 'load', 'restore', 'close'])
})

const lagging = new Map([['t-0', { committed: 400, end: 1401, logStart: 0 }]])
const deleted = new Map([['t-0', { committed: 400, end: 900, logStart: 450 }]])
for (const [what, seen, reason] of [
  ['lag above its bound', { offsets: lagging }, /lag 1001 is more than 10 s of the load/],
  ['records deleted unread', { offsets: deleted }, /loss: 50 records were deleted before they were read/],
  ['sound records in the dead letter topic', { strayDeadLetters: 1 }, /1 records in the dead letter topic/],
  ['a part that ends by itself', { ended: ['lambda-1: gone'] }, /ended by itself: lambda-1: gone/]
] as const) {
  test(`${what} gives the run up in the middle of the harm, and restores`, async () => {
    const { report, world } = await led(world => {
      world.seenAt = ms => (ms > 4000 ? seen : {})
    })

    assert.equal(report.verdict, 'aborted')
    assert.match(report.reasons.join(), reason)
    assert.deepEqual(world.calls, ['start', 'load', 'faults', 'restore', 'restore', 'close'])
  })
}

test('the end of a part that may end is not a reason to give up', async () => {
  const abort = { ...EXPERIMENT.abort, mayEnd: ['dispatcher'] }
  const { report } = await led(world => (world.seenAt = () => ({ ended: ['dispatcher-1: fenced'] })), {
    ...EXPERIMENT,
    abort
  })

  assert.equal(report.verdict, 'holds')
})

test('Ctrl-C in the middle of the harm restores and closes', async () => {
  const { report, world } = await led((world, stop, clock) => {
    world.onApply = () => {
      clock.after(500, () => stop.abort())
      return Promise.resolve()
    }
  })

  assert.equal(report.verdict, 'interrupted')
  assert.deepEqual(world.calls, ['start', 'load', 'faults', 'restore', 'restore', 'close'])
})

test('Ctrl-C before the start starts nothing', async () => {
  const { report, world } = await led((_, stop) => stop.abort())

  assert.equal(report.verdict, 'interrupted')
  assert.deepEqual(world.calls, ['restore', 'close'])
})

test('a step that never ends is given up, restored, and told to stop', async () => {
  let isTold = false
  const { report, world } = await led(world => {
    world.onApply = (_, signal) => {
      signal.addEventListener('abort', () => (isTold = true))
      return new Promise(() => undefined)
    }
  })

  assert.equal(report.verdict, 'failed')
  assert.match(report.reasons.join(), /950 ms slower: took longer than 10 s/)
  assert.deepEqual(world.calls.slice(-2), ['restore', 'close'])
  assert.equal(isTold, true)
})

test('Ctrl-C ends a step that hangs', async () => {
  const { report } = await led((world, stop, clock) => {
    world.onApply = () => {
      clock.after(500, () => stop.abort())
      return new Promise(() => undefined)
    }
  })

  assert.equal(report.verdict, 'interrupted')
  assert.ok(report.tookMs < 10_000)
})

test('a pipeline that does not start fails, and what it had started is closed', async () => {
  const { report, world } = await led(world => {
    world.onStart = () => Promise.reject(new Error('port in use'))
  })

  assert.deepEqual([report.verdict, report.reasons], ['failed', ['port in use']])
  assert.deepEqual(world.calls, ['start', 'restore', 'close'])
})

test('records that are never committed fail the run: ERR_OPS_CHAOS_TIMEOUT', async () => {
  const { report, world } = await led(world => {
    world.onSettle = () => new Promise(() => undefined)
  })

  assert.equal(report.verdict, 'failed')
  assert.equal(report.code, 'ERR_OPS_CHAOS_TIMEOUT')
  assert.match(report.reasons.join(), /everything to be committed: took longer than 20 s/)
  assert.deepEqual(world.calls.slice(-3), ['settle', 'restore', 'close'])
})

test('a pipeline that cannot be looked at any more is restored and closed', async () => {
  const { report, world } = await led(world => (world.looksFailAtMs = 4000))

  assert.deepEqual([report.verdict, report.reasons], ['failed', ['blind']])
  assert.deepEqual(world.calls.slice(-2), ['restore', 'close'])
})

test('what cannot be removed is said, and spoils a run that held', async () => {
  const { report } = await led(world => {
    world.onClose = () => Promise.reject(new Error('topics stay'))
  })

  assert.deepEqual([report.verdict, report.reasons], ['failed', ['not everything could be removed: topics stay']])
})

test('the load goes on until enough was made', async () => {
  const clock = new VirtualClock()
  const world = new MadeUpWorld(clock)
  const signal = new AbortController().signal
  const running = runExperiment(EXPERIMENT, { world, clock, signal, ratePerSecond: 100, recordsMin: 3000 })
  let report: ChaosReport | undefined
  void running.then(done => (report = done))
  for (let step = 0; step < 1000 && report === undefined; step += 1) await clock.advance(50)

  assert.equal(report?.verdict, 'holds')
  assert.ok((report?.lagCurve.at(-1)?.delivered ?? 0) >= 3000)
})
