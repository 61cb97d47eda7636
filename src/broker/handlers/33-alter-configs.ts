/**
 * AlterConfigs, versions 0 to 2: replaces all overrides of a topic, so what is
 * not named returns to its default. Deprecated in favour of
 * IncrementalAlterConfigs, still sent by older clients.
 */

import { alterConfigsApi } from '../../protocol/index.ts'
import { alterTopic } from './config-resources.ts'
import { configRefusal } from './authorization.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of AlterConfigs. */
export const alterConfigsHandler = defineHandler({
  api: alterConfigsApi,
  handle: async (broker, request, caller) => {
    const responses = []
    for (const { resourceType, resourceName, configs } of request.resources) {
      const target = { resourceType, resourceName, validateOnly: request.validateOnly }
      const refusal = configRefusal(broker, caller, { operation: 'alterConfigs', ...target })
      const { error, message } =
        refusal ??
        (await alterTopic(broker, target, () => {
          const overrides: Record<string, string> = {}
          for (const { name, value } of configs) {
            if (value === null) return { error: 'INVALID_REQUEST', message: `Null value not supported for : ${name}` }
            overrides[name] = value
          }
          return overrides
        }))
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
