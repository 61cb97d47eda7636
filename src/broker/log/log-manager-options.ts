/** What all logs of a broker are opened with, and what its calls answer. */

import type { Clock, Random } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { Disk } from './disk.ts'
import type { PartitionLog } from './partition-log.ts'
import type { ConfigTexts } from './topic-config.ts'

/** Options of a log manager. */
export interface LogManagerOptions {
  /** Folder of all data; created if it is not there. */
  readonly dataDir: string
  /** `node.id`. Default 1. */
  readonly nodeId?: number
  /** Broker settings by Kafka's names: `log.*`, `message.max.bytes`, `producer.id.expiration.ms`, … Must be valid. */
  readonly settings?: ConfigTexts
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
  /** Default: the machine's disk. */
  readonly disk?: Disk
  /** Most files open while fewer are in use. Default 512. */
  readonly openFilesMax?: number
  /**
   * How many bytes a start after a crash may have to check, all partitions together;
   * above it the logs are flushed in the background. Default 67_108_864.
   */
  readonly recoveryBytesMax?: number
}

/** A topic with its open logs. */
export interface Topic {
  readonly name: string
  /** Kafka's base64url form. */
  readonly id: string
  /** Overrides by Kafka's names. */
  readonly configs: ConfigTexts
  /** By partition, from 0. */
  readonly logs: readonly PartitionLog[]
}

/** A topic to create. */
export interface NewTopic {
  readonly name: string
  /** At least 1. Default: `num.partitions`, or 1. */
  readonly partitionCount?: number
  /** Overrides by Kafka's names. Default none. */
  readonly configs?: ConfigTexts
}

/** Outcome of a change of topics: the topic, or a code of Kafka's protocol with its reason. */
export type TopicResult =
  | { readonly errorCode: 0; readonly topic: Topic }
  | { readonly errorCode: number; readonly errorMessage: string; readonly topic?: undefined }
