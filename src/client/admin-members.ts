/** Administration of what a group holds: its members, and single committed offsets. */

import { PipelineError } from '../core/index.ts'
import { leaveGroupApi, offsetDeleteApi } from '../protocol/index.ts'
import { ask, byTopic } from './admin-send.ts'
import type { AlteredOffset } from './admin-groups.ts'
import type { Cluster } from './cluster.ts'
import type { TopicPartition } from './group-types.ts'
import { throwKafkaError } from './kafka-error.ts'

/** A member to remove: by its own id, or a static one by its instance id. */
export type MemberToRemove = { readonly memberId: string } | { readonly groupInstanceId: string }

/** What became of one. */
export interface RemovedMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  /** 0 = removed. `UNKNOWN_MEMBER_ID` (25) = there was none of this name. */
  readonly errorCode: number
}

/** First version of LeaveGroup that names members, also by instance id (KIP-345). */
const membersVersion = 3
/** First version with a reason, which goes into the log of the coordinator (KIP-800). */
const reasonVersion = 5
/** Longest reason that is sent: brokers and people read it. */
const reasonLengthMax = 255

/**
 * Removes members of a classic group, which then rebalances. A dynamic member that is still alive joins again; a
 * static one as well, as soon as it learns of it.
 *
 * @throws PipelineError `ERR_CLIENT_KAFKA` if the group as a whole is refused, `ERR_CLIENT_VERSION_UNSUPPORTED` for a
 *   broker before Apache Kafka 2.4, and those of the connection.
 */
export async function removeMembers(
  cluster: Cluster,
  groupId: string,
  { members, reason }: { readonly members: readonly MemberToRemove[]; readonly reason: string }
): Promise<RemovedMember[]> {
  const to = { coordinator: 'group', key: groupId } as const
  const request = async (): Promise<{ errorCode: number; members: readonly RemovedMember[] }> => {
    const connection = await cluster.connectionTo({ to })
    const version = connection.versionOf(leaveGroupApi)
    if (version < membersVersion) {
      throw new PipelineError('ERR_CLIENT_VERSION_UNSUPPORTED', 'this broker removes no members for others (KIP-345)')
    }
    const why = version >= reasonVersion ? { reason: reason.slice(0, reasonLengthMax) } : {}
    const message = {
      groupId,
      // One list of both kinds: a member without an id of its own is found by its instance.
      members: members.map(member => ({ memberId: '', ...member, ...why }))
    }
    return await connection.send(leaveGroupApi, message, { version })
  }
  const answer = await ask(cluster, request, {
    codesOf: each => [each.errorCode, ...each.members.map(member => member.errorCode)],
    groupId
  })
  throwKafkaError(answer.errorCode, `LeaveGroup of group ${groupId}`)
  return answer.members.map(({ memberId, groupInstanceId, errorCode }) => ({ memberId, groupInstanceId, errorCode }))
}

/**
 * Deletes committed offsets (KIP-496). Refused for topics that a group at work subscribes to, partition by partition:
 * `GROUP_SUBSCRIBED_TO_TOPIC` (86).
 *
 * @throws PipelineError `ERR_CLIENT_KAFKA` if the group as a whole is refused: `GROUP_ID_NOT_FOUND` (69),
 *   `NON_EMPTY_GROUP` (68).
 */
export async function deleteGroupOffsets(
  cluster: Cluster,
  groupId: string,
  partitions: readonly TopicPartition[]
): Promise<AlteredOffset[]> {
  const to = { coordinator: 'group', key: groupId } as const
  const topics = [...byTopic(partitions)].map(([name, items]) => ({
    name,
    partitions: items.map(({ partition }) => ({ partitionIndex: partition }))
  }))
  const answer = await ask(cluster, () => cluster.send(offsetDeleteApi, { groupId, topics }, { to }), {
    codesOf: each => [
      each.errorCode,
      ...each.topics.flatMap(topic => topic.partitions.map(partition => partition.errorCode))
    ],
    groupId
  })
  throwKafkaError(answer.errorCode, `OffsetDelete of group ${groupId}`)
  return answer.topics.flatMap(topic =>
    topic.partitions.map(each => ({ topic: topic.name, partition: each.partitionIndex, errorCode: each.errorCode }))
  )
}
