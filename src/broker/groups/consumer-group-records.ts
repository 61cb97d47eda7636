/**
 * Records of consumer groups in `__consumer_offsets`, in Kafka's format, so that
 * Kafka's own tools read them.
 *
 *   key => type i16 | fields of version 0     value => version i16 | fields; none for a tombstone
 *
 *   3  ConsumerGroupMetadata                  epoch of the group, hash of its topics
 *   5  ConsumerGroupMemberMetadata            what a member has said about itself
 *   6  ConsumerGroupTargetAssignmentMetadata  epoch of the target assignment
 *   7  ConsumerGroupTargetAssignmentMember    what a member shall have
 *   8  ConsumerGroupCurrentMemberAssignment   what a member has, and its epoch
 *   16 ConsumerGroupRegularExpression         topics that a pattern matched
 *
 * Type 4, ConsumerGroupPartitionMetadata, is of Kafka before 4.1: it is read over
 * and never written; the hash has taken its place.
 */

import {
  consumerGroupCurrentMemberAssignmentKeyCodec,
  consumerGroupCurrentMemberAssignmentValueCodec,
  consumerGroupMemberMetadataKeyCodec,
  consumerGroupMemberMetadataValueCodec,
  consumerGroupMetadataKeyCodec,
  consumerGroupMetadataValueCodec,
  consumerGroupRegularExpressionKeyCodec,
  consumerGroupRegularExpressionValueCodec,
  consumerGroupTargetAssignmentMemberKeyCodec,
  consumerGroupTargetAssignmentMemberValueCodec,
  consumerGroupTargetAssignmentMetadataKeyCodec,
  consumerGroupTargetAssignmentMetadataValueCodec,
  decodeRecordKey,
  decodeVersioned,
  encodeRecordKey,
  encodeVersioned,
  recordTypeOf
} from '../../protocol/index.ts'
import type {
  CurrentAssignment,
  MemberMetadata,
  MemberState,
  OwnedPartitions,
  Partitions,
  ResolvedRegex
} from './consumer-group-types.ts'
import type { GroupRecord } from './group-records.ts'

/** A change of a consumer group: the only thing that changes its state. `undefined` removes. */
export type ConsumerGroupRecord =
  | { readonly kind: 'epoch'; readonly value: { readonly epoch: number; readonly metadataHash: bigint } | undefined }
  | { readonly kind: 'member'; readonly memberId: string; readonly value: MemberMetadata | undefined }
  | {
      readonly kind: 'targetEpoch'
      readonly value: { readonly epoch: number; readonly timestampMs: number } | undefined
    }
  | { readonly kind: 'target'; readonly memberId: string; readonly value: Partitions | undefined }
  | { readonly kind: 'current'; readonly memberId: string; readonly value: CurrentAssignment | undefined }
  | { readonly kind: 'regex'; readonly pattern: string; readonly value: ResolvedRegex | undefined }

const STATE_CODES: Readonly<Record<MemberState, number>> = { stable: 0, unrevoked: 1, unreleased: 2 }

/** The bytes of a change. */
export function encodeConsumerGroupRecord(groupId: string, record: ConsumerGroupRecord): GroupRecord {
  const key = encodeKey(groupId, record)
  return { key, value: record.value === undefined ? null : encodeValue(record) }
}

function encodeKey(groupId: string, record: ConsumerGroupRecord): Buffer {
  switch (record.kind) {
    case 'epoch':
      return encodeRecordKey(consumerGroupMetadataKeyCodec, { groupId })
    case 'member':
      return encodeRecordKey(consumerGroupMemberMetadataKeyCodec, { groupId, memberId: record.memberId })
    case 'targetEpoch':
      return encodeRecordKey(consumerGroupTargetAssignmentMetadataKeyCodec, { groupId })
    case 'target':
      return encodeRecordKey(consumerGroupTargetAssignmentMemberKeyCodec, { groupId, memberId: record.memberId })
    case 'current':
      return encodeRecordKey(consumerGroupCurrentMemberAssignmentKeyCodec, { groupId, memberId: record.memberId })
    case 'regex':
      return encodeRecordKey(consumerGroupRegularExpressionKeyCodec, { groupId, regularExpression: record.pattern })
  }
}

function encodeValue(record: ConsumerGroupRecord): Buffer | null {
  if (record.value === undefined) return null
  switch (record.kind) {
    case 'epoch':
      return encodeVersioned(consumerGroupMetadataValueCodec, 0, record.value)
    case 'member':
      return encodeMember(record.value)
    case 'targetEpoch': {
      const { epoch: assignmentEpoch, timestampMs } = record.value
      const value = { assignmentEpoch, assignmentTimestamp: BigInt(timestampMs) }
      return encodeVersioned(consumerGroupTargetAssignmentMetadataValueCodec, 0, value)
    }
    case 'target': {
      const topicPartitions = [...record.value].map(([topicId, partitions]) => ({ topicId, partitions }))
      return encodeVersioned(consumerGroupTargetAssignmentMemberValueCodec, 0, { topicPartitions })
    }
    case 'current':
      return encodeVersioned(consumerGroupCurrentMemberAssignmentValueCodec, 0, {
        memberEpoch: record.value.epoch,
        previousMemberEpoch: record.value.previousEpoch,
        state: STATE_CODES[record.value.state],
        assignedPartitions: writeOwned(record.value.assigned),
        partitionsPendingRevocation: writeOwned(record.value.pendingRevocation)
      })
    case 'regex': {
      const { topics, version, timestampMs } = record.value
      const value = { topics, version, timestamp: BigInt(timestampMs) }
      return encodeVersioned(consumerGroupRegularExpressionValueCodec, 0, value)
    }
  }
}

