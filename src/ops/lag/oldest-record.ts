/**
 * The oldest unread record of a partition: when it was appended, and whether there is one at all.
 *
 * Between a committed offset and the end of the log there need not be a record: markers of transactions take offsets
 * (a group that has read everything then seems one behind, for ever), and compaction leaves gaps.
 */

import { Admin, type Cluster, partitionKeyOf, type PeekQuestion } from '../../client/index.ts'
import { isControl, RecordCursor } from '../../protocol/index.ts'

/** What lies at an offset. */
export type OldestRecord =
  | {
      readonly kind: 'record'
      /** Its timestamp, in milliseconds since 1970: set by the broker or the producer, as the topic says. */
      readonly timestampMs: number
      /** How much a record of its batch takes on disk, in bytes. */
      readonly recordBytes: number
    }
  /** No record up to the end: markers of transactions, or gaps. */
  | { readonly kind: 'nothing' }
  /** It cannot be told. */
  | { readonly kind: 'unknown' }

const unknown: OldestRecord = { kind: 'unknown' }

/**
 * Looks for the first record of a range in whole record batches. Pure.
 *
 * @param from - First offset of the range.
 * @param end - Offset after the range.
 */
export function oldestIn(records: Buffer, from: bigint, end: bigint): OldestRecord {
  const cursor = new RecordCursor({ isCrcChecked: false })
  cursor.reset(records)
  let seen = from
  try {
    while (cursor.nextBatch()) {
      const { header } = cursor
      const next = header.baseOffset + BigInt(header.lastOffsetDelta) + 1n
      if (header.baseOffset >= end) return { kind: 'nothing' }
      if (next > seen) seen = next
      if (next <= from || isControl(header.attributes)) continue
      while (cursor.nextRecord()) {
        const offset = cursor.offset()
        if (offset < from || offset >= end) continue
        const recordBytes = header.sizeBytes / Math.max(1, header.recordCount)
        return { kind: 'record', timestampMs: cursor.timestampMs, recordBytes }
      }
    }
  } catch {
    // A batch that cannot be read is the reader's trouble, and is told there.
    return unknown
  }
  return seen >= end ? { kind: 'nothing' } : unknown
}

/** Which range to look at. */
export interface OldestQuestion extends PeekQuestion {
  readonly leaderId: number
  /** End of the log, or last stable offset. */
  readonly endOffset: bigint
}

/** How long to wait, and until when. */
export interface OldestOptions {
  /** Hears of each place. */
  readonly onFound: (question: OldestQuestion, found: OldestRecord) => void
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/**
 * Looks at many places, in few requests to each leader. What cannot be read is `unknown`: a right that is missing, a
 * leader that is away.
 *
 * @param questions - Each place once. A partition may have several.
 */
export async function readOldest(
  cluster: Cluster,
  questions: readonly OldestQuestion[],
  { onFound, ...options }: OldestOptions
): Promise<void> {
  const admin = new Admin(cluster)
  const ask = async (leaderId: number, some: ReadonlyMap<string, OldestQuestion>): Promise<void> => {
    try {
      for (const answer of await admin.peekBatches(leaderId, [...some.values()], options)) {
        const question = some.get(partitionKeyOf(answer))
        if (question === undefined) continue
        const isRead = answer.errorCode === 0
        onFound(question, isRead ? oldestIn(answer.records, question.offset, question.endOffset) : unknown)
      }
    } catch {
      for (const question of some.values()) onFound(question, unknown)
    }
  }
  await Promise.all(
    requestsOf(questions).map(async ({ leaderId, rounds }) => {
      // A request names a partition once: two places of the same one are two requests.
      for (const round of rounds) await ask(leaderId, round)
    })
  )
}

interface LeaderRounds {
  readonly leaderId: number
  readonly rounds: Map<string, OldestQuestion>[]
}

function requestsOf(questions: readonly OldestQuestion[]): LeaderRounds[] {
  const leaders = new Map<number, LeaderRounds>()
  for (const question of questions) {
    const { leaderId } = question
    const leader = leaders.get(leaderId) ?? { leaderId, rounds: [] }
    leaders.set(leaderId, leader)
    const key = partitionKeyOf(question)
    const round = leader.rounds.find(each => !each.has(key))
    if (round === undefined) leader.rounds.push(new Map([[key, question]]))
    else round.set(key, question)
  }
  return [...leaders.values()]
}
