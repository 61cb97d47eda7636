/**
 * Makes a partition's log durable and knows up to where it is: the recovery
 * point. Everything that works on whole segments beside the writer (flush,
 * removal) runs through `exclusive`, one at a time.
 *
 * A failed flush takes the partition offline for good: after a failed fsync the
 * kernel may have dropped the pages, so nothing is known about the file any more.
 * Not so where a full or read-only disk refuses the small files beside the log:
 * then the recovery point stays where it is, and the next flush tries again.
 */

import path from 'node:path'
import { messageOf } from '../../core/index.ts'
import { systemErrorCode } from './disk.ts'
import { diskRemedy, mayPass } from './disk-trouble.ts'
import type { LogEnvironment } from './log-environment.ts'
import type { SegmentList } from './segment-list.ts'
import { syncFolder } from './small-files.ts'
import type { SnapshotFiles } from './snapshot-files.ts'

/** What is to become durable: all below `offset`, with the producer state there. */
export interface FlushTarget {
  readonly offset: bigint
  readonly snapshot: Buffer
  /** Resolves when all below is written; `false` if it never will be. */
  readonly isWritten: Promise<boolean>
}

/** What the flusher needs of its log. */
export interface FlushedLog {
  readonly environment: LogEnvironment
  readonly segments: SegmentList
  readonly snapshots: SnapshotFiles
  readonly logFields: Readonly<Record<string, unknown>>
  /** Offset that the next append gets. */
  nextOffset(): bigint
  flushTarget(): FlushTarget
}

/** Where recovery left a log. */
export interface FlushState {
  readonly recoveryPoint: bigint
  /** Bytes behind the recovery point. */
  readonly unflushedBytes: number
}

/** A file beside the log could not be written: nothing is lost by that. */
class PostponedFlush extends Error {}

/** Flushes one log. */
export class LogFlusher {
  readonly #log: FlushedLog
  #recoveryPoint: bigint
  #writtenBytes: number
  #flushedBytes = 0
  #firstUnflushedMs: number | undefined
  #isOffline = false
  #isStopped = false
  #last: Promise<unknown> = Promise.resolve()
  /** The log file whose name is durable. */
  #namedPath = ''

  constructor(log: FlushedLog, state: FlushState) {
    this.#log = log
    this.#recoveryPoint = state.recoveryPoint
    this.#writtenBytes = state.unflushedBytes
  }

  /** Everything below is durable. */
  get recoveryPoint(): bigint {
    return this.#recoveryPoint
  }

  /** Bytes that a recovery would have to check now. */
  get unflushedBytes(): number {
    return this.#writtenBytes - this.#flushedBytes
  }

  /** When the oldest record that is not flushed was written, in epoch milliseconds. */
  get firstUnflushedMs(): number | undefined {
    return this.#firstUnflushedMs
  }

  /** Whether a flush failed. */
  get isOffline(): boolean {
    return this.#isOffline
  }

  /** Says that bytes were written. */
  noteWritten(bytes: number): void {
    this.#writtenBytes += bytes
    this.#firstUnflushedMs ??= this.#log.environment.clock.now()
    this.#log.environment.noteWritten(bytes)
  }

  /** Runs work on whole segments after all earlier such work. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(work)
    // The next one runs whatever became of this one; the caller has the error.
    this.#last = run.catch(() => undefined)
    return run
  }

  /** Makes everything planned so far durable and moves the recovery point there. Never rejects: see `isOffline`. */
  flush(): Promise<void> {
    return this.exclusive(() => this.#flush())
  }

  /** No flush after this one: the files are about to go. */
  stop(): void {
    this.#isStopped = true
  }

  /** Takes the log offline: its files are in a state that only a start can mend. */
  fail(error: unknown): void {
    this.#goOffline(error)
  }

  /** Makes one file durable before an acknowledgement. Rejects, and takes the log offline, if that fails. */
  async syncFile(file: string): Promise<void> {
    const { pool } = this.#log.environment
    try {
      await pool.use(file, open => open.sync())
      await this.#syncName(file)
    } catch (error) {
      this.#goOffline(error)
      throw error
    }
  }

  /** The records of a file are durable only if its name is. */
  async #syncName(file: string): Promise<void> {
    if (file === this.#namedPath) return
    await syncFolder(path.dirname(file))
    this.#namedPath = file
  }

  async #flush(): Promise<void> {
    if (this.#isOffline || this.#isStopped) return
    // Most of a broker's partitions are at rest, and all of them are asked again and again.
    if (this.#log.nextOffset() <= this.#recoveryPoint) return
    const target = this.#log.flushTarget()
    if (!(await target.isWritten) || target.offset <= this.#recoveryPoint) return
    const writtenBytes = this.#writtenBytes
    const firstUnflushedMs = this.#firstUnflushedMs
    this.#firstUnflushedMs = undefined
    try {
      await this.#makeDurable(target)
    } catch (error) {
      if (error instanceof PostponedFlush) {
        this.#firstUnflushedMs = firstUnflushedMs
        const { environment, logFields } = this.#log
        environment.trouble.note(error.cause, 'flushes are postponed until then', logFields)
      } else this.#goOffline(error)
      return
    }
    this.#flushedBytes = writtenBytes
    this.#recoveryPoint = target.offset
  }

  async #makeDurable({ offset, snapshot }: FlushTarget): Promise<void> {
    const { environment, segments, snapshots } = this.#log
    const { pool } = environment
    // One that begins at the end has none of these bytes, and its files may not be made yet.
    for (const segment of segments.all.filter(each => !each.isFlushed && each.baseOffset < offset)) {
      const { isSealed } = segment
      await beside(() => segment.saveIndexes(pool))
      await segment.sync(pool)
      await this.#syncName(segment.logPath)
      if (!isSealed) continue
      segment.isFlushed = true
      // From here on its indexes are in their files and are read back when somebody looks.
      segment.indexes = undefined
    }
    await beside(() => snapshots.write(offset, snapshot))
    await beside(() => snapshots.prune(segments.all.map(segment => segment.baseOffset)))
  }

  #goOffline(error: unknown): void {
    this.#isOffline = true
    const fields = { ...this.#log.logFields, error: messageOf(error), errno: systemErrorCode(error) }
    this.#log.environment.logger.error(
      fields,
      `${diskRemedy(error)}; the partition is offline until the broker starts again`
    )
  }
}

/** Writes a file that can be made anew. */
async function beside(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw mayPass(error) ? new PostponedFlush('a small file could not be written', { cause: error }) : error
  }
}
