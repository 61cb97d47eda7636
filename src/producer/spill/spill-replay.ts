/**
 * From the spill to Kafka: reads groups in order, hands their records to the
 * appender, and moves the checkpoint behind what is acknowledged.
 *
 * It goes one small step at a time and never waits for the appender itself, so
 * that whoever runs it can stop or turn to something else between two steps.
 *
 * Invariants: records reach the appender in the order of the log, and none is
 * more than `AHEAD_RECORDS` or `AHEAD_BYTES` (and one group) beyond the durable
 * checkpoint: that is what a crash repeats at most. A record leaves the log only
 * with an acknowledgement, of itself or of its dead letter, or into a file of its own.
 */

import type { Appender, AppendRecord } from '../../client/index.ts'
import { type Clock, type Doorbell, messageOf, type PipelineError, sleep } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { SpillPace } from '../outlet.ts'
import { isRecordFault } from '../record-faults.ts'
import { Retirement, type RetirementUnit } from './retirement.ts'
import { diskRemedy } from './spill-disk.ts'
import { GroupBuilder, readRecords } from './spill-group.ts'
import { letterOf } from './spill-letters.ts'
import { ReplayListener, type SpillHost } from './spill-listeners.ts'
import type { SpillLog } from './spill-log.ts'

/** Most records that are replayed beyond the durable checkpoint. */
export const AHEAD_RECORDS = 16_384
/** Most bytes that are replayed beyond the durable checkpoint. */
export const AHEAD_BYTES = 8_388_608

/** Pause between two checkpoints, in milliseconds, as long as there is room ahead. */
const CHECKPOINT_MS = 50
/** Pause after trouble with the disk, or before records that the cluster refused are sent again, in milliseconds. */
const RETRY_MS = 1000

/** A record of the log on its way to the appender. */
interface Sending {
  readonly record: AppendRecord
  readonly unit: RetirementUnit
}

/** What a step has done: gone on; found the end of the log; found nothing that can be done now. */
export type ReplayStep = 'moved' | 'end' | 'wait'

/** What a replay needs. */
export interface SpillReplayOptions {
  readonly log: SpillLog
  readonly appender: Pick<Appender, 'append' | 'bufferedBytes'>
  readonly clock: Clock
  readonly logger: Logger
  readonly deadLetterTopic: string
  /** Asked before each record, where a rate limit spills. */
  readonly pace?: () => SpillPace | undefined
  readonly host: SpillHost
  /** Rung when a step may do more than before. */
  readonly bell: Doorbell
  /** The checkpoint has moved. */
  readonly onRetired: () => void
}

/** Replays a spill. */
export class SpillReplay {
  readonly #options: SpillReplayOptions
  readonly #retirement: Retirement
  /** Groups beyond the durable checkpoint. */
  #ahead: { readonly endNumber: number; readonly recordCount: number; readonly bytes: number }[] = []
  #aheadRecords = 0
  #aheadBytes = 0
  /** The group that is being handed over. */
  #records: readonly AppendRecord[] = []
  #recordAt = 0
  /** Whether the next record has paid at the rate limit: the appender had no room for it. */
  #hasPaid = false
  #listener: ReplayListener | undefined
  /** Dead letters of records that Kafka refused, to be sent before anything else. */
  readonly #letters: Sending[] = []
  /** Records that the cluster refused, to be sent again once nothing else is on its way. */
  #again: Sending[] = []
  #againAtMs = 0
  #skipNumber = 0
  #isSaving = false
  #isStopped = false
  #deadLetteredCount = 0
  #replayedCount = 0
  #readTroubleMs = Number.NEGATIVE_INFINITY

  constructor(options: SpillReplayOptions) {
    this.#options = options
    this.#retirement = new Retirement(options.log.checkpoint)
  }

  /** Records acknowledged from the log since the start. */
  get replayedCount(): number {
    return this.#replayedCount
  }

  /** Records of the log that became dead letters since the start. */
  get deadLetteredCount(): number {
    return this.#deadLetteredCount
  }

