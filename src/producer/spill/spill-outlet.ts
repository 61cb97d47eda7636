/**
 * An outlet that keeps records on disk while Kafka is away.
 *
 * Two routes. Direct: records go to the appender. When Kafka counts as away,
 * what the appender still holds is copied to disk (the appender keeps it and goes
 * on trying: that is the probe), and from then on everything goes to disk. When
 * Kafka answers, the disk is replayed through the same appender, in its order;
 * records that come meanwhile go to the end of the log. Once everything on disk
 * is with the appender, new records are held for a moment, what has not been
 * written yet is handed over from memory, and the route is direct again.
 *
 * Invariants:
 * - Order per key is that of the hand-over: one appender, one log, and a change
 *   of route only when everything before it is with the appender or on disk.
 * - `spilled` is told only of what is synced, and is the only verdict then.
 * - The appender has no delivery timeout of its own here: a record that is safe
 *   on disk cannot fail by time, and one that is not is failed by this outlet.
 */

import {
  type Appender,
  type AppendRecord,
  type DeliveryListener,
  recordOf,
  type RecordRows,
  type RowPlace
} from '../../client/index.ts'
import { type Clock, Doorbell, PipelineError, sleep, type Timer, within } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { Outlet, OutletListener, OutletState, SpillPace } from '../outlet.ts'
import { Availability, type AvailabilityEvent } from './availability.ts'
import { KafkaHealth } from './kafka-health.ts'
import type { RetirementUnit } from './retirement.ts'
import { DirectListener, type SpillHost } from './spill-listeners.ts'
import { SpillLog, type SpillLogOptions } from './spill-log.ts'
import { type SpillEntry, SpillQueue } from './spill-queue.ts'
import { SpillReplay } from './spill-replay.ts'

/** How a spill is. */
export interface SpillStatus {
  /** The folder. */
  readonly dir: string
  /** Records on disk that are not known to be in Kafka. */
  readonly recordCount: number
  /** Bytes on disk, those of records that wait to be removed included. */
  readonly bytes: number
  /** Age of the oldest of these records, in milliseconds, to about a minute; 0 if there is none. */
  readonly oldestAgeMs: number
  /** Records written since the start. */
  readonly spilledCount: number
  /** Records that came from disk into Kafka since the start. */
  readonly replayedCount: number
  /** Records from disk that became dead letters since the start. */
  readonly deadLetteredCount: number
  /** Records whose bytes were damaged or missing, since the start. */
  readonly lostCount: number
  /** Whether `bytesMax` is reached: sources wait. */
  readonly isFull: boolean
  /** Whether the disk refuses: sources wait. */
  readonly isInTrouble: boolean
}

/** Options of a spill outlet. */
export interface SpillOutletOptions extends Omit<SpillLogOptions, 'folder' | 'segmentBytes'> {
  /** Closed with the outlet. Its delivery timeout must be out of reach. */
  readonly appender: Appender
  readonly deadLetterTopic: string
  /** `producer.spill`. */
  readonly spill: { readonly dir: string; readonly bytesMax: number; readonly segmentBytes: number }
  /** `producer.whenAway.afterMs`. */
  readonly afterMs: number
  /** `producer.delivery.timeoutMs`: for records that neither Kafka nor the disk takes. */
  readonly timeoutMs: number
}

/** Most bytes that wait to be written: a few writes' worth. */
const PENDING_BYTES = 8_388_608
/** Longest time that new records are held for a change of route, in milliseconds. */
const JOIN_MS = 500
/** Wait after a change of route that did not succeed, in milliseconds. */
const JOIN_PAUSE_MS = 1000
/** Longest wait of the replay for news, in milliseconds. */
const IDLE_MS = 250
/** What a close keeps of its deadline for the disk, in milliseconds. */
const CLOSE_MARGIN_MS = 1000

