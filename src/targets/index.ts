/** `targets`: where a batch can go. Each target sends one encoded batch and says what happened. */

export { appendOutcome } from './append-outcome.ts'
export {
  type AwsClientOptions,
  awsClientOptions,
  type AwsClientSettings,
  type AwsDependencies,
  awsErrorKind,
  type AwsErrorKind,
  awsErrorName,
  awsOutcome,
  type AwsPlace,
  isAwsSetupKind
} from './aws/aws-client.ts'
export { sinkPolicy } from './aws/policy.ts'
export {
  arnOfNamed,
  type IamStatement,
  type NamedResource,
  partitionOf,
  type PolicyPlace
} from './aws/policy-statement.ts'
export { createTarget, type TargetDependencies, type TargetSettings } from './create.ts'
export { isRetriableError } from './failures.ts'
export { httpStatusOutcome, HttpTarget, type HttpTargetOptions } from './http-target.ts'
export { functionErrorOutcome } from './function-error.ts'
export { LambdaTarget, type LambdaTargetOptions, serviceErrorOutcome } from './lambda-target.ts'
export { type FunctionToLoad, loadFunction } from './load-function.ts'
export { type ModuleContext, type ModuleHandler, ModuleTarget, type ModuleTargetOptions } from './module-target.ts'
export { readReply, readReplyText } from './reply.ts'
export { dynamoDbSinkProblems, type DynamoDbSinkSettings } from './sinks/dynamo-db-settings.ts'
export { DynamoDbSink, type DynamoDbSinkOptions } from './sinks/dynamo-db-sink.ts'
export { type EventBridgeSinkSettings, eventBridgeSinkProblems } from './sinks/event-bridge-settings.ts'
export { EventBridgeSink, type EventBridgeSinkOptions } from './sinks/event-bridge-sink.ts'
export { kafkaSinkProblems, type KafkaSinkSettings } from './sinks/kafka-settings.ts'
export { KafkaSink, type KafkaSinkOptions } from './sinks/kafka-sink.ts'
export { kinesisSinkProblems, type KinesisSinkSettings } from './sinks/kinesis-settings.ts'
export { KinesisSink, type KinesisSinkOptions } from './sinks/kinesis-sink.ts'
export { lambdaSinkProblems, type LambdaSinkSettings } from './sinks/lambda-settings.ts'
export { LambdaSink, type LambdaSinkOptions } from './sinks/lambda-sink.ts'
export { s3SinkProblems, type S3SinkSettings } from './sinks/s3-settings.ts'
export { S3Sink, type S3SinkOptions } from './sinks/s3-sink.ts'
export { snsSinkProblems, type SnsSinkSettings } from './sinks/sns-settings.ts'
export { SnsSink, type SnsSinkOptions } from './sinks/sns-sink.ts'
export { sqsSinkProblems, type SqsSinkSettings } from './sinks/sqs-settings.ts'
export { SqsSink, type SqsSinkOptions } from './sinks/sqs-sink.ts'
export { stepFunctionsSinkProblems, type StepFunctionsSinkSettings } from './sinks/step-functions-settings.ts'
export { StepFunctionsSink, type StepFunctionsSinkOptions } from './sinks/step-functions-sink.ts'
export {
  type BatchRecords,
  INVALID_REPLY,
  type RecordFailure,
  type Target,
  type TargetBatch,
  type TargetOutcome,
  TOO_LARGE
} from './target.ts'
export { isExactlyOnceTarget, type MadeRecords, TopicTarget, type TopicTargetOptions } from './topic-target.ts'
export {
  loadTopicTransform,
  type TopicContext,
  type TopicInput,
  type TopicOutput,
  type TopicRoute,
  type TopicTransform
} from './topic-transform.ts'
