/** Group membership by the consumer protocol (KIP-848), against the embedded broker and against Apache Kafka. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupMember, GroupMemberOptions } from '../../src/client/index.ts'
import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { consumerGroupDescribeApi, leaveGroupApi } from '../../src/protocol/index.ts'
import { type ClientPeer, clientForTest, TestAppender, TestMember, Watch } from './client-support.ts'

type Settings = Omit<GroupMemberOptions, 'listener'>

const heldBy = (...members: readonly Pick<TestMember, 'held'>[]): number[] =>
  members.flatMap(({ held }) => [...held.keys()]).sort((left, right) => left - right)
const isShared = (members: readonly TestMember[], count: number): boolean =>
  heldBy(...members).join() === Array.from({ length: count }, (_, index) => index).join() &&
  members.every(({ held }) => Math.abs(held.size - count / members.length) < 1)
const at = (topic: string, partition: number, offset: bigint): { topic: string; partition: number; offset: bigint } => {
  return { topic, partition, offset }
}

function settingsOf({ cluster, server }: ClientPeer, topic: string, more: Partial<Settings> = {}): Settings {
  return { cluster, groupId: server.uniqueName('group'), topics: [topic], groupProtocol: 'consumer', ...more }
}

/** No partition may have two holders, whenever somebody is assigned one. */
function checkOwners(members: readonly TestMember[]): void {
  for (const member of members) {
    member.onAssigned = () => assert.equal(new Set(heldBy(...members)).size, heldBy(...members).length)
  }
}

test('members share the partitions evenly, and only those that move are given back', async t => {
  const peer = await clientForTest(t)
  const settings = settingsOf(peer, await peer.topic(6))
  const watch = new Watch()

  const first = new TestMember(t, settings, watch)
  await watch.until(() => first.held.size === 6)
  const second = new TestMember(t, settings, watch)
  checkOwners([first, second])
  await watch.until(() => isShared([first, second], 6))

  assert.equal(first.member.protocol, 'consumer')
  assert.ok(first.member.generation > 0)
  assert.deepEqual(
    first.calls.map(call => call.replace(/[\d,]+/, '')),
    ['assigned ', 'revoking ', 'revoked ']
  )
  await first.member.close()
  await watch.until(() => second.held.size === 6)
  assert.equal(second.calls.filter(call => call.startsWith('revok')).length, 0)
})

test('the next owner starts where the last one committed while it was giving back', async t => {
  const peer = await clientForTest(t)
  const name = await peer.topic(2)
  const settings = settingsOf(peer, name)
  const watch = new Watch()
  const first = new TestMember(t, settings, watch)
  const drained = Promise.withResolvers<void>()
  first.onRevoked = async partitions => {
    await drained.promise
    await first.member.commitOffsets(partitions.map(({ partition }) => at(name, partition, 40n + BigInt(partition))))
  }
  await watch.until(() => first.held.size === 2)

  const second = new TestMember(t, settings, watch)
  await watch.until(() => first.calls.some(call => call.startsWith('revoking')))
  assert.equal(second.held.size, 0, 'nothing is handed on before it was drained')
  drained.resolve()
  await watch.until(() => second.held.size === 1)

  const [got] = second.held.values()
  assert.equal(got?.offset, 40n + BigInt(got?.partition ?? 0))
})

test('the assignor of the broker can be chosen; one that it does not have ends the member and says so', async t => {
  const peer = await clientForTest(t)
  const settings = settingsOf(peer, await peer.topic(4), { serverAssignor: 'range' })
  const watch = new Watch()
  const members = [new TestMember(t, settings, watch), new TestMember(t, settings, watch)]
  await watch.until(() => isShared(members, 4))
  for (const { held } of members) assert.match(heldBy({ held }).join(), /^(0,1|2,3)$/)

  const wrong = new TestMember(t, { ...settingsOf(peer, 'x'), serverAssignor: 'none-such' }, watch)
  await watch.until(() => wrong.failures.length > 0)
  assert.match(wrong.failures[0]?.message ?? '', /UNSUPPORTED_ASSIGNOR/)
})

