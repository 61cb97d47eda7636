/** A consumer group over sockets and on disk: the broker stops, starts again, and its members go on. */

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startBroker } from '../../../src/broker/index.ts'
import { GroupMember, settle } from '../../conformance/consumer-group-support.ts'
import { createTopic } from '../../conformance/support.ts'
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
