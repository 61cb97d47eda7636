/** The metrics of a role: kept if somebody can read them or is sent them, or not at all. */

import type { TelemetryConfig } from '../../config/index.ts'
import { createMetrics, type Logger, type Metrics } from '../../telemetry/index.ts'
import { hasExporter, metricsSettings } from './otel-metrics.ts'
import { observeProcess } from './process-metrics.ts'

/** Whose metrics they are. */
export interface MetricsOwner {
  /** Part of this process in the pipeline. */
  readonly role: string
  readonly logger: Logger
  /** Whether metrics can be read of it. */
  readonly isServed: boolean
}

/** Starts to keep and export metrics; `undefined` if nobody would get them. */
export function startRoleMetrics(telemetry: TelemetryConfig | undefined, owner: MetricsOwner): Metrics | undefined {
  const { role, logger, isServed } = owner
  const settings = metricsSettings(telemetry, { role, environment: process.env, logger })
  if (!isServed && !hasExporter(settings)) return undefined
  const metrics = createMetrics(settings)
  const endProcess = observeProcess(metrics.meter)
  return {
    ...metrics,
    close: async () => {
      await metrics.close()
      endProcess()
    }
  }
}
