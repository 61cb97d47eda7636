/**
 * The partitions of a member: their lanes from assignment to the last commit.
 *
 * Giving a partition back: nothing new is started, what is at the target may
 * finish within `drainMs`, completed offsets are committed, and only then is
 * the partition released. Whatever answers later belongs to a lane that is
 * gone: it moves no offset, and the member would refuse the commit anyway.
 */

import {
  type AssignedPartition,
  type FetchedChunk,
  type FetchPartitionError,
  type OffsetToCommit,
  partitionKeyOf,
  type PartitionStart,
  type TopicPartition
} from '../client/index.ts'
import { type Clock, messageOf, sleep, within } from '../core/index.ts'
import type { Logger } from '../telemetry/index.ts'
import type { CommitPump } from './commit-pump.ts'
import type { Intake } from './intake.ts'
import type { FetcherLike, KafkaSide } from './kafka-side.ts'
import type { LaneOptions } from './lane.ts'
import type { AnyLane, LaneView } from './lane-surroundings.ts'
import type { Meters } from './meters.ts'
import type { RetryTiers } from './parking/retry-tiers.ts'

/** Limits of giving partitions back, in milliseconds, and where to go on when an offset is gone. */
export interface AssignmentSettings {
  readonly drainMs: number
  readonly rebalanceTimeoutMs: number
  readonly autoOffsetReset: 'earliest' | 'latest'
}

/** What assignments are made from. */
export interface AssignmentsOptions {
  readonly settings: AssignmentSettings
  readonly fetcher: FetcherLike
  readonly intake: Intake<LaneView>
  readonly pump: CommitPump
  readonly listOffsets: KafkaSide['listOffsets']
  /** The offset that the group has by now, transactions included. Set for exactly-once delivery only. */
  readonly committedOffset?: ((at: TopicPartition) => Promise<bigint | undefined>) | undefined
  /** Whether only committed records are read: a partition then ends at its last stable offset. */
  readonly isReadCommitted?: boolean
  /** Makes the lane of a partition. */
  readonly openLane: (options: Omit<LaneOptions, 'around'>) => AnyLane
  /** Retry topics: the lanes of a partition's retry partitions come and go with its own. Default: none. */
  readonly retry?: RetryTiers | undefined
  /** Where reading a partition ends: nothing is fetched from there on. Default: nowhere. */
  readonly endOf?: ((at: TopicPartition) => bigint | undefined) | undefined
  readonly meters: Meters
  readonly clock: Clock
  readonly logger: Logger
}

/** Wait before a partition is fetched again that could not be read, in milliseconds. */
const REFETCH_MS = 5000
/** Wait before a committed offset is asked for again that was not settled, in milliseconds. */
const RESYNC_MS = 500
/** Wait before retry partitions are looked at again that could not be opened, in milliseconds. */
const REOPEN_MS = 1000
/** Longest wait for the last commit of partitions that are given back, in milliseconds. */
const FINAL_COMMIT_MS = 5000

/** Partitions and their lanes. */
export class Assignments {
  readonly #options: AssignmentsOptions
  readonly #lanes = new Map<string, AnyLane>()
  /** Partitions of this member, those without a lane for the moment included. */
  readonly #owned = new Set<string>()
  readonly #ends = new Map<string, bigint>()
  readonly #committed = new Map<string, bigint>()
  /** Where partitions with retry partitions began; the value tells one time from the next. */
  readonly #openings = new Map<string, { readonly start: AssignedPartition }>()
  readonly #stopping = new AbortController()
  #unfinishedCount = 0
  #epoch = 0

  constructor(options: AssignmentsOptions) {
    this.#options = options
  }

