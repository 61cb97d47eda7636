/**
 * The traces of distributors in the embedded runtime: they send to where the pipeline sends, unless their own options
 * say something else. Values of headers go by the function's environment, because options show in descriptions.
 */

import type { TelemetryConfig } from '../../config/index.ts'
import type { FunctionOptions } from '../../lambda/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { traceSettings } from './otel-environment.ts'

const VARIABLE = 'COMPORTA_OTLP_HEADER_'

/** Gives a distributor without settings of its own what it needs to be traced, if traces are asked for. */
export function tracedBy(
  telemetry: TelemetryConfig | undefined,
  logger: Logger
): (options: FunctionOptions) => FunctionOptions {
  const around = { role: 'lambda', environment: process.env }
  const settings = telemetry === undefined ? undefined : traceSettings(telemetry, around, text => logger.warn({}, text))
  if (settings === undefined) return options => options
  const { url = '', headers = {}, sampling = {} } = settings.traces
  const names = Object.keys(headers)
  const variables = Object.fromEntries(Object.values(headers).map((value, index) => [`${VARIABLE}${index}`, value]))
  const otlp = {
    url,
    headers: Object.fromEntries(names.map((name, index) => [name, { env: `${VARIABLE}${index}` }])),
    ...(sampling.ratio === undefined ? {} : { ratio: sampling.ratio }),
    ...(sampling.slowMs === undefined ? {} : { slowMs: sampling.slowMs })
  }
  return options => {
    const { distributor } = options
    if (distributor === undefined || distributor.observability?.otlp !== undefined) return options
    return {
      ...options,
      distributor: { ...distributor, observability: { ...distributor.observability, otlp } },
      environment: { ...options.environment, ...variables }
    }
  }
}
