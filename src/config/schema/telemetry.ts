/** `telemetry:` — what a pipeline tells of itself: metrics, traces and logs. */

import { z } from 'zod'

import { logsSchema } from './telemetry-logs.ts'
import { metricsSchema } from './telemetry-metrics.ts'
import { tracesSchema } from './telemetry-traces.ts'

/** Each part is a file of its own, `telemetry-….ts`, and can be left out. */
export const telemetrySchema = z
  .strictObject({
    metrics: metricsSchema,
    traces: tracesSchema,
    logs: logsSchema,
    resource: z
      .record(z.string().regex(/^[a-z][a-z0-9._-]{0,127}$/, 'not the name of an attribute'), z.string().max(1024))
      .default({})
      .describe(
        'Resource attributes of all metrics and spans, for example `deployment.environment.name: production`. ' +
          'OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME come before them.'
      )
  })
  .prefault({})
  .describe('Metrics, traces and logs. OpenTelemetry’s own environment variables are honoured as well.')

/** The section as read. */
export type TelemetryConfig = z.infer<typeof telemetrySchema>

/** The section of a file that says nothing of telemetry. */
export function telemetryDefaults(): TelemetryConfig {
  return telemetrySchema.parse(undefined)
}
