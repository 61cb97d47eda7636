/** Scenario files, and loads of programs that have none. */

import { z } from 'zod'

import { checkedValue, readConfigFile } from './checked-file.ts'
import { checkedInput } from './checked-input.ts'
import type { Report } from './schema/common.ts'
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
      if (scenario !== undefined) reportProblems(scenario, report)
    }
  })
}

/**
 * Checks a load and fills in the defaults.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every problem.
 */
export function scenarioConfig(input: ScenarioInput): ScenarioConfig {
  return checkedInput(input, { schema: scenarioSchema, name: 'generator', rules: reportProblems })
}

function reportProblems(scenario: ScenarioConfig, report: Report): void {
  for (const { path, message } of scenarioProblems(scenario)) report(path, message)
}

/** A scenario file as JSON Schema (2020-12), for editors. */
export function scenarioJsonSchema(): Record<string, unknown> {
  return {
    $id: 'https://comporta.dev/schema/scenario.schema.json',
    title: 'Comporta scenario file',
    ...z.toJSONSchema(scenarioSchema, { io: 'input', unrepresentable: 'any' })
  }
}
