/**
 * What members of a consumer group tell each other through the coordinator,
 * which does not look inside: subscriptions to the leader, assignments back.
 *
 * Compatible with Kafka's own consumers: `cooperative-sticky` members put their
 * generation into the user data, as Kafka's `CooperativeStickyAssignor` does
 * for leaders that do not know version 2 of the subscription.
 */

import {
  consumerProtocolAssignmentCodec,
  consumerProtocolSubscriptionCodec,
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
  readonly rackId: string | null
}

/** Encodes a subscription for one assignor. */
export function encodeSubscription(assignor: AssignorName, subscription: Subscription): Buffer {
  const userData = Buffer.alloc(generationBytes)
  userData.writeInt32BE(subscription.generation)
  return encodeVersioned(consumerProtocolSubscriptionCodec, protocolVersion, {
    topics: subscription.topics,
    userData: assignor === 'cooperative-sticky' ? userData : null,
    ownedPartitions: groupPartitions(subscription.owned),
    generationId: subscription.generation,
    rackId: subscription.rackId
  })
}

/**
 * Decodes the subscription of a member.
 *
 * @throws PipelineError of the protocol if the bytes are no subscription.
 */
export function decodeSubscription(member: {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly metadata: Buffer
}): AssignorMember {
  const read = decodeConsumerProtocol(consumerProtocolSubscriptionCodec, member.metadata)
  const { memberId, groupInstanceId } = member
  const isOld = read.generationId < 0 && read.userData?.length === generationBytes
  const generation = isOld ? (read.userData?.readInt32BE(0) ?? -1) : read.generationId
  return { memberId, groupInstanceId, topics: read.topics, owned: ungroupPartitions(read.ownedPartitions), generation }
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
