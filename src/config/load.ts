/**
 * From text and environment to a checked configuration, or to one error that
 * names every problem with its line.
 */

import { z } from 'zod'

import { checkedValue, readConfigFile } from './checked-file.ts'
import { applyEnvironment } from './environment.ts'
import { invalidConfiguration } from './problems.ts'
import type { Report } from './schema/common.ts'
import { checkRules, type PipelineConfig, pipelineSchema, soundSections } from './schema/pipeline.ts'
import { type Environment, parseConfigSource } from './source.ts'

/** Reports what is wrong with a file whose every setting is sound, seen from where it is used. */
export type PipelineCheck = (pipeline: PipelineConfig, report: Report) => void

/**
 * Reads and checks a pipeline file.
 *
 * @throws PipelineError `ERR_CONFIG_UNREADABLE`, or `ERR_CONFIG_INVALID` with every problem.
 */
export async function loadPipelineFile(
  path: string,
  environment: Environment,
  checkMore?: PipelineCheck
): Promise<PipelineConfig> {
  const text = await readConfigFile(path, 'Name a file with --file, or run: comporta init')
  return parsePipeline(text, { fileName: path, environment, ...(checkMore === undefined ? {} : { checkMore }) })
}

/**
 * Checks the text of a pipeline file.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every problem.
 */
export function parsePipeline(
  text: string,
  options: { readonly fileName: string; readonly environment: Environment; readonly checkMore?: PipelineCheck }
): PipelineConfig {
  const { fileName, environment, checkMore } = options
  const source = parseConfigSource(text, environment)
  if (source.problems.length > 0) throw invalidConfiguration(fileName, source.problems)
  return checkedValue({
    schema: pipelineSchema,
    fileName,
    source,
    ...applyEnvironment(source.value, environment),
    rules: (settled, pipeline, report) => {
      checkRules(soundSections(settled), report)
      if (pipeline !== undefined) checkMore?.(pipeline, report)
    }
  })
}

/** The pipeline file as JSON Schema (2020-12), for editors. */
export function pipelineJsonSchema(): Record<string, unknown> {
  return {
    $id: 'https://comporta.dev/schema/comporta.schema.json',
    title: 'Comporta pipeline file',
    ...z.toJSONSchema(pipelineSchema, { io: 'input', unrepresentable: 'any' })
  }
}
