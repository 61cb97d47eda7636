/**
 * Keeps a log of states small: `__consumer_offsets`, of which only the last
 * record of each key counts. The surviving records of the front are appended
 * again at the end, then the front is deleted.
 *
 * This moves records to other offsets, which a consumer of a compacted topic
 * must never see; so it is for topics that only the broker reads, and that it
 * replays from the front. Compaction that keeps offsets is another matter.
 *
 * Safe at any moment of a crash: until the deletion both copies are there, and a
 * replay ends with the same values. Safe beside appends: a record is appended
 * again only if nothing newer of its key was written since, and that is checked
 * without a wait before the append.
 *
 * Limit: the last record of every key is in memory meanwhile.
 */

import { KAFKA_ERRORS, RecordBatchBuilder, RecordCursor } from '../../protocol/index.ts'
import type { PartitionLog } from './partition-log.ts'

const READ_BYTES = 1024 * 1024
const BATCH_BYTES_MAX = 500_000
/** How often the end of the log is looked at again before giving up for now: a busy log rarely stands still. */
const ATTEMPT_COUNT_MAX = 50

/** What was done. */
export interface TrimResult {
  /** Whether the front was deleted. If not, nothing has changed that a replay could see. */
  readonly isTrimmed: boolean
  /** Bytes of batches that were appended again. */
  readonly keptBytes: number
}

/** The last record of a key; the value is null if the key was deleted. */
interface LastRecord {
  readonly timestampMs: number
  readonly key: Buffer
  readonly value: Buffer | null
}

const UNTRIMMED: TrimResult = { isTrimmed: false, keptBytes: 0 }

/** Appends the last record of every key again and deletes everything before. Never rejects for a failing disk. */
export async function trimToLastPerKey(log: PartitionLog): Promise<TrimResult> {
  const end = log.highWatermark
  const last = new Map<string, LastRecord>()
  const isRead = await visit(log, { from: log.logStartOffset, to: end }, (name, record) => {
    if (record.value === null) last.delete(name)
    else last.set(name, record)
  })
  if (!isRead) return UNTRIMMED
  let looked = end
  for (let attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt++) {
    const to = log.highWatermark
    // What was written since stays where it is, and makes the older record of its key worthless.
    if (!(await visit(log, { from: looked, to }, name => void last.delete(name)))) return UNTRIMMED
    looked = to
    if (log.nextOffset === looked) return appendAgain(log, end, last.values())
  }
  return UNTRIMMED
}

async function appendAgain(log: PartitionLog, end: bigint, records: Iterable<LastRecord>): Promise<TrimResult> {
  const builder = new RecordBatchBuilder({ sizeBytesMax: BATCH_BYTES_MAX })
  const batches: Buffer[] = []
  const finish = (): void => {
    if (builder.recordCount > 0) batches.push(builder.build())
    builder.reset()
  }
  for (const { timestampMs, key, value } of records) {
    if (builder.tryAppend(timestampMs, key, value)) continue
    finish()
    builder.tryAppend(timestampMs, key, value)
  }
  finish()
  // All appends get their offsets in this very turn: nothing can come between the check above and them.
  const results = await Promise.all(batches.map(batch => log.append(batch, { origin: 'coordinator' })))
  if (results.some(result => result.errorCode !== 0)) return UNTRIMMED
  // What replaces the front must be as durable as the front was.
  await log.flush()
  if (log.isOffline) return UNTRIMMED
  const { errorCode } = await log.deleteRecords(end)
  const keptBytes = batches.reduce((sum, batch) => sum + batch.length, 0)
  return { isTrimmed: errorCode === 0, keptBytes }
}

/** Visits the records with a key in a range of offsets. Resolves with whether all of it could be read. */
async function visit(
  log: PartitionLog,
  { from, to }: { from: bigint; to: bigint },
  visitor: (name: string, record: LastRecord) => void
): Promise<boolean> {
  const cursor = new RecordCursor()
  let next = from
  while (next < to) {
    const { errorCode, records } = await log.read(next, READ_BYTES)
    if (errorCode !== KAFKA_ERRORS.NONE.code || records.length === 0) return false
    cursor.reset(records)
    while (next < to && cursor.nextBatch()) {
      while (cursor.nextRecord()) {
        const key = cursor.key()
        if (key === null || cursor.offset() < next) continue
        const value = cursor.value()
        // Copies: a view would keep the whole read buffer in memory.
        const copy = { timestampMs: cursor.timestampMs, key: Buffer.from(key), value: value && Buffer.from(value) }
        visitor(key.toString('latin1'), copy)
      }
      next = cursor.baseOffset + BigInt(cursor.header.lastOffsetDelta) + 1n
    }
  }
  return true
}
