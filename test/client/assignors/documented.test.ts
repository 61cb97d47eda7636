/** Examples from Kafka's documentation: javadoc of RangeAssignor, RoundRobinAssignor and StickyAssignor. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assign, isCooperative } from '../../../src/client/assignors.ts'
import { counts, held, member, newGroup, plain, settle } from './support.ts'

test('range gives the first members of every topic one more', () => {
  const members = ['C0', 'C1'].map(id => member(id, { topics: ['t0', 't1'] }))

  assert.deepEqual(plain(assign('range', members, counts({ t0: 3, t1: 3 }))), {
    C0: ['t0/0', 't0/1', 't1/0', 't1/1'],
    C1: ['t0/2', 't1/2']
  })
})

test('range follows the instance ids of static members, whatever their new member ids', () => {
  const topics = ['t0', 't1']
  const first = member('C0', { topics, groupInstanceId: 'I1' })
  const second = member('C1', { topics, groupInstanceId: 'I2' })
  const restarted = [member('C3', { topics, groupInstanceId: 'I1' }), member('C2', { topics, groupInstanceId: 'I2' })]

  const before = plain(assign('range', [first, second], counts({ t0: 3, t1: 3 })))
  const after = plain(assign('range', restarted, counts({ t0: 3, t1: 3 })))

  assert.deepEqual(after['C3'], before['C0'])
  assert.deepEqual(after['C2'], before['C1'])
})

test('roundrobin deals out the partitions of all topics in turn', () => {
  const members = ['C0', 'C1'].map(id => member(id, { topics: ['t0', 't1'] }))

  assert.deepEqual(plain(assign('roundrobin', members, counts({ t0: 3, t1: 3 }))), {
    C0: ['t0/0', 't0/2', 't1/1'],
    C1: ['t0/1', 't1/0', 't1/2']
  })
})

const uneven = [
  member('C0', { topics: ['t0'] }),
  member('C1', { topics: ['t0', 't1'] }),
  member('C2', { topics: ['t0', 't1', 't2'] })
]
const unevenCounts = counts({ t0: 1, t1: 2, t2: 3 })

test('roundrobin passes over members that do not want the topic', () => {
  assert.deepEqual(plain(assign('roundrobin', uneven, unevenCounts)), {
    C0: ['t0/0'],
    C1: ['t1/0'],
    C2: ['t1/1', 't2/0', 't2/1', 't2/2']
  })
})

test('cooperative-sticky balances different subscriptions better than roundrobin', () => {
  assert.deepEqual(plain(assign('cooperative-sticky', uneven, unevenCounts)), {
    C0: ['t0/0'],
    C1: ['t1/0', 't1/1'],
    C2: ['t2/0', 't2/1', 't2/2']
  })
})

test('cooperative-sticky gives only what a member leaves behind to others, with different subscriptions too', () => {
  const group = newGroup(uneven, unevenCounts)
  settle(group)
  group.members = group.members.filter(({ memberId }) => memberId !== 'C0')

  assert.equal(settle(group), 1)
  assert.deepEqual(held(group), { C1: ['t0/0', 't1/0', 't1/1'], C2: ['t2/0', 't2/1', 't2/2'] })
})

test('cooperative-sticky leaves the others what they have when a member leaves', () => {
  const topics = ['t0', 't1', 't2', 't3']
  const C0 = ['t0/0', 't1/1', 't3/0']
  const C2 = ['t1/0', 't2/1']
  const members = [
    member('C0', { topics, owned: C0, generation: 1 }),
    member('C2', { topics, owned: C2, generation: 1 })
  ]

  const after = plain(assign('cooperative-sticky', members, counts({ t0: 2, t1: 2, t2: 2, t3: 2 })))

  assert.deepEqual(after['C0']?.length, 4)
  assert.deepEqual(after['C2']?.length, 4)
  assert.deepEqual(
    C0.filter(it => after['C0']?.includes(it) !== true),
    []
  )
  assert.deepEqual(
    C2.filter(it => after['C2']?.includes(it) !== true),
    []
  )
})

test('a member that joins gets partitions in the second round, when their holder has given them back', () => {
  const all = ['t/0', 't/1', 't/2', 't/3']
  const old = member('old', { owned: all, generation: 7 })

  const first = plain(assign('cooperative-sticky', [old, member('new')], counts({ t: 4 })))
  assert.equal(first['old']?.length, 2)
  assert.deepEqual(first['new'], [])

  const relieved = member('old', { owned: first['old'] ?? [], generation: 8 })
  const second = plain(assign('cooperative-sticky', [relieved, member('new', { generation: 8 })], counts({ t: 4 })))
  assert.deepEqual(second['old'], first['old'])
  assert.deepEqual(
    second['new'],
    all.filter(it => first['old']?.includes(it) !== true)
  )
})

test('an eager assignor gives nobody what another one still holds, when a group falls back to it', () => {
  const holder = member('C1', { owned: ['t/0', 't/1', 't/2', 't/3'], generation: 3 })

  for (const assignor of ['range', 'roundrobin']) {
    const assignment = plain(assign(assignor, [member('C0'), holder], counts({ t: 4 })))
    assert.deepEqual(assignment['C0'], [], assignor)
    assert.equal(assignment['C1']?.length, 2, assignor)
  }
})

test('a partition of a topic that is gone, or that its holder no longer wants, is not assigned to the holder', () => {
  const holder = member('C0', { topics: ['kept'], owned: ['kept/0', 'gone/0', 'unwanted/0'], generation: 3 })
  const other = member('C1', { topics: ['unwanted'] })

  const assignment = plain(assign('cooperative-sticky', [holder, other], counts({ kept: 1, unwanted: 1 })))

  assert.deepEqual(assignment, { C0: ['kept/0'], C1: [] })
})

test('members without partitions have an entry, and topics that nobody wants or that do not exist are left out', () => {
  const members = [member('C0', { topics: ['missing'] }), member('C1', { topics: [] })]

  for (const assignor of ['cooperative-sticky', 'range', 'roundrobin']) {
    assert.deepEqual(plain(assign(assignor, members, counts({ other: 3 }))), { C0: [], C1: [] }, assignor)
    assert.deepEqual(plain(assign(assignor, [], counts({ other: 3 }))), {}, assignor)
  }
})

test('only cooperative-sticky lets members keep their partitions while they join', () => {
  assert.deepEqual(['cooperative-sticky', 'range', 'roundrobin', 'sticky', ''].filter(isCooperative), [
    'cooperative-sticky'
  ])
})

test('an assignor that is not known is refused', () => {
  assert.throws(() => assign('toString', [member('C0')], counts({ t: 1 })), { code: 'ERR_CLIENT_OPTIONS_INVALID' })
})
