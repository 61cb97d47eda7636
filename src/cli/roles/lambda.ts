/** The embedded Lambda runtime as a role. */

import { readFile } from 'node:fs/promises'
import { parseEnv } from 'node:util'

import type { FunctionConfig, LambdaConfig } from '../../config/index.ts'
import { messageOf, PipelineError, systemClock } from '../../core/index.ts'
import { type FunctionOptions, type LambdaRuntime, startLambdaRuntime } from '../../lambda/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { RoleStatus } from '../process/messages.ts'
import type { RunningRole } from '../process/role.ts'
import { tracedBy } from '../telemetry/function-traces.ts'
import { LAMBDA_TIMEOUT_MS, RuntimeReadiness } from './readiness/lambda.ts'
import { lookEveryMs } from './readiness/progress.ts'
import { type RoleEndpointOptions, startRoleEndpoint } from './role-endpoint.ts'

/** Starts the runtime with the functions of the pipeline file. */
export async function startLambdaRole(
  options: LambdaConfig & RoleEndpointOptions,
  logger: Logger
): Promise<RunningRole> {
  const entries = Object.entries(options.functions).map(async ([name, each]) => {
    return [name, await functionOptions(name, each)] as const
  })
  const traced = tracedBy(options.telemetry, logger)
  const functions = Object.fromEntries((await Promise.all(entries)).map(([name, each]) => [name, traced(each)]))
  const endpoint = await startRoleEndpoint(options, { role: 'lambda', logger })
  const { host, port, region, accountId, accountConcurrency, throttleWaitMs, watch } = options
  const destinationEndpoint = options.destinationEndpoint ?? process.env['AWS_ENDPOINT_URL']
  const runtime = await startLambdaRuntime({
    functions,
    host,
    port,
    region,
    accountId,
    accountConcurrency,
    throttleWaitMs,
    watch,
    logger: logger.child({ room: 'lambda' }),
    ...(destinationEndpoint === undefined ? {} : { destinationEndpoint }),
    meter: endpoint.meter
  }).catch(async (error: unknown) => {
    await endpoint.close()
    throw error
  })
  const readiness = new RuntimeReadiness(Math.max(...Object.values(functions).map(each => each.timeoutMs ?? 0), 0))
  endpoint.describeBy(() => runtime.status())
  endpoint.readyBy(() => {
    readiness.look(runtime.status(), systemClock.monotonicMs())
    return readiness.verdict()
  }, lookEveryMs(LAMBDA_TIMEOUT_MS))
  return {
    info: { endpoint: runtime.endpoint, ...endpoint.info },
    status: () => totalsOf(runtime),
    drain: async deadlineMs => {
      await runtime.drain(deadlineMs)
      await endpoint.close()
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

async function functionOptions(name: string, config: FunctionConfig): Promise<FunctionOptions> {
  const { environmentFile, environment, versions, ...options } = config
  const place = `lambda.functions.${name}`
  const fromFile = environmentFile === undefined ? {} : await readVariables(`${place}.environmentFile`, environmentFile)
  const versionOptions = Object.entries(versions).map(([number, each]) => {
    return [number, { ...each, environment: resolved(`${place}.versions.${number}`, each.environment ?? {}) }] as const
  })
  // Boundary: what the schema calls optional is either there or not; `undefined` is left out here.
  return withoutUndefined({
    ...options,
    environment: { ...fromFile, ...resolved(place, environment) },
    versions: Object.fromEntries(versionOptions.map(([number, each]) => [number, withoutUndefined(each)])),
    events: withoutUndefined(options.events)
  }) as FunctionOptions
}

function withoutUndefined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined))
}

/** Replaces references to variables of this process by their values, which are in no file and no log. */
function resolved(place: string, variables: FunctionConfig['environment']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).map(([name, value]) => {
      if (typeof value === 'string') return [name, value]
      const found = process.env[value.env]
      if (found !== undefined) return [name, found]
      const message = `${place}.environment.${name}: the environment variable ${value.env} is not set`
      throw new PipelineError('ERR_CONFIG_INVALID', message)
    })
  )
}

async function readVariables(place: string, file: string): Promise<Record<string, string>> {
  try {
    const variables = parseEnv(await readFile(file, 'utf8'))
    return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, value ?? '']))
  } catch (error) {
    throw new PipelineError('ERR_CONFIG_INVALID', `${place}: ${messageOf(error)}`)
  }
}
