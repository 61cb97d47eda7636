/** Counts what a redrive would do: by topic and error class, by reason to stay, with samples. Bounded. */

import { printableText } from '../../core/index.ts'
import { printableBytes } from '../records/printable.ts'
import type { ReadRecord } from '../records/read-record.ts'
import type { DeadLetterFacts } from './dead-letter.ts'
import type { LetterVerdict, StayReason } from './redrive-rules.ts'

/** Records of one error class that go to one topic. */
export interface RedriveCount {
  readonly topic: string
  readonly errorClass: string
  readonly records: number
  /** The oldest original time of them, in milliseconds since 1970; `undefined` where none says. */
  readonly oldestMs: number | undefined
}

/** A record of the plan as an example. */
export interface RedriveSample {
  /** `dead-letters-0@17`. */
  readonly letter: string
  readonly errorClass: string
  readonly reason: string
  readonly key: string | null
  readonly to: string
}

/** Different topics and classes that are counted apart; what is beyond them is counted together. */
const COUNTS_MAX = 1000
const SAMPLES_PER_CLASS = 3
const SAMPLES_MAX = 30
const OTHERS = '(others)'

/** The tally of a look at dead letters. */
export class RedriveSurvey {
  readonly #counts = new Map<string, { topic: string; errorClass: string; records: number; oldestMs?: number }>()
  readonly #stays = new Map<StayReason, number>()
  readonly #samples: RedriveSample[] = []
  #samplesOf = new Map<string, number>()
  #redriven = 0
  #looked = 0

  /** Adds a dead letter and what becomes of it. */
  add(letter: ReadRecord, facts: DeadLetterFacts, verdict: LetterVerdict): void {
    this.#looked += 1
    if (verdict.kind === 'stays') this.#stays.set(verdict.reason, (this.#stays.get(verdict.reason) ?? 0) + 1)
    if (verdict.kind !== 'redrive') return
    this.#redriven += 1
    const { topic } = verdict
    const { errorClass, origin } = facts
    const isKnown = this.#counts.has(`${topic}\n${errorClass}`) || this.#counts.size < COUNTS_MAX
    const named = isKnown ? { topic, errorClass } : { topic: OTHERS, errorClass: OTHERS }
    const key = `${named.topic}\n${named.errorClass}`
    const count = this.#counts.get(key) ?? { ...named, records: 0 }
    this.#counts.set(key, count)
    count.records += 1
    const timestampMs = origin?.timestampMs
    if (timestampMs !== undefined) count.oldestMs = Math.min(count.oldestMs ?? timestampMs, timestampMs)
    this.#sample(letter, facts, topic)
  }

  #sample(letter: ReadRecord, { errorClass, reason }: DeadLetterFacts, to: string): void {
    const taken = this.#samplesOf.get(errorClass) ?? 0
    if (taken >= SAMPLES_PER_CLASS || this.#samples.length >= SAMPLES_MAX) return
    this.#samplesOf.set(errorClass, taken + 1)
    this.#samples.push({
      letter: `${letter.topic}-${letter.partition}@${letter.offset}`,
      errorClass: printableText(errorClass),
      reason: printableText(reason.slice(0, 200)),
      key: letter.key === null ? null : printableBytes(letter.key, 60),
      to: printableText(to)
    })
  }

  /** Dead letters that were looked at. */
  get looked(): number {
    return this.#looked
  }

  /** Those that would be redriven. */
  get redriven(): number {
    return this.#redriven
  }

  /** By topic and class, the most first. */
  get counts(): RedriveCount[] {
    return [...this.#counts.values()]
      .map(count => ({ ...count, oldestMs: count.oldestMs }))
      .sort((left, right) => right.records - left.records || (left.topic < right.topic ? -1 : 1))
  }

  /** How many stay, and why. */
  get stays(): ReadonlyMap<StayReason, number> {
    return this.#stays
  }

  /** A few of each class. */
  get samples(): readonly RedriveSample[] {
    return this.#samples
  }
}
