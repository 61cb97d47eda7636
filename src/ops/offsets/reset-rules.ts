/**
 * Where a reset puts an offset: the rules of Kafka's own tool, case by case. Pure.
 *
 * Source: `kafka-consumer-groups.sh --reset-offsets`, class `ConsumerGroupCommand`
 * (Apache Kafka 4.3). An offset that is named (`offset`, `shift`, from a file) is
 * moved into the log with a warning; a shift needs a commit to count from; a time
 * that no record has reached means the end; `current` keeps a commit wherever it
 * is, and means the end where there is none.
 */

import type { LogEnds, StoredOffset } from './offset-move.ts'

/** Where to. */
export type ResetTo =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'current' }
  | { readonly kind: 'offset'; readonly offset: bigint }
  | { readonly kind: 'shift'; readonly by: bigint }
  /** The first record at or after a time, in milliseconds since 1970. */
  | { readonly kind: 'time'; readonly timestampMs: bigint }

/** What is known of a partition when a reset is planned. */
export interface ResetFacts extends LogEnds {
  /** The name, for messages: `mt-c400-3`. */
  readonly name: string
  /** `undefined` where nothing is committed. */
  readonly committed: StoredOffset | undefined
  /** Only for a time: the first offset at or after it, -1n if there is none. */
  readonly atTime?: bigint
}

/** Where an offset goes, or why it goes nowhere. */
export type ResetOutcome =
  | { readonly kind: 'to'; readonly offset: bigint; readonly note?: string }
  | { readonly kind: 'impossible'; readonly reason: string }

/** The offset that a reset gives a partition. */
export function resolveReset(to: ResetTo, facts: ResetFacts): ResetOutcome {
  const { name, committed, logStartOffset, highWatermark } = facts
  switch (to.kind) {
    case 'earliest':
      return { kind: 'to', offset: logStartOffset }
    case 'latest':
      return { kind: 'to', offset: highWatermark }
    case 'current':
      if (committed === undefined) return { kind: 'to', offset: highWatermark, note: 'no commit before: the end' }
      return { kind: 'to', offset: committed.offset, ...outsideNote(committed.offset, facts) }
    case 'offset':
      return clampInto(to.offset, facts)
    case 'shift':
      if (committed === undefined) {
        const reason = `${name} has no committed offset to count from: name one with --to-offset, or leave it out`
        return { kind: 'impossible', reason }
      }
      return clampInto(committed.offset + to.by, facts)
    case 'time': {
      const { atTime = -1n } = facts
      if (atTime >= 0n) return { kind: 'to', offset: atTime }
      return { kind: 'to', offset: highWatermark, note: 'no record at or after that time: the end' }
    }
  }
}

/** An offset that was named, moved into what the log has. */
export function clampInto(offset: bigint, { logStartOffset, highWatermark }: LogEnds): ResetOutcome {
  if (offset > highWatermark) {
    return { kind: 'to', offset: highWatermark, note: `${offset} lies behind the end: set to ${highWatermark}` }
  }
  if (offset < logStartOffset) {
    return { kind: 'to', offset: logStartOffset, note: `${offset} lies before the beginning: set to ${logStartOffset}` }
  }
  return { kind: 'to', offset }
}

/** Kafka's tool leaves such an offset as it is, and so does a reset: the consumer's `auto.offset.reset` decides. */
function outsideNote(offset: bigint, { logStartOffset, highWatermark }: LogEnds): { note?: string } {
  if (offset < logStartOffset) return { note: `lies before the beginning ${logStartOffset}: records are lost` }
  return offset > highWatermark ? { note: `lies behind the end ${highWatermark}` } : {}
}
