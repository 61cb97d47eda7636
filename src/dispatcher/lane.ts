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

import type { AppendRecord, FetchedChunk } from '../client/index.ts'
import { messageOf, sleep } from '../core/index.ts'
import type { TargetBatch, TargetOutcome } from '../targets/index.ts'
import { deadLetterHeaders } from './dead-letters.ts'
import type { LaneSurroundings, LaneView } from './lane-surroundings.ts'
import { OffsetTracker } from './offset-tracker.ts'
import { type FilledBatch, PartitionBuffer } from './partition-buffer.ts'
import { type DeadRow, type Decision, type Group, Settlement } from './settlement.ts'
import type { Slot } from './slots.ts'
import type { Workspace } from './workspace.ts'

/** What a lane is doing. */
export type LaneState = 'idle' | 'waiting' | 'invoking' | 'retrying' | 'stopping' | 'ended'

/** A batch under way. */
interface BatchUnderWay {
  readonly workspace: Workspace
  readonly settlement: Settlement
  readonly filled: FilledBatch
  /** Rows that the encoder's last payload holds; the whole batch at first. */
  encodedRows: readonly number[] | undefined
  body: Buffer | undefined
  firstFailureMs: number | undefined
}

const PROBLEMS = {
  malformed: 'the value is not exactly one well-formed JSON value, or its headers are corrupt',
  tooLarge: 'the record alone is larger than the target takes'
} as const

/** One partition during one assignment. */
export class Lane implements LaneView {
  readonly topic: string
  readonly partition: number
  /** Tells assignments of the same partition apart in logs. */
  readonly epoch: number
  /** Resolves when the lane does nothing any more. */
  readonly ended: Promise<void>
  readonly #around: LaneSurroundings
  readonly #buffer: PartitionBuffer
  readonly #tracker: OffsetTracker
  readonly #stopping = new AbortController()
  readonly #aborting = new AbortController()
  #state: LaneState = 'idle'
  #wake: (() => void) | undefined
  #inFlightRecords = 0

  constructor(options: { topic: string; partition: number; offset: bigint; epoch: number; around: LaneSurroundings }) {
    this.topic = options.topic
    this.partition = options.partition
    this.epoch = options.epoch
    this.#around = options.around
    this.#buffer = new PartitionBuffer(options.offset)
    this.#tracker = new OffsetTracker(options.offset, 1)
    this.ended = this.#run()
  }

