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
  | ({ readonly kind: 'partitions.grow'; readonly topic: string; readonly count: number } & GrowOptions)
  | {
      readonly kind: 'replay'
      readonly group: string
      readonly topics: readonly string[]
      /** `null` = from the oldest record on. */
      readonly fromMs: number | null
      /** `null` = as far as there is now. */
      readonly toMs: number | null
      /** Group of the replay. Default: `group` with `-replay`. */
      readonly as?: string
      /** Begin anew, whatever an earlier run has done. */
      readonly isRestarted?: boolean
    }
  | {
      readonly kind: 'redrive'
      readonly topic: string
      readonly filter: RedriveFilter
      readonly ratePerSecond: number | null
      /** This topic for all, instead of where each came from. */
      readonly to?: string
      /** Whether records keep their time. Default `original`. */
      readonly timestamp?: 'original' | 'now'
    }
  | {
      readonly kind: 'partition.pause' | 'partition.resume'
      readonly group: string
      readonly topic: string
      readonly partition: number
    }

/** Kind of a change that is asked for. */
export type ChangeKind = ChangeRequest['kind']

/** What may be said of a growth. */
export interface GrowOptions {
  /** The group whose lag says whether there is a need. Default: the one with the largest lag. */
  readonly groupId?: string
  /** Why it is done although metrics do not confirm the need. */
  readonly forceNeed?: string
  /** New records of keys that move may be read before their old ones. */
  readonly isOrderBreakAccepted?: boolean
  /** Waits until producers are still and all groups have read everything: keeps the order. */
  readonly isDrainedFirst?: boolean
  /** Commits offset 0 of new partitions for groups without members. */
  readonly isPreCommitted?: boolean
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
  /** Times at which the dead letters were written; `toMs` is not itself part of it. */
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
  /** A `ChangeKind`, or `undo`. */
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
  /** Names of the steps that it is done in; empty where it is done in one. Of `partitions.grow`: `GROW_STEPS`. */
  readonly steps: readonly string[]
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

/** Steps of a growth: the first two are the plan itself; `drain` only where it was asked for. */
export const GROW_STEPS = ['need', 'count', 'drain', 'alter', 'watch', 'settled'] as const

/** `GET /api/change?id=`, also a live view. */
export interface ChangeProgress {
  readonly id: string
  readonly state: 'planned' | 'running' | 'done' | 'failed' | 'stopped'
  readonly kind: string
  readonly user: string
  readonly summary: string
  readonly startedAtMs: number | null
  readonly endedAtMs: number | null
  /** The last lines of progress, at most 100. */
  readonly progress: readonly string[]
  /** Steps, and how far each is. */
  readonly steps: readonly { readonly name: string; readonly state: 'done' | 'running' | 'waiting' | 'failed' }[]
  /** What came of it, one sentence; `null` before its end. */
  readonly result: string | null
  readonly failures: readonly string[]
  /** Of the change, for `POST /api/changes/undo`. */
  readonly undoId: string | null
  /** `null` = it can be taken back. */
  readonly noUndoReason: string | null
}

/** `POST /api/changes/stop`: ends a running change between two of its steps; answers with `ChangeProgress`. */
export interface StopRequest {
  readonly id: string
}

/** `GET /api/changes` (a `Page`, newest first): what was changed here, and can be taken back. */
export interface ChangeEntry {
  readonly undoId: string
  readonly atMs: number
  readonly kind: string
  readonly summary: string
  /** As `comporta undo` has it; `running`: this console is at it. */
  readonly state: 'planned' | 'applied' | 'partial' | 'undone' | 'running'
  /** User of a console; `null` = of the command line, or not known. */
  readonly by: string | null
  /** One sentence on what came of it; `null` = nobody has said. */
  readonly result: string | null
  readonly failures: readonly string[]
  /** The change that this one takes back. */
  readonly undoes: string | null
  /** For `GET /api/change`, while this console is at it. */
  readonly changeId: string | null
  readonly canUndo: boolean
  readonly noUndoReason: string | null
}

/** `POST /api/changes/undo`. */
export interface UndoRequest {
  readonly undoId: string
  /** Takes back once more what has been taken back. */
  readonly force?: boolean
}
