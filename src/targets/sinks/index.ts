/** What the distributor delivers to. A door of its own: the distributor's start must not load the other targets. */

export { createSink, SINK_TYPES, type SinkDependencies, sinkProblems } from './create-sink.ts'
export {
  type HeaderValue,
  HttpSink,
  type HttpSinkOptions,
  httpSinkProblems,
  type HttpSinkSettings
} from './http-sink.ts'
export type { RecordSink, SinkFailure, SinkLimits, SinkOutcome, SinkRequest } from './record-sink.ts'
export type { CommonSinkSettings, SinkRetrySettings, SinkSettings } from './sink-settings.ts'
