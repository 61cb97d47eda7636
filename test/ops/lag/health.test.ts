/** The users' health table, and what flags mean in words. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { lagText } from '../../../src/cli/operations/lag-text.ts'
import { explainFlags } from '../../../src/ops/lag/explain.ts'
import { healthOf, LAG_THRESHOLDS } from '../../../src/ops/lag/health.ts'
import type { GroupLag } from '../../../src/ops/lag/lag-types.ts'
import { groupLag, lagReport, partitionLag } from '../slo/lag-reports.ts'

// "Bom estado": LAG ≤ 100, ≥ 100 msg/s, retention ≤ 70 %, trend ↓.
const good: Partial<GroupLag> = { lagRecords: 100n, arrivalRate: 100, trend: -1, retentionUsed: 0.7 }
// "Estado de alerta": LAG > 1000, 0 msg/s, retention ≥ 90 %, trend ↑.
const cases: readonly (readonly [string, Partial<GroupLag>, string, string | undefined])[] = [
  ['all of it is good', {}, 'good', undefined],
  ['more than 100 unread', { lagRecords: 101n }, 'fair', 'lagFair'],
  ['1,000 unread', { lagRecords: 1000n }, 'fair', 'lagFair'],
  ['more than 1,000 unread', { lagRecords: 1001n }, 'alert', 'lagHigh'],
  ['fewer than 100 a second', { arrivalRate: 99 }, 'fair', 'rateLow'],
  ['none a second: the producer has stopped', { arrivalRate: 0 }, 'alert', 'producerStopped'],
  ['more than 70 % of the retention', { retentionUsed: 0.71 }, 'fair', 'retentionFair'],
  ['90 % of the retention', { retentionUsed: 0.9 }, 'alert', 'retentionNearlyFull'],
  ['a lag that grows', { lagRecords: 500n, trend: 50 }, 'alert', 'lagGrows'],
  ['a lag that grows, of next to nothing', { trend: 50 }, 'good', undefined],
  ['records lost', { flags: ['dataLoss'] }, 'alert', 'dataLoss'],
  ['a group that stopped', { status: 'ERR' }, 'alert', 'stopped'],
  ['a group that cannot be read', { problem: 'no right' }, 'alert', 'unreadable'],
  ['partitions whose ends are not known', { unknownCount: 1 }, 'fair', 'partlyUnknown'],
  ['nothing known', { arrivalRate: undefined, trend: undefined, retentionUsed: undefined }, 'good', undefined]
]

for (const [what, change, word, reason] of cases) {
  test(`${what}: ${word}`, () => {
    const found = healthOf(groupLag({ ...good, ...change }))
    assert.equal(found.word, word)
    assert.equal(found.reasons[0], reason)
  })
}

test('flags are told in words, worst first, with places, numbers and a remedy', () => {
  const lost = (partition: number) => partitionLag({ partition, lostRecords: 1500n, flags: ['unassigned', 'dataLoss'] })
  const partitions = [lost(1), lost(2), lost(3), lost(4)]
  const [first, second] = explainFlags(groupLag({ partitions, flags: ['unassigned', 'dataLoss'] }))
  assert.equal(first?.flag, 'dataLoss')
  assert.match(first.text, /^6,000 records were deleted .*\(orders-1, orders-2, orders-3 and 1 more\)$/u)
  assert.match(first.remedy, /retention/u)
  assert.equal(second?.flag, 'unassigned')
})

test('what a terminal would obey is escaped, wherever a name stands', () => {
  const hostile = 'g\u001b[2J'
  const partitions = [partitionLag({ topic: hostile, owner: hostile, flags: ['unassigned'] })]
  const group = groupLag({ groupId: hostile, partitions, problem: hostile })
  const report = { ...lagReport(0, group, groupLag({ groupId: hostile, partitions: [] })), problems: [hostile] }
  const text = lagText(report, { thresholds: LAG_THRESHOLDS, withPartitions: true })
  assert.ok(!text.includes('\u001b'), text)
})

test('a table fits 120 characters whatever the names, the oldest first', () => {
  const long = 'a-group-with-a-name-of-many-words-that-somebody-thought-was-a-good-idea-in-production-eu-west-1'
  const busy = {
    lagRecords: 123_456_789n,
    lagSeconds: 1_000_000,
    arrivalRate: 99_999,
    serviceRate: 88_888,
    trend: 11_111
  }
  const partitions = [partitionLag({ topic: long, owner: `${long}@10.20.30.40`, headroomSeconds: 999_999, ...busy })]
  const groups = [
    groupLag({ groupId: 'young', lagSeconds: 1, lagRecords: 1n }),
    groupLag({ groupId: long, headroomSeconds: 999_999, drainSeconds: 1e9, partitions, ...busy })
  ]
  const text = lagText(lagReport(0, ...groups), { thresholds: LAG_THRESHOLDS, withPartitions: true })
  const lines = text.split('\n')
  assert.ok(
    lines.every(line => line.length <= 120),
    text
  )
  assert.match(lines[1] ?? '', /^a-group-.*…/u)
  assert.match(lines[2] ?? '', /^young/u)
})
