/**
 * What a group has to commit so that exactly some named records are not read, and
 * all others are.
 *
 * One committed offset tells only of a beginning. A record right behind it is
 * skipped by the next offset. One further on can be skipped alone only where the
 * reader understands the text beside the offset: Comporta's dispatcher does. Pure.
 */

import { decodeFinished, encodeFinished } from '../../core/index.ts'
import type { StoredOffset } from './offset-move.ts'

/** What to commit, or why that cannot be. */
export type SkipOutcome =
  { readonly kind: 'to'; readonly after: StoredOffset } | { readonly kind: 'impossible'; readonly reason: string }

/** Records of one partition to skip. */
export interface SkipQuestion {
  /** For messages: `mt-c400-3`. */
  readonly name: string
  readonly committed: StoredOffset | undefined
  /** Offsets of records that are there. */
  readonly offsets: readonly bigint[]
  /** The first record at or behind the committed offset, where that is known: markers and compaction leave gaps. */
  readonly firstUnread?: bigint
  /** Whether the group is one of dispatchers, who heed what the text says. */
  readonly isDispatcher: boolean
}

/** Farther ahead than that no text reaches: offsets are counted in it as numbers. */
const AHEAD_MAX = 2n ** 40n

/** The commit that skips exactly these records. */
export function resolveSkip(question: SkipQuestion): SkipOutcome {
  const { name, committed, offsets, firstUnread, isDispatcher } = question
  if (committed === undefined) {
    return impossible(`${name} has no committed offset: name where the group begins with comporta offsets set first`)
  }
  const behind = offsets.find(offset => offset < committed.offset)
  if (behind !== undefined) {
    return impossible(`the group is past ${name}@${behind} already: it goes on at ${committed.offset}`)
  }
  const far = offsets.find(offset => offset - committed.offset > AHEAD_MAX)
  if (far !== undefined) return impossible(`${name}@${far} lies too far ahead of ${committed.offset}`)
  const finished = decodeFinished(committed.offset, committed.metadata)
  const named = offsets.flatMap(offset => {
    const at = Number(offset - committed.offset)
    return [at, at + 1]
  })
  // One committed offset skips what no record is in, too.
  const isNext = !isDispatcher && firstUnread !== undefined && offsets.includes(firstUnread)
  const gap = isNext ? [0, Number(firstUnread - committed.offset)] : []
  const ranges = unionOf([...finished, ...gap, ...named])
  const begin = ranges[0] === 0 ? (ranges[1] ?? 0) : 0
  const beyond = (begin === 0 ? ranges : ranges.slice(2)).map(at => at - begin)
  if (beyond.length > 0 && !isDispatcher) {
    const first = offsets.find(offset => offset >= committed.offset + BigInt(begin)) ?? 0n
    const between = first - committed.offset - BigInt(begin)
    return impossible(
      `up to ${between} records lie between the group and ${name}@${first}, and one committed offset cannot skip it ` +
        'without them: let the group come up to it first. A dispatcher of comporta can skip it alone: say ' +
        '--dispatcher if that is what reads with this group'
    )
  }
  const offset = committed.offset + BigInt(begin)
  const metadata = encodeFinished(offset, beyond)
  if (metadata === undefined) return impossible(`${name}: Kafka keeps no text that names so many places: skip fewer`)
  return { kind: 'to', after: { offset, leaderEpoch: committed.leaderEpoch, metadata } }
}

function impossible(reason: string): SkipOutcome {
  return { kind: 'impossible', reason }
}

/** Ranges in any order, in pairs, as ranges that are ascending and apart. */
function unionOf(ranges: readonly number[]): number[] {
  const pairs: [number, number][] = []
  for (let index = 0; index + 1 < ranges.length; index += 2) pairs.push([ranges[index] ?? 0, ranges[index + 1] ?? 0])
  pairs.sort((left, right) => left[0] - right[0])
  const joined: number[] = []
  for (const [from, to] of pairs) {
    const last = joined.at(-1)
    if (last !== undefined && from <= last) joined[joined.length - 1] = Math.max(last, to)
    else joined.push(from, to)
  }
  return joined
}
