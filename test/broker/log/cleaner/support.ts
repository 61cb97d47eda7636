/** A partition with its cleaner, what was written to it, and what a cleaning must leave of that. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { SeededRandom, VirtualClock } from '../../../../src/core/index.ts'
import { type Logger, silentLogger } from '../../../../src/telemetry/index.ts'
import { BatchValidator } from '../../../../src/broker/log/batch-validator.ts'
import type { CleanerSettings } from '../../../../src/broker/log/cleaner/cleaner-settings.ts'
import { cleanerSettings, LogCleaner } from '../../../../src/broker/log/cleaner/index.ts'
import { type Disk, systemDisk } from '../../../../src/broker/log/disk.ts'
import { DiskTrouble } from '../../../../src/broker/log/disk-trouble.ts'
import { FilePool } from '../../../../src/broker/log/file-pool.ts'
import { PartitionLog } from '../../../../src/broker/log/partition-log.ts'
import { IndexCache } from '../../../../src/broker/log/segment-indexes.ts'
import type { FolderOperations } from '../../../../src/broker/log/segment-swap.ts'
import { type LogConfig, toLogConfig } from '../../../../src/broker/log/topic-config.ts'
import { RecordCursor, isControl, isTransactional } from '../../../../src/protocol/index.ts'
import { cleanUp, START_MS } from '../support.ts'

/** Segments of a few hundred bytes, and cleaning at any dirty byte. */
export const SMALL: Partial<LogConfig> = {
  isCompacted: true,
  isDeleted: false,
  segmentBytes: 600,
  indexIntervalBytes: 100,
  minCleanableDirtyRatio: 0,
  deleteRetentionMs: 1000
}

/** How a test opens a partition with its cleaner. */
export interface CleanableOptions {
  readonly folder: string
  readonly dataDir?: string
  readonly config?: Partial<LogConfig>
  readonly clock?: VirtualClock
  readonly disk?: Disk
  readonly operations?: FolderOperations
  readonly logger?: Logger
  readonly settings?: Partial<CleanerSettings>
  readonly recoveryPoint?: bigint
  readonly logStartOffset?: bigint
  readonly wasCleanStop?: boolean
}

/** A partition and the cleaner that works on it. */
export interface Cleanable {
  readonly log: PartitionLog
  readonly cleaner: LogCleaner
  readonly clock: VirtualClock
}

/** Opens both; they are closed after the test. */
export async function openCleanable(t: TestContext, options: CleanableOptions): Promise<Cleanable> {
  const pool = new FilePool({ openMax: 8, disk: options.disk ?? systemDisk })
  const clock = options.clock ?? new VirtualClock(START_MS)
  const logger = options.logger ?? silentLogger
  const indexes = new IndexCache(pool)
  const log = await PartitionLog.open({
    folder: options.folder,
    topic: 'orders',
    partition: 0,
    topicId: 'AAAAAAAAAAAAAAAAAAAAAQ',
    config: { ...toLogConfig(), ...SMALL, ...options.config },
    environment: {
      pool,
      indexes,
      clock,
      random: new SeededRandom(1),
      logger,
      validator: new BatchValidator(),
      trouble: new DiskTrouble(logger),
      saveLogStartOffsets: () => Promise.resolve(),
      noteWritten: () => undefined,
      ...(options.operations && { operations: options.operations })
    },
    recoveryPoint: options.recoveryPoint ?? 0n,
    logStartOffset: options.logStartOffset ?? 0n,
    wasCleanStop: options.wasCleanStop ?? true
  })
  const settings = (): CleanerSettings => ({ ...cleanerSettings({}), ...options.settings })
  const dataDir = options.dataDir ?? options.folder
  const cleaner = new LogCleaner({ dataDir, logs: () => [log], pool, indexes, settings, clock, logger })
  await cleaner.load()
  cleanUp(t, async () => {
    await cleaner.close()
    await log.close()
    await pool.close()
  })
  return { log, cleaner, clock }
}

/** A record as a consumer sees it. */
export interface SeenRecord {
  readonly offset: bigint
  readonly key: string | null
  readonly value: string | null
  readonly timestampMs: number
}

/** Every record from an offset on, read in steps of `bytesMax`; markers are left out, aborted records only if asked. */
export async function consume(
  log: PartitionLog,
  { fromOffset = 0n, bytesMax = 400, isReadCommitted = false } = {}
): Promise<SeenRecord[]> {
  const seen: SeenRecord[] = []
  const cursor = new RecordCursor()
  let next = fromOffset
  for (;;) {
    const result = await log.read(next, bytesMax, { isReadCommitted })
    assert.equal(result.errorCode, 0, `read at ${next} failed with ${result.errorCode}`)
    if (result.records.length === 0) return seen
    // One producer may have several in one answer.
    const ahead = result.abortedTransactions.toSorted((a, b) => Number(a.firstOffset - b.firstOffset))
    const aborted = new Set<bigint>()
    cursor.reset(result.records)
    let isFirst = true
    while (cursor.nextBatch()) {
      const { header } = cursor
      const lastOffset = header.baseOffset + BigInt(header.lastOffsetDelta)
      assert.ok(!isFirst || lastOffset >= next, 'the first batch holds the wanted offset, or is behind it')
      isFirst = false
      while ((ahead[0]?.firstOffset ?? lastOffset + 1n) <= lastOffset) aborted.add(ahead.shift()?.producerId ?? -1n)
      if (isControl(header.attributes)) aborted.delete(header.producerId)
      const isAborted = isReadCommitted && isTransactional(header.attributes) && aborted.has(header.producerId)
      while (cursor.nextRecord()) {
        if (cursor.offset() < next || isAborted || isControl(header.attributes)) continue
        const [key, value] = [cursor.key(), cursor.value()]
        seen.push({
          offset: cursor.offset(),
          key: key === null ? null : key.toString(),
          value: value === null ? null : value.toString(),
          timestampMs: cursor.timestampMs
        })
      }
      next = lastOffset + 1n
    }
  }
}

/** The last value of every key, tombstones included. */
export function latest(records: readonly SeenRecord[]): Map<string | null, string | null> {
  return new Map(records.map(({ key, value }) => [key, value]))
}
