/** The section `kafka:` on its own, for commands that are given a cluster on the command line. */

import type { z } from 'zod'

import { checkedInput } from './checked-input.ts'
import { type KafkaConfig, kafkaSchema } from './schema/kafka.ts'

/** What has to be said: `bootstrapServers`; all else has a default. */
export type KafkaInput = z.input<typeof kafkaSchema>

/**
 * Checks how a cluster is to be reached, and fills in the defaults.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every problem.
 */
export function kafkaConfig(input: KafkaInput): KafkaConfig {
  return checkedInput(input, { schema: kafkaSchema, name: 'kafka', rules: () => undefined })
}
