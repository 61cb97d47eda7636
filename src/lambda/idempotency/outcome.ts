/**
 * What became of one claim on business ids: a document that is written once, at its end.
 *
 * The ids of a claim point to it, so marking 500 ids as done is one small write. Whoever finds an id of a claim whose
 * lease has ended writes this document empty before it takes ids over: from then on the late owner cannot end its
 * claim any more, because a document is never written twice.
 */

import { IndexSet } from './index-set.ts'

/** Most ids of one claim: more than AWS gives a function in one event. Source: Lambda API, `BatchSize` 10,000. */
export const CLAIM_IDS_MAX = 65_536

/** What is known of a claim's ids at its end. */
export interface Outcome {
  readonly done: IndexSet
  /** Targets that have had an id which comes again; without an entry, those that its pointer names. */
  readonly targets: ReadonlyMap<number, readonly string[]>
}

/** The end of a claim of which nothing was done. */
export function emptyOutcome(): Outcome {
  return { done: new IndexSet(1), targets: new Map() }
}

/** Its text in a store. */
export function outcomeText({ done, targets }: Outcome): string {
  const groups = new Map<string, IndexSet>()
  for (const [index, names] of targets) {
    const name = JSON.stringify(names.toSorted())
    const records = groups.get(name) ?? new IndexSet(done.size)
    records.add(index)
    groups.set(name, records)
  }
  const lists = [...groups].map(([names, records]) => `[${names},${JSON.stringify(records.toText())}]`)
  const rest = lists.length === 0 ? '' : `,"t":[${lists.join(',')}]`
  return `{"n":${done.size},"d":${JSON.stringify(done.toText())}${rest}}`
}

/** Reads what `outcomeText` wrote; `undefined` if it is something else. */
export function readOutcome(text: string): Outcome | undefined {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof given !== 'object' || given === null) return undefined
  const { n, d, t = [] } = given as { n?: unknown; d?: unknown; t?: unknown }
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 1 || n > CLAIM_IDS_MAX) return undefined
  const done = typeof d === 'string' ? IndexSet.fromText(d, n) : undefined
  if (done === undefined || !Array.isArray(t)) return undefined
  const targets = new Map<number, readonly string[]>()
  for (const group of t) {
    const [names, records]: unknown[] = Array.isArray(group) ? group : []
    const indexes = typeof records === 'string' ? IndexSet.fromText(records, n) : undefined
    if (!Array.isArray(names) || !names.every(name => typeof name === 'string') || indexes === undefined)
      return undefined
    for (const index of indexes) targets.set(index, names)
  }
  return { done, targets }
}
