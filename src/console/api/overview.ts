/** `GET /api/overview`: the pipeline as it is, drawn from left to right, with what flows on each arrow. */

import type { Freshness, HealthLevel, Series } from './common.ts'

/** What a box in the picture stands for. */
export type NodeKind = 'source' | 'producer' | 'topic' | 'group' | 'target' | 'deadLetters' | 'retries'

/** A box. */
export interface PipelineNode {
  /** Unique, for example `topic:orders`. */
  readonly id: string
  readonly kind: NodeKind
  readonly name: string
  readonly health: HealthLevel
  /** Why it is not good, one sentence each, as a key of the words of the pages with its values. */
  readonly reasons: readonly Reason[]
  /** For example partitions, members, lag: shown below the name. */
  readonly facts: readonly Fact[]
}

/** An arrow. */
export interface PipelineEdge {
  readonly from: string
  readonly to: string
  /** Records per second; `null` = not known. */
  readonly rate: number | null
  readonly health: HealthLevel
}

/** Something to be said in the reader's language: the key of a text and what goes into it. */
export interface Reason {
  readonly key: string
  readonly values: Readonly<Record<string, string | number>>
}

/** A number with a name: `key` is that of a text. */
export interface Fact {
  readonly key: string
  readonly value: number | string | null
}

/**
 * Keys of `Reason`: `reason.<key>` is in the words of the pages. Values by name: `lagRecords`, `lagSeconds`,
 * `sloSeconds`, `rate`, `partitions`, `seconds`, `ratio`, `groups`, `text`.
 */
export const REASON_KEYS = [
  'lagHigh',
  'lagFair',
  'producerStopped',
  'rateLow',
  'retentionNearlyFull',
  'retentionFair',
  'lagGrows',
  'dataLoss',
  'stopped',
  'unreadable',
  'partlyUnknown',
  'lagOverSlo',
  'noMembers',
  'replayRests',
  'aheadOfLog',
  'topicMissing',
  'groupMissing',
  'partitionsOffline',
  'underReplicated',
  'topicUnreadable',
  'deadLettersArrive',
  'recordsWait',
  'instanceAway',
  'instanceNotReady',
  'breakerOpen',
  'sourceProblem'
] as const

/**
 * Keys of `Fact`: `fact.<key>`. Seconds and records per second are numbers, counts of records decimal text where they
 * can be larger than 2^53.
 */
export const FACT_KEYS = [
  'partitions',
  'members',
  'lagRecords',
  'lagSeconds',
  'drainSeconds',
  'records',
  'rate',
  'instances',
  'inFlight',
  'concurrency',
  'readers',
  'address',
  'delaySeconds'
] as const

/** See the module. */
export interface Overview {
  readonly freshness: Freshness
  readonly pipeline: string
  readonly clusterId: string
  readonly brokerCount: number
  readonly topicCount: number
  readonly groupCount: number
  readonly health: HealthLevel
  readonly nodes: readonly PipelineNode[]
  readonly edges: readonly PipelineEdge[]
  /** Topics and groups that are not drawn, because there are too many. */
  readonly hiddenTopics: number
  readonly hiddenGroups: number
  /** Groups by Burrow's word. */
  readonly groupsByStatus: Readonly<Record<'OK' | 'WARN' | 'ERR' | 'NONE', number>>
  /** Sum over all groups, records per second and seconds. */
  readonly arrivalRate: Series
  readonly serviceRate: Series
  readonly worstLagSeconds: Series
  /** The worst groups, at most 5, worst first, to be clicked. */
  readonly worst: readonly {
    readonly groupId: string
    readonly lagSeconds: number | null
    readonly lagRecords: string
  }[]
}
