/**
 * Does a redrive: reads dead letters, appends their records, and commits how far it is, in small rounds.
 *
 * A round is: append, wait until all in-sync replicas have all of it, write the
 * audit, commit. So a kill at any instant loses nothing, and repeats at most one
 * round. Before the first round, and before each commit, the group's offsets are looked at: if somebody else
 * has moved them, another redrive is at work, and this one stops.
 *
 * Of one partition of the dead letter topic records are appended in order, by an
 * idempotent producer: the order of a key holds. A record that its topic finds
 * too large stays; any other failure ends the redrive before the first record
 * that was not appended.
 */

import { randomUUID } from 'node:crypto'

import {
  Appender,
  type AppendRecord,
  type DeliveryListener,
  partitionKeyOf,
  type TopicPartition
} from '../../client/index.ts'
import { messageOf, PipelineError, sleep, TokenBucket } from '../../core/index.ts'
import { kafkaErrorName } from '../../protocol/index.ts'
import type { ChangeResult } from '../change/change.ts'
import { getRecord } from '../records/get-record.ts'
import { compileQuery } from '../records/record-query.ts'
import type { RecordRange } from '../records/record-range.ts'
import { bytesOf, keptRecord, type ReadRecord, recordAt } from '../records/read-record.ts'
import { RecordReader } from '../records/record-reader.ts'
import type { RedriveAuditLine } from './audit-file.ts'
import { type DeadLetterFacts, ownHeaders, readDeadLetter } from './dead-letter.ts'
import { letterTest } from './named-letters.ts'
import type { RedriveOpen, RedriveRequest } from './redrive-types.ts'
import { judgeLetter, redrivenRecord, type RedriveSource, STAY_TEXT, type StayReason } from './redrive-rules.ts'

/** How far a redrive is in a partition, and whose commit says so. */
export interface Progress {
  readonly offset: bigint
  readonly metadata: string
}

/** What has been planned. */
export interface PlannedRedrive {
  readonly request: RedriveRequest
  readonly groupId: string
  readonly ranges: readonly RecordRange[]
  /** What the group had committed when it was planned, by `partitionKeyOf`; absent: nothing. */
  readonly committed: ReadonlyMap<string, Progress>
  /** Records that are to be redriven. */
  readonly due: number
  readonly onProgress?: (text: string) => void
}

/** A dead letter of a round. */
interface Entry {
  readonly letter: ReadRecord
  facts: DeadLetterFacts
  record: AppendRecord | undefined
  /** Where it is now; set when all replicas have it. */
  place: { readonly partition: number; readonly offset: bigint } | undefined
  error: PipelineError | undefined
}

/** Bytes of dead letters that may wait for their round. */
const HELD_BYTES_MAX = 8_388_608
const PROGRESS_MS = 2000

/** Redrives what was planned. Errors of Kafka end it with what was done so far as the result. */
export async function applyRedrive(open: RedriveOpen, planned: PlannedRedrive): Promise<ChangeResult> {
  return await new Redrive(open, planned).run()
}

class Redrive {
  readonly #open: RedriveOpen
  readonly #planned: PlannedRedrive
  readonly #appender: Appender
  readonly #stop = new AbortController()
  readonly #bucket: TokenBucket | undefined
  readonly #batchRecords: number
  readonly #startedMs: number
  /** What the group has committed, as far as we know; absent: nothing. */
  readonly #committed: Map<string, Progress>
  /** Lies beside our commits: another redrive in step with this one would commit the same offsets. */
  readonly #runId = `run ${randomUUID()}`
  readonly #stays = new Map<StayReason, number>()
  readonly #targets = new Map<string, { records: number; first: bigint; last: bigint }>()
  #held: ReadRecord[] = []
  #heldBytes = 0
  #redriven = 0
  #shownMs: number
  #failure: string | undefined
  #rounding: Promise<void> | undefined

