/**
 * The environment variables of a function: Lambda's own and the configured
 * ones. Nothing of this process is passed on; its secrets are not the
 * function's. Source: Lambda developer guide, "Defined runtime environment variables".
 */

import path from 'node:path'

import type { RuntimeSettings, VersionSettings } from './settings.ts'

/** Why an environment was started. Source: `AWS_LAMBDA_INITIALIZATION_TYPE`. */
export type InitializationType = 'on-demand' | 'provisioned-concurrency'

/** Variables of one execution environment, named by `id` in its log stream. */
export function environmentVariables(
  func: VersionSettings,
  settings: RuntimeSettings,
  { id, initializationType }: { readonly id: string; readonly initializationType: InitializationType }
): Record<string, string> {
  return {
    ...func.environment,
    ...nodePath(func),
    // Reserved: a configured variable of the same name does not win.
    _HANDLER: func.handler,
    AWS_DEFAULT_REGION: settings.region,
    AWS_EXECUTION_ENV: `AWS_Lambda_nodejs${nodeMajor()}.x`,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(func.memoryMb),
    AWS_LAMBDA_FUNCTION_NAME: func.name,
    AWS_LAMBDA_FUNCTION_VERSION: func.version,
    AWS_LAMBDA_INITIALIZATION_TYPE: initializationType,
    AWS_LAMBDA_LOG_FORMAT: func.logFormat === 'json' ? 'JSON' : 'Text',
    ...(func.logLevel === 'TRACE' ? {} : { AWS_LAMBDA_LOG_LEVEL: func.logLevel }),
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${func.name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: logStreamName(func.version, id, settings.clock.now()),
    AWS_REGION: settings.region,
    LAMBDA_TASK_ROOT: settings.taskRoot,
    TZ: func.environment['TZ'] ?? ':UTC'
  }
}

function nodeMajor(): string {
  return process.versions.node.split('.')[0] ?? ''
}

function logStreamName(version: string, id: string, nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 10).replaceAll('-', '/')}/[${version}]${id}`
}

/** Where CommonJS finds packages: in a layer they lie below `nodejs`, as in Lambda below `/opt/nodejs`. */
function nodePath({ layers, environment }: VersionSettings): Record<string, string> {
  // A later layer wins, as it does in Lambda, where it is unpacked over the earlier ones.
  const folders = layers.toReversed().flatMap(layer => {
    return [`nodejs/node${nodeMajor()}/node_modules`, 'nodejs/node_modules'].map(each => path.resolve(layer, each))
  })
  const given = environment['NODE_PATH']
  const all = given === undefined ? folders : [given, ...folders]
  return all.length === 0 ? {} : { NODE_PATH: all.join(path.delimiter) }
}
