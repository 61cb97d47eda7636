/** What the decision on the size of a fleet is made of, and what it looks like. */

import type { TopicPartition } from '../../client/index.ts'
import type { KedaOptions } from '../keda/options.ts'

/** What the size goes by. All times in seconds, all ratios 0 to 1 unless said otherwise. */
export interface ScalePolicy {
  /**
   * `drain`: as many instances as take what arrives and the backlog in `drainSeconds`. `keda`: KEDA's rules, with the
   * same vetoes and pauses around them. Default `drain`.
   */
  readonly mode: 'drain' | 'keda'
  /** Fewest instances. Default 1. */
  readonly instancesMin: number
  /** Most instances; the number of partitions is a limit besides. Default 10. */
  readonly instancesMax: number
  /** A lag up to this age is no reason to grow. Default 60. */
  readonly targetLagSeconds: number
  /** Within this time a backlog shall be gone. Default 300. */
  readonly drainSeconds: number
  /** Largest step up, as a multiple of the size now. Default 2. */
  readonly stepUpRatio: number
  /** Spare capacity that must be left after an instance is taken away. Default 0.2. */
  readonly downMarginRatio: number
  /** Shortest time between a step and one up. Default 120; 1.5 times the longest rebalance seen counts if longer. */
  readonly upCooldownSeconds: number
  /** Shortest time between a step and one down. Default 300; 1.5 times the longest rebalance seen counts if longer. */
  readonly downCooldownSeconds: number
  /** For this long fewer must have been enough before an instance is taken away. Default 300. */
  readonly stabilizationSeconds: number
  /** For this long a group must be settled before its rates count. Default 60. */
  readonly measureSeconds: number
  /** Whether sizes that leave the busiest instance the same number of partitions are avoided. Default true. */
  readonly preferEven: boolean
  /** Share of the lag in partitions alone on their consumer from which more consumers do not help. Default 0.8. */
  readonly hotRatio: number
  /** Below this share of what an instance is known to do, its target is suspected. Default 0.5. */
  readonly sickRateRatio: number
  /** From this multiple of its usual latency on, a target counts as slow. Default 2. */
  readonly sickLatencyRatio: number
  /** After this long a slower pace is taken for the new normal; not while a breaker is open. Default 300. */
  readonly sickHoldSeconds: number
  /** After a step that did not help, this long without another one up. Default 1800. */
  readonly ceilingSeconds: number
  /** After this long the instances that are missing from the fleet are not waited for any more. Default 600. */
  readonly fleetWaitSeconds: number
  /** Rebalances that nobody asked for within 15 minutes from which the group is left alone. Default 3. */
  readonly stormRebalances: number
  /** An observation older than this is none. Default 90. */
  readonly staleSeconds: number
  /** KEDA's options, for `mode: keda`. */
  readonly keda: KedaOptions
}

/** Defaults of every setting; their reasons are beside each in `ScalePolicy`. */
export const DEFAULT_SCALE_POLICY: ScalePolicy = {
  mode: 'drain',
  instancesMin: 1,
  instancesMax: 10,
  targetLagSeconds: 60,
  drainSeconds: 300,
  stepUpRatio: 2,
  downMarginRatio: 0.2,
  upCooldownSeconds: 120,
  downCooldownSeconds: 300,
  stabilizationSeconds: 300,
  measureSeconds: 60,
  preferEven: true,
  hotRatio: 0.8,
  sickRateRatio: 0.5,
  sickLatencyRatio: 2,
  sickHoldSeconds: 300,
  ceilingSeconds: 1800,
  fleetWaitSeconds: 600,
  stormRebalances: 3,
  staleSeconds: 90,
  keda: {}
}

/** One partition of the group. */
export interface ScalePartition extends TopicPartition {
  /** Member that owns it; empty = nobody. */
  readonly owner: string
  readonly lagRecords: number
  /** Age of the oldest unread record; 0 when nothing is unread; `undefined` = unknown. */
  readonly lagSeconds: number | undefined
  /** Records per second; `undefined` = unknown. */
  readonly arrivalRate: number | undefined
  /** Records committed per second; `undefined` = unknown. */
  readonly serviceRate: number | undefined
  /** Next record to read; `undefined` = nothing committed. */
  readonly committed?: bigint | undefined
  /** Next offset to be written. */
  readonly endOffset?: bigint | undefined
}

