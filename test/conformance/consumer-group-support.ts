/** Members of consumer groups (KIP-848) over raw connections, for conformance tests. */

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import {
  consumerGroupDescribeApi,
  type ConsumerGroupDescribeResponseDescribedGroup,
  consumerGroupHeartbeatApi,
  type ConsumerGroupHeartbeatRequestInput,
  type ConsumerGroupHeartbeatResponse,
  createTopicsApi,
  findCoordinatorApi
} from '../../src/protocol/index.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { connectForTest, errorOf, type Peer, type Topic } from './support.ts'

const settleMs = 15_000
export const rebalanceTimeoutMs = 60_000

/** A cluster whose coordinator for a new group is ready. */
export async function groupForTest(t: TestContext): Promise<{ peer: Peer; groupId: string }> {
  const peer = await connectForTest(t)
  const groupId = peer.cluster.uniqueName('group')
  await groupReady(peer, groupId)
  return { peer, groupId }
}

/** Waits until the coordinator of a group that does not exist yet is ready. */
export async function groupReady(peer: Peer, groupId: string): Promise<void> {
  await until('a coordinator', async () => {
    const found = await peer.connection.request(findCoordinatorApi, {
      version: 4,
      message: { keyType: 0, coordinatorKeys: [groupId] }
    })
    const described = await describe(peer, groupId)
    return errorOf(found.coordinators[0]) === 'NONE' && errorOf(described) === 'GROUP_ID_NOT_FOUND' ? true : undefined
  })
}

/** Asks until there is an answer. */
export async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + settleMs
  while (performance.now() < deadline) {
    const answer = await ask()
    if (answer !== undefined) return answer
  }
  return assert.fail(`no ${what} within ${settleMs} ms`)
}

/** What ConsumerGroupDescribe says about a group. */
export async function describe(
  { connection }: Pick<Peer, 'connection'>,
  groupId: string
): Promise<ConsumerGroupDescribeResponseDescribedGroup> {
  const { groups } = await connection.request(consumerGroupDescribeApi, {
    version: 1,
    message: { groupIds: [groupId] }
  })
  const [group] = groups
  assert.ok(group !== undefined)
  return group
}

/** Creates a topic with a name of the test's own. */
export async function createNamedTopic({ connection }: Peer, name: string, numPartitions: number): Promise<Topic> {
  const { topics } = await connection.request(createTopicsApi, {
    version: 7,
    message: { topics: [{ name, numPartitions, replicationFactor: 1 }], timeoutMs: 10_000 }
  })
  assert.equal(errorOf(topics[0]), 'NONE')
  return { name, id: topics[0]?.topicId ?? '' }
}

type Heartbeat = Omit<ConsumerGroupHeartbeatRequestInput, 'groupId' | 'memberId'>

/** A member that does what clients do, one heartbeat at a time. */
export class GroupMember {
  readonly connection: RawConnection
  readonly groupId: string
  readonly memberId: string
  readonly instanceId: string | undefined
  epoch = 0
  /** Partitions it may use, by topic id. */
  owned = new Map<string, number[]>()

  constructor(
    connection: RawConnection,
    options: { groupId: string; memberId?: string | undefined; instanceId?: string | undefined }
  ) {
    this.connection = connection
    this.groupId = options.groupId
    this.memberId = options.memberId ?? randomUUID()
    this.instanceId = options.instanceId
  }

  /** Sends one heartbeat and answers what came back, whatever it is. */
  send(fields: Heartbeat): Promise<ConsumerGroupHeartbeatResponse> {
    const { groupId, memberId, instanceId = null } = this
    const message = { groupId, memberId, instanceId, ...fields }
    return this.connection.request(consumerGroupHeartbeatApi, { version: 1, message })
  }

  /** Joins with a subscription. */
  async join(fields: Heartbeat): Promise<ConsumerGroupHeartbeatResponse> {
    const response = await this.send({ memberEpoch: 0, rebalanceTimeoutMs, topicPartitions: [], ...fields })
    this.#take(response)
    return response
  }

  /** One heartbeat that says what the member has. */
  async beat(fields: Heartbeat = {}): Promise<ConsumerGroupHeartbeatResponse> {
    const topicPartitions = [...this.owned].map(([topicId, partitions]) => ({ topicId, partitions }))
    const response = await this.send({ memberEpoch: this.epoch, topicPartitions, ...fields })
    this.#take(response)
    return response
  }

  /** Leaves for good, or for a moment. */
  leave(memberEpoch: -1 | -2 = -1): Promise<ConsumerGroupHeartbeatResponse> {
    return this.send({ memberEpoch })
  }

  /** Partitions of a topic that the member may use. */
  of(topic: Topic): number[] {
    return (this.owned.get(topic.id) ?? []).toSorted((a, b) => a - b)
  }

  #take(response: ConsumerGroupHeartbeatResponse): void {
    assert.equal(errorOf(response), 'NONE', response.errorMessage ?? '')
    this.epoch = response.memberEpoch
    if (response.assignment === null) return
    const { topicPartitions } = response.assignment
    this.owned = new Map(topicPartitions.map(({ topicId, partitions }) => [topicId, partitions]))
  }
}

/** Lets all members heartbeat until they have so many partitions together. None may have two owners meanwhile. */
export async function settle(members: readonly GroupMember[], partitionCount: number): Promise<void> {
  await until(`${partitionCount} partitions for ${members.length} members`, async () => {
    const before = members.map(({ epoch }) => epoch)
    for (const member of members) {
      await member.beat()
      assertDisjoint(members)
    }
    const count = members.flatMap(({ owned }) => [...owned.values()].flat()).length
    const isQuiet = members.every(({ epoch }, index) => epoch === before[index] && epoch === members[0]?.epoch)
    if (!isQuiet || count !== partitionCount) return undefined
    const [member] = members
    // Kafka makes a new assignment once a second at most: all is quiet while one is due.
    const group = member && (await describe(member, member.groupId))
    return group?.groupState === 'Stable' ? true : undefined
  })
}

function assertDisjoint(members: readonly GroupMember[]): void {
  const seen = new Map<string, string>()
  for (const { memberId, owned } of members) {
    for (const [topicId, partitions] of owned) {
      for (const partition of partitions) {
        const name = `${topicId}-${partition}`
        assert.equal(seen.get(name), undefined, `${name} has two owners`)
        seen.set(name, memberId)
      }
    }
  }
}
