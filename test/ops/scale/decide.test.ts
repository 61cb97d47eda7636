/** The size of a fleet, decided in virtual time: the users' incident, flapping, storms, hot partitions, sickness. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { decide, stepTaken } from '../../../src/ops/scale/decide.ts'
import {
  DEFAULT_SCALE_POLICY,
  EMPTY_SCALE_STATE,
  type ScaleDecision,
  type ScaleObservation,
  type ScalePolicy,
  type ScaleState
} from '../../../src/ops/scale/scale-types.ts'
import { ScaleWorld } from './scale-world.ts'

const policy: ScalePolicy = { ...DEFAULT_SCALE_POLICY, instancesMin: 2, instancesMax: 12 }

function reasonsOf(world: ScaleWorld, hold: ScaleDecision['hold']): string {
  const found = world.decisions.find(decision => decision.hold === hold)
  return found?.reasons.join('\n') ?? ''
}

test('more arrives than the fleet takes: it grows to what the drain-time formula asks for, and says why', () => {
  const world = new ScaleWorld({ policy, partitions: 12, instances: 2, arrival: () => 5000, rate: () => 1500 })
  world.runTo(1800)
  // 5000 ÷ 1500 = 3.3, and the backlog on top.
  assert.ok(world.instances >= 4 && world.instances <= 6, `${world.instances}`)
  assert.ok((world.lags.at(-1)?.seconds ?? 99) <= 5)
  const first = world.decisions.find(decision => decision.action === 'resize')
  assert.match(first?.reasons[0] ?? '', /^lag \d+ s \([\d,]+ records\) is within 60 s; 3,000\/s are taken$/)
  assert.match(first?.reasons.at(-1) ?? '', /^\(5,000\/s arriving\) ÷ 1,500\/s per instance = /)
  assert.ok((first?.alternatives.length ?? 0) >= 3)
})

test('load that swings around a boundary does not make the size swing', () => {
  const swing = (second: number): number => 3000 + 300 * Math.sin((second / 120) * 2 * Math.PI)
  const world = new ScaleWorld({ policy, partitions: 12, instances: 2, arrival: swing, rate: () => 1000 })
  world.runTo(4 * 3600)
  const turns = world.sizes.filter(
    ({ from, to }, index) =>
      index > 0 && to > from !== (world.sizes[index - 1]?.to ?? 0) > (world.sizes[index - 1]?.from ?? 0)
  )
  assert.ok(turns.length <= 1, JSON.stringify(world.sizes))
  assert.ok((world.lags.at(-1)?.seconds ?? 99) <= 60)
})

test('less arrives: one instance at a time is taken away, each after a whole window, never below the minimum', () => {
  const arrival = (second: number): number => (second < 1800 ? 8000 : 1000)
  const world = new ScaleWorld({ policy, partitions: 12, instances: 8, arrival, rate: () => 1200 })
  world.runTo(3 * 3600)
  const down = world.sizes.filter(({ from, to }) => to < from)
  assert.ok(down.length >= 3)
  for (const { from, to } of down) assert.equal(from - to, 1)
  for (const [index, { second }] of down.entries()) {
    const before = down[index - 1]?.second
    if (before !== undefined) assert.ok(second - before >= 300, `${second} after ${before}`)
  }
  assert.equal(world.instances, 2)
  assert.ok((world.lags.at(-1)?.seconds ?? 99) <= 60)
})

test('the users’ incident, 10:13 to 11:00: no step while it rebalances or the Lambda is slow, then one drain', () => {
  // Three instances restart at once, and from 10:15 to 10:30 an invocation takes 950 ms instead of 120.
  const slow = (second: number): boolean => second >= 900 && second < 1800
  const world = new ScaleWorld({
    policy: { ...policy, instancesMin: 3, targetLagSeconds: 30 },
    partitions: 40,
    instances: 3,
    arrival: () => 2000,
    rate: second => (slow(second) ? 1000 * (120 / 950) : 1000),
    target: second => ({ isBreakerOpen: false, latencyMs: slow(second) ? 950 : 120 }),
    rebalanceSeconds: 60
  })
  world.runTo(780) // 10:13
  assert.deepEqual(world.sizes, [])
  world.disturb(60)
  world.runTo(1080)
  assert.deepEqual(world.sizes, [], 'no step while the group rebalances, nor while the target is slow')
  assert.match(reasonsOf(world, 'rebalance'), /PreparingRebalance/)
  assert.match(
    reasonsOf(world, 'sickTarget'),
    /an invocation takes 950 ms, usually 120 ms, and an instance does \d+\/s/
  )
  world.runTo(3600)
  const peak = Math.max(...world.lags.map(({ records }) => records))
  assert.ok(peak > 500_000 && peak < 2_000_000, `${peak}`)
  const last = world.lags.at(-1)
  assert.ok((last?.seconds ?? 99) <= 30, `by 11:00 the lag is normal: ${JSON.stringify(last)}`)
  world.runTo(3 * 3600)
  const ups = world.sizes.filter(({ from, to }) => to > from).length
  assert.ok(ups <= 3, JSON.stringify(world.sizes))
  assert.equal(world.instances, 3, 'and it is as large as before when all is over')
})

test('a group that rebalances again and again is left alone', () => {
  const world = new ScaleWorld({
    policy: { ...policy, instancesMin: 3 },
    partitions: 12,
    instances: 3,
    arrival: second => (second < 1100 ? 2000 : 4000),
    rate: () => 1000,
    storm: second => second >= 300 && second < 3600 && second % 240 < 60
  })
  world.runTo(3600)
  assert.deepEqual(world.sizes, [])
  assert.match(reasonsOf(world, 'storm'), /\d+ rebalances in 15 min that no step explains/)
  world.runTo(3 * 3600)
  assert.ok(world.sizes.length > 0, 'and grows when it is quiet again')
})

test('a hot partition that is alone on its consumer: more consumers will not help', () => {
  const shares = [0.5, ...Array.from({ length: 5 }, () => 0.1)]
  const world = new ScaleWorld({
    policy: { ...policy, instancesMin: 6 },
    partitions: 6,
    instances: 6,
    shares,
    arrival: () => 2000,
    rate: () => 800
  })
  world.runTo(1800)
  assert.deepEqual(world.sizes, [])
  const wide = new ScaleWorld({
    policy: { ...policy, instancesMin: 4 },
    partitions: 40,
    instances: 4,
    shares: Array.from({ length: 40 }, (_, index) => (index === 3 ? 0.5 : index % 4 === 3 ? 0.000_01 : 0.5 / 30)),
    arrival: () => 2000,
    rate: () => 800
  })
  wide.runTo(1800)
  assert.deepEqual(wide.sizes, [])
  assert.match(reasonsOf(wide, 'hotPartition'), /more consumers will not help: 100 % of the lag .* is in mt-c400-3/)
})

test('an open breaker, and a rate that has collapsed without one, hold the fleet as it is', () => {
  const isDown = (second: number): boolean => second >= 600
  const down = new ScaleWorld({
    policy,
    partitions: 12,
    instances: 3,
    arrival: () => 2500,
    rate: second => (isDown(second) ? 100 : 1000),
    target: second => ({ isBreakerOpen: isDown(second), latencyMs: undefined })
  })
  // Busy for a while, so that its rate is known.
  down.disturb(90)
  down.runTo(3600)
  assert.deepEqual(
    down.sizes.filter(({ second }) => second >= 600),
    []
  )
  assert.match(reasonsOf(down, 'sickTarget'), /a breaker is open/)
})

test('a step that lowers the throughput is taken back, and not tried again for a while', () => {
  // A target that collapses under more than 4 callers.
  let world: ScaleWorld | undefined
  const rate = (): number => ((world?.instances ?? 0) > 4 ? 300 : 1000)
  world = new ScaleWorld({ policy, partitions: 12, instances: 4, arrival: () => 4500, rate })
  world.runTo(1500)
  const [up, back] = world.sizes
  assert.equal(up?.from, 4)
  assert.ok((up?.to ?? 0) > 4)
  assert.equal(back?.to, 4)
  const reversed = world.decisions.find(({ action, to }) => action === 'resize' && to === 4)
  assert.match(reversed?.reasons[0] ?? '', /^the step from 4 to \d+ lowered the throughput: .*, so it is taken back$/)
  world.runTo((back?.second ?? 0) + 1700)
  assert.equal(world.sizes.length, 2, JSON.stringify(world.sizes))
})

test('a step that does not raise the throughput is not followed by another', () => {
  // Each partition gives 200 a second, however many consumers there are.
  const world = new ScaleWorld({
    policy,
    partitions: 8,
    instances: 2,
    arrival: () => 3000,
    rate: () => 2000,
    partitionRate: 200
  })
  world.runTo(1700)
  assert.ok(world.sizes.length <= 1, JSON.stringify(world.sizes))
  assert.match(reasonsOf(world, 'ceiling'), /did not raise the throughput/)
})

test('12 partitions: 5 instances become 6, and 10 do what 6 do', () => {
  const busy = (instances: number, instancesMax: number): ScaleDecision => {
    const world = new ScaleWorld({
      policy: { ...policy, instancesMax, stepUpRatio: 4 },
      partitions: 12,
      instances,
      arrival: () => 4600,
      rate: () => 1000
    })
    world.runTo(900)
    const found = world.decisions.find(({ action }) => action === 'resize')
    assert.ok(found !== undefined)
    return found
  }
  assert.equal(busy(4, 6).to, 6)
  const bounded = busy(3, 10)
  assert.equal(bounded.to, 6, bounded.reasons.join('\n'))
})

test('KEDA’s rules decide where that is asked for, within the same vetoes', () => {
  const world = new ScaleWorld({
    policy: { ...policy, mode: 'keda', keda: { lagThreshold: 20_000 } },
    partitions: 12,
    instances: 2,
    arrival: () => 3000,
    rate: () => 1000
  })
  const seen = world.observe()
  const partitions = seen.partitions.map(each => ({
    ...each,
    arrivalRate: 250,
    serviceRate: 166,
    lagRecords: 10_000,
    lagSeconds: 40,
    committed: 0n,
    endOffset: 10_000n
  }))
  const observation = { ...seen, partitions }
  const state: ScaleState = { ...EMPTY_SCALE_STATE, settledSinceMs: seen.atMs - 600_000, members: seen.members ?? [] }
  const { decision } = decide(
    { observation, state, policy: { ...policy, mode: 'keda', keda: { lagThreshold: 20_000 } } },
    seen.atMs
  )
  // 120,000 ÷ 20,000 = 6; a step may double.
  assert.equal(decision.computed, 6)
  assert.equal(decision.to, 4)
  assert.match(decision.reasons.at(-1) ?? '', /^KEDA: lag 120000 ÷ 20000 = 6/)
})

test('a minimum above the partitions, or above what the fleet allows itself, does not make the size swing', () => {
  for (const [partitions, fleetMax] of [
    [3, undefined],
    [12, 3]
  ] as const) {
    const many: ScalePolicy = { ...policy, instancesMin: 5 }
    let state: ScaleState = EMPTY_SCALE_STATE
    const sizes = [2]
    for (let second = 0; second < 7200; second += 15) {
      const nowMs = 1_700_000_000_000 + second * 1000
      const size = sizes.at(-1) ?? 0
      const seen = observed(new SeededRandom(second), { nowMs, size, partitionCount: partitions })
      const observation: ScaleObservation = {
        ...seen,
        wanted: size,
        running: size,
        fleetMax,
        groupState: 'Stable',
        problems: [],
        partitions: seen.partitions.map(each => ({ ...each, lagRecords: 0, lagSeconds: 0, serviceRate: 1 }))
      }
      const { decision, state: next } = decide({ observation, state, policy: many }, nowMs)
      state = next
      if (decision.action === 'hold') continue
      state = stepTaken(state, decision, observation)
      sizes.push(decision.to ?? 0)
    }
    assert.deepEqual(sizes, [2, 3])
  }
})

test('a clock that was set back does not hold a fleet until it has caught up', () => {
  const nowMs = 1_700_000_000_000
  const aheadMs = nowMs + 86_400_000
  const step = { atMs: aheadMs, from: 1, to: 2, by: 'scaler', throughput: undefined, verdict: 'unjudged' } as const
  const seen = observed(new SeededRandom(1), { nowMs, size: 2, partitionCount: 4 })
  const { state } = decide(
    {
      observation: { ...seen, wanted: 2, running: 2, groupState: 'Stable', problems: [] },
      state: {
        ...EMPTY_SCALE_STATE,
        settledSinceMs: aheadMs,
        sickSinceMs: aheadMs,
        lastWanted: 2,
        lastStep: step,
        members: ['m0', 'm1'],
        rebalancesMs: [aheadMs],
        wants: [{ atMs: aheadMs, instances: 1 }],
        ceiling: { instances: 2, untilMs: aheadMs, reason: 'x' }
      },
      policy
    },
    nowMs
  )
  assert.equal(state.lastStep?.atMs, nowMs)
  assert.equal(state.settledSinceMs, nowMs)
  assert.equal(state.ceiling?.untilMs, nowMs + policy.ceilingSeconds * 1000)
  assert.deepEqual([state.rebalancesMs, state.wants.filter(({ atMs }) => atMs > nowMs)], [[], []])
})

test('whatever is seen: never above a limit, never within a pause, never on missing data', () => {
  const seed = Number(process.env['TEST_SEED'] ?? 20_261_121)
  console.log(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 60; round += 1) walk(random)
})

function walk(random: SeededRandom): void {
  const partitionCount = 1 + randomInt(random, 20)
  const chosen: ScalePolicy = {
    ...DEFAULT_SCALE_POLICY,
    instancesMin: 1 + randomInt(random, 3),
    instancesMax: 3 + randomInt(random, 12),
    mode: random.next() < 0.2 ? 'keda' : 'drain',
    keda: { lagThreshold: 1 + randomInt(random, 5000) },
    measureSeconds: randomInt(random, 60),
    stabilizationSeconds: randomInt(random, 300)
  }
  let state: ScaleState = EMPTY_SCALE_STATE
  let size = 1 + randomInt(random, 15)
  let nowMs = 1_700_000_000_000
  let lastStepMs = Number.NEGATIVE_INFINITY
  for (let look = 0; look < 200; look += 1) {
    nowMs += 1000 + randomInt(random, 30_000)
    const observation = observed(random, { nowMs, size, partitionCount })
    const { decision, state: next } = decide({ observation, state, policy: chosen }, nowMs)
    state = next
    if (decision.action === 'hold') {
      assert.equal(decision.to, decision.from)
      assert.ok(decision.reasons.length > 0)
      continue
    }
    const to = decision.to ?? -1
    const least = Math.min(chosen.instancesMin, partitionCount)
    assert.ok(to >= least || to === size - 1)
    const isGrowth = to > size
    if (isGrowth) assert.ok(to <= Math.max(chosen.instancesMax, chosen.instancesMin))
    if (isGrowth) assert.ok(to <= partitionCount, decision.reasons.join('\n'))
    const isReversal = decision.reasons[0]?.endsWith('so it is taken back') === true
    assert.ok(isGrowth || isReversal || to === size - 1)
    const pause = isGrowth || isReversal ? chosen.upCooldownSeconds : chosen.downCooldownSeconds
    assert.ok(nowMs - lastStepMs >= pause * 1000, 'within the pause')
    if (size >= least) {
      assert.equal(observation.groupState, 'Stable')
      assert.deepEqual(observation.problems, [])
      assert.ok(
        observation.partitions.every(({ serviceRate, arrivalRate }) => (serviceRate ?? arrivalRate) !== undefined)
      )
    }
    state = stepTaken(state, decision, observation)
    size = to
    lastStepMs = nowMs
  }
}

function observed(
  random: SeededRandom,
  { nowMs, size, partitionCount }: { nowMs: number; size: number; partitionCount: number }
): ScaleObservation {
  const isUnknown = random.next() < 0.05
  return {
    atMs: nowMs,
    wanted: random.next() < 0.03 ? undefined : size,
    running: random.next() < 0.05 ? size - 1 : size,
    groupState: random.next() < 0.05 ? 'PreparingRebalance' : random.next() < 0.03 ? undefined : 'Stable',
    members: Array.from({ length: size }, (_, index) => `m${index}`),
    partitions: Array.from({ length: partitionCount }, (_, index) => {
      const lagRecords = random.next() < 0.4 ? 0 : randomInt(random, 200_000)
      return {
        topic: 't',
        partition: index,
        owner: `m${index % size}`,
        lagRecords,
        lagSeconds: lagRecords === 0 ? 0 : random.next() < 0.02 ? undefined : randomInt(random, 400),
        arrivalRate: random.next() * 1000,
        serviceRate: isUnknown && index === 0 ? undefined : random.next() * 1000,
        committed: 0n,
        endOffset: BigInt(lagRecords)
      }
    }),
    target: random.next() < 0.5 ? undefined : { isBreakerOpen: random.next() < 0.1, latencyMs: random.next() * 500 },
    problems: random.next() < 0.03 ? ['the lag could not be read'] : []
  }
}
