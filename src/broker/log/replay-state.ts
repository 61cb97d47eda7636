/**
 * Rebuilds what the batches of a log say beyond their records, after its
 * segments were recovered: producers, open and aborted transactions, leader epochs.
 *
 * It begins at the latest sound snapshot of the producer state and walks the
 * batches behind it. A snapshot says that the aborted transactions below it are
 * in their files; those above it are found again here, and the files are
 * brought in line. If one of these files is damaged, the walk begins before its
 * segment instead, and makes it anew.
 */

import fs from 'node:fs/promises'
import path from 'node:path'
import { messageOf, PipelineError } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { isControl, type RecordBatchHeader } from '../../protocol/index.ts'
import { decodeMarker, type MarkerFields } from './control-records.ts'
import type { FilePool } from './file-pool.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import { ProducerState } from './producer-state.ts'
import type { Segment } from './segment.ts'
import { loadAborts } from './segment-indexes.ts'
import { scanSegment } from './segment-scan.ts'
import { parseLeaderEpochs, readIfPresent } from './small-files.ts'
import { SnapshotFiles } from './snapshot-files.ts'
import { TransactionIndex } from './transaction-index.ts'

/** Name of the file with the leader epochs. */
export const LEADER_EPOCH_FILE = 'leader-epoch-checkpoint'

/** A log whose segments are recovered. */
export interface ReplayOptions {
  readonly folder: string
  readonly pool: FilePool
  readonly logger: Logger
  /** Oldest first; at least one. */
  readonly segments: readonly Segment[]
  readonly nextOffset: bigint
  /** From `removeDamagedAborts`: the aborted transactions from this segment on are to be found again. */
  readonly damagedFrom: bigint | undefined
}

/** What the batches say. */
export interface ReplayedState {
  readonly producers: ProducerState
  readonly epochs: LeaderEpochs
  /** Latest leader epoch in the checkpoint, before anything was cut off. */
  readonly latestEpochSeen: number
}

/** Replays a log. Rejects with a system error if the disk cannot be read or written. */
export async function replayState(options: ReplayOptions): Promise<ReplayedState> {
  const { folder, segments, nextOffset } = options
  const epochs = await loadEpochs(folder)
  const latestEpochSeen = epochs.latest
  epochs.truncateAfter(nextOffset)
  const producers = new ProducerState()
  const firstOffset = segments[0]?.baseOffset ?? 0n
  const to = options.damagedFrom ?? nextOffset
  const snapshot = await new SnapshotFiles(folder).loadLatest({ from: firstOffset, to, end: nextOffset })
  if (snapshot !== undefined) producers.load(snapshot.entries)
  const fromOffset = snapshot?.offset ?? firstOffset
  for (const [index, segment] of segments.entries()) {
    const following = segments[index + 1]
    if (following !== undefined && following.baseOffset <= fromOffset) continue
    await replaySegment(options, segment, { fromOffset, producers, epochs })
  }
  return { producers, epochs, latestEpochSeen }
}

/** The leader epochs of a folder. */
export async function loadEpochs(folder: string): Promise<LeaderEpochs> {
  const content = await readIfPresent(path.join(folder, LEADER_EPOCH_FILE))
  return new LeaderEpochs(content === undefined ? [] : (parseLeaderEpochs(content.toString()) ?? []))
}

/**
 * Removes damaged files of aborted transactions, before anything reads them.
 *
 * @returns Base offset of the first segment that lost its file; `undefined` if none did.
 */
export async function removeDamagedAborts(
  segments: readonly Segment[],
  { pool, logger }: Pick<ReplayOptions, 'pool' | 'logger'>
): Promise<bigint | undefined> {
  let damagedFrom: bigint | undefined
  for (const segment of segments.toReversed()) {
    if (!segment.hasAborts || (await loadAborts(segment, pool)) !== undefined) continue
    const file = segment.transactionIndexPath
    logger.warn({ file }, 'an index of aborted transactions is damaged: it is made anew from the log')
    pool.forget(file)
    await fs.rm(file, { force: true })
    segment.hasAborts = false
    damagedFrom = segment.baseOffset
  }
  return damagedFrom
}

interface Replay {
  readonly fromOffset: bigint
  readonly producers: ProducerState
  readonly epochs: LeaderEpochs
}

async function replaySegment({ pool, logger }: ReplayOptions, segment: Segment, replay: Replay): Promise<void> {
  const { fromOffset, epochs } = replay
  if (segment.sizeBytes === 0 && !segment.hasAborts) return
  const aborts = (await loadAborts(segment, pool)) ?? new TransactionIndex()
  const savedCount = aborts.count
  aborts.truncateFrom(fromOffset)
  const keptBytes = aborts.sizeBytes
  await scanSegment({
    pool,
    path: segment.logPath,
    fromPosition: segment.indexes?.offsets.lookup(fromOffset).position ?? 0,
    endPosition: segment.sizeBytes,
    minOffset: segment.baseOffset,
    onBatch: (header, _position, batch) => {
      if (header.baseOffset < fromOffset) return undefined
      epochs.assign(header.partitionLeaderEpoch, header.baseOffset)
      replayBatch(header, () => markerOf(header, batch, logger), { producers: replay.producers, aborts })
      return undefined
    }
  })
  // Torn by a crash, or written for batches that a crash took away.
  if (aborts.count < savedCount || aborts.unsavedBytes > 0) {
    await pool.create(segment.transactionIndexPath)
    await pool.use(segment.transactionIndexPath, file => file.truncate(keptBytes))
  }
  segment.hasAborts = aborts.count > 0
  await segment.replaceAborts(aborts, pool)
}

function replayBatch(
  header: RecordBatchHeader,
  readMarker: () => MarkerFields | undefined,
  { producers, aborts }: { producers: ProducerState; aborts: TransactionIndex }
): void {
  if (header.producerId < 0n) return
  if (!isControl(header.attributes)) {
    // Compaction takes records out of a batch; its sequences stay.
    producers.apply({ ...header, recordCount: header.lastOffsetDelta + 1 }, header.baseOffset, header.maxTimestamp)
    return
  }
  const marker = readMarker()
  if (marker === undefined) return
  const { ending } = producers.applyMarker(marker, header.baseOffset, header.maxTimestamp)
  if (ending === undefined) return
  const lastStableOffset = producers.complete(ending)
  if (!ending.isCommit) aborts.append({ ...ending, lastStableOffset })
}

/** A marker whose bytes were damaged on the disk must not keep the broker from starting. */
function markerOf(header: RecordBatchHeader, batch: Buffer, logger: Logger): MarkerFields | undefined {
  try {
    return decodeMarker(batch)
  } catch (error) {
    if (!PipelineError.is(error)) throw error
    const fields = { offset: header.baseOffset.toString(), producerId: header.producerId.toString() }
    logger.error({ ...fields, error: messageOf(error) }, 'a control batch cannot be read: its transaction stays open')
    return undefined
  }
}
