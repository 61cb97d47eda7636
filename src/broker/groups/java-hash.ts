/** Java's `String.hashCode`: it decides which partition of `__consumer_offsets` holds a group. */

/** The hash as a signed 32-bit integer. Source: `java.lang.String.hashCode`. */
export function javaHashCode(text: string): number {
  let hash = 0
  for (let index = 0; index < text.length; index++) hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0
  return hash
}

/** The partition of a group. Source: Kafka `Utils.abs(groupId.hashCode) % partitions`. */
export function groupPartition(groupId: string, partitionCount: number): number {
  const hash = javaHashCode(groupId)
  return (hash === -2_147_483_648 ? 0 : Math.abs(hash)) % partitionCount
}
