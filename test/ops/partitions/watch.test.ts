/** What stops the playbook of a growth, and what does not. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { stepsOf } from '../../../src/ops/partitions/grow.ts'
import type { SettleLook, SettlePartition } from '../../../src/ops/partitions/settled.ts'
import { GrowthWatch, type WatchLook, type WatchVerdict } from '../../../src/ops/partitions/watch.ts'

const rule = {
  partitionsBefore: 2,
  partitionsAfter: 4,
  quietMs: 1000,
  unstableMaxMs: 5000,
  settleMaxMs: 60_000,
  lagGainMax: 100n
}

function partition(index: number, more: Partial<SettlePartition> = {}): SettlePartition {
  return { partition: index, hasLeader: true, owner: 'a', committed: 10n, logStart: 0n, end: 10n, ...more }
}

function look(atMs: number, more: Partial<SettleLook> = {}): WatchLook {
  const partitions = [0, 1, 2, 3].map(index => partition(index))
  return { atMs, groups: [{ groupId: 'g', look: { atMs, state: 'Stable', memberCount: 2, partitions, ...more } }] }
}

function last(looks: readonly WatchLook[]): WatchVerdict {
  const watch = new GrowthWatch(rule, look(0, { partitions: [partition(0), partition(1)] }))
  let verdict: WatchVerdict = { kind: 'wait', reasons: [], groups: [] }
  for (const each of looks) verdict = watch.look(each)
  return verdict
}

test('a rebalance that ends in time is waited for, measured, and settles', () => {
  const verdict = last([
    look(100, { state: 'PreparingRebalance' }),
    look(900, { state: 'CompletingRebalance' }),
    look(1500),
    look(2500)
  ])
  assert.equal(verdict.kind, 'settled')
  assert.equal(verdict.groups[0]?.rebalanceMs, 800)
})

test('a group that does not become stable, one that loses members, partitions without a leader: stop', () => {
  const reason = (more: Partial<SettleLook>): string => {
    assert.equal(last([look(0, more), look(5000, more)]).kind, 'wait')
    const verdict = last([look(0, more), look(5001, more)])
    assert.equal(verdict.kind, 'stop')
    return verdict.reasons[0] ?? ''
  }
  assert.match(reason({ state: 'PreparingRebalance' }), /^g is PreparingRebalance for more than 5 s/)
  // A restart of one member has to come back in time.
  assert.match(reason({ memberCount: 1, partitions: [partition(0, { owner: '' })] }), /1 of 2 members/)
  const offline = [partition(0), partition(1), partition(2), partition(3, { hasLeader: false })]
  assert.match(reason({ partitions: offline }), /partitions 3 have no leader/)
})

test('a group that falls behind by more than was allowed: stop', () => {
  const behind = (end: bigint): WatchVerdict =>
    last([look(10, { partitions: [partition(0, { end }), partition(1), partition(2), partition(3)] })])
  assert.equal(behind(110n).kind, 'wait')
  const verdict = behind(111n)
  assert.equal(verdict.kind, 'stop')
  assert.match(verdict.reasons[0] ?? '', /fell behind by 101 records/)
})

test('what never settles ends in time, with what is missing', () => {
  const unread = [partition(0), partition(1), partition(2), partition(3, { committed: undefined })]
  const verdict = last([look(0, { partitions: unread }), look(60_001, { partitions: unread })])
  assert.equal(verdict.kind, 'stop')
  assert.match(verdict.reasons.join(), /not settled after 60 s.*g: nothing was read of 3/)
})

test('a growth goes in steps where the cluster wants it so', () => {
  assert.deepEqual(stepsOf({}, 8, 16), [16])
  assert.deepEqual(stepsOf({ isServerless: true }, 8, 600), [258, 508, 600])
  assert.deepEqual(stepsOf({ stepMax: 3 }, 8, 16), [11, 14, 16])
  assert.deepEqual(stepsOf({}, 16, 16), [])
})