test('a member that the group has removed loses its partitions, joins again and cannot commit in between', async t => {
  const peer = await clientForTest(t)
  const name = await peer.topic(2)
  const settings = settingsOf(peer, name, { heartbeatIntervalMs: 2_000 })
  const { groupId } = settings
  const watch = new Watch()
  const member = new TestMember(t, settings, watch)
  await watch.until(() => member.held.size === 2)
  member.calls.length = 0
  await member.member.commitOffsets([at(name, 0, 1n), at(name, 1, 1n)])

  const to = { coordinator: 'group', key: groupId } as const
  const members = [{ memberId: member.member.memberId }]
  const left = await peer.cluster.send(leaveGroupApi, { groupId, members }, { to })
  assert.equal(left.errorCode, 0)
  await assert.rejects(member.member.commitOffsets([at(name, 0, 5n)]), { code: 'ERR_CLIENT_GENERATION_STALE' })
  await watch.until(() => member.held.size === 2 && member.calls.length === 2)

  assert.deepEqual(member.calls, ['lost 0,1', 'assigned 0,1'])
  assert.equal(member.held.get(0)?.offset, 1n)
})

test('a drain that does not end is cut off by the rebalance timeout, and its commit is refused', async t => {
  const peer = await clientForTest(t)
  const name = await peer.topic(2)
  const settings = settingsOf(peer, name, { rebalanceTimeoutMs: 1_000 })
  const watch = new Watch()
  const first = new TestMember(t, settings, watch)
  const released = Promise.withResolvers<void>()
  let givenBack = -1
  first.onRevoked = ([partition]) => {
    givenBack = partition?.partition ?? -1
    return released.promise
  }
  await watch.until(() => first.held.size === 2)

  const second = new TestMember(t, settings, watch)
  await watch.until(() => second.held.size === 1)

  await assert.rejects(first.member.commitOffsets([at(name, givenBack, 9n)]), { code: 'ERR_CLIENT_GENERATION_STALE' })
  await first.member.commitOffsets([at(name, 1 - givenBack, 9n)])
  released.resolve()
})

test('a commit that meets a new epoch is made in it', async t => {
  const peer = await clientForTest(t)
  const name = await peer.topic(4)
  const settings = settingsOf(peer, name)
  const watch = new Watch()
  const first = new TestMember(t, settings, watch)
  await watch.until(() => first.held.size === 4)
  let count = 0n
  const members = [first]
  // Epochs change while commits are under way all the time; every commit of a partition that stays must count.
  while (members.length < 3) {
    members.push(new TestMember(t, settings, watch))
    while (!isShared(members, 4) || count % 20n !== 0n) {
      count += 1n
      const [kept] = first.held.keys()
      assert.ok(kept !== undefined)
      await first.member.commitOffsets([at(name, kept, count)]).catch((error: unknown) => {
        if (first.held.has(kept)) throw error
      })
    }
  }
  assert.ok(count >= 20n)
})

test('a static member that restarts gets its partitions back, and nobody else notices', async t => {
  const peer = await clientForTest(t)
  const settings = settingsOf(peer, await peer.topic(4))
  const watch = new Watch()
  const stays = new TestMember(t, { ...settings, groupInstanceId: 'stays' }, watch)
  const restarts = new TestMember(t, { ...settings, groupInstanceId: 'restarts' }, watch)
  await watch.until(() => isShared([stays, restarts], 4))
  const [callCount, epoch, partitions] = [stays.calls.length, stays.member.generation, [...restarts.held.keys()]]

  await restarts.member.retire()
  await restarts.member.close()
  const restarted = new TestMember(t, { ...settings, groupInstanceId: 'restarts' }, watch)
  await watch.until(() => restarted.held.size === 2)

  assert.deepEqual(new Set(restarted.held.keys()), new Set(partitions))
  assert.equal(restarted.member.generation, epoch)
  assert.equal(stays.calls.length, callCount)
})

