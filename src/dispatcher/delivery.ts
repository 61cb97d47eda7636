/**
 * Delivers one batch: invokes the target and puts records aside until each record has left.
 *
 * ```
 * filled rows ─ transform? ─ encode ─ slot ─ charge ─ target ─ settlement ─ wait ─┐
 *                               └──────────────── what is left ─────────────────────┘
 * ```
 *
 * The lane that owns the batch stops it with two signals: `stopping` ends waits
 * and starts nothing new, what is at the target may finish; `aborting` makes
 * whatever still comes count for nothing.
 */

import { type Clock, invariant, messageOf, sleep } from '../core/index.ts'
import type { TargetBatch, TargetOutcome } from '../targets/index.ts'
import { TableRecords } from './batch-records.ts'
import { BatchTrace } from './batch-trace.ts'
import type { BatchContext, BatchDescription, LaneSurroundings } from './lane-surroundings.ts'
import type { FilledBatch } from './partition-buffer.ts'
import type { RecordTable } from './record-table.ts'
import { type DeadRow, type Decision, type Group, Settlement } from './settlement.ts'
import type { Slot, SlotResult } from './slots.ts'
import type { Workspace } from './workspace.ts'

/** Whose batch it is. */
export interface DeliveryOwner {
  readonly topic: string
  readonly partition: number
  readonly around: LaneSurroundings
  /** Times that its records were sent before, in an earlier batch. Default 0. */
  readonly sendsBefore?: number
  /** Ends waits and starts nothing new. */
  readonly stopping: AbortSignal
  /** Ends everything at once. */
  readonly aborting: AbortSignal
  /** Told when rows of a batch have left that is not done yet. */
  readonly onProgress?: (delivery: BatchDelivery) => void
}

/** What a delivery is doing. */
export type DeliveryState = BatchDescription['state']

/** Error class of a row that is put aside because an earlier one of its key was. */
export const PARKED = 'Parked'

const PROBLEMS = {
  malformed: {
    errorClass: 'MalformedRecord',
    reason: 'the value is not exactly one well-formed JSON value, or its headers are corrupt'
  },
  tooLarge: { errorClass: 'RecordTooLarge', reason: 'the record alone is larger than the target takes' }
} as const

/** One batch on its way. */
export class BatchDelivery implements BatchContext {
  readonly settlement: Settlement
  readonly #owner: DeliveryOwner
  readonly #clock: Clock
  readonly #workspace: Workspace
  readonly #filled: FilledBatch
  readonly #beganMs: number
  /** What is encoded: the batch's own table, or what a transform has made of it. */
  #encodedTable: RecordTable
  /** Rows that the encoder's last payload holds; the whole batch at first. */
  #encodedRows: readonly number[] | undefined
  #body: Buffer | undefined
  #firstFailureMs: number | undefined
  #state: DeliveryState = 'waiting'
  #invocations = 0
  #isTransforming = false
  readonly #trace: BatchTrace | undefined

