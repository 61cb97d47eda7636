/** The embedded Lambda runtime as a role. */

import type { FunctionConfig, LambdaConfig } from '../../config/index.ts'
import {
  type DistributorRouting,
  type FunctionOptions,
  type LambdaRuntime,
  startLambdaRuntime
} from '../../lambda/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { RoleStatus } from '../process/messages.ts'
import type { RunningRole } from '../process/role.ts'
import { type MetricsOptions, startRoleMetrics } from './role-metrics.ts'

/** Starts the runtime with the functions of the pipeline file. */
export async function startLambdaRole(options: LambdaConfig & MetricsOptions, logger: Logger): Promise<RunningRole> {
  const metrics = await startRoleMetrics(options)
  const functions = Object.entries(options.functions).map(([name, each]) => [name, functionOptions(each)] as const)
  const runtime = await startLambdaRuntime({
    functions: Object.fromEntries(functions),
    host: options.host,
    port: options.port,
    logger,
    meter: metrics.meter
  })
  return {
    info: { endpoint: runtime.endpoint, ...metrics.info },
    status: () => totalsOf(runtime),
    drain: async deadlineMs => {
      await runtime.drain(deadlineMs)
      await metrics.close()
    }
  }
}

function totalsOf(runtime: LambdaRuntime): RoleStatus {
  const functions = runtime.status()
  const sum = (valueOf: (each: (typeof functions)[number]) => number): number =>
    functions.reduce((total, each) => total + valueOf(each), 0)
  return {
    invocations: sum(each => each.invocations),
    errors: sum(each => each.errors),
    throttles: sum(each => each.throttles),
    running: sum(each => each.busyCount)
  }
}

function functionOptions(config: FunctionConfig): FunctionOptions {
  const { distributor, ...options } = config
  // Boundary: what the schema calls optional is either there or not; it never puts `undefined`.
  return distributor === undefined ? options : { ...options, distributor: distributor as DistributorRouting }
}
