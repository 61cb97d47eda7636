/** `telemetry`: logs and metrics. The contract every room records through, and the exporters. */

export {
  METRIC_CATALOGUE,
  type MetricEntry,
  type MetricKind,
  type MetricName,
  type MetricNameOf,
  type MetricRoom,
  prometheusName
} from './catalogue.ts'
export { createLogger, type LogFields, type Logger, type LoggerOptions, type LogLevel, silentLogger } from './logger.ts'
export {
  type Attributes,
  type Counter,
  createMetrics,
  type Gauge,
  type Histogram,
  type Meter,
  type Metrics,
  noopMeter,
  type ObservableGauge,
  type UpDownCounter
} from './metrics.ts'