  constructor(owner: DeliveryOwner, workspace: Workspace, filled: FilledBatch) {
    const { clock, retry, random } = owner.around
    const { table } = workspace
    this.#owner = owner
    this.#clock = clock
    this.#workspace = workspace
    this.#filled = filled
    this.#beganMs = clock.monotonicMs()
    this.#encodedTable = table
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

  /** Records of the batch, as they were read. */
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

  /** Bytes of the payload that was encoded last. */
  get bytes(): number {
    return this.#body?.length ?? 0
  }

  /** What it is doing, in full. */
  describe(): BatchDescription {
    const { table } = this.#workspace
    const blockedBy = this.#isTransforming ? this.#owner.around.transform?.blockedBy : undefined
    return {
      firstOffset: (table.count === 0 ? table.baseOffset : table.offset(0)).toString(),
      records: table.count,
      bytes: this.bytes,
      state: this.#state,
      invocations: this.#invocations,
      ...(blockedBy === undefined ? {} : { blockedBy }),
      ageMs: this.#clock.monotonicMs() - this.#beganMs
    }
  }

  /**
   * Sends the batch until each record has left.
   *
   * @param firstSlot - Leave for the first invocation; it is released in any case.
   * @returns `false` if the lane stopped or aborted before.
   */
  async run(firstSlot: Slot): Promise<boolean> {
    let isDone = false
    try {
      isDone = await this.#run(firstSlot)
      return isDone
    } finally {
      this.#trace?.end(isDone)
      firstSlot.end()
    }
  }

  async #run(firstSlot: Slot): Promise<boolean> {
    const { settlement } = this
    // Rows that cannot be sent are put aside while the others are delivered.
    const dead = undeliverableRows(this.#filled)
    if (!(await this.#begin(dead))) {
      firstSlot.release({ kind: 'released' })
      return false
    }
    const aside = this.#putAside(dead)
    // Its failure is met where it is waited for, below.
    aside.catch(() => undefined)

    let slot: Slot | undefined = firstSlot
    for (let group = settlement.current; group !== undefined; group = settlement.current) {
      slot ??= await this.#acquire()
      if (slot === undefined) break
      const decision = await this.#send(group, slot)
      slot = undefined
      if (decision === undefined) return false
      if (decision.deadRows.length > 0) {
        this.#state = 'puttingAside'
        const putting = this.#putAside(decision.deadRows)
        // That may take long; what has left by now need not wait for it.
        this.#owner.onProgress?.(this)
        // What is put aside since the beginning looks at the batch as well: the end waits for it.
        if (!(await putting)) break
      }
      if (settlement.current !== undefined) this.#owner.onProgress?.(this)
      if (decision.waitMs > 0 && settlement.current !== undefined) {
        this.#state = 'retrying'
        if (!(await this.#pause(decision.waitMs))) break
      }
    }
    slot?.release({ kind: 'released' })
    if (settlement.current === undefined && !settlement.isDone) {
      this.#state = 'puttingAside'
      // What has left need not wait for the rest: the topic that takes it may be down for long.
      this.#owner.onProgress?.(this)
    }
    return (await aside) && settlement.isDone
  }

  /** Settles what is to be sent and encodes it; adds to `dead` what turns out not to be sendable. */
  async #begin(dead: DeadRow[]): Promise<boolean> {
    const { settlement, table } = this
    const excluded = new Set(dead.map(({ row }) => row))
    if (this.#owner.around.transform !== undefined) return await this.#transform(excluded, dead)
    settlement.begin(excluded)
    this.#encodedRows = settlement.current?.rows
    this.#body = this.#encodedRows === undefined ? undefined : this.#workspace.encoder.finish(table)
    return true
  }

  async #transform(excluded: Set<number>, dead: DeadRow[]): Promise<boolean> {
    const { transform, meters } = this.#owner.around
    const rows: number[] = []
    for (let row = 0; row < this.table.count; row += 1) if (!excluded.has(row)) rows.push(row)
    // Nothing of it is at the target yet: a transform that waits for what is behind it need not hold up a hand-over.
    this.#isTransforming = true
    const transformed = await transform?.transform(this, rows, this.#owner.stopping)
    this.#isTransforming = false
    if (transformed === undefined) return false
    this.#encodedTable = transformed.table
    for (const row of transformed.dropped) {
      excluded.add(row)
      this.settlement.leave(row)
    }
    meters.filtered(transformed.dropped.length)
    for (const row of transformed.dead) {
      excluded.add(row.row)
      dead.push(row)
    }
    this.settlement.beginGroups(this.#group(rows, excluded, dead))
    return true
  }

  /** Rows in groups that fit into one payload each. What fits into none is added to `dead`. */
  #group(rows: readonly number[], excluded: ReadonlySet<number>, dead: DeadRow[]): number[][] {
    const { encoder } = this.#workspace
    const groups: number[][] = []
    let group: number[] = []
    for (const row of rows) {
      if (excluded.has(row)) continue
      let verdict = encoder.append(this.#encodedTable, row)
      if (verdict === 'full') {
        groups.push(group)
        group = []
        encoder.begin(this.topic, this.partition, this.#workspace.isShared)
        verdict = encoder.append(this.#encodedTable, row)
      }
      if (verdict === 'added') group.push(row)
      else if (verdict !== 'full') dead.push({ row, ...PROBLEMS[verdict], attempts: 0 })
    }
    if (group.length > 0) groups.push(group)
    const [first] = groups
    if (groups.length === 1) {
      this.#encodedRows = first
      this.#body = encoder.finish(this.#encodedTable)
    }
    return groups
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

  /** One invocation; `undefined` if the lane was aborted meanwhile. */
  async #send(group: Group, slot: Slot): Promise<Decision | undefined> {
    const { meters, health } = this.#owner.around
    this.#state = 'invoking'
    const request = this.#encode(group)
    const trace = this.#trace?.invoke()
    slot.charge({ records: request.recordCount, bytes: request.body.length })
    this.#invocations += 1
    if (this.#invocations === 1) meters.topics.of(this.topic).sent(request.body.length)
    const sentMs = this.#clock.monotonicMs()
    const outcome = await this.#invoke(trace === undefined ? request : { ...request, trace })
    this.#trace?.answered(request, outcome)
    if (outcome === undefined) {
      this.#workspace.isShared = true
      slot.release({ kind: 'released' })
      return undefined
    }
    // Only after a clean answer is it sure that nobody reads the body any more.
    if (outcome.kind !== 'ok') this.#workspace.isShared = true
    const nowMs = this.#clock.monotonicMs()
    meters.invoked(outcome.kind, nowMs - sentMs)
    slot.release(slotResultOf(outcome))
    if (outcome.kind !== 'ok') {
      this.#firstFailureMs ??= this.#clock.now()
      this.#logFailure(outcome, request)
    }
    const decision = this.settlement.apply(outcome, { nowMs, answeredSentMs: health.answeredSentMs })
    // An answer that delivers nothing because of a service behind the target is no evidence of health.
    if (outcome.kind === 'ok' || outcome.kind === 'rejected' || decision.deliveredCount > 0) {
      health.answeredSentMs = Math.max(health.answeredSentMs, sentMs)
    }
    meters.decided(decision)
    this.#trace?.decided(decision)
    return decision
  }

  #encode(group: Group): TargetBatch {
    const { encoder } = this.#workspace
    const table = this.#encodedTable
    let body = this.#body
    if (this.#encodedRows !== group.rows || body === undefined) {
      encoder.begin(this.topic, this.partition, this.#workspace.isShared)
      this.#workspace.isShared = false
      for (const row of group.rows) {
        // Whatever is left out here would count as delivered.
        invariant(encoder.append(table, row, true) === 'added', 'a record that was sent before cannot be sent again')
      }
      body = encoder.finish(table)
      this.#body = body
      this.#encodedRows = group.rows
    }
    const firstOffset = table.offset(group.rows[0] ?? 0)
    const lastOffset = table.offset(group.rows.at(-1) ?? 0)
    // A group may have any name, a header of HTTP may not hold any text.
    const groupName = encodeURIComponent(this.#owner.around.groupId)
    return {
      topic: this.topic,
      partition: this.partition,
      recordCount: group.rows.length,
      firstOffset,
      lastOffset,
      body,
      contentType: encoder.contentType,
      ...(this.#owner.around.target.takesRecords === true ? { records: new TableRecords(table, group.rows) } : {}),
      attempt: (this.#owner.sendsBefore ?? 0) + group.sends + 1,
      idempotencyKey: `${groupName}/${this.topic}/${this.partition}/${rowsName(table, group.rows)}`
    }
  }

  /** Invokes the target within its time; `undefined` if the lane was aborted. */
  async #invoke(request: TargetBatch): Promise<TargetOutcome | undefined> {
    const { target } = this.#owner.around
    const { aborting } = this.#owner
    const controller = new AbortController()
    let giveUp: (outcome: TargetOutcome | undefined) => void = () => undefined
    const givenUp = new Promise<TargetOutcome | undefined>(resolve => (giveUp = resolve))
    const onAbort = (): void => {
      giveUp(undefined)
      controller.abort()
    }
    const timer = this.#clock.after(target.timeoutMs, () => {
      giveUp({ kind: 'unavailable', reason: `no answer within ${target.timeoutMs} ms`, isSuspect: true })
      controller.abort()
    })
    aborting.addEventListener('abort', onAbort, { once: true })
    try {
      if (aborting.aborted) return undefined
      return await Promise.race([target.invoke(request, controller.signal), givenUp])
    } catch (error) {
      return { kind: 'unavailable', reason: messageOf(error), isSuspect: true }
    } finally {
      timer.cancel()
      aborting.removeEventListener('abort', onAbort)
    }
  }

  /** Puts rows aside; they have left once they are safe there. `false` if the lane was aborted. */
  async #putAside(rows: readonly DeadRow[]): Promise<boolean> {
    if (rows.length === 0) return true
    this.#trace?.putAside(rows)
    if (!(await this.#owner.around.aside.put(this, rows, this.#owner.aborting))) return false
    for (const { row } of rows) this.settlement.leave(row)
    return true
  }

  #logFailure(outcome: TargetOutcome, request: TargetBatch): void {
    if (outcome.kind === 'ok') return
    const { logger } = this.#owner.around
    const fields = {
      topic: this.topic,
      partition: this.partition,
      firstOffset: request.firstOffset.toString(),
      // As the distributor calls it.
      batch: `${this.topic}-${this.partition}-${request.firstOffset}-${request.lastOffset}`,
      records: request.recordCount,
      attempt: request.attempt,
      outcome: outcome.kind,
      reason: outcome.kind === 'partial' ? `${outcome.failures.length} records` : outcome.reason,
      ...BatchTrace.fieldsOf(this.#trace)
    }
    if (outcome.kind === 'partial') logger.debug(fields, 'the target did not take all records')
    else logger.warn(fields, 'the target did not take a batch')
  }
}

/** Rows of a batch that cannot be sent. */
export function undeliverableRows({ undeliverable, parked }: FilledBatch): DeadRow[] {
  const dead: DeadRow[] = undeliverable.map(({ row, problem }) => ({ row, ...PROBLEMS[problem], attempts: 0 }))
  const reason = 'an earlier record of its key was put aside'
  for (const row of parked) dead.push({ row, errorClass: PARKED, reason, attempts: 0 })
  return dead
}

/** What an outcome says of the target's health. */
export function slotResultOf(outcome: TargetOutcome): SlotResult {
  if (outcome.kind === 'unavailable') return { ...outcome, kind: 'failed' }
  return { kind: 'answered', isRefusal: outcome.kind === 'rejected' }
}

/**
 * A name for rows that no other rows of the partition get: the first and the last offset, and where offsets in between
 * are missing, a hash of those that are there. Else a target that knows the whole could take a part of it for it.
 */
function rowsName(table: RecordTable, rows: readonly number[]): string {
  const first = table.offset(rows[0] ?? 0)
  const last = table.offset(rows.at(-1) ?? 0)
  const range = `${first}-${last}`
  if (last - first === BigInt(rows.length - 1)) return range
  // FNV-1a over the distances, twice with different starts: 64 bits in numbers.
  let low = 0x811c9dc5
  let high = 0x01000193
  for (const row of rows) {
    const distance = Number(table.offset(row) - first)
    low = Math.imul(low ^ distance, 0x01000193)
    high = Math.imul(high ^ (distance + Math.floor(distance / 2 ** 32)), 0x85ebca6b)
  }
  return `${range}-${hex(low)}${hex(high)}`
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0')
}
