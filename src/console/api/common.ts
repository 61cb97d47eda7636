/**
 * What the console's server and its pages agree on, as JSON holds it: offsets are decimal text, because JSON's numbers
 * end at 2^53; times are milliseconds since 1970; durations are seconds unless their name says otherwise. What is not
 * known is `null`, never 0.
 *
 * Files of this folder are types and plain constants: they are loaded by browsers, too, and import nothing of Node.
 */

/** A part of a long list. */
export interface Page<T> {
  readonly rows: readonly T[]
  /** Rows that match, on all pages. */
  readonly total: number
  /** Index of the first row of this page. */
  readonly offset: number
  /** Where the list was made from a look at the cluster. */
  readonly freshness?: Freshness
}

/** How a long list is asked for; each list says which columns it can be sorted by. */
export interface PageQuery {
  /** Default 0. */
  readonly offset?: number
  /** 1 to 500. Default 100. */
  readonly limit?: number
  readonly sort?: string
  readonly descending?: boolean
  /** Part of the name, in any case. */
  readonly find?: string
}

/** Health of anything that is drawn: always shown with a sign and a word beside the colour. */
export type HealthLevel = 'good' | 'warn' | 'bad' | 'unknown' | 'idle'

/** A number over time, oldest first; `null` = not known then. */
export interface Series {
  readonly timesMs: readonly number[]
  readonly values: readonly (number | null)[]
}

/** Where an answer comes from: every view shows how old it is. */
export interface Freshness {
  /** When the cluster was looked at. */
  readonly takenAtMs: number
  /** How long the look took, in milliseconds. */
  readonly durationMs: number
  /** What could not be looked at, one sentence each. */
  readonly problems: readonly string[]
}

/** What every error answer holds, with a status of 400 and above. */
export interface ProblemAnswer {
  readonly code: string
  /** For people: what is wrong, and what to do. */
  readonly message: string
}
