/**
 * Records on their way to the spill: gathered while a write is under way, then written and synced together.
 *
 * One write at a time; whatever arrives meanwhile is the next one. Who handed a
 * record over hears `spilled` after the sync, never before. When the disk
 * refuses, the records stay here, in order, and the write is tried again; what
 * has waited longer than the delivery timeout fails.
 *
 * Limits: `pendingBytesMax` here, `bytesMax` on disk and here together. Copies of
 * what is in the appender's buffer are taken beyond the first: they are as large
 * as that buffer at most.
 */

import type { AppendRecord } from '../../client/index.ts'
import { type Clock, Doorbell, messageOf, PipelineError } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { OutletListener } from '../outlet.ts'
import { diskRemedy, systemErrorCode } from './spill-disk.ts'
import { GROUP_HEADER_BYTES, GroupBuilder, spilledBytesOf } from './spill-group.ts'
import type { SpillLog } from './spill-log.ts'

/** Size at which a group is closed, in bytes. */
const GROUP_BYTES = 262_144
/** Bytes that are written and synced together, about. */
const WRITE_BYTES = 4_194_304
/** Builders of groups that are kept for later ones. */
const BUILDERS_KEPT = 8
/** Wait before a write that failed is tried again, in milliseconds. */
const RETRY_MS = 500
/** Most time between two log lines about the same trouble, in milliseconds. */
const LOG_MS = 60_000

/** A record and who hears what becomes of it. */
export interface SpillEntry {
  readonly record: AppendRecord
  readonly listener: OutletListener
}

/** What happens to copies. */
export interface CopiesListener {
  /** They are safe on disk. */
  safe(): void
  /** They were not written, and will not be. */
  dropped(): void
}

interface Group {
  readonly builder: GroupBuilder
  /** Empty for copies. */
  readonly entries: SpillEntry[]
  /** Of the last group of copies. */
  readonly copies: CopiesListener | undefined
  readonly isCopy: boolean
  readonly addedAtMs: number
}

/** What a queue needs. */
export interface SpillQueueOptions {
  readonly log: SpillLog
  readonly clock: Clock
  readonly logger: Logger
  /** Most bytes of the spill. */
  readonly bytesMax: number
  /** Most bytes that wait to be written. */
  readonly pendingBytesMax: number
  /** Longest wait for the disk, in milliseconds; then records fail. */
  readonly timeoutMs: number
  /** Groups were written. */
  readonly onWritten: () => void
  /** The disk has refused for that long: what else waits for it may fail, too. */
  readonly onTimeout: () => void
}

/** Writes records to the log. */
export class SpillQueue {
  readonly #options: SpillQueueOptions
  readonly #bell: Doorbell
  #groups: Group[] = []
  #open: Group | undefined
  #pendingBytes = 0
  #copyBytes = 0
  /** The write that is under way; what it writes is not in `#groups`. */
  #writing: Promise<void> | undefined
  #running: Promise<void> | undefined
  #isRunning = false
  #isClosing = false
  #isClosed = false
  /** Size of the record that was refused last. */
  #refusedBytes = 0
  #troubleSinceMs: number | undefined
  #loggedMs = Number.NEGATIVE_INFINITY
  #roomWaits: (() => void)[] = []
  #idleWaits: (() => void)[] = []
  #spilledCount = 0
  readonly #builders: GroupBuilder[] = []

  constructor(options: SpillQueueOptions) {
    this.#options = options
    this.#bell = new Doorbell(options.clock)
  }

  /** Whether nothing waits and nothing is being written. */
  get isIdle(): boolean {
    return this.#groups.length === 0 && this.#writing === undefined
  }

  /** Whether a write is under way. */
  get isWriting(): boolean {
    return this.#writing !== undefined
  }

  /** Bytes that wait to be written or are being written. */
  get pendingBytes(): number {
    return this.#pendingBytes + this.#copyBytes
  }

  /** Whether the disk refuses. */
  get isInTrouble(): boolean {
    return this.#troubleSinceMs !== undefined
  }

  /** Records written since the start, copies included. */
  get spilledCount(): number {
    return this.#spilledCount
  }

  /** Whether the record that was refused last would go beyond `bytesMax`. */
  get isFull(): boolean {
    return (
      this.#options.log.bytes + this.pendingBytes + this.#refusedBytes + GROUP_HEADER_BYTES > this.#options.bytesMax
    )
  }

