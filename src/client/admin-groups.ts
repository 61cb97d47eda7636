/** Administration of groups: list, describe, delete, their offsets. */

import { backoffMs, isRetriable, sleep } from '../core/index.ts'
import {
  deleteGroupsApi,
  listGroupsApi,
  offsetCommitApi,
  offsetFetchApi,
  type OffsetFetchResponse
} from '../protocol/index.ts'
import { ask, byTopic } from './admin-send.ts'
import { listedOf } from './admin-many-groups.ts'
import { resultOf } from './admin-topics.ts'
import type { AdminResult, GroupOffset, ListedGroup } from './admin-types.ts'
import type { Cluster } from './cluster.ts'
import type { TopicPartition } from './group-types.ts'
import { KAFKA, throwKafkaError } from './kafka-error.ts'

/** OffsetFetch and OffsetCommit name topics by id from version 10 on (KIP-848); names serve all brokers. */
const offsetVersionMax = 9
/** First version that can wait for open transactions (KIP-447). */
const stableVersion = 7

/** All groups of all brokers. Each broker knows those that it coordinates: if one goes, all are asked again. */
export async function listGroups(cluster: Cluster): Promise<ListedGroup[]> {
  const deadlineMs = cluster.clock.monotonicMs() + cluster.requestTimeoutMs
  for (let failures = 1; ; failures += 1) {
    try {
      const { brokers } = await cluster.metadata([])
      const lists = await Promise.all(brokers.map(({ nodeId }) => listGroupsOf(cluster, nodeId)))
      return lists.flat()
    } catch (error) {
      if (!isRetriable(error) || cluster.clock.monotonicMs() >= deadlineMs) throw error
    }
    await sleep(cluster.clock, backoffMs({ initialMs: 50, maxMs: 1_000 }, failures, cluster.random))
  }
}

async function listGroupsOf(cluster: Cluster, nodeId: number): Promise<ListedGroup[]> {
  const answer = await ask(cluster, () => cluster.send(listGroupsApi, {}, { to: { nodeId } }), {
    codesOf: each => [each.errorCode],
    isReachRetried: false
  })
  throwKafkaError(answer.errorCode, 'ListGroups')
  return answer.groups.map(listedOf)
}

/** Deletes groups without members, and their offsets. */
export async function deleteGroups(cluster: Cluster, groupIds: readonly string[]): Promise<AdminResult[]> {
  return await Promise.all(
    groupIds.map(async groupId => {
      const to = { coordinator: 'group', key: groupId } as const
      const answer = await ask(cluster, () => cluster.send(deleteGroupsApi, { groupsNames: [groupId] }, { to }), {
        codesOf: each => each.results.map(result => result.errorCode),
        groupId
      })
      return resultOf(groupId, answer.results[0]?.errorCode ?? KAFKA.UNKNOWN_SERVER_ERROR, null)
    })
  )
}

/** All committed offsets, or those of the given partitions; with `isStable` those that no open transaction changes. */
export async function fetchGroupOffsets(
  cluster: Cluster,
  groupId: string,
  { partitions, isStable = false }: { partitions?: readonly TopicPartition[] | undefined; isStable?: boolean } = {}
): Promise<GroupOffset[]> {
  const to = { coordinator: 'group', key: groupId } as const
  const topics =
    partitions === undefined
      ? null
      : [...byTopic(partitions)].map(([name, items]) => ({ name, partitionIndexes: items.map(each => each.partition) }))
  const request = async (): Promise<OffsetFetchResponse> => {
    const connection = await cluster.connectionTo({ to })
    const version = connection.versionOf(offsetFetchApi, offsetVersionMax)
    // Version 8 asks for several groups at once (KIP-709), in another place of the request.
    const asked = version >= 8 ? { groups: [{ groupId, topics }] } : { groupId, topics }
    const message = isStable && version >= stableVersion ? { ...asked, requireStable: true } : asked
    return await connection.send(offsetFetchApi, message, { version })
  }
  const answer = await ask(cluster, request, { codesOf: codesOfOffsets, groupId })
  const [group] = answer.groups
  throwKafkaError(group?.errorCode ?? answer.errorCode, `OffsetFetch of group ${groupId}`)
  return (group?.topics ?? answer.topics).flatMap(topic =>
    topic.partitions.map(each => ({
      topic: topic.name,
      partition: each.partitionIndex,
      offset: each.committedOffset,
      leaderEpoch: each.committedLeaderEpoch,
      metadata: each.metadata ?? '',
      errorCode: each.errorCode
    }))
  )
}

function codesOfOffsets(answer: OffsetFetchResponse): number[] {
  const [group] = answer.groups
  const topics = group?.topics ?? answer.topics
  return [
    group?.errorCode ?? answer.errorCode,
    ...topics.flatMap(topic => topic.partitions.map(each => each.errorCode))
  ]
}

/** An offset that an empty group shall go on from. */
export type NewGroupOffset = TopicPartition & {
  readonly offset: bigint
  readonly metadata?: string
  /** Of the last record that was read, -1 = unknown. Default -1. Source: KIP-320. */
  readonly leaderEpoch?: number
}
/** Whether it was taken. */
export type AlteredOffset = TopicPartition & { readonly errorCode: number }

/** Sets the offsets of a group without members. */
export async function alterGroupOffsets(
  cluster: Cluster,
  groupId: string,
  offsets: readonly NewGroupOffset[]
): Promise<AlteredOffset[]> {
  const topics = [...byTopic(offsets)].map(([name, items]) => ({
    name,
    partitions: items.map(({ partition, offset, metadata, leaderEpoch }) => ({
      partitionIndex: partition,
      committedOffset: offset,
      committedLeaderEpoch: leaderEpoch ?? -1,
      committedMetadata: metadata ?? ''
    }))
  }))
  // No member and no generation: the coordinator takes it only while the group has no members.
  const request = { groupId, generationIdOrMemberEpoch: -1, memberId: '', topics }
  const send = { to: { coordinator: 'group', key: groupId }, versionMax: offsetVersionMax } as const
  const answer = await ask(cluster, () => cluster.send(offsetCommitApi, request, send), {
    codesOf: each => each.topics.flatMap(topic => topic.partitions.map(partition => partition.errorCode)),
    groupId
  })
  return answer.topics.flatMap(topic =>
    topic.partitions.map(each => ({ topic: topic.name, partition: each.partitionIndex, errorCode: each.errorCode }))
  )
}
