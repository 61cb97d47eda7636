/**
 * Targets of the distributor as the configuration gives them: plain data, told apart by `type`.
 *
 * What every target may have (`timeoutMs`, `retry`) is read by the distributor; the rest by the sink itself.
 */

import type { DynamoDbSinkSettings } from './dynamo-db-settings.ts'
import type { EventBridgeSinkSettings } from './event-bridge-settings.ts'
import type { HttpSinkSettings } from './http-sink.ts'
import type { KafkaSinkSettings } from './kafka-settings.ts'
import type { KinesisSinkSettings } from './kinesis-settings.ts'
import type { LambdaSinkSettings } from './lambda-settings.ts'
import type { S3SinkSettings } from './s3-settings.ts'
import type { SnsSinkSettings } from './sns-settings.ts'
import type { SqsSinkSettings } from './sqs-settings.ts'
import type { StepFunctionsSinkSettings } from './step-functions-settings.ts'

/** How often a target is tried within one invocation. */
export interface SinkRetrySettings {
  /** Most attempts for a record, the first one included. Integer, 1 to 10. Default 2. */
  readonly attemptsMax?: number
  /** Wait before the second attempt, in milliseconds; it doubles, less up to half at random. Default 100. */
  readonly backoffMs?: number
}

/** What every target may have. */
export interface CommonSinkSettings {
  /** Longest wait for one answer of the target, in milliseconds. Default: the distributor's `timeoutMs`. */
  readonly timeoutMs?: number
  /** Default: the distributor's `retry`. */
  readonly retry?: SinkRetrySettings
}

/** One target, by its type. */
export type SinkSettings = CommonSinkSettings &
  (
    | HttpSinkSettings
    | SqsSinkSettings
    | SnsSinkSettings
    | EventBridgeSinkSettings
    | KinesisSinkSettings
    | StepFunctionsSinkSettings
    | DynamoDbSinkSettings
    | S3SinkSettings
    | LambdaSinkSettings
    | KafkaSinkSettings
  )

/** Members that every target may have. */
export const COMMON_SINK_MEMBERS: readonly string[] = ['type', 'timeoutMs', 'retry']
