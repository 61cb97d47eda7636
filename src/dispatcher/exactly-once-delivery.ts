/**
 * Delivers one batch exactly once: each part of it that is done is one transaction, which ends with its offset.
 *
 * ```
 * rows ─┬ group ─ slot ─ transform ─ transaction(records, offset behind the group) ─ settlement ─┐
 *       ├ dead rows ─ transaction(dead letters, offset behind them)                              │
 *       └──────────────────────── what is left, in offset order ────────────────────────────────┘
 * ```
 *
 * Invariant: rows leave in offset order, and a transaction that commits an
 * offset holds all that was made of the rows below it which no earlier one has.
 * So wherever it ends, by a crash too, the committed offset parts what is in the
 * output from what is not. That is why rows that cannot be delivered part the
 * batch into groups, and why the commit pump has no business here.
 *
 * A retry after an aborted transaction uses the records that were made before.
 */

import type { AppendRecord } from '../client/index.ts'
import { backoffMs, type Clock, invariant, messageOf, type PipelineError, sleep } from '../core/index.ts'
import { appendOutcome, type TargetBatch, type TargetOutcome, TOO_LARGE } from '../targets/index.ts'
import { TableRecords } from './batch-records.ts'
import { BatchTrace } from './batch-trace.ts'
import { deadLetterHeaders, shrinkDeadLetter } from './dead-letters.ts'
import { type DeliveryOwner, type DeliveryState, slotResultOf, undeliverableRows } from './delivery.ts'
import type { ExactlyOnceSurroundings, TransactionOutcome } from './exactly-once.ts'
import type { BatchContext, BatchDescription } from './lane-surroundings.ts'
import type { FilledBatch } from './partition-buffer.ts'
import type { RecordTable } from './record-table.ts'
import { recordBytes } from './records-encoder.ts'
import { type DeadRow, type Decision, type Group, Settlement } from './settlement.ts'
import type { Slot } from './slots.ts'
import type { Workspace } from './workspace.ts'

const ASIDE_BACKOFF = { initialMs: 200, maxMs: 30_000 }
/** Wait before a batch is tried again whose offset the group did not take, in milliseconds. */
const MEMBER_WAIT_MS = 50
const OK: TargetOutcome = { kind: 'ok' }
const AGAIN: Decision = { waitMs: 0, deadRows: [], retriedCount: 0, deliveredCount: 0, skippedCount: 0 }

/** One batch on its way. */
export class ExactlyOnceDelivery implements BatchContext {
  readonly settlement: Settlement
  readonly #owner: DeliveryOwner
  readonly #around: ExactlyOnceSurroundings
  readonly #clock: Clock
  readonly #workspace: Workspace
  readonly #filled: FilledBatch
  readonly #beganMs: number
  /** Rows to be put aside, in offset order. */
  #pending: DeadRow[]
  /** What was made of the group that was tried last. */
  #made: { readonly rows: readonly number[]; readonly records: readonly AppendRecord[] } | undefined
  #committed: bigint | undefined
  #firstFailureMs: number | undefined
  #state: DeliveryState = 'waiting'
  #bytes = 0
  #invocations = 0
  readonly #trace: BatchTrace | undefined

  constructor(owner: DeliveryOwner, workspace: Workspace, filled: FilledBatch) {
    const { clock, retry, random, exactlyOnce: around } = owner.around
    invariant(around !== undefined, 'exactly-once delivery needs transactions')
    const { table } = workspace
    this.#owner = owner
    this.#around = around
    this.#clock = clock
    this.#workspace = workspace
    this.#filled = filled
    this.#beganMs = clock.monotonicMs()
    this.#pending = undeliverableRows(filled).sort((left, right) => left.row - right.row)
    this.settlement = new Settlement(table.count, { policy: retry, random, lookup: table })
    this.#trace = BatchTrace.begin({ topic: owner.topic, partition: owner.partition, table, around: owner.around })
  }

  /** Topic of the batch. */
  get topic(): string {
    return this.#owner.topic
  }

  /** Partition of the batch. */
  get partition(): number {
    return this.#owner.partition
  }

