/** What becomes of one dead letter in a redrive. Pure. */

import type { AppendRecord } from '../../client/index.ts'
import type { ReadRecord } from '../records/read-record.ts'
import { type DeadLetterFacts, REDRIVE_HEADER } from './dead-letter.ts'

/** What is redriven, and how. */
export interface RedriveRules {
  /** Topic for all, instead of where each came from. */
  readonly to?: string
  /** Only these error classes. Default: all. */
  readonly errorClasses?: readonly string[]
  /** Only records of these topics. Default: all. */
  readonly originTopics?: readonly string[]
  /** Only records that have been redriven so often already. Default 0. */
  readonly redrivesMin?: number
  /** Records that have been redriven so often stay where they are. At least 1. Default 3. */
  readonly redrivesMax?: number
  /** Whether a record keeps its time, or gets that of the redrive. Default `original`. */
  readonly timestamp?: 'original' | 'now'
}

/** Why a dead letter that was chosen is not redriven. */
export type StayReason =
  /** Redriven `redrivesMax` times already. */
  | 'redriven-too-often'
  /** It never lay in a topic: an event that the producer refused. Needs `to`. */
  | 'no-origin'
  /** Only the beginning of its value was kept. */
  | 'value-cut'
  /** A reference whose record is no longer at its origin. */
  | 'origin-gone'
  /** Its topic does not take a record of this size. */
  | 'too-large'

/** What each reason means, for people. */
export const STAY_TEXT: Readonly<Record<StayReason, string>> = {
  'redriven-too-often': 'redriven too often already (--max-redrives)',
  'no-origin': 'never lay in a topic: its source is not one (name a topic with --to)',
  'value-cut': 'only the beginning of its value was kept',
  'origin-gone': 'its value lay at its origin, and is gone from there',
  'too-large': 'larger than its topic takes'
}

/** What becomes of a dead letter. */
export type LetterVerdict =
  | { readonly kind: 'passed' }
  | { readonly kind: 'stays'; readonly reason: StayReason }
  | { readonly kind: 'redrive'; readonly topic: string }

/** Most redrives of a record unless said otherwise. */
export const REDRIVES_MAX = 3

/** Decides. `passed`: the rules do not choose it. */
export function judgeLetter(facts: DeadLetterFacts, rules: RedriveRules): LetterVerdict {
  const { errorClasses, originTopics, redrivesMin = 0, redrivesMax = REDRIVES_MAX } = rules
  if (errorClasses !== undefined && !errorClasses.includes(facts.errorClass)) return { kind: 'passed' }
  if (originTopics !== undefined && !originTopics.includes(facts.origin?.topic ?? '')) return { kind: 'passed' }
  if (facts.redriveCount < redrivesMin) return { kind: 'passed' }
  if (facts.redriveCount >= redrivesMax) return { kind: 'stays', reason: 'redriven-too-often' }
  if (facts.value === 'cut') return { kind: 'stays', reason: 'value-cut' }
  const topic = rules.to ?? facts.origin?.topic
  if (topic === undefined) return { kind: 'stays', reason: 'no-origin' }
  return { kind: 'redrive', topic }
}

/** When, and by whom. */
export interface RedriveStamp {
  readonly atMs: number
  readonly by: string
}

/** What a record is made from: its content, which a reference has at its origin, and its dead letter. */
export interface RedriveSource {
  readonly letter: ReadRecord
  readonly facts: DeadLetterFacts
  /** Key, value and headers: those of the letter, or of the record at the origin. */
  readonly content: Pick<ReadRecord, 'key' | 'value' | 'headers'>
}

/**
 * The record that is appended: key, value and headers as they were, so that its key leads it to its old partition, its
 * time if the rules keep it, and the headers of the redrive.
 */
export function redrivenRecord(
  { letter, facts, content }: RedriveSource,
  topic: string,
  { stamp, rules }: { stamp: RedriveStamp; rules: RedriveRules }
): AppendRecord {
  const added: readonly (readonly [string, string])[] = [
    [REDRIVE_HEADER.count, String(facts.redriveCount + 1)],
    [REDRIVE_HEADER.from, `${letter.topic}-${letter.partition}@${letter.offset}`],
    [REDRIVE_HEADER.atMs, String(stamp.atMs)],
    [REDRIVE_HEADER.by, stamp.by]
  ]
  const originMs = rules.timestamp === 'now' ? undefined : facts.origin?.timestampMs
  // Kafka refuses times that lie ahead of its own by an hour: a producer whose clock is wrong must not stop a redrive.
  const timestampMs = originMs !== undefined && originMs > stamp.atMs ? undefined : originMs
  return {
    topic,
    key: content.key,
    value: content.value,
    headers: [...content.headers, ...added.map(([key, value]) => ({ key, value: Buffer.from(value) }))],
    ...(timestampMs === undefined ? {} : { timestampMs })
  }
}
