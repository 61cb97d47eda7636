/** The rights that a packed distributor needs in AWS, as one IAM policy: what its targets, look-ups and tables say. */

import type { PipelineConfig } from '../../config/index.ts'
import { type DistributorRouting, enrichmentPolicy, idempotencyPolicy } from '../../lambda/index.ts'
import { sinkPolicy } from '../../targets/index.ts'
import { writeOutput } from './write-output.ts'

/** A policy document. Source: IAM JSON policy reference. */
export interface PolicyDocument {
  readonly Version: '2012-10-17'
  readonly Statement: readonly object[]
}

/** The policy of a function of the pipeline file. A function that calls nothing in AWS has no statements. */
export function functionPolicy(pipeline: PipelineConfig, name: string): PolicyDocument {
  const distributor = pipeline.lambda?.functions[name]?.distributor
  if (distributor === undefined) return { Version: '2012-10-17', Statement: [] }
  // Boundary: the function reads the same options from JSON, in which nothing is undefined.
  const { targets, enrich, idempotency, observability } = JSON.parse(JSON.stringify(distributor)) as DistributorRouting
  const statements: readonly object[] = [
    ...Object.values(targets ?? {}).flatMap(target => sinkPolicy(target)),
    ...enrichmentPolicy(enrich ?? []),
    ...(idempotency === undefined ? [] : idempotencyPolicy(idempotency)),
    // Source: managed policy AWSXRayDaemonWriteAccess; traces have no resource of their own.
    ...(observability?.traces === true
      ? [{ Action: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], Resource: ['*'] }]
      : [])
  ]
  // Two targets in one service need the same things of it.
  const distinct = new Map(statements.map(each => [JSON.stringify(each), { Effect: 'Allow', ...each }]))
  return { Version: '2012-10-17', Statement: [...distinct.values()] }
}

/**
 * Writes the policy as a file.
 *
 * @returns The path.
 * @throws PipelineError `ERR_CLI_OUTPUT`.
 */
export async function writePolicy(pipeline: PipelineConfig, name: string, path: string): Promise<string> {
  await writeOutput(path, `${JSON.stringify(functionPolicy(pipeline, name), undefined, 2)}\n`)
  return path
}
