/**
 * DescribeConfigs, versions 1 to 4: all settings of topics and of the broker,
 * with source, type, synonyms and documentation. What is asked twice in the same
 * words is answered once: an answer is a thousand times as long as its question.
 * Source: KIP-133, KIP-226, KIP-569.
 */

import {
  describeConfigsApi,
  type DescribeConfigsRequest,
  type DescribeConfigsRequestResource,
  type DescribeConfigsResponseResultInput,
  type KafkaErrorName
} from '../../protocol/index.ts'
import { configRefusal } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import {
  brokerConfigRows,
  type ConfigRow,
  dynamicConfigRows,
  toResourceResult,
  topicConfigRows
} from './config-rows.ts'
import { BROKER_RESOURCE, brokerLayer, TOPIC_RESOURCE } from './config-resources.ts'
import { type Caller, defineHandler, errorCode } from './handler.ts'
import { distinct } from './repeated.ts'

/** The handler of DescribeConfigs. */
export const describeConfigsHandler = defineHandler({
  api: describeConfigsApi,
  handle: (broker, request, caller) => ({
    results: distinct(request.resources).map(resource => describe(broker, { request, caller }, resource))
  }),
  fail: (request, code) => ({
    results: request.resources.map(({ resourceType, resourceName }) => ({
      resourceType,
      resourceName,
      errorCode: code
    }))
  })
})

function describe(
  broker: BrokerState,
  { request, caller }: { request: DescribeConfigsRequest; caller: Caller },
  { resourceType, resourceName, configurationKeys }: DescribeConfigsRequestResource
): DescribeConfigsResponseResultInput {
  const need = { operation: 'describeConfigs', resourceType, resourceName } as const
  const rows = configRefusal(broker, caller, need) ?? rowsOf(broker, resourceType, resourceName)
  if ('error' in rows) {
    return { resourceType, resourceName, errorCode: errorCode(rows.error), errorMessage: rows.message }
  }
  const wanted = configurationKeys === null ? undefined : new Set(configurationKeys)
  const configs = rows
    .filter(row => wanted === undefined || wanted.size === 0 || wanted.has(row.name))
    .map(row => toResourceResult(row, request))
  return { resourceType, resourceName, configs }
}

function rowsOf(
  broker: BrokerState,
  resourceType: number,
  resourceName: string
): ConfigRow[] | { error: KafkaErrorName; message: string } {
  if (resourceType === TOPIC_RESOURCE) {
    const topic = broker.logs.topic(resourceName)
    if (topic !== undefined) return topicConfigRows(broker, topic.configs)
    return { error: 'UNKNOWN_TOPIC_OR_PARTITION', message: `Topic ${resourceName} does not exist.` }
  }
  if (resourceType === BROKER_RESOURCE) {
    const layer = brokerLayer(broker, resourceName)
    if (typeof layer !== 'string') return { error: layer.error, message: layer.message ?? '' }
    return layer === 'cluster' ? dynamicConfigRows(broker, layer) : brokerConfigRows(broker)
  }
  return { error: 'INVALID_REQUEST', message: `Unsupported resource type: ${resourceType}` }
}