  /** Takes a record; `false` if there is no room. */
  add(record: AppendRecord, listener: OutletListener): boolean {
    const bytes = spilledBytesOf(record) + (this.#open === undefined ? GROUP_HEADER_BYTES : 0)
    if (!this.#hasRoomFor(bytes)) {
      this.#refusedBytes = bytes
      return false
    }
    this.#put(record, listener)
    this.#start()
    return true
  }

  /** Takes records back in that had been taken out, in their order, before anything else. */
  putBack(entries: readonly SpillEntry[]): void {
    for (const { record, listener } of entries) this.#put(record, listener)
    this.#start()
  }

  /**
   * Takes copies, ahead of everything that is added later.
   *
   * @returns How many there were.
   */
  addCopies(records: Iterable<AppendRecord>, copies: CopiesListener): number {
    this.#open = undefined
    const nowMs = this.#options.clock.now()
    const builders: GroupBuilder[] = []
    for (const record of records) {
      let builder = builders.at(-1)
      if (builder === undefined || builder.sizeBytes >= GROUP_BYTES) builders.push((builder = this.#newBuilder()))
      builder.add(record, nowMs)
    }
    const addedAtMs = this.#options.clock.monotonicMs()
    for (const [index, builder] of builders.entries()) {
      const isLast = index === builders.length - 1
      this.#groups.push({ builder, entries: [], copies: isLast ? copies : undefined, isCopy: true, addedAtMs })
      this.#copyBytes += builder.sizeBytes
    }
    if (builders.length === 0) copies.safe()
    this.#start()
    return builders.reduce((sum, builder) => sum + builder.recordCount, 0)
  }

  /** Resolves when the write that is under way has ended, well or not. */
  async written(): Promise<void> {
    await this.#writing
  }

  /** Takes out what was not written; copies are dropped. Not to be called while a write is under way. */
  takeBack(): SpillEntry[] {
    const groups = this.#groups
    this.#groups = []
    this.#open = undefined
    this.#pendingBytes = 0
    this.#copyBytes = 0
    for (const group of groups) group.copies?.dropped()
    this.#wake()
    return groups.flatMap(group => group.entries)
  }

  /** Resolves when a record may find room, or the queue is closed. */
  room(): Promise<void> {
    if (this.#isClosed || this.#hasRoomFor(this.#refusedBytes)) return Promise.resolve()
    return new Promise(resolve => this.#roomWaits.push(resolve))
  }

  /** Something below has changed: there may be room. */
  wake(): void {
    this.#wake()
  }

  /** Resolves when everything taken so far is on disk or has failed. */
  async idle(): Promise<void> {
    while (!this.isIdle && !this.#isClosed) await new Promise<void>(resolve => this.#idleWaits.push(resolve))
  }

  /** Writes what waits, fails what the disk does not take at once, then ends. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosing = true
    this.#bell.ring()
    await this.#running
    this.#isClosed = true
    this.#fail(this.#groups, this.#failure('the producer ended while the disk refused'))
    this.#groups = []
    this.#wake()
  }

  #hasRoomFor(bytes: number): boolean {
    const { log, bytesMax, pendingBytesMax } = this.#options
    if (log.bytes + this.pendingBytes + bytes + GROUP_HEADER_BYTES > bytesMax) return false
    return this.#pendingBytes === 0 || this.#pendingBytes + bytes <= pendingBytesMax
  }

  #put(record: AppendRecord, listener: OutletListener): void {
    let open = this.#open
    if (open === undefined) {
      const addedAtMs = this.#options.clock.monotonicMs()
      open = { builder: this.#newBuilder(), entries: [], copies: undefined, isCopy: false, addedAtMs }
      this.#pendingBytes += open.builder.sizeBytes
      this.#groups.push(open)
      this.#open = open
    }
    const before = open.builder.sizeBytes
    open.builder.add(record, this.#options.clock.now())
    open.entries.push({ record, listener })
    this.#pendingBytes += open.builder.sizeBytes - before
    if (open.builder.sizeBytes >= GROUP_BYTES) this.#open = undefined
  }

  #newBuilder(): GroupBuilder {
    return this.#builders.pop() ?? new GroupBuilder()
  }

  /** Memory of a group is used again: made anew for each, it would be garbage faster than it is collected. */
  #release(builder: GroupBuilder): void {
    if (this.#builders.length >= BUILDERS_KEPT || builder.heldBytes > 2 * GROUP_BYTES) return
    builder.reset()
    this.#builders.push(builder)
  }

  #start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    await Promise.resolve() // all records of one hand-over belong to one write
    while (this.#groups.length > 0) {
      await this.#writeOnce()
      if (!this.isInTrouble) continue
      if (this.#isClosing) break
      this.#expire()
      if (this.#groups.length > 0) await this.#bell.wait(RETRY_MS)
    }
    this.#isRunning = false // in one turn with the last look: nothing that is added can be overlooked
  }

  async #writeOnce(): Promise<void> {
    this.#writing = this.#write()
    await this.#writing
    this.#writing = undefined
    this.#wake()
  }

  async #write(): Promise<void> {
    this.#open = undefined
    const groups: Group[] = []
    let bytes = 0
    while (this.#groups.length > 0 && bytes < WRITE_BYTES) {
      const group = this.#groups.shift()
      if (group === undefined) break
      groups.push(group)
      bytes += group.builder.sizeBytes
    }
    try {
      await this.#options.log.append(groups.map(group => group.builder))
    } catch (error) {
      this.#groups.unshift(...groups)
      this.#noteTrouble(error)
      return
    }
    this.#noteWorks()
    for (const group of groups) this.#safe(group)
    this.#options.onWritten()
  }

  #safe({ builder, entries, copies, isCopy }: Group): void {
    if (isCopy) this.#copyBytes -= builder.sizeBytes
    else this.#pendingBytes -= builder.sizeBytes
    this.#spilledCount += builder.recordCount
    this.#release(builder)
    copies?.safe()
    for (const [listener, records] of byListener(entries)) {
      const rows = records.flatMap(record => record.row ?? [])
      listener.spilled?.(records.length, rows)
    }
  }

  /** Fails what has waited too long, from the oldest on. */
  #expire(): void {
    const { clock, timeoutMs, onTimeout } = this.#options
    const untilMs = clock.monotonicMs() - timeoutMs
    if ((this.#groups[0]?.addedAtMs ?? Infinity) > untilMs) return
    onTimeout()
    const expired = this.#groups.filter(group => group.isCopy || group.addedAtMs <= untilMs)
    this.#groups = this.#groups.filter(group => !expired.includes(group))
    this.#open = undefined
    this.#fail(expired, this.#failure(`the disk has refused for ${timeoutMs} ms`))
    this.#wake()
  }

  #fail(groups: readonly Group[], error: PipelineError): void {
    for (const { builder, entries, copies, isCopy } of groups) {
      if (isCopy) this.#copyBytes -= builder.sizeBytes
      else this.#pendingBytes -= builder.sizeBytes
      copies?.dropped()
      for (const [listener, records] of byListener(entries)) listener.failed(error, records)
    }
  }

  #failure(reason: string): PipelineError {
    const text = `Kafka is away, and the event could not be written to ${this.#options.log.folder}: ${reason}`
    return new PipelineError('ERR_PRODUCER_SPILL_FAILED', text)
  }

  #noteTrouble(error: unknown): void {
    const nowMs = this.#options.clock.monotonicMs()
    this.#troubleSinceMs ??= nowMs
    if (nowMs - this.#loggedMs < LOG_MS) return
    this.#loggedMs = nowMs
    const fields = { folder: this.#options.log.folder, errno: systemErrorCode(error), error: messageOf(error) }
    const text = 'events cannot be spilled, sources wait until the disk takes them or Kafka is back'
    this.#options.logger.error(fields, `${text}; ${diskRemedy(error)}`)
  }

  #noteWorks(): void {
    if (this.#troubleSinceMs === undefined) return
    const troubleMs = Math.round(this.#options.clock.monotonicMs() - this.#troubleSinceMs)
    this.#troubleSinceMs = undefined
    this.#loggedMs = Number.NEGATIVE_INFINITY
    this.#options.logger.info({ folder: this.#options.log.folder, troubleMs }, 'the disk takes spilled events again')
  }

  #wake(): void {
    if (this.#isClosed || this.#hasRoomFor(this.#refusedBytes)) for (const wake of this.#roomWaits.splice(0)) wake()
    if (this.#isClosed || this.isIdle) for (const wake of this.#idleWaits.splice(0)) wake()
  }
}

function byListener(entries: readonly SpillEntry[]): Map<OutletListener, AppendRecord[]> {
  const groups = new Map<OutletListener, AppendRecord[]>()
  for (const { record, listener } of entries) {
    const group = groups.get(listener)
    if (group === undefined) groups.set(listener, [record])
    else group.push(record)
  }
  return groups
}
