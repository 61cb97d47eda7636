/** One enrichment: collects the keys of all records, has them resolved, and tells each record what came of it. */

import type { Clock } from '../../core/index.ts'
import type { AddedMember, EnrichedRecords } from './enriched-records.ts'
import type { EnrichmentCounts, EnrichmentFailure } from './enricher.ts'
import type { PlannedEnrichment } from './plan.ts'
import { joinSortKey, keyOf } from './record-key.ts'
import { ENRICHMENT_DEFAULTS } from './settings.ts'
import { ABSENT, type Lookup, type LookupFailure, type Slot } from './source.ts'

/** Longest reason, in characters. */
const REASON_MAX = 300
/** What `missing: 'null'` adds. */
const NULL_SLOT: Slot = { key: '', resolution: { kind: 'found', text: 'null' }, isHit: true, isStale: false }

/** An enrichment that is ready to run. */
export class Enrichment implements AddedMember {
  readonly index: number
  readonly name: string
  readonly literal: string
  readonly isReplacing: boolean
  readonly #planned: PlannedEnrichment
  readonly #lookup: Lookup
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #missing: 'pass' | 'null' | 'deadLetter'
  readonly #isPassing: boolean

  constructor(planned: PlannedEnrichment, lookup: Lookup, clock: Clock) {
    const { into, timeoutMs, missing, onError, onConflict } = { ...ENRICHMENT_DEFAULTS, ...planned.settings }
    this.index = planned.index
    this.name = into
    this.literal = `${JSON.stringify(into)}:`
    this.isReplacing = onConflict === 'replace'
    this.#planned = planned
    this.#lookup = lookup
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#missing = missing
    this.#isPassing = onError === 'pass'
  }

  /** Runs for the records of all partitions of an event. */
  async run(partitions: readonly EnrichedRecords[], timeLeftMs: number): Promise<EnrichmentCounts> {
    const startMs = this.#clock.monotonicMs()
    const slots = new Map<string, Slot>()
    let records = 0
    for (const partition of partitions) records += this.#collect(partition, slots)
    const list = [...slots.values()]
    if (list.length > 0) await this.#lookup.resolve(list, Math.max(0, Math.min(this.#timeoutMs, timeLeftMs)))
    for (const partition of partitions) this.#tell(partition)
    return countsOf(this.name, { records, slots: list, durationMs: this.#clock.monotonicMs() - startMs })
  }

  close(): Promise<void> {
    return this.#lookup.close()
  }

  #collect(records: EnrichedRecords, slots: Map<string, Slot>): number {
    const { messages } = records.partition
    let count = 0
    for (let index = 0; index < messages.length; index += 1) {
      const message = messages[index]
      if (!this.#isDue(records, index, message)) continue
      const key = this.#keyOf(records, index)
      if (key === undefined) {
        this.#miss(records, index, `the event has no ${this.#planned.settings.key} to look ${this.name} up by`)
        continue
      }
      count += 1
      let slot = slots.get(key)
      if (slot === undefined) {
        slot = { key, resolution: ABSENT, isHit: false, isStale: false }
        slots.set(key, slot)
      }
      records.set(this.index, index, slot)
    }
    return count
  }

  #isDue(records: EnrichedRecords, index: number, message: unknown): boolean {
    if (records.partition.isWanted?.(index) === false || records.failures.has(index)) return false
    if (typeof message !== 'object' || message === null || Array.isArray(message)) {
      // Nothing can be added to it: not even null.
      if (this.#missing === 'deadLetter')
        this.#miss(records, index, `the value is no object that ${this.name} can be added to`)
      return false
    }
    return this.isReplacing || !Object.hasOwn(message, this.name)
  }

  #keyOf(records: EnrichedRecords, index: number): string | undefined {
    const { key, sort, reads } = this.#planned
    const valueAt = (path: readonly string[]): unknown => records.valueAt(index, path, reads)
    const partition = keyOf(key, valueAt)
    if (partition === undefined || sort === undefined) return partition
    const part = keyOf(sort, valueAt)
    return part === undefined ? undefined : joinSortKey(partition, part)
  }

  #tell(records: EnrichedRecords): void {
    const { messages } = records.partition
    for (let index = 0; index < messages.length; index += 1) {
      const slot = records.slot(this.index, index)
      if (slot === undefined || slot === NULL_SLOT) continue
      const { resolution } = slot
      if (resolution.kind === 'found') continue
      records.set(this.index, index, undefined)
      if (resolution.kind === 'absent') this.#miss(records, index, `there is no ${this.name} for its key`)
      else if (!this.#isPassing) records.fail(index, this.#failure(resolution.failure))
    }
  }

  #miss(records: EnrichedRecords, index: number, reason: string): void {
    if (this.#missing === 'null') records.set(this.index, index, NULL_SLOT)
    else if (this.#missing === 'deadLetter')
      records.fail(index, { action: 'deadLetter', reason: `enrichment: ${reason}` })
  }

  #failure({ reason, isUnavailable, isSuspect, retryAfterMs }: LookupFailure): EnrichmentFailure {
    return {
      action: 'retry',
      reason: `enrichment ${this.name}: ${reason}`.slice(0, REASON_MAX),
      ...(isUnavailable ? { isUnavailable } : {}),
      ...(isSuspect === true ? { isSuspect } : {}),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs })
    }
  }
}

function countsOf(
  into: string,
  { records, slots, durationMs }: { records: number; slots: readonly Slot[]; durationMs: number }
): EnrichmentCounts {
  const counts = { hits: 0, absent: 0, stale: 0, failed: 0 }
  for (const { resolution, isHit, isStale } of slots) {
    if (isHit) counts.hits += 1
    if (isStale) counts.stale += 1
    if (resolution.kind === 'absent') counts.absent += 1
    if (resolution.kind === 'failed') counts.failed += 1
  }
  return { into, records, keys: slots.length, misses: slots.length - counts.hits, durationMs, ...counts }
}
