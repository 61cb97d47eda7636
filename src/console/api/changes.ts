/**
 * Changes: `POST /api/changes/plan` makes a plan, `POST /api/changes/apply` does it, `POST /api/changes/undo` plans the
 * way back. A plan lives in the server for some minutes and for the session that made it, and is applied once.
 */

/** What can be planned, by `kind`. Offsets are decimal text. */
export type ChangeRequest =
  | {
      readonly kind: 'offsets.reset'
      readonly group: string
      readonly topics: readonly string[]
      readonly to: OffsetTarget
    }
  | { readonly kind: 'offsets.place'; readonly group: string; readonly places: readonly OffsetPlace[] }
  | {
      readonly kind: 'offsets.skip'
      readonly group: string
      readonly topic: string
      readonly partition: number
      readonly offset: string
      readonly count: number
    }
  | { readonly kind: 'offsets.copy'; readonly from: string; readonly to: string; readonly topics: readonly string[] }
  | { readonly kind: 'groups.delete'; readonly group: string }
  | { readonly kind: 'groups.removeMembers'; readonly group: string; readonly members: readonly string[] }
  | {
      readonly kind: 'topics.create'
      readonly topic: string
      readonly partitions: number
      readonly replicationFactor?: number
      readonly settings: Readonly<Record<string, string>>
    }
  | {
      readonly kind: 'topics.alter'
      readonly topic: string
      readonly settings: Readonly<Record<string, string | null>>
    }
  | { readonly kind: 'topics.delete'; readonly topic: string }
  | { readonly kind: 'partitions.grow'; readonly topic: string; readonly count: number }
  | {
      readonly kind: 'replay'
      readonly group: string
      readonly topics: readonly string[]
      readonly fromMs: number
      readonly toMs: number | null
    }
  | {
      readonly kind: 'redrive'
      readonly topic: string
      readonly filter: RedriveFilter
      readonly ratePerSecond: number | null
    }
  | {
      readonly kind: 'partition.pause' | 'partition.resume'
      readonly group: string
      readonly topic: string
      readonly partition: number
    }

/** Where offsets go. */
export type OffsetTarget =
  | { readonly to: 'earliest' | 'latest' | 'current' }
  | { readonly to: 'datetime'; readonly atMs: number }
  | { readonly to: 'offset'; readonly offset: string }
  | { readonly to: 'shift'; readonly by: number }

/** One offset. */
export interface OffsetPlace {
  readonly topic: string
  readonly partition: number
  readonly offset: string
}

/** Which dead letters are sent again; all that is given must hold. */
export interface RedriveFilter {
  readonly class?: string
  readonly originTopic?: string
  readonly fromMs?: number
  readonly toMs?: number
  /** Single letters, `partition` and `offset` in the dead-letter topic. */
  readonly letters?: readonly { readonly partition: number; readonly offset: string }[]
}

/** Answer of `plan` and `undo`. */
export interface PlannedChange {
  /** For `apply`. */
  readonly id: string
  readonly expiresAtMs: number
  readonly kind: string
  /** What a person types to confirm. */
  readonly confirmWord: string
  readonly summary: string
  /** At most 200; `effectCount` are there. */
  readonly effects: readonly {
    readonly what: string
    readonly before: string
    readonly after: string
    readonly records: string | null
    readonly seconds: number | null
    readonly note: string
  }[]
  readonly effectCount: number
  readonly warnings: readonly string[]
  /** Why it cannot be applied as things are. Empty = it can. */
  readonly blockers: readonly string[]
  /** Of an undo: what somebody else has changed since; needs `force`. */
  readonly conflicts: readonly string[]
  /** `null` = it can be taken back. */
  readonly noUndoReason: string | null
}

/** `POST /api/changes/apply`: answers at once with `ChangeProgress`; the rest comes by `GET /api/change?id=` (live). */
export interface ApplyRequest {
  readonly id: string
  /** As it was typed: must be the plan's word. */
  readonly confirm: string
  readonly force?: boolean
}

/** `GET /api/change?id=`, also a live view. */
export interface ChangeProgress {
  readonly id: string
  readonly state: 'planned' | 'running' | 'done' | 'failed' | 'stopped'
  readonly kind: string
  readonly summary: string
  /** The last lines of progress, at most 100. */
  readonly progress: readonly string[]
  readonly failures: readonly string[]
  /** Of the change, for `POST /api/changes/undo`. */
  readonly undoId: string | null
}

/** `GET /api/changes` (a `Page`, newest first): what was changed here, and can be taken back. */
export interface ChangeEntry {
  readonly undoId: string
  readonly atMs: number
  readonly kind: string
  readonly summary: string
  readonly state: string
  readonly canUndo: boolean
  readonly noUndoReason: string | null
}

/** `POST /api/changes/undo`. */
export interface UndoRequest {
  readonly undoId: string
}
