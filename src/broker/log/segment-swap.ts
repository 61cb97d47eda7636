/**
 * Puts a compacted segment in the place of those it was made from, in Kafka's
 * way, so that a crash between any two steps leaves a folder which a start (of
 * this broker or of Apache Kafka) brings to the one or the other state:
 *
 *   1. the new files are written and flushed as `….cleaned`
 *   2. they become `….swap`, indexes first, the log last; the folder is flushed
 *   3. the old files become `….deleted`, the new ones get their final names, the log first
 *   4. the folder is flushed, the `….deleted` are removed
 *
 * At a start, `.cleaned` and `.deleted` files go. A `.log.swap` is complete: it
 * takes the place of the segments in its range of offsets. Index files may be
 * missing then; they are built anew.
 *
 * Step 3 runs in one turn of the event loop: no read of this process sees the
 * folder in between. Reads that began before it may have seen old and new files
 * mixed; the log makes them again (`SegmentList.changeCount`).
 */

import { existsSync, renameSync } from 'node:fs'
import fs from 'node:fs/promises'
import path from 'node:path'
import { LOG_SUFFIX, offsetFileName } from './file-names.ts'
import type { FilePool } from './file-pool.ts'
import type { SegmentList } from './segment-list.ts'
import type { Segment } from './segment.ts'
import type { IndexCache } from './segment-indexes.ts'
import { scanSegment } from './segment-scan.ts'
import { syncFolder } from './small-files.ts'

/** Suffix of the files of a segment that is being compacted. */
export const CLEANED_SUFFIX = '.cleaned'
/** Suffix of the files of a compacted segment that is about to take its place. */
export const SWAP_SUFFIX = '.swap'
/** Suffix of files that are about to be removed. */
export const DELETED_SUFFIX = '.deleted'

const SEGMENT_FILE = /^(\d{20})(\.log|\.index|\.timeindex|\.txnindex)(\.cleaned|\.swap|\.deleted)?$/

/** Operations on a folder; a test may let them fail. */
export interface FolderOperations {
  /** At once, within the turn. */
  rename(from: string, to: string): void
  remove(file: string): Promise<void>
  /** Makes the names in a folder durable. */
  syncFolder(folder: string): Promise<void>
}

/** The machine's file system. */
export const systemFolder: FolderOperations = {
  rename: renameSync,
  remove: file => fs.rm(file, { force: true }),
  syncFolder
}

/** Where a segment is put in. */
export interface SwapTarget {
  readonly folder: string
  readonly segments: SegmentList
  readonly pool: FilePool
  readonly indexes: IndexCache
  readonly operations?: FolderOperations
}

/**
 * Steps 2 to 4 for a segment whose `.cleaned` files are complete and durable. Nothing else may work on whole segments
 * meanwhile.
 *
 * @returns False if not all of the old segments are in the log any more: then nothing has changed.
 * Rejects with a system error if the disk refuses before step 3, and with a `TornSwapError` in it.
 */
export async function swapSegments(target: SwapTarget, old: readonly Segment[], cleaned: Segment): Promise<boolean> {
  const { folder, pool, operations = systemFolder } = target
  const present = segmentFiles(cleaned).filter(file => existsSync(file + CLEANED_SUFFIX))
  for (const file of present) pool.forget(file + CLEANED_SUFFIX)
  if (!old.every(segment => target.segments.all.includes(segment))) return false
  for (const file of present) operations.rename(file + CLEANED_SUFFIX, file + SWAP_SUFFIX)
  await operations.syncFolder(folder)
  await target.indexes.settled(old)
  const deleted = exchange(target, { old, cleaned, present })
  await operations.syncFolder(folder)
  for (const file of deleted) await operations.remove(file)
  return true
}

/** Removes the files of a compacted segment that does not take its place, in the order that a start relies on. */
export async function discardCleaned(cleaned: Segment, pool: FilePool): Promise<void> {
  for (const suffix of [SWAP_SUFFIX, CLEANED_SUFFIX]) {
    for (const file of segmentFiles(cleaned)) {
      pool.forget(file + suffix)
      await fs.rm(file + suffix, { force: true })
    }
  }
}

/** All files that a segment may have; the log comes last. */
function segmentFiles(segment: Segment): string[] {
  return [segment.indexPath, segment.timeIndexPath, segment.transactionIndexPath, segment.logPath]
}