/** Direct to Kafka, or to disk while Kafka is away. */
export class SpillOutlet implements Outlet, SpillHost {
  readonly #options: SpillOutletOptions
  readonly #appender: Appender
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #health: KafkaHealth
  readonly #availability: Availability
  readonly #bell: Doorbell
  #pace: SpillPace | undefined
  #log: SpillLog | undefined
  #queue: SpillQueue | undefined
  #replay: SpillReplay | undefined
  #route: 'direct' | 'disk' = 'direct'
  /** New records are held: the route is about to change. */
  #isJoining = false
  #joinFromMs = 0
  #joinUntilMs = 0
  #last: DirectListener | undefined
  #direct = new Map<OutletListener, DirectListener>()
  #roomWaits: (() => void)[] = []
  #isWaitingForAppender = false
  /** When records were given up last, because neither Kafka nor the disk took them. */
  #gaveUpAtMs = Number.NEGATIVE_INFINITY
  #poll: Timer | undefined
  #running: Promise<void> | undefined
  #isStopping = false
  #isClosed = false
  #closing: Promise<void> | undefined

  constructor(options: SpillOutletOptions) {
    this.#options = options
    this.#appender = options.appender
    this.#clock = options.clock
    this.#logger = options.logger
    this.#health = new KafkaHealth(options.afterMs)
    this.#availability = new Availability(options.clock.monotonicMs())
    this.#bell = new Doorbell(options.clock)
  }

