/** Whether the JSON Schemas that a pipeline file has or names can be used. */

import type { PipelineConfig } from '../config/index.ts'
import { type CommonOptions, pipelinePath } from './context.ts'

/**
 * Compiles the schemas of a pipeline, whose paths are absolute.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every schema that is wrong, its file and line; a schema in the
 *   pipeline file itself has the line there.
 */
export async function checkSchemas({ producer }: PipelineConfig, options: CommonOptions): Promise<void> {
  if (producer === undefined) return
  const { route, validate } = producer
  const rules = 'rules' in route ? route.rules.flatMap(rule => rule.validate ?? []) : []
  const checks = [...Object.values(validate.topics), ...rules]
  if (checks.every(check => check.schema === undefined && check.schemaFile === undefined)) return
  const { schemaProblems } = await import('../producer/index.ts')
  const problems = await schemaProblems(producer)
  if (problems.length === 0) return
  // Read once more, for the lines.
  const { loadPipelineFile } = await import('../config/index.ts')
  await loadPipelineFile(pipelinePath(options), process.env, (_pipeline, report) => {
    for (const { path, message } of problems) report([...path], message)
  })
}
