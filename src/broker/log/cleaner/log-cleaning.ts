/**
 * One cleaning of one log: first the last offset of every key in the dirty part
 * is gathered, then all segments up to there are written anew without what those
 * offsets replace.
 *
 * The work is done in steps that are bounded by records and bytes; between them
 * everybody else in the process has a turn. It ends early when the log is closed,
 * when the caller says so, or when segments it works on are removed; what was
 * put in place by then stays, and the checkpoint does not move.
 *
 * Limits: memory for the keys (see `KeyOffsets`), one chunk of input, the
 * largest batch, and a write buffer.
 */

import { turn } from '../../../core/index.ts'
import { isControl, type RecordBatchHeader, RecordCursor } from '../../../protocol/index.ts'
import { systemErrorCode } from '../disk.ts'
import type { FilePool } from '../file-pool.ts'
import type { IndexCache } from '../segment-indexes.ts'
import { lastOffsetOf } from '../segment-scan.ts'
import type { Segment } from '../segment.ts'
import { BatchFilter } from './batch-filter.ts'
import type { CleanableLog } from './cleanable-log.ts'
import { type CleanableRange, groupSegments } from './cleanable-range.ts'
import { CleanedSegment } from './cleaned-segment.ts'
import { CleanedTransactions, type MarkerType } from './cleaned-transactions.ts'
import { chunksOf } from './chunks.ts'
import { KeyOffsets } from './key-offsets.ts'
import { type CleaningRules, deleteHorizonOf, isRecordKept, judgeBatch, lastOfProducers } from './retention-rules.ts'

/** What a cleaning works with. */
export interface CleaningOptions {
  readonly log: CleanableLog
  readonly pool: FilePool
  readonly indexes: IndexCache
  readonly nowMs: number
  /** Most bytes for the keys. Source: `log.cleaner.dedupe.buffer.size`. */
  readonly keyBytesMax: number
  /** Source: `log.cleaner.io.buffer.load.factor`. */
  readonly keyLoadFactor: number
  /** Source: `log.cleaner.io.buffer.size`. */
  readonly chunkBytes: number
  /** Called for bytes that were read or written: resolves when more may be. Also asks whether to go on. */
  readonly throttle: (bytes: number) => Promise<void>
  readonly isCancelled: () => boolean
}

/** What was done. */
export interface CleaningResult {
  /** First offset that is dirty now; `undefined` if the cleaning ended early. */
  readonly endOffset: bigint | undefined
  readonly readBytes: number
  readonly writtenBytes: number
  readonly readRecords: number
  readonly keptRecords: number
}

/** Records that are looked at between two pauses; a batch counts as some more of them. */
const RECORDS_PER_STEP = 512
const RECORDS_PER_BATCH = 4

/** Ends a cleaning from inside. */
class CleaningCancelled extends Error {}

/** Cleans a log once. Rejects with a system error, or for a log that cannot be read. */
export async function cleanLog(options: CleaningOptions, range: CleanableRange): Promise<CleaningResult> {
  const cleaning = new LogCleaning(options)
  const { log } = options
  const startOffset = log.segments[0]?.baseOffset
  try {
    const endOffset = await cleaning.run(range)
    return { endOffset, ...cleaning.counts }
  } catch (error) {
    const isRemoved = systemErrorCode(error) === 'ENOENT' && log.segments[0]?.baseOffset !== startOffset
    if (!(error instanceof CleaningCancelled) && !isRemoved) throw error
    return { endOffset: undefined, ...cleaning.counts }
  }
}

class LogCleaning {
  readonly counts = { readBytes: 0, writtenBytes: 0, readRecords: 0, keptRecords: 0 }
  readonly #options: CleaningOptions
  readonly #cursor = new RecordCursor()
  /** For a look ahead that leaves the other one where it is. */
  readonly #marker = new RecordCursor()
  readonly #filter = new BatchFilter()
  #recordsSincePause = 0

  constructor(options: CleaningOptions) {
    this.#options = options
  }

