/** The first and the last gate of the playbook: is the need confirmed, has the group settled? */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { judgeNeed, type NeedFacts, type PartitionLoad } from '../../../src/ops/partitions/need.ts'
import { readerOf, type TopicFacts } from '../../../src/ops/partitions/topic-facts.ts'
import { SettleJudge, type SettleLook, type SettlePartition } from '../../../src/ops/partitions/settled.ts'

function load(partition: number, more: Partial<PartitionLoad> = {}): PartitionLoad {
  return { partition, lag: 500, trend: 10, arrivalRate: 100, serviceRate: 90, ...more }
}

function need(more: Partial<NeedFacts> = {}): NeedFacts {
  return { partitions: [load(0), load(1)], consumers: 2, consumerCpu: 0.3, hotKeyShare: 0.05, ...more }
}

test('lag grows, partitions are full, consumers have time left and no more can work: partitions are needed', () => {
  const verdict = judgeNeed(need())
  assert.equal(verdict.kind, 'needed')
  assert.ok(verdict.criteria.every(({ holds }) => holds === true))
})

test('each criterion that does not hold names its cure', () => {
  const adviceOf = (more: Partial<NeedFacts>): string => {
    const verdict = judgeNeed(need(more))
    assert.equal(verdict.kind, 'notNeeded')
    return verdict.advice
  }
  assert.match(adviceOf({ partitions: [load(0, { trend: -5 }), load(1, { trend: 2 })] }), /keeps up/)
  assert.match(adviceOf({ partitions: [load(0, { serviceRate: 120 }), load(1, { serviceRate: 120 })] }), /producer/)
  const inFlight = { isBehind: false, lag: 9, trend: 0.4, serviceRate: 95 }
  assert.match(adviceOf({ partitions: [load(0, inFlight), load(1, inFlight)] }), /batches in flight: .*keeps up/)
  assert.match(adviceOf({ consumerCpu: 0.5 }), /larger instances/)
  assert.match(adviceOf({ consumers: 1 }), /add consumers/)
  assert.match(adviceOf({ didMoreConsumersHelp: true }), /add consumers/)
  assert.match(adviceOf({ hotKeyShare: 0.8 }), /sub-keys/)
})

test('one look confirms nothing; an unknown processor does not stand in the way', () => {
  const one = judgeNeed(need({ partitions: [load(0, { trend: undefined, arrivalRate: undefined })] }))
  assert.equal(one.kind, 'unknown')
  assert.equal(judgeNeed(need({ consumerCpu: undefined })).kind, 'needed')
})

test('behind is what had unread records all the time; a batch in flight, a first commit and a reset are not', () => {
  const look = (atMs: number, rows: readonly (readonly [end: bigint, committed: bigint])[]): TopicFacts => {
    const place = { topic: 't', leaderEpoch: 0 }
    const led = { ...place, leaderId: 1, replicas: [1], inSyncReplicas: [1], logStartOffset: 0n }
    const partitions = rows.map(([end], index) => ({
      ...led,
      partition: index,
      highWatermark: end,
      lastStableOffset: end
    }))
    const offsets = rows.map(([, committed], index) => ({ ...place, partition: index, committed, metadata: '' }))
    const named = { groupId: 'g', state: 'Stable', protocolType: 'consumer', assignor: 'range', coordinatorId: 1 }
    const groups = [{ ...named, offsets }]
    const scanned = { topic: 't', topicId: 'x', isInternal: false, partitions }
    const cluster = { clusterId: 'c', brokers: [], controllerId: 1, durationMs: 0, problems: [] }
    const scan = { ...cluster, takenAtMs: atMs, groups, topics: new Map([['t', scanned]]) }
    const counts = { partitionCount: rows.length, replicationFactor: 1 }
    return { topic: 't', scan, scanned, ...counts, configs: {}, isCompacted: false, groups }
  }
  // Committed -1 = nothing yet.
  const first = look(0, [
    [1000n, 990n],
    [1000n, 100n],
    [1000n, -1n],
    [1000n, 900n]
  ])
  const rows = [
    [2000n, 1990n],
    [2000n, 600n],
    [2000n, 2000n],
    [2000n, 100n]
  ] as const
  const seen = readerOf(first, look(10_000, rows))?.loads.map(each => [each.lag, each.serviceRate, each.isBehind])
  assert.deepEqual(seen, [
    [10, 100, false],
    [1400, 50, true],
    [0, undefined, false],
    [1900, undefined, true]
  ])
  // Too short to tell.
  assert.equal(readerOf(first, look(1000, rows))?.loads[1]?.isBehind, undefined)
  assert.throws(() => readerOf(first, first, 'other'), { code: 'ERR_OPS_NOT_FOUND' })
})

