/** Where partitions start: each as soon as its own start is known, added ones at their beginning. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import { isAddedPartition, startMetadata } from '../../src/client/start-offsets.ts'
import { TestMember } from '../conformance/client-support.ts'

const texts = (entries: Record<number, string>): Map<number, string> =>
  new Map(Object.entries(entries).map(([partition, text]) => [Number(partition), text]))

test('a partition was added if the group has commits that do not know it', () => {
  assert.equal(isAddedPartition(3, texts({})), false, 'the group was never here')
  // Commits without a text, as of other clients: increases add at the end.
  assert.equal(isAddedPartition(3, texts({ 0: '', 1: '', 2: 'anything' })), true)
  assert.equal(isAddedPartition(1, texts({ 0: '', 2: '' })), false)
  // A first start by `latest` says how many there were; its other members may not have committed yet.
  assert.equal(isAddedPartition(3, texts({ 0: startMetadata(6), 1: '' })), false)
  assert.equal(isAddedPartition(6, texts({ 0: startMetadata(6), 1: '' })), true)
  assert.equal(isAddedPartition(6, texts({ 0: startMetadata(6), 1: startMetadata(8) })), false)
  assert.equal(isAddedPartition(1, texts({ 0: 'start:x' })), true)
})

for (const groupProtocol of ['classic', 'consumer'] as const) {
  test(
    `${groupProtocol}: a partition whose start is not known keeps no other one back`,
    { timeout: 10_000 },
    async t => {
      let isListed = false
      let isGroupSeen = false
      const broker = await startBroker({
        config: { 'group.initial.rebalance.delay.ms': '0' },
        onRequest: ({ apiName }) => {
          if (apiName === 'ListOffsets') isGroupSeen = true
          // Partition 0 was never committed: where it begins is not told for now.
          return apiName === 'ListOffsets' && !isListed ? { errorCode: 6 } : undefined
        }
      })
      t.after(() => broker.close())
      const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
      t.after(() => cluster.close())
      const admin = new Admin(cluster)
      await admin.createTopics([{ topic: 't', partitionCount: 2 }])
      await admin.alterGroupOffsets('g', [{ topic: 't', partition: 1, offset: 5n }])

      const member = new TestMember(t, { cluster, groupId: 'g', topics: ['t'], groupProtocol })
      await member.watch.until(() => member.held.size === 1)
      assert.equal(member.held.get(1)?.offset, 5n)
      await member.member.commitOffsets([{ topic: 't', partition: 1, offset: 6n }])
      while (!isGroupSeen) await new Promise(resolve => setImmediate(resolve))
      isListed = true
      await member.watch.until(() => member.held.size === 2)
      assert.deepEqual(member.calls, ['assigned 1', 'assigned 0'])
    }
  )
}
