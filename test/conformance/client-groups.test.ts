/** Group membership through the client, against the embedded broker and against Apache Kafka. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupMember, TopicPartition } from '../../src/client/index.ts'
import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { leaveGroupApi } from '../../src/protocol/index.ts'
import { clientForTest, TestAppender, TestMember, Watch } from './client-support.ts'

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
const heldBy = (...members: readonly TestMember[]): number[] =>
  members.flatMap(({ held }) => [...held.keys()]).sort((left, right) => left - right)
const isShared = (members: readonly TestMember[], count: number): boolean =>
  heldBy(...members).join() === range(count).join() &&
  members.every(({ held }) => Math.abs(held.size - count / members.length) < 1)
const at = (
  topic: string,
  partition: number,
  offset: bigint
): { topic: string; partition: number; offset: bigint } => ({
  topic,
  partition,
  offset
})

test('cooperative members share the partitions evenly, and only those that move are given back', async t => {
  const { cluster, server, topic } = await clientForTest(t)
  const options = { cluster, groupId: server.uniqueName('group'), topics: [await topic(6)] }
  const watch = new Watch()

  const first = new TestMember(t, options, watch)
  await watch.until(() => first.held.size === 6)
  // In several calls, if the leaders of the partitions of a new topic are not all known yet.
  first.calls.length = 0
  const second = new TestMember(t, options, watch)
  await watch.until(() => isShared([first, second], 6))

  assert.equal(first.member.assignor, 'cooperative-sticky')
  assert.deepEqual(first.calls, ['revoking 0,1,2', 'revoked 0,1,2'])
  assert.deepEqual(second.calls, ['assigned 0,1,2'])
  await first.member.close()
  await watch.until(() => second.held.size === 6)
  assert.deepEqual(second.calls, ['assigned 0,1,2', 'assigned 3,4,5'])
})

test('the next owner starts where the last one committed while it was giving back', async t => {
  const { cluster, server, topic } = await clientForTest(t)
  const name = await topic(2)
  const options = { cluster, groupId: server.uniqueName('group'), topics: [name] }
  const watch = new Watch()
  const first = new TestMember(t, options, watch)
  const drained = Promise.withResolvers<void>()
  first.onRevoked = async partitions => {
    await drained.promise
    const offsets = partitions.map(({ partition }) => ({
      ...at(name, partition, 40n + BigInt(partition)),
      metadata: 'm'
    }))
    await first.member.commitOffsets(offsets)
  }
  await watch.until(() => first.held.size === 2)

  const second = new TestMember(t, options, watch)
  await watch.until(() => first.calls.some(call => call.startsWith('revoking')))
  assert.equal(second.held.size, 0, 'nothing is handed on before it was drained')
  drained.resolve()
  await watch.until(() => second.held.size === 1)

  assert.deepEqual([...second.held.values()], [{ ...at(name, 0, 40n), metadata: 'm' }])
})

for (const assignor of ['range', 'roundrobin', 'sticky'] as const) {
  test(`with ${assignor}, members give everything back before they join again`, async t => {
    const { cluster, server, topic } = await clientForTest(t)
    const options = {
      cluster,
      groupId: server.uniqueName('group'),
      topics: [await topic(4)],
      assignors: [assignor]
    } as const
    const watch = new Watch()

    const first = new TestMember(t, options, watch)
    await watch.until(() => first.held.size === 4)
    first.calls.length = 0
    const second = new TestMember(t, options, watch)
    await watch.until(() => isShared([first, second], 4))

    assert.deepEqual(first.calls.slice(0, 2), ['revoking 0,1,2,3', 'revoked 0,1,2,3'])
    assert.equal(first.member.assignor, assignor)
  })
}

test('a group falls back to range when a member knows nothing else, without a partition in two hands', async t => {
  const { cluster, server, topic } = await clientForTest(t)
  const options = { cluster, groupId: server.uniqueName('group'), topics: [await topic(4)] }
  const watch = new Watch()
  const first = new TestMember(t, options, watch)
  await watch.until(() => first.held.size === 4)

  const second = new TestMember(t, { ...options, assignors: ['range'] }, watch)
  second.onAssigned = () => assert.equal(new Set(heldBy(first, second)).size, heldBy(first, second).length)
  await watch.until(() => isShared([first, second], 4))

  assert.equal(first.member.assignor, 'range')
})

test('while partitions are drained for long, heartbeats keep the membership', async t => {
  const { cluster, server, topic } = await clientForTest(t)
  const name = await topic(2)
  const options = { cluster, groupId: server.uniqueName('group'), topics: [name], sessionTimeoutMs: 6_000 }
  const watch = new Watch()
  const first = new TestMember(t, options, watch)
  first.onRevoked = async () => {
    first.onRevoked = () => Promise.resolve()
    // Longer than the shortest session timeout that a broker allows. Only the broker's own clock can show this.
    await new Promise(resolve => setTimeout(resolve, 6_500))
    await first.member.commitOffsets([at(name, 0, 1n)])
  }
  await watch.until(() => first.held.size === 2)
  first.calls.length = 0

  const second = new TestMember(t, options, watch)
  await watch.until(() => second.held.size === 1)

  assert.deepEqual(first.calls, ['revoking 0', 'revoked 0'])
  assert.equal(second.held.get(0)?.offset, 1n)
})

test('a drain that does not end is cut off by the rebalance timeout, and its commit is refused', async t => {
  const { cluster, server, topic } = await clientForTest(t)
  const name = await topic(2)
  const options = { cluster, groupId: server.uniqueName('group'), topics: [name], rebalanceTimeoutMs: 1_000 }
  const watch = new Watch()
  const first = new TestMember(t, options, watch)
  const released = Promise.withResolvers<void>()
  first.onRevoked = () => released.promise
  await watch.until(() => first.held.size === 2)

  const second = new TestMember(t, options, watch)
  await watch.until(() => second.held.size === 1)

  await assert.rejects(first.member.commitOffsets([at(name, 0, 9n)]), { code: 'ERR_CLIENT_GENERATION_STALE' })
  await first.member.commitOffsets([at(name, 1, 9n)])
  released.resolve()
})

test('a member that closes while its join waits for others drains at once, and its commits count', async t => {
  const { cluster, server, topic, admin } = await clientForTest(t)
  const name = await topic(6)
  const options = { cluster, groupId: server.uniqueName('group'), topics: [name] }
  const watch = new Watch()
  const [closing, slow] = [new TestMember(t, options, watch), new TestMember(t, options, watch)]
  await watch.until(() => isShared([closing, slow], 6))
  const released = Promise.withResolvers<void>()
  slow.onRevoked = () => released.promise
  closing.onRevoked = async partitions =>
    closing.member.commitOffsets(partitions.map(({ partition }) => at(name, partition, 7n)))

  // The third member makes both give one partition back; one of them takes its time, the other one has to wait for it.
  const third = new TestMember(t, options, watch)
  await watch.until(() => slow.calls.some(call => call.startsWith('revoking')) && closing.held.size === 2)
  while (closing.member.state !== 'joining') await new Promise(resolve => setImmediate(resolve))
  await closing.member.close()

  const offsets = await admin.fetchGroupOffsets(options.groupId)
  assert.deepEqual(
    offsets.map(({ offset }) => offset),
    [7n, 7n, 7n]
  )
  released.resolve()
  await watch.until(() => heldBy(slow, third).length === 6)
})

test('a member that the group has removed loses its partitions, joins again and cannot commit in between', async t => {
  const { cluster, server, topic } = await clientForTest(t)
  const name = await topic(2)
  const groupId = server.uniqueName('group')
  const watch = new Watch()
  const member = new TestMember(t, { cluster, groupId, topics: [name], heartbeatIntervalMs: 2_000 }, watch)
  await watch.until(() => member.held.size === 2)
  member.calls.length = 0
  const { memberId } = member.member

  // Somebody else takes the member out of the group, as an operator may.
  const to = { coordinator: 'group', key: groupId } as const
  const left = await cluster.send(leaveGroupApi, { groupId, members: [{ memberId }] }, { to })
  assert.equal(left.errorCode, 0)
  await assert.rejects(member.member.commitOffsets([at(name, 0, 5n)]), { code: 'ERR_CLIENT_GENERATION_STALE' })
  await watch.until(() => member.held.size === 2 && member.calls.length === 2)

  assert.deepEqual(member.calls, ['lost 0,1', 'assigned 0,1'])
  assert.notEqual(member.member.memberId, memberId)
  assert.equal(member.held.get(0)?.offset, 0n)
})

test('offsets of partitions that are not held are not committed', async t => {
  const { cluster, server, topic, admin } = await clientForTest(t)
  const name = await topic(1)
  const groupId = server.uniqueName('group')
  const watch = new Watch()
  const member = new TestMember(t, { cluster, groupId, topics: [name] }, watch)
  await watch.until(() => member.held.size === 1)

  await member.member.commitOffsets([{ ...at(name, 0, 3n), metadata: 'three' }])
  await assert.rejects(member.member.commitOffsets([at(name, 7, 3n)]), { code: 'ERR_CLIENT_GENERATION_STALE' })
  await member.member.close()
  await assert.rejects(member.member.commitOffsets([at(name, 0, 4n)]), { code: 'ERR_CLIENT_GENERATION_STALE' })

  const offsets = await admin.fetchGroupOffsets(groupId)
  assert.deepEqual(
    offsets.map(({ partition, offset, metadata }) => [partition, offset, metadata]),
    [[0, 3n, 'three']]
  )
})

test('a static member that restarts gets its partitions back, and nobody else notices', async t => {
  const { cluster, server, topic } = await clientForTest(t)
  const options = { cluster, groupId: server.uniqueName('group'), topics: [await topic(4)] }
  const watch = new Watch()
  const stays = new TestMember(t, { ...options, groupInstanceId: 'stays' }, watch)
  const restarts = new TestMember(t, { ...options, groupInstanceId: 'restarts' }, watch)
  await watch.until(() => isShared([stays, restarts], 4))
  const [callCount, generation, partitions] = [stays.calls.length, stays.member.generation, [...restarts.held.keys()]]

  await restarts.member.close()
  const restarted = new TestMember(t, { ...options, groupInstanceId: 'restarts' }, watch)
  await watch.until(() => restarted.held.size === 2)

  assert.deepEqual(new Set(restarted.held.keys()), new Set(partitions))
  assert.equal(restarted.member.generation, generation)
  assert.equal(stays.calls.length, callCount)
})

test('of two members with one instance id the older one is fenced: it loses its partitions and ends', async t => {
  const { cluster, server, topic } = await clientForTest(t)
  const options = {
    cluster,
    groupId: server.uniqueName('group'),
    topics: [await topic(1)],
    groupInstanceId: 'one'
  }
  const watch = new Watch()
  const older = new TestMember(t, options, watch)
  await watch.until(() => older.held.size === 1)

  const newer = new TestMember(t, options, watch)
  await watch.until(() => older.failures.length > 0 && newer.held.size === 1)

  assert.equal(older.failures[0]?.code, 'ERR_CLIENT_INSTANCE_FENCED')
  assert.deepEqual(older.calls.slice(-2), ['lost 0', 'failed'])
  assert.equal(older.member.state, 'failed')
})

test('what a static member was to give back when it was killed finds an owner', async t => {
  const { cluster, server, topic } = await clientForTest(t)
  const options = { cluster, groupId: server.uniqueName('group'), topics: [await topic(4)], rebalanceTimeoutMs: 3000 }
  const watch = new Watch()
  const killed = new TestMember(t, { ...options, groupInstanceId: 'one' }, watch)
  await watch.until(() => killed.held.size === 4)
  // Dies while it drains: it never says that the newcomer may have its two.
  killed.onRevoked = () => new Promise(() => undefined)
  const newcomer = new TestMember(t, { ...options, groupInstanceId: 'two' }, watch)
  await watch.until(() => killed.calls.some(call => call.startsWith('revoking')))

  const restarted = new TestMember(t, { ...options, groupInstanceId: 'one' }, watch)
  await watch.until(() => isShared([restarted, newcomer], 4))
})

test('partitions and topics that appear are assigned, from earliest on even when the policy is latest', async t => {
  const { cluster, server, topic, admin } = await clientForTest(t)
  const name = await topic(1)
  const later = server.uniqueName('later')
  const writer = new TestAppender(t, cluster)
  await writer.append({ topic: name, key: null, value: Buffer.from('old') })
  const options = {
    cluster,
    groupId: server.uniqueName('group'),
    topics: [name, later],
    autoOffsetReset: 'latest'
  } as const
  const watch = new Watch()
  const member = new TestMember(t, options, watch)
  await watch.until(() => member.held.size === 1)
  assert.equal(member.held.get(0)?.offset, 1n)

  await admin.createPartitions([{ topic: name, partitionCount: 2 }])
  await watch.until(() => member.held.has(1))
  await admin.createTopics([{ topic: later, partitionCount: 4, replicationFactor: 1 }])
  await watch.until(() => member.held.has(3))

  assert.equal(member.held.get(1)?.offset, 0n)
  assert.equal(member.held.get(3)?.topic, later)
  assert.equal(member.held.get(3)?.offset, 0n)
})

test('with the policy none, a group without offsets ends with an error that says so', async t => {
  const { cluster, server, topic } = await clientForTest(t)
  const name = await topic(1)
  const watch = new Watch()
  const options = { cluster, groupId: server.uniqueName('group'), topics: [name], autoOffsetReset: 'none' } as const
  const member = new TestMember(t, options, watch)
  await watch.until(() => member.failures.length > 0)

  assert.equal(member.failures[0]?.code, 'ERR_CLIENT_OFFSET_OUT_OF_RANGE')
  assert.match(member.failures[0]?.message ?? '', new RegExp(`${name}-0`))
})

test('a listener that throws ends the member, which leaves the group to the others', async t => {
  const { cluster, server, topic } = await clientForTest(t)
  const options = { cluster, groupId: server.uniqueName('group'), topics: [await topic(2)] }
  const watch = new Watch()
  const broken = new TestMember(t, options, watch)
  broken.onAssigned = () => {
    throw new Error('out of order')
  }
  await watch.until(() => broken.failures.length > 0)
  const healthy = new TestMember(t, options, watch)
  await watch.until(() => healthy.held.size === 2)

  assert.equal(broken.failures[0]?.code, 'ERR_CLIENT_LISTENER_FAILED')
  assert.match(broken.failures[0]?.message ?? '', /out of order/)
})

test('members that come and go at random never hold a partition together, and every offset is handed on', async t => {
  const seed = Number(process.env['TEST_SEED'] ?? 20_260)
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const { cluster, server, topic } = await clientForTest(t)
  const name = await topic(8)
  const options = { cluster, groupId: server.uniqueName('group'), topics: [name] }
  const watch = new Watch()
  const owners = new Map<number, GroupMember>()
  const positions = new Map<number, bigint>()
  const members: TestMember[] = []

  const join = (): void => {
    const member = new TestMember(t, options, watch)
    member.onAssigned = partitions => {
      for (const { partition, offset } of partitions) {
        assert.equal(owners.get(partition), undefined, `partition ${partition} is held twice`)
        assert.equal(offset, positions.get(partition) ?? 0n, `partition ${partition} starts elsewhere`)
        owners.set(partition, member.member)
      }
    }
    member.onRevoked = async partitions => {
      await member.member.commitOffsets(partitions.map(partition => advanced(partition)))
      for (const { partition } of partitions) owners.delete(partition)
    }
    members.push(member)
  }
  const advanced = ({ topic: of, partition }: TopicPartition): { topic: string; partition: number; offset: bigint } => {
    const offset = (positions.get(partition) ?? 0n) + 1n
    positions.set(partition, offset)
    return { topic: of, partition, offset }
  }

  join()
  for (let step = 0; step < 10; step++) {
    const isJoin = members.length < 2 || (members.length < 4 && randomInt(random, 2) === 0)
    if (isJoin) join()
    else await members.splice(randomInt(random, members.length), 1)[0]?.member.close()
    // Every other step comes before the group has settled.
    if (step % 2 === 0) await watch.until(() => isShared(members, 8))
  }
  await watch.until(() => isShared(members, 8))

  assert.deepEqual(
    members.flatMap(({ calls }) => calls.filter(call => call.startsWith('lost'))),
    []
  )
  assert.deepEqual(
    members.flatMap(({ failures }) => failures),
    []
  )
})
