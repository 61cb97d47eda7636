/**
 * One retry partition during one assignment of its origin.
 *
 * ```
 * scan to the end (which keys wait) ─ [origin's own lane begins] ─ rest until due ─ batch ─ deliver ─ commit ─┐
 *                                                                     └───────────────────────────────────────┘
 * ```
 *
 * Records come due in the order in which they lie, so only the first one is
 * looked at. While it is not due for long, nothing is held and nothing fetched.
 * Of the records that are due, one whose key waits in a later stage follows it
 * there, one that is there already is dropped, and the others are sent: with the
 * topic, partition, offsets, timestamps, keys, values and headers of the records
 * themselves, in the order of their offsets. Records that have failed before get
 * one attempt, those that only followed get as many as they would have had in
 * their own topic, so the two do not share a batch.
 *
 * The book is left when a record has left its batch: only then may the next one
 * of its key go.
 */

import type { FetchedChunk, PartitionStart } from '../../client/index.ts'
import { decodeFinished, Doorbell, encodeFinished } from '../../core/index.ts'
import { BatchDelivery, type DeliveryOwner } from '../delivery.ts'
import type { AnyLane, LaneDescription, LaneState, LaneSurroundings } from '../lane-surroundings.ts'
import { laneStateOf } from '../lane.ts'
import type { FilledBatch, UndeliverableRow } from '../partition-buffer.ts'
import { layOut } from '../record-place.ts'
import type { Slot } from '../slots.ts'
import type { Workspace } from '../workspace.ts'
import { type Instant, RetryBuffer, type RetryEntry } from './retry-buffer.ts'
import type { RetryTier } from './retry-topics.ts'
import type { PastOf, StageAside } from './stage-aside.ts'
import { keyNameOf, type StationBook } from './station-book.ts'

/** What a retry lane needs of the station that its partition belongs to. */
export interface StationOfLane {
  readonly topic: string
  readonly partition: number
  readonly book: StationBook
  readonly keepsKeyOrder: boolean
  /** Stage of a topic: 0 for the origin, `undefined` if it is none of ours. */
  stageOf(topic: string): number | undefined
  asideOf(stage: number, pastOf: PastOf): StageAside
  /** Records that no dispatcher has put there: into the dead letter topic. `false` if the signal aborted before. */
  putForeign(entries: readonly RetryEntry[], tier: RetryTier, signal: AbortSignal): Promise<boolean>
  /** The lane knows all keys that wait in its partition. */
  scanned(stage: number): void
  /** Resolves once all lanes do, or the partition is given back. */
  readonly ready: Promise<void>
}

/** Fetching as a retry lane steers it. */
export interface RetryFetching {
  /** Fetches the partition from this offset on, whatever was fetched before. */
  fetchFrom(lane: AnyLane, offset: bigint): void
  /** Fetches nothing of the partition for now. */
  rest(lane: AnyLane): void
}

/** What a retry lane is made from. */
export interface RetryLaneOptions {
  readonly tier: RetryTier
  readonly start: PartitionStart
  /** End of the partition at the start: all before it is scanned. */
  readonly end: bigint
  readonly epoch: number
  readonly around: LaneSurroundings
  readonly station: StationOfLane
  readonly fetching: RetryFetching
}

/** The rows of a batch. */
interface Taken {
  readonly entries: readonly RetryEntry[]
  readonly filled: FilledBatch
  /** Entries that leave with this batch without a row. */
  readonly dropped: readonly RetryEntry[]
}

/** Waits longer than this are spent without holding anything, in milliseconds. */
const REST_MS = 500

/** One retry partition during one assignment. */
export class RetryLane implements AnyLane {
  readonly topic: string
  readonly partition: number
  readonly epoch: number
  /** Resolves when the lane does nothing any more. */
  readonly ended: Promise<void>
  readonly #options: RetryLaneOptions
  readonly #around: LaneSurroundings
  readonly #buffer: RetryBuffer
  readonly #stopping = new AbortController()
  readonly #aborting = new AbortController()
  #scanPosition: bigint
  #isScanning: boolean
  #committable: bigint
  /** Offsets that are done and not below the committable one: records leave in the order of their origin. */
  readonly #beyond = new Set<bigint>()
  #isEnded = false
  #isResting = false
  #isWaiting = false
  #isPuttingForeign = false
  #delivery: BatchDelivery | undefined
  readonly #bell: Doorbell

