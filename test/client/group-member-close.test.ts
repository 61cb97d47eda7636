/** Closing a member that has not got far. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBroker } from '../../src/broker/index.ts'
import { Cluster } from '../../src/client/index.ts'
import { TestMember } from '../conformance/client-support.ts'

test('a member that has not found its coordinator yet closes at once', { timeout: 10_000 }, async t => {
  const broker = await startBroker()
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers], requestTimeoutMs: 60_000 })
  t.after(() => cluster.close())
  await broker.close()
  const member = new TestMember(t, { cluster, groupId: 'g', topics: ['t'], groupProtocol: 'auto' })
  assert.equal(member.member.state, 'joining')
  await new Promise(resolve => setImmediate(resolve))

  await member.member.close()
  assert.equal(member.member.state, 'closed')
  assert.deepEqual(member.calls, [])
})

test('a member that was never started closes too, and does not start any more', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  const member = new TestMember(t, { cluster, groupId: 'g', topics: ['t'], groupProtocol: 'consumer' })
  await member.member.close({ reason: 'nothing to do' })
  member.member.start()
  assert.deepEqual([member.member.state, member.member.generation], ['closed', -1])
  assert.deepEqual(member.member.groupMetadata(), {
    groupId: 'g',
    memberId: '',
    generation: -1,
    groupInstanceId: undefined
  })
})