  /** Whether everything in the log was handed to the appender, or is there from before. */
  get isAtEnd(): boolean {
    const { nextNumber, unreadCount } = this.#options.log
    const isSent = this.#recordAt >= this.#records.length && !this.hasResends
    return isSent && Math.max(this.#skipNumber, nextNumber - unreadCount) >= nextNumber
  }

  /** Whether records that were refused, or their letters, are to be sent. */
  get hasResends(): boolean {
    return this.#letters.length > 0 || this.#again.length > 0
  }

  /** Whether everything that was handed over has its outcome. */
  get isSettled(): boolean {
    return this.#retirement.openCount === 0
  }

  /** Begins a unit of copies whose originals are in the appender: they are not read, but acknowledged like others. */
  skip(recordCount: number): RetirementUnit {
    this.#skipNumber = this.#options.log.nextNumber + recordCount
    return this.#retirement.open(this.#skipNumber, recordCount)
  }

  /** Copies were not written after all. */
  unskip(unit: RetirementUnit): void {
    const { nextNumber } = this.#options.log
    this.#skipNumber = Math.min(this.#skipNumber, nextNumber)
    this.#retirement.abandon(unit, nextNumber)
  }

  /** Records of a unit have their outcome. */
  settle(unit: RetirementUnit, recordCount: number): void {
    this.#retirement.settle(unit, recordCount)
    this.#replayedCount += recordCount
    this.save()
  }

  /** Records of a unit were given up by the appender. */
  refused(error: PipelineError, records: readonly AppendRecord[], unit: RetirementUnit): void {
    if (this.#isStopped) return
    if (!isRecordFault(error)) {
      for (const record of records) this.#again.push({ record, unit })
      this.#againAtMs = this.#options.clock.monotonicMs() + RETRY_MS
      const fields = { code: error.code, recordCount: records.length }
      this.#options.logger.warn(fields, `Kafka refuses spilled records, they are sent again: ${error.message}`)
      return
    }
    for (const record of records) this.#refuse(record, error, unit)
  }

  /** Does the next thing. */
  async step(): Promise<ReplayStep> {
    const { log } = this.#options
    if (!this.#sendLetters()) return 'wait'
    if (this.#again.length > 0) return this.#sendAgain() ? 'moved' : 'wait'
    if (!this.#sendGroup() || this.#isTooFarAhead()) return 'wait'
    try {
      await log.skipTo(this.#skipNumber)
      const group = await log.read()
      if (group === undefined) {
        this.#passLost()
        return 'end'
      }
      const endNumber = group.firstNumber + group.recordCount
      // The checkpoint may lie within a group, and copies may have been written since the skip.
      const skipped = Math.max(0, Math.max(log.checkpoint, this.#skipNumber) - group.firstNumber)
      if (skipped >= group.recordCount) return 'moved'
      const recordCount = group.recordCount - skipped
      this.#records = readRecords(group.bytes)
      this.#recordAt = skipped
      const unit = this.#retirement.open(endNumber, recordCount)
      this.#listener = new ReplayListener(unit, this.#options.host)
      this.#ahead.push({ endNumber, recordCount, bytes: group.sizeBytes })
      this.#aheadRecords += recordCount
      this.#aheadBytes += group.sizeBytes
    } catch (error) {
      await this.#noteReadTrouble(error)
      return 'wait'
    }
    return this.#sendGroup() ? 'moved' : 'wait'
  }

  /** Moves the checkpoint behind what is acknowledged, soon. */
  save(): void {
    if (!this.#isSaving && this.#retirableNumber() > this.#options.log.checkpoint) void this.#saveSoon()
  }

  /** Moves the checkpoint now, as far as it goes, and takes no verdict from now on. */
  async stop(): Promise<void> {
    this.#isStopped = true
    const number = this.#retirableNumber()
    try {
      await this.#options.log.retire(number)
    } catch (error) {
      this.#noteCheckpointTrouble(error)
    }
  }

  /** Records at the end of the log that cannot be read have no group behind them that would take them along. */
  #passLost(): void {
    const { nextNumber, unreadCount } = this.#options.log
    if (nextNumber - unreadCount <= this.#retirement.openedTo) return
    this.#retirement.open(nextNumber - unreadCount, 0)
    this.save()
  }

  #retirableNumber(): number {
    return Math.min(this.#retirement.retirable, this.#options.log.nextNumber)
  }

  async #saveSoon(): Promise<void> {
    const { clock, log, bell, onRetired } = this.#options
    this.#isSaving = true
    const hasRoom = this.#aheadRecords < AHEAD_RECORDS / 2 && this.#aheadBytes < AHEAD_BYTES / 2
    if (hasRoom && !(this.isAtEnd && this.isSettled)) await sleep(clock, CHECKPOINT_MS)
    try {
      if (!this.#isStopped) await log.retire(this.#retirableNumber())
      this.#trimAhead()
    } catch (error) {
      this.#noteCheckpointTrouble(error)
      await sleep(clock, RETRY_MS)
    }
    this.#isSaving = false
    bell.ring()
    onRetired()
    if (!this.#isStopped) this.save()
  }

  #trimAhead(): void {
    for (let group = this.#ahead[0]; group !== undefined; group = this.#ahead[0]) {
      if (group.endNumber > this.#options.log.checkpoint) return
      this.#ahead.shift()
      this.#aheadRecords -= group.recordCount
      this.#aheadBytes -= group.bytes
    }
  }

  #isTooFarAhead(): boolean {
    return this.#aheadRecords >= AHEAD_RECORDS || this.#aheadBytes >= AHEAD_BYTES
  }

  /** @returns Whether all of the group is handed over. */
  #sendGroup(): boolean {
    const listener = this.#listener
    const pace = this.#options.pace?.()
    for (; this.#recordAt < this.#records.length; this.#recordAt += 1) {
      const record = this.#records[this.#recordAt]
      if (record === undefined || listener === undefined) break
      if (pace !== undefined && !this.#hasPaid && !pace.mayPass(record)) return false
      this.#hasPaid = true
      if (!this.#options.appender.append(record, listener)) return false
      this.#hasPaid = false
    }
    this.#records = []
    this.#recordAt = 0
    return true
  }

  /** @returns Whether all letters are handed over. */
  #sendLetters(): boolean {
    for (let letter = this.#letters[0]; letter !== undefined; letter = this.#letters[0]) {
      if (!this.#options.appender.append(letter.record, new ReplayListener(letter.unit, this.#options.host)))
        return false
      this.#letters.shift()
    }
    return true
  }

  /** @returns Whether records were handed over. They go only when nothing else is on its way, to keep their order. */
  #sendAgain(): boolean {
    const { appender, clock, host } = this.#options
    if (clock.monotonicMs() < this.#againAtMs || appender.bufferedBytes > 0) return false
    const again = this.#again
    this.#again = []
    for (const [index, { record, unit }] of again.entries()) {
      if (appender.append(record, new ReplayListener(unit, host))) continue
      this.#again = again.slice(index)
      break
    }
    return true
  }

  #refuse(record: AppendRecord, error: PipelineError, unit: RetirementUnit): void {
    const letter = letterOf(record, error, this.#options.deadLetterTopic)
    if (letter === undefined) {
      void this.#setAside(record, error, unit)
      return
    }
    if (record.topic !== this.#options.deadLetterTopic) this.#deadLetteredCount += 1
    this.#letters.push({ record: letter, unit })
    this.#options.bell.ring()
  }

  /** A dead letter that no topic takes goes into a file: nothing vanishes. */
  async #setAside(record: AppendRecord, error: PipelineError, unit: RetirementUnit): Promise<void> {
    const { log, clock, logger, host } = this.#options
    const builder = new GroupBuilder()
    builder.add(record, clock.now())
    for (;;) {
      try {
        const file = await log.setAside(`${clock.now()}-${unit.endNumber}.refused`, builder.build(0, clock.now()))
        const fields = { code: 'ERR_PRODUCER_DEAD_LETTER_FAILED', file }
        logger.error(fields, `Kafka takes a spilled dead letter in no form, it is kept in ${file}: ${error.message}`)
        host.settle(unit, 1)
        return
      } catch (cause) {
        this.#noteCheckpointTrouble(cause)
        await sleep(clock, RETRY_MS)
        if (this.#isStopped) return
      }
    }
  }

  async #noteReadTrouble(error: unknown): Promise<void> {
    const { clock, logger, log } = this.#options
    if (clock.monotonicMs() - this.#readTroubleMs > 60_000) {
      this.#readTroubleMs = clock.monotonicMs()
      const text = `spilled records cannot be read, they wait: ${messageOf(error)}; ${diskRemedy(error)}`
      logger.error({ folder: log.folder }, text)
    }
    await sleep(clock, RETRY_MS)
  }

  #noteCheckpointTrouble(error: unknown): void {
    const { logger, log } = this.#options
    const text = `the checkpoint of the spill cannot be written, a crash repeats more: ${messageOf(error)}`
    logger.warn({ folder: log.folder }, `${text}; ${diskRemedy(error)}`)
  }
}
