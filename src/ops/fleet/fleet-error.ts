/** How the errors of those who keep fleets become ours. */

import { briefMessageOf, PipelineError } from '../../core/index.ts'

/** Errors of AWS that pass by themselves. */
const PASSING: ReadonlySet<string> = new Set([
  'Throttling',
  'ThrottlingException',
  'ScalingActivityInProgress',
  'ScalingActivityInProgressFault',
  'ResourceContention',
  'ServerException',
  'RequestTimeout',
  'TimeoutError'
])

/** Names under which AWS says that there is no such thing. */
const ABSENT: ReadonlySet<string> = new Set(['ServiceNotFoundException', 'ClusterNotFoundException'])

/** An error of AWS's SDK: refused, passing, or no answer at all. */
export function awsError(error: unknown, what: string): PipelineError {
  if (PipelineError.is(error)) return error
  const { name, status } = parts(error)
  const message = `${what}: ${name === '' ? '' : `${name}: `}${briefMessageOf(error)}`
  if (ABSENT.has(name)) return new PipelineError('ERR_OPS_NOT_FOUND', message, { cause: error })
  if (PASSING.has(name) || status === undefined || status >= 500) {
    return new PipelineError('ERR_OPS_FLEET_UNREACHABLE', message, { cause: error })
  }
  return new PipelineError('ERR_OPS_REFUSED', message, { cause: error })
}

function parts(error: unknown): { readonly name: string; readonly status: number | undefined } {
  if (typeof error !== 'object' || error === null) return { name: '', status: undefined }
  // As AWS's SDK makes them: https://docs.aws.amazon.com/AWSJavaScriptSDK/v3/latest/
  const { name, $metadata } = error as { name?: unknown; $metadata?: { httpStatusCode?: unknown } }
  const status = $metadata?.httpStatusCode
  return { name: typeof name === 'string' ? name : '', status: typeof status === 'number' ? status : undefined }
}

/** What an HTTP status of a keeper means. `detail` is what it said of it, without secrets. */
export function httpError(status: number, what: string, detail: string): PipelineError {
  const message = `${what}: ${status}${detail === '' ? '' : ` ${briefMessageOf(detail)}`}`
  if (status === 404) return new PipelineError('ERR_OPS_NOT_FOUND', message)
  if (status >= 500 || status === 429 || status === 408) return new PipelineError('ERR_OPS_FLEET_UNREACHABLE', message)
  return new PipelineError('ERR_OPS_REFUSED', message)
}

/** No answer at all. */
export function unreachable(error: unknown, what: string): PipelineError {
  if (PipelineError.is(error)) return error
  return new PipelineError('ERR_OPS_FLEET_UNREACHABLE', `${what}: ${briefMessageOf(error)}`, { cause: error })
}
