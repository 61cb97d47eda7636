/** Scenario files, and loads of programs that have none. */

import { z } from 'zod'

import { checkedValue, readConfigFile } from './checked-file.ts'
import { invalidConfiguration, type Problem } from './problems.ts'
import { type ScenarioConfig, scenarioProblems, scenarioSchema } from './schema/scenario.ts'
import { type Environment, parseConfigSource } from './source.ts'

/** What a program has to say of a load: nothing, all has a default. */
export type ScenarioInput = z.input<typeof scenarioSchema>

/**
 * Reads and checks a scenario file.
 *
 * @throws PipelineError `ERR_CONFIG_UNREADABLE`, or `ERR_CONFIG_INVALID` with every problem.
 */
export async function loadScenarioFile(path: string, environment: Environment): Promise<ScenarioConfig> {
  const text = await readConfigFile(path, 'Write one as docs/guides/load.md says')
  return parseScenario(text, { fileName: path, environment })
}

/**
 * Checks the text of a scenario file.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every problem.
 */
export function parseScenario(
  text: string,
  { fileName, environment }: { readonly fileName: string; readonly environment: Environment }
): ScenarioConfig {
  const source = parseConfigSource(text, environment)
  return checkedValue({
    schema: scenarioSchema,
    fileName,
    source,
    rules: (_, scenario, report) => {
      if (scenario === undefined) return
      for (const { path, message } of scenarioProblems(scenario)) report(path, message)
    }
  })
}

/**
 * Checks a load and fills in the defaults.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every problem.
 */
export function scenarioConfig(input: ScenarioInput): ScenarioConfig {
  const { data, error } = scenarioSchema.safeParse(input)
  const found = data === undefined ? (error?.issues ?? []) : scenarioProblems(data)
  if (data !== undefined && found.length === 0) return data
  const problems = found.map(({ path, message }): Problem => ({
    place: undefined,
    path: path.map(String).join('.'),
    message
  }))
  throw invalidConfiguration('generator', problems)
}

/** A scenario file as JSON Schema (2020-12), for editors. */
export function scenarioJsonSchema(): Record<string, unknown> {
  return {
    $id: 'https://comporta.dev/schema/scenario.schema.json',
    title: 'Comporta scenario file',
    ...z.toJSONSchema(scenarioSchema, { io: 'input', unrepresentable: 'any' })
  }
}
