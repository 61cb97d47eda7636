/** The producer's section on its own, for programs that have no pipeline file. */

import type { z } from 'zod'

import { type Problem, invalidConfiguration } from './problems.ts'
import { checkProducer } from './schema/producer-rules.ts'
import { type ProducerConfig, producerSchema } from './schema/producer.ts'

/** What a program has to say: the route and the dead letter topic; all else has a default. */
export type ProducerInput = z.input<typeof producerSchema>

/**
 * Checks settings of a producer and fills in the defaults.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every problem.
 */
export function producerConfig(input: ProducerInput): ProducerConfig {
  const { data, error } = producerSchema.safeParse(input)
  const problems: Problem[] = []
  const report = (path: readonly PropertyKey[], message: string): void => {
    problems.push({ place: undefined, path: path.map(String).join('.'), message })
  }
  for (const issue of error?.issues ?? []) report(['producer', ...issue.path], issue.message)
  if (data !== undefined) checkProducer(data, report)
  if (data !== undefined && problems.length === 0) return data
  throw invalidConfiguration('producer', problems)
}
