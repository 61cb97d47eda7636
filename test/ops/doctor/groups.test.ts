import assert from 'node:assert/strict'
import { test } from 'node:test'

import { known } from '../../../src/ops/doctor/facts.ts'
import { judgeFacts } from '../../../src/ops/doctor/judge.ts'
import { applicationOf } from '../../../src/ops/doctor/checks/groups.ts'
import { groupLag, lagReport, partitionLag } from '../slo/lag-reports.ts'
import { DENIED, factsOf, findingsOf, group, member, NOW_MS, scanned, scanOf } from './facts.ts'

const orders = scanned('orders', [100, 100, 100])

test('a healthy cluster with a pipeline file gives no finding at all', () => {
  const ill = judgeFacts(factsOf()).filter(({ severity }) => severity !== 'ok')
  assert.deepEqual(ill, [])
})

const names: readonly (readonly [string, string])[] = [
  ['billing-6f1c2a9e-0d4b-4a63-9c1e-2f5a7b8c9d0e', 'billing'],
  ['billing-i-0abc12def34567890', 'billing'],
  ['billing-ip-10-0-3-17', 'billing'],
  ['billing.10.0.3.17', 'billing'],
  ['billing-7d9f8b6c5d-x2k4p', 'billing'],
  ['billing-pod-3', 'billing'],
  ['billing_host12', 'billing'],
  ['billing-2', 'billing'],
  ['6f1c2a9e-0d4b-4a63-9c1e-2f5a7b8c9d0e', ''],
  ['billing', 'billing'],
  ['billing-invoices', 'billing-invoices'],
  ['orders-to-billing-v', 'orders-to-billing-v']
]

for (const [name, application] of names) {
  test(`the application of the group ${name} is "${application}"`, () => {
    assert.equal(applicationOf(name), application)
  })
}

test('a name made to be slow is judged at once', () => {
  const startMs = performance.now()
  applicationOf(`${'-pod_pod'.repeat(5_000)}!`)
  assert.ok(performance.now() - startMs < 500)
})

test('three groups of one member each on the same topics are one application that does its work three times', () => {
  const instances = [1, 2, 3].map(number => group(`billing-${number}`, { members: [member(`c${number}`, 0, 1, 2)] }))
  const [found] = findingsOf('group-per-instance', { scan: scanOf([orders], instances) })
  assert.equal(found?.severity, 'error')
  assert.match(found.title, /3 groups .* one application, billing$/)
  assert.match(found.fix, /same group id, billing/)
  assert.equal(found.evidence.length, 3)
})

test('groups with members that share work, or with other topics, are no such thing', () => {
  const other = group('billing-2', { members: [member('c', 0)], offsets: [] })
  const elsewhere = {
    ...other,
    members: [{ ...member('c'), assignment: [{ topic: 'else', partition: 0 }], subscription: [] }]
  }
  const cases = [
    [group('billing-1'), group('billing-2')],
    [group('billing-1', { members: [member('a', 0)] }), elsewhere],
    [group('billing', { members: [member('a', 0)] }), group('shipping', { members: [member('b', 0)] })]
  ]
  for (const groups of cases) assert.deepEqual(findingsOf('group-per-instance', { scan: scanOf([orders], groups) }), [])
})

test('four members for three partitions: one is idle, and more help nothing', () => {
  const members = [member('a', 0), member('b', 1), member('c', 2), member('d')]
  const [found] = findingsOf('idle-members', { scan: scanOf([orders], [group('billing', { members })]) })
  assert.equal(found?.title, 'billing has 4 members for 3 partitions')
  assert.deepEqual(found.evidence, ['d at /10.0.0.1 owns nothing'])
})

test('an idle member among fewer than there are partitions is a bad assignment', () => {
  const members = [member('a', 0, 1, 2), member('b')]
  const [found] = findingsOf('idle-members', { scan: scanOf([orders], [group('billing', { members })]) })
  assert.equal(found?.title, '1 of 2 members of billing own nothing')
})

test('members own nothing while a group rebalances: nothing is said', () => {
  const ill = group('billing', { state: 'PreparingRebalance', members: [member('a'), member('b')] })
  assert.deepEqual(findingsOf('idle-members', { scan: scanOf([orders], [ill]) }), [])
})