  /**
   * Opens the spill. Must be called, and awaited, before anything else; what it finds is replayed first.
   *
   * @throws PipelineError `ERR_PRODUCER_SPILL_LOCKED`, `ERR_PRODUCER_SPILL_FAILED`.
   */
  async open(): Promise<void> {
    const { spill, afterMs, timeoutMs, deadLetterTopic } = this.#options
    const log = await SpillLog.open({ ...this.#options, folder: spill.dir, segmentBytes: spill.segmentBytes })
    this.#log = log
    const common = { log, clock: this.#clock, logger: this.#logger }
    this.#queue = new SpillQueue({
      ...common,
      bytesMax: spill.bytesMax,
      pendingBytesMax: Math.min(PENDING_BYTES, spill.bytesMax),
      timeoutMs,
      onWritten: () => this.#bell.ring(),
      onTimeout: () => this.#failDirect()
    })
    this.#replay = new SpillReplay({
      ...common,
      appender: this.#appender,
      deadLetterTopic,
      pace: () => this.#pace,
      host: this,
      bell: this.#bell,
      onRetired: () => this.#retired()
    })
    if (log.recordCount > 0) {
      this.#route = 'disk'
      this.#availability.on('spillUsed', this.#clock.monotonicMs())
      const fields = { dir: spill.dir, recordCount: log.recordCount, bytes: log.bytes }
      this.#logger.info(fields, `${log.recordCount} events that an earlier run has left on disk are replayed first`)
    }
    this.#poll = this.#clock.every(Math.max(10, Math.min(1000, afterMs / 10)), () => this.#check()).unref()
    this.#running = this.#run()
  }

  get bufferedBytes(): number {
    return this.#appender.bufferedBytes + (this.#queue?.pendingBytes ?? 0)
  }

  get state(): OutletState {
    return this.#availability.state
  }

  /** What is on disk. */
  get spill(): SpillStatus {
    const [log, queue, replay] = [this.#log, this.#queue, this.#replay]
    const oldestAtMs = log?.oldestAtMs
    return {
      dir: this.#options.spill.dir,
      recordCount: log?.recordCount ?? 0,
      bytes: log?.bytes ?? 0,
      oldestAgeMs: oldestAtMs === undefined ? 0 : Math.max(0, this.#clock.now() - oldestAtMs),
      spilledCount: queue?.spilledCount ?? 0,
      replayedCount: replay?.replayedCount ?? 0,
      deadLetteredCount: replay?.deadLetteredCount ?? 0,
      lostCount: log?.lostCount ?? 0,
      isFull: queue?.isFull ?? false,
      isInTrouble: queue?.isInTrouble ?? false
    }
  }

  append(record: AppendRecord, listener: OutletListener): boolean {
    this.#checkOpen()
    if (this.#route === 'disk') return !this.#isJoining && this.#toDisk(record, listener)
    const direct = this.#directOf(listener)
    if (!this.#appender.append(record, direct)) return false
    direct.openCount += 1
    return true
  }

  // oxlint-disable-next-line max-params -- hot path: no object per record
  appendRow(place: RowPlace, rows: RecordRows, row: number, listener: OutletListener): boolean {
    this.#checkOpen()
    if (this.#route === 'disk') return !this.#isJoining && this.#toDisk(recordOf(place, rows, row), listener)
    const direct = this.#directOf(listener)
    if (!this.#appender.appendRow(place, rows, row, direct)) return false
    direct.openCount += 1
    return true
  }

  // oxlint-disable-next-line max-params -- as `appendRow`
  divert(place: RowPlace, rows: RecordRows, row: number, listener: OutletListener): boolean {
    this.#checkOpen()
    // What follows on direct would overtake it: the whole stream goes by disk until that is empty again.
    if (this.#route === 'direct') this.#leaveDirect()
    return !this.#isJoining && this.#toDisk(recordOf(place, rows, row), listener)
  }

  setPace(pace: SpillPace): void {
    this.#pace = pace
    pace.onReady = () => this.#bell.ring()
  }

  room(): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    if (this.#route === 'disk' && !this.#isJoining) return this.#queue?.room() ?? Promise.resolve()
    if (this.#route === 'direct' && !this.#isWaitingForAppender) {
      this.#isWaitingForAppender = true
      void this.#appender.room().then(() => {
        this.#isWaitingForAppender = false
        this.#wakeRoom()
      })
    }
    return new Promise(resolve => this.#roomWaits.push(resolve))
  }

  /** Resolves when everything taken so far is in Kafka, safe on disk, or has failed. */
  async flush(): Promise<void> {
    while (!this.#isClosed) {
      const change = this.#change.promise
      if (this.#route === 'direct') await Promise.race([this.#appender.flush(), change])
      else if (this.#isJoining) await within(this.#clock, IDLE_MS, change)
      else await this.#queue?.idle()
      if (this.#route === 'direct' ? this.#appender.bufferedBytes === 0 : this.#isAllSafe()) return
    }
  }

  close(deadlineMs: number = this.#options.timeoutMs): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  acknowledged(): void {
    this.#health.acknowledged(this.#clock.monotonicMs())
    if (this.state === 'spilling') this.#on('kafkaAnswers')
    this.#bell.ring()
  }

  settle(unit: RetirementUnit, recordCount: number): void {
    this.#replay?.settle(unit, recordCount)
  }

  refused(error: PipelineError, records: readonly AppendRecord[], unit: RetirementUnit): void {
    this.#replay?.refused(error, records, unit)
    // What is sent again must not be overtaken by more than it was already.
    if (this.#route === 'direct' && this.#replay?.hasResends === true && !this.#isStopping) this.#leaveDirect()
    this.#bell.ring()
  }

  forget(listener: DirectListener): void {
    if (this.#last === listener) return // most likely it has more
    if (this.#direct.get(listener.inner) === listener) this.#direct.delete(listener.inner)
  }

  /** Resolved at every change of route. */
  #change = Promise.withResolvers<void>()

  #isAllSafe(): boolean {
    return !this.#isJoining && this.#queue?.isIdle !== false
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new PipelineError('ERR_CLIENT_CLOSED', 'the outlet is closed: nothing more can be taken')
  }

  #toDisk(record: AppendRecord, listener: OutletListener): boolean {
    return this.#queue?.add(record, listener) ?? false
  }

  #directOf(listener: OutletListener): DirectListener {
    if (this.#last?.inner === listener) return this.#last
    const left = this.#last
    if (left?.openCount === 0) this.#direct.delete(left.inner)
    let direct = this.#direct.get(listener)
    if (direct === undefined) {
      direct = new DirectListener(listener, this)
      this.#direct.set(listener, direct)
    }
    this.#last = direct
    return direct
  }

  /** Looks whether Kafka is away, and acts on it. */
  #check(): void {
    const nowMs = this.#clock.monotonicMs()
    const { bufferedBytes, oldestAppendedMs } = this.#appender
    const sample = { nowMs, bufferedBytes, oldestAppendedMs }
    if (this.#route === 'disk') {
      if (this.#health.isSilent(sample) && this.state === 'replaying') this.#on('kafkaAway')
      return
    }
    if (!this.#health.isAway(sample)) {
      if (this.state === 'away') this.#on('kafkaAnswers')
      return
    }
    if (this.#canCopy()) this.#leaveDirect()
    else if (nowMs - Math.max(oldestAppendedMs ?? nowMs, this.#gaveUpAtMs) >= this.#options.timeoutMs)
      this.#failDirect()
    this.#on('kafkaAway')
  }

  /** Whether what the appender holds finds room on disk; most records take less than twice their bytes in a batch. */
  #canCopy(): boolean {
    return (this.#log?.bytes ?? 0) + this.#appender.bufferedBytes * 2 <= this.#options.spill.bytesMax
  }

  /** Copies what the appender holds, and sends everything else to disk. */
  #leaveDirect(): void {
    const copied = new Set<DirectListener>()
    const copies: AppendRecord[] = []
    for (const { record, listener } of this.#appender.outstandingRecords()) {
      if (!isDirect(listener)) continue // it came from the log
      copies.push(record)
      copied.add(listener)
    }
    this.#route = 'disk'
    this.#last = undefined
    this.#direct = new Map()
    this.#on('spillUsed')
    const unit = copies.length === 0 ? undefined : this.#replay?.skip(copies.length)
    for (const listener of copied) {
      listener.state = 'copying'
      listener.unit = unit
    }
    this.#queue?.addCopies(copies, {
      safe: () => {
        for (const listener of copied) listener.safe()
      },
      dropped: () => {
        if (unit !== undefined) this.#replay?.unskip(unit)
        for (const listener of copied) if (listener.state === 'copying') backToDirect(listener)
      }
    })
    this.#routeChanged()
  }

  /** Neither Kafka nor the disk has taken records for the delivery timeout: their sources must know. */
  #failDirect(): void {
    this.#gaveUpAtMs = this.#clock.monotonicMs()
    // Whoever hands over more gets a verdict of its own for that.
    this.#last = undefined
    this.#direct = new Map()
    const groups = new Map<DirectListener, AppendRecord[]>()
    for (const { record, listener } of this.#appender.outstandingRecords()) {
      if (!(listener instanceof DirectListener) || listener.state === 'spilled' || listener.state === 'givenUp')
        continue
      const group = groups.get(listener)
      if (group === undefined) groups.set(listener, [record])
      else group.push(record)
    }
    const text = `neither Kafka nor the disk has taken the event for ${this.#options.timeoutMs} ms`
    for (const [listener, records] of groups) {
      listener.state = 'givenUp'
      listener.inner.failed(new PipelineError('ERR_PRODUCER_SPILL_FAILED', text), records)
    }
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      const isNeeded = this.#route === 'disk' || this.#replay?.hasResends === true
      const hasMoved = isNeeded && (await this.#step())
      if (!hasMoved && !this.#isStopping) await this.#bell.wait(isNeeded ? IDLE_MS : undefined)
    }
  }

  /** @returns Whether there may be more to do at once. */
  async #step(): Promise<boolean> {
    const [queue, replay] = [this.#queue, this.#replay]
    if (queue === undefined || replay === undefined) return false
    // Until Kafka answers one group, or what the appender holds already, is the probe.
    if (this.state === 'spilling' && this.#appender.bufferedBytes > 0) return this.#giveUpJoin()
    const step = await replay.step()
    if (step === 'moved') return true
    const nowMs = this.#clock.monotonicMs()
    if (this.#isJoining && nowMs > this.#joinUntilMs) return this.#giveUpJoin()
    if (step === 'wait' || nowMs < this.#joinFromMs) return false
    // What waits is written first, unless the disk refuses: then it goes to Kafka, where nothing else waits.
    if (this.state === 'spilling' && !queue.isIdle && !queue.isInTrouble) return false
    this.#isJoining = true
    this.#joinUntilMs = nowMs + JOIN_MS
    // In one turn with `takeBack`: the queue goes on to the next write by itself.
    while (queue.isWriting) await queue.written()
    if (!replay.isAtEnd) return true
    return await this.#join(queue.takeBack())
  }

  #giveUpJoin(): boolean {
    if (!this.#isJoining) return false
    this.#isJoining = false
    this.#joinFromMs = this.#clock.monotonicMs() + JOIN_PAUSE_MS
    this.#wakeRoom()
    return false
  }

  /** Everything on disk is with the appender: what was not written goes there, too, and the route is direct again. */
  async #join(entries: readonly SpillEntry[]): Promise<boolean> {
    for (const [index, { record, listener }] of entries.entries()) {
      const direct = this.#directOf(listener)
      this.#pace?.charge(record)
      while (!this.#appender.append(record, direct)) {
        await within(this.#clock, IDLE_MS, this.#appender.room())
        if (this.state === 'replaying' && !this.#isStopping) continue
        this.#leaveDirect()
        this.#queue?.putBack(entries.slice(index))
        return this.#giveUpJoin()
      }
      direct.openCount += 1
    }
    this.#isJoining = false
    this.#route = 'direct'
    this.#routeChanged()
    this.#retired()
    return false
  }

  #routeChanged(): void {
    const change = this.#change
    this.#change = Promise.withResolvers()
    change.resolve()
    this.#bell.ring()
    this.#wakeRoom()
  }

  #wakeRoom(): void {
    for (const wake of this.#roomWaits.splice(0)) wake()
  }

  /** The checkpoint has moved: there is more room, and the spill may be empty. */
  #retired(): void {
    this.#queue?.wake()
    if (this.#route === 'direct' && this.#log?.recordCount === 0) this.#on('spillEmpty')
  }

  #on(event: AvailabilityEvent): void {
    const nowMs = this.#clock.monotonicMs()
    const sinceMs = this.#availability.sinceMs
    const left = this.#availability.on(event, nowMs)
    if (left === undefined) return
    const { dir, recordCount, bytes, spilledCount, replayedCount } = this.spill
    const afterMs = Math.round(nowMs - sinceMs)
    const fields = { from: left, to: this.state, afterMs, dir, recordCount, bytes, spilledCount, replayedCount }
    if (this.state === 'spilling') this.#logger.warn(fields, 'Kafka does not acknowledge: events go to disk')
    else if (this.state === 'replaying') this.#logger.info(fields, 'Kafka answers: what is on disk goes there first')
    else if (this.state === 'away') this.#logger.warn(fields, 'Kafka does not acknowledge, and the spill is full')
    else this.#logger.info(fields, 'everything that was on disk is in Kafka: events go there directly')
  }

  /** While Kafka answers the disk is replayed up to the deadline; what is left there stays for the next start. */
  async #close(deadlineMs: number): Promise<void> {
    const endsAtMs = this.#clock.monotonicMs() + deadlineMs - CLOSE_MARGIN_MS
    await this.#waitForEmpty(endsAtMs)
    this.#isClosed = true
    this.#poll?.cancel()
    this.#isStopping = true
    this.#isJoining = false
    this.#bell.ring()
    this.#wakeRoom()
    await this.#running
    // Safe on disk is better than failed.
    if (this.#route === 'direct' && this.#appender.bufferedBytes > 0) this.#leaveDirect()
    await this.#queue?.close()
    this.#failDirect()
    await this.#replay?.stop()
    await this.#appender.close(0)
    const left = this.spill
    await this.#log?.close()
    this.#routeChanged()
    if (left.recordCount === 0) return
    const fields = { dir: left.dir, recordCount: left.recordCount, bytes: left.bytes }
    this.#logger.warn(fields, `${left.recordCount} events stay on disk: the next start replays them`)
  }

  async #waitForEmpty(endsAtMs: number): Promise<void> {
    for (;;) {
      const isDone = this.#route === 'direct' && this.#appender.bufferedBytes === 0 && this.spill.recordCount === 0
      const remainingMs = endsAtMs - this.#clock.monotonicMs()
      if (isDone || this.state === 'spilling' || remainingMs <= 0) return
      if (this.#route === 'direct') await within(this.#clock, Math.min(remainingMs, IDLE_MS), this.#appender.flush())
      else await sleep(this.#clock, Math.min(remainingMs, 20))
    }
  }
}

function isDirect(listener: DeliveryListener): listener is DirectListener {
  return listener instanceof DirectListener && listener.state === 'direct'
}

function backToDirect(listener: DirectListener): void {
  listener.state = 'direct'
  listener.unit = undefined
}
