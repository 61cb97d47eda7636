/**
 * Resources whose settings can be changed: what AlterConfigs and
 * IncrementalAlterConfigs share. A topic has overrides; the broker has settings
 * of this node and of the whole cluster (an empty name), see `dynamic-settings.ts`.
 */

import { kafkaErrorName } from '../../protocol/index.ts'
import type { DynamicLayer } from '../dynamic-settings.ts'
import {
  type ConfigType,
  isTopicConfigName,
  resolveTopicConfig,
  TOPIC_CONFIG_NAMES,
  topicConfigEntry,
  topicConfigProblems
} from '../log/index.ts'
import { brokerSettingEntry } from '../settings.ts'
import type { BrokerState } from './broker-state.ts'
import type { Refusal } from './handler.ts'

/** Kafka's `ConfigResource.Type` numbers. */
export const TOPIC_RESOURCE = 2
/** See `TOPIC_RESOURCE`. */
export const BROKER_RESOURCE = 4

type Texts = Readonly<Record<string, string>>

/** A resource whose settings are to be changed. */
export interface AlterTarget {
  readonly resourceType: number
  readonly resourceName: string
  readonly validateOnly: boolean
}

/** The settings of one resource. */
export interface AlterableConfig {
  /** What is set for it. */
  readonly current: Texts
  /** Type of a setting; `undefined` if the resource has no such setting. */
  typeOf(name: string): ConfigType | undefined
  /** The value that would be in force with these settings, for what is added to a list. */
  valueOf(name: string, texts: Texts): string
  /** Replaces what is set for it. */
  replace(texts: Texts): Promise<Refusal>
}

const DONE: Refusal = { error: 'NONE', message: null }

/** The settings of a resource, or why it has none that can be changed. */
export function alterableConfig(broker: BrokerState, target: AlterTarget): AlterableConfig | Refusal {
  if (target.resourceType === TOPIC_RESOURCE) return topicConfig(broker, target)
  if (target.resourceType !== BROKER_RESOURCE) {
    return { error: 'INVALID_REQUEST', message: `Unsupported resource type: ${target.resourceType}` }
  }
  const layer = brokerLayer(broker, target.resourceName)
  return typeof layer === 'string' ? brokerConfig(broker, layer, target) : layer
}

/** Which settings of the broker a name stands for. */
export function brokerLayer(broker: BrokerState, resourceName: string): DynamicLayer | Refusal {
  if (resourceName === '') return 'cluster'
  if (resourceName === String(broker.nodeId)) return 'node'
  const message = /^\d+$/.test(resourceName)
    ? `Unexpected broker id, expected ${broker.nodeId}, but received ${resourceName}`
    : `Node id must be an integer, but it is: ${resourceName}`
  return { error: 'INVALID_REQUEST', message }
}

function topicConfig(broker: BrokerState, { resourceName, validateOnly }: AlterTarget): AlterableConfig | Refusal {
  const topic = broker.logs.topic(resourceName)
  if (topic === undefined) {
    return { error: 'UNKNOWN_TOPIC_OR_PARTITION', message: `Topic ${resourceName} does not exist.` }
  }
  return {
    current: topic.configs,
    typeOf: name => (isTopicConfigName(name) ? topicConfigEntry(name).type : undefined),
    valueOf: (name, texts) =>
      isTopicConfigName(name) ? resolveTopicConfig(name, texts, broker.settings.given).value : '',
    replace: async texts => {
      const problems = topicConfigProblems(texts)
      if (problems.length > 0) return { error: 'INVALID_CONFIG', message: problems.join('; ') }
      if (validateOnly) return DONE
      const result = await broker.logs.setTopicConfigs(topic.name, texts)
      if (result.topic !== undefined) return DONE
      return { error: kafkaErrorName(result.errorCode), message: result.errorMessage }
    }
  }
}

function brokerConfig(broker: BrokerState, layer: DynamicLayer, { validateOnly }: AlterTarget): AlterableConfig {
  return {
    current: broker.dynamicSettings.layer(layer),
    typeOf: name => brokerSettingEntry(name)?.type ?? topicDefault(name)?.type,
    valueOf: (name, texts) => texts[name] ?? broker.settings.given[name] ?? topicDefault(name)?.default ?? '',
    replace: async texts => {
      const problem = await broker.dynamicSettings.replace(layer, texts, { validateOnly })
      return problem === undefined ? DONE : { error: 'INVALID_REQUEST', message: problem }
    }
  }
}

/** The setting of topics that a broker setting is the default of. */
function topicDefault(name: string): { type: ConfigType; default: string } | undefined {
  const topic = TOPIC_CONFIG_NAMES.find(each => topicConfigEntry(each).synonyms.some(synonym => synonym.name === name))
  return topic === undefined ? undefined : topicConfigEntry(topic)
}

const REPEATED: Refusal = { error: 'INVALID_REQUEST', message: 'Each resource must appear at most once.' }

/** Why a resource of a request cannot be changed whatever the change is: it is there more than once. */
export function repeatedResource(
  resources: readonly Pick<AlterTarget, 'resourceType' | 'resourceName'>[],
  { resourceType, resourceName }: AlterTarget
): Refusal | undefined {
  const same = resources.filter(each => each.resourceType === resourceType && each.resourceName === resourceName)
  return same.length > 1 ? REPEATED : undefined
}
