/** Keys of every length and kind, and the number that test/jvm/programs/KeyPartitions.java prints for one. */

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { murmur2, partitionForKey } from '../../src/protocol/index.ts'

/** Random bytes of 0 to 64, digits, and the keys of the running example. */
export function randomKeys(seed: number, count: number): Buffer[] {
  const random = new SeededRandom(seed)
  return Array.from({ length: count }, (_, index) => {
    if (index % 4 === 0) return Buffer.from(String(randomInt(random, 1_000_000)))
    if (index % 4 === 1) return Buffer.from(`T-${index}#${randomInt(random, 16)}`)
    return Buffer.from(Array.from({ length: randomInt(random, 65) }, () => randomInt(random, 256)))
  })
}

/** `murmur2 digest`, the digest over the partitions of a key in topics of 1 to 1000 partitions. */
export function partitionsLine(key: Buffer): string {
  let digest = 0
  for (let count = 1; count <= 1000; count += 1) digest = (Math.imul(digest, 31) + partitionForKey(key, count)) | 0
  return `${murmur2(key)} ${digest}`
}
