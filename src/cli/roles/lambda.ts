/** The embedded Lambda runtime as a role. */

import type { FunctionConfig, LambdaConfig } from '../../config/index.ts'
import { type FunctionOptions, startLambdaRuntime } from '../../lambda/index.ts'
import { createMetrics, type Logger } from '../../telemetry/index.ts'
import type { RunningRole } from '../process/role.ts'

/** Starts the runtime with the functions of the pipeline file. */
export async function startLambdaRole(options: LambdaConfig, logger: Logger): Promise<RunningRole> {
  const metrics = createMetrics()
  const functions = Object.entries(options.functions).map(([name, each]) => [name, functionOptions(each)] as const)
  const runtime = await startLambdaRuntime({
    functions: Object.fromEntries(functions),
    host: options.host,
    port: options.port,
    logger,
    meter: metrics.meter
  })
  return {
    info: { endpoint: runtime.endpoint },
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
