/**
 * Targets of the distributor as the configuration gives them: plain data, told apart by `type`.
 *
 * What every target may have (`timeoutMs`, `retry`) is read by the distributor; the rest by the sink itself.
 */

import type { CommonSinkSettings } from './common-settings.ts'
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
