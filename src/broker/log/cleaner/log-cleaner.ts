/**
 * Compacts the logs of a broker in the background: again and again the one with
 * the largest dirty part, until none needs it, then it waits.
 *
 * `cleaner-offset-checkpoint` (Kafka's format) says for each log up to where it
 * was compacted. It is written after a cleaning; an older one only has work done
 * again. A log that cannot be read is left alone until the broker starts again;
 * a disk that refuses is tried again after the wait.
 *
 * Source: Kafka `LogCleaner`, `LogCleanerManager`.
 */

import path from 'node:path'
import { type Clock, messageOf, sleep, type Timer } from '../../../core/index.ts'
import type { Logger } from '../../../telemetry/index.ts'
import { CoalescedWrite } from '../checkpoints.ts'
import { systemErrorCode } from '../disk.ts'
import { diskRemedy, mayPass } from '../disk-trouble.ts'
import { partitionFolderName } from '../file-names.ts'
import type { FilePool } from '../file-pool.ts'
import type { IndexCache } from '../segment-indexes.ts'
import { BATCH_HEADER_BYTES } from '../segment-scan.ts'
import { formatOffsetCheckpoint, parseOffsetCheckpoint, readIfPresent, replaceFile } from '../small-files.ts'
import type { CleanableLog } from './cleanable-log.ts'
import { type CleanableRange, cleanableRange, needsCleaning } from './cleanable-range.ts'
import type { CleanerSettings } from './cleaner-settings.ts'
import { cleanLog, type CleaningResult } from './log-cleaning.ts'

const CHECKPOINT_FILE = 'cleaner-offset-checkpoint'
const BASE_TIMESTAMP_AT = 35
const SECOND_MS = 1000
/** Longest time that one wait of the throttle takes: a stop must not have to wait for more. */
const THROTTLE_MS_MAX = 1000

/** What the cleaner works on and with. */
export interface LogCleanerOptions {
  readonly dataDir: string
  readonly logs: () => readonly CleanableLog[]
  readonly pool: FilePool
  readonly indexes: IndexCache
  /** Asked again for each cleaning: they may change at run time. */
  readonly settings: () => CleanerSettings
  readonly clock: Clock
  readonly logger: Logger
}

/** What the cleaner has done since the start, for metrics. */
export interface CleanerStatus {
  readonly cleaningCount: number
  readonly readBytes: number
  readonly writtenBytes: number
  /** Dirty ratio of the dirtiest log at the last look, 0 to 1. */
  readonly dirtyRatioMax: number
  /** Logs that are left alone because they could not be cleaned. */
  readonly uncleanableCount: number
  /** When it last looked for work, epoch milliseconds; 0 if it has not. */
  readonly lastRunMs: number
  /** How long ago that is, in milliseconds; 0 if it has not. */
  readonly sinceLastRunMs: number
}

interface Candidate {
  readonly log: CleanableLog
  readonly range: CleanableRange
}

/** Cleans logs, one at a time. */
export class LogCleaner {
  readonly #options: LogCleanerOptions
  /** First dirty offset by log: a topic that is created again has other logs. */
  readonly #checkpoints = new WeakMap<CleanableLog, bigint>()
  readonly #uncleanable = new WeakSet<CleanableLog>()
  #timer: Timer | undefined
  #run: Promise<number> | undefined
  #isClosed = false
  #isDue = false
  #budgetBytes = 0
  #budgetMs = 0
  /** A cleaning and a deletion of a topic may both want it at the same time. */
  readonly #checkpointWrite = new CoalescedWrite(() => this.#writeCheckpoint())
  readonly #status = { cleaningCount: 0, readBytes: 0, writtenBytes: 0, dirtyRatioMax: 0, lastRunMs: 0 }

  constructor(options: LogCleanerOptions) {
    this.#options = options
  }

