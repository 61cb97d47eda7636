/** `builtin:distributor`: the distributor with its options from one environment variable. */

import { messageOf, PipelineError } from '../../core/index.ts'
import { createDistributor, type Distributor } from './distributor.ts'
import { DISTRIBUTOR_VARIABLE, type DistributorOptions } from './options.ts'

/**
 * Makes the distributor that `COMPORTA_DISTRIBUTOR` (a JSON object, see `DistributorRouting`) describes.
 *
 * @throws PipelineError `ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID` if it is missing, not JSON, or cannot work.
 */
export function builtinDistributor(environment: Readonly<Record<string, string | undefined>>): Distributor {
  const text = environment[DISTRIBUTOR_VARIABLE]
  if (text === undefined) {
    const message = `the environment variable ${DISTRIBUTOR_VARIABLE} is missing: give the routes in it as JSON`
    throw new PipelineError('ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID', message)
  }
  let options: unknown
  try {
    options = JSON.parse(text)
  } catch (error) {
    const message = `the environment variable ${DISTRIBUTOR_VARIABLE} is not JSON: ${messageOf(error)}`
    throw new PipelineError('ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID', message, { cause: error })
  }
  // Boundary: createDistributor checks every member.
  return createDistributor(options as DistributorOptions)
}
