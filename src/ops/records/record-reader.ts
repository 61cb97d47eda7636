/**
 * Reads ranges of partitions record by record, in bounded memory and without an object per record.
 *
 * Order: of one partition always by offset; over all of them either as answers
 * come, which is fastest, or by time: then each partition waits until it has
 * the oldest record of all.
 *
 * The reader holds one answer's part of each partition at most. A listener that
 * has no room holds the whole reading back. A batch that is corrupt is told and
 * left out; records that retention took on the way are told, too. With an end,
 * silence is an error after `silenceMs`, because there is something to read.
 */

import {
  Admin,
  type Cluster,
  type FetchedChunk,
  Fetcher,
  type FetchPartitionError,
  partitionKeyOf
} from '../../client/index.ts'
import { type Clock, messageOf, PipelineError } from '../../core/index.ts'
import { RecordCursor } from '../../protocol/index.ts'
import type { RecordMatcher } from './record-query.ts'
import type { RecordRange } from './record-range.ts'
import { TimeMerge } from './time-merge.ts'

/** How ranges are read. */
export interface RecordReaderOptions {
  readonly cluster: Cluster
  readonly ranges: readonly RecordRange[]
  /** Leaves out records of open and aborted transactions. Default `false`. */
  readonly isReadCommitted?: boolean
  /** `arrival`: as answers come; `time`: the oldest first. Default `arrival`. */
  readonly order?: 'arrival' | 'time'
  /** Which records are for `onRecord`. Default: all. */
  readonly matcher?: RecordMatcher | undefined
  /** Takes a record that was wanted; what the cursor points at is gone with the return. `false` ends the reading. */
  readonly onRecord: (cursor: RecordCursor, range: RecordRange) => boolean
  /** Asked now and then: a promise holds the reading back until it settles. */
  readonly untilRoom?: () => Promise<void> | undefined
  /** Hears what was left out, and why. */
  readonly onTrouble?: (text: string) => void
  readonly signal?: AbortSignal
  /** Longest silence while records are due, in milliseconds. Default 30_000. */
  readonly silenceMs?: number
  readonly clock?: Clock
}

/** Why a reading ended: all was read, `onRecord` had enough, or the signal. */
export type ReadEnd = 'all' | 'enough' | 'aborted'

/** Bytes of all partitions together that may be held while they wait for each other. */
const HELD_BYTES_MAX = 67_108_864

/** Reads ranges once. */
export class RecordReader {
  readonly #options: RecordReaderOptions
  readonly #clock: Clock
  readonly #open = new Map<string, RecordRange>()
  readonly #reached = new Map<string, bigint>()
  /** First offsets of ranges whose beginning was deleted: a batch that holds one holds older records, too. */
  readonly #floors = new Map<RecordRange, bigint>()
  readonly #cursor = new RecordCursor()
  readonly #fetcher: Fetcher
  readonly #merge: TimeMerge | undefined
  readonly #done = Promise.withResolvers<ReadEnd>()
  #recordCount = 0
  #isOver = false
  #isHeldBack = false
  #heardAtMs = 0

