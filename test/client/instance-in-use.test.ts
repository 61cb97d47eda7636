/** Static members of the consumer protocol whose instance id is still, or for ever, somebody else's. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import { VirtualClock } from '../../src/core/index.ts'
import { TestMember, Watch } from '../conformance/client-support.ts'

test('an instance id that stays in use ends the newcomer; one that becomes free lets it in', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 1 }])
  const watch = new Watch()
  const settings = { cluster, groupId: 'g', topics: ['t'], groupProtocol: 'consumer', groupInstanceId: 'i' } as const
  const older = new TestMember(t, settings, watch)
  await watch.until(() => older.held.size === 1)

  const clock = new VirtualClock()
  const second = new TestMember(t, { ...settings, clock }, watch)
  // The session timeout and a margin: an instance that had crashed would be gone by then.
  while (second.failures.length === 0) {
    await clock.advance(100)
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.equal(second.failures[0]?.code, 'ERR_CLIENT_INSTANCE_IN_USE')
  assert.match(second.failures[0].message, /UNRELEASED_INSTANCE_ID/)
  assert.ok(clock.monotonicMs() > 10_000)
  assert.equal(older.held.size, 1)

  const third = new TestMember(t, settings, watch)
  await older.member.close()
  await watch.until(() => third.held.size === 1)
  assert.deepEqual(third.failures, [])
})
