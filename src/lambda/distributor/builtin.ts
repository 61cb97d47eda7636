/**
 * `builtin:distributor`: the distributor with its options from the environment, as JSON.
 *
 * They are in `COMPORTA_DISTRIBUTOR`, or, since all variables of a function in AWS may have 4 KB together, in the file
 * that `COMPORTA_DISTRIBUTOR_FILE` names; by default `distributor.json` in the folder of the function.
 */

import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

import { messageOf, PipelineError } from '../../core/index.ts'
import { createDistributor, type Distributor } from './distributor.ts'
import { DISTRIBUTOR_FILE_VARIABLE, DISTRIBUTOR_VARIABLE, type DistributorOptions } from './options.ts'

/** The file that is looked for when no variable says anything. */
const DEFAULT_FILE = 'distributor.json'

/**
 * Makes the distributor that the environment describes (see `DistributorRouting`). Header values may name further
 * variables of it. A relative file counts from `LAMBDA_TASK_ROOT`.
 *
 * @throws PipelineError `ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID` if there are no options, or they are not JSON, or
 *   cannot work.
 */
export function builtinDistributor(environment: Readonly<Record<string, string | undefined>>): Distributor {
  const { text, place } = optionsText(environment)
  let options: unknown
  try {
    options = JSON.parse(text)
  } catch (error) {
    throw invalid(`${place} is not JSON: ${messageOf(error)}`, error)
  }
  if (typeof options !== 'object' || options === null) throw invalid(`${place} is not a JSON object`)
  // Boundary: createDistributor checks every member.
  return createDistributor({ ...(options as DistributorOptions), environment })
}

function optionsText(environment: Readonly<Record<string, string | undefined>>): { text: string; place: string } {
  const text = environment[DISTRIBUTOR_VARIABLE]
  if (text !== undefined) return { text, place: `the environment variable ${DISTRIBUTOR_VARIABLE}` }
  const folder = environment['LAMBDA_TASK_ROOT'] ?? '.'
  const named = environment[DISTRIBUTOR_FILE_VARIABLE]
  const file = path.resolve(folder, named ?? DEFAULT_FILE)
  if (named === undefined && !existsSync(file)) {
    const remedy = `give them as JSON in ${DISTRIBUTOR_VARIABLE}, or in a file that ${DISTRIBUTOR_FILE_VARIABLE} names`
    throw invalid(`there are no options: ${remedy} (default: ${DEFAULT_FILE} beside the function)`)
  }
  try {
    return { text: readFileSync(file, 'utf8'), place: `the file ${file}` }
  } catch (error) {
    throw invalid(`${DISTRIBUTOR_FILE_VARIABLE}: ${messageOf(error)}`, error)
  }
}

function invalid(message: string, cause?: unknown): PipelineError {
  return new PipelineError('ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID', message, { cause })
}
