/**
 * Metrics of a distributor in CloudWatch's embedded metric format (EMF): one document for an invocation, one for each
 * target and each enrichment that had something to do.
 *
 * Dimensions are the service and the names of targets and enrichments, which the configuration bounds; never topics,
 * partitions or keys: each combination is a metric that costs money.
 *
 * Source: CloudWatch user guide, "Embedded metric format specification" (100 metrics in a document, 100 values of one
 * metric).
 */

import type { ObservedBatch, ObservedRequest, ObservedResult } from '../distributor/observer.ts'
import type { EnrichmentCounts } from '../enrichment/enricher.ts'
import type { PowertoolsMetrics } from './powertools.ts'

/** Most values of one metric in a document; Powertools writes the document by itself, and too early, at 100. */
const VALUES_MAX = 90
/** Most names of targets; further ones, which only code can make, share one. */
const TARGETS_MAX = 50

interface TargetCounts {
  requests: number
  failures: number
  records: number
  bytes: number
  durationsMs: number[]
}

/** Collects an invocation's numbers and writes them at its end. */
export class BatchMetrics {
  readonly #metrics: PowertoolsMetrics
  readonly #targets = new Map<string, TargetCounts>()
  readonly #names = new Set<string>()
  readonly #enrichments: EnrichmentCounts[] = []
  #batches = 0
  #storeFailures = 0
  #isCold = true

  constructor(metrics: PowertoolsMetrics) {
    this.#metrics = metrics
  }

  start(_batch: ObservedBatch, functionName: string | undefined): void {
    if (this.#isCold) this.#metrics.captureColdStartMetric(functionName)
    this.#isCold = false
    this.#batches += 1
  }

  request({ target, outcome, recordCount, bytes, durationMs }: ObservedRequest): void {
    const counts = this.#targetOf(target)
    counts.requests += 1
    if (outcome !== 'ok') counts.failures += 1
    counts.records += recordCount
    counts.bytes += bytes
    counts.durationsMs.push(durationMs)
  }

  enriched(counts: EnrichmentCounts): void {
    this.#enrichments.push(counts)
  }

  storeFailed(): void {
    this.#storeFailures += 1
  }

  end(result: ObservedResult): void {
    this.#add('Batches', this.#batches)
    this.#add('Records', result.recordCount)
    this.#add('RecordsDelivered', result.deliveredCount)
    this.#add('RecordsRetried', result.retriedCount)
    this.#add('RecordsDeadLettered', result.deadLetteredCount)
    this.#add('RecordsSkipped', result.skippedCount)
    this.#add('RecordsRepeated', result.repeatedCount)
    this.#add('StoreFailures', this.#storeFailures)
    this.#metrics.addMetric('BatchDuration', 'Milliseconds', result.durationMs)
    this.#publish()
  }

  fail(): void {
    this.#add('InvocationFailures', 1)
    this.#publish()
  }

  #publish(): void {
    // Without dimensions of its own first, with whatever else the program has added to the same instance.
    this.#metrics.publishStoredMetrics()
    for (const [target, counts] of this.#targets) this.#publishTarget(target, counts)
    for (const counts of this.#enrichments) this.#publishEnrichment(counts)
    this.#targets.clear()
    this.#enrichments.length = 0
    this.#batches = 0
    this.#storeFailures = 0
  }

  #publishTarget(target: string, { durationsMs, ...counts }: TargetCounts): void {
    this.#metrics.addDimension('target', target)
    this.#add('Requests', counts.requests)
    this.#add('RequestFailures', counts.failures)
    this.#add('RecordsSent', counts.records)
    this.#metrics.addMetric('BytesSent', 'Bytes', counts.bytes)
    for (let at = 0; at < durationsMs.length; at += VALUES_MAX) {
      if (at > 0) this.#metrics.addDimension('target', target)
      for (const durationMs of durationsMs.slice(at, at + VALUES_MAX)) {
        this.#metrics.addMetric('RequestDuration', 'Milliseconds', durationMs)
      }
      this.#metrics.publishStoredMetrics()
    }
  }

  #publishEnrichment({ into, ...counts }: EnrichmentCounts): void {
    this.#metrics.addDimension('enrichment', into)
    this.#add('EnrichedRecords', counts.records)
    this.#add('CacheHits', counts.hits)
    this.#add('CacheMisses', counts.misses)
    this.#add('KeysAbsent', counts.absent)
    this.#add('KeysStale', counts.stale)
    this.#add('KeysFailed', counts.failed)
    this.#metrics.addMetric('LookupDuration', 'Milliseconds', counts.durationMs)
    this.#metrics.publishStoredMetrics()
  }

  #add(name: string, value: number): void {
    this.#metrics.addMetric(name, 'Count', value)
  }

  #targetOf(target: string): TargetCounts {
    if (this.#names.size < TARGETS_MAX) this.#names.add(target)
    const name = this.#names.has(target) ? target : 'other'
    let counts = this.#targets.get(name)
    if (counts === undefined) {
      counts = { requests: 0, failures: 0, records: 0, bytes: 0, durationsMs: [] }
      this.#targets.set(name, counts)
    }
    return counts
  }
}
