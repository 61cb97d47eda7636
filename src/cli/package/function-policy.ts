/** The rights that a packed distributor needs in AWS, as one IAM policy: what its targets, look-ups and tables say. */

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

import type { PipelineConfig } from '../../config/index.ts'
import { messageOf, PipelineError } from '../../core/index.ts'
import { sinkPolicy } from '../../targets/index.ts'

/** A policy document. Source: IAM JSON policy reference. */
export interface PolicyDocument {
  readonly Version: '2012-10-17'
  readonly Statement: readonly object[]
}

/** The policy of a function of the pipeline file. A function that calls nothing in AWS has no statements. */
export function functionPolicy(pipeline: PipelineConfig, name: string): PolicyDocument {
  const distributor = pipeline.lambda?.functions[name]?.distributor
  const targets = Object.values(distributor?.targets ?? {})
  const statements: object[] = targets.flatMap(target => sinkPolicy(target).map(allowed))
  // Two targets in one service need the same things of it.
  const distinct = new Map(statements.map(statement => [JSON.stringify(statement), statement]))
  return { Version: '2012-10-17', Statement: [...distinct.values()] }
}

function allowed(statement: object): object {
  return { Effect: 'Allow', ...statement }
}

/**
 * Writes the policy as a file.
 *
 * @returns The path.
 * @throws PipelineError `ERR_CLI_OUTPUT`.
 */
export async function writePolicy(pipeline: PipelineConfig, name: string, path: string): Promise<string> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, `${JSON.stringify(functionPolicy(pipeline, name), undefined, 2)}\n`)
  } catch (error) {
    throw new PipelineError('ERR_CLI_OUTPUT', `cannot write ${path}: ${messageOf(error)}`, { cause: error })
  }
  return path
}
