/**
 * One partition during one assignment: from fetched chunks to a committable offset.
 *
 * A lane sends one batch at a time and only goes on when each record of it has
 * left: so order holds through retries, bisection and dead letters. Waiting
 * batches cost nothing: records stay in the fetched chunks until the lane has
 * leave to send.
 *
 * A lane belongs to one assignment. `stop` (the partition is given back) ends
 * waits and starts nothing new, what is at the target may finish; `abort` (it
 * is gone) makes whatever still comes count for nothing. A partition that comes
 * back gets a new lane, so a late answer can never move its offset.
 */

import type { FetchedChunk } from '../client/index.ts'
import { Doorbell } from '../core/index.ts'
import { BatchDelivery, type DeliveryOwner, type DeliveryState } from './delivery.ts'
import { ExactlyOnceDelivery } from './exactly-once-delivery.ts'
import { FinishedBeyond, type PartlyFinished } from './finished-beyond.ts'
import type { AnyLane, LaneDescription, LaneState, LaneSurroundings } from './lane-surroundings.ts'
import { OffsetTracker } from './offset-tracker.ts'
import { type FilledBatch, PartitionBuffer } from './partition-buffer.ts'
import type { Slot } from './slots.ts'
import { Turns } from './turns.ts'
import type { Workspace } from './workspace.ts'

/** What a lane is made from. */
export interface LaneOptions {
  readonly topic: string
  readonly partition: number
  /** Next record to read. */
  readonly offset: bigint
  /** Text that was committed with the offset. Default empty. */
  readonly metadata?: string
  /** Tells assignments of the same partition apart in logs. */
  readonly epoch: number
  readonly around: LaneSurroundings
}

/** One partition during one assignment. */
export class Lane implements AnyLane, DeliveryOwner {
  readonly topic: string
  readonly partition: number
  /** Tells assignments of the same partition apart in logs. */
  readonly epoch: number
  /** Resolves when the lane does nothing any more. */
  readonly ended: Promise<void>
  readonly around: LaneSurroundings
  readonly #buffer: PartitionBuffer
  readonly #tracker: OffsetTracker
  readonly #beyond: FinishedBeyond
  /** Where the batch under way begins for the tracker. */
  #range = 0n
  readonly #stopping = new AbortController()
  readonly #aborting = new AbortController()
  #state: 'idle' | 'waiting' | 'ended' = 'idle'
  readonly #bell: Doorbell
  #delivery: BatchDelivery | ExactlyOnceDelivery | undefined

  constructor(options: LaneOptions) {
    this.topic = options.topic
    this.partition = options.partition
    this.epoch = options.epoch
    this.around = options.around
    this.#bell = new Doorbell(options.around.clock)
    this.#buffer = new PartitionBuffer(options.offset)
    this.#tracker = new OffsetTracker(options.offset, 1)
    this.#beyond = new FinishedBeyond(options.offset, options.metadata ?? '')
    this.ended = this.#run()
  }

  /** What the lane is doing. */
  get state(): LaneState {
    if (this.#delivery !== undefined) return laneStateOf(this.#delivery.state)
    return this.#state
  }

  /** Ends waits and starts nothing new. */
  get stopping(): AbortSignal {
    return this.#stopping.signal
  }

  /** Ends everything at once. */
  get aborting(): AbortSignal {
    return this.#aborting.signal
  }

  /** Bytes fetched and not in a batch yet. */
  get bufferedBytes(): number {
    return this.#buffer.bytes
  }

  /** Next record to be put into a batch. */
  get position(): bigint {
    return this.#buffer.position
  }

  /** Offset that may be committed. */
  get committable(): bigint {
    return this.#tracker.committable
  }

  /** What is finished beyond the committable offset: parts of a batch of which the rest is tried again. */
  commitMetadata(): string {
    return this.#beyond.textAt(this.committable)
  }

  /** Records of the batch under way. */
  get inFlightRecords(): number {
    return this.#delivery?.table.count ?? 0
  }

  /** Encoded bytes of the batch under way. */
  get inFlightBytes(): number {
    return this.#delivery?.bytes ?? 0
  }

  /** Takes a fetched chunk. */
  push(chunk: FetchedChunk): void {
    if (this.#stopping.signal.aborted) {
      chunk.lease?.release()
      return
    }
    this.#buffer.push(chunk, this.around.clock.monotonicMs())
    this.#bell.ring()
  }

  /** What is buffered is due: nothing more comes to fill a batch. */
  onPause(): void {
    this.#bell.ring()
  }

  /** Starts nothing new; the invocation under way may finish. */
  stop(): void {
    this.#stopping.abort()
    this.#bell.ring()
  }

  /** Ends the lane at once: whatever still comes counts for nothing. */
  abort(): void {
    this.stop()
    this.#aborting.abort()
  }

  async #run(): Promise<void> {
    const turns = new Turns(this.around.clock)
    try {
      while (await this.#untilReady()) {
        this.#state = 'waiting'
        const slot = await this.around.slots.acquire(this.stopping, this)
        if (slot === undefined) break
        await this.#next(slot)
        await turns.afterBatch()
      }
    } catch (error) {
      this.#delivery = undefined
      this.around.onFatal(this, error)
    }
    this.#buffer.clear()
    this.#state = 'ended'
  }