  /** Records of the batch. */
  get table(): RecordTable {
    return this.#workspace.table
  }

  /** When the batch failed first, in epoch milliseconds. */
  get firstFailureMs(): number | undefined {
    return this.#firstFailureMs
  }

  /** What it is doing. */
  get state(): DeliveryState {
    return this.#state
  }

  /** Bytes of the records that were tried last. */
  get bytes(): number {
    return this.#bytes
  }

  /** What it is doing, in full. */
  describe(): BatchDescription {
    const { table } = this
    return {
      firstOffset: (table.count === 0 ? table.baseOffset : table.offset(0)).toString(),
      records: table.count,
      bytes: this.#bytes,
      state: this.#state,
      invocations: this.#invocations,
      ageMs: this.#clock.monotonicMs() - this.#beganMs
    }
  }

  /**
   * Sees the batch through.
   *
   * @param firstSlot - Leave for the first transaction; it is released in any case.
   * @returns `false` if the lane stopped or aborted before.
   */
  async run(firstSlot: Slot): Promise<boolean> {
    let isDone = false
    try {
      isDone = await this.#run(firstSlot)
      return isDone
    } finally {
      this.#trace?.end(isDone)
    }
  }

  async #run(firstSlot: Slot): Promise<boolean> {
    this.settlement.beginGroups(this.#runs())
    let slot: Slot | undefined = firstSlot
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        if (next.kind === 'aside') {
          if (!(await this.#putAside(next.rows))) return false
          continue
        }
        slot ??= await this.#acquire()
        if (slot === undefined) return false
        const used = slot
        slot = undefined
        const decision = await this.#send(next.group, used)
        if (decision === undefined) return false
        // They are the first that are left: everything before them is committed.
        this.#pending = [...decision.deadRows, ...this.#pending]
        if (decision.waitMs > 0 && this.settlement.current !== undefined) {
          this.#state = 'retrying'
          if (!(await this.#pause(decision.waitMs))) return false
        }
      }
      return await this.#finish()
    } finally {
      slot?.release({ kind: 'released' })
      firstSlot.end()
    }
  }

  /** The rows to be delivered, parted where one lies between them that cannot be. */
  #runs(): number[][] {
    const excluded = new Set(this.#pending.map(({ row }) => row))
    const runs: number[][] = [[]]
    for (let row = 0; row < this.table.count; row += 1) {
      if (excluded.has(row)) runs.push([])
      else runs.at(-1)?.push(row)
    }
    return runs.filter(run => run.length > 0)
  }

  /** What comes next in offset order. */
  #next():
    | { readonly kind: 'aside'; readonly rows: readonly DeadRow[] }
    | { readonly kind: 'group'; readonly group: Group }
    | undefined {
    const group = this.settlement.current
    const first = group?.rows[0] ?? Number.POSITIVE_INFINITY
    const rows = this.#pending.filter(({ row }) => row < first)
    if (rows.length > 0) return { kind: 'aside', rows }
    return group === undefined ? undefined : { kind: 'group', group }
  }

  #acquire(): Promise<Slot | undefined> {
    if (this.#state !== 'retrying') this.#state = 'waiting'
    const { topic, partition } = this
    return this.#owner.around.slots.acquire(this.#owner.stopping, { topic, partition, isUnderWay: true })
  }

  /** While the breaker is open it alone says when to go on: no own wait on top of its pause. */
  #pause(waitMs: number): Promise<boolean> {
    if (this.#owner.around.slots.breakerState !== 'closed') return Promise.resolve(true)
    return sleep(this.#clock, waitMs, this.#owner.stopping)
  }

  /** One transaction for a group; `undefined` if the lane was aborted meanwhile, or has to start anew. */
  async #send(group: Group, slot: Slot): Promise<Decision | undefined> {
    const { meters, health } = this.#owner.around
    this.#state = 'invoking'
    this.#bytes = group.rows.reduce((sum, row) => sum + recordBytes(this.table, row), 0)
    slot.charge({ records: group.rows.length, bytes: this.#bytes })
    this.#invocations += 1
    if (this.#invocations === 1) meters.topics.of(this.topic).sent(this.#bytes)
    const sentMs = this.#clock.monotonicMs()
    const request = this.#request(group, group.rows.at(-1) ?? 0)
    const trace = this.#trace?.invoke()
    const result = await this.#unlessAborted(
      this.#deliver(group, trace === undefined ? request : { ...request, trace })
    )
    this.#trace?.answered(request, result?.outcome)
    if (result === undefined) {
      slot.release({ kind: 'released' })
      return undefined
    }
    const { outcome, isMember } = result
    if (isMember) {
      // A group in a rebalance says nothing of the target nor of the records, and is soon over it.
      slot.release({ kind: 'released' })
      this.#state = 'retrying'
      return (await sleep(this.#clock, MEMBER_WAIT_MS, this.#owner.stopping)) ? AGAIN : undefined
    }
    const nowMs = this.#clock.monotonicMs()
    meters.invoked(outcome.kind, nowMs - sentMs)
    slot.release(slotResultOf(outcome))
    if (outcome.kind !== 'ok') {
      this.#firstFailureMs ??= this.#clock.now()
      this.#logFailure(group, outcome)
    }
    const decision = this.settlement.apply(outcome, { nowMs, answeredSentMs: health.answeredSentMs })
    if (outcome.kind === 'ok' || outcome.kind === 'rejected') {
      health.answeredSentMs = Math.max(health.answeredSentMs, sentMs)
    }
    meters.decided(decision)
    this.#trace?.decided(decision)
    return decision
  }

  /** Makes the records of a group and writes them with the offset behind it. */
  async #deliver(
    group: Group,
    request: TargetBatch
  ): Promise<{ outcome: TargetOutcome; isMember: boolean } | undefined> {
    const lastRow = group.rows.at(-1) ?? 0
    if (this.#made?.rows !== group.rows) {
      const made = await this.#around.target.make(request, this.#owner.aborting)
      if (made.kind !== 'made') return { outcome: made, isMember: false }
      this.#made = { rows: group.rows, records: made.records }
    }
    const { records } = this.#made
    const transaction = await this.#transaction(records, this.#offsetBehind(lastRow))
    switch (transaction.kind) {
      case 'committed':
        return { outcome: OK, isMember: false }
      case 'aborted': {
        const { error, isMember } = transaction
        if (isMember) return { outcome: { kind: 'unavailable', reason: messageOf(error.cause) }, isMember }
        return { outcome: this.#around.target.failed(error), isMember }
      }
      case 'unknown':
        return undefined
    }
  }

  #request({ rows, sends }: Group, lastRow: number): TargetBatch {
    const { topic, partition, table } = this
    const firstOffset = table.offset(rows[0] ?? 0)
    const lastOffset = table.offset(lastRow)
    const groupName = encodeURIComponent(this.#owner.around.groupId)
    return {
      topic,
      partition,
      recordCount: rows.length,
      firstOffset,
      lastOffset,
      body: Buffer.alloc(0),
      contentType: this.#workspace.encoder.contentType,
      records: new TableRecords(table, rows),
      attempt: sends + 1,
      idempotencyKey: `${groupName}/${topic}/${partition}/${firstOffset}-${lastOffset}`
    }
  }

  #offsetBehind(row: number): bigint {
    return row === this.table.count - 1 ? this.#filled.nextOffset : this.table.offset(row) + 1n
  }

  async #transaction(records: readonly AppendRecord[], offset: bigint): Promise<TransactionOutcome> {
    const { topic, partition } = this
    const outcome = await this.#around.transactions.commitTransaction({
      owner: this.#owner,
      records,
      offset: { topic, partition, offset },
      signal: this.#owner.aborting
    })
    if (outcome.kind === 'committed') this.#committed = offset
    return outcome
  }

  /** Writes dead letters with the offset behind them, as often as it takes. `false` if the lane ended before. */
  async #putAside(rows: readonly DeadRow[]): Promise<boolean> {
    this.#state = 'puttingAside'
    this.#trace?.putAside(rows)
    const { meters } = this.#owner.around
    const letters = this.#deadLetters(rows)
    const offset = this.#offsetBehind(rows.at(-1)?.row ?? 0)
    if (rows.length > 1) {
      const outcome = await this.#unlessAborted(this.#transaction(letters, offset))
      if (outcome === undefined || outcome.kind === 'unknown') return false
      if (outcome.kind === 'aborted') {
        // One after the other: if one is too large, only that one is made smaller.
        for (const row of rows) if (!(await this.#putAside([row]))) return false
        return true
      }
    } else if (!(await this.#commitPersistently(letters, offset))) return false
    this.#pending = this.#pending.slice(rows.length)
    for (const { row, errorClass } of rows) {
      this.settlement.leave(row)
      meters.deadLettered(errorClass)
    }
    return true
  }

  /** What is left of the range when all rows have left: offsets that had no record for us. */
  async #finish(): Promise<boolean> {
    if (!this.settlement.isDone) return false
    if (this.#committed === this.#filled.nextOffset) return true
    return await this.#commitPersistently([], this.#filled.nextOffset)
  }

  async #commitPersistently(records: readonly AppendRecord[], offset: bigint): Promise<boolean> {
    const { random, logger } = this.#owner.around
    let left = records
    for (let failures = 1; ; failures += 1) {
      const outcome = await this.#unlessAborted(this.#transaction(left, offset))
      if (outcome === undefined || outcome.kind === 'unknown') return false
      if (outcome.kind === 'committed') return true
      const { error } = outcome
      const shrunk = isTooLarge(error) ? this.#shrink(left) : left
      if (shrunk.some((record, index) => record !== left[index])) {
        left = shrunk
        continue
      }
      const waitMs = backoffMs(ASIDE_BACKOFF, failures, random)
      const { topic, partition } = this
      const fields = { topic, partition, records: left.length, failures, waitMs, code: error.code }
      const message = `dead letters and offsets are not committed, their partition waits: ${error.message}`
      if (outcome.isMember) logger.debug(fields, message)
      else logger.error(fields, message)
      if (!(await sleep(this.#clock, waitMs, this.#owner.stopping))) return false
    }
  }

  #shrink(letters: readonly AppendRecord[]): AppendRecord[] {
    const { meters, logger } = this.#owner.around
    const { tooLarge } = this.#around
    return letters.map(letter => shrinkDeadLetter(letter, { tooLarge, logger, onReference: () => meters.referenced() }))
  }

  #deadLetters(rows: readonly DeadRow[]): AppendRecord[] {
    const { topic, partition, table } = this
    const lastFailureMs = this.#clock.now()
    const firstFailureMs = this.#firstFailureMs ?? lastFailureMs
    const origin = { topic, partition, groupId: this.#owner.around.groupId, firstFailureMs, lastFailureMs }
    return rows.map(row => ({
      topic: this.#around.deadLetterTopic,
      key: table.key(row.row),
      value: table.value(row.row),
      headers: deadLetterHeaders(table, row, origin)
    }))
  }

  /** A transaction that is being committed goes on without this lane; its offset stays fenced. */
  async #unlessAborted<T>(work: Promise<T>): Promise<T | undefined> {
    const { aborting } = this.#owner
    if (aborting.aborted) return undefined
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const onAbort = (): void => resolve(undefined)
    aborting.addEventListener('abort', onAbort, { once: true })
    try {
      return await Promise.race([work, promise])
    } finally {
      aborting.removeEventListener('abort', onAbort)
    }
  }

  #logFailure(group: Group, outcome: Exclude<TargetOutcome, { kind: 'ok' }>): void {
    const { topic, partition, table } = this
    const firstOffset = table.offset(group.rows[0] ?? 0).toString()
    const reason = outcome.kind === 'partial' ? '' : outcome.reason
    const fields = {
      topic,
      partition,
      firstOffset,
      records: group.rows.length,
      outcome: outcome.kind,
      reason,
      ...BatchTrace.fieldsOf(this.#trace)
    }
    this.#owner.around.logger.warn(fields, 'a batch was not delivered, its transaction was aborted or never begun')
  }
}

function isTooLarge(error: PipelineError): boolean {
  const outcome = appendOutcome(error)
  return outcome.kind === 'rejected' && outcome.errorClass === TOO_LARGE
}