/** Step 3. Nothing may wait in here. */
function exchange(
  { segments, pool, indexes, operations = systemFolder }: SwapTarget,
  { old, cleaned, present }: { old: readonly Segment[]; cleaned: Segment; present: readonly string[] }
): string[] {
  const deleted: string[] = []
  try {
    for (const segment of old) {
      for (const file of segmentFiles(segment).toReversed()) {
        pool.forget(file)
        if (!existsSync(file)) continue
        operations.rename(file, file + DELETED_SUFFIX)
        deleted.push(file + DELETED_SUFFIX)
      }
    }
    for (const name of present.toReversed()) {
      pool.forget(name)
      operations.rename(name + SWAP_SUFFIX, name)
    }
  } catch (error) {
    throw new TornSwapError(error)
  }
  for (const segment of old) indexes.retire(segment)
  segments.replace(old, cleaned)
  return deleted
}

/** Some files have their new names, some do not: the log cannot be used before a start has gone over it. */
export class TornSwapError extends Error {
  /** @param cause - The system error. */
  constructor(cause: unknown) {
    super('the files of a compacted segment could not all be renamed', { cause })
    this.name = 'TornSwapError'
  }
}

interface FoundFile {
  readonly name: string
  readonly baseOffset: bigint
  readonly kind: string
  readonly state: string
}

/**
 * Finishes or undoes a swap that a crash has cut short, and removes what is left of compactions and removals. To be
 * called before the segments of a folder are looked at.
 */
export async function finishSwaps(
  folder: string,
  pool: FilePool,
  operations: FolderOperations = systemFolder
): Promise<void> {
  const found = (await fs.readdir(folder)).flatMap((name): FoundFile[] => {
    const match = SEGMENT_FILE.exec(name)
    if (match?.[1] === undefined || match[2] === undefined) return []
    return [{ name, baseOffset: BigInt(match[1]), kind: match[2], state: match[3] ?? '' }]
  })
  const remove = (file: FoundFile): Promise<void> => operations.remove(path.join(folder, file.name))
  const cleaned = found.filter(file => file.state === CLEANED_SUFFIX)
  let swaps = found.filter(file => file.state === SWAP_SUFFIX)
  if (cleaned.length > 0) {
    // Step 2 was not done: what has its swap name already is not the whole.
    const first = cleaned.reduce((least, file) => (file.baseOffset < least ? file.baseOffset : least), 1n << 63n)
    for (const file of swaps) if (file.baseOffset >= first) await remove(file)
    swaps = swaps.filter(file => file.baseOffset < first)
  }
  for (const file of found) if (file.state === CLEANED_SUFFIX || file.state === DELETED_SUFFIX) await remove(file)
  const plain = found.filter(file => file.state === '')
  const bases = [...new Set(swaps.map(file => file.baseOffset))]
  for (const baseOffset of bases) {
    const own = swaps.filter(file => file.baseOffset === baseOffset)
    await finishSwap({ folder, pool, operations, baseOffset, swaps: own, plain })
  }
  if (bases.length > 0) await operations.syncFolder(folder)
}

async function finishSwap(swap: {
  folder: string
  pool: FilePool
  operations: FolderOperations
  baseOffset: bigint
  swaps: readonly FoundFile[]
  plain: readonly FoundFile[]
}): Promise<void> {
  const { folder, pool, operations, baseOffset, swaps, plain } = swap
  const log = swaps.find(file => file.kind === LOG_SUFFIX)
  // Without the log among them the log has its final name already, and these are what it still lacks.
  const file = path.join(folder, log?.name ?? offsetFileName(baseOffset, LOG_SUFFIX))
  if (!existsSync(file)) {
    for (const { name } of swaps) await operations.remove(path.join(folder, name))
    return
  }
  const { size } = await fs.stat(file)
  const end = await scanSegment({ pool, path: file, endPosition: size, minOffset: baseOffset })
  pool.forget(file)
  for (const each of plain) {
    const isOwn = each.baseOffset === baseOffset
    const isReplaced = isOwn ? log !== undefined : each.baseOffset > baseOffset && each.baseOffset < end.nextOffset
    if (isReplaced) await operations.remove(path.join(folder, each.name))
  }
  for (const { name } of swaps.toSorted((a, b) => Number(b === log) - Number(a === log))) {
    operations.rename(path.join(folder, name), path.join(folder, name.slice(0, -SWAP_SUFFIX.length)))
  }
}
