/**
 * Brings a partition's folder back to memory after a stop of any kind.
 *
 * Segments that end at or below the recovery point were flushed and are only
 * looked at from outside (index files there, last timestamp). From the recovery
 * point on, every batch is walked and its checksum verified; the log is cut at
 * the first bad one and everything behind it goes. Index entries up to the
 * recovery point are kept, the rest is rebuilt. Producers and transactions come
 * from the latest sound snapshot and the batches after it (`replay-state.ts`).
 *
 * How long it takes depends on the bytes after the recovery point, which the
 * manager of all logs keeps bounded, not on the size of the log.
 */

import fs from 'node:fs/promises'
import path from 'node:path'
import type { Logger } from '../../telemetry/index.ts'
import { systemErrorCode } from './disk.ts'
import {
  INDEX_SUFFIX,
  LOG_SUFFIX,
  parseOffsetFileName,
  TIME_INDEX_SUFFIX,
  TRANSACTION_INDEX_SUFFIX
} from './file-names.ts'
import type { FilePool } from './file-pool.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import { ProducerState } from './producer-state.ts'
import { loadEpochs, removeDamagedAborts, replayState } from './replay-state.ts'
import { Segment } from './segment.ts'
import { loadAborts, loadIndexes, rebuildIndexes } from './segment-indexes.ts'
import { BATCH_HEADER_BYTES, lastOffsetOf, scanSegment } from './segment-scan.ts'
import { finishSwaps } from './segment-swap.ts'
import { SnapshotFiles } from './snapshot-files.ts'

const LAST_OFFSET_DELTA_AT = 23
const TIME_ENTRY_BYTES = 12
const OFFSET_ENTRY_BYTES = 8
const INDEX_SUFFIXES: ReadonlySet<string> = new Set([INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX])
// Temporary files, and what is left behind in the middle of a deletion; compactions have been looked after before.
const LEFTOVER = /\.(tmp|deleted|cleaned|swap)$/

/** What recovery needs. */
export interface RecoveryOptions {
  readonly folder: string
  readonly pool: FilePool
  readonly logger: Logger
  readonly indexIntervalBytes: number
  readonly nowMs: number
  /** Everything below was durable at the last flush. */
  readonly recoveryPoint: bigint
  /** First offset that may be read, from its checkpoint; 0 if there is none. */
  readonly logStartOffset: bigint
}

/** A partition as it was found. */
export interface RecoveredLog {
  /** Oldest first; at least one. */
  readonly segments: Segment[]
  readonly nextOffset: bigint
  readonly logStartOffset: bigint
  readonly producers: ProducerState
  readonly epochs: LeaderEpochs
  /** Latest leader epoch in the checkpoint, before anything was cut off. */
  readonly latestEpochSeen: number
  /** Bytes whose checksum was verified. */
  readonly scannedBytes: number
  /** Bytes that were cut off. */
  readonly truncatedBytes: number
}

/** Recovers one partition. Rejects with a system error if the disk cannot be read. */
export async function recoverLog(options: RecoveryOptions): Promise<RecoveredLog> {
  await finishSwaps(options.folder, options.pool)
  const found = await findSegments(options)
  const damagedFrom = await removeDamagedAborts(found, options)
  const result = { scannedBytes: 0, truncatedBytes: 0 }
  const segments: Segment[] = []
  let nextOffset = options.logStartOffset
  let isCut = false
  for (const [index, segment] of found.entries()) {
    if (isCut) {
      result.truncatedBytes += segment.sizeBytes
      await removeFiles(segment)
      continue
    }
    segments.push(segment)
    const following = found[index + 1]
    if (following !== undefined && following.baseOffset <= options.recoveryPoint) {
      await checkFlushed(segment, options)
      nextOffset = following.baseOffset
      continue
    }
    const recovered = await recoverSegment(segment, { ...options, isActive: following === undefined })
    nextOffset = recovered.nextOffset
    result.scannedBytes += recovered.scannedBytes
    result.truncatedBytes += recovered.truncatedBytes
    isCut = recovered.truncatedBytes > 0
  }
  const last = segments.at(-1)
  if (last === undefined || nextOffset < options.logStartOffset) {
    for (const segment of segments) await removeFiles(segment)
    return { ...result, ...(await emptyLog(options)) }
  }
  if (isCut) reopen(last)
  const firstOffset = segments[0]?.baseOffset ?? 0n
  const logStartOffset = options.logStartOffset > firstOffset ? options.logStartOffset : firstOffset
  const { folder, pool, logger } = options
  const state = await replayState({ folder, pool, logger, segments, nextOffset, damagedFrom })
  return { ...result, segments, nextOffset, logStartOffset, ...state }
}