const rule = { partitionsBefore: 2, partitionsAfter: 4, quietMs: 1000, lagGrowthMax: 0.1 }

function partition(index: number, more: Partial<SettlePartition> = {}): SettlePartition {
  return { partition: index, hasLeader: true, owner: 'a', committed: 10n, logStart: 0n, end: 10n, ...more }
}

function look(atMs: number, more: Partial<SettleLook> = {}): SettleLook {
  const partitions = [0, 1, 2, 3].map(index => partition(index))
  return { atMs, state: 'Stable', memberCount: 1, partitions, ...more }
}

test('a group has settled when nothing has changed for the quiet time', () => {
  const judge = new SettleJudge(rule)
  assert.equal(judge.look(look(0)).isSettled, false)
  assert.equal(judge.look(look(999)).isSettled, false)
  assert.deepEqual(judge.look(look(1000)), { isSettled: true, missing: [], quietForMs: 1000, rebalanceMs: 0 })
})

test('a change of owners, or a rebalance, begins the quiet time anew and is measured', () => {
  const judge = new SettleJudge(rule)
  judge.look(look(0))
  judge.look(look(500, { state: 'PreparingRebalance' }))
  judge.look(look(800, { state: 'CompletingRebalance' }))
  const moved = [partition(0), partition(1), partition(2), partition(3, { owner: 'b' })]
  assert.equal(judge.look(look(1000, { partitions: moved })).quietForMs, 0)
  assert.equal(judge.look(look(1900, { partitions: moved })).isSettled, false)
  const last = judge.look(look(2000, { partitions: moved }))
  assert.equal(last.isSettled, true)
  assert.equal(last.rebalanceMs, 300)
})

test('a partition that is missing, without leader, without owner, or unread, is named', () => {
  const missingOf = (partitions: SettlePartition[]): readonly string[] => {
    const judge = new SettleJudge(rule)
    judge.look(look(0, { partitions }))
    return judge.look(look(5000, { partitions })).missing
  }
  assert.deepEqual(missingOf([partition(0), partition(1), partition(2)]), ['3 of 4 partitions are there'])
  const base = [partition(0), partition(1), partition(2)]
  assert.deepEqual(missingOf([...base, partition(3, { hasLeader: false })]), ['no leader: 3'])
  assert.deepEqual(missingOf([...base, partition(3, { owner: '' })]), ['nobody owns 3'])
  assert.deepEqual(missingOf([...base, partition(3, { committed: undefined })]), ['nothing was read of 3'])
  assert.deepEqual(missingOf([...base, partition(3, { committed: undefined, end: 0n })]), [])
  assert.deepEqual(missingOf([partition(0, { committed: undefined }), ...base.slice(1), partition(3)]), [])
})

test('lag that grows over the quiet time is not settled; a little of what came is', () => {
  const after = (end: bigint, committed: bigint): readonly string[] => {
    const judge = new SettleJudge(rule)
    judge.look(look(0))
    const partitions = [partition(0, { end, committed }), partition(1), partition(2), partition(3)]
    return judge.look(look(1000, { partitions })).missing
  }
  assert.deepEqual(after(110n, 60n), ['lag grew by 50 records while 100 came'])
  assert.deepEqual(after(110n, 105n), [])
})

test('a group without members is not waited for', () => {
  const partitions = [0, 1, 2, 3].map(index => partition(index, { owner: '', committed: undefined }))
  assert.equal(new SettleJudge(rule).look(look(0, { state: 'Empty', memberCount: 0, partitions })).isSettled, true)
})
