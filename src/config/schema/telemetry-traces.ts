/** `telemetry.traces`: whether spans are recorded, which of them, and where they are sent. */

import { z } from 'zod'

import { httpUrl } from './common.ts'
import { otlpHeadersSchema, otlpTimeoutMs } from './telemetry-metrics.ts'

/** Everything has a default; spans are off by default. */
export const tracesSchema = z
  .strictObject({
    exporter: z.enum(['none', 'otlp']).default('none').describe('Where spans go.'),
    endpoint: httpUrl
      .optional()
      .describe(
        'Full address, path included. Default: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, then OTEL_EXPORTER_OTLP_ENDPOINT.'
      ),
    headers: otlpHeadersSchema,
    timeoutMs: otlpTimeoutMs
  })
  .prefault({})
  .describe('Traces.')

/** The part as read. */
export type TracesConfig = z.infer<typeof tracesSchema>
