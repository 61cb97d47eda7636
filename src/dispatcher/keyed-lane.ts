/**
 * One partition during one assignment, with several batches under way: the
 * orders `key` and `none`.
 *
 * ```
 * chunks ─ scanner ─ window ─ a batch of those whose key is free ─ delivery ─┐
 *                      └───────── finished, record by record ────────────────┘
 * ```
 *
 * A batch that took one record of every key would leave none for the next. So
 * while there is enough for several batches, each takes its share of the keys
 * and goes deeper into their records: then as many are under way as there may be.
 *
 * The window (`KeyWindow`) says which records may go; this class reads records
 * into it, makes batches and sees them through. A record that is done frees its
 * key at once, whatever becomes of its batch; a record that is tried again holds
 * it. The lowest unfinished offset is committed, with what is finished beyond it.
 *
 * `stop` and `abort` mean the same as in `Lane`, for all batches under way. What
 * was finished before is finished, whatever comes after: so a partition that is
 * given back in the middle is continued where each key stood.
 */

import type { FetchedChunk } from '../client/index.ts'
import { decodeFinished, Doorbell, encodeFinished, invariant } from '../core/index.ts'
import { ChunkScanner } from './chunk-scanner.ts'
import { BatchDelivery, type DeliveryOwner } from './delivery.ts'
import { hashOf } from './key-table.ts'
import { KeyWindow } from './key-window.ts'
import { type LaneOptions, laneStateOf } from './lane.ts'
import type { AnyLane, LaneDescription, LaneState, LaneSurroundings } from './lane-surroundings.ts'
import type { FilledBatch, UndeliverableRow } from './partition-buffer.ts'
import type { Slot } from './slots.ts'
import { Turns } from './turns.ts'
import { WindowRecords } from './window-records.ts'
import type { Workspace } from './workspace.ts'

/** What a lane of this kind is made from. */
export interface KeyedLaneOptions extends LaneOptions {
  /** `none`: every record is free. */
  readonly order: 'key' | 'none'
  /** Most batches under way, retries included. At least 1. */
  readonly batchesMax: number
}

/** A batch under way, and where its rows are in the window. */
interface UnderWay {
  readonly delivery: BatchDelivery
  /** By row of the batch; -1 once it is finished. */
  readonly seqs: Float64Array
}

/** Rows of the window that may go, up to what all batches take that may still be begun. */
interface Outlook {
  readonly count: number
  /** Their values, in bytes. */
  readonly bytes: number
  /** Their keys. */
  readonly keyCount: number
  /** When the first of them came, in milliseconds. */
  readonly oldestMs: number
}

/** Most records that are left out while one batch is filled: each may cost the time of parsing its value. */
const DROPPED_MAX = 5000
/** Bytes beyond a multiple of what waits that may be held before memory is given back. */
const SLACK_BYTES = 1_048_576
/** That multiple. */
const SLACK_RATIO = 4

/** One partition during one assignment. */
export class KeyedLane implements AnyLane, DeliveryOwner {
  readonly topic: string
  readonly partition: number
  /** Tells assignments of the same partition apart in logs. */
  readonly epoch: number
  /** Resolves when the lane does nothing any more. */
  readonly ended: Promise<void>
  readonly around: LaneSurroundings
  readonly #order: 'key' | 'none'
  readonly #batchesMax: number
  readonly #base: bigint
  readonly #scanner: ChunkScanner
  readonly #window: KeyWindow
  readonly #records = new WindowRecords()
  readonly #underWay = new Set<UnderWay>()
  readonly #stopping = new AbortController()
  readonly #aborting = new AbortController()
  #state: 'idle' | 'waiting' | 'ended' = 'idle'
  #blockedBy: string | null = null
  readonly #bell: Doorbell

  constructor(options: KeyedLaneOptions) {
    this.topic = options.topic
    this.partition = options.partition
    this.epoch = options.epoch
    this.around = options.around
    this.#bell = new Doorbell(options.around.clock)
    this.#order = options.order
    this.#batchesMax = options.batchesMax
    this.#base = options.offset
    this.#scanner = new ChunkScanner(options.offset)
    this.#window = new KeyWindow({ carried: decodeFinished(options.offset, options.metadata ?? '') })
    this.ended = this.#run()
  }

