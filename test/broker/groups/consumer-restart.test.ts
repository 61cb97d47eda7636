/** A consumer group over sockets and on disk: the broker stops or is killed, starts again, and its members go on. */

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { startBroker } from '../../../src/broker/index.ts'
import { GroupMember, settle } from '../../conformance/consumer-group-support.ts'
import { createTopic } from '../../conformance/support.ts'
import { spawnBound } from '../../support/child-process.ts'
import { RawConnection } from '../../support/raw-connection.ts'

test('members of a consumer group go on with their epochs and partitions on the broker started again', async t => {
  const dataDir = await mkdtemp(join(tmpdir(), 'comporta-test-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const before = await startBroker({ dataDir })
  const cluster = { bootstrapServers: before.bootstrapServers, isEmbedded: true, uniqueName: () => 'orders' }
  const connection = await RawConnection.open(t, cluster)
  const topic = await createTopic({ cluster, connection }, { partitions: 4 })
  const members = ['m1', 'm2'].map(memberId => new GroupMember(connection, { groupId: 'g', memberId }))
  for (const member of members) await member.join({ subscribedTopicNames: [topic.name] })
  await settle(members, 4)
  await before.close()

  const after = await startBroker({ dataDir })
  t.after(() => after.close())
  const again = await RawConnection.open(t, after)
  for (const { memberId, epoch, owned } of members) {
    const member = new GroupMember(again, { groupId: 'g', memberId })
    member.epoch = epoch
    member.owned = owned
    const answer = await member.beat()
    assert.deepEqual([answer.memberEpoch, answer.assignment], [epoch, null], 'all is as before')
    const full = await member.beat({ rebalanceTimeoutMs: 60_000, subscribedTopicNames: [topic.name] })
    assert.deepEqual(full.assignment?.topicPartitions, [{ topicId: topic.id, partitions: owned.get(topic.id) }])
  }
})

test('after the broker was killed, nobody has lost its place in the group, and nothing has two owners', async t => {
  const dataDir = await mkdtemp(join(tmpdir(), 'comporta-test-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const before = await startProcess(t, dataDir)
  const cluster = { bootstrapServers: before.bootstrapServers, isEmbedded: true, uniqueName: () => 'orders' }
  const connection = await RawConnection.open(t, cluster)
  const topic = await createTopic({ cluster, connection }, { partitions: 4 })
  const first = new GroupMember(connection, { groupId: 'g', memberId: 'm1' })
  const second = new GroupMember(connection, { groupId: 'g', memberId: 'm2' })
  await first.join({ subscribedTopicNames: [topic.name] })
  await settle([first], 4)
  await second.join({ subscribedTopicNames: [topic.name] })
  // Told to give two back, and has not said that it did.
  await first.beat()
  assert.deepEqual([first.of(topic).length, second.of(topic).length], [2, 0])
  before.child.kill('SIGKILL')
  await once(before.child, 'close')

  const after = await startProcess(t, dataDir)
  const again = await RawConnection.open(t, after)
  const members = [first, second].map(({ memberId, epoch, owned }) => {
    const member = new GroupMember(again, { groupId: 'g', memberId })
    member.epoch = epoch
    member.owned = owned
    return member
  })
  const [, waiting] = members
  await waiting?.beat()
  assert.deepEqual(waiting?.of(topic), [], 'the first one still has it')
  await settle(members, 4)
  assert.deepEqual(
    members.map(member => member.of(topic).length),
    [2, 2]
  )
})

async function startProcess(
  t: TestContext,
  dataDir: string
): Promise<{ child: ChildProcess; bootstrapServers: string }> {
  const child = spawnBound(process.execPath, [join(import.meta.dirname, '../broker-process.ts'), dataDir])
  t.after(() => child.kill('SIGKILL'))
  assert.ok(child.stdout !== null)
  const [line] = await once(createInterface(child.stdout), 'line')
  const { bootstrapServers } = JSON.parse(String(line))
  return { child, bootstrapServers: String(bootstrapServers) }
}