test('a partition that the members want and nobody owns', () => {
  const ill = group('billing', { members: [member('a', 0), member('b', 1)] })
  const [found] = findingsOf('unassigned-partitions', { scan: scanOf([orders], [ill]) })
  assert.equal(found?.severity, 'error')
  assert.deepEqual(found.evidence, ['orders-2'])
})

test('an empty group with something to read; one without is all right', () => {
  const empty = group('billing', { state: 'Empty', members: [] })
  const [found] = findingsOf('group-without-members', { scan: scanOf([scanned('orders', [150, 100, 100])], [empty]) })
  assert.match(found?.title ?? '', /billing has 50 unread records, and no members/)
  assert.deepEqual(findingsOf('group-without-members', { scan: scanOf([orders], [empty]) }), [])
})

test('committed below the start of the log is loss, with its number', () => {
  const cut = scanned('orders', [500, 500, 500], { logStartOffset: 130n })
  const [found] = findingsOf('data-loss', { scan: scanOf([cut], [group('billing')]) })
  assert.equal(found?.severity, 'error')
  assert.match(found.title, /billing never read 90 records/)
  assert.equal(found.evidence[0], 'orders-0: committed 100, log starts at 130')
})

test('committed above the end of the log', () => {
  const [found] = findingsOf('offset-ahead-of-log', {
    scan: scanOf([scanned('orders', [7, 100, 100])], [group('billing')])
  })
  assert.deepEqual(found?.evidence, ['orders-0: committed 100, log ends at 7'])
})

test('a partition without a leader is not said to be behind its commits', () => {
  const dark = scanned('orders', [-1, 100, 100], { logStartOffset: -1n })
  const change = { scan: scanOf([dark], [group('billing')]) }
  assert.deepEqual(findingsOf('offset-ahead-of-log', change), [])
  assert.deepEqual(findingsOf('data-loss', change), [])
})

test('an oldest unread record that goes in three hours is an error, in twenty a warning, in two days nothing', () => {
  for (const [hours, severity] of [
    [3, 'error'],
    [20, 'warn'],
    [48, undefined]
  ] as const) {
    const partition = partitionLag({ headroomSeconds: hours * 3600, lagRecords: 12n })
    const ill = groupLag({ headroomSeconds: hours * 3600, partitions: [partition] })
    const [found] = findingsOf('retention-headroom', { lag: known(lagReport(NOW_MS, ill)) })
    assert.equal(found?.severity, severity)
  }
  assert.equal(findingsOf('retention-headroom', { lag: DENIED })[0]?.severity, 'unknown')
})

test('commits every five seconds are suspected to be automatic', () => {
  const commits = known([{ groupId: 'billing', changesMs: [1_200, 6_300, 11_150, 16_200] }])
  const [found] = findingsOf('auto-commit', { commits })
  assert.match(found?.title ?? '', /billing seems to use auto-commit \(suspected\)/)
})

test('commits in another rhythm, too few of them, or with metadata are not', () => {
  for (const changesMs of [[1_000, 6_000], [1_000, 2_000, 3_000], [1_000, 6_000, 13_000], []]) {
    assert.deepEqual(findingsOf('auto-commit', { commits: known([{ groupId: 'billing', changesMs }]) }), [])
  }
  const marked = group('billing')
  const offsets = marked.offsets.map(each => ({ ...each, metadata: 'v1' }))
  const commits = known([{ groupId: 'billing', changesMs: [1_000, 6_000, 11_000] }])
  assert.deepEqual(findingsOf('auto-commit', { commits, scan: scanOf([orders], [{ ...marked, offsets }]) }), [])
})

test('groups that may not be read are unknown, not all right', () => {
  const hidden = group('secret', { problem: 'GROUP_AUTHORIZATION_FAILED', offsets: [] })
  const [found] = findingsOf('unreadable-groups', { scan: scanOf([orders], [hidden]) })
  assert.equal(found?.severity, 'unknown')
  assert.deepEqual(found.evidence, ['secret: GROUP_AUTHORIZATION_FAILED'])
})
