/**
 * The ledger of the simulation: what happened to every record, and whether it may have happened.
 *
 * - *No loss*: an offset is committed only above finished records, and at the end each record is finished.
 * - *Order*: records of a key (and of a partition, where the target names no record for retry) are delivered for the
 *   first time in order.
 * - *Owners*: a partition is at the target for two members at once only if one of them is a zombie, is dead, or gave
 *   up waiting; one member has no two batches of a partition (or of a key) there.
 * - *Duplicates*: a record comes again only if nobody was told that it had arrived, or whoever was told is gone and
 *   could not commit it. What is repeated because of one member is bounded.
 */

import { decodeFinished } from '../../src/core/index.ts'
import type { Committed } from './coordinator.ts'
import type { PartitionLog, RecordKind } from './logs.ts'
import type { TenureEnd } from './member.ts'

/** One member's hold on a partition. */
export interface Tenure {
  readonly owner: string
  /** Owner and membership: one that was removed and came back is somebody new. */
  readonly membership: string
  readonly partition: string
  /** `open` until it ends; a killed process never hears of it. */
  end: 'open' | 'killed' | TenureEnd
  /** The coordinator has removed the member, which does not know it yet. */
  isZombie: boolean
}

/** One batch at the target. */
export interface Invocation {
  readonly id: number
  readonly tenure: Tenure
  readonly partition: string
  readonly offsets: readonly number[]
  readonly keys: readonly (string | null)[]
  readonly sentMs: number
  /** The sender does not wait for its answer any more. */
  isGivenUp: boolean
  /** Since when; -1 as long as it waits. */
  givenUpMs: number
  /** The target works on it, or it is on its way. */
  isRunning: boolean
  /** Offsets that the sender was told of as delivered. */
  readonly told: Set<number>
}

interface Fate {
  readonly deliveries: Invocation[]
  deadLetters: number
  skips: number
  isGone: boolean
  /** Places in retry topics, in order. */
  readonly parkings: string[]
}

/** What the rules depend on. */
export interface LedgerRules {
  readonly order: 'partition' | 'key' | 'none'
  /** Whether records of a partition must come in order whatever their keys: no target names records for retry. */
  readonly isPartitionOrdered: boolean
  /** Most records that may be repeated because one member went away. */
  readonly repeatsMax: number
  /** Nobody crashes, nothing fails: no record may come twice. */
  readonly isCalm: boolean
  /** Time that a member gives to what is at the target before it gives a partition back, in milliseconds. */
  readonly drainMs: number
  /** Longest wait for an answer of the target, in milliseconds. */
  readonly timeoutMs: number
}

/** Numbers of a run. */
export interface LedgerCounts {
  deliveries: number
  duplicates: number
  deadLetters: number
  commits: number
}

/** Gathers and judges. */
export class Ledger {
  readonly problems: string[] = []
  readonly trace: string[] = []
  readonly counts: LedgerCounts = { deliveries: 0, duplicates: 0, deadLetters: 0, commits: 0 }
  readonly #rules: LedgerRules
  readonly #nowMs: () => number
  readonly #fates = new Map<string, Map<number, Fate>>()
  /** Below this everything is finished, by partition. */
  readonly #finished = new Map<string, number>()
  readonly #committed = new Map<string, number>()
  readonly #committedMost = new Map<string, number>()
  /** Partitions whose committed offset went back because a commit came late. */
  readonly #wentBack = new Set<string>()
  readonly #tenures = new Map<string, Tenure>()
  readonly #running = new Set<Invocation>()
  readonly #lastOfKey = new Map<string, number>()
  readonly #repeats = new Map<string, Set<string>>()
  /** How often each owner came back, and who has to come back first. */
  readonly #memberships = new Map<string, number>()
  readonly #left = new Set<string>()
  #invocations = 0

  constructor(rules: LedgerRules, nowMs: () => number) {
    this.#rules = rules
    this.#nowMs = nowMs
  }

  /** Notes a line of the trace: the same seed must give the same lines. */
  note(line: string): void {
    this.trace.push(`${this.#nowMs()} ${line}`)
  }

  problem(text: string): void {
    this.note(`PROBLEM ${text}`)
    if (this.problems.length < 10) this.problems.push(text)
  }

