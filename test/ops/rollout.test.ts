/** A rollout, decided: never two down, never on what is unknown, halted by any gate; resumed, paused, warned. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, type Random, SeededRandom, VirtualClock } from '../../src/core/index.ts'
import type { FleetActuator, FleetInstance } from '../../src/ops/fleet/fleet.ts'
import { assignorWarnings } from '../../src/ops/rollout/assignors.ts'
import type { PartitionLag } from '../../src/ops/lag/lag-types.ts'
import { decideRollout, newRollout, resumeRollout } from '../../src/ops/rollout/decide-rollout.ts'
import { lagOf } from '../../src/ops/rollout/observe-rollout.ts'
import { planRollout } from '../../src/ops/rollout/plan-rollout.ts'
import {
  DEFAULT_ROLLOUT_POLICY,
  type RolloutObservation,
  type RolloutState
} from '../../src/ops/rollout/rollout-types.ts'
import { runRollout } from '../../src/ops/rollout/rollout.ts'
import { groupLag, lagReport, partitionLag } from './slo/lag-reports.ts'

const policy = { ...DEFAULT_ROLLOUT_POLICY, settleSeconds: 10, stepTimeoutSeconds: 120 }
const startMs = 1_700_000_000_000

function seen(changes: Partial<RolloutObservation> & { readonly pids?: readonly number[] } = {}): RolloutObservation {
  const { pids = [1, 2, 3], ...rest } = changes
  return {
    atMs: startMs,
    instances: pids.map((pid, index) => ({
      id: `d-${index + 1}`,
      state: 'running',
      health: 'up',
      incarnation: `${pid}`
    })),
    groupState: 'Stable',
    members: pids.map(pid => ({ memberId: `m-${pid}`, partitions: 4 })),
    partitionCount: 12,
    lagSeconds: 2,
    deadLetters: 0n,
    problems: [],
    ...rest
  }
}

/** Decides at a second after the start. */
function decideAt(
  second: number,
  state: RolloutState,
  observation: RolloutObservation
): ReturnType<typeof decideRollout> {
  const nowMs = startMs + second * 1000
  return decideRollout({ observation: { ...observation, atMs: nowMs }, state, policy }, nowMs)
}

/** A rollout whose first instance has just been taken. */
function taken(): RolloutState {
  const first = decideAt(0, newRollout('local', seen()), seen())
  assert.deepEqual(first.action, { kind: 'wait', reasons: ['settled; 10 s to be sure'] })
  const { action, state } = decideAt(10, first.state, seen())
  assert.deepEqual(action.kind === 'restart' && action.instance, { id: 'd-1', incarnation: '1' })
  return state
}

test('the next instance is taken only after the last one is another, and every gate has been open for a while', () => {
  let state = taken()
  const waits: string[] = []
  const look = (second: number, observation: RolloutObservation): string => {
    const answer = decideAt(second, state, observation)
    state = answer.state
    waits.push(answer.action.reasons.join('; '))
    return answer.action.kind
  }
  assert.equal(look(11, seen()), 'wait')
  assert.match(waits.at(-1) ?? '', /d-1 is still the old one/)
  assert.equal(look(12, seen({ pids: [9, 2, 3], groupState: 'PreparingRebalance' })), 'wait')
  assert.match(waits.at(-1) ?? '', /the group is PreparingRebalance, not Stable/)
  const withoutNew = seen({ pids: [9, 2, 3], members: [2, 3].map(pid => ({ memberId: `m-${pid}`, partitions: 6 })) })
  assert.equal(look(13, withoutNew), 'wait')
  assert.match(waits.at(-1) ?? '', /2 members, 3 were there before/)
  const idle = [0, 6, 6].map((partitions, index) => ({ memberId: `m-${index}`, partitions }))
  assert.equal(look(14, seen({ pids: [9, 2, 3], members: idle })), 'wait')
  assert.match(waits.at(-1) ?? '', /1 members own no partition yet/)
  assert.equal(look(15, seen({ pids: [9, 2, 3], lagSeconds: 95 })), 'wait')
  assert.match(waits.at(-1) ?? '', /the lag is 95 s, above 60 s/)
  assert.equal(look(16, seen({ pids: [9, 2, 3] })), 'wait')
  assert.equal(look(20, seen({ pids: [9, 2, 3], lagSeconds: undefined })), 'wait')
  assert.equal(look(25, seen({ pids: [9, 2, 3] })), 'wait', 'a gate that was shut in between begins the time anew')
  assert.equal(look(34, seen({ pids: [9, 2, 3] })), 'wait')
  assert.equal(look(35, seen({ pids: [9, 2, 3] })), 'restart')
  assert.deepEqual(state.done, ['d-1'])
  assert.equal(state.current?.id, 'd-2')
})