for (const groupProtocol of ['consumer', 'classic'] as const) {
  test(`${groupProtocol}: a static member that gives its place up leaves its partitions to the others`, async t => {
    const peer = await clientForTest(t)
    const settings = settingsOf(peer, await peer.topic(4), { groupProtocol, isStaticPlaceGivenUp: true })
    const watch = new Watch()
    const stays = new TestMember(t, { ...settings, groupInstanceId: 'stays' }, watch)
    const leaves = new TestMember(t, { ...settings, groupInstanceId: 'leaves' }, watch)
    await watch.until(() => isShared([stays, leaves], 4))

    await leaves.member.close({ reason: 'its test is over' })
    await watch.until(() => stays.held.size === 4)
  })

  test(`${groupProtocol}: a member that retires works until the others know, then gives all back`, async t => {
    const peer = await clientForTest(t)
    const name = await peer.topic(4)
    const settings = settingsOf(peer, name, { groupProtocol, heartbeatIntervalMs: 1_000 })
    const watch = new Watch()
    const members = [0, 1].map(() => new TestMember(t, settings, watch))
    const [stays, retires] = members
    assert.ok(stays !== undefined && retires !== undefined)
    await watch.until(() => isShared(members, 4))
    let drainedAtMs = 0
    retires.onRevoked = async partitions => {
      await retires.member.commitOffsets(partitions.map(({ partition }) => at(name, partition, 7n)))
      drainedAtMs = performance.now()
    }

    await retires.member.retire()
    assert.equal(retires.held.size, 0)
    await retires.member.close()
    await watch.until(() => stays.held.size === 4)
    const pauseMs = performance.now() - drainedAtMs

    t.diagnostic(`from drained to taken over: ${Math.round(pauseMs)} ms`)
    assert.ok(pauseMs < 900, `${pauseMs} ms: the new owner has waited for its usual heartbeat`)
    assert.deepEqual(
      [...stays.held.values()].map(({ offset }) => Number(offset)).sort((left, right) => left - right),
      [0, 0, 7, 7]
    )
  })

  test(`${groupProtocol}: companions are assigned with their partition and committed by its holder only`, async t => {
    const peer = await clientForTest(t)
    const [name, retries] = [await peer.topic(2), await peer.topic(2)]
    const companions: GroupMemberOptions['companions'] = ({ partition }) => [
      { topic: retries, partition },
      { topic: 'does-not-exist', partition }
    ]
    const settings = settingsOf(peer, name, { groupProtocol, companions })
    const watch = new Watch()
    const first = new TestMember(t, settings, watch)
    await watch.until(() => first.held.size === 2)
    const starts = first.held.get(1)?.companions?.map(({ topic, offset }) => [topic, offset])
    assert.deepEqual(starts, [
      [retries, 0n],
      ['does-not-exist', 0n]
    ])

    await first.member.commitOffsets([0, 1].map(partition => at(retries, partition, 3n + BigInt(partition))))
    await assert.rejects(first.member.commitOffsets([at(retries, 2, 1n)]), { code: 'ERR_CLIENT_GENERATION_STALE' })
    const second = new TestMember(t, settings, watch)
    await watch.until(() => second.held.size === 1)
    const [got] = second.held.values()
    assert.equal(got?.companions?.[0]?.offset, 3n + BigInt(got?.partition ?? 0))
    const given = at(retries, got?.partition ?? 0, 9n)
    await assert.rejects(first.member.commitOffsets([given]), { code: 'ERR_CLIENT_GENERATION_STALE' })
    await second.member.commitOffsets([given])
  })

  test(`${groupProtocol}: partitions that were added while the group was down start at their beginning`, async t => {
    const peer = await clientForTest(t)
    const name = await peer.topic(2)
    const writer = new TestAppender(t, peer.cluster)
    await writer.append(...Array.from({ length: 40 }, () => ({ topic: name, key: null, value: Buffer.from('old') })))
    const settings = settingsOf(peer, name, { groupProtocol, autoOffsetReset: 'latest' })
    const watch = new Watch()
    const before = new TestMember(t, settings, watch)
    await watch.until(() => before.held.size === 2)
    await before.member.close()

    await peer.admin.createPartitions([{ topic: name, partitionCount: 4 }])
    const later = new TestMember(t, settings, watch)
    await watch.until(() => later.held.size === 4)

    const offsets = [0, 1, 2, 3].map(partition => later.held.get(partition)?.offset)
    assert.deepEqual(
      offsets.slice(0, 2),
      [0, 1].map(partition => before.held.get(partition)?.offset ?? offsets[partition])
    )
    assert.deepEqual(offsets.slice(2), [0n, 0n])
    assert.equal((offsets[0] ?? 0n) + (offsets[1] ?? 0n), 40n)
  })
}

