/**
 * What a role does with its metrics: the section `telemetry.metrics` and OpenTelemetry's own environment variables
 * together. What is wrong in one of those is told and has no effect, as its specification asks for.
 *
 * Source: OpenTelemetry specification, "Environment Variable Specification" and "OTLP exporter".
 */

import { appendFile } from 'node:fs/promises'

import type { TelemetryConfig } from '../../config/index.ts'
import type { Logger, MetricsOptions } from '../../telemetry/index.ts'
import { endpointOf, type Environment, resourceOf, wholeNumber } from './otel-environment.ts'

/** Whose metrics they are. */
export interface MetricsOf {
  /** Part of this process in the pipeline; becomes `service.name` where nobody says otherwise. */
  readonly role: string
  readonly environment: Environment
  readonly logger: Logger
}

const DEFAULT_URL = 'http://localhost:4318/v1/metrics'
const INTERVAL_MS = 60_000
const TIMEOUT_MS = 10_000

/** How metrics are kept and exported. Whether somebody scrapes them is another question. */
export function metricsSettings(telemetry: TelemetryConfig | undefined, of: MetricsOf): MetricsOptions {
  const { logger, environment } = of
  const metrics = telemetry?.metrics
  const otlp = otlpSettings(metrics, of)
  const emf = isDisabled(environment) ? undefined : metrics?.emf
  return {
    resource: resourceOf(telemetry?.resource ?? {}, of.role, environment),
    ...(metrics === undefined ? {} : { seriesMax: metrics.seriesMax, partitionSeriesMax: metrics.partitionSeriesMax }),
    ...(otlp === undefined ? {} : { otlp }),
    ...(emf === undefined
      ? {}
      : { emf: { namespace: emf.namespace, intervalMs: emf.intervalMs, write: emfWriter(emf.file) } }),
    logger
  }
}

/** Whether metrics go anywhere by themselves. */
export function hasExporter({ otlp, emf }: MetricsOptions): boolean {
  return otlp !== undefined || emf !== undefined
}

function otlpSettings(
  metrics: TelemetryConfig['metrics'] | undefined,
  { environment, logger }: MetricsOf
): MetricsOptions['otlp'] {
  const warn = (text: string): void => logger.warn({}, text)
  if (!isAsked(metrics?.otlp !== undefined, environment, warn)) return undefined
  const protocol = textOf(environment, 'OTEL_EXPORTER_OTLP_METRICS_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL')
  if (protocol !== '' && protocol !== 'http/protobuf') {
    warn(`OTEL_EXPORTER_OTLP_PROTOCOL: metrics are sent by http/protobuf, not by ${protocol}`)
  }
  const compression = textOf(environment, 'OTEL_EXPORTER_OTLP_METRICS_COMPRESSION', 'OTEL_EXPORTER_OTLP_COMPRESSION')
  const otlp = metrics?.otlp
  const number = (name: string): number | undefined => wholeNumber(environment, name, { onProblem: warn })
  return {
    endpoint: otlp?.endpoint ?? endpointOf(environment, 'metrics', warn) ?? DEFAULT_URL,
    headers: otlp?.headers ?? {},
    intervalMs: number('OTEL_METRIC_EXPORT_INTERVAL') ?? otlp?.intervalMs ?? INTERVAL_MS,
    timeoutMs:
      number('OTEL_EXPORTER_OTLP_METRICS_TIMEOUT') ??
      number('OTEL_EXPORTER_OTLP_TIMEOUT') ??
      otlp?.timeoutMs ??
      TIMEOUT_MS,
    compression: otlp?.compression === 'gzip' || compression === 'gzip' ? 'gzip' : 'none'
  }
}

/** A variable that names exporters decides; else whoever names a collector wants it to have metrics. */
function isAsked(isConfigured: boolean, environment: Environment, warn: (text: string) => void): boolean {
  if (isDisabled(environment)) return false
  const names = (environment['OTEL_METRICS_EXPORTER'] ?? '').split(',').map(name => name.trim())
  const asked = names.filter(name => name !== '')
  for (const name of asked) {
    if (name !== 'otlp' && name !== 'none' && name !== 'prometheus') {
      warn(`OTEL_METRICS_EXPORTER: there are otlp, none and prometheus (by --metrics-port), not ${name}`)
    }
  }
  if (asked.includes('otlp')) return true
  if (asked.includes('none')) return false
  if (isConfigured) return true
  if (asked.includes('prometheus')) return false
  return endpointOf(environment, 'metrics', warn) !== undefined
}

function isDisabled(environment: Environment): boolean {
  return environment['OTEL_SDK_DISABLED']?.toLowerCase() === 'true'
}

function textOf(environment: Environment, ...names: readonly string[]): string {
  return names.map(name => environment[name] ?? '').find(text => text !== '') ?? ''
}

/** Where lines go: a file, opened for each export so that it can be rotated, or standard output. */
function emfWriter(file: string | undefined): (lines: string) => Promise<void> {
  if (file !== undefined) return async lines => await appendFile(file, lines)
  return lines =>
    new Promise((resolve, reject) => {
      // Done when it was taken: a reader that is stuck holds up one export, and none follows before.
      process.stdout.write(lines, error => {
        if (error === undefined || error === null) resolve()
        else reject(error)
      })
    })
}