test('a failed instance, a lag out of hand and many dead letters halt at once, a gate that stays shut in time', () => {
  const failed = seen({ pids: [9, 2, 3] }).instances?.map((each, index) =>
    index === 0 ? { ...each, state: 'failed' as const, health: 'CrashLoopBackOff' } : each
  )
  const halts: [RolloutObservation, RegExp][] = [
    [seen({ instances: failed }), /^d-1 \(CrashLoopBackOff\) failed while d-1 was being replaced$/],
    [seen({ pids: [9, 2, 3], lagSeconds: 700 }), /^the lag is 700 s, above 600 s \(before: 2 s\)$/]
  ]
  for (const [observation, reason] of halts) {
    const { action, state } = decideAt(20, taken(), observation)
    assert.equal(action.kind, 'halt')
    assert.match(action.reasons[0] ?? '', reason)
    assert.equal(decideAt(21, state, seen()).action.kind, 'halt', 'and stays halted')
  }
  const letters = decideAt(15, taken(), seen({ pids: [9, 2, 3], groupState: 'PreparingRebalance', deadLetters: 5n }))
  const many = decideAt(25, letters.state, seen({ pids: [9, 2, 3], deadLetters: 105n }))
  assert.equal(many.action.kind, 'halt')
  assert.match(many.action.reasons[0] ?? '', /^\d+\.?\d* dead letters per second, more than 1$/)
  const late = decideAt(131, taken(), seen({ pids: [9, 2, 3], groupState: 'PreparingRebalance' }))
  assert.equal(late.action.kind, 'halt')
  assert.match(late.action.reasons[0] ?? '', /^d-1 is not back within 120 s: the group is PreparingRebalance/)
})

test('after a halt it goes on where it was, and not before the instance under way is back', () => {
  const { state } = decideAt(131, taken(), seen({ pids: [9, 2, 3], groupState: 'Dead' }))
  let resumed = resumeRollout(state, startMs + 200_000)
  assert.equal(resumed.phase, 'restarting')
  for (const second of [201, 211]) resumed = decideAt(second, resumed, seen({ pids: [9, 2, 3] })).state
  assert.deepEqual(resumed.done, ['d-1'])
  assert.equal(resumed.current?.id, 'd-2')
})

test('killed after it was written down and before it was asked for: the instance is taken again', () => {
  const stuck = decideAt(140, taken(), seen()).state
  assert.match(stuck.haltReason ?? '', /d-1 is still the old one/)
  let resumed = resumeRollout(stuck, startMs + 200_000)
  const actions: string[] = []
  for (const second of [201, 211]) {
    const { action, state } = decideAt(second, resumed, seen())
    actions.push(action.kind === 'restart' ? `restart ${action.instance.id}` : action.kind)
    resumed = state
  }
  assert.deepEqual(actions, ['wait', 'restart d-1'])
  // From here on it is as ever: nothing else is taken before it is another.
  assert.deepEqual(
    [221, 231].map(second => decideAt(second, resumed, seen()).action.kind),
    ['wait', 'wait']
  )
  assert.deepEqual(resumed.done, [])
})

