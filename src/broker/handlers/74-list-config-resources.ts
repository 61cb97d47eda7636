/**
 * ListConfigResources, versions 0 and 1: which resources have settings. Version
 * 0 knows client metrics only (KIP-1000), of which there are none; version 1
 * lists topics and the broker too (KIP-1142).
 */

import { listConfigResourcesApi } from '../../protocol/index.ts'
import { BROKER_RESOURCE, TOPIC_RESOURCE } from './config-resources.ts'
import { defineHandler, errorCode } from './handler.ts'

const BROKER_LOGGER_RESOURCE = 8
const CLIENT_METRICS_RESOURCE = 16
const GROUP_RESOURCE = 32
const KNOWN_TYPES = [TOPIC_RESOURCE, BROKER_RESOURCE, BROKER_LOGGER_RESOURCE, CLIENT_METRICS_RESOURCE, GROUP_RESOURCE]

/** The handler of ListConfigResources. */
export const listConfigResourcesHandler = defineHandler({
  api: listConfigResourcesApi,
  clusterOperation: 'describeConfigs',
  handle: (broker, request, { apiVersion }) => {
    if (apiVersion === 0) return {}
    const types = request.resourceTypes.length === 0 ? KNOWN_TYPES : request.resourceTypes
    if (types.some(type => !KNOWN_TYPES.includes(type))) return { errorCode: errorCode('UNSUPPORTED_VERSION') }
    const broker0 = { resourceName: String(broker.nodeId), resourceType: BROKER_RESOURCE }
    const topics = broker.logs.topics.map(({ name }) => ({ resourceName: name, resourceType: TOPIC_RESOURCE }))
    return { configResources: [broker0, ...topics].filter(({ resourceType }) => types.includes(resourceType)) }
  },
  fail: (_request, code) => ({ errorCode: code })
})