  /** Lanes at work. */
  get lanes(): AnyLane[] {
    return [...this.#lanes.values()]
  }

  /** How many lanes there are. */
  get count(): number {
    return this.#lanes.size
  }

  /** Last offset of a partition that the group has accepted; `undefined` if there is no lane. */
  committed(at: TopicPartition): bigint | undefined {
    return this.#committed.get(partitionKeyOf(at))
  }

  /** Where a partition ends for this reader, as of the last fetch. */
  end(at: TopicPartition): bigint | undefined {
    return this.#ends.get(partitionKeyOf(at))
  }

  /** Lanes so far that ended with a batch cut off at the target, or without their last commit. */
  get unfinishedCount(): number {
    return this.#unfinishedCount
  }

  /** Opens the lanes of new partitions. */
  assigned(partitions: readonly AssignedPartition[]): void {
    if (partitions.length === 0 || this.#stopping.signal.aborted) return
    this.#options.meters.rebalanced()
    for (const start of partitions) {
      this.#owned.add(partitionKeyOf(start))
      this.#begin(start)
    }
  }

  /** Gives partitions back in good order. */
  async revoked(partitions: readonly TopicPartition[]): Promise<void> {
    const { settings, meters, logger, retry } = this.#options
    for (const partition of partitions) this.#giveUp(partition)
    const lanes = this.#lanesOf(partitions)
    if (lanes.length === 0) return
    meters.rebalanced()
    // Half of the time that the group gives: the rest is for the commit and for joining again.
    await this.#release(lanes, Math.min(settings.drainMs, settings.rebalanceTimeoutMs / 2))
    for (const partition of partitions) if (!this.#owned.has(partitionKeyOf(partition))) retry?.close(partition)
    logger.info({ partitions: lanes.length }, 'partitions given back')
  }

  /** Drops partitions that already belong to others. */
  lost(partitions: readonly TopicPartition[]): void {
    const { pump, fetcher, intake, meters, logger, retry } = this.#options
    for (const partition of partitions) this.#giveUp(partition)
    const lanes = this.#lanesOf(partitions)
    pump.forget(lanes)
    for (const partition of partitions) retry?.close(partition)
    for (const lane of lanes) {
      if (lane.inFlightRecords > 0) this.#unfinishedCount += 1
      lane.abort()
      fetcher.remove(lane.topic, lane.partition)
      intake.remove(lane)
      this.#remove(lane)
    }
    if (lanes.length === 0) return
    meters.rebalanced()
    logger.warn({ partitions: lanes.length }, 'partitions lost: they already belong to others')
  }

  /** Ends all lanes in good order; no partition is opened after this. */
  async drain(deadlineMs: number): Promise<void> {
    this.#stopping.abort()
    this.#options.retry?.stopAll()
    await this.#release(this.lanes, deadlineMs)
  }

  /** Ends all lanes at once. */
  abort(): void {
    for (const lane of this.#lanes.values()) lane.abort()
  }

  /** Hands a chunk to its lane. */
  onRecords(chunk: FetchedChunk): void {
    const key = partitionKeyOf(chunk)
    const lane = this.#lanes.get(key)
    if (lane === undefined) {
      chunk.lease?.release()
      return
    }
    this.#ends.set(key, this.#options.isReadCommitted === true ? chunk.lastStableOffset : chunk.highWatermark)
    if (chunk.nextOffset === lane.position && chunk.records.length === 0) {
      chunk.lease?.release()
      return
    }
    this.#options.meters.fetched(lane, chunk.records)
    lane.push(chunk)
    if (this.#isBehindEnd(lane, chunk.nextOffset)) this.#options.fetcher.remove(lane.topic, lane.partition)
    this.#options.intake.changed(lane)
  }

  /** A partition could not be fetched. */
  onPartitionError(failure: FetchPartitionError): void {
    const { topic, partition, error, willRetry } = failure
    const fields = { topic, partition, code: error.code, offset: failure.offset.toString() }
    this.#options.logger.warn(fields, `a partition cannot be fetched: ${error.message}`)
    const lane = this.#lanes.get(partitionKeyOf(failure))
    if (willRetry || lane === undefined) return
    if (error.code === 'ERR_CLIENT_OFFSET_OUT_OF_RANGE') void this.#reset(lane)
    else this.#refetch(lane, failure.offset)
  }

  /** The records of a lane cannot be read. */
  onUnreadable(lane: LaneView, error: unknown): void {
    const fields = { topic: lane.topic, partition: lane.partition, offset: lane.position.toString() }
    this.#options.logger.error(fields, `records cannot be read, their partition waits: ${messageOf(error)}`)
    this.#options.fetcher.remove(lane.topic, lane.partition)
    this.#refetch(lane, lane.position)
  }

  /** Fetches the partition of a lane from an offset on, whatever was fetched before. */
  fetchFrom(lane: AnyLane, offset: bigint): void {
    const { fetcher, intake } = this.#options
    const { topic, partition } = lane
    if (this.#lanes.get(partitionKeyOf(lane)) !== lane) return
    fetcher.remove(topic, partition)
    fetcher.add({ topic, partition, offset })
    if (intake.isPaused(lane)) fetcher.pause(topic, partition)
  }

  /** A lane's offset, or what goes with it, is to be committed. */
  onMoved(lane: LaneView): void {
    const { topic, partition, committable } = lane
    if (this.#options.committedOffset !== undefined) {
      // It was committed with what was made of the records: a second commit could only come too late.
      this.onCommitted({ topic, partition, offset: committable })
      return
    }
    // A lane that is gone has no say, whatever it still hears from the target.
    if (this.#lanes.get(partitionKeyOf(lane)) === lane)
      this.#options.pump.move({ topic, partition, offset: committable })
  }

  /** What is to be committed for a partition by now: its offset may have moved on since it was noted. */
  newest(noted: OffsetToCommit): OffsetToCommit {
    const lane = this.#lanes.get(partitionKeyOf(noted))
    if (lane === undefined) return noted
    const { topic, partition, committable } = lane
    return { topic, partition, offset: committable, metadata: lane.commitMetadata() }
  }

  /** The group has accepted an offset. */
  onCommitted(committed: OffsetToCommit): void {
    const key = partitionKeyOf(committed)
    if (this.#lanes.has(key)) this.#committed.set(key, committed.offset)
  }

  /** What a lane has committed is not known: its partition goes on where the group says. */
  async resync(lane: object): Promise<void> {
    const { committedOffset, fetcher, intake, logger, clock } = this.#options
    const found = this.lanes.find(each => each === lane)
    if (found === undefined || committedOffset === undefined) return
    const { topic, partition } = found
    const key = partitionKeyOf(found)
    const start = this.#committed.get(key) ?? found.committable
    found.abort()
    fetcher.remove(topic, partition)
    intake.remove(found)
    this.#remove(found)
    const isWanted = (): boolean => this.#owned.has(key) && !this.#lanes.has(key) && !this.#stopping.signal.aborted
    while (isWanted()) {
      try {
        const offset = (await committedOffset({ topic, partition })) ?? start
        if (isWanted()) this.#open({ topic, partition, offset, metadata: '' })
        return
      } catch (error) {
        logger.warn({ topic, partition }, `the committed offset of a partition cannot be read: ${messageOf(error)}`)
      }
      await sleep(clock, RESYNC_MS, this.#stopping.signal)
    }
  }

  /** A partition is this member's no more, or no more for long. */
  #giveUp(partition: TopicPartition): void {
    this.#owned.delete(partitionKeyOf(partition))
    this.#openings.delete(partitionKeyOf(partition))
    this.#options.retry?.stop(partition)
  }

  #begin(start: AssignedPartition): void {
    if (this.#options.retry === undefined) this.#open(start)
    else void this.#beginWith(this.#options.retry, start)
  }

  /** Opens the lanes of a partition's retry partitions, and its own once they know which keys wait. */
  async #beginWith(retry: RetryTiers, start: AssignedPartition): Promise<void> {
    const key = partitionKeyOf(start)
    const opening = { start }
    this.#openings.set(key, opening)
    const isWanted = (): boolean => this.#openings.get(key) === opening && !this.#stopping.signal.aborted
    while (isWanted()) {
      try {
        const { station, starts } = await retry.open(start)
        if (!isWanted()) return
        retry.hold(station, starts)
        for (const each of starts) this.#open(each)
        await station.ready
        if (isWanted()) this.#open(start)
        return
      } catch (error) {
        const { logger } = this.#options
        const fields = { topic: start.topic, partition: start.partition }
        logger.error(fields, `retry partitions cannot be opened, their origin waits: ${messageOf(error)}`)
        await retry.ensure([start.topic]).catch((cause: unknown) => logger.error(fields, messageOf(cause)))
      }
      await sleep(this.#options.clock, REOPEN_MS, this.#stopping.signal)
    }
  }

  #open({ topic, partition, offset, metadata }: PartitionStart): void {
    const { openLane, fetcher, intake } = this.#options
    this.#epoch += 1
    const lane = openLane({ topic, partition, offset, metadata, epoch: this.#epoch })
    this.#lanes.set(partitionKeyOf(lane), lane)
    this.#committed.set(partitionKeyOf(lane), offset)
    if (!this.#isBehindEnd(lane, offset)) fetcher.add({ topic, partition, offset })
    intake.add(lane)
  }

  #isBehindEnd(at: TopicPartition, offset: bigint): boolean {
    const end = this.#options.endOf?.(at)
    return end !== undefined && offset >= end
  }

  /** Ends lanes in good order: no new work, a bounded wait, the last commit. */
  async #release(lanes: readonly AnyLane[], deadlineMs: number): Promise<void> {
    const { fetcher, intake, clock, pump } = this.#options
    for (const lane of lanes) {
      lane.stop()
      fetcher.remove(lane.topic, lane.partition)
      intake.remove(lane)
    }
    await within(clock, deadlineMs, Promise.all(lanes.map(lane => lane.ended)))
    const unfinished = new Set<AnyLane>()
    for (const lane of lanes) {
      if (lane.state === 'ended') continue
      lane.abort()
      unfinished.add(lane)
    }
    await within(clock, FINAL_COMMIT_MS, pump.flush())
    for (const lane of lanes) if (lane.committable > (this.committed(lane) ?? lane.committable)) unfinished.add(lane)
    this.#unfinishedCount += unfinished.size
    pump.forget(lanes)
    for (const lane of lanes) this.#remove(lane)
  }

  #remove(lane: AnyLane): void {
    const key = partitionKeyOf(lane)
    if (this.#lanes.get(key) !== lane) return
    this.#lanes.delete(key)
    // It may have been added again meanwhile, to be read once more.
    this.#options.fetcher.remove(lane.topic, lane.partition)
    this.#ends.delete(key)
    this.#committed.delete(key)
  }

  /** Lanes of partitions, and of the retry partitions that go with them. */
  #lanesOf(partitions: readonly TopicPartition[]): AnyLane[] {
    const { retry } = this.#options
    const lanes: AnyLane[] = []
    for (const partition of partitions) {
      for (const each of [partition, ...(retry?.companionsOf(partition) ?? [])]) {
        const lane = this.#lanes.get(partitionKeyOf(each))
        if (lane !== undefined) lanes.push(lane)
      }
    }
    return lanes
  }

  /** Fetches a partition again after a while, from an offset at which its lane goes on. */
  #refetch(lane: LaneView, offset: bigint): void {
    const { clock, fetcher, intake } = this.#options
    clock
      .after(REFETCH_MS, () => {
        const { topic, partition } = lane
        if (this.#lanes.get(partitionKeyOf(lane)) !== lane) return
        fetcher.add({ topic, partition, offset })
        if (intake.isPaused(lane)) fetcher.pause(topic, partition)
      })
      .unref()
  }

  /** The offset to read is not there (retention, or a new topic of the same name): starts where the group may. */
  async #reset(lane: AnyLane): Promise<void> {
    const { settings, listOffsets, logger, clock, retry } = this.#options
    if (retry !== undefined) return await this.#resetWith(retry, lane)
    const { topic, partition } = lane
    await this.#release([lane], settings.drainMs)
    const key = partitionKeyOf(lane)
    // Meanwhile the partition may be given back, and even come again with a lane of its own.
    const isWanted = (): boolean => this.#owned.has(key) && !this.#lanes.has(key) && !this.#stopping.signal.aborted
    while (isWanted()) {
      try {
        const [listed] = await listOffsets([{ topic, partition, at: settings.autoOffsetReset }])
        if (listed !== undefined && listed.errorCode === 0 && isWanted()) {
          const fields = { topic, partition, from: lane.committable.toString(), to: listed.offset.toString() }
          logger.error(fields, 'the committed offset does not exist any more, records in between are gone')
          this.#open({ topic, partition, offset: listed.offset, metadata: '' })
          const opened = this.#lanes.get(key)
          // Behind its end nothing is sent any more that would move the offset.
          if (opened !== undefined && this.#isBehindEnd(opened, listed.offset)) this.onMoved(opened)
          return
        }
      } catch (error) {
        logger.warn({ topic, partition }, `the ends of a partition cannot be read: ${messageOf(error)}`)
      }
      await sleep(clock, 1000, this.#stopping.signal)
    }
  }

  /** As `#reset`, with retry partitions: which keys wait is looked up anew, so all lanes of the origin begin again. */
  async #resetWith(retry: RetryTiers, lane: AnyLane): Promise<void> {
    const { settings, listOffsets, logger } = this.#options
    const origin = retry.originOf(lane) ?? lane
    const { topic, partition } = origin
    const lanes = this.#lanesOf([origin])
    const fields = { topic: lane.topic, partition: lane.partition, from: lane.committable.toString() }
    logger.error(fields, 'the committed offset does not exist any more, records in between are gone')
    const began = this.#openings.get(partitionKeyOf(origin))?.start
    this.#openings.delete(partitionKeyOf(origin))
    retry.stop(origin)
    await this.#release(lanes, settings.drainMs)
    if (!this.#owned.has(partitionKeyOf(origin))) return
    retry.close(origin)
    const own = lanes.find(each => partitionKeyOf(each) === partitionKeyOf(origin))
    const companions = retry.companionsOf(origin).map(each => {
      const offset = lanes.find(found => partitionKeyOf(found) === partitionKeyOf(each))?.committable ?? 0n
      return { ...each, offset, metadata: '' }
    })
    let offset = own?.committable ?? began?.offset ?? 0n
    // A retry partition begins at what is left of it by itself.
    if (own === lane) {
      const at = settings.autoOffsetReset
      const [listed] = await listOffsets([{ topic, partition, at }]).catch(() => [])
      offset = listed?.errorCode === 0 ? listed.offset : lane.committable
    }
    if (!this.#owned.has(partitionKeyOf(origin)) || this.#lanes.has(partitionKeyOf(origin))) return
    this.#begin({ topic, partition, offset, metadata: own?.commitMetadata() ?? began?.metadata ?? '', companions })
  }
}