  constructor(options: RetryLaneOptions) {
    const { start, tier, around } = options
    this.topic = start.topic
    this.partition = start.partition
    this.epoch = options.epoch
    this.#options = options
    this.#around = around
    this.#bell = new Doorbell(around.clock)
    this.#buffer = new RetryBuffer(start.offset, tier.delayMs, offset => this.#beyond.has(offset))
    for (const offset of finishedBefore(start)) this.#beyond.add(offset)
    this.#committable = start.offset
    this.#scanPosition = start.offset
    this.#isScanning = start.offset < options.end
    this.ended = this.#run()
  }

  /** What the lane is doing. */
  get state(): LaneState {
    if (this.#isEnded) return 'ended'
    if (this.#delivery !== undefined) return laneStateOf(this.#delivery.state)
    return this.#isWaiting ? 'waiting' : 'idle'
  }

  /** Next record to be put into a batch. */
  get position(): bigint {
    return this.#isScanning ? this.#scanPosition : this.#buffer.fetchPosition
  }

  /** Offset that may be committed. */
  get committable(): bigint {
    return this.#committable
  }

  /** What is done beyond the committable offset: a batch that was stopped half way. */
  commitMetadata(): string {
    if (this.#beyond.size === 0) return ''
    const ranges: number[] = []
    for (const offset of [...this.#beyond].toSorted((a, b) => Number(a - b))) {
      const distance = Number(offset - this.#committable)
      if (ranges.at(-1) === distance) ranges[ranges.length - 1] = distance + 1
      else ranges.push(distance, distance + 1)
    }
    return encodeFinished(this.#committable, ranges) ?? ''
  }

  /** Bytes fetched and not done yet. */
  get bufferedBytes(): number {
    return this.#buffer.bytes
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
    // Or it is an answer to a question from before the lane went to another offset.
    if (!this.#stopping.signal.aborted && chunk.fromOffset === this.position) {
      if (this.#isScanning) this.#scan(chunk)
      else this.#buffer.push(chunk)
      this.#bell.ring()
    }
    // What is kept of it was copied.
    chunk.lease?.release()
  }

  /** What is held is not waiting to fill a batch. */
  onPause(): void {
    // Batches are not filled up: what is due goes.
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

  /** What it is doing, in full. */
  describe(): LaneDescription {
    const blockedBy = this.#blockedBy()
    return {
      topic: this.topic,
      partition: this.partition,
      epoch: this.epoch,
      order: this.#options.station.keepsKeyOrder ? 'key' : 'none',
      state: this.state,
      position: this.position.toString(),
      committable: this.committable.toString(),
      bufferedBytes: this.bufferedBytes,
      inFlightRecords: this.inFlightRecords,
      inFlightBytes: this.inFlightBytes,
      oldestMs: null,
      batches: this.#delivery === undefined ? [] : [this.#delivery.describe()],
      blockedBy
    }
  }

  #blockedBy(): string | null {
    if (this.#isScanning) return 'it looks for the keys that wait'
    if (this.#isPuttingForeign) return 'deadLetters'
    return this.#isResting ? 'its first record is not due' : null
  }

  async #run(): Promise<void> {
    const { station, tier, start } = this.#options
    const isRead = this.#isScanning
    // Whoever makes the lane has to know it before it asks for anything.
    await Promise.resolve()
    try {
      while (this.#isScanning && !this.#stopping.signal.aborted) await this.#bell.wait(undefined)
      if (!this.#stopping.signal.aborted) {
        station.scanned(tier.stage)
        // What waits in a later stage decides what may be sent from this one.
        await station.ready
      }
      if (isRead && !this.#stopping.signal.aborted) this.#fetchFrom(start.offset)
      while (await this.#untilDue()) {
        // Needs no room in flight: batches that wait until keys are done hold theirs, and this is how keys get done.
        const { topic, partition } = station
        const asker = { topic, partition, isUnderWay: true }
        this.#isWaiting = true
        const slot = await this.#around.slots.acquire(this.#stopping.signal, asker)
        this.#isWaiting = false
        if (slot === undefined) break
        await this.#next(slot)
      }
    } catch (error) {
      this.#delivery = undefined
      this.#around.onFatal(this, error)
    }
    this.#buffer.reset(this.#committable)
    this.#isEnded = true
  }

  /** Enters the keys of a chunk into the book, and what was moved here without a commit where it came from. */
  #scan(chunk: FetchedChunk): void {
    const { station, tier, end } = this.#options
    const buffer = new RetryBuffer(this.#scanPosition, tier.delayMs, offset => this.#beyond.has(offset))
    buffer.push(chunk)
    try {
      for (const entry of buffer.peek(Number.POSITIVE_INFINITY, this.#now())) {
        if (!this.#isOurs(entry)) continue
        station.book.enter(this.#nameOf(entry), tier.stage)
        const { history } = entry
        const from = history === undefined ? undefined : station.stageOf(history.fromTopic)
        if (history !== undefined && from !== undefined) {
          station.book.moved(from, history.fromOffset, history.timestampMs)
        }
      }
    } catch (error) {
      this.#around.onUnreadable(this, error)
      return
    }
    this.#scanPosition = chunk.nextOffset
    if (this.#scanPosition >= end) this.#isScanning = false
  }

  /** Waits until a record is due. `false` when the lane stops. */
  async #untilDue(): Promise<boolean> {
    const { clock } = this.#around
    for (;;) {
      if (this.#stopping.signal.aborted) return false
      let head: RetryEntry | undefined
      try {
        ;[head] = this.#buffer.peek(1, this.#now())
      } catch (error) {
        this.#unreadable(error)
      }
      this.#around.onTaken(this)
      this.#advance()
      if (head === undefined) {
        await this.#bell.wait(undefined)
        continue
      }
      const waitMs = head.dueMs - clock.monotonicMs()
      if (waitMs <= 0) return true
      if (waitMs > REST_MS) await this.#rest(head)
      else await this.#bell.wait(waitMs)
    }
  }

  /** Holds and fetches nothing until the first record is due. */
  async #rest(head: RetryEntry): Promise<void> {
    const { clock } = this.#around
    this.#isResting = true
    this.#options.fetching.rest(this)
    this.#buffer.reset(head.offset)
    this.#around.onTaken(this)
    while (!this.#stopping.signal.aborted && clock.monotonicMs() < head.dueMs) {
      await this.#bell.wait(head.dueMs - clock.monotonicMs())
    }
    this.#isResting = false
    if (!this.#stopping.signal.aborted) this.#fetchFrom(head.offset)
  }

  #fetchFrom(offset: bigint): void {
    this.#buffer.reset(offset)
    this.#options.fetching.fetchFrom(this, offset)
  }

  #unreadable(error: unknown): void {
    this.#buffer.reset(this.#buffer.position)
    this.#around.onUnreadable(this, error)
  }

  /** Makes the next batch and sees it through. */
  async #next(slot: Slot): Promise<void> {
    const { workspaces, meters } = this.#around
    const { station, tier } = this.#options
    const foreign = this.#due().filter(entry => entry.history === undefined)
    if (foreign.length > 0) {
      slot.release({ kind: 'released' })
      this.#isPuttingForeign = true
      if (await station.putForeign(foreign, tier, this.#aborting.signal)) this.#done(foreign)
      this.#isPuttingForeign = false
      return
    }
    const workspace = workspaces.acquire()
    const taken = this.#take(workspace)
    this.#done(taken.dropped)
    if (taken.entries.length === 0) {
      slot.release({ kind: 'released' })
      workspaces.release(workspace)
      return
    }
    const delivery = new BatchDelivery(this.#owner(taken), workspace, taken.filled)
    this.#delivery = delivery
    const ended = meters.batchStarted({ lane: this, table: workspace.table })
    ended(await delivery.run(slot))
    this.#delivery = undefined
    if (this.#aborting.signal.aborted) return
    this.#done(taken.entries.filter((_, row) => !delivery.settlement.isOpen(row)))
    workspaces.release(workspace)
  }

  /** Whose batch it is: the origin's, with the attempts of its records. */
  #owner({ entries }: Taken): DeliveryOwner {
    const { station, tier } = this.#options
    const pastOf: PastOf = row => {
      const entry = entries[row]
      const { attempts = 0, firstFailureMs = 0 } = entry?.history ?? {}
      return { attempts, firstFailureMs, fromOffset: entry?.offset ?? -1n }
    }
    const attempts = entries.map(entry => entry.history?.attempts ?? 0)
    const hasFailed = attempts.some(each => each > 0)
    const { retry } = this.#around
    return {
      topic: station.topic,
      partition: station.partition,
      around: {
        ...this.#around,
        sift: undefined,
        retry: hasFailed ? { ...retry, attemptsMax: 1 } : retry,
        aside: station.asideOf(tier.stage, pastOf)
      },
      sendsBefore: Math.min(...attempts),
      stopping: this.#stopping.signal,
      aborting: this.#aborting.signal
    }
  }

  /** Records that are due and may share a batch, in the order in which they lie. */
  #due(): RetryEntry[] {
    const { batch, clock } = this.#around
    const nowMs = clock.monotonicMs()
    const due: RetryEntry[] = []
    let bytes = 0
    for (const entry of this.#buffer.peek(batch.recordsMax, this.#now())) {
      const [first = entry] = due
      if (entry.dueMs > nowMs || kindOf(entry) !== kindOf(first)) break
      bytes += entry.bytes
      if (due.length > 0 && bytes > batch.bytesMax) break
      due.push(entry)
    }
    return due
  }

  /** Puts what is due into a table, in the order of the origin's offsets. */
  #take(workspace: Workspace): Taken {
    const { station, tier } = this.#options
    const { table, encoder, gauge } = workspace
    const dropped: RetryEntry[] = []
    const wanted: RetryEntry[] = []
    for (const entry of this.#due()) {
      const { history } = entry
      const isDone = !this.#isOurs(entry) || station.book.isMoved(tier.stage, entry.offset, history?.timestampMs ?? 0)
      if (isDone) dropped.push(entry)
      else wanted.push(entry)
    }
    wanted.sort((a, b) => Number(originOf(a) - originOf(b)))
    const [first] = wanted
    table.reset(first === undefined ? 0n : originOf(first))
    encoder.begin(station.topic, station.partition, workspace.isShared)
    gauge.begin()
    workspace.isShared = false
    const sink = this.#around.transform === undefined ? encoder : gauge
    const entries: RetryEntry[] = []
    const undeliverable: UndeliverableRow[] = []
    const parked: number[] = []
    for (const entry of wanted) {
      const last = entries.at(-1)
      if (last !== undefined && originOf(last) === originOf(entry)) {
        // Appended twice, because its first acknowledgement was lost.
        dropped.push(entry)
        continue
      }
      const row = table.count
      table.add(placeOf(entry), Number(originOf(entry) - table.baseOffset), false)
      if (station.book.followStage(this.#nameOf(entry), tier.stage) !== undefined) {
        parked.push(row)
      } else {
        const verdict = sink.append(table, row)
        if (verdict === 'full') {
          table.removeLast()
          break
        }
        if (verdict !== 'added') undeliverable.push({ row, problem: verdict })
      }
      entries.push(entry)
    }
    const filled = { undeliverable, parked, droppedCount: 0, nextOffset: this.#buffer.fetchPosition }
    return { entries, filled, dropped }
  }

  /** Records that have left: the next ones of their keys may go. */
  #done(entries: readonly RetryEntry[]): void {
    if (entries.length === 0) return
    const { station, tier } = this.#options
    const done = new Set(entries)
    for (const entry of entries) if (this.#isOurs(entry)) station.book.leave(this.#nameOf(entry), tier.stage)
    for (const { offset } of entries) this.#beyond.add(offset)
    this.#buffer.remove(entry => done.has(entry))
    this.#around.onTaken(this)
    this.#advance()
  }

  #advance(): void {
    const { position } = this.#buffer
    if (this.#isScanning) return
    if (position <= this.#committable) {
      if (this.#stopping.signal.aborted && this.#beyond.size > 0) this.#around.onMoved(this)
      return
    }
    this.#committable = position
    for (const offset of this.#beyond) if (offset < position) this.#beyond.delete(offset)
    this.#options.station.book.committed(this.#options.tier.stage, position)
    this.#around.onMoved(this)
  }

  /** Names of topics may clash: what another group or another topic put here is not ours. */
  #isOurs({ history }: RetryEntry): boolean {
    const { station } = this.#options
    if (history === undefined) return true
    const { groupId } = this.#around
    return history.topic === station.topic && history.partition === station.partition && history.groupId === groupId
  }

  #nameOf({ key }: RetryEntry): string | undefined {
    return this.#options.station.keepsKeyOrder ? keyNameOf(key) : undefined
  }

  #now(): Instant {
    const { clock } = this.#around
    return { wallMs: clock.now(), monotonicMs: clock.monotonicMs() }
  }
}

/** Offsets that were done before, though the committed one is below them. */
function finishedBefore({ offset, metadata }: PartitionStart): bigint[] {
  const ranges = decodeFinished(offset, metadata)
  const finished: bigint[] = []
  for (let index = 0; index < ranges.length; index += 2) {
    for (let at = ranges[index] ?? 0; at < (ranges[index + 1] ?? 0); at += 1) finished.push(offset + BigInt(at))
  }
  return finished
}

function originOf(entry: RetryEntry): bigint {
  return entry.history?.offset ?? entry.offset
}

/** What may share a batch: records that have failed, or that have only followed, or that are not ours. */
function kindOf({ history }: RetryEntry): 'failed' | 'followed' | 'foreign' {
  if (history === undefined) return 'foreign'
  return history.attempts > 0 ? 'failed' : 'followed'
}

function placeOf({ key, value, headers, history, timestampMs }: RetryEntry): Parameters<Workspace['table']['add']>[0] {
  const place = layOut({ key, value, headers })
  return { ...place, recordEnd: place.recordBuffer.length, timestampMs: history?.timestampMs ?? timestampMs }
}
