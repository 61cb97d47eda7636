/** The traces of a role: recorded and sent as the pipeline file and the environment say, or not at all. */

import type { TelemetryConfig } from '../../config/index.ts'
import type { Logger, Tracing } from '../../telemetry/index.ts'
import { packageVersion } from '../package-version.ts'
import { traceSettings } from './otel-environment.ts'

/** Traces of one process. */
export interface RoleTraces {
  /** Absent where nobody traces. */
  readonly tracer: Tracing | undefined
  readonly isXrayPropagated: boolean
  /** Sends what waits, for a moment, and ends. Idempotent; never rejects. */
  close(): Promise<void>
}

const none: RoleTraces = { tracer: undefined, isXrayPropagated: false, close: () => Promise.resolve() }

/**
 * Starts to record and send spans, if that is asked for.
 *
 * @param role - Part of this process in the pipeline.
 */
export async function startRoleTraces(
  telemetry: TelemetryConfig | undefined,
  role: string,
  logger: Logger
): Promise<RoleTraces> {
  if (telemetry === undefined) return none
  const settings = traceSettings(telemetry, { role, environment: process.env }, text => logger.warn({}, text))
  if (settings === undefined) return none
  const { createTraces } = await import('../../telemetry/index.ts')
  const traces = createTraces({ ...settings.traces, version: packageVersion(), logger })
  return {
    tracer: traces.tracing,
    isXrayPropagated: settings.isXrayPropagated,
    close: async () => await traces.close()
  }
}
