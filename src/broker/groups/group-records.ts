/**
 * Records of `__consumer_offsets`, in Kafka's format, so that Kafka's own tools
 * read them.
 *
 *   key   => type i16 | fields     type 0, 1: group, topic, partition; type 2: group
 *   value => version i16 | fields  none for a tombstone
 *
 * Written are OffsetCommitValue 3 (1 for an offset with its own expiry) and
 * GroupMetadataValue 3; read is every version. Records of other types belong to
 * newer group protocols and are left alone.
 */

import {
  decodeRecordKey,
  decodeVersioned,
  encodeRecordKey,
  encodeVersioned,
  groupMetadataKeyCodec,
  groupMetadataValueCodec,
  offsetCommitKeyCodec,
  offsetCommitValueCodec,
  recordTypeOf
} from '../../protocol/index.ts'
import type { CommittedOffset, TopicPartition } from './committed-offsets.ts'
import type { StoredGroup } from './group-types.ts'

const LEGACY_OFFSET_TYPE = 0
const GROUP_VALUE_VERSION = 3
const OFFSET_VALUE_VERSION = 3
/** The only version that has an expiry of its own. */
const EXPIRING_OFFSET_VALUE_VERSION = 1

/** Key and value of one record; no value for a tombstone. */
export interface GroupRecord {
  readonly key: Buffer
  readonly value: Buffer | null
}

/** A record of `__consumer_offsets` as it was read. */
export type ReadGroupRecord =
  | ({
      readonly kind: 'offset'
      readonly groupId: string
      readonly committed: CommittedOffset | undefined
    } & TopicPartition)
  | { readonly kind: 'group'; readonly groupId: string; readonly group: StoredGroup | undefined }

/** A committed offset, or its tombstone. */
export function encodeOffset(
  groupId: string,
  { topic, partition }: TopicPartition,
  committed: CommittedOffset | undefined
): GroupRecord {
  const key = encodeRecordKey(offsetCommitKeyCodec, { group: groupId, topic, partition })
  if (committed === undefined) return { key, value: null }
  const { offset, leaderEpoch, metadata, expireTimestampMs } = committed
  const version = expireTimestampMs === undefined ? OFFSET_VALUE_VERSION : EXPIRING_OFFSET_VALUE_VERSION
  const value = encodeVersioned(offsetCommitValueCodec, version, {
    offset,
    leaderEpoch,
    metadata,
    commitTimestamp: BigInt(committed.commitTimestampMs),
    expireTimestamp: BigInt(expireTimestampMs ?? -1)
  })
  return { key, value }
}

/** A generation of a group, or its tombstone. */
export function encodeGroup(groupId: string, group: StoredGroup | undefined): GroupRecord {
  const key = encodeRecordKey(groupMetadataKeyCodec, { group: groupId })
  if (group === undefined) return { key, value: null }
  const value = encodeVersioned(groupMetadataValueCodec, GROUP_VALUE_VERSION, {
    protocolType: group.protocolType,
    generation: group.generation,
    protocol: group.protocolName,
    leader: group.leader,
    currentStateTimestamp: BigInt(group.stateTimestampMs),
    members: group.members.map(({ rebalanceTimeoutMs, sessionTimeoutMs, ...member }) => ({
      ...member,
      rebalanceTimeout: rebalanceTimeoutMs,
      sessionTimeout: sessionTimeoutMs
    }))
  })
  return { key, value }
}

/**
 * Reads one record; `undefined` for a type that is not of classic groups.
 *
 * @throws PipelineError `ERR_PROTOCOL_…` if the record is damaged: the log has checked its CRC before.
 */
export function readGroupRecord(key: Buffer, value: Buffer | null): ReadGroupRecord | undefined {
  const type = recordTypeOf(key)
  if (type === LEGACY_OFFSET_TYPE || type === offsetCommitKeyCodec.recordType) {
    const { group, topic, partition } = decodeRecordKey(offsetCommitKeyCodec, key)
    return {
      kind: 'offset',
      groupId: group,
      topic,
      partition,
      committed: value === null ? undefined : readOffset(value)
    }
  }
  if (type !== groupMetadataKeyCodec.recordType) return undefined
  const { group } = decodeRecordKey(groupMetadataKeyCodec, key)
  return { kind: 'group', groupId: group, group: value === null ? undefined : readGroup(value) }
}

function readOffset(value: Buffer): CommittedOffset {
  const stored = decodeVersioned(offsetCommitValueCodec, value)
  return {
    offset: stored.offset,
    leaderEpoch: stored.leaderEpoch,
    metadata: stored.metadata,
    commitTimestampMs: Number(stored.commitTimestamp),
    expireTimestampMs: stored.expireTimestamp === -1n ? undefined : Number(stored.expireTimestamp)
  }
}

function readGroup(value: Buffer): StoredGroup {
  const stored = decodeVersioned(groupMetadataValueCodec, value)
  return {
    protocolType: stored.protocolType,
    generation: stored.generation,
    protocolName: stored.protocol,
    leader: stored.leader,
    stateTimestampMs: Number(stored.currentStateTimestamp),
    members: stored.members.map(({ rebalanceTimeout, sessionTimeout, ...member }) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: rebalanceTimeout === -1 ? sessionTimeout : rebalanceTimeout,
      sessionTimeoutMs: sessionTimeout,
      // Views into a read buffer of the log would keep all of it in memory.
      subscription: Buffer.from(member.subscription),
      assignment: Buffer.from(member.assignment)
    }))
  }
}