/** Removes the files of a segment, the log first: a crash in between leaves indexes that the next start removes. */
async function removeFiles(segment: Segment): Promise<void> {
  for (const file of segment.paths) await fs.rm(file, { force: true })
}

async function emptyLog(options: RecoveryOptions): Promise<Omit<RecoveredLog, 'scannedBytes' | 'truncatedBytes'>> {
  const { folder, pool, logStartOffset, nowMs } = options
  const segment = new Segment(folder, logStartOffset, nowMs)
  segment.resetIndexes()
  await segment.createFiles(pool)
  const epochs = await loadEpochs(folder)
  const latestEpochSeen = epochs.latest
  epochs.truncateAfter(logStartOffset)
  // They speak of batches that are gone: a transaction that is open in one would never end.
  await new SnapshotFiles(folder).clear()
  const producers = new ProducerState()
  return { segments: [segment], nextOffset: logStartOffset, logStartOffset, producers, epochs, latestEpochSeen }
}

/** Segments by their `.log` files; removes leftovers and indexes without a log. */
async function findSegments({ folder, nowMs }: RecoveryOptions): Promise<Segment[]> {
  const names = await fs.readdir(folder)
  for (const name of names) if (LEFTOVER.test(name)) await fs.rm(path.join(folder, name), { force: true })
  const files = names.map(name => ({ name, parsed: parseOffsetFileName(name) }))
  const aborts = new Set(
    files.flatMap(({ parsed }) => (parsed?.suffix === TRANSACTION_INDEX_SUFFIX ? [parsed.offset] : []))
  )
  const bases = new Set(files.flatMap(({ parsed }) => (parsed?.suffix === LOG_SUFFIX ? [parsed.offset] : [])))
  for (const { name, parsed } of files) {
    const isIndex = parsed !== undefined && INDEX_SUFFIXES.has(parsed.suffix)
    if (isIndex && !bases.has(parsed.offset)) await fs.rm(path.join(folder, name), { force: true })
  }
  const segments: Segment[] = []
  for (const baseOffset of [...bases].toSorted((a, b) => (a < b ? -1 : 1))) {
    const segment = new Segment(folder, baseOffset, nowMs)
    const stat = await fs.stat(segment.logPath)
    if (stat.size === 0 && segments.length > 0) {
      // Begun by a roll that failed or was cut short: the segment before it may have gone on past this offset.
      await removeFiles(segment)
      continue
    }
    segment.sizeBytes = stat.size
    segment.plannedBytes = stat.size
    segment.hasAborts = aborts.has(baseOffset)
    segment.touchedMs = Math.floor(stat.mtimeMs)
    segments.push(segment)
  }
  return segments
}

/** A segment below the recovery point: its indexes are loaded when they are needed. */
async function checkFlushed(segment: Segment, { pool }: RecoveryOptions): Promise<void> {
  segment.isSealed = true
  segment.isFlushed = true
  const indexBytes = await sizeOf(segment.indexPath)
  const timeBytes = await sizeOf(segment.timeIndexPath)
  const isSound =
    indexBytes !== undefined &&
    indexBytes % OFFSET_ENTRY_BYTES === 0 &&
    timeBytes !== undefined &&
    timeBytes % TIME_ENTRY_BYTES === 0 &&
    (timeBytes > 0 || segment.sizeBytes === 0)
  if (!isSound) {
    await rebuildIndexes(segment, pool)
    segment.indexes = undefined
    return
  }
  if (timeBytes === 0) return
  const entry = Buffer.alloc(TIME_ENTRY_BYTES)
  await pool.use(segment.timeIndexPath, file => file.read(entry, timeBytes - TIME_ENTRY_BYTES))
  segment.maxTimestamp = {
    timestampMs: entry.readBigInt64BE(0),
    offset: segment.baseOffset + BigInt(entry.readInt32BE(8))
  }
}

interface RecoveredSegment {
  nextOffset: bigint
  scannedBytes: number
  truncatedBytes: number
}