  /** Reads the checkpoint for the logs that are there. Rejects with a system error. */
  async load(): Promise<void> {
    const content = await readIfPresent(this.#checkpointPath)
    if (content === undefined) return
    const offsets = parseOffsetCheckpoint(content.toString()) ?? new Map<string, bigint>()
    let found = 0
    for (const log of this.#options.logs()) {
      const offset = offsets.get(partitionFolderName(log.topic, log.partition))
      if (offset === undefined) continue
      found += 1
      this.#checkpoints.set(log, offset)
    }
    // An offset of a topic that is gone must not meet a new one of its name.
    if (found < offsets.size) await this.saveCheckpoint()
  }

  /** Looks for work from now on. */
  start(): void {
    const { clock } = this.#options
    const settings = this.#options.settings()
    if (!settings.isEnabled || this.#timer !== undefined) return
    this.#timer = clock.every(settings.backoffMs, () => void this.cleanAll()).unref()
  }

  /** What was done so far. */
  get status(): CleanerStatus {
    const uncleanableCount = this.#options.logs().filter(log => this.#uncleanable.has(log)).length
    const { lastRunMs } = this.#status
    const sinceLastRunMs = lastRunMs === 0 ? 0 : this.#options.clock.now() - lastRunMs
    return { ...this.#status, uncleanableCount, sinceLastRunMs }
  }

  /** First dirty offset of a log, as far as a cleaning has set one. */
  checkpointOf(log: CleanableLog): bigint | undefined {
    return this.#checkpoints.get(log)
  }

  /** Cleans until no log needs it. Resolves with how many cleanings that were; never rejects. */
  async cleanAll(): Promise<number> {
    if (this.#isClosed) return 0
    if (this.#run !== undefined) {
      this.#isDue = true
      return this.#run
    }
    this.#run = this.#cleanUntilClean().finally(() => {
      this.#run = undefined
    })
    return this.#run
  }

  /** Writes the checkpoint for the logs that there are: after a topic was deleted. Rejects with a system error. */
  saveCheckpoint(): Promise<void> {
    return this.#checkpointWrite.run()
  }

  async #writeCheckpoint(): Promise<void> {
    const entries = this.#options.logs().flatMap(log => {
      const offset = this.#checkpoints.get(log)
      return offset === undefined ? [] : [{ topic: log.topic, partition: log.partition, offset }]
    })
    await replaceFile(this.#checkpointPath, formatOffsetCheckpoint(entries))
  }