/** What the instances say of their target. */
export interface TargetHealth {
  /** Whether a breaker is open on any instance. */
  readonly isBreakerOpen: boolean
  /** Mean time of an invocation since the look before, in milliseconds; `undefined` = no invocation, or not told. */
  readonly latencyMs: number | undefined
}

/** All that was seen at one time. */
export interface ScaleObservation {
  /** In milliseconds since 1970. */
  readonly atMs: number
  /** Instances that the fleet is asked for; `undefined` = the fleet cannot be reached. */
  readonly wanted: number | undefined
  /** Instances that run; `undefined` as above. */
  readonly running: number | undefined
  /** Limits that the fleet's keeper has itself. */
  readonly fleetMin?: number | undefined
  readonly fleetMax?: number | undefined
  /** Kafka's word for the state of the group; `undefined` = could not be asked. */
  readonly groupState: string | undefined
  /** Ids of its members; `undefined` = could not be asked. */
  readonly members: readonly string[] | undefined
  readonly partitions: readonly ScalePartition[]
  /** Absent where no instance tells. */
  readonly target?: TargetHealth | undefined
  /** Why something could not be seen, for people; any entry is a reason to hold. */
  readonly problems: readonly string[]
}

/** What became of a step. */
export type StepVerdict = 'open' | 'helped' | 'useless' | 'harmful' | 'unjudged'

/** The last change of the size. */
export interface ScaleStep {
  readonly atMs: number
  readonly from: number
  readonly to: number
  readonly by: 'scaler' | 'somebody'
  /** Records per second of the whole group before it; `undefined` = not busy, so that nothing can be compared. */
  readonly throughput: number | undefined
  readonly verdict: StepVerdict
}

/** What is remembered between two decisions, also across restarts: plain JSON. */
export interface ScaleState {
  readonly version: 1
  /** Records per second of a busy instance. */
  readonly ratePerInstance?: number
  /** Whether no instance has been busy yet: it may do more than `ratePerInstance`. */
  readonly isRateLowerBound?: boolean
  readonly usualLatencyMs?: number
  /** Longest rebalance of the last few, in seconds. */
  readonly rebalanceSeconds?: number
  readonly unsettledSinceMs?: number
  readonly settledSinceMs?: number
  /** Beginnings of the last rebalances that no step explains, at most 20. */
  readonly rebalancesMs: readonly number[]
  readonly members?: readonly string[]
  readonly lastWanted?: number
  readonly lastStep?: ScaleStep
  /** Not above this size, until then. */
  readonly ceiling?: { readonly instances: number; readonly untilMs: number; readonly reason: string }
  /** Since when fewer instances run, or are members, than are asked for. */
  readonly incompleteSinceMs?: number
  /** What was wanted at the last looks, within the stabilisation window; at most 500. */
  readonly wants: readonly { readonly atMs: number; readonly instances: number }[]
  /** Since when the target is suspected. */
  readonly sickSinceMs?: number
  /** What KEDA remembers between polls: offsets as decimal text, by partition. */
  readonly kedaOffsets?: Readonly<Record<string, string>>
}

/** A state without memory. */
export const EMPTY_SCALE_STATE: ScaleState = { version: 1, rebalancesMs: [], wants: [] }

/** Why nothing is done although something could be wanted; `none` = something is done, or nothing is to be. */
export type ScaleHold =
  | 'none'
  | 'unknownInput'
  | 'rebalance'
  | 'storm'
  | 'fleetIncomplete'
  | 'measuring'
  | 'cooldown'
  | 'stabilization'
  | 'hotPartition'
  | 'sickTarget'
  | 'limit'
  | 'ceiling'

/** One size that was weighed. */
export interface ScaleAlternative {
  readonly instances: number
  /** What it would do, in a few words. */
  readonly effect: string
}

/** A decision. */
export interface ScaleDecision {
  /** In milliseconds since 1970. */
  readonly atMs: number
  readonly action: 'hold' | 'resize'
  /** Instances asked for now; `undefined` = unknown. */
  readonly from: number | undefined
  /** Instances to ask for: `from` where nothing is done. */
  readonly to: number | undefined
  /** What the formula asks for, before limits and vetoes; `undefined` = could not be computed. */
  readonly computed: number | undefined
  readonly hold: ScaleHold
  /** Sentences with the numbers, most important first. */
  readonly reasons: readonly string[]
  readonly alternatives: readonly ScaleAlternative[]
}
