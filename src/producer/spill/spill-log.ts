/**
 * The spill on disk: groups of records in segment files, read again from a checkpoint on.
 *
 * Records are numbered without gaps from 0 on, over restarts too. One writer
 * appends whole groups and syncs them; one reader goes through them behind it;
 * `retire` moves the checkpoint and removes the segments below it.
 *
 * Invariants:
 * - `append` resolves only after the bytes, and the name of the file they are
 *   in, are durable. Whatever a crash leaves behind them was never acknowledged
 *   and is cut off at the next start.
 * - A segment is removed only after a checkpoint behind it is durable, or after
 *   the checkpoint is gone: then the first segment is the beginning.
 * - After a failed write or sync the same bytes are not synced again: a system
 *   may have dropped them and call the next sync a success. The segment ends
 *   with its last good byte, and the groups are written anew into another.
 * - What is damaged is named, kept under another name and stepped over with its
 *   count; nothing that is sound is left out.
 */

import path from 'node:path'

import { type Clock, messageOf, PipelineError } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { GroupBuilder } from './spill-group.ts'
import { readCheckpoint, removeCheckpoint, writeCheckpoint } from './spill-checkpoint.ts'
import { diskRemedy, type SpillDisk, readAll, systemErrorCode, systemSpillDisk, writeAll } from './spill-disk.ts'
import { lockSpillFolder, type SpillLock } from './spill-lock.ts'
import { type FoundGroup, type Segment, segmentNumber, segmentPath, SegmentReader } from './spill-segment.ts'

/** Options of a spill log. */
export interface SpillLogOptions {
  /** Folder of its own; made if it is not there. */
  readonly folder: string
  /** Size at which a segment is closed, in bytes; one write may go beyond it. */
  readonly segmentBytes: number
  readonly clock: Clock
  readonly logger: Logger
  /** Default: the machine's. */
  readonly disk?: SpillDisk
  /** Takes the lock of the folder. Default `lockSpillFolder`. */
  readonly lock?: (folder: string) => Promise<SpillLock>
}

/** Records that were written together. */
export interface WrittenGroup {
  readonly firstNumber: number
  readonly recordCount: number
}

/** A segment that is being read. */
interface Reading {
  readonly segment: Segment
  readonly fd: number
  readonly reader: SegmentReader
}

/** Least distance of two notes of how old records are, in milliseconds: bounds how many there are. */
const AGE_STEP_MS = 60_000

/** The log. */
export class SpillLog {
  readonly folder: string
  readonly #disk: SpillDisk
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #segmentBytes: number
  readonly #lock: SpillLock
  readonly #segments: Segment[] = []
  /** The segment that is written to. */
  #active: { readonly segment: Segment; readonly fd: number } | undefined
  #bytes = 0
  #nextNumber = 0
  #checkpoint = 0
  #isCheckpointDurable = true
  /** Where reading goes on. */
  #readNumber = 0
  #readPosition = 0
  #reading: Reading | undefined
  /** When records from a number on were written, about. */
  #ages: { readonly number: number; readonly atMs: number }[] = []
  /** Segments with bytes behind their end that the disk has not let go. */
  readonly #leftovers: { readonly path: string; readonly sizeBytes: number }[] = []
  /** Ends when the operation before it has ended: one at a time changes files. */
  #last: Promise<unknown> = Promise.resolve()
  #lostCount = 0
  #setAsideCount = 0
  #isClosed = false

  private constructor(options: SpillLogOptions, lock: SpillLock) {
    this.folder = options.folder
    this.#disk = options.disk ?? systemSpillDisk
    this.#clock = options.clock
    this.#logger = options.logger
    this.#segmentBytes = options.segmentBytes
    this.#lock = lock
  }

  /**
   * Opens the log of a folder and cuts off what a crash has left half written.
   *
   * @throws PipelineError `ERR_PRODUCER_SPILL_LOCKED` if another producer uses the folder,
   *   `ERR_PRODUCER_SPILL_FAILED` if it cannot be read or written.
   */
  static async open(options: SpillLogOptions): Promise<SpillLog> {
    const disk = options.disk ?? systemSpillDisk
    let lock: SpillLock | undefined
    try {
      await disk.makeFolder(options.folder)
      lock = await (options.lock ?? lockSpillFolder)(options.folder)
      const log = new SpillLog(options, lock)
      await log.#recover()
      return log
    } catch (error) {
      await lock?.release()
      if (PipelineError.is(error)) throw error
      const text = `the spill folder ${options.folder} cannot be opened: ${messageOf(error)}; ${diskRemedy(error)}`
      throw new PipelineError('ERR_PRODUCER_SPILL_FAILED', text, { cause: error, fields: { folder: options.folder } })
    }
  }

