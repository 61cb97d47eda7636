/** The dispatcher's section on its own, for programs that have no pipeline file. */

import type { z } from 'zod'

import { type Problem, invalidConfiguration } from './problems.ts'
import { checkDispatcher } from './schema/dispatcher-rules.ts'
import { type DispatcherConfig, dispatcherSchema } from './schema/dispatcher.ts'

/** What a program has to say: the group, its topics, the target, the dead letter topic; all else has a default. */
export type DispatcherInput = z.input<typeof dispatcherSchema>

/**
 * Checks settings of a dispatcher and fills in the defaults.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every problem.
 */
export function dispatcherConfig(input: DispatcherInput): DispatcherConfig {
  const { data, error } = dispatcherSchema.safeParse(input)
  const problems: Problem[] = []
  const report = (path: readonly PropertyKey[], message: string): void => {
    problems.push({ place: undefined, path: path.map(String).join('.'), message })
  }
  for (const issue of error?.issues ?? []) report(['dispatcher', ...issue.path], issue.message)
  if (data !== undefined) checkDispatcher(data, undefined, report)
  if (data !== undefined && problems.length === 0) return data
  throw invalidConfiguration('dispatcher', problems)
}
