/** The dispatcher's section on its own, for programs that have no pipeline file. */

import type { z } from 'zod'

import { checkedInput } from './checked-input.ts'
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
  return checkedInput(input, {
    schema: dispatcherSchema,
    name: 'dispatcher',
    section: 'dispatcher',
    rules: (data, report) => checkDispatcher(data, undefined, report)
  })
}
