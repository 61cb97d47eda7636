/**
 * Everything that checks go by, collected once. A fact that could not be had
 * carries the reason, above all the right that is missing; checks then say
 * `unknown` instead of `ok`.
 */

import type { ClusterMetadata, LogDir, TopicPartition } from '../../client/index.ts'
import type { PipelineConfig } from '../../config/index.ts'
import type { LagReport } from '../lag/lag-types.ts'
import type { ClusterScan, ScannedPartition, ScannedTopic } from '../scan/scan-types.ts'

/** A fact, or why there is none. */
export type Known<T> =
  | { readonly isKnown: true; readonly value: T }
  | {
      readonly isKnown: false
      /** One sentence, with the right that is missing where one is. */
      readonly reason: string
    }

/** Settings by name. */
export type Settings = ReadonlyMap<string, string>

/** A broker's software. */
export interface BrokerVersion {
  readonly nodeId: number
  /** Highest level of `metadata.version` that it knows; `undefined` before KRaft. */
  readonly metadataVersionMax: number | undefined
  /** Highest version of Fetch that it speaks. */
  readonly fetchVersionMax: number
}

/** A transaction that is not finished. */
export interface OpenTransaction {
  readonly transactionalId: string
  readonly state: string
  /** In milliseconds since 1970. */
  readonly startMs: number
  readonly timeoutMs: number
  readonly topics: readonly string[]
}

/** A key of a sample. */
export interface SampledKey {
  /** First characters and hash, or all of it if that was asked for. */
  readonly text: string
  readonly share: number
}

/** What some records of a topic say. */
export interface TopicSample {
  readonly topic: string
  readonly records: number
  readonly nullKeys: number
  readonly tombstones: number
  /** Most frequent first. */
  readonly keys: readonly SampledKey[]
  readonly largestBytes: number
  /** Why nothing, or not all of it, could be read. */
  readonly problem?: string
}

/** The newest time stamp of a partition. */
export interface NewestTimestamp extends TopicPartition {
  readonly timestampMs: number
}

/** Commits of a group that were watched. */
export interface CommitWatch {
  readonly groupId: string
  /** When its committed offsets were seen to change, in milliseconds, ascending. */
  readonly changesMs: readonly number[]
}

/** A certificate of this machine, or of a broker. */
export interface CertificateFact {
  /** Setting or broker that it belongs to. */
  readonly name: string
  /** In milliseconds since 1970; `undefined` = it could not be looked at. */
  readonly notAfterMs: number | undefined
  /** Why not. */
  readonly problem?: string
}

/** What kind of cluster it is. */
export interface ProfileFact {
  readonly profile: 'self' | 'standard' | 'express' | 'serverless'
  /** What it was told by. */
  readonly evidence: string
  /** `kafka.m7g.large`, where AWS was asked. */
  readonly instanceType?: string | undefined
}

/** Parts of the pipeline file that checks go by. */
export type PipelineFact = Pick<PipelineConfig, 'kafka' | 'topics' | 'producer' | 'dispatcher'>

/** All facts. */
export interface DoctorFacts {
  /** This machine's time, in milliseconds since 1970. */
  readonly nowMs: number
  readonly bootstrapServers: readonly string[]
  /** All topics, internal ones included. */
  readonly metadata: ClusterMetadata
  readonly scan: ClusterScan
  /** A second look, some seconds later. */
  readonly later: Known<ClusterScan>
  readonly lag: Known<LagReport>
  /** By topic. */
  readonly topicConfigs: Known<ReadonlyMap<string, Settings>>
  /** By node id. */
  readonly brokerConfigs: Known<ReadonlyMap<number, Settings>>
  readonly logDirs: Known<readonly LogDir[]>
  readonly versions: Known<readonly BrokerVersion[]>
  readonly transactions: Known<readonly OpenTransaction[]>
  readonly newest: Known<readonly NewestTimestamp[]>
  readonly samples: Known<readonly TopicSample[]>
  readonly commits: Known<readonly CommitWatch[]>
  readonly certificates: Known<readonly CertificateFact[]>
  readonly profile: Known<ProfileFact>
  /** Absent where there is no pipeline file. */
  readonly pipeline: PipelineFact | undefined
}

/** A fact that is there. */
export function known<T>(value: T): Known<T> {
  return { isKnown: true, value }
}

/** A fact that is not. */
export function unknown(reason: string): { readonly isKnown: false; readonly reason: string } {
  return { isKnown: false, reason }
}

/** A partition by its number: partitions are in order, so that mostly no search is needed. */
export function partitionAt(topic: ScannedTopic | undefined, partition: number): ScannedPartition | undefined {
  const found = topic?.partitions[partition]
  return found?.partition === partition ? found : topic?.partitions.find(each => each.partition === partition)
}
