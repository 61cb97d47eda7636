/**
 * AlterConfigs, versions 0 to 2: replaces all that is set for a topic or for the
 * broker, so what is not named returns to its default. Deprecated in favour of
 * IncrementalAlterConfigs, still sent by older clients.
 */

import { alterConfigsApi, type AlterConfigsRequestAlterableConfig } from '../../protocol/index.ts'
import { alterableConfig, type AlterTarget, repeatedResource } from './config-resources.ts'
import { configRefusal } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { defineHandler, errorCode, type Refusal } from './handler.ts'

/** The handler of AlterConfigs. */
export const alterConfigsHandler = defineHandler({
  api: alterConfigsApi,
  handle: async (broker, request, caller) => {
    const responses = []
    for (const { resourceType, resourceName, configs } of request.resources) {
      const target = { resourceType, resourceName, validateOnly: request.validateOnly }
      const refusal =
        repeatedResource(request.resources, target) ??
        configRefusal(broker, caller, { operation: 'alterConfigs', ...target })
      const { error, message } = refusal ?? (await replaceAll(broker, target, configs))
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

async function replaceAll(
  broker: BrokerState,
  target: AlterTarget,
  configs: readonly AlterConfigsRequestAlterableConfig[]
): Promise<Refusal> {
  const resource = alterableConfig(broker, target)
  if ('error' in resource) return resource
  const texts: [string, string][] = []
  for (const { name, value } of configs) {
    if (value === null) return { error: 'INVALID_REQUEST', message: `Null value not supported for : ${name}` }
    texts.push([name, value])
  }
  // Not by assignment: that would lose the name `__proto__` instead of refusing it.
  return resource.replace(Object.fromEntries(texts))
}