test('the lag of a group is unknown to a rollout while that of any partition is', () => {
  const ageOf = (...partitions: PartitionLag[]) => lagOf(lagReport(0, groupLag({ partitions })), 'billing').lagSeconds
  assert.equal(ageOf(partitionLag(), partitionLag({ partition: 1, lagRecords: 3n, lagSeconds: 7 })), 7)
  assert.equal(ageOf(partitionLag(), partitionLag({ isKnown: false, lagSeconds: undefined })), undefined)
  assert.equal(ageOf(partitionLag(), partitionLag({ flags: ['offline'] })), undefined)
})

test('canaries: it pauses after them, and goes on when that is said', () => {
  const canary = { ...policy, canary: 1 }
  let state = taken()
  const step = (second: number): string => {
    const nowMs = startMs + second * 1000
    const observation = seen({ pids: [9, 2, 3], atMs: nowMs })
    const answer = decideRollout({ observation, state, policy: canary }, nowMs)
    state = answer.state
    return answer.action.kind
  }
  step(20)
  assert.equal(step(31), 'pause')
  state = resumeRollout(state, startMs + 60_000)
  step(61)
  assert.equal(step(72), 'restart')
})

test('whatever happens between two looks: never two down by its doing, never on what is unknown', () => {
  const seed = Number(process.env['TEST_SEED'] ?? 20_261_122)
  console.log(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 60; round += 1) walk(random)
})

function walk(random: Random): void {
  const count = 1 + randomInt(random, 5)
  let pids = Array.from({ length: count }, (_, index) => index + 1)
  const down = new Set<number>()
  let state = newRollout('local', seen({ pids }))
  let restarts = 0
  for (let second = 1; second < 900 && state.phase !== 'done'; second += 1 + randomInt(random, 8)) {
    // What is down comes back; now and then something else falls.
    for (const index of down) if (random.next() < 0.3) down.delete(index)
    if (random.next() < 0.02) down.add(randomInt(random, count))
    const isUnknown = random.next() < 0.05
    const base = seen({ pids, lagSeconds: isUnknown ? undefined : random.next() * 70 })
    const observation: RolloutObservation = {
      ...base,
      groupState: random.next() < 0.1 ? 'PreparingRebalance' : 'Stable',
      instances: base.instances?.map((each, index) =>
        down.has(index) ? { ...each, state: 'starting' as const } : each
      ),
      members: pids.map(pid => ({ memberId: `m-${pid}`, partitions: 12 })).filter((_, index) => !down.has(index))
    }
    const answer = decideAt(second, state, observation)
    state = answer.state
    if (answer.action.kind === 'halt') state = resumeRollout(state, startMs + second * 1000)
    if (answer.action.kind !== 'restart') continue
    assert.equal(down.size, 0, 'another is down')
    assert.equal(isUnknown, false)
    assert.equal(observation.groupState, 'Stable')
    const { instance } = answer.action
    const index = Number(instance.id.slice(2)) - 1
    restarts += 1
    pids = pids.map((pid, at) => (at === index ? pid + 100 : pid))
    down.add(index)
  }
  assert.ok(restarts <= count, 'each is taken once')
}

test('a keeper that rolls by itself is let go for one instance, held again, and let go at the end', async () => {
  const clock = new VirtualClock()
  const keeper = new Deployment()
  const looks = async (): Promise<RolloutObservation> => {
    keeper.turn()
    const instances = (await keeper.instances()).map(each => ({ ...each, incarnation: each.id }))
    return seen({ instances, members: instances.map(({ id }) => ({ memberId: id, partitions: 4 })), atMs: clock.now() })
  }
  const running = runRollout(
    { fleet: keeper, policy: { ...policy, settleSeconds: 1 }, observe: looks, pollSeconds: 1, clock },
    newRollout(keeper.name, await looks())
  )
  let ended: RolloutState | undefined
  void running.then(state => (ended = state))
  for (let second = 0; second < 120 && ended === undefined; second += 1) await clock.advance(500)
  assert.equal(ended?.phase, 'done')
  assert.deepEqual(await keeper.instances().then(pods => pods.map(({ id }) => id)), ['new-1', 'new-2', 'new-3'])
  assert.equal(keeper.mostDown, 1)
  assert.deepEqual(keeper.log, ['begin', ...Array.from({ length: 3 }, () => ['resume', 'pause']).flat(), 'resume'])
})

