/**
 * Every metric there is: the one place that names them. Instruments are made from it (`instruments.ts`), the reference
 * page, the dashboards and the alert rules are held against it by tests.
 *
 * Which names are ours and which are OpenTelemetry's or Kafka's: docs/decisions/0010-metric-names.md.
 */

import { BROKER_METRICS } from './catalogue/broker.ts'
import { CONNECTION_METRICS } from './catalogue/connections.ts'
import { DISPATCHER_METRICS } from './catalogue/dispatcher.ts'
import type { MetricEntry, MetricKind } from './catalogue/entry.ts'
import { KAFKA_CONSUMER_METRICS, KAFKA_PRODUCER_METRICS } from './catalogue/kafka-client.ts'
import { LAMBDA_METRICS } from './catalogue/lambda.ts'
import { MESSAGING_METRICS } from './catalogue/messaging.ts'
import { PROCESS_METRICS, TELEMETRY_METRICS } from './catalogue/own.ts'
import { PRODUCER_METRICS } from './catalogue/producer.ts'

export type { MetricEntry, MetricKind, MetricRoom } from './catalogue/entry.ts'

const METRICS = {
  ...MESSAGING_METRICS,
  ...KAFKA_PRODUCER_METRICS,
  ...KAFKA_CONSUMER_METRICS,
  ...PRODUCER_METRICS,
  ...DISPATCHER_METRICS,
  ...CONNECTION_METRICS,
  ...LAMBDA_METRICS,
  ...BROKER_METRICS,
  ...TELEMETRY_METRICS,
  ...PROCESS_METRICS
}

/** Name of a metric. */
export type MetricName = keyof typeof METRICS

/** Names of the metrics of one kind. */
export type MetricNameOf<Kind extends MetricKind> = {
  [Name in MetricName]: (typeof METRICS)[Name]['kind'] extends Kind ? Name : never
}[MetricName]

/** Every metric by its name. */
export const METRIC_CATALOGUE: Readonly<Record<MetricName, MetricEntry>> = METRICS

/**
 * What a metric is called in Prometheus' text: dots and other signs become underscores, counters end in `_total`.
 * Series of a histogram have `_bucket`, `_sum` or `_count` behind that.
 */
export function prometheusName(name: MetricName): string {
  const plain = name.replaceAll(/[^a-zA-Z0-9_]/g, '_').replaceAll(/_{2,}/g, '_')
  return METRIC_CATALOGUE[name].kind === 'counter' && !plain.endsWith('_total') ? `${plain}_total` : plain
}