  async run(range: CleanableRange): Promise<bigint> {
    const { log, keyBytesMax, keyLoadFactor } = this.#options
    const keys = new KeyOffsets({
      bytesMax: keyBytesMax,
      loadFactor: keyLoadFactor,
      keyCountExpected: Number(range.firstUncleanableOffset - range.firstDirtyOffset)
    })
    const mappedOffset = await this.#mapKeys(keys, range)
    const endOffset = mappedOffset + 1n
    const segments = log.segments.slice(0, -1).filter(segment => segment.baseOffset < endOffset)
    const { segmentBytes, segmentIndexBytes } = log.config
    const limits = { segmentBytes, segmentIndexBytes, endOffset: range.firstUncleanableOffset }
    const indexBytes = new Map<Segment, number>()
    for (const segment of segments) indexBytes.set(segment, await this.#indexBytesOf(segment))
    const transactions = new CleanedTransactions()
    const rules = {
      keys,
      mappedOffset,
      endOffset: range.firstUncleanableOffset,
      nowMs: this.#options.nowMs,
      deleteRetentionMs: log.config.deleteRetentionMs
    }
    for (const group of groupSegments(segments, limits, segment => indexBytes.get(segment) ?? 0)) {
      await this.#cleanGroup(group, transactions, {
        ...rules,
        lastOfProducers: lastOfProducers(log.producers.entries(), log.highWatermark)
      })
    }
    return endOffset
  }

  async #indexBytesOf(segment: Segment): Promise<number> {
    const { offsets, times } = await this.#options.indexes.of(segment)
    return Math.max(offsets.sizeBytes, times.sizeBytes)
  }

  /** Gathers the last offset of each key. Resolves with the last offset that is in the map. */
  async #mapKeys(keys: KeyOffsets, range: CleanableRange): Promise<bigint> {
    const { log, indexes } = this.#options
    const { firstDirtyOffset, firstUncleanableOffset } = range
    const transactions = new CleanedTransactions()
    transactions.addAborted(await log.abortedTransactions(firstDirtyOffset, firstUncleanableOffset))
    // A copy: the list loses its head when retention removes segments, and a walk over it would skip others.
    const segments = [...log.segments]
    let mappedOffset = firstDirtyOffset - 1n
    for (const [index, segment] of segments.entries()) {
      const end = segments[index + 1]?.baseOffset
      if (end === undefined || end > firstUncleanableOffset) break
      if (end <= firstDirtyOffset) continue
      const fromPosition = (await indexes.of(segment)).offsets.lookup(firstDirtyOffset).position
      let fromOffset = segment.baseOffset
      for await (const chunk of this.#chunks(segment, fromPosition)) {
        this.#cursor.reset(chunk)
        while (this.#cursor.nextBatch()) {
          fromOffset = checkOffsets(this.#cursor.header, { fromOffset, upToOffset: end, segment })
          const isMapped = await this.#mapBatch(keys, transactions, { firstDirtyOffset, mappedOffset, chunk })
          if (!isMapped) return mappedOffset
          await this.#pauseIfDue(this.#cursor.header.recordCount)
          if (fromOffset - 1n > mappedOffset) mappedOffset = fromOffset - 1n
        }
      }
      // There may be a gap at the end of the segment.
      mappedOffset = end - 1n
    }
    return mappedOffset
  }

  /** Resolves with false if the map is full: this batch and what follows is for the next cleaning. */
  async #mapBatch(
    keys: KeyOffsets,
    transactions: CleanedTransactions,
    { firstDirtyOffset, mappedOffset, chunk }: { firstDirtyOffset: bigint; mappedOffset: bigint; chunk: Buffer }
  ): Promise<boolean> {
    const cursor = this.#cursor
    const { header } = cursor
    if (isControl(header.attributes)) {
      transactions.controlBatch(header, this.#markerType(chunk))
      return true
    }
    if (transactions.dataBatch(header)) return true
    let seen = 0
    while (cursor.nextRecord()) {
      seen += 1
      if (seen % RECORDS_PER_STEP === 0) await this.#rest(0)
      const key = cursor.key()
      const offset = cursor.offset()
      if (key === null || offset < firstDirtyOffset || keys.put(key, offset)) continue
      if (mappedOffset >= firstDirtyOffset) return false
      // This batch alone has more keys than fit, and without it there is no way on.
      keys.grow()
      keys.put(key, offset)
    }
    return true
  }

  async #cleanGroup(group: readonly Segment[], transactions: CleanedTransactions, rules: CleaningRules): Promise<void> {
    const { log, pool } = this.#options
    const { folder } = log
    const { indexIntervalBytes } = log.config
    const cleaned = await CleanedSegment.create({ pool, folder, sources: group, indexIntervalBytes })
    let isComplete = false
    try {
      let isChanged = group.length > 1
      for (const [index, segment] of group.entries()) {
        const end = group[index + 1]?.baseOffset ?? this.#endOf(segment)
        transactions.addAborted(await log.abortedTransactions(segment.baseOffset, end))
        if (await this.#copySegment(segment, cleaned, { transactions, rules })) isChanged = true
      }
      const aborted = transactions.takeKept()
      // A segment from which nothing goes is left alone.
      if (!isChanged) return
      const segment = await cleaned.finish(aborted)
      this.counts.writtenBytes += segment.sizeBytes
      isComplete = await log.replaceSegments(group, segment)
      if (!isComplete) throw new CleaningCancelled()
    } finally {
      // After a swap that got stuck half way only a start can tell which files count.
      if (!isComplete && !log.isOffline) await cleaned.discard()
    }
  }

  #endOf(segment: Segment): bigint {
    const { segments } = this.#options.log
    const index = segments.indexOf(segment)
    if (index < 0) throw new CleaningCancelled()
    return segments[index + 1]?.baseOffset ?? this.#options.log.highWatermark
  }

  /** Copies what stays of a segment. Resolves with whether anything is different. */
  async #copySegment(
    segment: Segment,
    cleaned: CleanedSegment,
    context: { transactions: CleanedTransactions; rules: CleaningRules }
  ): Promise<boolean> {
    const cursor = this.#cursor
    let isChanged = false
    const upToOffset = this.#endOf(segment)
    let fromOffset = segment.baseOffset
    for await (const chunk of this.#chunks(segment)) {
      cursor.reset(chunk)
      while (cursor.nextBatch()) {
        const { batchStart, batchEnd } = cursor
        fromOffset = checkOffsets(cursor.header, { fromOffset, upToOffset, segment })
        const filtered = await this.#filterBatch(chunk, context)
        await this.#pauseIfDue(cursor.header.recordCount)
        if (filtered !== 'unchanged') isChanged = true
        if (filtered === 'removed') continue
        const bytes = filtered === 'unchanged' ? chunk.subarray(batchStart, batchEnd) : filtered
        await cleaned.append(bytes)
        await this.#options.throttle(bytes.length)
      }
    }
    return isChanged
  }

  async #filterBatch(
    chunk: Buffer,
    { transactions, rules }: { transactions: CleanedTransactions; rules: CleaningRules }
  ): Promise<Buffer | 'removed' | 'unchanged'> {
    const cursor = this.#cursor
    const { header } = cursor
    const isMarker = isControl(header.attributes)
    const isDiscardable = isMarker
      ? transactions.controlBatch(header, this.#markerType(chunk))
      : transactions.dataBatch(header)
    const { isDiscarded, isKeptEmpty, isMarkerOfNothing } = judgeBatch(header, isDiscardable, rules)
    const horizon = deleteHorizonOf(header)
    const steps = this.#filter.filter(cursor, {
      isDiscarded,
      isKeptEmpty,
      needsHorizon: isMarkerOfNothing,
      deleteHorizonMs: rules.nowMs + rules.deleteRetentionMs,
      isKept: ({ valueStart }) => {
        this.counts.readRecords += 1
        const record = { key: cursor.key(), offset: cursor.offset(), isTombstone: valueStart < 0 }
        const isKept = isMarker || isRecordKept(record, horizon, rules)
        if (isKept) this.counts.keptRecords += 1
        return isKept
      }
    })
    for (;;) {
      const step = steps.next()
      if (step.done !== true) {
        await this.#rest(0)
        continue
      }
      return step.value.kind === 'rewritten' ? step.value.bytes : step.value.kind
    }
  }

  /** What the record of the control batch under the cursor says. */
  #markerType(chunk: Buffer): MarkerType {
    const { batchStart, batchEnd } = this.#cursor
    this.#marker.reset(chunk.subarray(batchStart, batchEnd))
    if (!this.#marker.nextBatch() || !this.#marker.nextRecord()) return 'none'
    const key = this.#marker.key()
    // Key of a control record: version i16, type i16.
    const type = key === null || key.length < 4 ? -1 : key.readInt16BE(2)
    return type === 0 ? 'abort' : type === 1 ? 'commit' : 'other'
  }

  async *#chunks(segment: Segment, fromPosition = 0): AsyncGenerator<Buffer, void, undefined> {
    const { pool, chunkBytes } = this.#options
    for await (const chunk of chunksOf({ pool, segment, fromPosition, chunkBytes })) {
      this.counts.readBytes += chunk.length
      await this.#rest(chunk.length)
      yield chunk
    }
  }

  /** Small batches make a pause due together; large ones have made their own on the way. */
  async #pauseIfDue(recordCount: number): Promise<void> {
    this.#recordsSincePause += (recordCount % RECORDS_PER_STEP) + RECORDS_PER_BATCH
    if (this.#recordsSincePause >= RECORDS_PER_STEP) await this.#rest(0)
  }

  /** Lets everybody else have a turn. */
  async #rest(bytes: number): Promise<void> {
    const { log, isCancelled, throttle } = this.#options
    this.#recordsSincePause = 0
    await throttle(bytes)
    await turn()
    if (isCancelled() || log.isClosed || log.isOffline) throw new CleaningCancelled()
  }
}

/** Offsets are not covered by the checksum. Returns the offset after the batch. */
function checkOffsets(
  header: RecordBatchHeader,
  { fromOffset, upToOffset, segment }: { fromOffset: bigint; upToOffset: bigint; segment: Segment }
): bigint {
  const nextOffset = lastOffsetOf(header) + 1n
  if (header.baseOffset >= fromOffset && header.lastOffsetDelta >= 0 && nextOffset <= upToOffset) return nextOffset
  throw new Error(`${segment.logPath} is damaged: offset ${header.baseOffset} is not in ${fromOffset} to ${upToOffset}`)
}
