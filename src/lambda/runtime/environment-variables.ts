/**
 * The environment variables of a function: Lambda's own and the configured
 * ones. Nothing of this process is passed on; its secrets are not the
 * function's. Source: Lambda developer guide, "Defined runtime environment variables".
 */

import { type FunctionSettings, LATEST, type RuntimeSettings } from './options.ts'

/** Variables of one execution environment, named by `id` in its log stream. */
export function environmentVariables(
  func: FunctionSettings,
  settings: RuntimeSettings,
  id: string
): Record<string, string> {
  return {
    ...func.environment,
    // Reserved: a configured variable of the same name does not win.
    _HANDLER: func.handler,
    AWS_DEFAULT_REGION: settings.region,
    AWS_EXECUTION_ENV: `AWS_Lambda_nodejs${process.versions.node.split('.')[0]}.x`,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(func.memoryMb),
    AWS_LAMBDA_FUNCTION_NAME: func.name,
    AWS_LAMBDA_FUNCTION_VERSION: LATEST,
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${func.name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: `[${LATEST}]${id}`,
    AWS_REGION: settings.region,
    LAMBDA_TASK_ROOT: settings.taskRoot,
    TZ: func.environment['TZ'] ?? ':UTC'
  }
}
