/**
 * Where rows go that leave a stage undelivered: into the next retry topic, or into the dead letter topic.
 *
 * A row that failed goes to the next tier; one that follows an earlier record
 * of its key goes to where that one is. With a row go all other rows of its key
 * that are still in its batch: later ones may not be sent before it is done, and
 * earlier ones (a transform may fail over a later row while an earlier one is
 * still tried) would come behind it if they were put aside after it.
 *
 * The book is written to before a record is appended (nobody may overtake it
 * from then on). While the book is full, rows with new keys wait here, and with
 * them their batch: so the lane comes to rest. Rows that have room are written
 * before that wait, so that waiting batches never hold up each other. Rows out of
 * a retry topic never wait: they are no new work, and what makes room.
 */

import type { AppendRecord } from '../../client/index.ts'
import type { Clock } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { AsideWriter } from '../aside-writer.ts'
import type { DeadLetterAside } from '../dead-letters.ts'
import { PARKED } from '../delivery.ts'
import type { Aside, BatchContext } from '../lane-surroundings.ts'
import type { Meters } from '../meters.ts'
import type { DeadRow } from '../settlement.ts'
import { type RetryHistory, withHistory } from './retry-headers.ts'
import type { RetryTier } from './retry-topics.ts'
import { keyNameOf, type StationBook } from './station-book.ts'

/** What has become of a row before its batch. */
export type PastOf = (
  row: number
) => Pick<RetryHistory, 'attempts' | 'firstFailureMs'> & { readonly fromOffset: bigint }

/** What all asides of a dispatcher share. */
export interface ParkingSurroundings {
  readonly groupId: string
  readonly writer: Pick<AsideWriter, 'write'>
  readonly deadLetters: Pick<DeadLetterAside, 'putSince'>
  /** Whether later records of a key wait behind an earlier one. */
  readonly keepsKeyOrder: boolean
  /** Age since its first failure at which a record is not tried again. */
  readonly ageMaxMs: number | undefined
  readonly meters: Meters
  readonly clock: Clock
  readonly logger: Logger
}

/** What the aside of one stage of one partition is made from. */
export interface StageAsideOptions {
  readonly around: ParkingSurroundings
  readonly book: StationBook
  readonly tiers: readonly RetryTier[]
  /** 0 for the topic itself. */
  readonly stage: number
  /** Topic of this stage. */
  readonly stageTopic: string
  /** Ends waits for room: the partition is given back. */
  readonly stopping: AbortSignal
  /** Told when rows begin and end to wait because the book is full. */
  readonly onFull: (isFull: boolean) => void
}

interface Parked {
  readonly dead: DeadRow
  readonly stage: number
}

/** Error classes that another attempt cannot change. */
const FINAL: ReadonlySet<string> = new Set([
  'MalformedRecord',
  'RecordTooLarge',
  'PayloadTooLarge',
  'TargetVerdict',
  'Expired'
])
const FOLLOWS = 'an earlier record of its key waits in a retry topic'

/** Puts the rows of one stage aside. */
export class StageAside implements Aside {
  readonly #options: StageAsideOptions
  readonly #pastOf: PastOf | undefined

  /** @param pastOf - What has become of a row before, for rows out of a retry topic. */
  constructor(options: StageAsideOptions, pastOf?: PastOf) {
    this.#options = options
    this.#pastOf = pastOf
  }

