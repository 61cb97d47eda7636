/**
 * A coordinator that refuses at once is not asked in a loop without a pause: whatever it answers, a member asks a few
 * times while no time passes, and then waits.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster, type GroupProtocol } from '../../src/client/index.ts'
import { VirtualClock } from '../../src/core/index.ts'
import { TestMember, Watch } from '../conformance/client-support.ts'

const UNKNOWN_MEMBER_ID = 25
const REBALANCE_IN_PROGRESS = 27
const MEMBER_ID_REQUIRED = 79
const GROUP_MAX_SIZE_REACHED = 81

interface Case {
  readonly what: string
  readonly protocol: GroupProtocol
  /** Error of the n-th request of an API, counted from 0; `undefined` = what the broker says. */
  readonly answer: (apiName: string, index: number) => number | undefined
}

const cases: readonly Case[] = [
  {
    what: 'that names the member anew in every answer to a join',
    protocol: 'classic',
    answer: apiName => (apiName === 'JoinGroup' ? MEMBER_ID_REQUIRED : undefined)
  },
  {
    what: 'that begins a rebalance whenever the last one is about to end',
    protocol: 'classic',
    answer: apiName => (apiName === 'SyncGroup' ? REBALANCE_IN_PROGRESS : undefined)
  },
  {
    what: 'that rebalances at every join',
    protocol: 'classic',
    answer: apiName => (apiName === 'JoinGroup' ? REBALANCE_IN_PROGRESS : undefined)
  },
  {
    what: 'that forgets the member after every join',
    protocol: 'consumer',
    answer: (apiName, index) =>
      apiName === 'ConsumerGroupHeartbeat' && index % 2 === 1 ? UNKNOWN_MEMBER_ID : undefined
  },
  {
    what: 'that never knows the member',
    protocol: 'consumer',
    answer: apiName => (apiName === 'ConsumerGroupHeartbeat' ? UNKNOWN_MEMBER_ID : undefined)
  },
  {
    what: 'whose group is full',
    protocol: 'consumer',
    answer: apiName => (apiName === 'ConsumerGroupHeartbeat' ? GROUP_MAX_SIZE_REACHED : undefined)
  }
]

for (const { what, protocol, answer } of cases) {
  test(`a coordinator ${what} is asked with pauses`, { timeout: 10_000 }, async t => {
    const counts = new Map<string, number>()
    const broker = await startBroker({
      config: { 'group.initial.rebalance.delay.ms': '0' },
      onRequest: ({ apiName }) => {
        const index = counts.get(apiName) ?? 0
        counts.set(apiName, index + 1)
        const errorCode = answer(apiName, index)
        return errorCode === undefined ? undefined : { errorCode }
      }
    })
    t.after(() => broker.close())
    const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
    t.after(() => cluster.close())
    await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 2 }])
    const clock = new VirtualClock()
    new TestMember(t, { cluster, groupId: 'g', topics: ['t'], groupProtocol: protocol, clock }, new Watch())
    const askCount = (): number => (counts.get('JoinGroup') ?? 0) + (counts.get('ConsumerGroupHeartbeat') ?? 0)
    while (askCount() === 0) await new Promise(resolve => setImmediate(resolve))
    const endMs = performance.now() + 150
    while (performance.now() < endMs) await new Promise(resolve => setImmediate(resolve))

    assert.ok(askCount() <= 6, `${askCount()} questions while no time has passed`)
  })
}
