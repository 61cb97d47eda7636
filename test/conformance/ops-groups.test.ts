/** Groups are listed and described, and lose members, on whatever cluster. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { GroupMember, type GroupMemberOptions } from '../../src/client/index.ts'
import { applyChange, listGroupRows, lookAtGroups, planRemoveMembers } from '../../src/ops/index.ts'
import { folderOf, storeIn } from '../ops/change/change-support.ts'
import { Bench, until } from './dispatch-support.ts'

/** A member of a group, and how often it was given something. */
async function memberOf(
  t: TestContext,
  bench: Bench,
  options: Partial<GroupMemberOptions> = {}
): Promise<{ member: GroupMember; assignments: () => number }> {
  let assignments = 0
  const member = new GroupMember({
    cluster: bench.cluster,
    groupId: bench.groupId,
    topics: [bench.topic],
    groupProtocol: 'classic',
    heartbeatIntervalMs: 200,
    listener: {
      assigned: () => void (assignments += 1),
      revoked: async () => undefined,
      lost: () => undefined,
      failed: () => undefined
    },
    ...options
  })
  t.after(() => member.close())
  member.start()
  await until(() => assignments > 0, 'an assignment')
  return { member, assignments: () => assignments }
}

test('groups are listed with members, topics and lag, and filtered by state and type', async t => {
  const bench = await Bench.open(t, 2)
  await bench.append([1, 2, 3, 4, 5].map(n => ({ key: 'a', value: `${n}` })))
  const open = { cluster: bench.cluster, admin: bench.admin }
  const empty = `${bench.groupId}-empty`
  const partition = (await bench.end(0)) > 0n ? 0 : 1
  await bench.admin.alterGroupOffsets(empty, [{ topic: bench.topic, partition, offset: 2n }])
  await memberOf(t, bench)
  const rowsOf = async (request: Parameters<typeof listGroupRows>[1]): Promise<Map<string, unknown>> => {
    const { groups, problems } = await listGroupRows(open, request)
    assert.deepEqual(problems, [])
    return new Map(groups.map(group => [group.groupId, group]))
  }
  const all = await rowsOf({})
  const { coordinatorId, ...row } = all.get(empty) as Record<string, unknown>
  assert.ok(Number(coordinatorId) > 0)
  assert.deepEqual(row, {
    groupId: empty,
    state: 'Empty',
    groupType: 'classic',
    protocolType: '',
    memberCount: 0,
    topicCount: 1,
    lag: 3n
  })
  const stable = await rowsOf({ states: ['STABLE'], types: ['Classic'] })
  assert.deepEqual([stable.has(bench.groupId), stable.has(empty)], [true, false])
  assert.deepEqual([...(await rowsOf({ types: ['streams'] })).keys()], [])
})

test('a static member that does not come back is removed, and its partitions go on at once', async t => {
  const bench = await Bench.open(t, 2)
  const open = { cluster: bench.cluster, admin: bench.admin }
  const lost = await memberOf(t, bench, { groupInstanceId: 'orders-1' })
  // A static member that closes keeps its place for its session timeout.
  await lost.member.close()
  const [before] = await lookAtGroups(open, [bench.groupId])
  assert.deepEqual(
    before?.members.map(({ groupInstanceId }) => groupInstanceId),
    ['orders-1']
  )
  const missing = await planRemoveMembers(open, { groupId: bench.groupId, members: ['orders-2'] })
  assert.match(missing.plan.blockers.join(' '), /has no member orders-2: in it are orders-1/)
  const change = await planRemoveMembers(open, { groupId: bench.groupId, members: ['orders-1'] })
  assert.deepEqual([change.plan.blockers, change.plan.undo.kind], [[], 'impossible'])
  const { result, record } = await applyChange(change, { store: storeIn(folderOf(t)), clusterId: 'c' })
  assert.deepEqual([result.failures, record.undo.kind], [[], 'impossible'])
  const [after] = await lookAtGroups(open, [bench.groupId])
  assert.deepEqual([after?.state, after?.members], ['Empty', []])
})

test('a dynamic member that is alive joins again; one of the consumer protocol cannot be removed', async t => {
  const bench = await Bench.open(t, 2)
  const open = { cluster: bench.cluster, admin: bench.admin }
  const { assignments } = await memberOf(t, bench)
  const [group] = await lookAtGroups(open, [bench.groupId])
  const [first] = group?.members ?? []
  const change = await planRemoveMembers(open, { groupId: bench.groupId, members: 'all' })
  assert.equal(change.plan.effects[0]?.before, '2 partitions')
  const had = assignments()
  await applyChange(change, { store: storeIn(folderOf(t)), clusterId: 'c' })
  await until(() => assignments() > had, 'the member is back')
  const [again] = await lookAtGroups(open, [bench.groupId])
  assert.notEqual(again?.members[0]?.memberId, first?.memberId)

  const groupId = `${bench.groupId}-consumer`
  await memberOf(t, bench, { groupId, groupProtocol: 'consumer' })
  const refused = await planRemoveMembers(open, { groupId, members: 'all' })
  assert.match(
    refused.plan.blockers.join(' '),
    /consumer protocol \(KIP-848\), in which only a member itself can leave/
  )
})
