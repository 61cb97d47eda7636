import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type ConditionInput, conditionsOf } from '../../../src/ops/slo/conditions.ts'
import { SloTracker } from '../../../src/ops/slo/tracker.ts'
import type { GroupLag } from '../../../src/ops/lag/lag-types.ts'
import { behind, groupLag, lagReport, partitionLag } from './lag-reports.ts'

function keys(group: Partial<GroupLag>, more: Partial<ConditionInput> = {}): string[] {
  return conditionsOf({ report: lagReport(0, groupLag(group)), ...more }).map(({ key }) => key)
}

test('a healthy group is worth no word, at the health table’s own bounds', () => {
  assert.deepEqual(keys({ lagRecords: 1000n, headroomSeconds: 6 * 3600, arrivalRate: 0.1 }), [])
  assert.deepEqual(keys({ lagRecords: 100n, trend: 5 }), [])
})

test('the health table: lag above 1,000, a lag that grows, nothing that comes in, a group in error', () => {
  assert.deepEqual(keys({ lagRecords: 1001n }), ['lag:billing'])
  assert.deepEqual(keys({ lagRecords: 101n, trend: 0.5 }), ['growth:billing'])
  assert.deepEqual(keys({ arrivalRate: 0 }), ['silence:billing'])
  assert.deepEqual(keys({ status: 'ERR' }), ['status:billing'])
})

test('before the second look nothing is said of rates', () => {
  assert.deepEqual(keys({ arrivalRate: undefined, trend: undefined, lagRecords: 500n }), [])
})

test('an unread share of 90 % of the retention is an alert for each topic, below it is none', () => {
  const partitions = [partitionLag({ retentionUsed: 0.9 }), partitionLag({ topic: 'invoices', retentionUsed: 0.89 })]
  assert.deepEqual(keys({ partitions }), ['retention:billing:orders'])
})

test('a group that cannot be read is said so', () => {
  const [found] = conditionsOf({ report: lagReport(0, groupLag({ problem: 'GROUP_AUTHORIZATION_FAILED' })) })
  assert.equal(found?.key, 'unreadable:billing')
  assert.equal(found?.reason, 'GROUP_AUTHORIZATION_FAILED')
  assert.deepEqual(keys({ unknownCount: 1 }), ['unreadable:billing'])
})

test('lost records are a page at once, objective or not, with their number', () => {
  const lost = partitionLag({ committed: 100n, logStartOffset: 1300n, flags: ['dataLoss'] })
  const objectives = [{ group: 'billing', lagSeconds: 60, objective: 0.999, windowDays: 30 }]
  const slo = new SloTracker({ objectives }).status(0)
  const report = lagReport(0, groupLag({ partitions: [lost], lagRecords: 5000n }))
  const [found, ...others] = conditionsOf({ report, slo })
  assert.equal(found?.severity, 'page')
  assert.equal(found.forMs, 0)
  assert.equal(found.value, '1,200 records in 1 partition')
  assert.match(found.reason, /first in orders-0/)
  assert.deepEqual(others, [], 'a group with an objective is not held against the health table')
})

test('an oldest unread record that goes in two hours is a page', () => {
  const [found] = conditionsOf({ report: lagReport(0, groupLag({ headroomSeconds: 7200 })) })
  assert.equal(found?.key, 'headroom:billing')
  assert.equal(found.value, 'in 2 h')
  assert.equal(found.threshold, 'within 6 h')
})

test('thresholds are settings', () => {
  const health = { lagRecords: 10, headroomHours: 1, isSilenceBad: false }
  assert.deepEqual(keys({ lagRecords: 11n, arrivalRate: 0, headroomSeconds: 7200 }, { health }), ['lag:billing'])
})

const likely: readonly (readonly [Partial<GroupLag>, RegExp])[] = [
  [{ memberCount: 0, state: 'Empty' }, /no members \(Empty\)/],
  [{ state: 'PreparingRebalance' }, /rebalancing/],
  [{ flags: ['hangingTransaction'] }, /transaction stays open/],
  [{ partitions: [partitionLag({ status: 'STALL' })] }, /1 partitions have members, but nothing is committed/],
  [
    { partitions: [partitionLag({ lagRecords: 4000n }), partitionLag({ partition: 1, lagRecords: 1000n })] },
    /most of it lies in orders-0/
  ],
  [{}, /faster than the consumers finish them/]
]

for (const [group, reason] of likely) {
  test(`the likely reason: ${String(reason)}`, () => {
    const [found] = conditionsOf({ report: lagReport(0, groupLag({ lagRecords: 5000n, ...group })) })
    assert.match(found?.reason ?? '', reason)
    assert.equal(found?.next, 'comporta lag --group billing')
  })
}

test('an objective that burns is one page with both rates, the budget and the threshold', () => {
  const tracker = new SloTracker({
    objectives: [{ group: 'billing', lagSeconds: 60, objective: 0.999, windowDays: 30 }]
  })
  let nowMs = 1_800_000_000_000
  for (let minute = 0; minute < 120; minute += 1) {
    nowMs += 60_000
    tracker.observe(lagReport(nowMs, behind(minute < 110 ? 0 : 400)))
  }
  const report = lagReport(nowMs, behind(400))
  const [found, ...others] = conditionsOf({ report, slo: tracker.status(nowMs) })
  assert.deepEqual(others, [])
  assert.equal(found?.key, 'slo:billing ≤ 60 s:page')
  // 10 of 60 minutes ÷ 0.001, 5 of 5 ÷ 0.001; 10 of 43.2 minutes are gone.
  assert.equal(found.value, 'burn rate 166.7 and 1000.0, 77 % of the budget left')
  assert.equal(found.threshold, 'burn rate 14.4 over 1 h and 5 min')
  assert.equal(found.reason, 'lag of 400 s is above 60 s')
})

test('an objective that cannot be seen for most of half an hour is a ticket', () => {
  const tracker = new SloTracker({
    objectives: [{ group: 'gone', lagSeconds: 60, objective: 0.99, windowDays: 7 }]
  })
  for (let minute = 0; minute < 10; minute += 1) tracker.observe(lagReport(minute * 60_000))
  const [found] = conditionsOf({ report: lagReport(600_000), slo: tracker.status(600_000) })
  assert.equal(found?.key, 'blind:gone ≤ 60 s')
  assert.equal(found.severity, 'ticket')
  assert.equal(found.reason, 'group gone is not there')
})
