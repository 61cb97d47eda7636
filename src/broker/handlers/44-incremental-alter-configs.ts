/**
 * IncrementalAlterConfigs, versions 0 and 1: sets, deletes, or (for lists)
 * appends to and subtracts from single overrides of a topic. Source: KIP-339.
 */

import { incrementalAlterConfigsApi, type IncrementalAlterConfigsRequestAlterableConfig } from '../../protocol/index.ts'
import { isTopicConfigName, resolveTopicConfig, topicConfigEntry } from '../log/index.ts'
import type { BrokerState } from './broker-state.ts'
import { alterTopic } from './config-resources.ts'
import { configRefusal } from './authorization.ts'
import { defineHandler, errorCode, type Refusal } from './handler.ts'

const SET = 0
const DELETE = 1
const APPEND = 2
const SUBTRACT = 3

type Change = IncrementalAlterConfigsRequestAlterableConfig

/** The handler of IncrementalAlterConfigs. */
export const incrementalAlterConfigsHandler = defineHandler({
  api: incrementalAlterConfigsApi,
  handle: async (broker, request, caller) => {
    const responses = []
    for (const { resourceType, resourceName, configs } of request.resources) {
      const target = { resourceType, resourceName, validateOnly: request.validateOnly }
      const refusal = configRefusal(broker, caller, { operation: 'alterConfigs', ...target })
      const { error, message } =
        refusal ?? (await alterTopic(broker, target, current => applyAll(broker, current, configs)))
      responses.push({ resourceType, resourceName, errorCode: errorCode(error), errorMessage: message })
    }
    return { responses }
  },
  fail: (request, code) => ({
    responses: request.resources.map(({ resourceType, resourceName }) => ({
      resourceType,
      resourceName,
      errorCode: code
    }))
  })
})

function applyAll(
  broker: BrokerState,
  current: Readonly<Record<string, string>>,
  changes: readonly Change[]
): Record<string, string> | Refusal {
  const overrides = { ...current }
  const names = changes.map(change => change.name)
  if (new Set(names).size !== names.length) {
    return { error: 'INVALID_REQUEST', message: 'Error due to duplicate config keys' }
  }
  for (const { name, configOperation, value } of changes) {
    if (configOperation === DELETE) {
      delete overrides[name]
      continue
    }
    if (value === null) return { error: 'INVALID_REQUEST', message: `Null value not supported for : ${name}` }
    if (configOperation === SET) {
      overrides[name] = value
      continue
    }
    if (configOperation !== APPEND && configOperation !== SUBTRACT) {
      return { error: 'INVALID_REQUEST', message: `Unknown config operation ${configOperation} for ${name}` }
    }
    if (!isTopicConfigName(name)) return { error: 'INVALID_CONFIG', message: `Unknown topic config name: ${name}` }
    if (topicConfigEntry(name).type !== 'list') {
      return {
        error: 'INVALID_CONFIG',
        message: `${name} is not a list: it can be set or deleted, not appended to or subtracted from.`
      }
    }
    const items = listItems(resolveTopicConfig(name, overrides, broker.settings.given).value)
    const named = listItems(value)
    const rest = items.filter(item => !named.includes(item))
    overrides[name] = (
      configOperation === APPEND ? [...items, ...named.filter(item => !items.includes(item))] : rest
    ).join(',')
  }
  return overrides
}

function listItems(text: string): string[] {
  return text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}