  /** What the lane is doing: what the batch is doing that is the furthest. */
  get state(): LaneState {
    const states = new Set([...this.#underWay].map(({ delivery }) => delivery.state))
    for (const state of ['invoking', 'retrying', 'puttingAside', 'waiting'] as const) {
      if (states.has(state)) return laneStateOf(state)
    }
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
    return this.#scanner.bytes + this.#records.bytes
  }

  /** Next record to be looked at: nothing from here on was ever sent by this lane. */
  get position(): bigint {
    return this.#scanner.position
  }

  /** Offset that may be committed. */
  get committable(): bigint {
    return this.#base + BigInt(this.#window.committable)
  }

  /** What is finished beyond the committable offset. */
  commitMetadata(): string {
    const text = encodeFinished(this.committable, this.#window.finishedRanges())
    invariant(text !== undefined, 'what is finished does not fit into the metadata of a commit')
    return text
  }

  /** Records of the batches under way that have not left. */
  get inFlightRecords(): number {
    return this.#window.inFlightCount
  }

  /** Encoded bytes of the batches under way. */
  get inFlightBytes(): number {
    let bytes = 0
    for (const { delivery } of this.#underWay) bytes += delivery.bytes
    return bytes
  }

  /** Takes a fetched chunk. */
  push(chunk: FetchedChunk): void {
    if (this.#stopping.signal.aborted) {
      chunk.lease?.release()
      return
    }
    this.#scanner.push(chunk, this.around.clock.monotonicMs())
    this.#bell.ring()
  }

  /** What is buffered is due: nothing more comes to fill a batch. */
  onPause(): void {
    this.#bell.ring()
  }

  /** Starts nothing new; the invocations under way may finish. */
  stop(): void {
    this.#stopping.abort()
    this.#bell.ring()
  }

  /** Ends the lane at once: whatever still comes counts for nothing. */
  abort(): void {
    this.stop()
    this.#aborting.abort()
  }

  /** Rows of a batch have left that is not done yet: their keys are free. */
  onProgress(delivery: BatchDelivery): void {
    for (const underWay of this.#underWay) if (underWay.delivery === delivery) this.#settle(underWay)
  }

  async #run(): Promise<void> {
    const turns = new Turns(this.around.clock)
    try {
      while (await this.#untilReady()) {
        this.#state = 'waiting'
        const slot = await this.around.slots.acquire(this.stopping, this)
        if (slot === undefined) break
        this.#next(slot)
        await turns.afterBatch()
      }
    } catch (error) {
      this.around.onFatal(this, error)
    }
    while (this.#underWay.size > 0) await this.#bell.wait()
    this.#scanner.clear()
    this.#records.clear()
    this.#state = 'ended'
  }

  /** Waits until a batch is due and may be begun. `false` when the lane stops. */
  async #untilReady(): Promise<boolean> {
    for (;;) {
      if (this.#stopping.signal.aborted) return false
      const leftMs = this.#underWay.size < this.#batchesMax ? this.#dueInMs() : undefined
      if (leftMs !== undefined && leftMs <= 0) return true
      this.#state = 'idle'
      await this.#bell.wait(leftMs)
    }
  }

  /** Time until the next batch is due; `undefined` if there is nothing to send. */
  #dueInMs(): number | undefined {
    const { batch, clock } = this.around
    const before = { committable: this.#window.committable, position: this.#scanner.passed }
    const { count, bytes, oldestMs } = this.#look()
    // Records that were finished by an earlier assignment have been passed over, and their bytes are free.
    if (this.#window.committable > before.committable) this.around.onMoved(this)
    this.#compact()
    if (this.#scanner.passed > before.position) this.around.onTaken(this)
    if (count === 0) return undefined
    const isFull = count >= batch.recordsMax || bytes >= batch.bytesMax || this.#blockedBy !== null
    return isFull || this.around.isPaused(this) ? 0 : oldestMs + batch.ageMs - clock.monotonicMs()
  }

  /** Counts the rows that may go; reads more records where there are too few. */
  #look(): Outlook {
    const { batch } = this.around
    const batchCount = this.#order === 'none' ? 1 : Math.max(1, this.#batchesMax - this.#underWay.size)
    const countMax = batchCount * batch.recordsMax
    const bytesMax = batchCount * batch.bytesMax
    let count = 0
    let bytes = 0
    let keyCount = 0
    let oldestMs = 0
    this.#blockedBy = null
    this.#window.walk()
    for (let seq = this.#nextFree(); seq >= 0; seq = this.#nextFree()) {
      if (count === 0) oldestMs = this.#records.arrivedMs(seq)
      count += 1
      bytes += this.#records.valueBytes(seq)
      if (this.#window.see(seq)) keyCount += 1
      if (count >= countMax || bytes >= bytesMax) break
    }
    return { count, bytes, keyCount, oldestMs }
  }

  /** Most keys of the next batch: its share, if there is enough for several. */
  #keysMax(): number {
    const { batch } = this.around
    const { count, bytes, keyCount } = this.#look()
    const batchCount = Math.floor(Math.max(count / batch.recordsMax, bytes / batch.bytesMax))
    return batchCount < 2 ? Number.POSITIVE_INFINITY : Math.ceil(keyCount / batchCount)
  }

  /** The next row of the walk, out of the window or newly read into it; -1 if there is none. */
  #nextFree(): number {
    for (;;) {
      const seq = this.#window.next()
      if (seq >= 0 || !this.#read()) return seq
    }
  }

  /** Reads one more record into the window; `false` if there is none, or no room. */
  #read(): boolean {
    const scanner = this.#scanner
    const window = this.#window
    try {
      if (!scanner.peek()) {
        window.pass(scanner.passed)
        return false
      }
    } catch (error) {
      // The records cannot be read: no target is to blame and nothing may be skipped. Fetch them anew.
      window.pass(scanner.passed)
      scanner.clear()
      this.around.onUnreadable(this, error)
      return false
    }
    if (!window.hasRoom(scanner.delta)) {
      this.#blockedBy = `too much is finished behind the unfinished offset ${this.committable}`
      return false
    }
    const { cursor } = scanner
    const isKeyed = this.#order === 'key' && cursor.keyStart >= 0
    const hash = isKeyed ? hashOf(cursor.recordBuffer, cursor.keyStart, cursor.keyEnd) : undefined
    const seq = window.add(scanner.delta, hash)
    if (seq >= 0) this.#records.add(seq, window.head, scanner)
    scanner.take()
    return true
  }

  /** Makes the next batch and has it delivered. */
  #next(slot: Slot): void {
    const { workspaces, meters } = this.around
    const workspace = workspaces.acquire()
    const before = this.#window.committable
    const { seqs, filled } = this.#fill(workspace)
    meters.filtered(filled.droppedCount)
    this.#compact()
    this.around.onTaken(this)
    if (filled.droppedCount > 0 || this.#window.committable > before) this.around.onMoved(this)
    if (seqs.length === 0) {
      slot.release({ kind: 'released' })
      workspaces.release(workspace)
      return
    }
    const delivery = new BatchDelivery(this, workspace, filled)
    const underWay: UnderWay = { delivery, seqs: Float64Array.from(seqs) }
    this.#underWay.add(underWay)
    void this.#seeThrough(underWay, workspace, slot)
  }

  async #seeThrough(underWay: UnderWay, workspace: Workspace, slot: Slot): Promise<void> {
    const { workspaces, meters } = this.around
    const ended = meters.batchStarted({ lane: this, table: workspace.table })
    let isDone = false
    try {
      isDone = await underWay.delivery.run(slot)
      this.#settle(underWay)
      // What was begun and not ended may still look at the records.
      if (!isDone) workspace.table.abandon()
      if (!this.#aborting.signal.aborted) workspaces.release(workspace)
    } catch (error) {
      this.around.onFatal(this, error)
    }
    ended(isDone)
    this.#underWay.delete(underWay)
    this.#bell.ring()
  }

  /** Finishes the rows that have left their batch. */
  #settle({ delivery, seqs }: UnderWay): void {
    if (this.#aborting.signal.aborted) return
    let isMoved = false
    for (let row = 0; row < seqs.length; row += 1) {
      const seq = seqs[row] ?? -1
      if (seq < 0 || delivery.settlement.isOpen(row)) continue
      this.#window.finish(seq)
      seqs[row] = -1
      isMoved = true
    }
    if (!isMoved) return
    this.around.onMoved(this)
    this.#bell.ring()
  }

  #fill(workspace: Workspace): { seqs: number[]; filled: FilledBatch } {
    const { encoder, gauge, table } = workspace
    const { batch, transform } = this.around
    encoder.begin(this.topic, this.partition, workspace.isShared)
    gauge.begin()
    workspace.isShared = false
    table.reset(this.committable)
    const filling = { workspace, base: this.#window.committable, isEncoded: transform === undefined }
    const undeliverable: UndeliverableRow[] = []
    const parked: number[] = []
    const seqs: number[] = []
    let droppedCount = 0
    const keysMax = this.#keysMax()
    let keyCount = 0
    this.#window.walk()
    for (;;) {
      // A share of the keys is taken from what was looked at: reading on for them alone could go far.
      const seq = keysMax === Number.POSITIVE_INFINITY ? this.#nextFree() : this.#window.next()
      // What is left out counts too: other work must get its turn.
      if (seq < 0 || seqs.length >= batch.recordsMax || droppedCount >= DROPPED_MAX) break
      if (this.#window.see(seq)) {
        keyCount += 1
        if (keyCount > keysMax) {
          this.#window.leave(seq)
          continue
        }
      }
      const verdict = this.#append(seq, filling)
      if (verdict === 'full') break
      this.#records.release(seq)
      if (verdict === 'drop') {
        this.#window.finish(seq)
        droppedCount += 1
        continue
      }
      if (verdict === 'park') parked.push(seqs.length)
      else if (verdict !== 'added') undeliverable.push({ row: seqs.length, problem: verdict })
      this.#window.take(seq)
      seqs.push(seq)
    }
    return { seqs, filled: { undeliverable, parked, droppedCount, nextOffset: this.position } }
  }

  /** Puts a row of the window into the table and, if it is to be sent, into the payload. */
  #append(
    seq: number,
    { workspace, base, isEncoded }: { workspace: Workspace; base: number; isEncoded: boolean }
  ): 'added' | 'full' | 'malformed' | 'tooLarge' | 'drop' | 'park' {
    const { table, encoder, gauge } = workspace
    const records = this.#records
    const row = table.count
    const lease = records.leaseOf(seq)
    if (lease !== undefined) table.hold(lease)
    const isSound = table.add(records.placeOf(seq), this.#window.deltaOf(seq) - base, records.isLogAppendTime(seq))
    if (!isSound) return 'malformed'
    const sifted = this.around.sift?.sift(table, row) ?? 'deliver'
    if (sifted === 'park') return 'park'
    const verdict = sifted === 'drop' ? sifted : isEncoded ? encoder.append(table, row) : gauge.append(table, row)
    if (verdict === 'full' || verdict === 'drop') table.removeLast()
    return verdict
  }

  /** Gives memory back if most of what is held is of no use: a few rows that wait for long hold whole answers. */
  #compact(): void {
    const { bytes, rowBytes } = this.#records
    const slackBytes = this.around.isPaused(this) ? 0 : SLACK_BYTES
    if (bytes > rowBytes * SLACK_RATIO + slackBytes) this.#records.compact(this.#window.waiting())
  }

  /** What it is doing, in full. */
  describe(): LaneDescription {
    const window = this.#window
    const [first] = window.waiting()
    const oldestMs = first === undefined ? null : this.around.clock.monotonicMs() - this.#records.arrivedMs(first)
    const isBusy = this.#underWay.size >= this.#batchesMax
    const allBusy = `${this.#underWay.size} batches are under way, as many as there may be`
    return {
      topic: this.topic,
      partition: this.partition,
      epoch: this.epoch,
      order: this.#order,
      state: this.state,
      position: this.position.toString(),
      committable: this.committable.toString(),
      bufferedBytes: this.bufferedBytes,
      inFlightRecords: this.inFlightRecords,
      inFlightBytes: this.inFlightBytes,
      oldestMs,
      batches: [...this.#underWay].map(({ delivery }) => delivery.describe()),
      blockedBy: isBusy && first !== undefined ? allBusy : this.#blockedBy
    }
  }
}
