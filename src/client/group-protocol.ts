/**
 * What members of a consumer group tell each other through the coordinator,
 * which does not look inside: subscriptions to the leader, assignments back.
 *
 * Compatible with Kafka's own consumers: `cooperative-sticky` members put their
 * generation into the user data, as Kafka's `CooperativeStickyAssignor` does
 * for leaders that do not know version 2 of the subscription; `sticky` members
 * put what they had before into it, as Kafka's `StickyAssignor` does, because
 * they own nothing any more when they join.
 *
 *     sticky user data => previous_assignment:[topic:string partitions:[i32]] generation:i32
 */

import {
  consumerProtocolAssignmentCodec,
  consumerProtocolSubscriptionCodec,
  ByteReader,
  ByteWriter,
  decodeConsumerProtocol,
  encodeVersioned
} from '../protocol/index.ts'
import type { AssignorMember } from './assignors.ts'
import type { AssignorName, TopicPartition } from './group-types.ts'

/** Type of the groups of Kafka's consumers. */
export const CONSUMER_PROTOCOL = 'consumer'

const protocolVersion = 3
const generationBytes = 4

/** What a member says about itself. */
export interface Subscription {
  readonly topics: readonly string[]
  readonly owned: readonly TopicPartition[]
  /** Generation in which it got what it owns, -1 if unknown. */
  readonly generation: number
  /** What it was assigned last, whether it owns it or not, and in which generation. Default nothing. */
  readonly previous?: { readonly partitions: readonly TopicPartition[]; readonly generation: number }
  readonly rackId: string | null
}

/** Encodes a subscription for one assignor. */
export function encodeSubscription(assignor: AssignorName, subscription: Subscription): Buffer {
  return encodeVersioned(consumerProtocolSubscriptionCodec, protocolVersion, {
    topics: subscription.topics,
    userData: userDataOf(assignor, subscription),
    ownedPartitions: groupPartitions(subscription.owned),
    generationId: subscription.generation,
    rackId: subscription.rackId
  })
}

function userDataOf(assignor: AssignorName, { generation, previous }: Subscription): Buffer | null {
  const writer = new ByteWriter()
  if (assignor === 'cooperative-sticky') {
    writer.int32(generation)
    return writer.toBuffer()
  }
  // A member without a past says nothing, as in Kafka.
  if (assignor !== 'sticky' || previous === undefined || previous.partitions.length === 0) return null
  const topics = groupPartitions(previous.partitions)
  writer.arrayLength(topics.length, false)
  for (const { topic, partitions } of topics) {
    writer.string(topic, false)
    writer.arrayLength(partitions.length, false)
    for (const partition of partitions) writer.int32(partition)
  }
  writer.int32(previous.generation)
  return writer.toBuffer()
}

/** What a sticky member had before. Bytes that are not understood say nothing, as in Kafka. */
function stickyPrevious(data: Buffer | null): { partitions: TopicPartition[]; generation: number } {
  try {
    if (data !== null && data.length > 0) return readStickyData(data)
  } catch {
    // Written by something else than an assignor of this name.
  }
  return { partitions: [], generation: -1 }
}

function readStickyData(bytes: Buffer): { partitions: TopicPartition[]; generation: number } {
  const reader = new ByteReader(bytes)
  const partitions: TopicPartition[] = []
  for (let topics = reader.arrayLength(false, 6); topics > 0; topics--) {
    const topic = reader.string(false)
    for (let count = reader.arrayLength(false, 4); count > 0; count--) {
      partitions.push({ topic, partition: reader.int32() })
    }
  }
  // Version 0 has no generation: what it claims is older than what others know.
  return { partitions, generation: reader.position + generationBytes <= bytes.length ? reader.int32() : -1 }
}

/**
 * Decodes the subscription of a member.
 *
 * @throws PipelineError of the protocol if the bytes are no subscription.
 */
export function decodeSubscription(
  member: { readonly memberId: string; readonly groupInstanceId: string | null; readonly metadata: Buffer },
  assignor: string
): AssignorMember {
  const read = decodeConsumerProtocol(consumerProtocolSubscriptionCodec, member.metadata)
  const { memberId, groupInstanceId } = member
  const owned = ungroupPartitions(read.ownedPartitions)
  const base = { memberId, groupInstanceId, topics: read.topics, owned }
  if (assignor === 'sticky') {
    return { ...base, generation: read.generationId, previous: stickyPrevious(read.userData) }
  }
  const isOld = read.generationId < 0 && read.userData?.length === generationBytes
  const generation = isOld ? (read.userData?.readInt32BE(0) ?? -1) : read.generationId
  return { ...base, generation, previous: { partitions: owned, generation } }
}

/**
 * The topics of a subscription alone: what the member owns, which may be thousands of partitions, is not looked at.
 *
 * @throws PipelineError of the protocol if the bytes are no subscription.
 */
export function decodeSubscribedTopics(bytes: Buffer): string[] {
  const reader = new ByteReader(bytes)
  reader.int16() // the version: topics come first in all of them
  const topics: string[] = []
  for (let count = reader.arrayLength(false, 2); count > 0; count--) topics.push(reader.string(false))
  return topics
}

/** Encodes what a member is assigned. */
export function encodeAssignment(partitions: readonly TopicPartition[]): Buffer {
  return encodeVersioned(consumerProtocolAssignmentCodec, protocolVersion, {
    assignedPartitions: groupPartitions(partitions)
  })
}

/**
 * Decodes what a member is assigned; no bytes mean nothing.
 *
 * @throws PipelineError of the protocol if the bytes are no assignment.
 */
export function decodeAssignment(bytes: Buffer): TopicPartition[] {
  if (bytes.length === 0) return []
  return ungroupPartitions(decodeConsumerProtocol(consumerProtocolAssignmentCodec, bytes).assignedPartitions)
}

/** Groups partitions by topic. */
export function groupPartitions(partitions: readonly TopicPartition[]): { topic: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>()
  for (const { topic, partition } of partitions) {
    const numbers = topics.get(topic)
    if (numbers === undefined) topics.set(topic, [partition])
    else numbers.push(partition)
  }
  return [...topics].map(([topic, numbers]) => ({ topic, partitions: numbers }))
}

function ungroupPartitions(topics: readonly { topic: string; partitions: readonly number[] }[]): TopicPartition[] {
  return topics.flatMap(({ topic, partitions }) => partitions.map(partition => ({ topic, partition })))
}