  constructor(open: RedriveOpen, planned: PlannedRedrive) {
    this.#open = open
    this.#planned = planned
    this.#committed = new Map(planned.committed)
    const { ratePerSecond, batchRecords = 1000 } = planned.request
    this.#appender = new Appender({ cluster: open.cluster, lingerMs: 1 })
    this.#bucket = ratePerSecond === undefined ? undefined : new TokenBucket({ perSecond: ratePerSecond, burstMs: 100 })
    // Slow redrives commit every second all the same.
    this.#batchRecords = Math.max(1, Math.min(batchRecords, Math.ceil(ratePerSecond ?? batchRecords)))
    this.#startedMs = open.clock.monotonicMs()
    this.#shownMs = this.#startedMs
  }

  async run(): Promise<ChangeResult> {
    const { cluster, signal, onTrouble } = this.#open
    const { request, ranges } = this.#planned
    const isNamed = letterTest(request)
    const reader = new RecordReader({
      cluster,
      ranges,
      isReadCommitted: true,
      matcher: request.query === undefined ? undefined : compileQuery(request.query),
      onRecord: (cursor, range) => {
        if (!isNamed(range.partition, cursor.offset())) return true
        const letter = keptRecord(recordAt(cursor, range))
        this.#held.push(letter)
        this.#heldBytes += bytesOf(letter)
        return true
      },
      untilRoom: () => (this.#isRoundDue() ? (this.#rounding = this.#round()) : undefined),
      signal: signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]),
      ...(onTrouble === undefined ? {} : { onTrouble })
    })
    let isAllDone = false
    try {
      // Somebody may have redriven the same while a person thought about the plan.
      await this.#needUnmoved(ranges)
      const isAllRead = (await reader.run()) === 'all'
      // A reading that was ended does not wait for the round under way.
      await this.#rounding
      if (this.#isGoingOn()) await this.#round()
      if (isAllRead && this.#isGoingOn()) {
        if (request.letters === undefined) await this.#commitEnds()
        else await this.#forget()
        isAllDone = true
      }
    } catch (error) {
      this.#failure ??= messageOf(error)
      await this.#rounding?.catch(() => undefined)
    } finally {
      await this.#appender.close(0)
    }
    return this.#result(isAllDone)
  }