  /** A member takes a partition over; a zombie was removed already when it heard of it. */
  assigned(owner: string, partition: string, start: { offset: number; isZombie: boolean }): void {
    const { offset, isZombie } = start
    this.note(`${owner} has ${partition} from ${offset}`)
    if (this.#left.delete(owner)) this.#memberships.set(owner, (this.#memberships.get(owner) ?? 0) + 1)
    const membership = `${owner}.${this.#memberships.get(owner) ?? 0}`
    this.#tenures.set(`${owner}/${partition}`, { owner, membership, partition, end: 'open', isZombie })
    if (isZombie) return
    for (const tenure of this.#tenures.values()) {
      if (tenure.partition !== partition || tenure.end !== 'open' || tenure.isZombie) continue
      if (tenure.owner === owner) continue
      this.problem(`${owner} gets ${partition} while ${tenure.owner} has it`)
    }
  }

  /** A member no longer has a partition, as far as it knows itself. */
  ended(owner: string, partition: string, how: TenureEnd): void {
    const tenure = this.#tenures.get(`${owner}/${partition}`)
    this.note(`${owner} has ${partition} no more: ${how}`)
    if (tenure === undefined) return
    if (how === 'lost') this.#left.add(owner)
    this.#tenures.delete(`${owner}/${partition}`)
    tenure.end = how
    for (const invocation of this.#running) {
      if (invocation.tenure !== tenure || how !== 'clean') continue
      tenure.end = 'dirty'
      // Given up because its time was over, or that of the partition; anything else was not waited for.
      const waitedMs = invocation.givenUpMs - invocation.sentMs
      if (waitedMs >= Math.min(this.#rules.drainMs, this.#rules.timeoutMs)) continue
      this.problem(`${owner} gives ${partition} back without waiting for #${invocation.id}`)
    }
  }

  /** The coordinator removed a member, or its process died. */
  gone(owner: string, how: 'zombie' | 'killed'): void {
    this.note(`${owner} is ${how}`)
    this.#left.add(owner)
    for (const [key, tenure] of this.#tenures) {
      if (tenure.owner !== owner) continue
      tenure.isZombie = true
      if (how === 'zombie') continue
      tenure.end = 'killed'
      this.#tenures.delete(key)
    }
  }

  /** A member sends a batch. */
  sent(owner: string, partition: string, batch: { offsets: number[]; keys: (string | null)[] }): Invocation {
    const { offsets, keys } = batch
    const found = this.#tenures.get(`${owner}/${partition}`)
    const span = `${partition} ${offsets[0]}..${offsets.at(-1)} (${offsets.length})`
    this.#invocations += 1
    this.note(`${owner} sends #${this.#invocations} ${span}`)
    if (found === undefined) this.problem(`${owner} sends ${span} and does not have the partition`)
    const tenure = found ?? { owner, membership: owner, partition, end: 'lost', isZombie: true }
    const invocation: Invocation = {
      id: this.#invocations,
      tenure,
      partition,
      offsets,
      keys,
      sentMs: this.#nowMs(),
      isGivenUp: false,
      givenUpMs: -1,
      isRunning: true,
      told: new Set()
    }
    for (const offset of offsets) this.#checkRepeat(invocation, offset)
    for (const other of this.#running) if (other.partition === partition) this.#checkTogether(invocation, other)
    this.#running.add(invocation)
    return invocation
  }

  /** The sender gives up waiting for the answer. */
  givenUp(invocation: Invocation): void {
    invocation.isGivenUp = true
    invocation.givenUpMs = this.#nowMs()
  }

  /** The target is done with a batch, or it never arrived. */
  over(invocation: Invocation): void {
    invocation.isRunning = false
    this.#running.delete(invocation)
  }

  /** The target has taken records. */
  delivered(invocation: Invocation, offsets: readonly number[]): void {
    const { partition } = invocation
    if (offsets.length > 0) this.note(`#${invocation.id} delivers ${partition} ${offsets.join(',')}`)
    for (const offset of offsets) {
      const fate = this.#fateOf(partition, offset)
      this.counts.deliveries += 1
      fate.deliveries.push(invocation)
      if (fate.deliveries.length === 1) this.#checkOrder(invocation, offset)
      else {
        this.counts.duplicates += 1
        if (this.#rules.isCalm) this.problem(`${partition}@${offset} comes twice although nothing went wrong`)
      }
    }
  }

  skipped(partition: string, offset: number): void {
    this.#fateOf(partition, offset).skips += 1
  }

  /** The dead letter topic has a record. */
  deadLettered(letter: { partition: string; offset: number; errorClass: string; kind: RecordKind | undefined }): void {
    const { partition, offset, errorClass, kind } = letter
    this.note(`dead letter ${partition}@${offset} ${errorClass}`)
    this.counts.deadLetters += 1
    this.#fateOf(partition, offset).deadLetters += 1
    const isForTrouble = errorClass === 'TargetFailure' || errorClass === 'InvalidReply'
    if (kind === 'plain' && (!isForTrouble || this.#rules.isCalm)) {
      this.problem(`${partition}@${offset} is a dead letter (${errorClass}) although nothing is wrong with it`)
    }
  }

  /** A retry topic has a record. */
  parked(partition: string, offset: number, place: string): void {
    this.note(`${partition}@${offset} waits at ${place}`)
    this.#fateOf(partition, offset).parkings.push(place)
  }

  /** Retention has deleted a record that nobody may have seen. */
  deleted(partition: string, offset: number): void {
    this.#fateOf(partition, offset).isGone = true
    // If it was the committed one, what is known to be finished behind it is forgotten with it.
    this.#wentBack.add(partition)
  }

  /** The coordinator accepted an offset. */
  committed(log: PartitionLog, place: string, { offset, metadata }: Committed): void {
    const partition = place
    this.note(`committed ${partition} ${offset} ${metadata}`)
    this.counts.commits += 1
    const before = this.#committed.get(partition) ?? 0
    if (offset < before) {
      this.#wentBack.add(partition)
      if (this.#rules.isCalm) this.problem(`${partition} went back from ${before} to ${offset}`)
    }
    this.#committed.set(partition, offset)
    this.#committedMost.set(partition, Math.max(offset, this.committedMost(partition)))
    let finished = this.#finished.get(partition) ?? 0
    while (finished < offset && this.#hasLeft(log, partition, finished)) finished += 1
    this.#finished.set(partition, finished)
    if (finished < offset) this.problem(`${partition} ${offset} is committed, but ${finished} is not finished`)
    const ranges = decodeFinished(BigInt(offset), metadata)
    for (let index = 0; index < ranges.length; index += 2) {
      for (let at = offset + (ranges[index] ?? 0); at < offset + (ranges[index + 1] ?? 0); at += 1) {
        if (this.#hasLeft(log, partition, at)) continue
        this.problem(`${partition} ${offset} is committed with ${at} as finished, which it is not`)
      }
    }
  }

  /** Whether an offset need not be read again: its record is finished, or safe in a later stage. */
  #hasLeft(log: PartitionLog, place: string, offset: number): boolean {
    const record = log.records.get(offset)
    if (record === undefined) return true
    const { origin = offset } = record
    const partition = `t-${log.partition}`
    if (this.#isFinished(partition, origin)) return true
    const { parkings } = this.#fateOf(partition, origin)
    if (record.origin === undefined) return parkings.length > 0
    // One of several copies may be dropped; that the last one is not is seen at the end.
    return parkings.length > 1 || parkings.at(-1) !== `${place}@${offset}`
  }

  /** Whether a record was delivered, skipped or put aside. */
  #isFinished(partition: string, offset: number): boolean {
    const fate = this.#fates.get(partition)?.get(offset)
    if (fate === undefined) return false
    return fate.isGone || fate.deliveries.length > 0 || fate.deadLetters > 0 || fate.skips > 0
  }

  /** Judges a log at the end. */
  checkEnd(log: PartitionLog, partition: string): void {
    for (const [offset, { kind, origin }] of log.records) {
      if (origin !== undefined) continue
      if (!this.#isFinished(partition, offset)) this.problem(`${partition}@${offset} is lost`)
      const fate = this.#fateOf(partition, offset)
      if (kind === 'malformed' && fate.deadLetters === 0) this.problem(`${partition}@${offset} is malformed, but gone`)
    }
    const committed = this.committedMost(partition)
    if (committed < log.end) this.problem(`${partition} is committed to ${committed} of ${log.end} only`)
  }

  /** The highest offset that was ever accepted: a commit that comes late may have set a lower one after it. */
  committedMost(partition: string): number {
    return this.#committedMost.get(partition) ?? 0
  }

  /** Most records that were repeated because of one member. */
  get repeatsMost(): number {
    return Math.max(0, ...[...this.#repeats.values()].map(each => each.size))
  }

  #fateOf(partition: string, offset: number): Fate {
    let ofPartition = this.#fates.get(partition)
    if (ofPartition === undefined) this.#fates.set(partition, (ofPartition = new Map()))
    let fate = ofPartition.get(offset)
    if (fate === undefined) {
      ofPartition.set(offset, (fate = { deliveries: [], deadLetters: 0, skips: 0, isGone: false, parkings: [] }))
    }
    return fate
  }

  #checkTogether(invocation: Invocation, other: Invocation): void {
    if (other.isGivenUp || invocation.tenure.isZombie || other.tenure.isZombie) return
    const { partition } = invocation
    if (other.tenure !== invocation.tenure) {
      if (other.tenure.end !== 'open') return
      this.problem(`${partition} is at the target for ${other.tenure.owner} and ${invocation.tenure.owner}`)
      return
    }
    if (this.#rules.order === 'partition') this.problem(`two batches of ${partition} are at the target`)
    if (this.#rules.order !== 'key') return
    const keys = new Set(other.keys)
    const shared = invocation.keys.find(key => key !== null && keys.has(key))
    if (shared !== undefined) this.problem(`two batches with key ${shared} of ${partition} are at the target`)
  }

  #checkOrder({ partition, offsets, keys }: Invocation, offset: number): void {
    if (this.#rules.order === 'none') return
    const key = keys[offsets.indexOf(offset)] ?? null
    const names = key === null ? [] : [`${partition}/${key}`]
    if (this.#rules.isPartitionOrdered) names.push(partition)
    for (const name of names) {
      const last = this.#lastOfKey.get(name) ?? -1
      if (offset < last) this.problem(`${partition}@${offset} comes after ${last}, in the order of ${name}`)
      else this.#lastOfKey.set(name, offset)
    }
  }

  /** A record is sent that the target may have had before. */
  #checkRepeat(invocation: Invocation, offset: number): void {
    const { partition, tenure } = invocation
    const before = this.#fateOf(partition, offset).deliveries.findLast(({ told }) => told.has(offset))
    // If it arrived, nobody knows: whoever has it must send it again.
    if (before === undefined) return
    // A member that went away may have left one copy more in a retry topic.
    if (this.#fateOf(partition, offset).parkings.length > 0 && !this.#rules.isCalm) return
    if (this.#rules.isCalm) this.problem(`${partition}@${offset} comes twice although nothing went wrong`)
    const isFirstGone = before.tenure.isZombie || before.tenure.end === 'killed' || before.tenure.end === 'lost'
    const isUncommitted = before.tenure !== tenure && (this.#committed.get(partition) ?? 0) <= offset
    // A zombie that sends what others have sent meanwhile is the cause itself, whatever became of them.
    const cause = !tenure.isZombie && (isFirstGone || isUncommitted) ? before.tenure : tenure
    // Whoever gives back what it could not commit goes on with the others.
    const name = isFirstGone || cause === tenure ? cause.membership : `${cause.membership}/${partition}`
    if (!isFirstGone && !isUncommitted && !tenure.isZombie && !this.#wentBack.has(partition)) {
      this.problem(`${partition}@${offset} is sent again (#${before.id}, #${invocation.id}) for no reason`)
    }
    if (this.#wentBack.has(partition)) return
    const repeats = this.#repeats.get(name) ?? new Set<string>()
    this.#repeats.set(name, repeats.add(`${partition}@${offset}`))
    if (repeats.size === this.#rules.repeatsMax + 1) {
      this.problem(`more than ${repeats.size - 1} records come again because of ${name}`)
    }
  }
}
