/**
 * Which keys move when a topic grows. Pure.
 *
 * A producer puts a key into partition `murmur2(key) mod count`. With another count most keys land elsewhere, and what
 * is already in the log stays: a record of such a key can then be read before an older one of it. The share is exact
 * for the keys of a sample, and known for all keys together: over one period of both counts, as many remainders agree
 * as the smaller count has, so that N / lcm(N, M) of all keys stay.
 *
 * Source: Kafka `BuiltInPartitioner.partitionForKey`, `Utils.murmur2`.
 */

import { invariant } from '../../core/index.ts'
import { partitionForKey } from '../../protocol/index.ts'

/** A key of a sample, and what was seen of it. */
export interface SampledKey {
  readonly key: Uint8Array
  /** Records with this key in the sample. */
  readonly records: number
  /** Bytes of their keys and values. */
  readonly bytes: number
  /** Partitions in which it was seen: more than one after an earlier growth, or with another partitioner. */
  readonly partitions: readonly number[]
  /** Records of it that some group has not read yet. */
  readonly unread: number
}

/** A key that moves, for people. */
export interface MovedKey {
  /** Its text, or `0x…` where it is not text; cut at 64 characters. */
  readonly key: string
  readonly from: number
  readonly to: number
  readonly records: number
  readonly unread: number
}

/** What a growth does to keys. */
export interface KeyMovement {
  readonly from: number
  readonly to: number
  /** Share of all possible keys that move, 0 to 1: 1 - from / lcm(from, to). */
  readonly theoreticalShare: number
  readonly sampledKeys: number
  readonly sampledRecords: number
  readonly movedKeys: number
  /** Share of the keys in the sample that move, 0 to 1; 0 without keys. */
  readonly keyShare: number
  /** Share of the records with a key whose key moves: of traffic. */
  readonly trafficShare: number
  readonly byteShare: number
  /** Keys that move into a partition which is there already; 0 if `to` is a multiple of `from`. */
  readonly movedBetweenOld: number
  /** Keys that move while records of them are unread: their order is at risk at this moment. */
  readonly keysAtRisk: number
  /** Unread records of those keys. */
  readonly recordsAtRisk: number
  /** Keys that lie where murmur2 would not put them: another partitioner, or an earlier growth. */
  readonly foreignKeys: number
  /** The busiest keys that move, at most ten. */
  readonly examples: readonly MovedKey[]
}

/** Moved keys that are shown. */
const EXAMPLES_MAX = 10

/** Greatest common divisor of two whole numbers from 1 on. */
export function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b)
}

/** Share of all keys that move when the count changes from one number to another, 0 to 1. */
export function movedShare(from: number, to: number): number {
  checkCounts(from, to)
  return 1 - Math.min(from, to) / ((from / gcd(from, to)) * to)
}

/**
 * What happens to the keys of a sample.
 *
 * @param from - Partitions today, at least 1.
 * @param to - Partitions afterwards, at least 1.
 */
export function keyMovement(keys: readonly SampledKey[], from: number, to: number): KeyMovement {
  checkCounts(from, to)
  const moved = keys.flatMap(key => {
    const places = { before: partitionForKey(key.key, from), after: partitionForKey(key.key, to) }
    return places.before === places.after ? [] : [{ ...key, ...places }]
  })
  const atRisk = moved.filter(({ unread }) => unread > 0)
  const sampledRecords = sum(keys, key => key.records)
  const sampledBytes = sum(keys, key => key.bytes)
  return {
    from,
    to,
    theoreticalShare: movedShare(from, to),
    sampledKeys: keys.length,
    sampledRecords,
    movedKeys: moved.length,
    keyShare: share(moved.length, keys.length),
    trafficShare: share(
      sum(moved, key => key.records),
      sampledRecords
    ),
    byteShare: share(
      sum(moved, key => key.bytes),
      sampledBytes
    ),
    movedBetweenOld: moved.filter(({ after }) => after < from).length,
    keysAtRisk: atRisk.length,
    recordsAtRisk: sum(atRisk, key => key.unread),
    foreignKeys: keys.filter(key => key.partitions.some(at => at !== partitionForKey(key.key, from))).length,
    examples: moved
      .toSorted((a, b) => b.unread - a.unread || b.records - a.records)
      .slice(0, EXAMPLES_MAX)
      .map(({ key, before, after, records, unread }) => ({
        key: keyText(key),
        from: before,
        to: after,
        records,
        unread
      }))
  }
}

/** A key for people: its text where it is printable UTF-8, its bytes otherwise. */
export function keyText(key: Uint8Array): string {
  const text = Buffer.from(key).toString('utf8')
  const isText = /^[^\p{C}\uFFFD]*$/u.test(text)
  const shown = isText ? text : `0x${Buffer.from(key).toString('hex')}`
  return shown.length > 64 ? `${shown.slice(0, 63)}…` : shown
}

function checkCounts(from: number, to: number): void {
  const areCounts = [from, to].every(count => Number.isInteger(count) && count >= 1)
  invariant(areCounts, `partition counts are whole numbers from 1 on, not ${from} and ${to}`)
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}
