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
