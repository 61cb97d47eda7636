/** The embedded Lambda runtime as a role. */

import type { FunctionConfig, LambdaConfig } from '../../config/index.ts'
import { type FunctionOptions, startLambdaRuntime } from '../../lambda/index.ts'
import type { Logger } from '../../telemetry/index.ts'
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
    status: () => ({}),
    drain: async () => {
      await runtime.close()
      await metrics.close()
    }
  }
}

function functionOptions(config: FunctionConfig): FunctionOptions {
  const { distributor, ...options } = config
  return distributor === undefined ? options : { ...options, distributor }
}