  /** Ends the cleaning under way at its next step and begins no other. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#run
  }

  get #checkpointPath(): string {
    return path.join(this.#options.dataDir, CHECKPOINT_FILE)
  }

  async #cleanUntilClean(): Promise<number> {
    let count = 0
    const failed = new Set<CleanableLog>()
    for (;;) {
      this.#isDue = false
      const next = await this.#dirtiest(failed)
      if (next === undefined || this.#isClosed) {
        // Asked for again since the look: there may be new work.
        if (this.#isDue && !this.#isClosed) continue
        return count
      }
      if (await this.#clean(next)) count += 1
      else failed.add(next.log)
    }
  }

  async #dirtiest(except: ReadonlySet<CleanableLog>): Promise<Candidate | undefined> {
    const nowMs = this.#options.clock.now()
    this.#status.lastRunMs = nowMs
    this.#status.dirtyRatioMax = 0
    let dirtiest: Candidate | undefined
    for (const log of this.#options.logs()) {
      const isCleanable = log.config.isCompacted && !log.isClosed && !log.isOffline
      if (!isCleanable || except.has(log) || this.#uncleanable.has(log)) continue
      const range = await this.#rangeOf(log, nowMs)
      if (range === undefined) continue
      this.#status.dirtyRatioMax = Math.max(this.#status.dirtyRatioMax, range.dirtyRatio)
      if (!needsCleaning(range, log.config)) continue
      if (dirtiest === undefined || range.dirtyRatio > dirtiest.range.dirtyRatio) dirtiest = { log, range }
    }
    return dirtiest
  }

  async #rangeOf(log: CleanableLog, nowMs: number): Promise<CleanableRange | undefined> {
    const { config, logStartOffset, lastStableOffset, highWatermark } = log
    // Most logs have but their active segment, and most looks find nothing.
    if (log.segments.length < 2) return undefined
    try {
      if (config.maxCompactionLagMs < Number.MAX_SAFE_INTEGER) await this.#loadFirstTimestamps(log)
    } catch (error) {
      this.#failed(log, error)
      return undefined
    }
    const checkpoint = this.#checkpoints.get(log)
    const { segments } = log
    return cleanableRange({
      segments,
      config,
      logStartOffset,
      lastStableOffset,
      endOffset: highWatermark,
      checkpoint,
      nowMs
    })
  }

  /** Segments that a start has found flushed were not read then. */
  async #loadFirstTimestamps(log: CleanableLog): Promise<void> {
    const { pool } = this.#options
    for (const segment of log.segments) {
      if (segment.firstTimestampMs !== undefined || segment.sizeBytes < BATCH_HEADER_BYTES) continue
      const header = Buffer.alloc(BATCH_HEADER_BYTES)
      const count = await pool.use(segment.logPath, file => file.read(header, 0))
      if (count === header.length) segment.firstTimestampMs = header.readBigInt64BE(BASE_TIMESTAMP_AT)
    }
  }

  /** Resolves with whether the cleaning came to its end. */
  async #clean({ log, range }: Candidate): Promise<boolean> {
    const { clock, logger, pool, indexes } = this.#options
    const settings = this.#options.settings()
    const startMs = clock.now()
    const { topic, partition } = log
    try {
      await log.flush()
      const result = await cleanLog(
        {
          log,
          pool,
          indexes,
          nowMs: startMs,
          keyBytesMax: settings.keyBytesMax,
          keyLoadFactor: settings.keyLoadFactor,
          chunkBytes: settings.chunkBytes,
          throttle: bytes => this.#throttle(bytes, settings.bytesPerSecondMax),
          isCancelled: () => this.#isClosed
        },
        range
      )
      this.#count(result)
      if (result.endOffset === undefined) return false
      this.#checkpoints.set(log, result.endOffset)
      await this.saveCheckpoint()
      const { endOffset, ...counts } = result
      const fields = { topic, partition, endOffset: endOffset.toString(), ...counts, tookMs: clock.now() - startMs }
      logger.info(fields, 'a log was compacted')
      return true
    } catch (error) {
      this.#failed(log, error)
      return false
    }
  }

  #count({ readBytes, writtenBytes }: CleaningResult): void {
    this.#status.cleaningCount += 1
    this.#status.readBytes += readBytes
    this.#status.writtenBytes += writtenBytes
  }

  #failed(log: CleanableLog, error: unknown): void {
    const { logger } = this.#options
    const { topic, partition } = log
    const errno = systemErrorCode(error)
    const fields = { topic, partition, errno, error: messageOf(error) }
    if (log.isClosed) return
    if (mayPass(error)) {
      logger.warn(fields, `${diskRemedy(error)}; a log could not be compacted, which is tried again`)
      return
    }
    this.#uncleanable.add(log)
    logger.error(fields, 'a log cannot be compacted and is left alone until the broker starts again')
  }

  /** Keeps reads and writes below the limit, on average over a second. */
  async #throttle(bytes: number, bytesPerSecondMax: number): Promise<void> {
    const { clock } = this.#options
    if (!Number.isFinite(bytesPerSecondMax)) return
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#budgetMs >= SECOND_MS) {
      this.#budgetMs = nowMs
      this.#budgetBytes = 0
    }
    this.#budgetBytes += bytes
    const dueMs = this.#budgetMs + (this.#budgetBytes / bytesPerSecondMax) * SECOND_MS
    for (let leftMs = dueMs - nowMs; leftMs >= 1 && !this.#isClosed; leftMs -= THROTTLE_MS_MAX) {
      await sleep(clock, Math.min(leftMs, THROTTLE_MS_MAX))
    }
  }
}