  /** Puts rows where they belong. `false` if the signal aborted before all were safe. */
  async put(batch: BatchContext, rows: readonly DeadRow[], signal: AbortSignal): Promise<boolean> {
    const { parked, dead } = this.#sort(batch, rows)
    const withdrawn = this.#followers(batch, parked)
    const all = [...parked, ...withdrawn].toSorted((a, b) => a.dead.row - b.dead.row)
    if (!(await this.#park(batch, all, { signal, dead }))) return false
    if (dead.length > 0 && !(await this.#putDead(batch, dead, signal))) return false
    for (const { dead: row } of withdrawn) batch.settlement.leave(row.row)
    return true
  }

  #putDead(batch: BatchContext, dead: readonly DeadRow[], signal: AbortSignal): Promise<boolean> {
    const firstFailureMs = (row: number): number | undefined => this.#firstFailureMs(batch, row)
    return this.#options.around.deadLetters.putSince(batch, dead, { signal, firstFailureMs })
  }

  #sort(batch: BatchContext, rows: readonly DeadRow[]): { parked: Parked[]; dead: DeadRow[] } {
    const { book, stage } = this.#options
    const parked: Parked[] = []
    const dead: DeadRow[] = []
    for (const given of rows) {
      const attempts = given.attempts + (this.#pastOf?.(given.row).attempts ?? 0)
      const row = { ...given, attempts }
      const isFollower = given.errorClass === PARKED
      if (!isFollower && this.#isExpired(batch, given)) dead.push({ ...row, errorClass: 'Expired' })
      else if (stage >= book.lastStage || FINAL.has(given.errorClass)) dead.push(row)
      else if (isFollower) {
        // What it follows may be done by now; then it waits for a turn in the first tier behind this stage.
        const follow = book.followStage(this.#nameOf(batch, given.row), stage) ?? stage + 1
        parked.push({ dead: { ...row, reason: FOLLOWS }, stage: follow })
      } else parked.push({ dead: row, stage: stage + 1 })
    }
    return { parked, dead }
  }

  /** Other rows of the batch whose key is put aside now. */
  #followers(batch: BatchContext, parked: readonly Parked[]): Parked[] {
    const firsts = new Map<string, Parked>()
    for (const each of parked) {
      const name = this.#nameOf(batch, each.dead.row)
      if (name !== undefined && each.dead.errorClass !== PARKED && !firsts.has(name)) firsts.set(name, each)
    }
    if (firsts.size === 0) return []
    const firstOf = (row: number): Parked | undefined => firsts.get(this.#nameOf(batch, row) ?? '')
    const withdrawn = batch.settlement.withdraw(row => firstOf(row) !== undefined)
    return withdrawn.map(({ row, attempts }) => {
      const before = this.#pastOf?.(row).attempts ?? 0
      const dead = { row, errorClass: PARKED, reason: FOLLOWS, attempts: before + attempts }
      return { dead, stage: firstOf(row)?.stage ?? this.#options.stage + 1 }
    })
  }

  /** Appends rows to the topics of their stages. What is too large for its topic is added to `dead`. */
  async #park(
    batch: BatchContext,
    parked: readonly Parked[],
    { signal, dead }: { signal: AbortSignal; dead: DeadRow[] }
  ): Promise<boolean> {
    const { book, around } = this.#options
    for (let next = 0; next < parked.length;) {
      const records = new Map<AppendRecord, Parked>()
      for (; next < parked.length; next += 1) {
        const each = parked[next]
        if (each === undefined) break
        const name = this.#nameOf(batch, each.dead.row)
        if (this.#options.stage === 0 && name !== undefined && book.isFull && !book.holds(name)) break
        book.enter(name, each.stage)
        records.set(this.#recordOf(batch, each), each)
      }
      const tooLarge = (record: AppendRecord): undefined => {
        const each = records.get(record)
        if (each === undefined) return
        book.leave(this.#nameOf(batch, each.dead.row), each.stage)
        const reason = `too large for the retry topic ${record.topic}: ${each.dead.reason}`
        dead.push({ ...each.dead, reason })
        records.delete(record)
      }
      if (!(await around.writer.write([...records.keys()], { signal, tooLarge }))) return false
      for (const [record, { stage }] of records) around.meters.parked(record.topic, stage)
      if (next < parked.length && !(await this.#room(signal))) return false
    }
    return true
  }

  #recordOf(batch: BatchContext, { dead, stage }: Parked): AppendRecord {
    const { topic, partition, table } = batch
    const { around, tiers, stageTopic } = this.#options
    const nowMs = around.clock.now()
    const past = this.#pastOf?.(dead.row)
    const history: RetryHistory = {
      topic,
      partition,
      offset: table.offset(dead.row),
      timestampMs: table.timestampMs(dead.row),
      groupId: around.groupId,
      attempts: dead.attempts,
      errorClass: dead.errorClass,
      reason: dead.reason,
      firstFailureMs: this.#firstFailureMs(batch, dead.row) ?? nowMs,
      lastFailureMs: nowMs,
      parkedMs: nowMs,
      fromTopic: stageTopic,
      fromOffset: past?.fromOffset ?? table.offset(dead.row)
    }
    return {
      topic: tiers[stage - 1]?.topic ?? '',
      partition,
      key: table.key(dead.row),
      value: table.value(dead.row),
      headers: withHistory(table.headers(dead.row), history),
      // Not the record's own: retention would delete an old record before its turn.
      timestampMs: nowMs
    }
  }

  /** Waits until the book has room. `false` if the partition is given back meanwhile. */
  async #room(signal: AbortSignal): Promise<boolean> {
    const { book, onFull, stopping } = this.#options
    if (!book.isFull) return true
    onFull(true)
    const ended = AbortSignal.any([signal, stopping])
    let stop: () => void = () => undefined
    await new Promise<void>(resolve => {
      stop = resolve
      if (ended.aborted) resolve()
      else ended.addEventListener('abort', stop, { once: true })
      book.onRoom(resolve)
    })
    ended.removeEventListener('abort', stop)
    onFull(false)
    return !ended.aborted
  }

  #isExpired(batch: BatchContext, { row }: DeadRow): boolean {
    const { ageMaxMs, clock } = this.#options.around
    if (ageMaxMs === undefined) return false
    const sinceMs = this.#firstFailureMs(batch, row)
    return sinceMs !== undefined && clock.now() - sinceMs >= ageMaxMs
  }

  #firstFailureMs(batch: BatchContext, row: number): number | undefined {
    const past = this.#pastOf?.(row)
    // A record that only followed has not failed yet.
    return past === undefined || past.attempts === 0 ? batch.firstFailureMs : past.firstFailureMs
  }

  #nameOf({ table }: BatchContext, row: number): string | undefined {
    return this.#options.around.keepsKeyOrder ? keyNameOf(table.key(row)) : undefined
  }
}
