/**
 * Symptom: administration failed when the broker that it asked ended, and records were not deleted when the partitions
 * of one leader went to two others. Cause: only codes in answers were retried, and what one leader had was asked of the
 * next leader of its first partition. Reach: clusters of several brokers.
 */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { Admin, Cluster } from '../../src/client/index.ts'
import {
  createTopicsApi,
  deleteRecordsApi,
  type DeleteRecordsRequest,
  listGroupsApi,
  metadataApi,
  ZERO_UUID
} from '../../src/protocol/index.ts'
import { type FakeBroker, type SeenRequest, startFakeBroker } from './fake-broker.ts'

const NOT_LEADER = 6

interface Brokers {
  /** Node ids of those that metadata names. */
  listed: number[]
  /** Leader of each partition of `there`. */
  leaders: number[]
}

/** A client of three brokers; `handle` answers what is not metadata. */
async function threeBrokers(
  t: TestContext,
  handle: (request: SeenRequest, nodeId: number, state: Brokers) => boolean
): Promise<Admin> {
  const brokers: FakeBroker[] = []
  const state: Brokers = { listed: [1, 2, 3], leaders: [1, 1] }
  for (const nodeId of [1, 2, 3]) {
    brokers.push(
      await startFakeBroker(t, request => {
        if (request.apiKey !== metadataApi.key) return handle(request, nodeId, state)
        const listed = state.listed.map(id => ({ id, broker: brokers[id - 1] }))
        request.answer(metadataApi, {
          clusterId: 'c',
          controllerId: state.listed[0] ?? -1,
          brokers: listed.map(({ id, broker }) => {
            return { nodeId: id, host: broker?.host ?? '', port: broker?.port ?? 0, rack: null }
          }),
          topics: [
            {
              name: 'there',
              topicId: ZERO_UUID,
              partitions: state.leaders.map((leaderId, partitionIndex) => {
                return { partitionIndex, leaderId, leaderEpoch: -1, replicaNodes: [1, 2, 3], isrNodes: [1, 2, 3] }
              })
            }
          ]
        })
        return true
      })
    )
  }
  const cluster = await Cluster.connect({
    bootstrapServers: brokers.flatMap(broker => broker.bootstrapServers),
    requestTimeoutMs: 5000
  })
  t.after(() => cluster.close())
  return new Admin(cluster)
}

test('a controller that ends before it answers is asked again, where it is then', async t => {
  const asked: number[] = []
  const admin = await threeBrokers(t, (request, nodeId, state) => {
    if (request.apiKey !== createTopicsApi.key) return false
    asked.push(nodeId)
    if (nodeId === 1) {
      state.listed = [2, 3]
      request.socket.destroy()
      return true
    }
    request.answer(createTopicsApi, { topics: [{ name: 'new', errorCode: 0 }] })
    return true
  })
  const [result] = await admin.createTopics([{ topic: 'new' }])
  assert.equal(result?.errorCode, 0)
  assert.deepEqual(asked, [1, 2])
})

test('groups are listed by those that are left when a broker ends', async t => {
  const admin = await threeBrokers(t, (request, nodeId, state) => {
    if (request.apiKey !== listGroupsApi.key) return false
    if (nodeId === 3) {
      state.listed = [1, 2]
      request.socket.destroy()
      return true
    }
    const groups = [{ groupId: `group-${nodeId}`, protocolType: 'consumer', groupState: 'Empty' }]
    request.answer(listGroupsApi, { errorCode: 0, groups })
    return true
  })
  const names = (await admin.listGroups()).map(({ groupId }) => groupId)
  assert.deepEqual(names.toSorted(), ['group-1', 'group-2'])
})

test('records are deleted when the partitions of one leader go to two others', async t => {
  const admin = await threeBrokers(t, (request, nodeId, state) => {
    if (request.apiKey !== deleteRecordsApi.key) return false
    state.leaders = [2, 3]
    const { topics } = request.message as DeleteRecordsRequest // The handler has looked at the API key.
    const partitions = (topics[0]?.partitions ?? []).map(({ partitionIndex, offset }) => {
      const errorCode = state.leaders[partitionIndex] === nodeId && nodeId !== 1 ? 0 : NOT_LEADER
      return { partitionIndex, lowWatermark: errorCode === 0 ? offset : -1n, errorCode }
    })
    request.answer(deleteRecordsApi, { topics: [{ name: 'there', partitions }] })
    return true
  })
  const deleted = await admin.deleteRecords([
    { topic: 'there', partition: 0, beforeOffset: 5n },
    { topic: 'there', partition: 1, beforeOffset: 7n }
  ])
  assert.deepEqual(deleted, [
    { topic: 'there', partition: 0, logStartOffset: 5n, errorCode: 0 },
    { topic: 'there', partition: 1, logStartOffset: 7n, errorCode: 0 }
  ])
})