  #isRoundDue(): boolean {
    return this.#held.length >= this.#batchRecords || this.#heldBytes >= HELD_BYTES_MAX
  }

  #isGoingOn(): boolean {
    return this.#failure === undefined && !this.#stop.signal.aborted && this.#open.signal?.aborted !== true
  }

  /** All that is held, so many at a time. */
  async #round(): Promise<void> {
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    for (let at = 0; at < held.length && this.#isGoingOn(); at += this.#batchRecords) {
      await this.#some(held.slice(at, at + this.#batchRecords))
    }
  }

  async #some(letters: readonly ReadRecord[]): Promise<void> {
    const entries: Entry[] = []
    for (const letter of letters) {
      if (!this.#isGoingOn()) break
      if (this.#redriven + countOf(entries) >= this.#limit) {
        this.#stop.abort()
        break
      }
      const entry = await this.#judge(letter)
      if (entry.record !== undefined && !(await this.#append(entry, entry.record))) break
      entries.push(entry)
    }
    await this.#appender.flush()
    await this.#settle(entries)
  }

  get #limit(): number {
    return this.#planned.request.limit ?? Number.POSITIVE_INFINITY
  }

  /** What is to be appended for a dead letter, if anything. */
  async #judge(letter: ReadRecord): Promise<Entry> {
    const { request } = this.#planned
    const facts = readDeadLetter(letter)
    const verdict = judgeLetter(facts, request)
    const entry: Entry = { letter, facts, record: undefined, place: undefined, error: undefined }
    if (verdict.kind === 'stays') this.#stay(verdict.reason)
    if (verdict.kind !== 'redrive') return entry
    const source = facts.value === 'elsewhere' ? await this.#sourceAtOrigin(letter, facts) : ownSource(letter, facts)
    if (source === undefined) {
      this.#stay('origin-gone')
      return entry
    }
    // A reference has lost the headers of its record, and with them how often that was redriven.
    if (judgeLetter(source.facts, request).kind === 'stays') {
      this.#stay('redriven-too-often')
      return entry
    }
    const stamp = { atMs: this.#open.clock.now(), by: request.by }
    entry.facts = source.facts
    entry.record = redrivenRecord(source, verdict.topic, { stamp, rules: request })
    return entry
  }

  /** The record that a reference speaks of, if it is still there and the same. */
  async #sourceAtOrigin(letter: ReadRecord, facts: DeadLetterFacts): Promise<RedriveSource | undefined> {
    const { origin } = facts
    if (origin === undefined || origin.partition < 0) return undefined
    const { cluster, admin } = this.#open
    try {
      const found = await getRecord({ cluster, admin, at: origin })
      // A topic that was made anew has another record at this offset.
      if (found.timestampMs !== origin.timestampMs) return undefined
      const own = ownHeaders(found.headers)
      return { letter, facts: { ...facts, ...own }, content: { ...found, headers: own.headers } }
    } catch (error) {
      if (PipelineError.is(error) && error.code === 'ERR_OPS_NOT_FOUND') return undefined
      throw error
    }
  }

  /** @returns `false` if it was given up before it was appended. */
  async #append(entry: Entry, record: AppendRecord): Promise<boolean> {
    const { clock } = this.#open
    const waitMs = this.#bucket?.reserve(1, clock.monotonicMs()) ?? 0
    if (waitMs > 0) await sleep(clock, waitMs, this.#open.signal)
    if (!this.#isGoingOn()) return false
    const listener: DeliveryListener = {
      // Told in the order of the batch, which is the order of the records: each hears its own place.
      delivered: batch => {
        const key = `${batch.topic}/${batch.partition}/${batch.baseOffset}`
        const before = this.#placesOf.get(key) ?? 0
        this.#placesOf.set(key, before + 1)
        entry.place = { partition: batch.partition, offset: batch.baseOffset + BigInt(before) }
      },
      failed: error => {
        entry.error = error
      }
    }
    while (!this.#appender.append(record, listener)) await this.#appender.room()
    return true
  }

  /** Records that each acknowledged batch of this round has named so far. */
  #placesOf = new Map<string, number>()

  /** Everything of a round has its verdict: audit, then commit. */
  async #settle(entries: readonly Entry[]): Promise<void> {
    this.#placesOf = new Map()
    const lines: RedriveAuditLine[] = []
    /** Partitions of the dead letter topic with a record that was not appended: nothing behind it is committed. */
    const blocked = new Set<string>()
    const ends = new Map<string, { topic: string; partition: number; offset: bigint }>()
    for (const entry of entries) {
      const { letter, error } = entry
      const key = partitionKeyOf(letter)
      if (error?.code === 'ERR_CLIENT_RECORD_TOO_LARGE') this.#stay('too-large')
      else if (error !== undefined) {
        blocked.add(key)
        this.#failure ??= `${letter.topic}-${letter.partition}@${letter.offset} was not redriven: ${error.message}`
      }
      if (entry.place !== undefined) lines.push(this.#redrivenTo(entry, entry.place))
      if (blocked.has(key)) continue
      ends.set(key, { topic: letter.topic, partition: letter.partition, offset: letter.offset + 1n })
    }
    await this.#open.audit?.(lines)
    await this.#commit([...ends.values()])
    this.#show()
  }

  #redrivenTo(
    { letter, facts, record }: Entry,
    { partition, offset }: { partition: number; offset: bigint }
  ): RedriveAuditLine {
    const topic = record?.topic ?? ''
    const key = `${topic}-${partition}`
    const target = this.#targets.get(key) ?? { records: 0, first: offset, last: offset }
    const first = offset < target.first ? offset : target.first
    this.#targets.set(key, { records: target.records + 1, first, last: offset > target.last ? offset : target.last })
    this.#redriven += 1
    const { origin } = facts
    const from = origin === undefined || origin.partition < 0 ? undefined : origin
    return {
      at: new Date(this.#open.clock.now()).toISOString(),
      by: this.#planned.request.by,
      group: this.#planned.groupId,
      letter: `${letter.topic}-${letter.partition}@${letter.offset}`,
      ...(from === undefined ? {} : { origin: `${from.topic}-${from.partition}@${from.offset}` }),
      to: `${topic}-${partition}@${offset}`,
      errorClass: facts.errorClass,
      redrives: facts.redriveCount + 1
    }
  }

  /** What lies between the last chosen dead letter and the end is done, too. */
  async #commitEnds(): Promise<void> {
    const { ranges } = this.#planned
    await this.#commit(
      ranges.flatMap(({ topic, partition, to = 0n }) => {
        const isAhead = to > (this.#committed.get(partitionKeyOf({ topic, partition }))?.offset ?? -1n)
        return isAhead ? [{ topic, partition, offset: to }] : []
      })
    )
  }

  /** A choice of single letters is made once: nobody goes on from its group. Left behind it would only be in lists. */
  async #forget(): Promise<void> {
    await this.#open.admin.deleteGroups([this.#planned.groupId])
  }

  async #commit(offsets: readonly { topic: string; partition: number; offset: bigint }[]): Promise<void> {
    if (offsets.length === 0) return
    const { admin } = this.#open
    const { groupId } = this.#planned
    await this.#needUnmoved(offsets)
    const metadata = this.#runId
    const altered = await admin.alterGroupOffsets(
      groupId,
      offsets.map(each => ({ ...each, metadata }))
    )
    const failed = altered.find(({ errorCode }) => errorCode !== 0)
    if (failed !== undefined) {
      const reason = kafkaErrorName(failed.errorCode)
      throw new PipelineError('ERR_OPS_REFUSED', `group ${groupId} does not take offsets: ${reason}`)
    }
    for (const each of offsets) this.#committed.set(partitionKeyOf(each), { offset: each.offset, metadata })
  }

  /** @throws PipelineError `ERR_OPS_REFUSED` if the group's offsets are not those that we know. */
  async #needUnmoved(partitions: readonly TopicPartition[]): Promise<void> {
    const { groupId } = this.#planned
    for (const { topic, partition, ...found } of await this.#open.admin.fetchGroupOffsets(groupId, partitions)) {
      const known = this.#committed.get(partitionKeyOf({ topic, partition }))
      if (
        found.errorCode === 0 &&
        found.offset === (known?.offset ?? -1n) &&
        found.metadata === (known?.metadata ?? '')
      )
        continue
      throw new PipelineError(
        'ERR_OPS_REFUSED',
        `somebody else has moved the offset of group ${groupId} for ${topic}-${partition}: is another redrive running?`
      )
    }
  }

  #stay(reason: StayReason): void {
    this.#stays.set(reason, (this.#stays.get(reason) ?? 0) + 1)
  }

  /** A line every two seconds. */
  #show(): void {
    const nowMs = this.#open.clock.monotonicMs()
    if (nowMs - this.#shownMs < PROGRESS_MS) return
    this.#shownMs = nowMs
    const { due, onProgress } = this.#planned
    const perSecond = (this.#redriven * 1000) / (nowMs - this.#startedMs)
    const left = perSecond > 0 ? `, ${Math.ceil((due - this.#redriven) / perSecond)} s to go` : ''
    onProgress?.(`${this.#redriven} of ${due} redriven, ${Math.round(perSecond)}/s${left}`)
  }

  #result(isAllDone: boolean): ChangeResult {
    const isLimited = this.#redriven >= this.#limit
    const isComplete = this.#failure === undefined && (isAllDone || isLimited)
    const goOn = isComplete && !isLimited ? '' : '; the same command goes on from here'
    const stays = [...this.#stays].map(([reason, records]) => `${records} stay: ${STAY_TEXT[reason]}`)
    return {
      isComplete,
      summary: [`${this.#redriven} dead letters were redriven${goOn}`, ...stays].join('; ').concat('.'),
      failures: this.#failure === undefined ? [] : [this.#failure],
      details: {
        groupId: this.#planned.groupId,
        redriven: this.#redriven,
        stays: Object.fromEntries(this.#stays),
        targets: [...this.#targets].map(([partition, { records, first, last }]) => ({
          partition,
          records,
          firstOffset: first.toString(),
          lastOffset: last.toString()
        }))
      }
    }
  }
}

function countOf(entries: readonly Entry[]): number {
  return entries.filter(({ record }) => record !== undefined).length
}

function ownSource(letter: ReadRecord, facts: DeadLetterFacts): RedriveSource {
  return { letter, facts, content: { key: letter.key, value: letter.value, headers: facts.headers } }
}
