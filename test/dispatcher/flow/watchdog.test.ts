import assert from 'node:assert/strict'
import { test } from 'node:test'

import { VirtualClock } from '../../../src/core/index.ts'
import { Watchdog, type WatchedLane } from '../../../src/dispatcher/flow/watchdog.ts'
import type { AnyLane, BatchDescription, LaneDescription } from '../../../src/dispatcher/lane-surroundings.ts'
import { silentLogger } from '../../../src/telemetry/index.ts'

const batch = (state: BatchDescription['state'], invocations = 1): BatchDescription => ({
  firstOffset: '0',
  records: 10,
  bytes: 100,
  state,
  invocations,
  ageMs: 0
})

/** A lane that says of itself what a test wants. */
function laneOf(said: Partial<LaneDescription>): AnyLane {
  const description: LaneDescription = {
    topic: 't',
    partition: 0,
    epoch: 1,
    order: 'partition',
    state: 'waiting',
    position: '10',
    committable: '0',
    bufferedBytes: 100,
    inFlightRecords: 0,
    inFlightBytes: 0,
    oldestMs: 0,
    batches: [],
    blockedBy: null,
    ...said
  }
  const nothing = (): void => undefined
  return {
    topic: description.topic,
    partition: description.partition,
    epoch: 1,
    state: description.state,
    position: 10n,
    committable: 0n,
    commitMetadata: () => '',
    bufferedBytes: description.bufferedBytes,
    inFlightRecords: 0,
    inFlightBytes: 0,
    ended: Promise.resolve(),
    onPause: nothing,
    push: nothing,
    stop: nothing,
    abort: nothing,
    describe: () => description
  }
}

type Around = Partial<Omit<WatchedLane, 'lane'>>

/** How long it takes, on virtual time, until lanes that never change are called stalled; -1 = not within 20 minutes. */
async function stalledAfterMs(lanes: readonly (Partial<LaneDescription> & { around?: Around })[]): Promise<number> {
  const clock = new VirtualClock()
  let atMs = -1
  const watched = lanes.map(({ around, ...said }) => ({
    lane: laneOf(said),
    isPausedByOperator: false,
    blockedBy: undefined,
    invocationMs: 60_000,
    batchAgeMs: 1000,
    ...around
  }))
  const watchdog = new Watchdog({
    timeoutMs: () => 10_000,
    lanes: () => watched,
    onStalled: () => (atMs = clock.monotonicMs()),
    clock,
    logger: silentLogger
  })
  watchdog.start()
  await clock.advance(1_200_000)
  watchdog.close()
  assert.equal(clock.pendingCount, 0)
  return atMs
}

test('a lane that waits with nothing in the way is stalled after the limit', async () => {
  assert.equal(await stalledAfterMs([{}]), 10_000)
})

test('a lane with nothing to do never is', async () => {
  assert.equal(await stalledAfterMs([{ bufferedBytes: 0, state: 'idle' }]), -1)
})

test('what holds the slots back explains a lane that waits, also for a batch that is sent again', async () => {
  for (const blockedBy of ['breaker', 'commitsLate', 'rate', 'paused'] as const) {
    assert.equal(await stalledAfterMs([{ around: { blockedBy } }]), -1, blockedBy)
    assert.equal(await stalledAfterMs([{ state: 'retrying', batches: [batch('retrying')], around: { blockedBy } }]), -1)
  }
})

test('others at work explain a wait, leave that was lost does not', async () => {
  const waits = { around: { blockedBy: 'concurrency' } } as const
  const works = { partition: 1, state: 'invoking', batches: [batch('invoking')] } as const
  // The other is watched itself: its invocation may take a minute more than the limit.
  assert.equal(await stalledAfterMs([waits, works]), 70_000)
  assert.equal(await stalledAfterMs([waits]), 10_000)
})

test('an operator, a lane that knows what blocks it, and a dead letter topic that is away explain it', async () => {
  assert.equal(await stalledAfterMs([{ around: { isPausedByOperator: true } }]), -1)
  assert.equal(await stalledAfterMs([{ blockedBy: 'its window of finished offsets is full' }]), -1)
  assert.equal(await stalledAfterMs([{ state: 'retrying', batches: [batch('puttingAside')] }]), -1)
})

test('a batch that hangs before it is sent, in a transform, is stalled', async () => {
  assert.equal(await stalledAfterMs([{ state: 'waiting', batches: [batch('waiting', 0)] }]), 10_000)
})

// Symptom: every member left in turn while a service behind the transform was away.
test('a batch whose transform waits for what is behind it is explained', async () => {
  const waits = { ...batch('waiting', 0), blockedBy: 'transform' }
  assert.equal(await stalledAfterMs([{ state: 'waiting', batches: [waits] }]), -1)
})

// Symptom: a member that had lost leave for all batches of a partition with order by key kept it for ever, in silence.
test('that all its batches are under way does not explain why none of them gets on', async () => {
  const blockedBy = '2 batches are under way, as many as there may be'
  const batches = [batch('waiting'), batch('waiting')]
  assert.equal(await stalledAfterMs([{ order: 'key', state: 'waiting', batches, blockedBy }]), 10_000)
})

test('a wait before a retry may be as long as a target may ask for', async () => {
  assert.equal(await stalledAfterMs([{ state: 'retrying', batches: [batch('retrying')] }]), 310_000)
})

test('a limit that changes while it runs holds from the next look on', async () => {
  const clock = new VirtualClock()
  let timeoutMs = 300_000
  let atMs = -1
  const lane = laneOf({})
  const watchdog = new Watchdog({
    timeoutMs: () => timeoutMs,
    lanes: () => [{ lane, isPausedByOperator: false, blockedBy: undefined, invocationMs: 1000, batchAgeMs: 1000 }],
    onStalled: () => (atMs = clock.monotonicMs()),
    clock,
    logger: silentLogger
  })
  watchdog.start()
  await clock.advance(60_000)
  timeoutMs = 70_000
  await clock.advance(20_000)
  assert.ok(atMs >= 70_000 && atMs <= 75_000, `${atMs}`)
})
