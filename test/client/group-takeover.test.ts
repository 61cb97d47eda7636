/**
 * Symptom: a consumer group stood still for the whole rebalance timeout (5 minutes), then lost partitions.
 * Cause: a member that looked for the start offsets of new partitions did nothing else; without them (a partition
 * without a leader, an open transaction) it did not join again when the group rebalanced.
 * Reach: every group in which one new partition cannot be looked up while another member joins or leaves.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import { TestMember, Watch } from '../conformance/client-support.ts'

const LOADING = 14

test('a member that cannot find its start offsets joins the next rebalance', { timeout: 20_000 }, async t => {
  let syncCount = 0
  const broker = await startBroker({
    config: { 'group.initial.rebalance.delay.ms': '0' },
    onRequest: ({ apiName }) => {
      if (apiName === 'SyncGroup') syncCount += 1
      // Nothing can be looked up until both members are in one generation.
      return apiName === 'OffsetFetch' && syncCount < 3 ? { errorCode: LOADING } : undefined
    }
  })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 2 }])
  const watch = new Watch()
  const options = { cluster, groupId: 'g', topics: ['t'], rebalanceTimeoutMs: 300_000 }
  const first = new TestMember(t, options, watch)
  while (first.member.state !== 'stable') await new Promise(resolve => setImmediate(resolve))

  const second = new TestMember(t, options, watch)
  await watch.until(() => first.held.size === 1 && second.held.size === 1)

  assert.deepEqual(new Set([...first.held.keys(), ...second.held.keys()]), new Set([0, 1]))
})
