/**
 * Kafka's partitioner: murmur2 of the key. Every client that wants a key to land
 * where the Java client puts it uses exactly this hash, with this seed.
 *
 * Source: `org.apache.kafka.common.utils.Utils.murmur2`, `BuiltInPartitioner.partitionForKey`.
 */

const SEED = 0x9747b28c
const M = 0x5bd1e995

/** 32-bit murmur2 of some bytes, as int32. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length
  const whole = length & ~3
  let hash = SEED ^ length
  for (let at = 0; at < whole; at += 4) {
    let k = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)
    k = Math.imul(k, M)
    k ^= k >>> 24
    hash = Math.imul(hash, M) ^ Math.imul(k, M)
  }
  const rest = length - whole
  if (rest === 3) hash ^= (bytes[whole + 2] ?? 0) << 16
  if (rest >= 2) hash ^= (bytes[whole + 1] ?? 0) << 8
  if (rest >= 1) hash = Math.imul(hash ^ (bytes[whole] ?? 0), M)
  hash = Math.imul(hash ^ (hash >>> 13), M)
  return hash ^ (hash >>> 15)
}

/**
 * The partition of a key.
 *
 * @param partitionCount - How many partitions the topic has. Integer, at least 1.
 * @returns 0 to `partitionCount - 1`.
 */
export function partitionForKey(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fff_ffff) % partitionCount
}
