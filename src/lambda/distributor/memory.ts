/**
 * What is known of the records of one partition from earlier invocations: the store of a guard knows it everywhere, the
 * ledger of a warm environment in that environment.
 *
 * What is remembered for good is only what was delivered or skipped. A dead letter is an answer that the caller must
 * act on: should it be lost on the way, the record comes again and is answered again.
 */

import type { EventPartition } from '../event/read-event.ts'
import type { GuardedBatch, GuardedResult } from '../idempotency/batch-guard.ts'
import { type Delivery, recordId } from './delivery.ts'
import type { FinalWord, Ledger } from './ledger.ts'
import type { PartitionVerdicts } from './verdict.ts'

/** What is known of the records of one partition, by index. */
export interface Memory {
  /** Whether an earlier invocation has done the record. */
  isDone(index: number): boolean
  /** How long another invocation may be at it, in milliseconds; `undefined` if none is. */
  heldForMs(index: number): number | undefined
  /** What a target has said of it for good. */
  wordOf(index: number, target: string): FinalWord | undefined
}

/** The memory of a warm environment. */
export class LedgerMemory implements Memory {
  readonly #ledger: Ledger
  readonly #partition: EventPartition
  /** While all is well the ledger is empty and costs nothing. */
  readonly #isEmpty: boolean

  constructor(ledger: Ledger, partition: EventPartition) {
    this.#ledger = ledger
    this.#partition = partition
    this.#isEmpty = ledger.count === 0
  }

  isDone(): boolean {
    return false
  }

  heldForMs(): undefined {
    return undefined
  }

  wordOf(index: number, target: string): FinalWord | undefined {
    if (this.#isEmpty) return undefined
    return this.#ledger.get(recordId(this.#partition, this.#partition.offsets[index] ?? 0), target)
  }
}

/**
 * Before the name of a target that has refused a record which comes again because of another target. Not asked again,
 * it cannot change its mind, and take the record behind later ones. Names of targets have no spaces.
 *
 * In AWS, where the refusal itself makes the record come again, the time until which it holds stands behind the name:
 * a mapping without a limit of attempts would stand at the record for ever, whatever becomes of the target.
 */
const REFUSED = 'deadLetter '
/** Such times are rounded up to this, so that few records differ in them. */
const REFUSED_STEP_MS = 60_000

/** The memory of a store. */
export class GuardMemory implements Memory {
  readonly #batch: GuardedBatch
  readonly #number: number
  readonly #nowMs: number

  /**
   * @param number - The partition's place in the event.
   * @param nowMs - Epoch milliseconds.
   */
  constructor(batch: GuardedBatch, number: number, nowMs: number) {
    this.#batch = batch
    this.#number = number
    this.#nowMs = nowMs
  }

  isDone(index: number): boolean {
    return this.#batch.state(this.#number, index) === 'done'
  }

  heldForMs(index: number): number | undefined {
    if (this.#batch.state(this.#number, index) !== 'held') return undefined
    return Math.max(0, Math.ceil(this.#batch.heldForMs(this.#number, index)))
  }

  wordOf(index: number, target: string): FinalWord | undefined {
    const words = this.#batch.targetsDone(this.#number, index)
    if (words.size === 0) return undefined
    if (words.has(target)) return 'ok'
    if (!this.targetsDone(index).some(word => refusedBy(word)?.target === target)) return undefined
    return { action: 'deadLetter', reason: `target ${target} has refused it in an earlier invocation` }
  }

  /** Targets that took the record in earlier invocations, or refused it not long ago. */
  targetsDone(index: number): readonly string[] {
    const words = [...this.#batch.targetsDone(this.#number, index)]
    return words.filter(word => (refusedBy(word)?.untilMs ?? Number.POSITIVE_INFINITY) > this.#nowMs)
  }
}

/** The target that a word says has refused the record, and until when that holds. */
function refusedBy(word: string): { readonly target: string | undefined; readonly untilMs: number } | undefined {
  if (!word.startsWith(REFUSED)) return undefined
  const [target, until] = word.slice(REFUSED.length).split(' ')
  return { target, untilMs: until === undefined ? Number.POSITIVE_INFINITY : Number(until) }
}

/** What was said of a partition in this invocation. */
export interface Concluded {
  readonly partition: EventPartition
  readonly verdicts: PartitionVerdicts
  readonly deliveries: readonly Delivery[]
  readonly memory: Memory
}

/** Writes down what targets have said of records that come again, and forgets what is settled. */
export function remember(ledger: Ledger, { partition, verdicts, deliveries }: Concluded, isEsm: boolean): void {
  if (verdicts.count === 0 && ledger.count === 0) return
  const resumeIndex = isEsm ? verdicts.resumeIndex() : undefined
  const isComingAgain = (index: number): boolean => verdicts.isComingAgain(index, resumeIndex)
  for (const [index, offset] of partition.offsets.entries()) {
    if (!isComingAgain(index)) ledger.delete(recordId(partition, offset))
  }
  for (const delivery of deliveries) {
    for (const index of delivery.indexes) {
      const word = isComingAgain(index) ? delivery.finalWord(index) : undefined
      if (word !== undefined) {
        ledger.set(recordId(partition, partition.offsets[index] ?? 0), delivery.target.name, word)
      }
    }
  }
}

const DONE: GuardedResult = { isDone: true, targetsDone: [] }

/**
 * What a guard is told of the records of a partition, by index.
 *
 * @param refusedUntilMs - Until when a refusal holds in AWS, in epoch milliseconds.
 */
export function guardedResults(
  concluded: Concluded,
  { isEsm, refusedUntilMs }: { readonly isEsm: boolean; readonly refusedUntilMs: number }
): (index: number) => GuardedResult {
  const resumeIndex = isEsm ? concluded.verdicts.resumeIndex() : undefined
  const time = isEsm ? ` ${Math.ceil(refusedUntilMs / REFUSED_STEP_MS) * REFUSED_STEP_MS}` : ''
  return index => {
    return guardedResult(concluded, index, {
      isComingAgain: concluded.verdicts.isComingAgain(index, resumeIndex),
      refused: target => `${REFUSED}${target}${time}`
    })
  }
}

interface Telling {
  readonly isComingAgain: boolean
  /** The word for a target that has refused a record. */
  readonly refused: (target: string) => string
}

function guardedResult(
  { verdicts, deliveries, memory }: Concluded,
  index: number,
  { isComingAgain, refused }: Telling
): GuardedResult {
  const verdict = verdicts.get(index)
  if (verdict === undefined || verdict.action === 'skip') return DONE
  const words: string[] = []
  for (const delivery of deliveries) {
    const word = delivery.has(index) ? delivery.finalWord(index) : undefined
    if (word === undefined) continue
    const isRefused = word !== 'ok' && word.action === 'deadLetter'
    words.push(isRefused ? refused(delivery.target.name) : delivery.target.name)
  }
  words.push(...earlier(memory, index))
  // A record that is a dead letter now is asked for anew, should it be replayed.
  return { isDone: false, targetsDone: isComingAgain ? words : words.filter(word => !word.startsWith(REFUSED)) }
}

function earlier(memory: Memory, index: number): readonly string[] {
  return memory instanceof GuardMemory ? memory.targetsDone(index) : []
}
