/**
 * The consumer's own bytes inside the classic protocol: what a member subscribes
 * to, and what it is assigned. The broker reads them of groups of the protocol
 * type `consumer` only; other types (`connect`, `sr`) are opaque.
 *
 * Source: Kafka `ConsumerProtocolSubscription`, `ConsumerProtocolAssignment`.
 */

import { PipelineError } from '../../core/index.ts'
import {
  consumerProtocolAssignmentCodec,
  type ConsumerProtocolSubscription,
  consumerProtocolSubscriptionCodec,
  decodeConsumerProtocol,
  encodeVersioned
} from '../../protocol/index.ts'
import type { Partitions, TopicsView } from './consumer-group-types.ts'

/** A subscription with its version. */
export interface EmbeddedSubscription extends ConsumerProtocolSubscription {
  readonly version: number
}

/** A subscription, or `undefined` if the bytes are not one. */
export function readSubscription(bytes: Buffer): EmbeddedSubscription | undefined {
  const subscription = attempt(() => decodeConsumerProtocol(consumerProtocolSubscriptionCodec, bytes))
  return subscription && { ...subscription, version: bytes.readInt16BE(0) }
}

/** The version of a subscription; 0 for bytes that are too short to say. */
export function subscriptionVersion(bytes: Buffer | undefined): number {
  return bytes === undefined || bytes.length < 2 ? 0 : bytes.readInt16BE(0)
}

/** Topics of a subscription, or `undefined` if the bytes are not one. */
export function subscriptionTopics(subscription: Buffer): readonly string[] | undefined {
  return readSubscription(subscription)?.topics
}

/** Partitions by topic id. Topics that do not exist are left out. */
export function partitionsById(
  named: readonly { readonly topic: string; readonly partitions: readonly number[] }[],
  topics: TopicsView
): Partitions {
  const partitions = new Map<string, readonly number[]>()
  for (const each of named) {
    const id = topics.byName(each.topic)?.id
    if (id === undefined || each.partitions.length === 0) continue
    // A topic may be named more than once.
    partitions.set(id, [...new Set([...(partitions.get(id) ?? []), ...each.partitions])])
  }
  return partitions
}

/**
 * An assignment as it was handed out by a leader; no bytes are no partitions.
 *
 * @returns `undefined` if the bytes are not one, or carry data of an assignor of the client's own.
 */
export function readAssignment(bytes: Buffer, topics: TopicsView): Partitions | undefined {
  if (bytes.length === 0) return new Map()
  const assignment = attempt(() => decodeConsumerProtocol(consumerProtocolAssignmentCodec, bytes))
  if (assignment === undefined || (assignment.userData?.length ?? 0) > 0) return undefined
  return partitionsById(assignment.assignedPartitions, topics)
}

/** The bytes of an assignment, in a version that the reader knows. */
export function writeAssignment(partitions: Partitions, version: number, topics: TopicsView): Buffer {
  const assignedPartitions = [...partitions].flatMap(([topicId, each]) => {
    const name = topics.byId(topicId)?.name
    return name === undefined ? [] : [{ topic: name, partitions: each }]
  })
  const known = Math.max(0, Math.min(version, consumerProtocolAssignmentCodec.maxVersion))
  return encodeVersioned(consumerProtocolAssignmentCodec, known, { assignedPartitions })
}

/** The bytes come from the client; a group of another language may use its own format. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (PipelineError.is(error)) return undefined
    throw error
  }
}
