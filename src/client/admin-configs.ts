/** Administration of configurations. */

import {
  describeConfigsApi,
  type DescribeConfigsResponseResult,
  incrementalAlterConfigsApi
} from '../protocol/index.ts'
import { ask } from './admin-send.ts'
import { resultOf } from './admin-topics.ts'
import type { AdminResult, ConfigChange, ConfigResource, DescribedConfig } from './admin-types.ts'
import type { Cluster } from './cluster.ts'
import type { SendTarget } from './cluster-options.ts'

/** Numbers of resource types. Source: Kafka `ConfigResource.Type`. */
const resourceTypes = { topic: 2, broker: 4, group: 32 } as const
/** Numbers of operations. Source: Kafka `AlterConfigOp.OpType`. */
const operations = { set: 0, delete: 1, append: 2, subtract: 3 } as const
/** The source that means "nobody has set it". Source: Kafka `ConfigEntry.ConfigSource.DEFAULT_CONFIG`. */
const defaultSource = 5

/** A broker's own settings are asked of that broker, everything else of any. */
function targetOf(resource: ConfigResource): SendTarget {
  return resource.type === 'broker' && resource.name !== '' ? { nodeId: Number(resource.name) } : 'any'
}

/** Most resources in one request. */
const resourcesMax = 500

/** How settings are asked for. */
export interface DescribeConfigsOptions {
  /** Only these settings. Default: all. */
  readonly names?: readonly string[]
}

/** Settings of some resources, defaults included: many in a request, in the order of the resources. */
export async function describeConfigs(
  cluster: Cluster,
  resources: readonly ConfigResource[],
  { names }: DescribeConfigsOptions = {}
): Promise<DescribedConfig[]> {
  const found = new Map<string, DescribedConfig>()
  await Promise.all(
    requestsOf(resources).map(async wanted => {
      const request = {
        resources: wanted.map(({ type, name }) => ({
          resourceType: resourceTypes[type],
          resourceName: name,
          configurationKeys: names ?? null
        }))
      }
      const to = wanted[0] === undefined ? 'any' : targetOf(wanted[0])
      const answer = await ask(cluster, () => cluster.send(describeConfigsApi, request, { to }), {
        codesOf: each => each.results.map(result => result.errorCode)
      })
      for (const result of answer.results) {
        const resource = wanted.find(({ type }) => resourceTypes[type] === result.resourceType)
        if (resource !== undefined) {
          const described = describedOf({ type: resource.type, name: result.resourceName }, result)
          found.set(keyOf(described), described)
        }
      }
    })
  )
  return resources.map(each => found.get(keyOf(each)) ?? { ...each, errorCode: 0, errorMessage: null, entries: [] })
}

function keyOf({ type, name }: ConfigResource): string {
  return `${type}/${name}`
}

/** Those for the same broker together. */
function requestsOf(resources: readonly ConfigResource[]): ConfigResource[][] {
  const byTarget = new Map<string, ConfigResource[][]>()
  for (const resource of resources) {
    const target = JSON.stringify(targetOf(resource))
    const requests = byTarget.get(target) ?? [[]]
    byTarget.set(target, requests)
    const last = requests.at(-1)
    if (last !== undefined && last.length < resourcesMax) last.push(resource)
    else requests.push([resource])
  }
  return [...byTarget.values()].flat()
}

function describedOf(
  resource: ConfigResource,
  { errorCode, errorMessage, configs }: DescribeConfigsResponseResult
): DescribedConfig {
  return {
    ...resource,
    errorCode,
    errorMessage,
    entries: configs.map(config => ({
      name: config.name,
      value: config.value,
      isReadOnly: config.readOnly,
      isDefault: config.configSource === defaultSource,
      isSensitive: config.isSensitive,
      source: config.configSource
    }))
  }
}

/** Changes to one resource. */
export interface ResourceChanges {
  readonly resource: ConfigResource
  readonly changes: readonly ConfigChange[]
}

/** Changes single settings and leaves the others as they are. */
export async function alterConfigs(cluster: Cluster, all: readonly ResourceChanges[]): Promise<AdminResult[]> {
  return await Promise.all(
    all.map(async ({ resource, changes }) => {
      const wanted = {
        resourceType: resourceTypes[resource.type],
        resourceName: resource.name,
        configs: changes.map(({ name, operation, value }) => ({
          name,
          configOperation: operations[operation],
          value: value ?? null
        }))
      }
      const to = targetOf(resource)
      const answer = await ask(
        cluster,
        () => cluster.send(incrementalAlterConfigsApi, { resources: [wanted] }, { to }),
        {
          codesOf: each => each.responses.map(result => result.errorCode)
        }
      )
      const [result] = answer.responses
      return resultOf(resource.name, result?.errorCode ?? 0, result?.errorMessage ?? null)
    })
  )
}
