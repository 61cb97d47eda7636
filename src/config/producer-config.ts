/** The producer's section on its own, for programs that have no pipeline file. */

import type { z } from 'zod'

import { checkedInput } from './checked-input.ts'
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
  return checkedInput(input, {
    schema: producerSchema,
    name: 'producer',
    section: 'producer',
    rules: (data, report) => checkProducer(data, report)
  })
}
