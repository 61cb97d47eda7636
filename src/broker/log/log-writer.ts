/**
 * The one writer of a partition: takes planned batches in order and writes what
 * has gathered while the last write was under way in one call (group commit).
 *
 * A batch settles after its bytes are written: from then on they survive the
 * death of the process. If a write fails, that batch and all planned behind it
 * fail together, because their offsets build on it; the partial tail is cut off
 * before anything else is written, else leftovers of a refused batch could be
 * taken for good ones after a crash.
 *
 * Limits: one write has at most `GROUP_COUNT_MAX` buffers and, beyond its first,
 * `GROUP_BYTES_MAX` bytes. How much may be queued is the caller's business.
 */

import type { Logger } from '../../telemetry/index.ts'
import { systemErrorCode } from './disk.ts'
import type { FilePool } from './file-pool.ts'
import type { ProducerChange } from './producer-state.ts'
import type { Segment } from './segment.ts'

/** Buffers in one write. Source: IOV_MAX of Linux is 1024. */
const GROUP_COUNT_MAX = 512
const GROUP_BYTES_MAX = 8 * 1024 * 1024

/** A batch with an offset and a place in a segment, not written yet. */
export interface PlannedBatch {
  /** The bytes; empty for what only waits its turn: a retry of a queued batch, a flush, a roll. */
  readonly buffer: Buffer
  readonly segment: Segment
  readonly position: number
  readonly recordCount: number
  readonly lastOffset: bigint
  readonly maxTimestampMs: bigint
  /** What the batch changed in the producer state: undone if it is not written. */
  readonly change: ProducerChange | undefined
  /** Called once: with nothing when written, with the reason when not. */
  readonly settle: (error?: unknown) => void
}

/** What the writer tells the log. All calls are made by one run of the writer, in order. */
export interface LogWriterOwner {
  readonly pool: FilePool
  readonly logger: Logger
  /** The bytes of these batches are in the file; flushes them first if the configuration asks for it. */
  flushIfDue(batches: readonly PlannedBatch[]): Promise<void> | undefined
  /** The batches are in the log. They settle next. */
  written(batches: readonly PlannedBatch[]): void
  /** The next batches go to `segment`, nothing more goes to `previous`. */
  rolled(previous: Segment, segment: Segment): Promise<void>
  /** The batches and all planned after them are not written and never will be. Must not wait. */
  abandoned(batches: readonly PlannedBatch[], error: unknown): void
}

/** Writes planned batches of one partition. */
export class LogWriter {
  readonly #owner: LogWriterOwner
  #queue: PlannedBatch[] = []
  #segment: Segment
  #mustTruncate = false
  #run: Promise<void> | undefined

  /** @param segment - The active segment. */
  constructor(owner: LogWriterOwner, segment: Segment) {
    this.#owner = owner
    this.#segment = segment
  }

  /** Segment that was last written to. */
  get segment(): Segment {
    return this.#segment
  }

  /** Whether everything that was pushed is settled. */
  get isIdle(): boolean {
    return this.#run === undefined
  }

  /** Queues a batch; it settles through its own callback. */
  push(batch: PlannedBatch): void {
    this.#queue.push(batch)
    this.#run ??= this.#writeAll()
  }

  /** Resolves when everything pushed so far is settled. */
  async idle(): Promise<void> {
    while (this.#run !== undefined) await this.#run
  }

  async #writeAll(): Promise<void> {
    // One turn of the microtask queue lets the appends of one request gather.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const group = this.#takeGroup()
      try {
        await this.#writeGroup(group)
      } catch (error) {
        await this.#abandon(group, error)
        continue
      }
      for (const batch of group) batch.settle()
    }
    this.#run = undefined
  }

  #takeGroup(): PlannedBatch[] {
    const first = this.#queue[0]
    let bytes = 0
    let count = 0
    for (const batch of this.#queue) {
      const isOver = count > 0 && bytes + batch.buffer.length > GROUP_BYTES_MAX
      if (batch.segment !== first?.segment || count === GROUP_COUNT_MAX || isOver) break
      bytes += batch.buffer.length
      count += 1
    }
    return this.#queue.splice(0, count)
  }

  async #writeGroup(group: readonly PlannedBatch[]): Promise<void> {
    const segment = group[0]?.segment ?? this.#segment
    if (segment !== this.#segment) {
      await this.#truncateIfNeeded()
      await this.#owner.rolled(this.#segment, segment)
      this.#segment = segment
    }
    const toWrite = group.filter(batch => batch.buffer.length > 0)
    const first = toWrite[0]
    if (first === undefined) return
    await this.#truncateIfNeeded()
    const { pool } = this.#owner
    const buffers = toWrite.map(batch => batch.buffer)
    // Set before the write: a write that fails may have left a part of its bytes.
    this.#mustTruncate = true
    await pool.use(segment.logPath, file => file.write(buffers, first.position))
    await this.#owner.flushIfDue(toWrite)
    this.#mustTruncate = false
    this.#owner.written(toWrite)
  }

  async #abandon(group: readonly PlannedBatch[], error: unknown): Promise<void> {
    const all = [...group, ...this.#queue.splice(0)]
    this.#owner.abandoned(all, error)
    for (const batch of all) batch.settle(error)
    try {
      await this.#truncateIfNeeded()
    } catch (truncateError) {
      // Tried again before the next write, which fails as long as this does.
      const fields = { file: this.#segment.logPath, error: systemErrorCode(truncateError) }
      this.#owner.logger.error(fields, 'the partial tail of a log file could not be cut off')
    }
  }

  async #truncateIfNeeded(): Promise<void> {
    if (!this.#mustTruncate) return
    const { pool } = this.#owner
    const segment = this.#segment
    await pool.use(segment.logPath, file => file.truncate(segment.sizeBytes))
    this.#mustTruncate = false
  }
}