async function recoverSegment(
  segment: Segment,
  options: RecoveryOptions & { isActive: boolean }
): Promise<RecoveredSegment> {
  const { pool, logger } = options
  const fileBytes = segment.sizeBytes
  if (fileBytes === 0 && !segment.hasAborts) return recoverEmpty(segment, options)
  const fromPosition = await keepIndexesUpTo(segment, options.recoveryPoint, pool)
  segment.firstTimestampMs = await firstTimestampOf(segment, pool)
  segment.sizeBytes = fromPosition
  const end = await scanSegment({
    pool,
    path: segment.logPath,
    fromPosition,
    endPosition: fileBytes,
    minOffset: segment.baseOffset,
    crcFromOffset: options.recoveryPoint,
    onBatch: (header, position) => {
      const { sizeBytes, maxTimestamp: maxTimestampMs } = header
      const batch = { lastOffset: lastOffsetOf(header), maxTimestampMs, position, sizeBytes }
      segment.noteWritten(batch, options.indexIntervalBytes)
      return undefined
    }
  })
  segment.plannedBytes = end.position
  const truncatedBytes = fileBytes - end.position
  if (truncatedBytes > 0) {
    const fields = { file: segment.logPath, position: end.position, truncatedBytes, reason: end.problem }
    logger.warn(fields, 'the log is cut at the first bad batch: bytes that no client was told are written')
    await pool.use(segment.logPath, file => file.truncate(end.position))
  }
  if (!options.isActive) {
    segment.closeTimeIndex()
    segment.isSealed = true
  }
  await saveRecoveredIndexes(segment, pool)
  return { nextOffset: end.nextOffset, scannedBytes: fileBytes - fromPosition, truncatedBytes }
}

/** Nothing to walk, nothing to load: of many partitions most are empty, and a start must not take long for them. */
async function recoverEmpty(
  segment: Segment,
  { pool, isActive }: { pool: FilePool; isActive: boolean }
): Promise<RecoveredSegment> {
  segment.resetIndexes()
  for (const file of [segment.indexPath, segment.timeIndexPath]) {
    const sizeBytes = await sizeOf(file)
    if (sizeBytes === undefined) await pool.create(file)
    else if (sizeBytes > 0) await pool.use(file, open => open.truncate(0))
  }
  segment.isSealed = !isActive
  return { nextOffset: segment.baseOffset, scannedBytes: 0, truncatedBytes: 0 }
}

/** Loads the indexes, keeps what is below the recovery point, and returns the position to walk from. */
async function keepIndexesUpTo(segment: Segment, recoveryPoint: bigint, pool: FilePool): Promise<number> {
  await segment.createFiles(pool)
  const aborts = await loadAborts(segment, pool)
  const loaded = await loadIndexes(segment, pool)
  const entry = loaded?.offsets.lookup(recoveryPoint)
  if (loaded === undefined || entry === undefined || entry.position === 0) {
    segment.resetIndexes(aborts)
    return 0
  }
  const header = Buffer.alloc(BATCH_HEADER_BYTES)
  const count = await pool.use(segment.logPath, file => file.read(header, entry.position))
  const lastOffset = header.readBigInt64BE(0) + BigInt(header.readInt32BE(LAST_OFFSET_DELTA_AT))
  if (count < BATCH_HEADER_BYTES || lastOffset !== entry.offset) {
    segment.resetIndexes(aborts)
    return 0
  }
  loaded.offsets.truncateAfter(entry.offset)
  loaded.times.truncateAfter(entry.offset)
  if (loaded.times.count === 0) {
    // An offset entry comes with one for time: these files do not belong together.
    segment.resetIndexes(aborts)
    return 0
  }
  segment.indexes = loaded
  segment.maxTimestamp = loaded.times.last() ?? segment.maxTimestamp
  return entry.position
}

/** Cuts the index files to what is kept and writes what was added. */
async function saveRecoveredIndexes(segment: Segment, pool: FilePool): Promise<void> {
  const { indexes } = segment
  if (indexes === undefined) return
  const offsetBytes = indexes.offsets.sizeBytes - indexes.offsets.unsavedBytes
  const timeBytes = indexes.times.sizeBytes - indexes.times.unsavedBytes
  await pool.use(segment.indexPath, file => file.truncate(offsetBytes))
  await pool.use(segment.timeIndexPath, file => file.truncate(timeBytes))
  await segment.saveIndexes(pool)
}

async function firstTimestampOf(segment: Segment, pool: FilePool): Promise<bigint | undefined> {
  if (segment.sizeBytes < BATCH_HEADER_BYTES) return undefined
  const header = Buffer.alloc(BATCH_HEADER_BYTES)
  await pool.use(segment.logPath, file => file.read(header, 0))
  return header.readBigInt64BE(35)
}

/** After later segments were removed, the one that was cut is the active one again. */
function reopen(segment: Segment): void {
  segment.isSealed = false
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await fs.stat(file)).size
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}
