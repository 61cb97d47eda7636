/** What a rollout goes by, what it sees, and what it remembers. */

/** The gates between two steps. */
export interface RolloutPolicy {
  /** The lag must be below this again, in seconds, or … Default 60. */
  readonly maxLagSeconds: number
  /** … at most this multiple of what it was before. Default 1.2. */
  readonly lagRatio: number
  /** A lag above this, in seconds, and above what it was before, halts at once. Default 600. */
  readonly haltLagSeconds: number
  /** The group must have been settled for this long, in seconds. Default 10. */
  readonly settleSeconds: number
  /** A step that takes longer, in seconds, halts. Default 600. */
  readonly stepTimeoutSeconds: number
  /** Dead letters per second above those of before that halt. Default 1. */
  readonly deadLettersPerSecondMax: number
  /** Pause after this many instances; 0 = none. Default 0. */
  readonly canary: number
}

/** Defaults of every setting. */
export const DEFAULT_ROLLOUT_POLICY: RolloutPolicy = {
  maxLagSeconds: 60,
  lagRatio: 1.2,
  haltLagSeconds: 600,
  settleSeconds: 10,
  stepTimeoutSeconds: 600,
  deadLettersPerSecondMax: 1,
  canary: 0
}

/** An instance, as far as a rollout looks. */
export interface RolloutInstance {
  readonly id: string
  readonly state: 'starting' | 'running' | 'stopping' | 'failed'
  readonly health: string
  /** Another after each start: the id itself, where that is. */
  readonly incarnation: string
}

/** One that is to be made anew. */
export interface RolloutTarget {
  readonly id: string
  readonly incarnation: string
}

/** All that was seen at one time. `undefined` anywhere = not known, which keeps every gate shut. */
export interface RolloutObservation {
  /** In milliseconds since 1970. */
  readonly atMs: number
  readonly instances: readonly RolloutInstance[] | undefined
  /** Kafka's word for the state of the group. */
  readonly groupState: string | undefined
  /** Members, with how many partitions each owns. */
  readonly members: readonly { readonly memberId: string; readonly partitions: number }[] | undefined
  readonly partitionCount: number | undefined
  /** Age of the oldest unread record in seconds. */
  readonly lagSeconds: number | undefined
  /** Records in the dead letter topic, ever; `undefined` = there is none, or it could not be read. */
  readonly deadLetters: bigint | undefined
  readonly problems: readonly string[]
}

/** What a step is doing. */
export type RolloutPhase = 'ready' | 'restarting' | 'paused' | 'halted' | 'done'

/** What is remembered between two looks, also across restarts: plain JSON. */
export interface RolloutState {
  readonly version: 1
  readonly fleet: string
  readonly phase: RolloutPhase
  readonly startedMs: number
  /** Instances that are still to be made anew, in order. */
  readonly remaining: readonly RolloutTarget[]
  /** Those that have been. */
  readonly done: readonly string[]
  /** The one under way. */
  readonly current?: RolloutTarget
  readonly stepStartedMs?: number
  /** Since when every gate has been open. */
  readonly openSinceMs?: number
  /** How it was before the first step. */
  readonly before: {
    readonly instances: number
    readonly members: number
    /** Members without a partition. */
    readonly idle: number
    readonly lagSeconds: number
    readonly deadLetters: string | null
  }
  /** Whether the pause after the canaries is over. */
  readonly isCanaryPassed: boolean
  /** Whether the keeper's own rollout has been begun. */
  readonly isBegun?: boolean
  /** Whether the instance under way may never have been asked for: the process that wrote it down has ended. */
  readonly isResumed?: boolean
  /** Why it has halted. */
  readonly haltReason?: string
  readonly deadLettersSeen?: { readonly atMs: number; readonly count: string }
}

/** What to do now. */
export type RolloutAction =
  | { readonly kind: 'restart'; readonly instance: RolloutTarget; readonly reasons: readonly string[] }
  | { readonly kind: 'wait'; readonly reasons: readonly string[] }
  /** The canaries are done: a person looks, and says `--resume`. */
  | { readonly kind: 'pause'; readonly reasons: readonly string[] }
  | { readonly kind: 'halt'; readonly reasons: readonly string[] }
  | { readonly kind: 'done'; readonly reasons: readonly string[] }
