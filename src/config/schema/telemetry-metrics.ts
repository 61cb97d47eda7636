/** `telemetry.metrics`: where a role's metrics can be read, where they are sent, and how many series there may be. */

import { z } from 'zod'

import { httpUrl, integer, listenHost, milliseconds, port } from './common.ts'

/** Headers of requests to a collector: names of HTTP, values by `${VARIABLE}` where they are secret. */
export const otlpHeadersSchema = z
  .record(
    z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/, 'not the name of an HTTP header'),
    z
      .string()
      .max(8192)
      .regex(/^[\t\x20-\x7e]*$/, 'not the value of an HTTP header: printable ASCII only')
  )
  .default({})
  .describe('Headers of each request, for example `authorization: ${OTLP_TOKEN}`.')

/** How long a request to a collector may take, in milliseconds. Source: OTEL_EXPORTER_OTLP_TIMEOUT, 10 s. */
export const otlpTimeoutMs = milliseconds(100, 60_000)
  .default(10_000)
  .describe('Longest time of one export, retries included. What did not arrive by then is given up.')

const otlpSchema = z.strictObject({
  endpoint: httpUrl
    .optional()
    .describe(
      'Full address, path included. Default: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, then OTEL_EXPORTER_OTLP_ENDPOINT.'
    ),
  headers: otlpHeadersSchema,
  intervalMs: milliseconds(1000, 3_600_000).default(60_000).describe('Time between two exports.'),
  timeoutMs: otlpTimeoutMs,
  compression: z.enum(['none', 'gzip']).default('none').describe('Compression of the body.')
})

const emfSchema = z.strictObject({
  file: z
    .string()
    .min(1)
    .optional()
    .describe('File that lines are appended to, for an agent to read. Default: standard output.'),
  namespace: z
    .string()
    .regex(/^(?!AWS\/)[A-Za-z0-9._\-/#:]{1,255}$/, 'not a CloudWatch namespace, or one that begins with AWS/')
    .default('comporta')
    .describe('CloudWatch namespace of the metrics.'),
  intervalMs: milliseconds(1000, 3_600_000).default(60_000).describe('Time between two exports.')
})

/** Each way out can be left out. */
export const metricsSchema = z
  .strictObject({
    host: listenHost,
    port: port
      .optional()
      .describe('Port of `GET /metrics`, in Prometheus’ text format; `--metrics-port` comes before it. Default: none.'),
    otlp: otlpSchema.optional().describe('Sends metrics to an OpenTelemetry collector, OTLP over HTTP with protobuf.'),
    emf: emfSchema.optional().describe('Writes metrics as lines of CloudWatch’s embedded metric format.'),
    seriesMax: integer(10, 100_000)
      .default(2000)
      .describe('Most attribute sets of one metric. What comes after is counted together as `otel.metric.overflow`.'),
    partitionSeriesMax: integer(0, 100_000)
      .default(1000)
      .describe('Most series by partition of one metric; 0 for none. Sums and maxima count all partitions anyway.')
  })
  .prefault({})
  .describe('Metrics. Without `port`, `otlp`, `emf` and OTEL variables that ask for it nothing is counted.')

/** The part as read. */
export type MetricsConfig = z.infer<typeof metricsSchema>