  /** What the lane is doing. */
  get state(): LaneState {
    return this.#state
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

  /** Records of the batch under way. */
  get inFlightRecords(): number {
    return this.#inFlightRecords
  }

  /** Takes a fetched chunk. */
  push(chunk: FetchedChunk): void {
    if (this.#stopping.signal.aborted) return
    this.#buffer.push(chunk, this.#around.clock.monotonicMs())
    this.#wake?.()
  }

  /** What is buffered is due: nothing more comes to fill a batch. */
  onPause(): void {
    this.#wake?.()
  }

  /** Starts nothing new; the invocation under way may finish. */
  stop(): void {
    this.#stopping.abort()
    this.#wake?.()
  }

  /** Ends the lane at once: whatever still comes counts for nothing. */
  abort(): void {
    this.stop()
    this.#aborting.abort()
  }

  async #run(): Promise<void> {
    try {
      while (await this.#untilReady()) {
        this.#state = 'waiting'
        const slot = await this.#around.slots.acquire(this.#stopping.signal)
        if (slot === undefined) break
        await this.#next(slot)
      }
    } catch (error) {
      this.#around.onFatal(this, error)
    }
    this.#buffer.clear()
    this.#state = 'ended'
  }

  /** Waits until a batch is due: by count, bytes or age, or because no more comes. `false` when the lane stops. */
  async #untilReady(): Promise<boolean> {
    const { clock, batch } = this.#around
    for (;;) {
      if (this.#stopping.signal.aborted) return false
      const oldestMs = this.#buffer.oldestMs
      const leftMs = oldestMs === undefined ? undefined : oldestMs + batch.ageMs - clock.monotonicMs()
      const isFull = this.#buffer.bytes >= batch.bytesMax || this.#buffer.hasRecords(batch.recordsMax)
      if (leftMs !== undefined && (leftMs <= 0 || isFull || this.#around.isPaused(this))) return true
      this.#state = 'idle'
      await new Promise<void>(resolve => {
        const timer = leftMs === undefined ? undefined : clock.after(Math.ceil(leftMs), resolve)
        this.#wake = () => {
          timer?.cancel()
          resolve()
        }
      })
      this.#wake = undefined
    }
  }

  /** Makes the next batch and sees it through. */
  async #next(slot: Slot): Promise<void> {
    const workspace = this.#around.workspaces.acquire()
    const underWay = this.#fill(workspace)
    if (underWay === undefined) {
      slot.release({ kind: 'released' })
      this.#around.workspaces.release(workspace)
      return
    }
    const range = this.#tracker.start(underWay.filled.nextOffset)
    this.#inFlightRecords = workspace.table.count
    this.#around.meters.batchStarted(workspace.table.count)
    const isDone = await this.#deliver(underWay, slot)
    this.#around.meters.batchEnded(this.#inFlightRecords)
    this.#inFlightRecords = 0
    if (this.#aborting.signal.aborted) return
    const { settledCount } = underWay.settlement
    if (isDone) this.#tracker.finish(range)
    else if (settledCount > 0) this.#tracker.advance(range, workspace.table.offset(settledCount))
    this.#around.onMoved(this)
    this.#around.workspaces.release(workspace)
  }

  #fill(workspace: Workspace): BatchUnderWay | undefined {
    const { batch, retry, random } = this.#around
    workspace.encoder.begin(this.topic, this.partition, workspace.isShared)
    workspace.isShared = false
    let filled: FilledBatch | undefined
    try {
      filled = this.#buffer.fill({ ...workspace, recordsMax: batch.recordsMax })
    } catch (error) {
      // The records cannot be read: no target is to blame and nothing may be skipped. Fetch them anew.
      this.#buffer.clear()
      this.#around.onUnreadable(this, error)
    }
    this.#around.onTaken(this)
    if (filled === undefined) return undefined
    const { table } = workspace
    const settlement = new Settlement(table.count, { policy: retry, random, lookup: table })
    return { workspace, settlement, filled, encodedRows: undefined, body: undefined, firstFailureMs: undefined }
  }

  /** Sends a batch until each record has left. `false` if the lane stops before. */
  async #deliver(batch: BatchUnderWay, firstSlot: Slot): Promise<boolean> {
    const { settlement, filled, workspace } = batch
    // Rows that cannot be sent are put aside while the others are delivered.
    const undeliverable = new Set(filled.undeliverable.map(({ row }) => row))
    settlement.begin(undeliverable)
    batch.encodedRows = settlement.current?.rows
    batch.body = batch.encodedRows === undefined ? undefined : workspace.encoder.finish(workspace.table)
    const dead = filled.undeliverable.map(({ row, problem }) => ({
      row,
      errorClass: problem === 'malformed' ? 'MalformedRecord' : 'RecordTooLarge',
      reason: PROBLEMS[problem],
      attempts: 0
    }))
    const aside = this.#putAside(batch, dead)

    let slot: Slot | undefined = firstSlot
    for (let group = settlement.current; group !== undefined; group = settlement.current) {
      slot ??= await this.#around.slots.acquire(this.#stopping.signal)
      if (slot === undefined) break
      const decision = await this.#send(batch, group, slot)
      slot = undefined
      if (decision === undefined) return false
      if (!(await this.#putAside(batch, decision.deadRows))) return false
      if (decision.waitMs > 0 && settlement.current !== undefined) {
        this.#state = 'retrying'
        if (!(await this.#pause(decision.waitMs))) break
      }
    }
    slot?.release({ kind: 'released' })
    return (await aside) && settlement.isDone
  }

  /** While the breaker is open it alone says when to go on: no own wait on top of its pause. */
  #pause(waitMs: number): Promise<boolean> {
    if (this.#around.slots.breakerState !== 'closed') return Promise.resolve(true)
    return sleep(this.#around.clock, waitMs, this.#stopping.signal)
  }

  /** One invocation; `undefined` if the lane was aborted meanwhile. */
  async #send(batch: BatchUnderWay, group: Group, slot: Slot): Promise<Decision | undefined> {
    const { clock, meters, health } = this.#around
    this.#state = 'invoking'
    const request = this.#encode(batch, group)
    const sentMs = clock.monotonicMs()
    const outcome = await this.#invoke(request)
    if (outcome === undefined) {
      batch.workspace.isShared = true
      slot.release({ kind: 'released' })
      return undefined
    }
    // Only after a clean answer is it sure that nobody reads the body any more.
    if (outcome.kind !== 'ok') batch.workspace.isShared = true
    const nowMs = clock.monotonicMs()
    meters.invoked(outcome.kind, nowMs - sentMs)
    if (outcome.kind === 'unavailable') {
      const { retryAfterMs } = outcome
      slot.release(retryAfterMs === undefined ? { kind: 'failed' } : { kind: 'failed', retryAfterMs })
    } else {
      slot.release({ kind: 'answered' })
    }
    if (outcome.kind !== 'ok') {
      batch.firstFailureMs ??= clock.now()
      this.#logFailure(outcome, request)
    }
    const decision = batch.settlement.apply(outcome, { nowMs, answeredSentMs: health.answeredSentMs })
    // An answer that delivers nothing because of a service behind the target is no evidence of health.
    if (outcome.kind === 'ok' || outcome.kind === 'rejected' || decision.deliveredCount > 0) {
      health.answeredSentMs = Math.max(health.answeredSentMs, sentMs)
    }
    meters.decided(decision)
    return decision
  }

  #encode(batch: BatchUnderWay, group: Group): TargetBatch {
    const { workspace } = batch
    const { table, encoder } = workspace
    if (batch.encodedRows !== group.rows || batch.body === undefined) {
      encoder.begin(this.topic, this.partition, workspace.isShared)
      workspace.isShared = false
      for (const row of group.rows) encoder.append(table, row)
      batch.body = encoder.finish(table)
      batch.encodedRows = group.rows
    }
    const firstOffset = table.offset(group.rows[0] ?? 0)
    const lastOffset = table.offset(group.rows.at(-1) ?? 0)
    // A group may have any name, a header of HTTP may not hold any text.
    const groupName = encodeURIComponent(this.#around.groupId)
    return {
      topic: this.topic,
      partition: this.partition,
      recordCount: group.rows.length,
      firstOffset,
      lastOffset,
      body: batch.body,
      contentType: encoder.contentType,
      attempt: group.sends + 1,
      idempotencyKey: `${groupName}/${this.topic}/${this.partition}/${firstOffset}-${lastOffset}`
    }
  }

  /** Invokes the target within its time; `undefined` if the lane was aborted. */
  async #invoke(request: TargetBatch): Promise<TargetOutcome | undefined> {
    const { target, clock } = this.#around
    const controller = new AbortController()
    let giveUp: (outcome: TargetOutcome | undefined) => void = () => undefined
    const givenUp = new Promise<TargetOutcome | undefined>(resolve => (giveUp = resolve))
    const onAbort = (): void => {
      giveUp(undefined)
      controller.abort()
    }
    const timer = clock.after(target.timeoutMs, () => {
      giveUp({ kind: 'unavailable', reason: `no answer within ${target.timeoutMs} ms`, isSuspect: true })
      controller.abort()
    })
    this.#aborting.signal.addEventListener('abort', onAbort, { once: true })
    try {
      if (this.#aborting.signal.aborted) return undefined
      return await Promise.race([target.invoke(request, controller.signal), givenUp])
    } catch (error) {
      return { kind: 'unavailable', reason: messageOf(error), isSuspect: true }
    } finally {
      timer.cancel()
      this.#aborting.signal.removeEventListener('abort', onAbort)
    }
  }

  /** Writes rows to the dead letter topic; they have left once it has them. `false` if the lane was aborted. */
  async #putAside(batch: BatchUnderWay, dead: readonly DeadRow[]): Promise<boolean> {
    if (dead.length === 0) return true
    const { clock, groupId, deadLetters, meters } = this.#around
    const { table } = batch.workspace
    const nowMs = clock.now()
    const origin = {
      topic: this.topic,
      partition: this.partition,
      groupId,
      firstFailureMs: batch.firstFailureMs ?? nowMs,
      lastFailureMs: nowMs
    }
    const records: Omit<AppendRecord, 'topic'>[] = dead.map(row => ({
      key: table.key(row.row),
      value: table.value(row.row),
      headers: deadLetterHeaders(table, row, origin)
    }))
    if (!(await deadLetters.write(records, this.#aborting.signal))) return false
    for (const { row, errorClass } of dead) {
      batch.settlement.leave(row)
      meters.deadLettered(errorClass)
    }
    return true
  }

  #logFailure(outcome: TargetOutcome, request: TargetBatch): void {
    if (outcome.kind === 'ok') return
    const fields = {
      topic: this.topic,
      partition: this.partition,
      firstOffset: request.firstOffset.toString(),
      records: request.recordCount,
      attempt: request.attempt,
      outcome: outcome.kind,
      reason: outcome.kind === 'partial' ? `${outcome.failures.length} records` : outcome.reason
    }
    if (outcome.kind === 'partial') this.#around.logger.debug(fields, 'the target did not take all records')
    else this.#around.logger.warn(fields, 'the target did not take a batch')
  }
}
