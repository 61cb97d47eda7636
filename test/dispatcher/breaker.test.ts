import assert from 'node:assert/strict'
import { test } from 'node:test'

import { VirtualClock } from '../../src/core/index.ts'
import { Breaker } from '../../src/dispatcher/breaker.ts'
import { type Slot, SlotQueue } from '../../src/dispatcher/slots.ts'

test('the breaker opens after failures in a row, not after as many among successes', () => {
  const breaker = new Breaker({ failuresMax: 3, openMs: 1000 })
  for (let round = 0; round < 5; round += 1) {
    breaker.failed(false, 0)
    breaker.failed(false, 0)
    breaker.succeeded(false)
  }
  assert.equal(breaker.state, 'closed')
  breaker.failed(false, 100)
  breaker.failed(false, 100)
  breaker.failed(false, 100)
  assert.equal(breaker.state, 'open')
  assert.deepEqual(breaker.permit(1099), { kind: 'wait', untilMs: 1100 })
})

test('one batch probes an open breaker while all others wait', () => {
  const breaker = new Breaker({ failuresMax: 1, openMs: 1000 })
  breaker.failed(false, 0)
  assert.deepEqual(breaker.permit(1000), { kind: 'probe' })
  assert.deepEqual(breaker.permit(1000), { kind: 'wait', untilMs: undefined })
  breaker.succeeded(true)
  assert.deepEqual(breaker.permit(1000), { kind: 'send' })
})

test('each failed probe doubles the pause, up to its limit, and a success starts anew', () => {
  const breaker = new Breaker({ failuresMax: 1, openMs: 100, openMaxMs: 350 })
  breaker.failed(false, 0)
  const pauses: number[] = []
  let nowMs = 100
  for (let round = 0; round < 3; round += 1) {
    assert.equal(breaker.permit(nowMs).kind, 'probe')
    breaker.failed(true, nowMs)
    const permit = breaker.permit(nowMs)
    const untilMs = permit.kind === 'wait' ? (permit.untilMs ?? 0) : 0
    pauses.push(untilMs - nowMs)
    nowMs = untilMs
  }
  assert.deepEqual(pauses, [200, 350, 350])
  breaker.permit(nowMs)
  breaker.succeeded(true)
  breaker.failed(false, nowMs)
  assert.deepEqual(breaker.permit(nowMs), { kind: 'wait', untilMs: nowMs + 100 })
})

test('a target that asks for a longer pause gets it', () => {
  const breaker = new Breaker({ failuresMax: 1, openMs: 100 })
  breaker.failed(false, 0, 60_000)
  assert.deepEqual(breaker.permit(59_999), { kind: 'wait', untilMs: 60_000 })
})

test('a pause that a target asks for is five minutes at most, however far its Retry-After lies', () => {
  const breaker = new Breaker({ failuresMax: 1, openMs: 100 })
  breaker.failed(false, 0, 365 * 86_400_000)
  assert.deepEqual(breaker.permit(0), { kind: 'wait', untilMs: 300_000 })
})

test('answers to batches that were sent before the breaker opened neither close nor extend it', () => {
  const breaker = new Breaker({ failuresMax: 1, openMs: 100 })
  breaker.failed(false, 0)
  breaker.succeeded(false)
  assert.equal(breaker.state, 'open')
  breaker.failed(false, 90)
  assert.equal(breaker.permit(100).kind, 'probe')
  breaker.succeeded(false)
  breaker.failed(false, 110)
  assert.equal(breaker.state, 'halfOpen')
})

test('a probe that was given up lets the next batch probe at once', () => {
  const breaker = new Breaker({ failuresMax: 1, openMs: 100 })
  breaker.failed(false, 0)
  breaker.permit(100)
  breaker.released(150)
  assert.deepEqual(breaker.permit(150), { kind: 'probe' })
})

function slotQueue(options: { concurrency?: number; failuresMax?: number } = {}) {
  const clock = new VirtualClock()
  const states: string[] = []
  const slots = new SlotQueue({
    concurrency: options.concurrency ?? 2,
    breaker: { failuresMax: options.failuresMax ?? 1, openMs: 1000 },
    clock,
    onBreaker: state => states.push(state)
  })
  return { clock, slots, states }
}

const never = new AbortController().signal

test('leave is given in turn and never to more than the limit', async () => {
  const { slots } = slotQueue({ concurrency: 2 })
  const order: string[] = []
  const held: Slot[] = []
  for (const name of ['a', 'b', 'c', 'd']) {
    void slots.acquire(never).then(slot => {
      order.push(name)
      if (slot !== undefined) held.push(slot)
    })
  }
  await Promise.resolve()
  assert.deepEqual(order, ['a', 'b'])
  assert.equal(slots.waitingCount, 2)
  held[0]?.release({ kind: 'answered' })
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(order, ['a', 'b', 'c'])
  assert.equal(slots.inFlight, 2)
})

test('who stops waiting leaves the line', async () => {
  const { slots } = slotQueue({ concurrency: 1 })
  const first = await slots.acquire(never)
  const abort = new AbortController()
  const second = slots.acquire(abort.signal)
  abort.abort()
  assert.equal(await second, undefined)
  assert.equal(slots.waitingCount, 0)
  first?.release({ kind: 'answered' })
  assert.equal(slots.inFlight, 0)
  assert.equal(await slots.acquire(abort.signal), undefined)
})

test('while the breaker is open nobody gets leave, then one probes, then all go', async () => {
  const { clock, slots, states } = slotQueue({ concurrency: 10 })
  const first = await slots.acquire(never)
  first?.release({ kind: 'failed' })
  const given: Slot[] = []
  for (let index = 0; index < 3; index += 1)
    void slots.acquire(never).then(slot => slot !== undefined && given.push(slot))
  await clock.advance(999)
  assert.equal(given.length, 0)
  await clock.advance(1)
  assert.equal(given.length, 1)
  given[0]?.release({ kind: 'answered' })
  await clock.advance(0)
  assert.equal(given.length, 3)
  assert.deepEqual(states, ['open', 'halfOpen', 'closed'])
})

test('a probe that is given back unused goes to the next in line', async () => {
  const { clock, slots } = slotQueue()
  const first = await slots.acquire(never)
  first?.release({ kind: 'failed' })
  const given: Slot[] = []
  for (let index = 0; index < 2; index += 1)
    void slots.acquire(never).then(slot => slot !== undefined && given.push(slot))
  await clock.advance(1000)
  assert.equal(given.length, 1)
  given[0]?.release({ kind: 'released' })
  await clock.advance(0)
  assert.equal(given.length, 2)
  assert.equal(slots.breakerState, 'halfOpen')
})