test('partitions and topics that appear are assigned, from earliest on even when the policy is latest', async t => {
  const peer = await clientForTest(t)
  const { admin, server } = peer
  const name = await peer.topic(1)
  const later = server.uniqueName('later')
  await new TestAppender(t, peer.cluster).append({ topic: name, key: null, value: Buffer.from('old') })
  const watch = new Watch()
  const settings = settingsOf(peer, name, { topics: [name, later], autoOffsetReset: 'latest' })
  const member = new TestMember(t, settings, watch)
  await watch.until(() => member.held.size === 1)
  assert.equal(member.held.get(0)?.offset, 1n)

  await admin.createPartitions([{ topic: name, partitionCount: 2 }])
  await watch.until(() => member.held.has(1))
  await admin.createTopics([{ topic: later, partitionCount: 4, replicationFactor: 1 }])
  await watch.until(() => member.held.has(3))

  assert.equal(member.held.get(1)?.offset, 0n)
  assert.deepEqual([member.held.get(3)?.topic, member.held.get(3)?.offset], [later, 0n])
})

test('a classic group becomes a consumer group when a member of auto joins, and goes on with both', async t => {
  const peer = await clientForTest(t)
  const settings = settingsOf(peer, await peer.topic(6))
  const { groupId } = settings
  const watch = new Watch()
  const old = new TestMember(t, { ...settings, groupProtocol: 'classic' }, watch)
  await watch.until(() => old.held.size === 6)

  const young = new TestMember(t, { ...settings, groupProtocol: 'auto' }, watch)
  checkOwners([old, young])
  await watch.until(() => isShared([old, young], 6))

  assert.deepEqual([old.member.protocol, young.member.protocol], ['classic', 'consumer'])
  const asked = new TestMember(t, { ...settings, groupProtocol: 'auto', assignors: ['cooperative-sticky'] }, watch)
  await watch.until(() => isShared([old, young, asked], 6))
  assert.equal(asked.member.protocol, 'classic', 'an assignor of the members is asked for')
  await asked.member.close()
  const to = { coordinator: 'group', key: groupId } as const
  const described = await peer.cluster.send(consumerGroupDescribeApi, { groupIds: [groupId] }, { to })
  assert.equal(described.groups[0]?.members.length, 2)
  await old.member.close()
  await watch.until(() => young.held.size === 6)
  assert.deepEqual([...old.failures, ...young.failures], [])
})

test('members that come and go at random never hold a partition together, and every offset is handed on', async t => {
  const seed = Number(process.env['TEST_SEED'] ?? 20_260)
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const peer = await clientForTest(t)
  const name = await peer.topic(8)
  const settings = settingsOf(peer, name)
  const watch = new Watch()
  const owners = new Map<number, GroupMember>()
  const positions = new Map<number, bigint>()
  const members: TestMember[] = []

  const join = (): void => {
    // Both protocols in one group.
    const groupProtocol = randomInt(random, 3) === 0 ? 'classic' : 'auto'
    const member = new TestMember(t, { ...settings, groupProtocol, topicCheckIntervalMs: 5_000 }, watch)
    member.onAssigned = partitions => {
      for (const { partition, offset } of partitions) {
        assert.equal(owners.get(partition), undefined, `partition ${partition} is held twice`)
        assert.equal(offset, positions.get(partition) ?? 0n, `partition ${partition} starts elsewhere`)
        owners.set(partition, member.member)
      }
    }
    member.onRevoked = async partitions => {
      const offsets = partitions.map(({ partition }) => at(name, partition, (positions.get(partition) ?? 0n) + 3n))
      for (const { partition, offset } of offsets) positions.set(partition, offset)
      await member.member.commitOffsets(offsets)
      for (const { partition } of partitions) owners.delete(partition)
    }
    members.push(member)
  }
  for (let step = 0; step < 10; step++) {
    const isJoin = members.length < 2 || (members.length < 4 && randomInt(random, 2) === 0)
    if (isJoin) join()
    else {
      const [gone] = members.splice(randomInt(random, members.length), 1)
      if (randomInt(random, 2) === 0) await gone?.member.retire()
      await gone?.member.close()
    }
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
