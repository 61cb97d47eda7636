/** What the distributor delivers to. A door of its own: the distributor's start must not load the other targets. */

export {
  type AwsClientSettings,
  awsClientOptions,
  awsErrorKind,
  awsErrorName,
  isAwsSetupKind,
  isLoopback
} from '../aws/aws-client.ts'
export { networkOutcome, retryAfterMs } from '../failures.ts'
export { LoudLog } from '../loud-log.ts'
export { HttpClient } from '../http1/http-client.ts'
export type { HttpReply } from '../http1/reply-parser.ts'
export type { CommonSinkSettings, SinkRetrySettings } from './common-settings.ts'
export { createSink, SINK_TYPES, type SinkDependencies, sinkProblems } from './create-sink.ts'
export {
  type HeaderValue,
  HttpSink,
  type HttpSinkOptions,
  httpSinkProblems,
  type HttpSinkSettings
} from './http-sink.ts'
export type { RecordSink, RecordSource, SinkFailure, SinkLimits, SinkOutcome, SinkRequest } from './record-sink.ts'
export type { SinkSettings } from './sink-settings.ts'
