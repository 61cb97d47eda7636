/**
 * What every operation that changes something looks like: a plan that says what
 * will happen, an `apply` that does it, and an undo from what was there before.
 *
 * A plan is made by looking only. Applying it writes the snapshot for the undo
 * to disk first, so that a process that is killed in the middle can be taken
 * back, too. An undo is a change itself, with a plan that can be read before.
 */

/** A value that JSON can hold. Offsets and other 64-bit numbers are decimal text. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** One line of what a change will do. */
export interface ChangeEffect {
  /** What is changed: a partition `mt-c400-3`, a topic, a group, a fleet. */
  readonly what: string
  /** Value before, for people; `''` where there is none. */
  readonly before: string
  /** Value after, for people. */
  readonly after: string
  /** How many records are read again (positive) or never (negative) because of it. Absent where that has no meaning. */
  readonly records?: bigint
  /** How long a time of appends these records span, in seconds. Absent where it is not known. */
  readonly seconds?: number
  /** Remarks on this line: clamped, no commit before, and so on. */
  readonly note?: string
}

/** Whether a change can be taken back. */
export type Undo = { readonly kind: 'possible' } | { readonly kind: 'impossible'; readonly reason: string }

/** What a change will do, before it does it. */
export interface ChangePlan {
  /** What kind of change: names the handler of its undo, for example `offsets`. */
  readonly kind: string
  /** The word that a person types to confirm: the group, the topic, the fleet. */
  readonly confirmWord: string
  /** One sentence: what will happen, to how many records, seconds or keys. */
  readonly summary: string
  /** Ordered as they are applied. */
  readonly effects: readonly ChangeEffect[]
  /** What a careful person wants to know before: duplicates, skipped records, order. */
  readonly warnings: readonly string[]
  /** Why it cannot be applied as things are, each with its remedy. Empty = it can. */
  readonly blockers: readonly string[]
  /**
   * Only in the plan of an undo: what is neither as the change left it nor as it was before, one sentence each.
   * `comporta undo` refuses unless it is told `--force`. Absent = nothing.
   */
  readonly conflicts?: readonly string[]
  readonly undo: Undo
}

/** What `apply` may use. */
export interface ApplyContext {
  /** Hears what has been done, a line at a time, for people. */
  readonly onProgress?: (text: string) => void
  /** Hears which of its steps begins; only changes that are done in named steps tell. */
  readonly onStep?: (step: string) => void
  /** Ends the change between two of its steps; what is done stays done, and can be taken back. */
  readonly signal?: AbortSignal
}

/** What became of a change. */
export interface ChangeResult {
  /** Whether all of it was done. */
  readonly isComplete: boolean
  /** One sentence on what was done, and on what was not. */
  readonly summary: string
  /** What did not come out as planned, one each. */
  readonly failures: readonly string[]
  /** Whatever else programs want to know. */
  readonly details?: Json
}

/** A change that has been planned. */
export interface Change {
  readonly plan: ChangePlan
  /** What its undo needs: written to disk before anything is changed. `undefined` where it cannot be taken back. */
  readonly snapshot: Json | undefined
  /** Does it. To be called once, and only without blockers. */
  apply(context: ApplyContext): Promise<ChangeResult>
}