  /** Bytes of all segments. */
  get bytes(): number {
    return this.#bytes
  }

  /** Number of the next record that is written. */
  get nextNumber(): number {
    return this.#nextNumber
  }

  /** Number of the first record that is not retired. Durable. */
  get checkpoint(): number {
    return this.#checkpoint
  }

  /** Records that are not retired. */
  get recordCount(): number {
    return this.#nextNumber - this.#checkpoint
  }

  /** Whether every record was read. */
  get isReadToEnd(): boolean {
    return this.#readNumber >= this.#nextNumber
  }

  /** Records not yet read. */
  get unreadCount(): number {
    return this.#nextNumber - this.#readNumber
  }

  /** When the oldest record that is not retired was written, to about a minute; `undefined` if there is none. */
  get oldestAtMs(): number | undefined {
    return this.recordCount === 0 ? undefined : this.#ages[0]?.atMs
  }

  /** Records that could not be read because their bytes are damaged or missing, since the log was opened. */
  get lostCount(): number {
    return this.#lostCount
  }

  /** Files set aside since the log was opened. */
  get setAsideCount(): number {
    return this.#setAsideCount
  }

  /**
   * Writes groups and makes them durable. All or none: a group that was written before another failed is written again
   * by the next call.
   *
   * @throws The disk's error. The log goes on: call again when the disk may take it.
   */
  append(builders: readonly GroupBuilder[]): Promise<WrittenGroup[]> {
    return this.#exclusively(() => this.#append(builders))
  }