  /** Waits until a batch is due: by count, bytes or age, or because no more comes. `false` when the lane stops. */
  async #untilReady(): Promise<boolean> {
    const { clock } = this.around
    for (;;) {
      if (this.#stopping.signal.aborted) return false
      const { batch } = this.around
      const oldestMs = this.#buffer.oldestMs
      const leftMs = oldestMs === undefined ? undefined : oldestMs + batch.ageMs - clock.monotonicMs()
      const isFull = this.#buffer.bytes >= batch.bytesMax || this.#buffer.hasRecords(batch.recordsMax)
      if (leftMs !== undefined && (leftMs <= 0 || isFull || this.around.isPaused(this))) return true
      this.#state = 'idle'
      await this.#bell.wait(leftMs)
    }
  }

  /** Makes the next batch and sees it through. */
  async #next(slot: Slot): Promise<void> {
    const { workspaces, meters } = this.around
    const workspace = workspaces.acquire()
    const filled = this.#fill(workspace)
    if (filled === undefined) {
      slot.release({ kind: 'released' })
      workspaces.release(workspace)
      return
    }
    this.#range = this.#tracker.start(filled.nextOffset)
    const delivery = this.#newDelivery(workspace, filled)
    this.#delivery = delivery
    const ended = meters.batchStarted({ lane: this, table: workspace.table })
    meters.filtered(filled.droppedCount - this.#beyond.skippedCount)
    const isDone = await delivery.run(slot)
    ended(isDone)
    this.#delivery = undefined
    if (this.#aborting.signal.aborted) return
    if (isDone) {
      this.#tracker.finish(this.#range)
      this.#beyond.forget(this.committable)
      this.around.onMoved(this)
    } else {
      this.#settle(delivery)
      // What was begun and not ended may still look at the records.
      workspace.table.abandon()
    }
    workspaces.release(workspace)
  }

  /** A part of the batch has left: what comes after a crash or a hand-over need not send it again. */
  onProgress(delivery: BatchDelivery): void {
    if (!this.#aborting.signal.aborted) this.#settle(delivery)
  }

  #settle(delivery: PartlyFinished): void {
    const before = this.commitMetadata()
    const { settledCount } = delivery.settlement
    const from = settledCount === 0 ? this.#range : delivery.table.offset(settledCount)
    if (from > this.#range) this.#tracker.advance(this.#range, from)
    const hasMoved = from > this.#range
    this.#range = from
    this.#beyond.note(delivery)
    if (hasMoved || this.commitMetadata() !== before) this.around.onMoved(this)
  }

  #newDelivery(workspace: Workspace, filled: FilledBatch): BatchDelivery | ExactlyOnceDelivery {
    const Delivery = this.around.exactlyOnce === undefined ? BatchDelivery : ExactlyOnceDelivery
    return new Delivery(this, workspace, filled)
  }

  #fill(workspace: Workspace): FilledBatch | undefined {
    const { table, encoder, gauge } = workspace
    const { batch, transform } = this.around
    const sift = this.#beyond.sift(this.around.sift)
    encoder.begin(this.topic, this.partition, workspace.isShared)
    gauge.begin()
    workspace.isShared = false
    const sink = { table, encoder: transform === undefined ? encoder : gauge, sift, recordsMax: batch.recordsMax }
    let filled: FilledBatch | undefined
    try {
      filled = this.#buffer.fill(sink)
    } catch (error) {
      // The records cannot be read: no target is to blame and nothing may be skipped. Fetch them anew.
      this.#buffer.clear()
      this.around.onUnreadable(this, error)
    }
    this.around.onTaken(this)
    return filled
  }

  /** What it is doing, in full. */
  describe(): LaneDescription {
    const { oldestMs } = this.#buffer
    return {
      topic: this.topic,
      partition: this.partition,
      epoch: this.epoch,
      order: 'partition',
      state: this.state,
      position: this.position.toString(),
      committable: this.committable.toString(),
      bufferedBytes: this.bufferedBytes,
      inFlightRecords: this.inFlightRecords,
      inFlightBytes: this.inFlightBytes,
      oldestMs: oldestMs === undefined ? null : this.around.clock.monotonicMs() - oldestMs,
      batches: this.#delivery === undefined ? [] : [this.#delivery.describe()],
      blockedBy: null
    }
  }
}

/** What a lane is doing whose batch does this. */
export function laneStateOf(state: DeliveryState): LaneState {
  return state === 'puttingAside' ? 'retrying' : state
}
