/**
 * The contract between the dispatcher and whatever takes a batch.
 *
 * A target only says what happened; the dispatcher decides what to do. The
 * line that matters runs between `rejected` (these records are refused: try a
 * few times, then find the bad one and put it aside) and `unavailable` (the
 * target is not able to answer: wait, whatever the records).
 */

import type { AppendHeader } from '../client/index.ts'
import type { SpanAttributes, TraceContext } from '../telemetry/index.ts'

/** Records of a batch, by index from 0 in offset order. Bytes are views: read-only, gone once `invoke` has settled. */
export interface BatchRecords {
  readonly count: number
  offset(index: number): bigint
  /** Milliseconds since 1970. */
  timestampMs(index: number): number
  key(index: number): Buffer | null
  value(index: number): Buffer | null
  headers(index: number): AppendHeader[]
}

/** One batch, encoded. */
export interface TargetBatch {
  readonly topic: string
  readonly partition: number
  readonly recordCount: number
  /** Offset of the first record in the body. */
  readonly firstOffset: bigint
  /** Offset of the last record in the body; between the two some may be missing (compaction, retries). */
  readonly lastOffset: bigint
  /** The payload, JSON. Not to be kept after `invoke` has settled. */
  readonly body: Buffer
  readonly contentType: string
  /** The records themselves, for a target that `takesRecords`; the body is empty then. */
  readonly records?: BatchRecords
  /** 1 for the first try of these records, then 2, 3, … */
  readonly attempt: number
  /** The same for the same records on every try: `group/topic/partition/first-last`, percent-encoded. */
  readonly idempotencyKey: string
  /** Where in a trace this invocation is: for the target to pass on. Absent where nobody traces. */
  readonly trace?: TraceContext
}

/** What is to become of one record that was not delivered. */
export interface RecordFailure {
  readonly offset: bigint
  readonly action: 'retry' | 'deadLetter' | 'skip'
  readonly reason: string
  /** Least wait before the retry, in milliseconds. */
  readonly retryAfterMs?: number
  /** Something behind the target is at fault, or an earlier record is: a retry that costs this record no attempt. */
  readonly isUnavailable?: boolean
  /** What is behind the target broke on a request that held this record: it may be the record after all. */
  readonly isSuspect?: boolean
}

/** Error class of a batch that is too large for the target: it is split at once instead of tried again. */
export const TOO_LARGE = 'PayloadTooLarge'
/** Error class of a reply that names records which are not in the batch, or is not in the agreed form. */
export const INVALID_REPLY = 'InvalidReply'

/** What happened to a batch. */
export type TargetOutcome =
  /** All delivered. */
  | { readonly kind: 'ok' }
  /** Delivered but for these; `resumeFrom` = that offset and all after it were not processed, to be sent again. */
  | { readonly kind: 'partial'; readonly failures: readonly RecordFailure[]; readonly resumeFrom?: bigint }
  /** The content is refused: retry, then bisect down to the bad record. */
  | { readonly kind: 'rejected'; readonly reason: string; readonly errorClass: string }
  /** Throttled, down or unreachable: wait and try again; never costs a record an attempt. */
  | {
      readonly kind: 'unavailable'
      readonly reason: string
      /** The wait that the target asks for, in milliseconds. */
      readonly retryAfterMs?: number
      /**
       * It may be the records that bring the target down (a time-out, a crash, an unexplained 5xx): after several of
       * these in a row the batch is bisected, and a record that fails alone while others pass is put aside.
       */
      readonly isSuspect?: boolean
      /** It is there and gets too much (429, a throttle of Lambda): less at once is the answer, not a pause. */
      readonly isThrottled?: boolean
    }

/** Something that takes batches. */
export interface Target {
  /** Name in logs and metrics. */
  readonly name: string
  /** What spans of its invocations say of it, besides its name. Default: nothing. */
  readonly spanAttributes?: SpanAttributes
  /** Largest body it takes, in bytes. */
  readonly bodyBytesMax: number
  /** Whether it takes records as they are, whatever bytes they have, instead of a payload. Default `false`. */
  readonly takesRecords?: boolean
  /** Longest wait for an answer, in milliseconds; the dispatcher aborts the signal then. */
  readonly timeoutMs: number
  /** Sends one batch. Does not reject for what a target can do wrong; a rejection counts as a suspect `unavailable`. */
  invoke(batch: TargetBatch, signal: AbortSignal): Promise<TargetOutcome>
  /** Releases connections. Idempotent. */
  close(): Promise<void>
}