  /** The next group, `undefined` if there is none yet. Not to be called before the last call has ended. */
  async read(): Promise<FoundGroup | undefined> {
    for (;;) {
      const reading = await this.#openForReading()
      if (reading === undefined) return undefined
      const { segment, reader } = reading
      const look = await reader.look(this.#readPosition, segment.sizeBytes)
      const next = this.#segmentAfter(segment)
      if (look.kind === 'group' && look.group.firstNumber < (next?.firstNumber ?? Infinity)) {
        const { group } = look
        this.#readPosition = group.position + group.sizeBytes
        const end = group.firstNumber + group.recordCount
        if (end <= this.#readNumber) continue
        if (group.firstNumber > this.#readNumber) this.#noteLost(group.firstNumber, segment)
        this.#readNumber = end
        return group
      }
      if (look.kind === 'damaged') await this.#stepOver(reading, next)
      else if (next === undefined) return undefined
      else await this.#endReading(next)
    }
  }

  /** Reading goes on with that record, or with the next one that is written: those before it are on their way. */
  async skipTo(number: number): Promise<void> {
    const readNumber = Math.min(number, this.#nextNumber)
    if (readNumber <= this.#readNumber) return
    this.#readNumber = readNumber
    const segment = this.#segments.findLast(each => each.firstNumber <= readNumber)
    if (this.#reading !== undefined && this.#reading.segment !== segment) await this.#stopReading()
  }

  /**
   * Moves the checkpoint to that record and removes what is below it. Durable when it resolves.
   *
   * @returns `false` if the disk is so full that there is no checkpoint: until the next one a crash repeats what the
   *   first segment holds.
   */
  retire(number: number): Promise<boolean> {
    return this.#exclusively(() => this.#retire(number))
  }

  /** Keeps a group that nobody takes under a name that is not read again. */
  async setAside(name: string, bytes: Buffer): Promise<string> {
    const file = path.join(this.folder, name)
    const fd = await this.#disk.open(file, true)
    try {
      await writeAll(this.#disk, { fd, position: 0 }, bytes)
      await this.#disk.sync(fd)
    } finally {
      await this.#disk.close(fd)
    }
    await this.#disk.syncFolder(this.folder)
    this.#setAsideCount += 1
    return file
  }

  /** Closes files and gives back the lock. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#last.catch(() => undefined)
    await this.#stopReading()
    await this.#closeActive()
    await this.#cutLeftovers()
    await this.#lock.release()
  }

  #exclusively<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.#last.then(operation, operation)
    this.#last = result.catch(() => undefined)
    return result
  }

  async #append(builders: readonly GroupBuilder[]): Promise<WrittenGroup[]> {
    await this.#cutLeftovers()
    const madeAtMs = this.#clock.now()
    const written: WrittenGroup[] = []
    const buffers: Buffer[] = []
    let number = this.#nextNumber
    for (const builder of builders) {
      buffers.push(builder.build(number, madeAtMs))
      written.push({ firstNumber: number, recordCount: builder.recordCount })
      number += builder.recordCount
    }
    const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0)
    const { segment, fd } = await this.#segmentFor(bytes)
    try {
      let position = segment.sizeBytes
      for (const buffer of buffers) {
        await writeAll(this.#disk, { fd, position }, buffer)
        position += buffer.length
      }
      await this.#disk.sync(fd)
    } catch (error) {
      await this.#giveUpActive()
      throw error
    }
    segment.sizeBytes += bytes
    this.#bytes += bytes
    this.#nextNumber = number
    this.#noteAge(written[0]?.firstNumber ?? number, madeAtMs)
    return written
  }

  async #segmentFor(bytes: number): Promise<{ readonly segment: Segment; readonly fd: number }> {
    const active = this.#active
    if (active !== undefined) {
      const { sizeBytes } = active.segment
      if (sizeBytes === 0 || sizeBytes + bytes <= this.#segmentBytes) return active
      await this.#closeActive()
    }
    const file = segmentPath(this.folder, this.#nextNumber)
    const fd = await this.#disk.open(file, true)
    try {
      if ((await this.#disk.sizeOf(fd)) > 0) await this.#disk.truncate(fd, 0) // what a failed attempt has left
      await this.#disk.syncFolder(this.folder)
    } catch (error) {
      await this.#disk.close(fd).catch(() => undefined)
      throw error
    }
    const segment = { firstNumber: this.#nextNumber, path: file, sizeBytes: 0 }
    this.#segments.push(segment)
    this.#active = { segment, fd }
    return this.#active
  }

  /** Ends the active segment with its last good byte. Best effort: what is left behind it does not count. */
  async #giveUpActive(): Promise<void> {
    const active = this.#active
    if (active === undefined) return
    const { segment, fd } = active
    this.#active = undefined
    try {
      try {
        await this.#disk.truncate(fd, segment.sizeBytes)
      } finally {
        await this.#disk.close(fd)
      }
      if (segment.sizeBytes === 0) await this.#disk.remove(segment.path)
    } catch (error) {
      this.#leftovers.push({ path: segment.path, sizeBytes: segment.sizeBytes })
      this.#logger.warn({ file: segment.path, error: messageOf(error) }, 'the end of a spill segment was not cut off')
    }
    // Another one with the same first number takes its place.
    if (segment.sizeBytes === 0) this.#segments.splice(this.#segments.indexOf(segment), 1)
  }

  /**
   * Cuts off what refused writes have left: whoever handed it over was told that it is not on disk, and the next start
   * would replay it.
   */
  async #cutLeftovers(): Promise<void> {
    for (let left = this.#leftovers[0]; left !== undefined; left = this.#leftovers[0]) {
      const { path: file, sizeBytes } = left
      const isKept = this.#segments.some(segment => segment.path === file)
      try {
        // One that began with the refused write may have been made anew since; others may have been retired.
        if (sizeBytes === 0 && !isKept) await this.#disk.remove(file)
        if (sizeBytes > 0 && isKept) await this.#shorten(file, sizeBytes)
      } catch {
        return // the next write, or the end, tries again
      }
      this.#leftovers.shift()
    }
  }

  async #shorten(file: string, sizeBytes: number): Promise<void> {
    const fd = await this.#disk.open(file, false)
    try {
      await this.#disk.truncate(fd, sizeBytes)
      await this.#disk.sync(fd)
    } finally {
      await this.#disk.close(fd)
    }
  }

  async #retire(number: number): Promise<boolean> {
    if (number <= this.#checkpoint && this.#isCheckpointDurable) return true
    const checkpoint = Math.max(number, this.#checkpoint)
    this.#isCheckpointDurable = false
    this.#isCheckpointDurable = await this.#saveCheckpoint(checkpoint)
    this.#checkpoint = checkpoint
    while ((this.#ages[1]?.number ?? Infinity) <= number) this.#ages.shift()
    if (number >= this.#nextNumber) this.#ages = []
    await this.#removeRetired()
    return this.#isCheckpointDurable
  }

  /** A full disk must not keep the spill from getting smaller: then there is no checkpoint rather than an old one. */
  async #saveCheckpoint(number: number): Promise<boolean> {
    try {
      await writeCheckpoint(this.#disk, this.folder, number)
      return true
    } catch (error) {
      if (!['ENOSPC', 'EDQUOT'].includes(systemErrorCode(error))) throw error
      await removeCheckpoint(this.#disk, this.folder)
      return false
    }
  }

  async #removeRetired(): Promise<void> {
    let removedCount = 0
    for (let segment = this.#segments[0]; segment !== undefined; segment = this.#segments[0]) {
      const endNumber = this.#segments[1]?.firstNumber ?? this.#nextNumber
      if (endNumber > this.#checkpoint || this.#readNumber < endNumber) break
      if (this.#reading?.segment === segment) await this.#stopReading()
      if (this.#active?.segment === segment) await this.#closeActive()
      this.#segments.shift()
      this.#bytes -= segment.sizeBytes
      removedCount += 1
      await this.#disk.remove(segment.path)
      // Without a checkpoint the first file is the beginning: none may be there again without the one behind it.
      if (!this.#isCheckpointDurable) await this.#disk.syncFolder(this.folder)
    }
    if (removedCount > 0) await this.#disk.syncFolder(this.folder)
  }

  #noteAge(number: number, atMs: number): void {
    const last = this.#ages.at(-1)
    if (last === undefined || atMs - last.atMs >= AGE_STEP_MS) this.#ages.push({ number, atMs })
  }

  async #closeActive(): Promise<void> {
    const active = this.#active
    this.#active = undefined
    if (active !== undefined) await this.#disk.close(active.fd).catch(() => undefined) // it is synced
  }

  #segmentAfter(segment: Segment): Segment | undefined {
    return this.#segments[this.#segments.indexOf(segment) + 1]
  }

  async #openForReading(): Promise<Reading | undefined> {
    if (this.#reading !== undefined) return this.#reading
    if (this.#readNumber >= this.#nextNumber) return undefined
    const segment = this.#segments.findLast(each => each.firstNumber <= this.#readNumber) ?? this.#segments[0]
    if (segment === undefined) return undefined
    const fd = await this.#disk.open(segment.path, false)
    this.#readPosition = 0
    this.#reading = { segment, fd, reader: new SegmentReader(this.#disk, fd) }
    return this.#reading
  }

  async #stopReading(): Promise<void> {
    const reading = this.#reading
    this.#reading = undefined
    if (reading !== undefined) await this.#disk.close(reading.fd).catch(() => undefined) // it was only read
  }

  /** A segment is read to its end, and the next one begins. */
  async #endReading(next: Segment): Promise<void> {
    if (this.#readNumber < next.firstNumber) {
      this.#noteLost(next.firstNumber, next)
      this.#readNumber = next.firstNumber
    }
    await this.#stopReading()
  }

  /** Damaged bytes of a segment are kept under another name, and reading goes on with the next sound group. */
  async #stepOver(reading: Reading, next: Segment | undefined): Promise<void> {
    const { segment, reader } = reading
    const endNumber = next?.firstNumber ?? this.#nextNumber
    const found = await reader.search(this.#readPosition + 1, segment.sizeBytes, this.#readNumber)
    const isFound = found !== undefined && found.firstNumber < endNumber
    const lostCount = (isFound ? found.firstNumber : endNumber) - this.#readNumber
    if (lostCount > 0) await this.#reportDamage(segment, lostCount)
    this.#readNumber += lostCount
    this.#lostCount += lostCount
    this.#readPosition = isFound ? found.position : segment.sizeBytes
  }

  async #reportDamage(segment: Segment, lostCount: number): Promise<void> {
    const kept = `${segment.path}.corrupt`
    await this.#disk.link(segment.path, kept)
    await this.#disk.syncFolder(this.folder)
    this.#setAsideCount += 1
    const fields = { code: 'ERR_PRODUCER_SPILL_CORRUPT', file: segment.path, position: this.#readPosition, lostCount }
    this.#logger.error(
      fields,
      `${lostCount} spilled records cannot be read: ${segment.path} is damaged from byte ${this.#readPosition} on; ` +
        `the file is kept as ${kept}, everything else is replayed. Look for errors of the disk, and publish these ` +
        'records again from where they came from'
    )
  }

  #noteLost(nextNumber: number, segment: Segment): void {
    const lostCount = nextNumber - this.#readNumber
    this.#lostCount += lostCount
    this.#logger.error(
      { code: 'ERR_PRODUCER_SPILL_CORRUPT', file: segment.path, lostCount },
      `${lostCount} spilled records are missing before record ${nextNumber} in ${segment.path}: a segment was ` +
        'removed or cut by somebody else; publish these records again from where they came from'
    )
  }

  async #recover(): Promise<void> {
    const found = await readCheckpoint(this.#disk, this.folder)
    const numbers = (await this.#disk.list(this.folder)).flatMap(name => segmentNumber(name) ?? [])
    for (const firstNumber of numbers.toSorted((a, b) => a - b)) await this.#addSegment(firstNumber)
    let last = this.#segments.at(-1)
    while (last !== undefined) {
      this.#nextNumber = await this.#recoverEnd(last)
      // A segment of which nothing is left is gone: then the one before it is the last, and what it ends with counts.
      if (last === this.#segments.at(-1)) break
      last = this.#segments.at(-1)
    }
    const first = this.#segments[0]?.firstNumber ?? 0
    this.#bytes = this.#segments.reduce((sum, segment) => sum + segment.sizeBytes, 0)
    if (found.kind === 'damaged') {
      this.#logger.error(
        { code: 'ERR_PRODUCER_SPILL_CORRUPT', folder: this.folder },
        `the checkpoint of the spill folder ${this.folder} is damaged: everything in it is replayed, some of it is ` +
          'in Kafka already'
      )
    }
    this.#checkpoint = found.kind === 'number' ? found.number : first
    this.#nextNumber = Math.max(this.#nextNumber, this.#checkpoint)
    this.#readNumber = this.#checkpoint
    this.#ages = this.#ages.filter((age, index) => index === 0 || age.number > this.#checkpoint)
    await this.#removeRetired()
  }

  async #addSegment(firstNumber: number): Promise<void> {
    const file = segmentPath(this.folder, firstNumber)
    const fd = await this.#disk.open(file, false)
    try {
      const sizeBytes = await this.#disk.sizeOf(fd)
      if (sizeBytes === 0) return await this.#disk.remove(file)
      this.#segments.push({ firstNumber, path: file, sizeBytes })
      const look = await new SegmentReader(this.#disk, fd).look(0, sizeBytes)
      if (look.kind === 'group') this.#noteAge(firstNumber, look.group.madeAtMs)
    } finally {
      await this.#disk.close(fd)
    }
  }

  /**
   * Finds the end of the last segment and cuts off what is behind it.
   *
   * @returns The number behind its last record.
   */
  async #recoverEnd(segment: Segment): Promise<number> {
    const fd = await this.#disk.open(segment.path, false)
    try {
      const reader = new SegmentReader(this.#disk, fd)
      let position = 0
      let number = segment.firstNumber
      for (;;) {
        const look = await reader.look(position, segment.sizeBytes)
        if (look.kind === 'end') return number
        // Damage in the middle is the reader's business; only what no sound group follows is an end.
        const group = look.kind === 'group' ? look.group : await reader.search(position + 1, segment.sizeBytes, number)
        if (group === undefined) {
          await this.#cutOff(segment, { fd, position, isWhole: look.kind === 'damaged' && look.isWhole })
          return number
        }
        position = group.position + group.sizeBytes
        number = group.firstNumber + group.recordCount
      }
    } finally {
      await this.#disk.close(fd)
    }
  }

  async #cutOff(
    segment: Segment,
    at: { readonly fd: number; readonly position: number; readonly isWhole: boolean }
  ): Promise<void> {
    const cutBytes = segment.sizeBytes - at.position
    const fields = { file: segment.path, position: at.position, cutBytes }
    if (at.isWhole) {
      const damaged = Buffer.alloc(cutBytes)
      await readAll(this.#disk, at, damaged)
      const kept = await this.setAside(`${path.basename(segment.path)}.corrupt`, damaged)
      this.#logger.error(
        { ...fields, code: 'ERR_PRODUCER_SPILL_CORRUPT' },
        `the last ${cutBytes} bytes of ${segment.path} are whole but damaged; they are kept as ${kept}. After a ` +
          'power failure nothing is missing; else look for errors of the disk'
      )
    } else {
      this.#logger.warn(fields, 'the end of the spill was half written when its producer ended: it was cut off')
    }
    await this.#disk.truncate(at.fd, at.position)
    await this.#disk.sync(at.fd)
    segment.sizeBytes = at.position
    if (at.position > 0) return
    this.#segments.splice(this.#segments.indexOf(segment), 1)
    await this.#disk.remove(segment.path)
    await this.#disk.syncFolder(this.folder)
  }
}
