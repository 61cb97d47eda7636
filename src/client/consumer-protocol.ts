/**
 * The bytes that consumers exchange through their coordinator.
 *
 * A subscription and an assignment start with their own version (int16); a
 * version from the future is read as the highest one known, as Java does.
 */

import { ByteReader, consumerProtocolAssignmentCodec } from '../protocol/index.ts'
import type { TopicPartition } from './group-types.ts'

/** The partitions in a member's assignment; none for an empty one. */
export function decodeAssignment(bytes: Buffer): TopicPartition[] {
  if (bytes.length < 2) return []
  const reader = new ByteReader(bytes)
  const version = Math.min(reader.int16(), consumerProtocolAssignmentCodec.maxVersion)
  return consumerProtocolAssignmentCodec
    .read(reader, version)
    .assignedPartitions.flatMap(({ topic, partitions }) => partitions.map(partition => ({ topic, partition })))
}
