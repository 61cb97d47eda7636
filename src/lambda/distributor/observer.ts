/**
 * What the distributor tells whoever watches it: once for a batch and once for a request, never once for a record.
 *
 * An observer must not throw; what it throws is dropped, because a metric is no reason to deliver a batch again.
 */

import type { EnrichmentCounts } from '../enrichment/enricher.ts'
import type { DistributorContext } from './context.ts'

/** The records of one partition in a batch. */
export interface ObservedPartition {
  readonly topic: string
  readonly partition: number
  readonly firstOffset: number
  readonly lastOffset: number
}

/** Where in a trace an invocation is. */
export interface ObservedTrace {
  readonly traceId: string
  readonly spanId: string
}

/** A batch that was read. */
export interface ObservedBatch {
  /** Which event it came in. */
  readonly format: 'json' | 'esm'
  readonly topics: readonly string[]
  readonly partitionCount: number
  /** Those with records. */
  readonly partitions: readonly ObservedPartition[]
  readonly recordCount: number
  /** Absent where nobody traces, here or at the caller. */
  readonly trace?: ObservedTrace
}

/** A request that a target has answered, or not. */
export interface ObservedRequest {
  readonly target: string
  readonly topic: string
  readonly partition: number
  readonly recordCount: number
  /** Bytes of the records' texts. */
  readonly bytes: number
  /** 1 for the first attempt within the invocation. */
  readonly attempt: number
  readonly durationMs: number
  readonly outcome: 'ok' | 'partial' | 'rejected' | 'unavailable'
  /** Why, unless the outcome is `ok`. */
  readonly reason: string | undefined
}

/** Records of a partition that are not simply well. */
export interface ObservedFailures {
  readonly topic: string
  readonly partition: number
  readonly action: 'retry' | 'deadLetter' | 'skip'
  readonly recordCount: number
  /** Offset and reason of the first of them. */
  readonly firstOffset: number
  readonly reason: string
}

/** How an invocation ended. Each record counts once, by the gravest that was said of it. */
export interface ObservedResult {
  readonly durationMs: number
  readonly recordCount: number
  /** Delivered everywhere. */
  readonly deliveredCount: number
  readonly retriedCount: number
  readonly deadLetteredCount: number
  readonly skippedCount: number
  /** Not delivered because an earlier invocation did it; counted as delivered, too. */
  readonly repeatedCount: number
}

/** Watches one distributor. Every method may be left out. */
export interface DistributorObserver {
  /** An invocation begins; nothing is delivered before it returns. */
  invocationStarted?(batch: ObservedBatch, context: DistributorContext): void
  /** One enrichment has looked up what an invocation needs. */
  enriched?(counts: EnrichmentCounts): void
  requestDone?(request: ObservedRequest): void
  recordsFailed?(failures: ObservedFailures): void
  /** A store or a watcher failed; the batch was answered all the same. */
  storeFailed?(error: unknown): void
  /** The answer is ready; it is given when this has settled, or when the invocation has no time left for it. */
  invocationEnded?(result: ObservedResult, context: DistributorContext): void | Promise<void>
  /** The invocation fails as a whole, for example because the event has a wrong shape. */
  invocationFailed?(error: unknown, context: DistributorContext): void | Promise<void>
}