/** What a Deployment with maxUnavailable 1 and maxSurge 0 does. */
class Deployment implements FleetActuator {
  readonly name = 'kubernetes/default/consumer'
  readonly log: string[] = []
  mostDown = 0
  #pods: FleetInstance[] = ['old-1', 'old-2', 'old-3'].map(id => ({ id, state: 'running', health: 'Ready' }))
  #begun = 0
  #isPaused = false
  readonly rollout = {
    goBack: 'kubectl rollout undo',
    check: () => Promise.resolve([]),
    begin: () => this.#say('begin', true),
    pause: () => this.#say('pause', true),
    resume: () => this.#say('resume', false),
    status: () => {
      this.turn()
      const unavailable = this.#pods.filter(({ state }) => state !== 'running').length
      const updated = this.#begun - unavailable
      return Promise.resolve({ updated, begun: this.#begun, total: 3, unavailable, isPaused: this.#isPaused })
    }
  }

  size(): Promise<{ wanted: number; running: number; min: undefined; max: undefined }> {
    return Promise.resolve({ wanted: 3, running: 3, min: undefined, max: undefined })
  }

  resize(): Promise<void> {
    return Promise.reject(new Error('not here'))
  }

  restart(): Promise<void> {
    return Promise.reject(new Error('not here'))
  }

  instances(): Promise<readonly FleetInstance[]> {
    return Promise.resolve(this.#pods.toSorted((a, b) => (a.id < b.id ? -1 : 1)))
  }

  /** The controller: what starts is ready, and one old pod is replaced if all are and it may. */
  turn(): void {
    const isReady = this.#pods.every(({ state }) => state === 'running')
    this.#pods = this.#pods.map(pod => ({ ...pod, state: 'running' }))
    const old = this.#pods.find(({ id }) => id.startsWith('old'))
    if (this.#isPaused || !isReady || old === undefined || this.log.length === 0) return
    this.#begun += 1
    const fresh: FleetInstance = { id: `new-${this.#begun}`, state: 'starting', health: 'Pending' }
    this.#pods = [...this.#pods.filter(pod => pod !== old), fresh]
    this.mostDown = Math.max(this.mostDown, 1)
  }

  #say(word: string, isPaused: boolean): Promise<void> {
    this.log.push(word)
    this.#isPaused = isPaused
    return Promise.resolve()
  }
}

test('mixed assignors: two rollouts, and a list that old members cannot join is said before', () => {
  const classic = { groupProtocol: 'auto' } as const
  assert.match(
    assignorWarnings({ ...classic, inUse: 'range', configured: ['cooperative-sticky'] })[0] ?? '',
    /Roll out twice: first with \[cooperative-sticky, range\], then with \[cooperative-sticky\] alone$/
  )
  assert.match(
    assignorWarnings({ ...classic, inUse: 'range', configured: ['cooperative-sticky', 'range'] })[0] ?? '',
    /This is the first of two rollouts: take range out/
  )
  assert.deepEqual(
    assignorWarnings({ ...classic, inUse: 'cooperative-sticky', configured: ['cooperative-sticky', 'range'] }),
    []
  )
  assert.deepEqual(assignorWarnings({ ...classic, inUse: 'uniform', configured: ['cooperative-sticky'] }), [])
})

test('a plan names the instances, and is blocked while a gate is shut or the keeper would take several', () => {
  const observation = seen({ groupState: 'PreparingRebalance' })
  const plan = planRollout({
    fleet: new Deployment(),
    state: newRollout('kubernetes/default/consumer', observation),
    observation,
    policy,
    staticSeconds: 45,
    keeperProblems: ['maxUnavailable is 25%']
  })
  assert.deepEqual(
    plan.effects.map(({ what }) => what),
    ['d-1', 'd-2', 'd-3']
  )
  assert.deepEqual(plan.blockers, ['maxUnavailable is 25%', 'the group is PreparingRebalance, not Stable'])
  assert.match(plan.warnings.join(), /one that is back within 45 s moves no partition/)
})