function encodeMember(member: MemberMetadata): Buffer {
  const { classic } = member
  return encodeVersioned(consumerGroupMemberMetadataValueCodec, 0, {
    instanceId: member.instanceId,
    rackId: member.rackId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    subscribedTopicNames: member.topicNames,
    subscribedTopicRegex: member.topicRegex,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    serverAssignor: member.assignor,
    classicMemberMetadata:
      classic === null ? null : { sessionTimeoutMs: classic.sessionTimeoutMs, supportedProtocols: classic.protocols }
  })
}

interface StoredPartitions {
  readonly topicId: string
  readonly partitions: readonly number[]
  readonly assignmentEpochs?: readonly number[] | null
}

function writeOwned(owned: OwnedPartitions): { topicId: string; partitions: number[]; assignmentEpochs: number[] }[] {
  return [...owned].map(([topicId, epochs]) => ({
    topicId,
    partitions: [...epochs.keys()],
    assignmentEpochs: [...epochs.values()]
  }))
}

/** A change of a group as it was read; `undefined` for a record that is not of consumer groups. */
export function readConsumerGroupRecord(
  key: Buffer,
  value: Buffer | null
): { readonly groupId: string; readonly record: ConsumerGroupRecord } | undefined {
  switch (recordTypeOf(key)) {
    case consumerGroupMetadataKeyCodec.recordType: {
      const { groupId } = decodeRecordKey(consumerGroupMetadataKeyCodec, key)
      return { groupId, record: { kind: 'epoch', value: decoded(value, consumerGroupMetadataValueCodec) } }
    }
    case consumerGroupMemberMetadataKeyCodec.recordType: {
      const { groupId, memberId } = decodeRecordKey(consumerGroupMemberMetadataKeyCodec, key)
      return { groupId, record: { kind: 'member', memberId, value: value === null ? undefined : readMember(value) } }
    }
    case consumerGroupTargetAssignmentMetadataKeyCodec.recordType: {
      const { groupId } = decodeRecordKey(consumerGroupTargetAssignmentMetadataKeyCodec, key)
      const stored = decoded(value, consumerGroupTargetAssignmentMetadataValueCodec)
      const target = stored && { epoch: stored.assignmentEpoch, timestampMs: Number(stored.assignmentTimestamp) }
      return { groupId, record: { kind: 'targetEpoch', value: target } }
    }
    case consumerGroupTargetAssignmentMemberKeyCodec.recordType: {
      const { groupId, memberId } = decodeRecordKey(consumerGroupTargetAssignmentMemberKeyCodec, key)
      const stored = decoded(value, consumerGroupTargetAssignmentMemberValueCodec)
      const target = stored && new Map(stored.topicPartitions.map(each => [each.topicId, each.partitions]))
      return { groupId, record: { kind: 'target', memberId, value: target } }
    }
    case consumerGroupCurrentMemberAssignmentKeyCodec.recordType: {
      const { groupId, memberId } = decodeRecordKey(consumerGroupCurrentMemberAssignmentKeyCodec, key)
      return { groupId, record: { kind: 'current', memberId, value: value === null ? undefined : readCurrent(value) } }
    }
    case consumerGroupRegularExpressionKeyCodec.recordType: {
      const { groupId, regularExpression } = decodeRecordKey(consumerGroupRegularExpressionKeyCodec, key)
      const stored = decoded(value, consumerGroupRegularExpressionValueCodec)
      const resolved = stored && { ...stored, timestampMs: Number(stored.timestamp) }
      return { groupId, record: { kind: 'regex', pattern: regularExpression, value: resolved } }
    }
    default:
      return undefined
  }
}

function decoded<T>(value: Buffer | null, codec: Parameters<typeof decodeVersioned<T>>[0]): T | undefined {
  return value === null ? undefined : decodeVersioned(codec, value)
}

function readMember(value: Buffer): MemberMetadata {
  const stored = decodeVersioned(consumerGroupMemberMetadataValueCodec, value)
  const classic = stored.classicMemberMetadata
  return {
    instanceId: stored.instanceId,
    rackId: stored.rackId,
    clientId: stored.clientId,
    clientHost: stored.clientHost,
    topicNames: stored.subscribedTopicNames,
    topicRegex: stored.subscribedTopicRegex ?? '',
    rebalanceTimeoutMs: stored.rebalanceTimeoutMs,
    assignor: stored.serverAssignor,
    classic: classic && {
      sessionTimeoutMs: classic.sessionTimeoutMs,
      // Views into a read buffer of the log would keep all of it in memory.
      protocols: classic.supportedProtocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }))
    }
  }
}

function readCurrent(value: Buffer): CurrentAssignment {
  const stored = decodeVersioned(consumerGroupCurrentMemberAssignmentValueCodec, value)
  return {
    epoch: stored.memberEpoch,
    previousEpoch: stored.previousMemberEpoch,
    state: readState(stored.state),
    assigned: readOwned(stored.assignedPartitions, stored.memberEpoch),
    pendingRevocation: readOwned(stored.partitionsPendingRevocation, stored.memberEpoch)
  }
}

/** A state of a newer Kafka is taken for one that goes on towards the target at the next heartbeat. */
function readState(code: number): MemberState {
  if (code === STATE_CODES.stable) return 'stable'
  return code === STATE_CODES.unrevoked ? 'unrevoked' : 'unreleased'
}

/** Records before Kafka 4.3 have no epochs of their own: the member's is the latest that they can be from. */
function readOwned(stored: readonly StoredPartitions[], memberEpoch: number): OwnedPartitions {
  return new Map(
    stored.map(({ topicId, partitions, assignmentEpochs }) => [
      topicId,
      new Map(partitions.map((partition, index) => [partition, assignmentEpochs?.[index] ?? memberEpoch]))
    ])
  )
}
