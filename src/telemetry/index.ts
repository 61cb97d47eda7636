/** `telemetry`: logs, metrics and traces. The contract every room records through, and the exporters. */

export {
  METRIC_CATALOGUE,
  type MetricEntry,
  type MetricKind,
  type MetricName,
  type MetricNameOf,
  type MetricRoom,
  prometheusName
} from './catalogue.ts'
export {
  counterOf,
  gaugeOf,
  histogramOf,
  type Observation,
  observeAll,
  observedCounterOf,
  observedGaugeOf,
  type Observing,
  upDownCounterOf
} from './instruments.ts'
export { createLogger, type LogFields, type Logger, type LoggerOptions, type LogLevel, silentLogger } from './logger.ts'
export {
  type Attributes,
  type Counter,
  createMetrics,
  type Gauge,
  type Histogram,
  type Meter,
  type Metrics,
  type MetricsOptions,
  noopMeter,
  type ObservableGauge,
  type UpDownCounter
} from './metrics.ts'
export type { CollectedMetric, CollectedMetrics, HistogramValue, MetricPoint } from './metrics/collected.ts'
export { Sampled } from './sampled.ts'
export { PROMETHEUS_CONTENT_TYPE } from './exporters/prometheus-text.ts'
export { createTraces, type Traces, type TracesOptions } from './traces/export-traces.ts'
export { type EndedSpan, LINKS_MAX, Recorder, type RecorderOptions } from './traces/recorder.ts'
export { Sampling, SAMPLING_RATIO, type SamplingOptions, SLOW_MS, TRACES_PER_SECOND_MAX } from './traces/sampling.ts'
export { knownErrorType, SPAN_ATTRIBUTES } from './traces/span-names.ts'
export {
  isSampledContext,
  partsOfTraceparent,
  readTraceContext,
  readTraceparent,
  readTracestate,
  type TraceContext,
  type TraceParent,
  xrayHeader
} from './traces/trace-context.ts'
export { type AnyTracer, tracingOf } from './traces/tracer-adapter.ts'
export {
  type KeepReason,
  noTracing,
  type SpanAttributes,
  type SpanKind,
  type SpanStart,
  type TraceSpan,
  type Tracing
} from './traces/tracing.ts'
