/**
 * OffsetCommit, versions 2 to 10: stores offsets of a group, fenced by member id
 * and generation. The answer is sent when they are in `__consumer_offsets`.
 *
 * Versions 2 to 4 may carry a retention of their own; version 9 on, members of
 * consumer groups may commit; version 10 names topics by id. Metadata longer than
 * `offset.metadata.max.bytes` fails its partition only.
 */

import { type KafkaErrorName, offsetCommitApi, type OffsetCommitRequest, ZERO_UUID } from '../../protocol/index.ts'
import type { OffsetToCommit } from '../groups/index.ts'
import { mayTopic } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode } from './handler.ts'

const NO_RETENTION = -1n
/** From here on, members of consumer groups say their epoch (KIP-848). */
const MEMBER_EPOCH_VERSION = 9
type RequestTopic = OffsetCommitRequest['topics'][number]

/** The handler of OffsetCommit. */
export const offsetCommitHandler = defineHandler({
  api: offsetCommitApi,
  needs: request => [{ operation: 'read', type: 'group', name: request.groupId }],
  handle: async (broker, request, caller) => {
    const offsets: OffsetToCommit[] = []
    const checked = request.topics.map(topic => checkTopic(broker, { request, caller, topic, offsets }))
    const identity = {
      memberId: request.memberId,
      groupInstanceId: request.groupInstanceId,
      generation: request.generationIdOrMemberEpoch,
      isMemberEpochKnown: caller.apiVersion >= MEMBER_EPOCH_VERSION
    }
    const error = await broker.groups.commitOffsets(request.groupId, identity, offsets)
    const topics = request.topics.map((topic, topicIndex) => ({
      name: topic.name,
      topicId: topic.topicId,
      partitions: topic.partitions.map(({ partitionIndex }, index) => {
        const own = checked[topicIndex]?.[index] ?? 'NONE'
        return { partitionIndex, errorCode: errorCode(own === 'NONE' ? error : own) }
      })
    }))
    return { topics }
  },
  fail: (request, code) => ({
    topics: request.topics.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: code }))
    }))
  })
})

/** Errors of a topic's partitions one by one; what may be committed is added to `offsets`. */
function checkTopic(
  broker: BrokerState,
  context: { request: OffsetCommitRequest; caller: Caller; topic: RequestTopic; offsets: OffsetToCommit[] }
): KafkaErrorName[] {
  const { request, caller, topic, offsets } = context
  const isById = topic.topicId !== ZERO_UUID
  const known = isById ? broker.logs.topicById(topic.topicId) : broker.logs.topic(topic.name)
  const name = known?.name ?? topic.name
  if (!(known === undefined && isById) && !mayTopic(broker, caller, { operation: 'read', name }))
    return topic.partitions.map(() => 'TOPIC_AUTHORIZATION_FAILED')
  const nowMs = broker.clock.now()
  const expireTimestampMs =
    request.retentionTimeMs === NO_RETENTION ? undefined : nowMs + Number(request.retentionTimeMs)
  const metadataBytesMax = broker.settings.number('offset.metadata.max.bytes')
  return topic.partitions.map(partition => {
    if (known === undefined && isById) return 'UNKNOWN_TOPIC_ID'
    if (known?.logs[partition.partitionIndex] === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
    const metadata = partition.committedMetadata ?? ''
    if (Buffer.byteLength(metadata) > metadataBytesMax) return 'OFFSET_METADATA_TOO_LARGE'
    const { committedOffset: offset, committedLeaderEpoch: leaderEpoch } = partition
    const committed = { offset, leaderEpoch, metadata, commitTimestampMs: nowMs, expireTimestampMs }
    offsets.push({ topic: known.name, partition: partition.partitionIndex, committed })
    return 'NONE'
  })
}
