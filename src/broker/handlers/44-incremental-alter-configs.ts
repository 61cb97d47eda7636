/**
 * IncrementalAlterConfigs, versions 0 and 1: sets, deletes, or (for lists)
 * appends to and subtracts from single settings of a topic or of the broker.
 * Source: KIP-339, KIP-226.
 */

import { incrementalAlterConfigsApi, type IncrementalAlterConfigsRequestAlterableConfig } from '../../protocol/index.ts'
import type { BrokerState } from './broker-state.ts'
import { alterableConfig, type AlterableConfig, type AlterTarget, repeatedResource } from './config-resources.ts'
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
      const refusal =
        repeatedResource(request.resources, target) ??
        configRefusal(broker, caller, { operation: 'alterConfigs', ...target })
      const { error, message } = refusal ?? (await change(broker, target, configs))
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

async function change(broker: BrokerState, target: AlterTarget, changes: readonly Change[]): Promise<Refusal> {
  const resource = alterableConfig(broker, target)
  if ('error' in resource) return resource
  const changed = applyAll(resource, changes)
  return 'refusal' in changed ? changed.refusal : resource.replace(changed.texts)
}

function applyAll(
  resource: AlterableConfig,
  changes: readonly Change[]
): { texts: Record<string, string> } | { refusal: Refusal } {
  // A map: an object would lose the name `__proto__` instead of refusing it.
  const texts = new Map(Object.entries(resource.current))
  const refuse = (error: Refusal['error'], message: string): { refusal: Refusal } => ({ refusal: { error, message } })
  const names = changes.map(each => each.name)
  if (new Set(names).size !== names.length) return refuse('INVALID_REQUEST', 'Error due to duplicate config keys')
  for (const { name, configOperation, value } of changes) {
    if (configOperation === DELETE) {
      texts.delete(name)
      continue
    }
    if (value === null) return refuse('INVALID_REQUEST', `Null value not supported for : ${name}`)
    if (configOperation === SET) {
      texts.set(name, value)
      continue
    }
    if (configOperation !== APPEND && configOperation !== SUBTRACT) {
      return refuse('INVALID_REQUEST', `Unknown config operation ${configOperation} for ${name}`)
    }
    const type = resource.typeOf(name)
    if (type === undefined) return refuse('INVALID_CONFIG', `Unknown config name: ${name}`)
    if (type !== 'list') {
      const message = `${name} is not a list: it can be set or deleted, not appended to or subtracted from.`
      return refuse('INVALID_CONFIG', message)
    }
    const items = listItems(resource.valueOf(name, Object.fromEntries(texts)))
    const named = listItems(value)
    const rest = items.filter(item => !named.includes(item))
    const all = [...items, ...named.filter(item => !items.includes(item))]
    texts.set(name, (configOperation === APPEND ? all : rest).join(','))
  }
  return { texts: Object.fromEntries(texts) }
}

function listItems(text: string): string[] {
  return text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}
