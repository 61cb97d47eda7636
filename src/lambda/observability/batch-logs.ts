/**
 * Log lines of a distributor: one for each invocation, one for each request that failed, one for each kind of records
 * that are not simply well. With Lambda's request id, whether it was a cold start, the batch
 * (`topic-partition-first-last`) and the trace, by which the lines of a dispatcher and of targets are found.
 *
 * Keys, values and headers of records are never written. Reasons are, because without them nobody can act; a target
 * that puts a record into its error text is cut off after 200 characters.
 */

import { messageOf, PipelineError } from '../../core/index.ts'
import type { DistributorContext } from '../distributor/context.ts'
import { callerPlace } from '../distributor/invocation-trace.ts'
import type { ObservedBatch, ObservedFailures, ObservedRequest, ObservedResult } from '../distributor/observer.ts'
import type { EnrichmentCounts } from '../enrichment/enricher.ts'
import type { LogKeys, PowertoolsLogger } from './powertools.ts'

const REASON_MAX = 200
/** Most partitions that are named in a line. */
const BATCHES_MAX = 10
const BATCH_KEYS = ['batch', 'batch_count', 'traceId', 'spanId']

/** Writes the lines. */
export class BatchLogs {
  readonly #logger: PowertoolsLogger

  constructor(logger: PowertoolsLogger) {
    this.#logger = logger
  }

  start({ partitions, trace }: ObservedBatch, context: DistributorContext): void {
    // Boundary: Powertools reads members of Lambda's context, of which an emulator may lack some.
    this.#logger.addContext(context as never)
    const ids = partitions
      .slice(0, BATCHES_MAX)
      .map(({ topic, partition, firstOffset, lastOffset }) => `${topic}-${partition}-${firstOffset}-${lastOffset}`)
    const batch = ids.length === 1 ? ids[0] : ids
    const count = partitions.length > 1 ? { batch_count: partitions.length } : {}
    this.#logger.appendKeys({ batch, ...count, ...(trace ?? callerPlace(context)) })
  }

  request({ outcome, reason, ...request }: ObservedRequest): void {
    const { target, topic, partition, recordCount, attempt, durationMs } = request
    const fields: LogKeys = { target, topic, partition, records: recordCount, attempt, outcome, durationMs }
    if (outcome === 'ok') this.#logger.debug('request done', fields)
    else this.#logger.warn('request failed', { ...fields, reason: cut(reason ?? outcome) })
  }

  enriched({ into, ...counts }: EnrichmentCounts): void {
    const fields: LogKeys = { enrichment: into, ...counts }
    if (counts.failed > 0 || counts.stale > 0) this.#logger.warn('look-ups failed', fields)
    else this.#logger.debug('look-ups done', fields)
  }

  failures({ topic, partition, action, recordCount, firstOffset, reason }: ObservedFailures): void {
    const fields: LogKeys = { topic, partition, action, records: recordCount, firstOffset, reason: cut(reason) }
    if (action === 'skip') this.#logger.debug('records skipped', fields)
    else this.#logger.warn('records not delivered', fields)
  }

  storeFailed(error: unknown): void {
    this.#logger.error('the idempotency store failed', errorFields(error))
  }

  end(result: ObservedResult): void {
    const { durationMs, recordCount, deliveredCount, retriedCount, deadLetteredCount, skippedCount } = result
    this.#logger.info('batch done', {
      records: recordCount,
      delivered: deliveredCount,
      retried: retriedCount,
      deadLettered: deadLetteredCount,
      skipped: skippedCount,
      repeated: result.repeatedCount,
      durationMs
    })
    this.#logger.removeKeys(BATCH_KEYS)
  }

  fail(error: unknown): void {
    this.#logger.error('the invocation failed', errorFields(error))
    this.#logger.removeKeys(BATCH_KEYS)
  }
}

function errorFields(error: unknown): LogKeys {
  const code = PipelineError.is(error) ? error.code : undefined
  const fields: LogKeys = { reason: cut(messageOf(error)) }
  return code === undefined ? fields : { code, ...fields }
}

function cut(text: string): string {
  return text.slice(0, REASON_MAX)
}
