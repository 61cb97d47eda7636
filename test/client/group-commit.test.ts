/** Commits while the group rebalances, against a coordinator that answers as a test wants. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Cluster } from '../../src/client/index.ts'
import {
  findCoordinatorApi,
  heartbeatApi,
  joinGroupApi,
  type JoinGroupRequest,
  leaveGroupApi,
  metadataApi,
  offsetCommitApi,
  offsetFetchApi,
  syncGroupApi,
  type SyncGroupRequest,
  ZERO_UUID
} from '../../src/protocol/index.ts'
import { TestMember } from '../conformance/client-support.ts'
import { type FakeBroker, type RequestHandler, type SeenRequest, startFakeBroker } from './fake-broker.ts'

const rebalanceInProgress = 27
const at = [{ topic: 't', partition: 0, offset: 5n }]

/** A group of one: whoever joins leads it. Heartbeats are answered with success, commits as the test says. */
function coordinator(broker: () => FakeBroker, commitCode: () => number): RequestHandler {
  let generation = 0
  return request => {
    switch (request.apiKey) {
      case metadataApi.key:
        return answerMetadata(request, broker())
      case findCoordinatorApi.key: {
        const { host, port } = broker()
        return request.answer(findCoordinatorApi, { coordinators: [{ key: 'g', nodeId: 1, host, port }] })
      }
      case joinGroupApi.key: {
        const { protocols } = request.message as JoinGroupRequest // Decoded by our own codec.
        const [{ name: protocolName, metadata } = { name: '', metadata: Buffer.alloc(0) }] = protocols
        generation += 1
        const members = [{ memberId: 'm', metadata }]
        return request.answer(joinGroupApi, {
          generationId: generation,
          protocolName,
          leader: 'm',
          memberId: 'm',
          members
        })
      }
      case syncGroupApi.key: {
        const { assignments } = request.message as SyncGroupRequest
        return request.answer(syncGroupApi, { assignment: assignments[0]?.assignment ?? Buffer.alloc(0) })
      }
      case offsetFetchApi.key: {
        const partitions = [{ partitionIndex: 0, committedOffset: 3n, metadata: '' }]
        return request.answer(offsetFetchApi, { groups: [{ groupId: 'g', topics: [{ name: 't', partitions }] }] })
      }
      case offsetCommitApi.key: {
        const partitions = [{ partitionIndex: 0, errorCode: commitCode() }]
        return request.answer(offsetCommitApi, { topics: [{ name: 't', partitions }] })
      }
      case heartbeatApi.key:
        return request.answer(heartbeatApi, {})
      case leaveGroupApi.key:
        return request.answer(leaveGroupApi, {})
      default:
        return false
    }
  }
}

function answerMetadata(request: SeenRequest, { host, port }: FakeBroker): void {
  const partitions = [{ partitionIndex: 0, leaderId: 1, leaderEpoch: 1, replicaNodes: [1], isrNodes: [1] }]
  request.answer(metadataApi, {
    clusterId: 'c',
    controllerId: 1,
    brokers: [{ nodeId: 1, host, port, rack: null }],
    topics: [{ name: 't', topicId: ZERO_UUID, partitions }]
  })
}

async function memberForTest(
  t: TestContext,
  commitCode: () => number
): Promise<{ member: TestMember; broker: FakeBroker }> {
  const broker: FakeBroker = await startFakeBroker(t, (request: SeenRequest) => handle(request))
  const handle = coordinator(() => broker, commitCode)
  const cluster = await Cluster.connect({ bootstrapServers: broker.bootstrapServers, requestTimeoutMs: 400 })
  t.after(() => cluster.close())
  const member = new TestMember(t, { cluster, groupId: 'g', topics: ['t'] })
  await member.watch.until(() => member.held.size === 1)
  return { member, broker }
}

test('a commit that comes into a rebalance is repeated until the group takes it', async t => {
  const codes = [rebalanceInProgress, rebalanceInProgress, 0]
  const { member, broker } = await memberForTest(t, () => codes.shift() ?? 0)
  assert.equal(member.held.get(0)?.offset, 3n)

  await member.member.commitOffsets(at)

  assert.equal(broker.requests.filter(({ apiKey }) => apiKey === offsetCommitApi.key).length, 3)
  // The refused commit is news of the rebalance: the member joins again, with what it holds.
  assert.ok(member.member.generation >= 2)
  assert.deepEqual(member.calls, ['assigned 0'])
})

test('a commit that the group does not take within the request timeout fails, and can be tried again', async t => {
  const { member } = await memberForTest(t, () => rebalanceInProgress)
  await assert.rejects(member.member.commitOffsets(at), {
    code: 'ERR_CLIENT_REBALANCE_IN_PROGRESS',
    retriable: true
  })
  assert.equal(member.held.size, 1)
})

test('a commit that is refused for another reason fails with what the broker said', async t => {
  const { member } = await memberForTest(t, () => 12)
  await assert.rejects(member.member.commitOffsets([{ topic: 't', partition: 0, offset: 5n, metadata: 'x' }]), {
    code: 'ERR_CLIENT_KAFKA',
    kafkaCode: 12,
    message: /OFFSET_METADATA_TOO_LARGE/
  })
})

test('a failed commit of an unknown member loses the partitions', async t => {
  const codes = [25]
  const { member } = await memberForTest(t, () => codes.shift() ?? 0)
  await assert.rejects(member.member.commitOffsets(at), { code: 'ERR_CLIENT_GENERATION_STALE', kafkaCode: 25 })
  await member.watch.until(() => member.calls.length === 3)
  assert.deepEqual(member.calls, ['assigned 0', 'lost 0', 'assigned 0'])
})
