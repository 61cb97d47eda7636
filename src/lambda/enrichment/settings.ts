/**
 * What is looked up for records, and from where: the entries of `distributor.enrich`.
 *
 * Checked by hand, because this runs inside the function (see distributor/options.ts).
 */

import { choiceProblems, countProblems, isObject, unknownMembers } from './checks.ts'
import { readKeyPattern } from './record-key.ts'
import { type SourceSettings, sourceProblems } from './source-settings.ts'

/** How long and how much of what was looked up is remembered by a warm environment. */
export interface EnrichmentCacheSettings {
  /** How long a value is used before it is asked for again, in milliseconds. 0 remembers nothing. Default 60_000. */
  readonly ttlMs?: number
  /** How long it is remembered that there is nothing for a key, in milliseconds. Default 10_000. */
  readonly negativeTtlMs?: number
  /** How much longer an old value may be used while the source fails, in milliseconds. Default 0: not at all. */
  readonly staleMs?: number
  /** Most values. Default 10_000. */
  readonly entriesMax?: number
  /** Most bytes of memory, as an estimate for the worst: ten for each character of a value. Default 33_554_432. */
  readonly bytesMax?: number
}

/** One enrichment. */
export interface EnrichmentSettings {
  /** Name of the member that is added to the event, at its top. */
  readonly into: string
  /** Field of the event that names what to look up (`driver.id`), or a template (`DRIVER#{driver.id}`). */
  readonly key: string
  readonly from: SourceSettings
  readonly cache?: EnrichmentCacheSettings
  /**
   * What becomes of a record that has no key, or one that the source has nothing for: delivered as it is (`pass`),
   * with the member set to `null` (`null`), or not at all (`deadLetter`). Default `pass`.
   */
  readonly missing?: 'pass' | 'null' | 'deadLetter'
  /**
   * What becomes of a record while the source fails: it comes again (`retry`) or is delivered as it is (`pass`).
   * Default `retry`.
   */
  readonly onError?: 'retry' | 'pass'
  /** Whether the event's own member of that name stays, without a look-up (`keep`), or gives way. Default `keep`. */
  readonly onConflict?: 'keep' | 'replace'
  /** Longest time for the look-ups of one event, in milliseconds. Default 2_000. */
  readonly timeoutMs?: number
  /** Most requests to the source at the same time, in this environment. Default 8. */
  readonly concurrency?: number
  /** Most keys in one request, where the source takes several. Default 100. */
  readonly batchMax?: number
  /** Largest value that is added to an event, in bytes. Default 65_536. */
  readonly valueBytesMax?: number
}

/** Most enrichments of one distributor. */
export const ENRICHMENTS_MAX = 16

/** Defaults of one enrichment. */
export const ENRICHMENT_DEFAULTS = {
  missing: 'pass',
  onError: 'retry',
  onConflict: 'keep',
  timeoutMs: 2_000,
  concurrency: 8,
  batchMax: 100,
  valueBytesMax: 65_536
} as const

/** Defaults of a cache. */
export const ENRICHMENT_CACHE_DEFAULTS = {
  ttlMs: 60_000,
  negativeTtlMs: 10_000,
  staleMs: 0,
  entriesMax: 10_000,
  bytesMax: 33_554_432
} as const

const MEMBERS: ReadonlySet<string> = new Set(
  'into key from cache missing onError onConflict timeoutMs concurrency batchMax valueBytesMax'.split(' ')
)
const DAY_MS = 86_400_000

/** Ranges of the numbers of an entry. */
const COUNTS = {
  timeoutMs: [1, 900_000],
  concurrency: [1, 256],
  batchMax: [1, 1_000],
  valueBytesMax: [2, 1_048_576]
} as const

/** Ranges of the numbers of a cache. */
const CACHE_COUNTS = {
  ttlMs: [0, DAY_MS],
  negativeTtlMs: [0, DAY_MS],
  staleMs: [0, 7 * DAY_MS],
  entriesMax: [1, 10_000_000],
  bytesMax: [1_024, 2_147_483_648]
} as const

/**
 * Every problem of a list of enrichments, of any value; empty when they can work. A place is `0.from.table`.
 *
 * @param environment - Where `{ env: NAME }` is looked up; without it only the form is checked.
 */
export function enrichmentProblems(
  given: unknown,
  environment?: Readonly<Record<string, string | undefined>>
): string[] {
  if (!Array.isArray(given)) return ['is not a list']
  // Boundary: the members are unknown.
  const list = given as readonly unknown[]
  const problems = list.length > ENRICHMENTS_MAX ? [`has ${list.length} entries; ${ENRICHMENTS_MAX} are the most`] : []
  const names = new Map<string, number>()
  for (const [index, entry] of list.entries()) {
    problems.push(
      ...entryProblems(entry, environment).map(problem => `${index}${problem.startsWith(':') ? '' : '.'}${problem}`)
    )
    const into = isObject(entry) ? entry['into'] : undefined
    if (typeof into !== 'string') continue
    const first = names.get(into)
    if (first !== undefined) problems.push(`${index}.into: "${into}" is added by entry ${first} already`)
    else names.set(into, index)
  }
  return problems
}

function entryProblems(entry: unknown, environment?: Readonly<Record<string, string | undefined>>): string[] {
  if (!isObject(entry)) return [': is not an object']
  const problems = [...unknownMembers(entry, MEMBERS)]
  const { into, key, cache } = entry
  if (typeof into !== 'string' || into === '') problems.push('into: is not a name')
  else if (into === '__proto__') problems.push('into: "__proto__" would change what objects are in most programs')
  else if (into.includes('.')) problems.push('into: has a dot; the member is added at the top of the event')
  else if (!into.isWellFormed()) problems.push('into: is not well-formed Unicode')
  if (typeof key !== 'string' || key === '') problems.push('key: is not a field or a template')
  else {
    const pattern = readKeyPattern(key)
    if (typeof pattern === 'string') problems.push(`key: ${pattern}`)
  }
  problems.push(...choiceProblems(entry, 'missing', ['pass', 'null', 'deadLetter']))
  problems.push(...choiceProblems(entry, 'onError', ['retry', 'pass']))
  problems.push(...choiceProblems(entry, 'onConflict', ['keep', 'replace']))
  problems.push(...countProblems(entry, COUNTS))
  if (cache !== undefined) {
    if (!isObject(cache)) problems.push('cache: is not an object')
    else {
      const inside = [
        ...unknownMembers(cache, new Set(Object.keys(CACHE_COUNTS))),
        ...countProblems(cache, CACHE_COUNTS)
      ]
      problems.push(...inside.map(problem => `cache.${problem}`))
    }
  }
  problems.push(
    ...sourceProblems(entry['from'], environment).map(problem => `from${problem.startsWith(':') ? '' : '.'}${problem}`)
  )
  return problems
}