  constructor(options: RecordReaderOptions) {
    this.#options = options
    this.#clock = options.clock ?? options.cluster.clock
    const perPartition = Math.floor(HELD_BYTES_MAX / Math.max(1, options.ranges.length))
    this.#fetcher = new Fetcher({
      cluster: options.cluster,
      isReadCommitted: options.isReadCommitted === true,
      partitionBytesMax: Math.max(16_384, Math.min(1_048_576, perPartition)),
      onRecords: chunk => this.#take(chunk),
      onPartitionError: failure => this.#onFailure(failure)
    })
    if (options.order === 'time') {
      this.#merge = new TimeMerge({
        ranges: options.ranges.filter(isNotEmpty),
        walk: (cursor, range) => this.#nextWanted(cursor, range),
        emit: (cursor, range) => this.#emit(cursor, range),
        onEmptied: (range, nextOffset) => this.#passed(range, nextOffset)
      })
    }
  }

  /** Records that were looked at so far. */
  get recordCount(): number {
    return this.#recordCount
  }

  /**
   * Up to where everything of a range was looked at. After an `onRecord` that had enough, records of the range behind
   * the last one that it took are not.
   */
  reachedOf(range: RecordRange): bigint {
    return this.#reached.get(partitionKeyOf(range)) ?? range.from
  }

  /** Share of the offsets that lie behind, 0 to 1; `undefined` where a range has no end. */
  get share(): number | undefined {
    let done = 0n
    let all = 0n
    for (const range of this.#options.ranges) {
      if (range.to === undefined) return undefined
      all += range.to - range.from
      done += (this.#reached.get(partitionKeyOf(range)) ?? range.from) - range.from
    }
    return all === 0n ? 1 : Math.min(1, Number(done) / Number(all))
  }

  /**
   * Reads to the end. To be called once.
   *
   * @throws PipelineError `ERR_OPS_SILENCE`, `ERR_CLIENT_KAFKA` and the like if a partition cannot be read.
   */
  async run(): Promise<ReadEnd> {
    const { signal, silenceMs = 30_000 } = this.#options
    const onAbort = (): void => this.#end('aborted')
    for (const range of this.#options.ranges) {
      if (!isNotEmpty(range)) continue
      this.#open.set(partitionKeyOf(range), range)
      this.#fetcher.add({ topic: range.topic, partition: range.partition, offset: range.from })
    }
    if (this.#open.size === 0) this.#end('all')
    if (signal?.aborted === true) this.#end('aborted')
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#heardAtMs = this.#clock.monotonicMs()
    const timer = this.#clock.every(Math.max(10, Math.floor(silenceMs / 10)), () => this.#checkSilence(silenceMs))
    this.#fetcher.start()
    try {
      return await this.#done.promise
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
      await this.#fetcher.close()
    }
  }

  #end(how: ReadEnd): void {
    this.#isOver = true
    this.#done.resolve(how)
  }

  #fail(error: unknown): void {
    this.#isOver = true
    this.#done.reject(error)
  }

  #checkSilence(silenceMs: number): void {
    if (this.#isHeldBack || this.#isOver) this.#heardAtMs = this.#clock.monotonicMs()
    const due = [...this.#open.values()].filter(({ to }) => to !== undefined)
    if (due.length === 0 || this.#clock.monotonicMs() - this.#heardAtMs < silenceMs) return
    const [first] = due
    const where = `${first?.topic}-${first?.partition} from offset ${this.#reached.get(keyOf(first)) ?? first?.from}`
    const seconds = Math.round(silenceMs / 1000)
    this.#fail(
      new PipelineError('ERR_OPS_SILENCE', `no records of ${where} came for ${seconds} s although there are some`, {
        retriable: true
      })
    )
  }

  #take(chunk: FetchedChunk): void {
    const range = this.#open.get(partitionKeyOf(chunk))
    if (this.#isOver || range === undefined) return chunk.lease?.release()
    this.#heardAtMs = this.#clock.monotonicMs()
    if (this.#merge === undefined) {
      this.#cursor.reset(chunk.records)
      while (!this.#isOver && this.#nextWanted(this.#cursor, range)) this.#emit(this.#cursor, range)
      chunk.lease?.release()
      // Ended in the middle of a chunk: what follows in it was not looked at.
      if (!this.#isOver) this.#passed(range, chunk.nextOffset)
    } else {
      // Memory of its own: a partition that waits for the others would keep the answers of all of them.
      const records = chunk.lease === undefined ? chunk.records : Buffer.from(chunk.records)
      chunk.lease?.release()
      this.#fetcher.pause(range.topic, range.partition)
      this.#merge.add(range, { records, nextOffset: chunk.nextOffset })
      if (!this.#isHeldBack) this.#merge.run()
    }
    this.#holdBack()
  }

  /** Everything of a range below an offset lies behind. */
  #passed(range: RecordRange, nextOffset: bigint): void {
    const key = partitionKeyOf(range)
    const isAtEnd = range.to !== undefined && nextOffset >= range.to
    this.#reached.set(key, isAtEnd && range.to !== undefined ? range.to : nextOffset)
    if (isAtEnd) {
      this.#open.delete(key)
      this.#merge?.close(range)
      this.#fetcher.remove(range.topic, range.partition)
      if (this.#open.size === 0) this.#end('all')
    } else if (!this.#isHeldBack && this.#merge !== undefined) this.#fetcher.resume(range.topic, range.partition)
  }

  #emit(cursor: RecordCursor, range: RecordRange): boolean {
    const goesOn = this.#options.onRecord(cursor, range)
    if (!goesOn) this.#end('enough')
    return goesOn && !this.#isOver && (this.#merge === undefined || !this.#holdBack())
  }

  /** @returns Whether the reading is held back. */
  #holdBack(): boolean {
    if (this.#isHeldBack || this.#isOver) return this.#isHeldBack
    const room = this.#options.untilRoom?.()
    if (room === undefined) return false
    this.#isHeldBack = true
    for (const { topic, partition } of this.#open.values()) this.#fetcher.pause(topic, partition)
    void room.then(
      () => this.#goOn(),
      (error: unknown) => this.#fail(error)
    )
    return true
  }

  #goOn(): void {
    this.#isHeldBack = false
    this.#heardAtMs = this.#clock.monotonicMs()
    if (this.#merge !== undefined && !this.#isOver) this.#merge.run()
    if (this.#isHeldBack) return
    for (const range of this.#open.values()) {
      if (this.#merge?.isFilled(range) !== true) this.#fetcher.resume(range.topic, range.partition)
    }
  }

  /** Moves a cursor to the next record of the range that is wanted; `false` if its chunk has no more. */
  #nextWanted(cursor: RecordCursor, range: RecordRange): boolean {
    const { matcher } = this.#options
    const from = this.#floors.size === 0 ? range.from : (this.#floors.get(range) ?? range.from)
    for (;;) {
      try {
        while (cursor.nextRecord()) {
          const { offsetDelta, baseOffset } = cursor
          // 64-bit arithmetic only at the edges of a range.
          if (baseOffset < from && baseOffset + BigInt(offsetDelta) < from) continue
          if (range.to !== undefined && baseOffset + BigInt(cursor.header.lastOffsetDelta) >= range.to) {
            if (baseOffset + BigInt(offsetDelta) >= range.to) continue
          }
          this.#recordCount += 1
          if (matcher === undefined || matcher.matches(cursor)) return true
        }
        if (!cursor.nextBatch()) return false
        const { header, baseOffset } = cursor
        if (range.to !== undefined && baseOffset >= range.to) continue
        if (matcher !== undefined && !matcher.mayMatch(cursor)) {
          this.#recordCount += header.recordCount
          cursor.skipTo(cursor.recordsEnd, header.recordCount)
        }
      } catch (error) {
        if (!this.#skipCorrupt(cursor, range, error)) return false
      }
    }
  }

  /** @returns Whether something follows what is corrupt. */
  #skipCorrupt(cursor: RecordCursor, { topic, partition }: RecordRange, error: unknown): boolean {
    if (!PipelineError.is(error) || !error.code.startsWith('ERR_PROTOCOL_')) throw error
    this.#options.onTrouble?.(`${topic}-${partition}: ${messageOf(error)}; left out`)
    return cursor.skipBatch()
  }

  #onFailure({ topic, partition, offset, error, willRetry }: FetchPartitionError): void {
    const range = this.#open.get(partitionKeyOf({ topic, partition }))
    if (willRetry || range === undefined || this.#isOver) return
    if (error.code !== 'ERR_CLIENT_OFFSET_OUT_OF_RANGE') this.#fail(error.cause ?? error)
    else void this.#afterDeletion(range, offset).catch((cause: unknown) => this.#fail(cause))
  }

  /** Retention, or somebody, has deleted what was to come next: goes on with the oldest record there is. */
  async #afterDeletion(range: RecordRange, offset: bigint): Promise<void> {
    const { topic, partition } = range
    const [found] = await new Admin(this.#options.cluster).listOffsets([{ topic, partition, at: 'earliest' }])
    const start = found?.offset ?? 0n
    if (this.#isOver) return
    this.#options.onTrouble?.(
      start > offset
        ? `${topic}-${partition}: records ${offset} to ${start - 1n} were deleted meanwhile`
        : `${topic}-${partition}: offset ${offset} is no longer there: the topic was made anew; reading from ${start}`
    )
    this.#heardAtMs = this.#clock.monotonicMs()
    this.#floors.set(range, start)
    if (range.to !== undefined && start >= range.to) this.#passed(range, start)
    else this.#fetcher.add({ topic, partition, offset: start })
  }
}

function isNotEmpty({ from, to }: RecordRange): boolean {
  return to === undefined || to > from
}

function keyOf(range: RecordRange | undefined): string {
  return range === undefined ? '' : partitionKeyOf(range)
}
