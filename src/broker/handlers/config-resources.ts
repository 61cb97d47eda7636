/**
 * Changing settings of a resource: what AlterConfigs and IncrementalAlterConfigs
 * share. Topics can be changed; the broker's settings are decided at its start.
 */

import { kafkaErrorName } from '../../protocol/index.ts'
import { topicConfigProblems } from '../log/index.ts'
import type { BrokerState } from './broker-state.ts'
import type { Refusal } from './handler.ts'

/** Kafka's `ConfigResource.Type` numbers. */
export const TOPIC_RESOURCE = 2
/** See `TOPIC_RESOURCE`. */
export const BROKER_RESOURCE = 4

/** A resource whose settings are to be changed. */
export interface AlterTarget {
  readonly resourceType: number
  readonly resourceName: string
  readonly validateOnly: boolean
}

/**
 * Changes the overrides of a topic.
 *
 * @param change - From the current overrides to the new ones, or why that is not possible.
 */
export async function alterTopic(
  broker: BrokerState,
  target: AlterTarget,
  change: (current: Readonly<Record<string, string>>) => Record<string, string> | Refusal
): Promise<Refusal> {
  if (target.resourceType === BROKER_RESOURCE) {
    return { error: 'INVALID_REQUEST', message: 'Broker settings are given at its start and cannot be changed later.' }
  }
  if (target.resourceType !== TOPIC_RESOURCE) {
    return { error: 'INVALID_REQUEST', message: `Unsupported resource type: ${target.resourceType}` }
  }
  const topic = broker.logs.topic(target.resourceName)
  if (topic === undefined) {
    return { error: 'UNKNOWN_TOPIC_OR_PARTITION', message: `Topic ${target.resourceName} does not exist.` }
  }
  const changed = change(topic.configs)
  if (isResult(changed)) return changed
  const problems = topicConfigProblems(changed)
  if (problems.length > 0) return { error: 'INVALID_CONFIG', message: problems.join('; ') }
  if (target.validateOnly) return { error: 'NONE', message: null }
  const result = await broker.logs.setTopicConfigs(topic.name, changed)
  if (result.topic !== undefined) return { error: 'NONE', message: null }
  return { error: kafkaErrorName(result.errorCode), message: result.errorMessage }
}

function isResult(value: Record<string, string> | Refusal): value is Refusal {
  // No setting of a topic is called "error" and "message" both.
  return 'error' in value && 'message' in value
}
