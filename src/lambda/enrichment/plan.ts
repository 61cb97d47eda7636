/** The order of enrichments: those whose key reads what an earlier one adds come after it, others together. */

import { readKeyPattern, type KeyPattern } from './record-key.ts'
import type { EnrichmentSettings } from './settings.ts'

/** An enrichment with its keys taken apart. */
export interface PlannedEnrichment {
  readonly settings: EnrichmentSettings
  /** Its place in the configuration. */
  readonly index: number
  readonly key: KeyPattern
  /** The sort key where it has fields. */
  readonly sort: KeyPattern | undefined
  /** Earlier enrichments whose member the key reads, by the name of the member. */
  readonly reads: ReadonlyMap<string, number>
}

/**
 * Makes the plan: enrichments of one list are made at the same time, the lists one after the other.
 *
 * Only what an earlier entry adds counts. A key that reads its own `into`, or one that a later entry adds, means the
 * member that the event came with.
 */
export function planEnrichments(settings: readonly EnrichmentSettings[]): PlannedEnrichment[][] {
  const waves: PlannedEnrichment[][] = []
  const waveOf: number[] = []
  for (const [index, each] of settings.entries()) {
    const key = patternOf(each.key)
    const sort = sortPatternOf(each)
    const reads = new Map<string, number>()
    for (const [name = ''] of [...key.paths, ...(sort?.paths ?? [])]) {
      const earlier = settings.findIndex(other => other.into === name)
      if (earlier >= 0 && earlier < index) reads.set(name, earlier)
    }
    const wave = Math.max(0, ...[...reads.values()].map(earlier => (waveOf[earlier] ?? 0) + 1))
    waveOf.push(wave)
    const list = (waves[wave] ??= [])
    list.push({ settings: each, index, key, sort, reads })
  }
  return waves
}

function sortPatternOf({ from }: EnrichmentSettings): KeyPattern | undefined {
  if (from.type !== 'dynamoDb' || from.sortKey === undefined) return undefined
  const { value } = from.sortKey
  return /[{}]/.test(value) ? patternOf(value) : { literals: [value], paths: [] }
}

/** The settings were checked; text that is no pattern cannot come here, and would match no record. */
function patternOf(text: string): KeyPattern {
  const pattern = readKeyPattern(text)
  return typeof pattern === 'string' ? { literals: ['', ''], paths: [[]] } : pattern
}
