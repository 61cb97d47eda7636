/** `telemetry.traces`: whether spans are recorded, which of them, and where they are sent. */

import { z } from 'zod'

import { httpUrl, integer, milliseconds } from './common.ts'
import { otlpHeadersSchema, otlpTimeoutMs } from './telemetry-metrics.ts'

/** Defaults are those of the room `telemetry`, which may not be imported here; a test holds them together. */
const samplingSchema = z
  .strictObject({
    ratio: z
      .number()
      .min(0)
      .max(1)
      .default(0.01)
      .describe('Share of the traces that begin here. OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG come before it.'),
    parentBased: z
      .boolean()
      .default(true)
      .describe('Whether a trace from elsewhere keeps its sender’s decision, and a batch that of its records.'),
    keep: z
      .array(z.enum(['failed', 'retried', 'deadLettered', 'slow']))
      .default(['failed', 'retried', 'deadLettered', 'slow'])
      .describe('What is recorded although it was not sampled: decided when a batch has ended. Empty for nothing.'),
    slowMs: milliseconds(1, 86_400_000).default(5000).describe('From how long on a batch is `slow`.'),
    perSecondMax: integer(1, 100_000)
      .default(100)
      .describe('Most traces in a second and process: so many of the sampled, and so many of those that are kept.')
  })
  .prefault({})
  .describe('Which traces are recorded.')

/** Everything has a default; spans are off by default. */
export const tracesSchema = z
  .strictObject({
    exporter: z
      .enum(['none', 'otlp'])
      .optional()
      .describe(
        'Where spans go: `otlp` is OpenTelemetry’s protocol over HTTP. Default: `none`, unless OTEL_TRACES_EXPORTER ' +
          'or a variable with an OTLP endpoint asks for it.'
      ),
    endpoint: httpUrl
      .optional()
      .describe(
        'Full address, path included. Default: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, then OTEL_EXPORTER_OTLP_ENDPOINT ' +
          'with /v1/traces, then http://localhost:4318/v1/traces.'
      ),
    headers: otlpHeadersSchema,
    timeoutMs: otlpTimeoutMs,
    compression: z.enum(['none', 'gzip']).default('none').describe('Compression of the body.'),
    sampling: samplingSchema,
    propagateXray: z
      .boolean()
      .default(false)
      .describe(
        'Whether the trace goes to Lambda in the header X-Amzn-Trace-Id, too: X-Ray then takes the decision of this ' +
          'pipeline what to sample. OTEL_PROPAGATORS with `xray` is the same.'
      ),
    queueMax: integer(64, 1_000_000)
      .default(2048)
      .describe('Most spans that wait to be sent; what does not fit is dropped and counted.')
  })
  .prefault({})
  .describe('Traces.')

/** The part as read. */
export type TracesConfig = z.infer<typeof tracesSchema>
