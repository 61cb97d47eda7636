/** Options that several commands share. */

import { InvalidArgumentError } from 'commander'

import type { TelemetryConfig } from '../../config/index.ts'
import type { CommonOptions } from '../context.ts'
import type { RoleEndpointOptions } from '../roles/role-endpoint.ts'

/** The option of every command that runs a role. */
export const metricsPortOption = [
  '--metrics-port <number>',
  'serve GET /metrics, /describe, /health/live and /health/ready on this port, 0 for any',
  parsePort
] as const

/** The option beside it. */
export const metricsHostOption = [
  '--metrics-host <address>',
  'address for --metrics-port. Default: telemetry.metrics.host of the pipeline file, 127.0.0.1'
] as const

/** What the command line says of the endpoint comes before the pipeline file. */
export function endpointOptionsOf(options: CommonOptions, telemetry?: TelemetryConfig): RoleEndpointOptions {
  return {
    metricsPort: options.metricsPort ?? telemetry?.metrics.port,
    metricsHost: options.metricsHost ?? telemetry?.metrics.host,
    telemetry
  }
}

/** Options of commands that publish one input: where it goes on after a restart. */
export const stateOptions = [
  ['--state <file>', 'keep the position in this file: a later run with it goes on where this one stopped'],
  ['--restart', 'forget the position in the state file and begin anew']
] as const

/** Reads a port; commander prints the reason if it is none. */
export function parsePort(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new InvalidArgumentError('A port is a whole number from 0 to 65535.')
}
