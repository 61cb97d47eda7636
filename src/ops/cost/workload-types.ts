/** What is priced: the load of a pipeline and what it is made of. */

import type { Architecture } from './prices.ts'

/** A function and how it is called. */
export interface FunctionCost {
  readonly memoryMb: number
  readonly architecture: Architecture
  /** Time of an invocation whatever it holds, in milliseconds. */
  readonly baseMs: number
  /** Time that each record adds, in milliseconds. */
  readonly perRecordMs: number
  /** Records of a batch at most. */
  readonly recordsMax: number
  /** Longest wait of a record for its batch, in milliseconds. */
  readonly ageMs: number
  /** Share of the invocations that are repeated, 0 to 1. */
  readonly retryRatio: number
}

/** Kinds of clusters that are priced. `self` = machines of one's own, or another provider: not priced. */
export type ClusterKind = 'standard' | 'express' | 'serverless' | 'self'

/** Who invokes the function: our dispatcher, or AWS's event source mapping in one of its modes. */
export type Invoker = 'dispatcher' | 'mapping' | 'mappingProvisioned'

/** What the pipeline carries and what it is made of. */
export interface CostWorkload {
  /** Average over the month. */
  readonly recordsPerSecond: number
  /** Key, value and headers, before compression. */
  readonly recordBytes: number
  /** Peak rate divided by the average rate; brokers are sized for the peak. */
  readonly peakFactor: number
  /** Bytes before compression divided by bytes after it. */
  readonly compressionRatio: number
  readonly retentionHours: number
  readonly replicationFactor: number
  readonly partitions: number
  /** Groups that read every record. */
  readonly readers: number
  /** Whether consumers read from the replica in their own zone (KIP-392): nothing they read then crosses zones. */
  readonly isRackAware: boolean
  readonly cluster: {
    readonly kind: ClusterKind
    /** Instance type; `undefined` = the cheapest that carries the load. */
    readonly instance?: string | undefined
    /** Number of brokers; `undefined` = as many as the load needs. */
    readonly brokers?: number | undefined
    /** Hours on the brokers' own disks; the rest is tiered. `undefined` = all. Standard brokers only. */
    readonly localRetentionHours?: number | undefined
  }
  readonly dispatcher: {
    readonly instances: number
    /** EC2 instance type, or `undefined` for Fargate. */
    readonly instance?: string | undefined
    readonly vcpu: number
    readonly memoryGb: number
    readonly architecture: Architecture
  }
  readonly invoker: Invoker
  readonly function: FunctionCost
}
